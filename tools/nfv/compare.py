"""Two results side by side: what changed from the first to the second. Pure."""
# Copyright (c) 2026 the kvm4nfv authors
# SPDX-License-Identifier: GPL-2.0-or-later

from __future__ import annotations

from typing import Any, Iterator

from . import figures, table

STATS = ('p50', 'p99', 'p999', 'max')
MACHINE = ('cpu', 'cpus', 'isolated', 'kernel', 'memory_mib')


def differences(before: dict[str, Any], after: dict[str, Any]) -> Iterator[str]:
    """What speaks against comparing them."""
    for name in MACHINE:
        one, other = (found['machine'].get(name) for found in (before, after))
        if one != other:
            yield f'not the same machine: {name} was {one}, is {other}'
    for name in before['sides'].keys() & after['sides'].keys():
        one, other = (found['sides'][name].get('version') for found in (before, after))
        if one != other:
            yield f'{name} was {one}, is {other}'
    for title, found in (('first', before), ('second', after)):
        if not found['complete']:
            yield f'the {title} one is not complete'


def key(row: dict[str, Any]) -> tuple[str, str, str]:
    return row['test'], row['case'], row['stress']


def text(before: dict[str, Any], after: dict[str, Any]) -> str:
    """A table for each row that both have."""
    lines = list(differences(before, after))
    old = {key(row): row for row in before['results']}
    new = {key(row): row for row in after['results']}
    for name, row in new.items():
        if name in old:
            lines += ['', figures.heading(row), *(f'  {line}' for line in row_lines(old[name], row))]
    for title, names in (('first', old.keys() - new.keys()), ('second', new.keys() - old.keys())):
        lines += [f'only in the {title}: {"/".join(name)}' for name in sorted(names)]
    return '\n'.join(lines)


def row_lines(before: dict[str, Any], after: dict[str, Any]) -> list[str]:
    cells = [['µs', *(figures.TITLES.get(name, name) for name in STATS), 'p99.9 of rounds']]
    for side in after['sides']:
        old = figures.latencies(before['sides'].get(side, {'rounds': []}))
        for phase, counted in figures.latencies(after['sides'][side]).items():
            if phase not in old:
                continue
            pairs = [(figures.stat(old[phase], name), figures.stat(counted, name)) for name in STATS]
            ranges = [figures.spread(row['sides'][side], phase, 'p999') for row in (before, after)]
            known = all(one and one.n > 1 for one in ranges)
            cells.append([f'{side}, {phase}', *(_change(*pair) for pair in pairs),
                          ('overlap' if figures.overlap(*ranges) else 'apart') if known else ''])
    return table.grid(cells)


def _change(old: int, new: int) -> str:
    share = f' ({(new - old) / old * 100:+.0f} %)' if old else ''
    return f'{figures.microseconds(old)} -> {figures.microseconds(new)}{share}'
