"""Conditions of --fail-if, such as 'timer.p999 > 50us'. Pure."""
# Copyright (c) 2026 the kvm4nfv authors
# SPDX-License-Identifier: GPL-2.0-or-later

from __future__ import annotations

import argparse
from dataclasses import dataclass
import operator
import re
from typing import Any, Iterator

from . import figures
from .stats import Summary

OPERATORS = {'>': operator.gt, '>=': operator.ge, '<': operator.lt, '<=': operator.le}
UNITS = {'ns': 1, 'us': 1000, 'µs': 1000, 'ms': 10 ** 6, 's': 10 ** 9}
PATTERN = re.compile(r'''\s*(?P<test>[a-z]+) (?:/(?P<case>[\w-]+))? (?::(?P<phase>[\w-]+))? (?:\+(?P<stress>[a-z-]+))?
    (?:@(?P<side>[a-z]+))? \.(?P<stat>[\w-]+) (?:/(?P<against>[a-z]+))?
    \s*(?P<operator>[<>]=?)\s* (?P<limit>\d+(?:\.\d+)?) \s*(?P<unit>[a-zµ]*)\s*''', re.VERBOSE)
FORM = 'TEST[/CASE][:PHASE][+STRESS][@SIDE].STAT[/SIDE] >|>=|<|<= NUMBER[ns|us|ms|s]'
HELP = f'exit with status 1 if it holds for any row, or if no row is of that kind: {FORM}; SIDE is fork unless given, ' \
    f'/SIDE makes the ratio to that side, STAT is of {",".join(figures.STATS)} or a column, with - for its blanks; ' \
    'may be repeated: --fail-if "timer.p999 > 50us" --fail-if "timer.p999/stock > 0.2"'.replace('%', '%%')


@dataclass(frozen=True)
class Condition:
    text: str
    test: str
    case: str | None
    phase: str | None
    stress: str | None
    side: str
    stat: str
    against: str | None
    operator: str
    limit: float                        # nanoseconds for a latency


def parse(text: str) -> Condition:
    """Raises argparse.ArgumentTypeError, which argparse tells the user."""
    found = PATTERN.fullmatch(text)
    if not found:
        raise argparse.ArgumentTypeError(f'{text!r} is no condition; it has the form {FORM}')
    latency, unit = found['stat'] in figures.STATS, found['unit']
    if unit and unit not in UNITS:
        raise argparse.ArgumentTypeError(f'{text!r}: the unit {unit!r} must be of {", ".join(UNITS)}')
    if latency and not found['against'] and not unit:
        raise argparse.ArgumentTypeError(f'{text!r}: a latency needs a unit, {", ".join(UNITS)}')
    if unit and (found['against'] or not latency):
        raise argparse.ArgumentTypeError(f'{text!r}: {"a ratio" if found["against"] else found["stat"]} has no unit')
    for name in ('side', 'against'):
        if found[name] and found[name] not in ('fork', 'stock', 'tuned'):
            raise argparse.ArgumentTypeError(f'{text!r}: the side {found[name]!r} must be of fork, stock, tuned')
    return Condition(text.strip(), found['test'], found['case'], found['phase'], found['stress'],
                     found['side'] or 'fork', found['stat'], found['against'], found['operator'],
                     float(found['limit']) * UNITS.get(unit, 1))


def _matching(wanted: Condition, found: dict[str, Any]) -> Iterator[dict[str, Any]]:
    for row in found['results']:
        if row['test'] == wanted.test and wanted.case in (None, row['case']) and wanted.stress in (None, row['stress']):
            yield row


def column(side: dict[str, Any], name: str) -> Summary | None:
    """A blank of its name is a '-' in the condition."""
    return next((value for title, value in figures.values(side).items() if title.replace(' ', '-') == name), None)


def numbers(wanted: Condition, found: dict[str, Any]) -> Iterator[tuple[str, float]]:
    """Where it was measured, and the number."""
    for row in _matching(wanted, found):
        where = f'{row["test"]}/{row["case"]}+{row["stress"]}'
        side = row['sides'].get(wanted.side, {'rounds': []})
        if wanted.stat not in figures.STATS:
            value, other = (column(row['sides'].get(name, {'rounds': []}), wanted.stat)
                            for name in (wanted.side, wanted.against))
            if value and not wanted.against:
                yield where, value.median
            elif value and other and other.median:
                yield where, value.median / other.median
            continue
        for phase, counted in figures.latencies(side).items():
            if wanted.phase not in (None, phase):
                continue
            number = figures.ratio(row, phase, wanted.stat, wanted.side, wanted.against) if wanted.against \
                else figures.stat(counted, wanted.stat)
            if number is not None:
                yield f'{where}:{phase}', number


def judge(wanted: Condition, found: dict[str, Any]) -> tuple[bool, str]:
    """Whether it holds, or cannot be judged; and a line that says so."""
    seen = list(numbers(wanted, found))
    if not seen:
        return True, f'FAIL: {wanted.text}: nothing of that kind was measured'
    compare = OPERATORS[wanted.operator]
    held = [item for item in seen if compare(item[1], wanted.limit)]
    largest = wanted.operator.startswith('>')
    where, number = (max if largest else min)(held or seen, key=lambda item: item[1])
    shown = f'{figures.microseconds(number)} µs' if wanted.stat in figures.STATS and not wanted.against \
        else f'{number:.3g}'
    return bool(held), f'{"FAIL" if held else "ok"}: {wanted.text}: {where} is {shown}'
