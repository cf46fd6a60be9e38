"""QEMU's trace log: when things happened, on the host's clock. Pure."""
# Copyright (c) 2026 the kvm4nfv authors
# SPDX-License-Identifier: GPL-2.0-or-later

from __future__ import annotations

import re

# What QEMU's "log" trace backend writes under -msg timestamp=on: PID@SECONDS.MICROSECONDS:EVENT ARGUMENTS
STAMP = re.compile(r'^\d+@(\d+)\.(\d{6}):vmstate_downtime_checkpoint (\S+)')

STOPPED = ('src-downtime-start',)
STARTED = ('dst-precopy-bh-vm-started', 'dst-postcopy-bh-vm-started')


def checkpoints(log: str) -> dict[str, int]:
    """Each checkpoint's time in microseconds; the last one where one came several times."""
    found = (STAMP.match(line) for line in log.splitlines())
    return {stamp[3]: int(stamp[1]) * 1000000 + int(stamp[2]) for stamp in found if stamp}


def downtime_us(source: str, destination: str) -> int:
    """From the source's stop to the destination's start, out of both ends' logs."""
    stopped = [time for name, time in checkpoints(source).items() if name in STOPPED]
    started = [time for name, time in checkpoints(destination).items() if name in STARTED]
    if not stopped or not started:
        raise ValueError(f'no checkpoint of the {"destination" if stopped else "source"} in its trace log')
    return max(started) - max(stopped)
