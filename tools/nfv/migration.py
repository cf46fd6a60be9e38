"""One live migration between two QEMU processes, bounded in time."""
# Copyright (c) 2026 the kvm4nfv authors
# SPDX-License-Identifier: GPL-2.0-or-later

from __future__ import annotations

from dataclasses import dataclass, field
import time
from typing import Any, Iterable

from .progress import Progress
from .vm import Vm

START_TIMEOUT = 60


@dataclass(frozen=True)
class Point:
    """Capabilities and parameters, the same for both builds.

    limit: ms of downtime-limit; channels: 0: no multifd; postcopy: that capability and postcopy-preempt are on;
    deadline: ms of the contract, 0 for none, which stock does not know.
    """

    limit: int = 300
    channels: int = 0
    postcopy: bool = False
    deadline: int = 0

    def __str__(self) -> str:
        return f'{f"multifd {self.channels}" if self.channels else "plain"}, limit {self.limit} ms' + \
            (', post-copy possible' if self.postcopy else '') + \
            (f', to run there within {self.deadline} ms' if self.deadline else '')

    def capabilities(self) -> list[dict[str, Any]]:
        return [{'capability': name, 'state': state}
                for name, state in (('return-path', True), ('postcopy-ram', self.postcopy),
                                    ('postcopy-preempt', self.postcopy), ('multifd', bool(self.channels)))]

    def parameters(self) -> dict[str, int]:
        # QEMU's own bandwidth limit is not a link: it is lifted when the guest stops.
        return {'max-bandwidth': 0, 'downtime-limit': self.limit} | \
            ({'multifd-channels': self.channels} if self.channels else {})


@dataclass
class Outcome:
    """info: what query-migrate says in the end; ended: the guest runs on the destination, not on the source.

    cancelled: by QEMU itself, before the bound.
    points: what it said on the way: ms since the begin, bytes sent, rounds, faults (pages that were asked for).
    """

    ended: bool
    cancelled: bool
    info: dict[str, Any]
    points: list[dict[str, float]] = field(default_factory=list)


def point_of(ms: float, info: dict[str, Any]) -> dict[str, float]:
    """Pure."""
    ram = info.get('ram', {})
    return {'ms': ms, 'sent': ram.get('transferred', 0), 'rounds': ram.get('dirty-sync-count', 0),
            'faults': ram.get('postcopy-requests', 0)}


def migrate(source: Vm, destination: Vm, outgoing: str, incoming: str, point: Point, bound: float,
            progress: Progress, press: float | None = None, more: Iterable[str] = ()) -> Outcome:
    """What has not ended after `bound` seconds is cancelled. press: seconds after which post-copy is asked for.

    more: further capabilities.
    """
    capabilities = [*point.capabilities(), *({'capability': name, 'state': True} for name in more)]
    for vm in (source, destination):
        vm.qmp('migrate-set-capabilities', capabilities=capabilities)
        vm.qmp('migrate-set-parameters', **point.parameters())
    destination.qmp('migrate-incoming', uri=incoming)
    source.qmp('migrate', uri=outgoing)
    began = time.monotonic()
    end = began + bound
    points: list[dict[str, float]] = []
    info: dict[str, Any] = {}

    given_up = False
    pressed = press is None

    def ended() -> bool:
        nonlocal given_up, pressed
        progress.sleep(0.1)
        info.update(source.qmp('query-migrate'))
        points.append(point_of((time.monotonic() - began) * 1000, info))
        status = info.get('status')
        # The destination may be gone before the source has noticed that it was cancelled.
        if status == 'failed' and not given_up:
            raise source.failure(f'could not migrate: {info.get("error-desc", status)}')
        if status == 'active' and not given_up and time.monotonic() > end:
            given_up = True
            source.qmp('migrate_cancel')
        if status == 'active' and not pressed and time.monotonic() > began + (press or 0):
            pressed = True
            source.qmp('migrate-start-postcopy')
        return status in ('completed', 'cancelled', 'failed')

    def complete() -> bool:
        progress.sleep(0.05)
        return destination.qmp('query-migrate').get('status') == 'completed'

    def running() -> bool:
        progress.sleep(0.05)
        return destination.qmp('query-status')['running']

    source.wait('end the migration', ended, bound + START_TIMEOUT)
    if info['status'] == 'completed':
        destination.wait('start the guest', running, START_TIMEOUT)
        destination.wait('have all of it', complete, START_TIMEOUT)
    return Outcome(info['status'] == 'completed', info['status'] == 'cancelled' and not given_up, info, points)
