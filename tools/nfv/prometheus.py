"""Results in Prometheus' text format, for the textfile collector of node_exporter. Pure but for save()."""
# Copyright (c) 2026 the kvm4nfv authors
# SPDX-License-Identifier: GPL-2.0-or-later

from __future__ import annotations

from pathlib import Path
from typing import Any, Iterator

from . import document, figures

QUANTILES = {'p50': '0.5', 'p90': '0.9', 'p99': '0.99', 'p999': '0.999', 'p9999': '0.9999'}
HELP = {
    'nfv_bench_latency_seconds': ('summary', 'Latency that nfv-bench measured, of all rounds together.'),
    'nfv_bench_latency_max_seconds': ('gauge', 'The longest latency that nfv-bench measured.'),
    'nfv_bench_value': ('gauge', 'Another number that nfv-bench measured, the median of its rounds.'),
    'nfv_bench_complete': ('gauge', 'Whether the run of nfv-bench came to its end.'),
}


def escape(text: str) -> str:
    return text.replace('\\', '\\\\').replace('\n', '\\n').replace('"', '\\"')


def sample(name: str, labels: dict[str, str], value: float) -> str:
    words = ','.join(f'{label}="{escape(word)}"' for label, word in labels.items())
    return f'{name}{{{words}}} {value:.10g}' if words else f'{name} {value:.10g}'


def samples(found: dict[str, Any]) -> Iterator[tuple[str, str]]:
    """The family and a line of it."""
    for row in found['results']:
        for side, data in row['sides'].items():
            labels = {'test': row['test'], 'case': row['case'], 'stress': row['stress'], 'side': side}
            for phase, counted in figures.latencies(data).items():
                at, name = {**labels, 'phase': phase}, 'nfv_bench_latency_seconds'
                for stat, quantile in QUANTILES.items():
                    yield name, sample(name, {**at, 'quantile': quantile}, figures.stat(counted, stat) / 1e9)
                yield name, sample(f'{name}_sum', at, counted.avg * counted.samples / 1e9)
                yield name, sample(f'{name}_count', at, counted.samples)
                name = 'nfv_bench_latency_max_seconds'
                yield name, sample(name, at, counted.max / 1e9)
            for column, value in figures.values(data).items():
                name = 'nfv_bench_value'
                yield name, sample(name, {**labels, 'name': column}, value.median)
    yield 'nfv_bench_complete', sample('nfv_bench_complete', {}, int(found['complete']))


def text(found: dict[str, Any]) -> str:
    """Each family in one piece, as the format wants it."""
    families: dict[str, list[str]] = {}
    for name, line in samples(found):
        families.setdefault(name, []).append(line)
    lines = []
    for name, of_family in families.items():
        kind, said = HELP[name]
        lines += [f'# HELP {name} {said}', f'# TYPE {name} {kind}', *of_family]
    return '\n'.join(lines) + '\n'


def save(found: dict[str, Any], path: Path) -> None:
    """node_exporter never sees half of it."""
    document.replace(path, text(found))
