"""QEMU's trace log: when things happened, on the host's clock. Pure."""
# Copyright (c) 2026 the kvm4nfv authors
# SPDX-License-Identifier: GPL-2.0-or-later

from __future__ import annotations

import re

# What QEMU's "log" trace backend writes under -msg timestamp=on: PID@SECONDS.MICROSECONDS:EVENT ARGUMENTS
STAMP = re.compile(r'^\d+@(\d+)\.(\d{6}):vmstate_downtime_checkpoint (\S+)', re.MULTILINE)
BEGUN = re.compile(r'^\d+@(\d+)\.(\d{6}):migrate_set_state new state setup$', re.MULTILINE)
COMPLETED = re.compile(r'^\d+@(\d+)\.(\d{6}):migrate_set_state new state completed$', re.MULTILINE)

STOPPED = ('src-downtime-start',)
STARTED = ('dst-precopy-bh-vm-started', 'dst-postcopy-bh-vm-started')


def checkpoints(log: str) -> dict[str, int]:
    """Each checkpoint's time in microseconds; the last one where one came several times."""
    return {name: int(seconds) * 1000000 + int(us) for seconds, us, name in STAMP.findall(log)}


def begun(log: str) -> int:
    """When the source began its (last) migration, in microseconds."""
    found = BEGUN.findall(log)
    if not found:
        raise ValueError('no beginning of a migration in the source\'s trace log')
    return int(found[-1][0]) * 1000000 + int(found[-1][1])


def completed(log: str) -> int:
    """When the source had sent the last of it, in microseconds."""
    found = COMPLETED.findall(log)
    if not found:
        raise ValueError('no end of a migration in the source\'s trace log')
    return int(found[-1][0]) * 1000000 + int(found[-1][1])


def is_postcopy(log: str) -> bool:
    """Whether the destination started the guest before it had all of its memory."""
    return 'dst-postcopy-bh-vm-started' in checkpoints(log)


def started(log: str) -> int:
    """When the destination started the guest, in microseconds."""
    return _last(log, STARTED, 'destination')


def _last(log: str, names: tuple[str, ...], end: str) -> int:
    times = [time for name, time in checkpoints(log).items() if name in names]
    if not times:
        raise ValueError(f'no checkpoint of the {end} in its trace log')
    return max(times)


def downtime_us(source: str, destination: str) -> int:
    """From the source's stop to the destination's start, out of both ends' logs."""
    stopped = _last(source, STOPPED, 'source')
    return started(destination) - stopped
