"""What a run found, as text and as JSON. Pure."""
# Copyright (c) 2026 the kvm4nfv authors
# SPDX-License-Identifier: GPL-2.0-or-later

from __future__ import annotations

from dataclasses import asdict, dataclass

from .answer import Memory
from .histogram import Histogram

COLUMNS = ('samples', 'min', 'avg', 'p99', 'p99.9', 'max')


@dataclass
class Migration:
    total_ms: int
    downtime_us: int
    reported_downtime_ms: int
    transferred: int


@dataclass
class Result:
    setup: dict[str, str | int]
    latency: dict[str, Histogram]
    migration: Migration
    memory: Memory

    def as_json(self) -> dict:
        latency = {name: {**h.summary(), 'overflows': h.overflows, 'histogram': dict(sorted(h.buckets.items()))}
                   for name, h in self.latency.items()}
        return {'setup': self.setup, 'latency_us': latency, 'migration': asdict(self.migration),
                'memory': {**asdict(self.memory), 'intact': self.memory.intact}}


def table(latency: dict[str, Histogram]) -> str:
    lines = [f'{"latency, µs":<12}' + ''.join(f'{name:>9}' for name in COLUMNS)]
    for name, histogram in latency.items():
        summary = histogram.summary()
        lines.append(f'{name:<12}' + ''.join(f'{summary[column]:>9}' for column in COLUMNS))
    return '\n'.join(lines)


def text(result: Result) -> str:
    m = result.migration
    return (f'{table(result.latency)}\n\n'
            f'{"migration":<16}{m.total_ms} ms in all, {m.transferred / (1 << 20):.1f} MiB sent\n'
            f'{"downtime":<16}{m.downtime_us / 1000:.1f} ms from stop to start '
            f'(QEMU reported {m.reported_downtime_ms} ms)\n'
            f'{"guest memory":<16}{result.memory}')
