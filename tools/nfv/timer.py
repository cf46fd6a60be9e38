"""nfv-bench timer: how late a timer's interrupt reaches the guest."""
# Copyright (c) 2026 the kvm4nfv authors
# SPDX-License-Identifier: GPL-2.0-or-later

from __future__ import annotations

import argparse
from typing import Sequence

from . import host
from .bench import Bench
from .contender import Contender
from .guest import Linux, Probe
from .measurement import Case, Measurement
from .meter import Asked, Told, moving, standing
from .progress import Failure

VCPUS = {'idle': 'vCPU that halts in between', 'poll': 'vCPU that polls all the time'}
GUESTS = {'linux': 'real-time Linux, cyclictest', 'probe': 'probe guest, LAPIC timer'}
# While it is migrated a thread of our own does in Linux what cyclictest does, and tells each latency as it is met.
MOVED = {**GUESTS, 'linux': 'real-time Linux, a SCHED_FIFO thread'}
MOVES = {'migrate': 'migrated', 'postcopy': 'migrated by post-copy'}
CASES = {
    **{f'{name}-{vcpu}': f'{system}, {what}' for name, system in GUESTS.items() for vcpu, what in VCPUS.items()},
    **{f'{name}-{move}': f'{system}, {VCPUS["poll"]}, {how}' for move, how in MOVES.items()
       for name, system in MOVED.items()},
}
# Seconds: of a boot by TCG, and what a migration adds.
BOOT = {'linux': 8, 'probe': 1.5}
MIGRATION_SECONDS = 6
QUICK = ('probe-idle', 'probe-poll', 'linux-idle', 'probe-migrate')
WORKSET = 1
NO_BREAK = 'a guest that is migrated is not measured with --breaktrace'
NO_STRESS = 'the probe guest runs nothing besides: load in the guest is for the Linux guest'


def moves(name: str) -> bool:
    """Whether the guest is migrated in the case of that name. Pure."""
    return name.partition('-')[2] in MOVES


def seconds_of(name: str, options: argparse.Namespace) -> float:
    """What one run of the case of that name takes. Pure."""
    return BOOT[name.partition('-')[0]] + options.seconds + (MIGRATION_SECONDS if moves(name) else 0)


class Timer:
    name = 'timer'
    title = 'how late a timer wakes the guest: cyclictest in a real-time Linux, and a guest without an operating system'

    def add_arguments(self, parser: argparse.ArgumentParser) -> None:
        from .session import words  # pylint: disable=import-outside-toplevel,cyclic-import
        group = parser.add_argument_group('timer')
        group.add_argument('--timer-cases', type=words(tuple(CASES)), metavar='LIST',
                           help=f'of {",".join(CASES)} [all; --quick {",".join(QUICK)}]')
        group.add_argument('--timer-interval', type=int, default=1000, metavar='US',
                           help='between two timers [%(default)s]')

    def cases(self, options: argparse.Namespace) -> Sequence[Case]:
        if not 100 <= options.timer_interval <= 1000000:
            raise Failure(f'--timer-interval {options.timer_interval}: must be 100 to 1000000')
        return [Case('timer', name, CASES[name], seconds_of(name, options),
                     (('interval_us', options.timer_interval), ('seconds', options.seconds)))
                for name in options.timer_cases or (QUICK if options.quick else CASES)]

    def skip(self, bench: Bench, case: Case, side: Contender) -> str | None:
        try:
            self._guest(bench, case).check()
        except Failure as failure:
            return str(failure)
        if case.name.endswith('postcopy') and (why := host.postcopy_problem()):
            return why
        if bench.options.breaktrace and moves(case.name):
            return NO_BREAK
        if case.stress.guest and not case.name.startswith('linux'):
            return NO_STRESS
        return None

    def _guest(self, bench: Bench, case: Case) -> Linux | Probe:
        options, move = bench.options, moves(case.name)
        kind, _, vcpu = case.name.partition('-')
        if kind == 'linux':
            extra = (f'nfv.break={options.breaktrace}',) if options.breaktrace else ()
            return bench.linux(case.stress, workset=WORKSET, interval=options.timer_interval, poll=vcpu != 'idle',
                               tell=options.timer_interval if move else 0, extra=extra)
        return bench.probe(fill=None if move else 0, timer=options.timer_interval, halt=vcpu == 'idle', tell=move,
                           break_us=options.breaktrace or 0)

    def run(self, bench: Bench, case: Case, side: Contender) -> Measurement:
        system = self._guest(bench, case)
        if moves(case.name):
            return moving(bench, side, system, Told(bench.options.timer_interval, side.stock),
                          postcopy=case.name.endswith('postcopy'))
        return standing(bench, side, system, Asked(system))


TEST = Timer()
