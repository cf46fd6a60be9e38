"""One run of nfv-bench's latency tests: every case on every side in interleaved rounds, and the files it writes."""
# Copyright (c) 2026 the kvm4nfv authors
# SPDX-License-Identifier: GPL-2.0-or-later

from __future__ import annotations

import argparse
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
import shlex
import tempfile
import time
from typing import Any, Callable, Iterator, Mapping, Sequence

from . import bench, breaktrace, condition, contender, document, figures, host, machine, places, plan, stress
from .bench import Bench
from .breaktrace import Broken
from .contender import Contender
from .measurement import Case, Measurement, Test
from .progress import Failure, Progress, Stopped

ROUNDS, QUICK_ROUNDS = 3, 1
SECONDS, QUICK_SECONDS = 20, 2
# Of a run that something else on the host has spoilt.
ATTEMPTS = 4


def words(valid: Sequence[str]) -> Callable[[str], tuple[str, ...]]:
    def parse(text: str) -> tuple[str, ...]:
        for part in text.split(','):
            if part not in valid:
                raise argparse.ArgumentTypeError(f'{part!r}: must be of {", ".join(valid)}')
        return tuple(dict.fromkeys(text.split(',')))
    return parse


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Those of all latency tests."""
    what = parser.add_argument_group('what is run')
    what.add_argument('-n', '--rounds', type=int, metavar='N',
                      help=f'each runs every side once, in turn [{ROUNDS}; --quick {QUICK_ROUNDS}]')
    what.add_argument('--seconds', type=float, metavar='S',
                      help=f'that are measured in each run [{SECONDS}; --quick {QUICK_SECONDS}]')
    what.add_argument('--quick', action='store_true', help='one short round of the smallest cases')
    what.add_argument('--stress', type=words(stress.NAMES), metavar='LIST',
                      help=f'of {",".join(stress.NAMES)} [idle,cpu; --quick idle]')
    what.add_argument('--sides', type=words(contender.NAMES), default=contender.NAMES, metavar='LIST',
                      help=f'of {",".join(contender.NAMES)} [all]')
    what.add_argument('--breaktrace', type=int, metavar='US', help='stop at the first latency above that many '
                      'microseconds and keep a trace of the host\'s kernel from before it, and query-nfv')
    builds = parser.add_argument_group('QEMU and the guests')
    builds.add_argument('--fork', default=str(places.qemu()), metavar='QEMU', help='[%(default)s]')
    builds.add_argument('--stock', default=str(places.TOP / 'build-stock/qemu-system-x86_64'), metavar='QEMU',
                        help='[%(default)s]')
    builds.add_argument('--fork-machine', default='', metavar='OPTIONS',
                        help='further options of -M nfv: --fork-machine=emulator-priority=1')
    builds.add_argument('--fork-args', type=shlex.split, default=[], metavar='ARGS',
                        help='further arguments of the fork, in one word')
    builds.add_argument('--accel', choices=('auto', 'kvm', 'tcg'), default='auto', help='auto: KVM if the guest runs')
    builds.add_argument('--cpu', help='CPU model [kvm: host, tcg: max]')
    builds.add_argument('--probe', default=str(places.probe()), help='[%(default)s]')
    builds.add_argument('--kernel', default=str(places.TOP / 'build/guest/vmlinuz'), help='[%(default)s]')
    builds.add_argument('--initrd', default=str(places.TOP / 'build/guest/initrd.gz'), help='[%(default)s]')
    builds.add_argument('--stress-initrd', default=str(places.TOP / 'build/guest/stress.gz'), metavar='INITRD',
                        help='of guest/stress.sh, for load in the guest [%(default)s]')
    files = parser.add_argument_group('what is written and judged')
    files.add_argument('--json', metavar='FILE', help='every histogram, and the machine\'s description')
    files.add_argument('--html', metavar='FILE', help='one page for a browser, the verdict first')
    files.add_argument('--prometheus', metavar='FILE',
                       help='for node_exporter\'s textfile collector; FILE ends in .prom')
    files.add_argument('--fail-if', action='append', default=[], type=condition.parse, metavar='CONDITION',
                       help=condition.HELP)


def settle(options: argparse.Namespace) -> None:
    """Fills in what depends on --quick; refuses values that cannot be."""
    defaults = (QUICK_ROUNDS, QUICK_SECONDS, ('idle',)) if options.quick else (ROUNDS, SECONDS, ('idle', 'cpu'))
    for name, value in zip(('rounds', 'seconds', 'stress'), defaults):
        if getattr(options, name) is None:
            setattr(options, name, value)
    if options.rounds < 1:
        raise Failure(f'--rounds {options.rounds}: must be at least 1')
    if not 0.5 <= options.seconds <= 86400:
        raise Failure(f'--seconds {options.seconds:g}: must be 0.5 to 86400')
    if options.breaktrace is not None and options.breaktrace < 1:
        raise Failure(f'--breaktrace {options.breaktrace}: must be at least 1')
    if options.breaktrace and (why := breaktrace.problem()):
        raise Failure(why)
    if options.prometheus and not options.prometheus.endswith('.prom'):
        raise Failure(f'--prometheus {options.prometheus}: node_exporter reads only files that end in .prom')
    for name in ('json', 'html', 'prometheus'):
        path = getattr(options, name)
        if path and not Path(path).absolute().parent.is_dir():
            raise Failure(f'--{name} {path}: the directory {Path(path).absolute().parent} does not exist')


def contenders(options: argparse.Namespace) -> list[Contender]:
    return [Contender(name, options.fork, options.fork_machine, tuple(options.fork_args)) if name == 'fork'
            else Contender(name, options.stock) for name in options.sides]


@dataclass(frozen=True)
class Run:
    case: Case
    side: Contender
    number: int


def runs(cases: Sequence[Case], sides: Sequence[Contender], rounds: int) -> list[Run]:
    """Side by side, A B C A B C, so that what changes on the host with time meets all alike. Pure."""
    return [Run(case, side, number) for case in cases for number in range(rounds) for side in sides
            if case.sides is None or side.name in case.sides]


def cases(tests: Mapping[str, Test], options: argparse.Namespace) -> list[Case]:
    """Each case under each load."""
    return [replace(case, stress=stress.parse(kind)) for test in tests.values() for case in test.cases(options)
            for kind in options.stress]


class Session:
    """What the runs found is in `found`, so it is there however the session ends."""

    def __init__(self, tests: Mapping[str, Test], options: argparse.Namespace, progress: Progress):
        settle(options)
        self.tests, self.options, self.progress = tests, options, progress
        self.sides = contenders(options)
        self.found = document.Document(self.sides)
        self.todo = runs(cases(tests, options), self.sides, options.rounds)

    def run(self) -> None:
        with ExitStack() as stack:
            directory = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix='nfv-bench.')))
            shared = Bench(self.options, self.progress, directory)
            self.found.describe(machine.describe(shared.granted, shared.isolated), self.sides)
            shared.real_time = stack.enter_context(host.unthrottled(self.progress.say,
                                                                       shared.all_vcpu_cpus()))
            if shared.real_time and not contender.may_be_real_time():
                shared.real_time = False
                self.progress.say('vCPUs are pinned but not SCHED_FIFO: run as root, or raise RLIMIT_RTPRIO (ulimit -r)')
            if not shared.may_lock and 'tuned' in self.options.sides:
                self.progress.say('stock tuned by hand does not lock its guests\' memory: run as root, or raise RLIMIT_MEMLOCK '
                                  '(ulimit -l unlimited)')
            todo = [run for run in self.todo if self._possible(shared, run)]
            self.progress.plan(sum(run.case.seconds for run in todo))
            for number, run in enumerate(todo):
                self._one(shared, run, f'[{number + 1}/{len(todo)}, {plan.duration(self.progress.left())} left]')
                if number + 1 == len(todo) or todo[number + 1].case != run.case:
                    self.progress.say(f'\n{figures.text(self.found.row(run.case))}\n')
        self.found.complete = True

    def _possible(self, shared: Bench, run: Run) -> bool:
        test = self.tests[run.case.test]
        why = bench.problem(run.side, run.case.stress) or test.skip(shared, run.case, run.side)
        if why and self.found.skip(run.case, run.side, why):
            self.progress.say(f'skipped: {run.case}, {run.side.name}: {why}')
        return not why

    def _one(self, shared: Bench, run: Run, where: str) -> None:
        began = time.monotonic()
        try:
            self.found.add(run.case, run.side, self._measured(shared, run, where))
        except Broken:
            raise
        except Failure as failure:
            self.progress.say(str(failure))
            self.found.fail(run.case, run.side, str(failure))
        self.progress.advance(run.case.seconds, time.monotonic() - began)


    def _measured(self, shared: Bench, run: Run, where: str) -> Measurement:
        for _ in range(ATTEMPTS):
            host.throttled_again()
            with self.progress.step(f'{where} {run.case}; {run.side.name}'), stress.on_host(run.case.stress):
                measured = self.tests[run.case.test].run(shared, run.case, run.side)
            if not host.throttled_again():
                return measured
            self.progress.say('something else switched RT throttling on meanwhile: this run does not count')
        raise Failure(f'{run.side.name}: something else on this host switches RT throttling on again and again '
                      '(kernel.sched_rt_runtime_us): end it, and run this again')


@contextmanager
def written(session: Session, options: argparse.Namespace) -> Iterator[None]:
    """Writes the files that are asked for at exit, whatever ends the run."""
    try:
        yield
    finally:
        found = session.found.as_json()
        write(found, options)


def write(found: dict[str, Any], options: argparse.Namespace) -> None:
    if options.json:
        document.save(found, Path(options.json))
    if options.prometheus:
        from . import prometheus  # pylint: disable=import-outside-toplevel
        prometheus.save(found, Path(options.prometheus))
    if options.html:
        from . import page  # pylint: disable=import-outside-toplevel
        page.save(found, Path(options.html))


def run(tests: Mapping[str, Test], options: argparse.Namespace, progress: Progress) -> int:
    """Exit status 0: all that this host can was measured, and no condition of --fail-if holds."""
    session = Session(tests, options, progress)
    try:
        with written(session, options):
            session.run()
    except Stopped:
        progress.say(f'\n{figures.all_text(session.found.as_json())}')
        raise
    return judge(session.found.as_json(), options.fail_if, progress.say)


def judge(found: dict[str, Any], conditions: Sequence[condition.Condition], say: Callable[[str], None]) -> int:
    if not any(side['rounds'] for row in found['results'] for side in row['sides'].values()):
        say('nothing was measured: see above')
        return 1
    status = 0
    for wanted in conditions:
        held, text = condition.judge(wanted, found)
        say(text)
        status |= held
    if any(side['errors'] for row in found['results'] for side in row['sides'].values()):
        say('not every run was made: see above')
        status = 1
    return int(status)
