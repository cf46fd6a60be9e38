"""Latency histograms: what a measurement counted, and what follows from it. Pure."""
# Copyright (c) 2026 the kvm4nfv authors
# SPDX-License-Identifier: GPL-2.0-or-later

from __future__ import annotations

from dataclasses import dataclass, field
from fractions import Fraction
import math


@dataclass
class Histogram:
    """Microseconds to samples; samples above the last bucket are in `overflows` only."""

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
