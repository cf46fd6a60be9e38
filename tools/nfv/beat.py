"""The guest's heartbeats in QEMU's trace log, and how long the guest made no, or slow, progress. Pure.

A test guest writes to its serial port's scratch register after each quantum of work. QEMU stamps that write in the
vCPU's thread on the host's clock, which goes on while the guest, and the guest's own clock, stand still.
"""
# Copyright (c) 2026 the kvm4nfv authors
# SPDX-License-Identifier: GPL-2.0-or-later

from __future__ import annotations

from dataclasses import dataclass
import re
import statistics

BEAT = re.compile(r'^\d+@(\d+)\.(\d{6}):serial_write write addr 0x07 ', re.MULTILINE)

# Full speed is back when this many heartbeats in a row come as fast, but for the tolerance, as before the migration.
WINDOW = 20
TOLERANCE = 1.25


def times(log: str) -> list[int]:
    """Of the heartbeats, in microseconds."""
    return [int(seconds) * 1000000 + int(us) for seconds, us in BEAT.findall(log)]


def interval_us(beats: list[int]) -> float | None:
    """The usual time between two; None if there are too few to say."""
    if len(beats) <= WINDOW:
        return None
    return statistics.median(later - sooner for sooner, later in zip(beats, beats[1:]))


@dataclass(frozen=True)
class Gap:
    """In microseconds; None where the logs do not tell."""

    full: int | None        # from the last heartbeat on the source to the first of full speed on the destination
    switch: int | None      # from the last heartbeat on the source to the first on the destination
    before: int | None      # the longest time between two heartbeats of the source during the migration


# A guest that has this share of its heartbeats in this many microseconds is back at its speed.
SPEED, SPEED_US = 0.9, 100000


def recovered(source: list[int], destination: list[int], began: int, started: int) -> int | None:
    """Microseconds from `started`, when the guest started on the destination, until it is back at its speed there."""
    usual = interval_us([beat for beat in source if beat < began])
    if not usual:
        return None
    count = int(SPEED * SPEED_US / usual)
    for start, end in zip(destination, destination[count:]):
        if end - start <= SPEED_US:
            return max(0, start - started)
    return None


def gap(source: list[int], destination: list[int], began: int) -> Gap:
    """`began`: when the migration began; what the source did before it is its full speed."""
    usual = interval_us([beat for beat in source if beat < began])
    during = [beat for beat in source if beat >= began]
    before = max((later - sooner for sooner, later in zip(during, during[1:])), default=None)
    if not source or not destination:
        return Gap(None, None, before)
    full = None
    if usual:
        for start, end in zip(destination, destination[WINDOW:]):
            if end - start <= WINDOW * usual * TOLERANCE:
                full = start - source[-1]
                break
    return Gap(full, destination[0] - source[-1], before)
