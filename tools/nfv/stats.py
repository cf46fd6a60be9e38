"""Median, range and ratio of a few measured values. Pure."""
# Copyright (c) 2026 the kvm4nfv authors
# SPDX-License-Identifier: GPL-2.0-or-later

from __future__ import annotations

from dataclasses import dataclass
import statistics
from typing import Iterable


@dataclass(frozen=True)
class Summary:
    n: int
    median: float
    min: float
    max: float

    def __str__(self) -> str:
        ends = short(self.min), short(self.max)
        return short(self.median) if ends[0] == ends[1] else f'{short(self.median)} ({ends[0]}-{ends[1]})'


def short(value: float) -> str:
    """Three digits say what so few values can say."""
    if value == int(value):
        return f'{value:.0f}'
    return f'{value:.2f}' if abs(value) < 1 else f'{value:.1f}' if abs(value) < 100 else f'{value:.0f}'


def summary(values: Iterable[float | None]) -> Summary | None:
    """Of those that exist; None if there are none."""
    known = [value for value in values if value is not None]
    return Summary(len(known), statistics.median(known), min(known), max(known)) if known else None


def ratio(ours: Summary | None, theirs: Summary | None, floor: float = 0) -> float | None:
    """Of the medians; below 1: ours is less. None if it has no meaning, as theirs is not above the floor."""
    return ours.median / theirs.median if ours and theirs and theirs.median > floor else None
