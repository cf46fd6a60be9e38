"""Results as one HTML page that needs no network: the verdict first."""
# Copyright (c) 2026 the kvm4nfv authors
# SPDX-License-Identifier: GPL-2.0-or-later

from __future__ import annotations

from pathlib import Path
from typing import Any

from . import charts, document, figures, goals, readiness, stress
from .progress import Failure

TEMPLATE = Path(__file__).with_name('page.html.j2')


def context(found: dict[str, Any]) -> dict[str, Any]:
    """What the template shows, but for the drawings. Pure."""
    return {
        'verdict': goals.verdict(found), 'complete': found['complete'], 'machine': found['machine'],
        'goals': [{'title': one.goal.title, 'where': f'{one.row["title"]}', 'against': one.goal.against,
                   'ratio': figures.times(one.ratio), 'limit': f'{one.goal.limit:.2f}', 'met': one.met,
                   'overlap': one.overlap, 'lost_more': one.lost_more} for one in goals.reached(found)],
        'sides': found['sides'], 'rows': [row_context(row) for row in found['results']],
        'skipped': skipped(found), 'checks': readiness.checks(found['machine']),
        'migrations': migrations(found['migrations'])}


def row_context(row: dict[str, Any]) -> dict[str, Any]:
    return {'title': f'{row["test"]}: {row["title"]}', 'stress': stress.parse(row['stress']).title,
            'id': f'{row["test"]}-{row["case"]}-{row["stress"]}',
            'phases': [phase_context(row, phase) for phase in figures.phases(row)],
            'parts': figures.parts(row), 'part_columns': figures.PART_COLUMNS,
            'values': [{'side': name, 'name': column, 'value': str(value)}
                       for name, side in row['sides'].items() for column, value in figures.values(side).items()],
            'errors': [(name, why) for name, side in row['sides'].items() for why in side['errors']]}


def phase_context(row: dict[str, Any], phase: str) -> dict[str, Any]:
    lines = []
    for name, side in row['sides'].items():
        counted = figures.latencies(side).get(phase)
        if counted:
            lines.append((name, [str(counted.samples), *(figures.microseconds(figures.stat(counted, one))
                                                         for one in figures.SHOWN)]))
    ratios = []
    for theirs in row['sides']:
        values = [figures.ratio(row, phase, one, 'fork', theirs) for one in figures.SHOWN]
        if theirs != 'fork' and any(value is not None for value in values):
            ratios.append((theirs, ['-' if value is None else figures.times(value) for value in values]))
    return {'name': phase, 'columns': [figures.TITLES.get(one, one) for one in figures.SHOWN], 'lines': lines,
            'ratios': ratios}


def skipped(found: dict[str, Any]) -> list[tuple[str, list[str]]]:
    reasons: dict[str, list[str]] = {}
    for one in found['skipped']:
        reasons.setdefault(one['reason'], []).append(f'{one["test"]}/{one["case"]}, {one["stress"]}, {one["side"]}')
    return list(reasons.items())


def migrations(found: dict[str, Any] | None) -> list[dict[str, Any]]:
    """What nfv-bench migrate found: medians of each side in each case."""
    rows = []
    for row in (found or {}).get('rows', []):
        summary = row['summary']
        rows.append({'case': row['case']['name'], 'side': row['side'], 'n': row['n'], 'intact': row['memory_intact'],
                     **{name: f'{summary[name]["median"]:.1f}' if name in summary else '-'
                        for name in ('total', 'downtime', 'gap')},
                     'sent': f'{summary["sent"]["median"] / (1 << 20):.1f}' if 'sent' in summary else '-'})
    return rows


def render(found: dict[str, Any]) -> str:
    plt = charts.pyplot()
    try:
        import jinja2  # pylint: disable=import-outside-toplevel
    except ImportError as error:
        raise Failure(f'--html: {error}: install the package python3-jinja2 (scripts/deps.sh bench)') from error
    shown = context(found)
    for row, data in zip(shown['rows'], found['results']):
        for phase in row['phases']:
            phase['drawings'] = charts.of_row(plt, data, phase['name'])
        row['timeline'] = charts.migration_of_row(plt, data)
    environment = jinja2.Environment(autoescape=True, trim_blocks=True, lstrip_blocks=True)
    return environment.from_string(TEMPLATE.read_text(encoding='utf-8')).render(shown)


def save(found: dict[str, Any], path: Path) -> None:
    document.replace(path, render(found))
