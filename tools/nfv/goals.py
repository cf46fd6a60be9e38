"""What the fork is to reach beside stock QEMU in one run, with the host under CPU load; ratios, never times. Pure."""
# Copyright (c) 2026 the kvm4nfv authors
# SPDX-License-Identifier: GPL-2.0-or-later

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from . import figures

STRESS = 'cpu'


@dataclass(frozen=True)
class Goal:
    """limit: of the fork's figure to that of the side `against`, which must not have lost less of `lost` either.

    phase: of a row's latencies; lost: a column in percent, '' for none.
    """

    title: str
    test: str
    stat: str
    against: str
    limit: float
    phase: str = 'latency'
    case: str = ''                      # how the names of its cases begin
    lost: str = ''


GOALS = (
    Goal('timer p99.9', 'timer', 'p999', 'stock', 0.20),
    Goal('timer p99.9', 'timer', 'p999', 'tuned', 1.10),
    Goal('interrupt p99.9', 'interrupt', 'p999', 'stock', 0.20),
    Goal('packet round trip p99, vhost-user, 64 bytes', 'packet', 'p99', 'stock', 0.50, '64B', 'vhost-user', 'lost-64B'),
    Goal('timer p99.9 during migration', 'timer', 'p999', 'tuned', 0.50, 'during'),
    Goal('interrupt p99.9 during migration', 'interrupt', 'p999', 'tuned', 0.50, 'during'),
    Goal('packet round trip p99 during migration', 'packet', 'p99', 'tuned', 0.50, 'during'),
)


@dataclass(frozen=True)
class Reached:
    """One goal in one row of the results. lost: by the fork, and by the other side."""

    goal: Goal
    row: dict[str, Any]
    ratio: float
    overlap: bool
    lost: tuple[float, float] = (0, 0)

    @property
    def met(self) -> bool:
        return self.ratio <= self.goal.limit and not self.lost_more

    @property
    def lost_more(self) -> bool:
        return self.lost[0] > self.lost[1]


def reached(found: dict[str, Any]) -> list[Reached]:
    """Every goal in every row that can tell."""
    result = []
    for goal in GOALS:
        for row in found['results']:
            if row['test'] != goal.test or row['stress'] != STRESS or not row['case'].startswith(goal.case):
                continue
            sides = [row['sides'].get(name, {'rounds': []}) for name in ('fork', goal.against)]
            ratio = figures.ratio(row, goal.phase, goal.stat, 'fork', goal.against)
            if ratio is not None:
                ours, theirs = (figures.values(side).get(goal.lost) for side in sides)
                result.append(Reached(goal, row, ratio,
                                      figures.overlap(*(figures.spread(side, goal.phase, goal.stat) for side in sides)),
                                      (ours.median, theirs.median) if ours and theirs else (0, 0)))
    return result


def verdict(found: dict[str, Any]) -> str:
    """In one sentence."""
    judged = reached(found)
    if not found['complete']:
        head = 'This run did not come to its end. '
    else:
        head = ''
    if judged:
        met = sum(one.met for one in judged)
        return f'{head}{met} of {len(judged)} goals are met on this host under CPU load.'
    ratios = [value for row in found['results'] for phase in figures.phases(row)
              if (value := figures.ratio(row, phase, 'p999', 'fork', 'stock')) is not None]
    if ratios:
        better = sum(value < 1 for value in ratios)
        return (f'{head}The fork\'s p99.9 is lower than that of stock QEMU in {better} of {len(ratios)} measurements; '
                'the goals are judged with the host under CPU load, which was not part of this run.')
    return f'{head}Nothing was measured on both the fork and stock QEMU, so there is no verdict.'
