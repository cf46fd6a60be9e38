"""The contract of a migration, as an operator of libvirt sets it and learns what became of it."""
# Copyright (c) 2026 the kvm4nfv authors
# SPDX-License-Identifier: GPL-2.0-or-later

from __future__ import annotations

from dataclasses import dataclass
import json
import re
import time
from typing import Any

from nfv.progress import Failure

from terminal import TIMEOUT, Terminal
from virthost import VirtHost

ENDED = 'NFV_MIGRATION_ENDED'


def promise(host: VirtHost, domain: str, **contract: int | str) -> None:
    """max_downtime, deadline: ms; on_deadline."""
    for name, value in contract.items():
        host.qmp(domain, 'qom-set', path='/machine', property=f'migration-{name.replace("_", "-")}', value=value)


@dataclass(frozen=True)
class Event:
    """What QEMU told; `at`: when, in seconds, on the host's clock."""

    name: str
    at: float
    domain: str
    data: dict[str, Any]


LINE = re.compile(r"event (?P<name>\w+) at (?P<at>[\d.]+) for domain '(?P<domain>[^']*)': (?P<data>.*)")


def event(line: str) -> Event | None:
    """Out of one line of `virsh qemu-monitor-event`. Pure."""
    found = LINE.fullmatch(line)
    if not found:
        return None
    data = found['data']
    return Event(found['name'], float(found['at']), found['domain'], {} if data == '<null>' else json.loads(data))


class Events(Terminal):
    """Of all domains of a host; libvirt ends QEMU right after a migration, so asking QEMU would be too late.

    virsh does not say when it begins to listen, so a bystander is resumed until that is heard.
    """

    def __init__(self, host: VirtHost, bystander: str):
        super().__init__(host, 'qemu-monitor-event', '--loop')
        end = time.monotonic() + TIMEOUT
        while True:
            host.virsh('resume', bystander)
            host.virsh('suspend', bystander)
            try:
                self.event('RESUME', bystander, timeout=0.5)
                return
            except Failure:
                if time.monotonic() > end:
                    self.end()
                    raise

    def event(self, name: str, domain: str, timeout: float = TIMEOUT) -> Event:
        """The next of them that has not been read yet."""
        def match(line: str) -> Event | None:
            found = event(line)
            return found if found and (found.name, found.domain) == (name, domain) else None

        return self.find(f'the event {name} of {domain}', match, timeout)

    def last(self, name: str, domain: str) -> Event:
        """The last of them that has been read."""
        found = filter(None, map(event, self.lines))
        return [each for each in found if (each.name, each.domain) == (name, domain)][-1]
