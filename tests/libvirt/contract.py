"""The contract of a migration, as an operator of libvirt sets it and learns what became of it."""
# Copyright (c) 2026 the kvm4nfv authors
# SPDX-License-Identifier: GPL-2.0-or-later

from __future__ import annotations

import json
from typing import Any

from terminal import TIMEOUT, Terminal
from virthost import VirtHost

ENDED = 'NFV_MIGRATION_ENDED'


def promise(host: VirtHost, domain: str, **contract: int | str) -> None:
    """max_downtime, deadline: ms; on_deadline."""
    for name, value in contract.items():
        host.qmp(domain, 'qom-set', path='/machine', property=f'migration-{name.replace("_", "-")}', value=value)


def event(line: str, name: str) -> dict[str, Any] | None:
    """The data of one line of `virsh qemu-monitor-event`, if it is of that event. Pure."""
    head, _, data = line.partition(': ')
    if not head.startswith(f'event {name} '):
        return None
    return json.loads(data) if data and data != '<null>' else {}


def moment(line: str) -> float:
    """When QEMU sent the event of such a line, in seconds. Pure."""
    return float(line.partition(' at ')[2].split()[0])


class Events(Terminal):
    """What QEMU tells; libvirt ends QEMU right after a migration, so asking is too late."""

    def __init__(self, host: VirtHost, *domain: str):
        """Of one domain, or of all of the host's, those that come later included."""
        super().__init__(host, 'qemu-monitor-event', *domain, '--loop')

    def await_event(self, name: str, timeout: float = TIMEOUT) -> dict[str, Any]:
        return self.find(f'the event {name}', lambda line: event(line, name), timeout)

    def last(self, name: str) -> float:
        """When the last of them was sent that has been read."""
        return [moment(line) for line in self.lines if event(line, name) is not None][-1]
