"""Latency histograms: what a measurement counted, and what follows from it. Pure."""
# Copyright (c) 2026 the kvm4nfv authors
# SPDX-License-Identifier: GPL-2.0-or-later

from __future__ import annotations

from dataclasses import dataclass, field
from fractions import Fraction
import math
from typing import Any, Iterable


@dataclass
class Histogram:
    """Latency to samples; samples above the last bucket are in `overflows` only.

    The unit is the user's: cyclictest counts in microseconds, nfv-bench keeps nanoseconds.
    """

    buckets: dict[int, int] = field(default_factory=dict)
    overflows: int = 0
    min: int = 0
    avg: int = 0
    max: int = 0

    @property
    def samples(self) -> int:
        return sum(self.buckets.values()) + self.overflows

    def percentile(self, percent: str) -> int:
        """The smallest latency that at least `percent` of the samples do not exceed; an overflow is as long as max."""
        if not self.samples:
            raise ValueError('no samples')
        # Exact: 99.9 as a float would put 999 of 1000 samples on the wrong side.
        rank = max(1, math.ceil(Fraction(percent) * self.samples / 100))
        for latency, count in sorted(self.buckets.items()):
            rank -= count
            if rank <= 0:
                return latency
        return self.max

    def summary(self) -> dict[str, int]:
        return {'samples': self.samples, 'min': self.min, 'avg': self.avg, 'p99': self.percentile('99'),
                'p99.9': self.percentile('99.9'), 'max': self.max}

    def scaled(self, factor: int) -> Histogram:
        """In another unit."""
        return Histogram({latency * factor: count for latency, count in self.buckets.items()}, self.overflows,
                         self.min * factor, self.avg * factor, self.max * factor)

    def since(self, before: Histogram) -> Histogram:
        """What was counted after `before`, an earlier state of the same counters; its ends are those of buckets."""
        buckets = {latency: count - before.buckets.get(latency, 0) for latency, count in self.buckets.items()}
        return of_buckets({latency: count for latency, count in buckets.items() if count},
                          self.overflows - before.overflows, self.max)

    def as_json(self) -> dict[str, Any]:
        return {'samples': self.samples, 'min': self.min, 'avg': self.avg, 'max': self.max,
                'overflows': self.overflows, 'buckets': [list(pair) for pair in sorted(self.buckets.items())]}


def of_buckets(buckets: dict[int, int], overflows: int = 0, longest: int = 0) -> Histogram:
    """With what follows from the buckets alone; `longest` is that of the overflows."""
    count = sum(buckets.values())
    return Histogram(buckets, overflows, min=min(buckets, default=0),
                     avg=round(sum(latency * n for latency, n in buckets.items()) / count) if count else 0,
                     max=longest if overflows else max(buckets, default=0))


def from_json(found: dict[str, Any]) -> Histogram:
    return Histogram({latency: count for latency, count in found['buckets']}, found['overflows'], found['min'],
                     found['avg'], found['max'])


def merged(histograms: Iterable[Histogram]) -> Histogram:
    """All samples of all of them; an empty one changes nothing."""
    known = [histogram for histogram in histograms if histogram.samples]
    result = Histogram(overflows=sum(h.overflows for h in known), min=min((h.min for h in known), default=0),
                       max=max((h.max for h in known), default=0))
    for histogram in known:
        for latency, count in histogram.buckets.items():
            result.buckets[latency] = result.buckets.get(latency, 0) + count
    if known:
        result.avg = round(sum(h.avg * h.samples for h in known) / result.samples)
    return result
