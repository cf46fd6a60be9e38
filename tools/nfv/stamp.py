"""QEMU's trace log: when things happened, on the host's clock. Pure."""
# Copyright (c) 2026 the kvm4nfv authors
# SPDX-License-Identifier: GPL-2.0-or-later

from __future__ import annotations

import re

# What QEMU's "log" trace backend writes under -msg timestamp=on: PID@SECONDS.MICROSECONDS:EVENT ARGUMENTS
STAMP = re.compile(r'^\d+@(\d+)\.(\d{6}):vmstate_downtime_checkpoint (\S+)', re.MULTILINE)
STATE = r'^\d+@(\d+)\.(\d{{6}}):migrate_set_state new state {}$'

STOPPED = ('src-downtime-start',)
STARTED = ('dst-precopy-bh-vm-started', 'dst-postcopy-bh-vm-started')


def checkpoints(log: str) -> dict[str, int]:
    """Each checkpoint's time in microseconds; the last one where one came several times."""
    return {name: int(seconds) * 1000000 + int(us) for seconds, us, name in STAMP.findall(log)}


def times(event: re.Pattern[str], log: str) -> list[int]:
    """Of an event whose groups are seconds and microseconds, in microseconds."""
    return [int(seconds) * 1000000 + int(us) for seconds, us in event.findall(log)]


def state(log: str, name: str) -> int:
    """When that end entered the state (last), in microseconds."""
    found = times(re.compile(STATE.format(name), re.MULTILINE), log)
    if not found:
        raise ValueError(f'no migration that is {name} in the trace log')
    return found[-1]


def begun(source: str) -> int:
    """When the source began its (last) migration, in microseconds."""
    return state(source, 'setup')


def completed(source: str) -> int:
    """When the source had sent the last of it, in microseconds."""
    return state(source, 'completed')


def stopped(source: str) -> int:
    """When the source stopped the guest, in microseconds."""
    return _last(source, STOPPED, 'source')


def is_postcopy(log: str) -> bool:
    """Whether the destination started the guest before it had all of its memory."""
    return 'dst-postcopy-bh-vm-started' in checkpoints(log)


def started(log: str) -> int:
    """When the destination started the guest, in microseconds."""
    return _last(log, STARTED, 'destination')


def _last(log: str, names: tuple[str, ...], end: str) -> int:
    found = [time for name, time in checkpoints(log).items() if name in names]
    if not found:
        raise ValueError(f'no checkpoint of the {end} in its trace log')
    return max(found)


def downtime_us(source: str, destination: str) -> int:
    """From the source's stop to the destination's start, out of both ends' logs."""
    return started(destination) - stopped(source)
