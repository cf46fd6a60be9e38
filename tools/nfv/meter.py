"""What counts latencies in a running guest, and its use: for a while, or before, during and after a migration."""
# Copyright (c) 2026 the kvm4nfv authors
# SPDX-License-Identifier: GPL-2.0-or-later

from __future__ import annotations

from contextlib import ExitStack
from pathlib import Path
import tempfile
import time
from typing import Any, Protocol

from . import answer, guest, histogram, link, phases, stamp
from .bench import ANSWER_TIMEOUT, Bench
from .breaktrace import Trace
from .contender import Contender
from .histogram import Histogram
from .measurement import Measurement
from .migration import Point, migrate
from .progress import Failure
from .vm import DOWNTIME_TRACE, Vm

# Of the migration; slow enough that it lasts some seconds.
LINK = link.Link('relay', 20_000_000)
BOUND = 60
TRACES = (*DOWNTIME_TRACE, 'migrate_set_state')
PULSE = '/machine/peripheral/pulse'


# Seconds after which post-copy is asked for: in the midst of the first pass over the guest's memory.
PRESS = 1.5
POSTCOPY = Point(postcopy=True)


class Meter(Protocol):
    """Counts in nanoseconds. begin() and end() may be on two ends of a migration.

    traces: QEMU's events that it reads.
    """

    traces: tuple[str, ...]

    def begin(self, vm: Vm) -> None:
        """Counts from now on."""

    def broke(self, vm: Vm) -> bool:
        """Whether a latency was above the limit that the guest was started with."""

    def end(self, vm: Vm) -> Histogram:
        """What was counted since begin()."""

    def phases(self, source: str, destination: str) -> dict[str, Histogram]:
        """What the trace logs of both ends of a migration tell besides, by phase."""


class Asked:
    """A guest that counts itself and is asked over its serial port."""

    traces = ()

    def __init__(self, system: guest.Linux | guest.Probe):
        linux = isinstance(system, guest.Linux)
        self.command = 'start latency' if linux else 'start'
        self.unit = 1000 if linux else 1        # nanoseconds of what it counts in

    def begin(self, vm: Vm) -> None:
        vm.ask(self.command, 'started', ANSWER_TIMEOUT)

    def broke(self, vm: Vm) -> bool:
        return any(found and found.verb == 'broke' for found in map(answer.parse, vm.poll()))

    def end(self, vm: Vm) -> Histogram:
        found = [one for one in vm.ask('stop', 'done', ANSWER_TIMEOUT) if one.verb != 'broke']
        return answer.histogram(found).scaled(self.unit)

    def phases(self, source: str, destination: str) -> dict[str, Histogram]:
        return {}


class Told:
    """A guest that tells each latency as it is met; period_us: between two timers; stock: what it runs in."""

    traces = phases.TRACES

    def __init__(self, period_us: int, stock: bool):
        self.period_us, self.stock = period_us, stock
        self.since = self.until = 0     # microseconds on the host's clock

    def begin(self, vm: Vm) -> None:
        self.since = self.since or int(time.time() * 1e6)

    def broke(self, vm: Vm) -> bool:
        return False

    def end(self, vm: Vm) -> Histogram:
        """All of that end so far; phases() tells which was when."""
        self.until = int(time.time() * 1e6)
        return phases.counted([one.ns for one in phases.told(vm.log.read_text(errors='replace'))])

    def phases(self, source: str, destination: str) -> dict[str, Histogram]:
        return phases.split(source, destination, self.period_us, self.since, self.until, self.stock)


class Pulse:
    """The device nfv-pulse, which counts in QEMU; command: what makes the guest answer it, unless it does already."""

    traces = ()

    def __init__(self, limit_us: int | None = None, command: str = ''):
        self.limit = limit_us * 1000 if limit_us else None
        self.command = command
        self.before = Histogram()
        self.counts: dict[str, int] = {}

    @staticmethod
    def _get(vm: Vm, name: str) -> Any:
        return vm.qmp('qom-get', path=PULSE, property=name)

    def _counted(self, vm: Vm) -> Histogram:
        flat = self._get(vm, 'latency')
        return histogram.of_buckets(dict(zip(flat[::2], flat[1::2])))

    def begin(self, vm: Vm) -> None:
        if self.command:
            vm.ask(self.command, 'answering', ANSWER_TIMEOUT)
            self.command = ''
        self.before = self._counted(vm)
        self.counts = {name: -self._get(vm, name) for name in ('raises', 'answers', 'missed', 'skipped')}

    def broke(self, vm: Vm) -> bool:
        if not self.limit:
            return False
        since = self._counted(vm).since(self.before)
        return bool(since.samples) and since.max > self.limit

    def end(self, vm: Vm) -> Histogram:
        self.counts = {name: self._get(vm, name) + value for name, value in self.counts.items()}
        return self._counted(vm).since(self.before)

    def phases(self, source: str, destination: str) -> dict[str, Histogram]:
        return {}


def count(bench: Bench, vm: Vm, meter: Meter, seconds: float, trace: Trace | None = None) -> Histogram:
    """For so long, or with a trace until a latency is above its limit."""
    meter.begin(vm)
    if trace:
        trace.follow(lambda: meter.broke(vm), seconds)
    else:
        bench.progress.sleep(seconds)
    return checked(vm, meter)


def checked(vm: Vm, meter: Meter) -> Histogram:
    found = meter.end(vm)
    if not found.samples:
        raise vm.failure('has a guest that measured nothing')
    return found


def standing(bench: Bench, side: Contender, system: guest.Linux | guest.Probe, meter: Meter,
             arguments: tuple[str, ...] = ()) -> Measurement:
    """A guest that stays where it is."""
    with ExitStack() as stack:
        vm = stack.enter_context(bench.boot(side, system, arguments=arguments))
        trace = None
        if bench.options.breaktrace:
            trace = stack.enter_context(Trace(bench.options.breaktrace, vm, side, bench.progress))
        return Measurement({'latency': count(bench, vm, meter, bench.options.seconds, trace)})


def moving(bench: Bench, side: Contender, system: guest.Linux | guest.Probe, meter: Meter,
           arguments: tuple[str, ...] = (), postcopy: bool = False) -> Measurement:
    """Before, during and after a live migration; the guest must find its memory right in the end.

    postcopy: it ends in post-copy. With small pages: one of 2 MiB takes that link 105 ms, for which the guest stands
    still at each, and stock looks whether it may begin after 64 of them only.
    """
    seconds = bench.options.seconds / 2
    with ExitStack() as stack:
        directory = Path(stack.enter_context(tempfile.TemporaryDirectory(dir=bench.directory)))
        route = stack.enter_context(link.open_route(LINK, None, directory))
        source, destination = (stack.enter_context(
            bench.boot(side, system, arguments=arguments, name=name, incoming=name == 'destination',
                       small_pages=postcopy, traces=(*TRACES, *meter.traces)))
            for name in ('source', 'destination'))
        found = Measurement({'before': count(bench, source, meter, seconds)})
        meter.begin(source)
        outcome = migrate(source, destination, route.outgoing, route.incoming, POSTCOPY if postcopy else Point(), BOUND,
                          bench.progress, PRESS if postcopy else None)
        if not outcome.ended:
            raise Failure(f'{side.name}: the migration did not end within {BOUND} s, and it was cancelled')
        found.latency['during'] = checked(destination, meter)
        found.latency['after'] = count(bench, destination, meter, seconds)
        memory = answer.memory(destination.ask('verify', 'verify', ANSWER_TIMEOUT)[-1],
                               system.pages(source.ready))
        if not memory.intact:
            raise Failure(f'{side.name}: the guest\'s memory after the migration: {memory}')
        logs = [vm.log.read_text(errors='replace') for vm in (source, destination)]
        if postcopy and not stamp.is_postcopy(logs[1]):
            raise Failure(f'{side.name}: the migration ended before post-copy began')
        found.latency.update(meter.phases(*logs))
        total, downtime = (stamp.started(logs[1]) - stamp.begun(logs[0])) / 1000, stamp.downtime_us(*logs) / 1000
        found.values = {'migration ms': total, 'downtime ms': downtime}
        found.details['timeline'] = {'points': outcome.points, 'stopped': total - downtime, 'started': total}
        return found
