"""Drawings of results as SVG that takes its colours from the page around it."""
# Copyright (c) 2026 the kvm4nfv authors
# SPDX-License-Identifier: GPL-2.0-or-later

from __future__ import annotations

import io
import re
import zlib
from typing import Any, Mapping

from . import figures
from .histogram import Histogram
from .progress import Failure

# What matplotlib is told, and what the page makes of it: dark and light have colours of their own.
INK, FAINT = '#010101', '#020202'
SIDES = {'fork': '#010001', 'stock': '#020002', 'tuned': '#030003'}
COLOURS = {INK: 'var(--ink)', FAINT: 'var(--faint)', **{colour: f'var(--{name})' for name, colour in SIDES.items()}}
STYLES = {'fork': '-', 'stock': '--', 'tuned': '-.'}
SIZE = (4.6, 3.0)
NINES = ('0', '90', '99', '99.9', '99.99', '99.999')


def pyplot() -> Any:
    """matplotlib is wanted for the page alone."""
    try:
        import matplotlib  # pylint: disable=import-outside-toplevel
        matplotlib.use('svg')
        from matplotlib import pyplot as plt  # pylint: disable=import-outside-toplevel
    except ImportError as error:
        raise Failure(f'--html: {error}: install the packages python3-matplotlib and python3-jinja2 '
                      '(scripts/deps.sh bench), or use --json and make the page elsewhere with nfv-bench show'
                      ) from error
    plt.rcParams.update({
        'svg.fonttype': 'none', 'svg.hashsalt': 'nfv-bench', 'font.size': 9, 'font.family': 'sans-serif',
        'text.color': INK, 'axes.labelcolor': INK, 'axes.edgecolor': FAINT, 'xtick.color': INK, 'ytick.color': INK,
        'grid.color': FAINT, 'grid.linewidth': 0.4, 'axes.grid': True, 'legend.frameon': False,
        'legend.fontsize': 8, 'axes.facecolor': 'none', 'figure.facecolor': 'none', 'lines.linewidth': 1.6,
        'axes.spines.top': False, 'axes.spines.right': False})
    return plt


def svg(figure: Any, label: str) -> str:
    """The element alone, named for who does not see it."""
    text = io.StringIO()
    figure.savefig(text, format='svg', metadata={'Date': None, 'Creator': None})
    markup = text.getvalue()
    markup = markup[markup.index('<svg'):]
    markup = re.sub(r'#0[0-3]0[0-2]0[0-3]', lambda found: COLOURS.get(found[0], found[0]), markup)
    for size in ('width', 'height'):
        markup = re.sub(rf'(<svg[^>]*?) {size}="[^"]*"', r'\1', markup, count=1)
    # Ids of matplotlib's are the same in each drawing; the page has many.
    mark = f'{zlib.crc32(label.encode()):08x}'
    markup = re.sub(r'(id="|href="#|url\(#)', rf'\g<1>{mark}-', markup)
    label = label.replace('&', '&amp;').replace('"', '&quot;').replace('<', '&lt;')
    return markup.replace('<svg', f'<svg role="img" aria-label="{label}"', 1)


def octaves(counted: Histogram) -> dict[int, int]:
    """Samples by quarters of a power of two of nanoseconds, so that buckets of all sources look alike. Pure."""
    found: dict[int, int] = {}
    for ns, count in counted.buckets.items():
        power = max(ns, 1).bit_length() - 1
        quarter = (max(ns, 1) - (1 << power)) * 4 >> power
        found[power * 4 + quarter] = found.get(power * 4 + quarter, 0) + count
    return found


def edge(index: int) -> float:
    """Where such a quarter begins, in microseconds. Pure."""
    return (1 << index // 4) * (1 + index % 4 / 4) / 1000


def curve(counted: Histogram) -> tuple[list[float], list[float]]:
    """1/(1 - share of samples up to a latency), and that latency in microseconds. Pure."""
    below, total = 0, counted.samples
    xs, ys = [1.0], [counted.min / 1000]
    for ns, count in sorted(counted.buckets.items()):
        below += count
        rest = total - below
        xs.append(total / rest if rest else 2.0 * total)
        ys.append(ns / 1000)
    if counted.overflows:
        xs.append(2.0 * total)
        ys.append(counted.max / 1000)
    return xs, ys


def histogram(plt: Any, sides: Mapping[str, Histogram], label: str) -> str:
    drawing, axes = plt.subplots(figsize=SIZE, layout='constrained')
    for name, counted in sides.items():
        found = octaves(counted)
        indices = range(min(found), max(found) + 1)
        axes.stairs([found.get(i, 0) for i in indices], [edge(i) for i in (*indices, max(found) + 1)],
                    color=SIDES[name], linestyle=STYLES[name], label=name, linewidth=1.4)
    axes.set(xscale='log', yscale='log', xlabel='latency, µs', ylabel='samples')
    axes.set_ylim(bottom=0.7)
    axes.legend()
    result = svg(drawing, f'Histogram of {label}')
    plt.close(drawing)
    return result


def percentiles(plt: Any, sides: Mapping[str, Histogram], label: str) -> str:
    drawing, axes = plt.subplots(figsize=SIZE, layout='constrained')
    longest = 10.0
    for name, counted in sides.items():
        xs, ys = curve(counted)
        longest = max(longest, xs[-1])
        axes.step(xs, [max(y, 0.001) for y in ys], where='pre', color=SIDES[name], linestyle=STYLES[name], label=name)
    axes.set(xscale='log', yscale='log', xlabel='percentile', ylabel='latency, µs')
    marks = [1 / (1 - float(nine) / 100) for nine in NINES]
    shown = [(mark, nine) for mark, nine in zip(marks, NINES) if mark <= longest]
    axes.set_xticks([mark for mark, _ in shown], [nine for _, nine in shown])
    axes.minorticks_off()
    axes.legend()
    result = svg(drawing, f'Percentiles of {label}')
    plt.close(drawing)
    return result


def timeline(plt: Any, sides: Mapping[str, Mapping[str, Any]], label: str) -> str:
    """What was sent by when, where a round of it began, and when the guest stood still."""
    drawing, axes = plt.subplots(figsize=(SIZE[0] * 1.5, SIZE[1]), layout='constrained')
    for name, line in sides.items():
        points = line['points']
        at = [point['ms'] for point in points]
        axes.plot(at, [point['sent'] / (1 << 20) for point in points], color=SIDES[name], linestyle=STYLES[name],
                  label=name)
        rounds = [(now['ms'], now['sent'] / (1 << 20)) for before, now in zip(points, points[1:])
                  if now['rounds'] != before['rounds']]
        if rounds:
            axes.plot(*zip(*rounds), color=SIDES[name], marker='o', markersize=4, linestyle='none')
        faults = [(now['ms'], now['sent'] / (1 << 20)) for before, now in zip(points, points[1:])
                  if now['faults'] != before['faults']]
        if faults:
            axes.plot(*zip(*faults), color=SIDES[name], marker='x', markersize=5, linestyle='none')
        if line.get('stopped') is not None:
            axes.axvspan(line['stopped'], line['started'], color=SIDES[name], alpha=0.3, linewidth=0)
    axes.set(xlabel='ms since the migration began', ylabel='MiB sent')
    axes.set_ylim(bottom=0)
    axes.legend()
    result = svg(drawing, f'Time line of {label}')
    plt.close(drawing)
    return result


def of_row(plt: Any, row: dict[str, Any], phase: str) -> list[str]:
    sides = {name: found for name, side in row['sides'].items() if (found := figures.latencies(side).get(phase))}
    label = f'{figures.heading(row)}, {phase}'
    return [histogram(plt, sides, label), percentiles(plt, sides, label)]


def migration_of_row(plt: Any, row: dict[str, Any]) -> str | None:
    """Of each side's last round that has one."""
    lines = {name: found[-1] for name, side in row['sides'].items()
             if (found := [one['details']['timeline'] for one in side['rounds'] if 'timeline' in one['details']])}
    return timeline(plt, lines, figures.heading(row)) if lines else None
