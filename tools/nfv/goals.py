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
    """limit: of the fork's figure to that of the side `against`."""

    title: str
    test: str
    stat: str
    against: str
    limit: float
    during: bool = False                # while the guest is migrated
    case: str = ''                      # how the names of its cases begin


GOALS = (
    Goal('timer p99.9', 'timer', 'p999', 'stock', 0.20),
    Goal('timer p99.9', 'timer', 'p999', 'tuned', 1.10),
    Goal('interrupt p99.9', 'interrupt', 'p999', 'stock', 0.20),
    Goal('packet round trip p99, vhost-user', 'packet', 'p99', 'stock', 0.50, case='vhost-user'),
    Goal('timer p99.9 during migration', 'timer', 'p999', 'tuned', 0.50, during=True),
    Goal('interrupt p99.9 during migration', 'interrupt', 'p999', 'tuned', 0.50, during=True),
)


@dataclass(frozen=True)
class Reached:
    """One goal in one row of the results."""

    goal: Goal
    row: dict[str, Any]
    phase: str
    ratio: float
    overlap: bool

    @property
    def met(self) -> bool:
        return self.ratio <= self.goal.limit


def reached(found: dict[str, Any]) -> list[Reached]:
    """Every goal in every row that can tell."""
    result = []
    for goal in GOALS:
        for row in found['results']:
            if row['test'] != goal.test or row['stress'] != STRESS or not row['case'].startswith(goal.case):
                continue
            for phase in figures.phases(row):
                if goal.during != (phase == 'during') or phase in ('before', 'after'):
                    continue
                ratio = figures.ratio(row, phase, goal.stat, 'fork', goal.against)
                if ratio is not None:
                    ranges = [figures.spread(row['sides'][side], phase, goal.stat) for side in ('fork', goal.against)]
                    result.append(Reached(goal, row, phase, ratio, figures.overlap(*ranges)))
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
