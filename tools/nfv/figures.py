"""What follows from the results of a session: percentiles of each side, ratios, and the table. Pure."""
# Copyright (c) 2026 the kvm4nfv authors
# SPDX-License-Identifier: GPL-2.0-or-later

from __future__ import annotations

from typing import Any, Callable

from . import histogram, stress, table
from .histogram import Histogram
from .phases import MOVING as PARTS, NAMES
from .stats import Summary, summary

PERCENTILES = {'p50': '50', 'p90': '90', 'p99': '99', 'p999': '99.9', 'p9999': '99.99'}
ENDS: dict[str, Callable[[Histogram], int]] = {
    'min': lambda h: h.min, 'avg': lambda h: h.avg, 'max': lambda h: h.max}
STATS = (*PERCENTILES, *ENDS)
SHOWN = ('min', 'avg', 'p50', 'p99', 'p999', 'p9999', 'max')
# Of the table by phases, which has the ratio to the phase before in its last column.
PART_STATS = ('avg', 'p50', 'p99', 'p999', 'max')
PART_COLUMNS = ('samples', 'avg', 'p50', 'p99', 'p99.9', 'max', 'p99.9/before')
TITLES = {'p999': 'p99.9', 'p9999': 'p99.99'}


def stat(counted: Histogram, name: str) -> int:
    """Nanoseconds."""
    return counted.percentile(PERCENTILES[name]) if name in PERCENTILES else ENDS[name](counted)


def latencies(side: dict[str, Any]) -> dict[str, Histogram]:
    """All samples of all rounds, by the name of what was measured; what has no samples is left out."""
    names = dict.fromkeys(name for one in side['rounds'] for name in one['latency'])
    found = {name: histogram.merged(histogram.from_json(one['latency'][name])
                                    for one in side['rounds'] if name in one['latency']) for name in names}
    return {name: counted for name, counted in found.items() if counted.samples}


def spread(side: dict[str, Any], latency: str, name: str) -> Summary | None:
    """Of the rounds, each taken for itself."""
    counted = [histogram.from_json(one['latency'][latency]) for one in side['rounds'] if latency in one['latency']]
    return summary(stat(one, name) for one in counted if one.samples)


def values(side: dict[str, Any]) -> dict[str, Summary]:
    names = dict.fromkeys(name for one in side['rounds'] for name in one['values'])
    found = {name: summary(one['values'].get(name) for one in side['rounds']) for name in names}
    return {name: value for name, value in found.items() if value}


def overlap(one: Summary | None, other: Summary | None) -> bool:
    return bool(one and other and one.min <= other.max and other.min <= one.max)


def microseconds(ns: float) -> str:
    """Three digits are what the buckets can tell."""
    us = ns / 1000
    return f'{us:.0f}' if us >= 100 else f'{us:.1f}' if us >= 10 else f'{us:.2f}'


def times(value: float) -> str:
    return f'{value:.3f}' if value < 0.1 else f'{value:.2f}'


def phases(row: dict[str, Any]) -> list[str]:
    """The names of what was measured, in order, but for the parts of a migration."""
    return [name for name in _measured(row) if name not in PARTS]


def _measured(row: dict[str, Any]) -> list[str]:
    return list(dict.fromkeys(name for side in row['sides'].values() for name in latencies(side)))


def parts(row: dict[str, Any]) -> list[tuple[str, str, list[str]]]:
    """Of each phase of a migration and each side: its latency, and p99.9 divided by that before the migration."""
    if not set(PARTS) & set(_measured(row)):
        return []
    found = {name: latencies(side) for name, side in row['sides'].items()}
    return [(phase, side, _part(counted[phase], counted.get('before')))
            for phase in NAMES for side, counted in found.items() if phase in counted]


def _part(counted: Histogram, before: Histogram | None) -> list[str]:
    cells = [str(counted.samples), *(microseconds(stat(counted, one)) for one in PART_STATS)]
    below = stat(before, 'p999') if before else 0
    return [*cells, times(stat(counted, 'p999') / below) if below else '-']


def ratio(row: dict[str, Any], phase: str, name: str, ours: str, theirs: str) -> float | None:
    """Of all samples; below 1: ours is less."""
    found = [latencies(row['sides'].get(side, {'rounds': []})).get(phase) for side in (ours, theirs)]
    if not found[0] or not found[1]:
        return None
    below = stat(found[1], name)
    return stat(found[0], name) / below if below else None


def heading(row: dict[str, Any]) -> str:
    return f'{row["test"]}: {row["title"]}; {stress.parse(row["stress"]).title}'


def text(row: dict[str, Any]) -> str:
    """The sides below each other, then what the fork takes of the others."""
    lines = [heading(row)]
    extra = list(dict.fromkeys(name for side in row['sides'].values() for name in values(side)))
    for phase in phases(row) or ([''] if extra else []):
        cells = [[f'{phase}, µs' if phase else '', 'samples', *(TITLES.get(name, name) for name in SHOWN),
                  'p99.9 of rounds', *extra]]
        for name, side in row['sides'].items():
            counted = latencies(side).get(phase)
            if not counted and not values(side):
                continue
            cells.append([name, str(counted.samples) if counted else '-',
                          *(microseconds(stat(counted, one)) if counted else '-' for one in SHOWN),
                          _range(spread(side, phase, 'p999')) if counted else '-',
                          *(str(values(side).get(one) or '-') for one in extra)])
        for theirs in row['sides']:
            if theirs != 'fork' and 'fork' in row['sides']:
                found = [ratio(row, phase, one, 'fork', theirs) for one in SHOWN]
                if any(value is not None for value in found):
                    cells.append([f'fork/{theirs}', '', *('-' if value is None else times(value) for value in found),
                                  _overlapping(row, phase, theirs), *[''] * len(extra)])
        lines += [f'  {line}' for line in table.grid(cells)]
    if found := parts(row):
        cells = [['by phase, µs', '', *PART_COLUMNS], *([phase, side, *line] for phase, side, line in found)]
        lines += [f'  {line}' for line in table.grid(cells)]
    lines += [f'  {name} failed: {why.splitlines()[0]}' for name, side in row['sides'].items()
              for why in side['errors']]
    return '\n'.join(lines)


def _range(found: Summary | None) -> str:
    if not found:
        return '-'
    return f'{microseconds(found.min)}-{microseconds(found.max)}' if found.n > 1 else microseconds(found.median)


def _overlapping(row: dict[str, Any], phase: str, theirs: str) -> str:
    one, other = (spread(row['sides'][name], phase, 'p999') for name in ('fork', theirs))
    if not one or not other or one.n < 2:
        return ''
    return 'ranges overlap' if overlap(one, other) else 'ranges apart'


def all_text(found: dict[str, Any]) -> str:
    parts = [text(row) for row in found['results']]
    if found['skipped']:
        reasons: dict[str, list[str]] = {}
        for one in found['skipped']:
            reasons.setdefault(one['reason'], []).append(f'{one["test"]}/{one["case"]}+{one["stress"]}@{one["side"]}')
        parts.append('\n'.join(['skipped:', *(f'  {", ".join(names)}: {why}' for why, names in reasons.items())]))
    return '\n\n'.join(parts)
