"""What one run found. Pure."""
# Copyright (c) 2026 the kvm4nfv authors
# SPDX-License-Identifier: GPL-2.0-or-later

from __future__ import annotations

from dataclasses import asdict, dataclass, field
from typing import Any

from . import beat, stalls, stamp
from .answer import Memory

ENDED = 'ended'
ENDLESS = 'does not end'
CANCELLED = 'cancelled'  # by QEMU itself, at its deadline
FAILED = 'failed'


@dataclass
class Sample:
    """One run of one side. Times in ms, amounts in bytes, memory that was allocated anew in KiB; None: not known."""

    state: str
    error: str = ''
    bound: float | None = None          # seconds that it had, if it does not end
    cancelled: float | None = None      # from the begin until QEMU cancelled it, if it did
    total: float | None = None          # from the begin of the migration to the start on the destination
    floor: float | None = None          # what sending the populated RAM once takes: see floor_ms()
    downtime: float | None = None       # from the stop on the source to the start on the destination
    gap: float | None = None            # as the guest saw it: until it runs at full speed again
    switch: float | None = None         # as the guest saw it: until it runs again
    stall: float | None = None          # the longest that the guest did nothing before that
    reported_total: int | None = None
    reported_downtime: int | None = None
    sent: int | None = None
    precopy: int | None = None
    last: int | None = None             # sent while the guest was stopped
    multifd: int | None = None
    rounds: int | None = None
    whole: float | None = None          # until the last page has gone
    recovery: float | None = None       # from the start on the destination until the guest is back at its speed
    faults: int | None = None           # in post-copy; the time that each waited, in ms
    stall_sum: float | None = None
    stall_p50: float | None = None
    stall_p99: float | None = None
    kept: bool | None = None            # the contract, if there was one
    rate: float | None = None           # bytes a second that the guest really wrote
    source_new: int | None = None
    destination_new: int | None = None
    memory: Memory | None = None

    @property
    def good(self) -> bool:
        return self.state != FAILED and self.memory is not None and self.memory.intact

    def as_json(self) -> dict[str, Any]:
        result = asdict(self)
        if self.memory:
            result['memory']['intact'] = self.memory.intact
        return result


@dataclass
class Row:
    """The samples of one side at one point of one case."""

    samples: list[Sample] = field(default_factory=list)

    def values(self, figure: str) -> list[float | None]:
        return [getattr(sample, figure) for sample in self.samples if sample.state == ENDED or figure == 'rate']

    @property
    def endless(self) -> bool:
        """Whether a migration did not bring the guest to the destination."""
        return any(sample.state in (ENDLESS, CANCELLED) for sample in self.samples)

    @property
    def hopeless(self) -> bool:
        """Whether one waited in vain for its end, as others would."""
        return any(sample.state == ENDLESS for sample in self.samples)


def floor_ms(populated: int | None, speed: float | None) -> float | None:
    """The least total of a migration that sends each populated byte of RAM once and does nothing else, in ms.

    populated: bytes of the guest's RAM that the source has when it begins, zeroes included; speed: bytes a second that
    one stream without QEMU got over the same link in the same run. Pages of zeroes need not be sent, and several
    channels may be faster than one stream, so a total below it is possible.
    """
    return 1000 * populated / speed if populated is not None and speed else None


def kept(sample: Sample, downtime: int, deadline: int) -> bool:
    """Whether the guest stood still for at most `downtime` ms, and ran on the destination after at most `deadline`."""
    return sample.downtime is not None and sample.downtime <= downtime and \
        sample.total is not None and sample.total <= deadline


def read_info(sample: Sample, info: dict[str, Any]) -> None:
    """What query-migrate said."""
    ram = info.get('ram', {})
    sample.reported_total, sample.reported_downtime = info.get('total-time'), info.get('downtime')
    for name, key in (('sent', 'transferred'), ('precopy', 'precopy-bytes'), ('last', 'downtime-bytes'),
                      ('multifd', 'multifd-bytes'), ('rounds', 'dirty-sync-count')):
        setattr(sample, name, ram.get(key))


def read_logs(sample: Sample, source: str, destination: str) -> None:
    """What the trace logs of both ends say of a migration that ended."""
    began = stamp.begun(source)
    sample.total = (stamp.started(destination) - began) / 1000
    sample.downtime = stamp.downtime_us(source, destination) / 1000
    found = beat.gap(beat.times(source), beat.times(destination), began)
    sample.gap, sample.switch, sample.stall = (
        None if us is None else us / 1000 for us in (found.full, found.switch, found.before))


def read_cancelled(sample: Sample, source: str) -> None:
    """What the source's trace log says of a migration that QEMU cancelled."""
    sample.cancelled = (stamp.state(source, 'cancelling') - stamp.begun(source)) / 1000


def read_postcopy(sample: Sample, source: str, destination: str, page_bytes: int) -> None:
    """What they say of post-copy, if there was any, besides."""
    if not stamp.is_postcopy(destination):
        return
    began, started = stamp.begun(source), stamp.started(destination)
    sample.whole = (stamp.completed(source) - began) / 1000
    us = beat.recovered(beat.times(source), beat.times(destination), began, started)
    sample.recovery = None if us is None else us / 1000
    waits = stalls.stalls_us(destination, page_bytes)
    sample.faults, sample.stall_sum = len(waits), sum(waits) / 1000
    sample.stall_p50, sample.stall_p99 = (
        None if us is None else us / 1000 for us in (stalls.quantile(waits, 0.5), stalls.quantile(waits, 0.99)))
