"""The order of the runs, and how much time they leave. Pure."""
# Copyright (c) 2026 the kvm4nfv authors
# SPDX-License-Identifier: GPL-2.0-or-later

from __future__ import annotations

from dataclasses import dataclass
from typing import Mapping, Sequence

from .migration import Point
from .profile import Case
from .side import Side


@dataclass(frozen=True)
class Run:
    case: Case
    point: Point
    side: Side
    number: int


def runs(points: Mapping[Case, Sequence[Point]], sides: Sequence[Side], repeat: int) -> list[Run]:
    """Side by side, A B A B, so that what changes on the host with time meets all alike."""
    return [Run(case, point, side, number)
            for case in points for number in range(repeat) for point in points[case] for side in sides]


def seconds_left(guesses: list[float], took: list[float]) -> float:
    """`guesses` of all runs in order; `took`: what those that are done took."""
    done = len(took)
    scale = sum(took) / sum(guesses[:done]) if done else 1.0
    return sum(guesses[done:]) * scale


def duration(seconds: float) -> str:
    minutes = seconds / 60
    return f'{seconds:.0f} s' if seconds < 100 else f'{minutes:.0f} min' if minutes < 100 else f'{minutes / 60:.1f} h'
