"""The guest's timer latency in each phase of a live migration, out of both ends' trace logs. Pure.

A test guest tells each latency by two writes to its serial port's scratch register (guest/probe/latency.h). QEMU stamps
these, and what the migration does, on the host's one clock.
"""
# Copyright (c) 2026 the kvm4nfv authors
# SPDX-License-Identifier: GPL-2.0-or-later

from __future__ import annotations

from dataclasses import dataclass
import re

from . import stamp
from .histogram import Histogram, of_buckets

# Stock QEMU does not know the last one; no harm is in a pattern that fits nothing.
TRACES = ('serial_write', 'migration_bitmap_sync_start', 'nfv_heat_first_*')
# setup: until the first page is sent; bulk: each page once; rounds: what was written meanwhile; switchover: the guest
# stands still; post-copy: it runs while pages are missing.
MOVING = ('setup', 'bulk', 'rounds', 'switchover', 'post-copy')
NAMES = ('before', *MOVING, 'after')
TOLD = re.compile(r'^\d+@(\d+)\.(\d{6}):serial_write write addr 0x07 val 0x([0-9a-f]+)$', re.MULTILINE)
# What ends the first pass. The fork looks at the dirty bitmap in the midst of it, to send last what is written often.
SYNC = re.compile(r'^\d+@(\d+)\.(\d{6}):migration_bitmap_sync_start', re.MULTILINE)
FIRST_ROUND = re.compile(r'^\d+@(\d+)\.(\d{6}):nfv_heat_first_round ', re.MULTILINE)
FIRST, TOLD_BITS, FINE_BITS = 0x80, 7, 5


@dataclass(frozen=True)
class Told:
    """at: microseconds on the host's clock; ns: how late the guest says it was, on its own clock."""

    at: int
    ns: int


def bucket_end(bucket: int) -> int:
    """The longest latency of a bucket, in nanoseconds."""
    shift, fine = divmod(bucket, 1 << FINE_BITS)
    return ((1 << FINE_BITS) + fine + 1 << shift - 1) - 1 if shift else bucket


def told(log: str) -> list[Told]:
    """In their order. A second byte without a first one, as other drivers may write, is none."""
    found: list[Told] = []
    first: tuple[int, int] | None = None
    for seconds, us, value in TOLD.findall(log):
        byte = int(value, 16)
        if byte & FIRST:
            first = int(seconds) * 1000000 + int(us), byte & ~FIRST
        elif first:
            found.append(Told(first[0], bucket_end(first[1] << TOLD_BITS | byte)))
            first = None
    return found


def begins(source: str, destination: str, stock: bool) -> dict[str, int]:
    """When each phase after the first one began, in microseconds, in order; those that there were."""
    active, stopped = stamp.state(source, 'active'), stamp.stopped(source)
    found = {'setup': stamp.begun(source), 'bulk': active}
    ends = [time for time in stamp.times(SYNC if stock else FIRST_ROUND, source) if active < time < stopped]
    if ends:
        found['rounds'] = ends[0]
    found['switchover'] = stopped
    if stamp.is_postcopy(destination):
        found['post-copy'] = stamp.started(destination)
        found['after'] = max(stamp.completed(source), stamp.state(destination, 'completed'))
    else:
        found['after'] = stamp.started(destination)
    return found


def phase_of(at: int, began: dict[str, int]) -> str:
    return next((name for name in reversed(NAMES) if name in began and at >= began[name]), 'before')


def across(last: Told, first: Told, period_us: int) -> int:
    """Nanoseconds that the first latency on the destination is on the host's clock; `last` is the source's last one."""
    periods = last.ns // (period_us * 1000) + 1
    return max(0, (first.at - last.at - periods * period_us) * 1000 + last.ns)


def counted(values: list[int]) -> Histogram:
    buckets: dict[int, int] = {}
    for ns in values:
        buckets[ns] = buckets.get(ns, 0) + 1
    return of_buckets(buckets)


def split(source: str, destination: str, period_us: int, since: int, until: int, stock: bool) -> dict[str, Histogram]:
    """By the names of NAMES that have any, and all of MOVING as `during`. Raises ValueError for logs that do not tell.

    since, until: microseconds; what is before and after does not count. The latency that met the stop is the
    switchover's, on the host's clock; `during` has it as the guest saw it.
    """
    began = begins(source, destination, stock)
    ours, theirs = told(source), told(destination)
    if not ours or not theirs:
        raise ValueError(f'no latency in the {"destination" if ours else "source"}\'s trace log')
    found: dict[str, list[int]] = {name: [] for name in NAMES}
    for one in (*ours, *theirs[1:]):
        if since <= one.at <= until:
            found[phase_of(one.at, began)].append(one.ns)
    during = [ns for name in MOVING for ns in found[name]] + [theirs[0].ns]
    found['switchover'].append(across(ours[-1], theirs[0], period_us))
    return {name: counted(values) for name, values in {**found, 'during': during}.items() if values}
