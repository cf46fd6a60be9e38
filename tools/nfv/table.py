"""Rows of a comparison as text and as JSON. Pure."""
# Copyright (c) 2026 the kvm4nfv authors
# SPDX-License-Identifier: GPL-2.0-or-later

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any, Mapping

from .migration import Point
from .profile import Case
from .sample import Row
from .stats import Summary, ratio, short, summary

MIB = 1 << 20


@dataclass(frozen=True)
class Figure:
    """A column: an attribute of Sample in units of `unit`.

    best: each side's best point is looked for; floor: there is no ratio to a value that is not above; places: digits
    behind the point that mean something.
    """

    name: str
    title: str
    unit: float = 1
    best: bool = False
    floor: float = 0
    places: int = 3


FIGURES = (
    Figure('total', 'total ms', best=True),
    Figure('floor', 'floor ms'),
    Figure('downtime', 'downtime ms', best=True),
    Figure('gap', 'guest gap ms', best=True),
    Figure('stall', 'stall before ms'),
    Figure('whole', 'all moved ms', best=True),
    Figure('faults', 'faults'),
    Figure('stall_sum', 'sum of stall ms', best=True),
    Figure('stall_p50', 'p50 ms'),
    Figure('stall_p99', 'p99 ms'),
    Figure('recovery', '90 % speed ms'),
    Figure('sent', 'sent MiB', MIB, best=True),
    Figure('last', 'in the stop MiB', MIB, floor=0.1),
    Figure('rounds', 'rounds'),
    Figure('rate', 'written MB/s', 1e6),
    Figure('source_new', 'new src MiB', 1024, floor=1, places=1),
    Figure('destination_new', 'new dst MiB', 1024, floor=1, places=1),
)
# In JSON alone.
DETAILS = (Figure('switch', ''), Figure('precopy', ''), Figure('multifd', ''), Figure('reported_total', ''),
           Figure('reported_downtime', ''))


def figure_summary(row: Row, figure: Figure) -> Summary | None:
    # Adding 0 makes 0 of -0.
    return summary(None if value is None else round(value / figure.unit, figure.places) + 0.0
                   for value in row.values(figure.name))


def verdict(row: Row) -> str:
    """Whether the guest found its memory right after every run, and what else there is to say."""
    bad = [sample for sample in row.samples if not sample.good]
    text = 'no run' if not row.samples else \
        f'intact {len(row.samples) - len(bad)}/{len(row.samples)}' if not bad else \
        f'BAD {len(bad)}/{len(row.samples)}'
    kept = [sample.kept for sample in row.samples if sample.kept is not None]
    if kept:
        text += f', contract kept {sum(kept)}/{len(kept)}'
    cancelled = [sample.cancelled for sample in row.samples if sample.cancelled is not None]
    if cancelled:
        text += f', cancelled after {min(cancelled):.0f} to {max(cancelled):.0f} ms'
    bounds = [sample.bound for sample in row.samples if sample.bound]
    return f'{text}, does not end in {max(bounds):.0f} s' if bounds else text


def grid(cells: list[list[str]]) -> list[str]:
    """Columns as wide as they must be; the first is flush left."""
    widths = [max(map(len, column)) for column in zip(*cells)]
    return ['  '.join(cell.rjust(width) if i else cell.ljust(width)
                      for i, (cell, width) in enumerate(zip(line, widths))).rstrip() for line in cells]


def point_lines(rows: Mapping[str, Row]) -> list[str]:
    """The rows of both sides at one point; the second over the first as ratio."""
    summaries = {name: [figure_summary(row, figure) for figure in FIGURES] for name, row in rows.items()}
    shown = [i for i in range(len(FIGURES)) if any(values[i] for values in summaries.values())]
    cells = [['', 'n', *(FIGURES[i].title for i in shown), 'memory']]
    for name, row in rows.items():
        cells.append([name, str(len(row.samples)), *(str(summaries[name][i] or '-') for i in shown), verdict(row)])
    if len(rows) == 2:
        theirs, ours = summaries.values()
        ratios = [ratio(ours[i], theirs[i], FIGURES[i].floor) for i in shown]
        cells.append(['ratio', '', *('-' if value is None else f'{value:.2f}' for value in ratios), ''])
    lines = grid(cells)
    for name, row in rows.items():
        for sample in row.samples:
            if sample.error:
                lines.append(f'{name} failed: {sample.error.splitlines()[0]}')
            elif sample.memory and not sample.memory.intact:
                lines.append(f'{name} memory: {sample.memory}')
    return lines


def best(points: Mapping[Point, Row], figure: Figure) -> tuple[Point, Summary] | None:
    """The point with the least median; points at which a migration did not end do not count."""
    found = [(point, figure_summary(row, figure)) for point, row in points.items() if not row.endless]
    known = [(point, value) for point, value in found if value]
    return min(known, key=lambda item: item[1].median) if known else None


def best_lines(points: Mapping[Point, Mapping[str, Row]]) -> list[str]:
    """Each side at the point that is its best one for a figure."""
    names = list(next(iter(points.values())))
    cells = [['best point for', *(f'{name}{at}' for name in names for at in ('', ' at')),
              *(['ratio'] if len(names) == 2 else [])]]
    for figure in FIGURES:
        if not figure.best:
            continue
        found = [best({point: rows[name] for point, rows in points.items()}, figure) for name in names]
        cells.append([figure.title])
        for item in found:
            cells[-1] += [short(item[1].median), str(item[0])] if item else ['-', '-']
        if len(names) == 2:
            value = ratio(found[1][1], found[0][1], figure.floor) if found[0] and found[1] else None
            cells[-1].append('-' if value is None else f'{value:.2f}')
    return grid(cells)


def case_text(case: Case, ram: str, points: Mapping[Point, Mapping[str, Row]]) -> str:
    lines = [f'{case}; RAM: {case.backing}, {ram}']
    for point, rows in points.items():
        lines += [f'{point}', *(f'  {line}' for line in point_lines(rows))]
    if len(points) > 1:
        lines += [f'  {line}' for line in best_lines(points)]
    return '\n'.join(lines)


def case_json(case: Case, ram: str, points: Mapping[Point, Mapping[str, Row]]) -> list[dict[str, Any]]:
    result = []
    for point, rows in points.items():
        for name, row in rows.items():
            found = {figure.name: summary(row.values(figure.name)) for figure in (*FIGURES, *DETAILS)}
            result.append({
                'case': case.as_json(), 'page_size': ram, 'point': asdict(point), 'side': name,
                'n': len(row.samples), 'memory_intact': bool(row.samples) and all(s.good for s in row.samples),
                'ends': not row.endless,
                'summary': {figure: asdict(value) for figure, value in found.items() if value},
                'samples': [sample.as_json() for sample in row.samples]})
    return result
