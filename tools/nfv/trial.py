"""One run: a guest is started, migrated and proven, by one build."""
# Copyright (c) 2026 the kvm4nfv authors
# SPDX-License-Identifier: GPL-2.0-or-later

from __future__ import annotations

from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
import tempfile

from . import answer, backing, footprint, guest, link, sample, side, stalls, warm
from .migration import Outcome, migrate
from .plan import Run
from .profile import Case
from .progress import Progress
from .vm import DOWNTIME_TRACE, Vm

TRACES = (*DOWNTIME_TRACE, 'migrate_set_state', 'serial_write')
START_TIMEOUT = 60
BOOT_TIMEOUT = {'kvm': 20, 'tcg': 120}
ANSWER_TIMEOUT = 60
# Seconds that the guest runs, before and after the migration, so that its speed is known.
BEFORE, AFTER = 0.5, 1.0


@dataclass(frozen=True)
class Bench:
    """What all runs have in common."""

    link: link.Link
    wire_rate: int                          # bytes a second that the guest's rates refer to
    namespaces: link.Namespaces | None
    accel: str
    cpu: str
    pinned: dict[str, frozenset[int]]       # host CPUs of source and destination
    probe: str
    linux: tuple[str, str]
    bound: float | None
    stream: float | None = None             # bytes a second of a stream over the link, if it was measured

    def guest(self, case: Case) -> guest.Linux | guest.Probe:
        if case.guest == 'linux':
            return guest.Linux(*self.linux, workset=min(64, case.memory // 8), beat=1000)
        return guest.Probe(self.probe, fill=case.fill, set=case.set, rate=case.rate_kib(self.wire_rate),
                           rings=case.rings, order=case.order)

    def command(self, case: Case, which: side.Side) -> list[str]:
        return [which.qemu, '-machine', which.machine, '-accel', self.accel, '-cpu', self.cpu, '-smp', str(case.smp),
                '-nodefaults', *backing.arguments(case.backing, case.memory), *side.devices(case.devices),
                *self.guest(case).arguments()]


class Trial:
    def __init__(self, bench: Bench, run: Run, progress: Progress):
        self.bench, self.case, self.side, self.point = bench, run.case, run.side, run.point
        self.progress = progress
        self.guest = bench.guest(run.case)

    def run(self) -> sample.Sample:
        """Whatever it started has ended when it returns, or raises."""
        with ExitStack() as stack:
            directory = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix='nfv-bench.')))
            route = stack.enter_context(link.open_route(self.bench.link, self.bench.namespaces, directory))
            source, destination = (self._start(end, directory, route, stack) for end in ('source', 'destination'))
            ready = source.expect('ready', BOOT_TIMEOUT[self.bench.accel])[-1]
            warm.touch(self.case.allocates)
            self.progress.sleep(BEFORE)
            return self._migrate(source, destination, route, self.guest.pages(ready))

    def _start(self, end: str, directory: Path, route: link.Route, stack: ExitStack) -> Vm:
        vm = Vm(end, directory, self.progress)
        stack.callback(vm.end)
        extra = self.side.source if end == 'source' else (*self.side.destination, '-incoming', 'defer')
        traces = (*TRACES, *stalls.TRACES) if self.point.postcopy and end == 'destination' else TRACES
        vm.start([*route.prefix.get(end, ()), *self.bench.command(self.case, self.side), *extra], START_TIMEOUT, traces,
                 self.bench.pinned.get(end, ()))
        return vm

    def _migrate(self, source: Vm, destination: Vm, route: link.Route, pages: int) -> sample.Sample:
        ends = source, destination
        before = [footprint.kib(vm.pid) for vm in ends]
        populated = footprint.populated(source.pid, self.case.memory) if self.bench.stream else None
        written = source.ask('stats', 'stats', ANSWER_TIMEOUT)[-1] if self.guest.writes else None
        outcome = migrate(source, destination, route.outgoing, route.incoming, self.point, self._bound(), self.progress,
                          self.case.press(self.bench.wire_rate), self.side.capabilities)
        now = destination if outcome.ended else source
        result = sample.Sample(sample.ENDED) if outcome.ended else \
            sample.Sample(sample.CANCELLED) if outcome.cancelled else \
            sample.Sample(sample.ENDLESS, bound=self._bound())
        result.floor = sample.floor_ms(populated, self.bench.stream)
        if written:
            result.rate = guest.rate(written, now.ask('stats', 'stats', ANSWER_TIMEOUT)[-1])
        after = [footprint.kib(vm.pid) for vm in ends]
        result.source_new, result.destination_new = (
            None if a is None or b is None else a - b for a, b in zip(after, before))
        self.progress.sleep(AFTER)
        result.memory = answer.memory(now.ask('verify', 'verify', ANSWER_TIMEOUT)[-1], pages)
        self._read(result, outcome, source, destination)
        return result

    def _read(self, result: sample.Sample, outcome: Outcome, source: Vm, destination: Vm) -> None:
        sample.read_info(result, outcome.info)
        if outcome.ended:
            logs = [vm.log.read_text(errors='replace') for vm in (source, destination)]
            sample.read_logs(result, *logs)
            if self.point.postcopy:
                sample.read_postcopy(result, *logs, backing.PAGE_BYTES[self.case.backing])
        if outcome.cancelled:
            sample.read_cancelled(result, source.log.read_text(errors='replace'))
        if self.point.deadline:
            result.kept = sample.kept(result, self.point.limit, self.point.deadline)

    def _bound(self) -> float:
        return self.bench.bound or self.case.bound(self.bench.wire_rate)


def accelerator_works(bench: Bench, which: side.Side, progress: Progress) -> None:
    """Raises the Failure of a guest that does not start with bench.accel."""
    case = Case('devices', 64, fill=0)
    with ExitStack() as stack:
        directory = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix='nfv-bench.')))
        vm = Vm(f'trial of {bench.accel}', directory, progress)
        stack.callback(vm.end)
        vm.start(bench.command(case, which), START_TIMEOUT)
        vm.expect('ready', 10)
