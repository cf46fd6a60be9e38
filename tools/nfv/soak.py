"""The soak: many migrations of one guest, its memory proven after each, and what the processes hold watched.

Exit status 0 means that every byte was right and that nothing was leaked; times are shown, not judged.
"""
# Copyright (c) 2026 the kvm4nfv authors
# SPDX-License-Identifier: GPL-2.0-or-later

from __future__ import annotations

import argparse
from collections import defaultdict
from dataclasses import asdict, dataclass
import json
from pathlib import Path
import tempfile
import time
from typing import Any

from . import answer, holdings, places
from .guest import Probe
from .hop import WAYS, Hop, Way
from .progress import Failure, Progress
from .stats import summary
from .table import grid
from .vm import Vm

TIMEOUT = 120
# KiB a second that the guest writes, over a quarter of its memory.
RATE = 20000
# What a QEMU may hold more after a cancelled migration, once its threads have ended; KiB: what malloc keeps.
SETTLE = 10
SLACK_KIB = 4096
LEFT_TO_THE_POOL = 2        # threads of QEMU's own pool that come and go


@dataclass
class Done:
    """One hop. Times in ms, from the source's query-nfv-migration.

    held: by the destination, at its end; cancelled: what the source held more after an attempt that was cancelled.
    """

    number: int
    way: str
    total: float | None
    downtime: float | None
    seconds: float
    held: holdings.Holdings
    cancelled: holdings.Holdings | None


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument('-n', '--count', type=int, default=200, metavar='N', help='migrations [%(default)s]')
    parser.add_argument('--memory', type=int, default=128, metavar='MIB', help='of the guest [%(default)s]')
    parser.add_argument('--machine', default='nfv,hugepages=off',
                        help='with pages of one size on both ends, which post-copy needs [%(default)s]')
    parser.add_argument('--accel', default='tcg', choices=('tcg', 'kvm'), help='[%(default)s]')
    parser.add_argument('--qemu', default=str(places.qemu()), metavar='QEMU', help='[%(default)s]')
    parser.add_argument('--probe', default=str(places.probe()), metavar='FILE', help='[%(default)s]')
    parser.add_argument('--json', metavar='FILE', help='write each migration there, also after Ctrl-C')


def check(options: argparse.Namespace) -> None:
    if options.count < 1:
        raise Failure(f'--count {options.count}: must be at least 1')
    if options.memory < 64:
        raise Failure(f'--memory {options.memory}: must be at least 64')
    Probe(options.probe).check()


def leaked(before: holdings.Holdings, after: holdings.Holdings) -> str:
    """What a process holds too much of; empty: nothing. Pure."""
    more = after - before
    found = []
    if more.descriptors > 0:
        found.append(f'{more.descriptors} descriptors')
    if more.threads > LEFT_TO_THE_POOL:
        found.append(f'{more.threads} threads')
    if more.kib > SLACK_KIB:
        found.append(f'{more.kib / 1024:.1f} MiB')
    return ', '.join(found)


class Soak:
    def __init__(self, options: argparse.Namespace, directory: Path, progress: Progress):
        self.options, self.directory, self.progress = options, directory, progress
        self.guest = Probe(options.probe, set=options.memory // 4, rate=RATE)
        self.running: list[Vm] = []
        self.done: list[Done] = []
        self.pages = 0
        self.started = 0

    def start(self, incoming: bool) -> Vm:
        self.started += 1
        vm = Vm(f'qemu-{self.started}', self.directory, self.progress)
        self.running.append(vm)
        vm.start([self.options.qemu, '-machine', self.options.machine, '-accel', self.options.accel, '-cpu', 'max',
                  '-nodefaults', '-m', str(self.options.memory), '-netdev', 'hubport,id=n,hubid=0',
                  '-device', 'virtio-net-pci,netdev=n,romfile=', '-device', 'virtio-rng-pci',
                  *self.guest.arguments(), *(('-incoming', 'defer') if incoming else ())], TIMEOUT, ())
        return vm

    def end(self, vm: Vm) -> None:
        vm.end()
        self.running.remove(vm)
        for file in (vm.log, vm.output):
            file.unlink(missing_ok=True)

    def uri(self, number: int, attempt: int = 0) -> str:
        return f'unix:{self.directory}/{number}.{attempt}'

    def run(self) -> None:
        source = self.start(incoming=False)
        self.pages = self.guest.pages(source.expect('ready', TIMEOUT)[-1])
        for number in range(self.options.count):
            source = self.hop(number, WAYS[number % len(WAYS)], source)

    def hop(self, number: int, way: Way, source: Vm) -> Vm:
        began = time.monotonic()
        cancelled = None
        for attempt in range(way.cancels):
            cancelled = self.cancel(number, attempt + 1, way, source)
        destination = self.start(incoming=True)
        info = Hop(way, source, destination, self.uri(number), self.progress).go()
        self.prove(number, way, destination)
        self.end(source)
        result = info.get('result', {})
        self.done.append(Done(number + 1, way.name, milliseconds(result, 'total'), milliseconds(result, 'downtime'),
                              time.monotonic() - began, holdings.of(destination.pid), cancelled))
        return destination

    def prove(self, number: int, way: Way, vm: Vm) -> None:
        memory = answer.memory(vm.ask('verify', 'verify', TIMEOUT)[-1], self.pages)
        if not memory.intact:
            raise Failure(f'migration {number + 1} ({way.name}): the guest\'s memory is {memory}')

    def cancel(self, number: int, attempt: int, way: Way, source: Vm) -> holdings.Holdings:
        """What the source holds more of afterwards."""
        before = holdings.of(source.pid)
        throwaway = self.start(incoming=True)
        Hop(way, source, throwaway, self.uri(number, attempt), self.progress).cancel()
        self.end(throwaway)
        end = time.monotonic() + SETTLE
        while leaked(before, holdings.of(source.pid)) and time.monotonic() < end:
            self.progress.sleep(0.1)
        after = holdings.of(source.pid)
        # The first migration of a process allocates what it keeps for the next.
        if what := leaked(before, after) if attempt > 1 or way.capabilities else '':
            raise Failure(f'migration {number + 1} ({way.name}): once cancelled, the source holds {what} more')
        self.prove(number, way, source)
        return after - before


def milliseconds(result: dict[str, Any], name: str) -> float | None:
    return result[name] / 1000 if name in result else None


def drift(done: list[Done]) -> str:
    """What the last QEMU holds more than one of the same way before, which had fewer migrations behind it."""
    last = done[-1]
    first = next(item for item in done if item.way == last.way)
    return leaked(first.held, last.held)


def text(done: list[Done]) -> str:
    groups: dict[str, list[Done]] = defaultdict(list)
    for item in done:
        groups[item.way].append(item)
    cells = [['', 'n', 'total ms', 'downtime ms', 'memory']]
    for name, items in groups.items():
        cells.append([name, str(len(items)), *(str(summary(getattr(item, figure) for item in items) or '-')
                                               for figure in ('total', 'downtime')), f'intact {len(items)}/{len(items)}'])
    first = next(item for item in done if item.way == done[-1].way)
    return '\n'.join([*grid(cells), f'held after migration {first.number}: {first.held}',
                      f'held after migration {done[-1].number}: {done[-1].held}'])


def run(options: argparse.Namespace, progress: Progress) -> int:
    check(options)
    with tempfile.TemporaryDirectory(prefix='nfv-soak.') as directory:
        soak = Soak(options, Path(directory), progress)
        began = time.monotonic()
        try:
            with progress.step(f'{options.count} migrations of a guest of {options.memory} MiB'):
                soak.run()
        finally:
            for vm in list(soak.running):
                soak.end(vm)
            if options.json:
                Path(options.json).write_text(json.dumps([asdict(item) for item in soak.done], indent=1) + '\n',
                                              encoding='utf-8')
            if soak.done:
                progress.say(f'\n{text(soak.done)}\n{len(soak.done)} migrations in {time.monotonic() - began:.0f} s')
    if what := drift(soak.done):
        progress.say(f'the guest\'s QEMU holds {what} more than after fewer migrations')
        return 1
    return 0
