"""nfv-bench timer: how late a timer's interrupt reaches the guest."""
# Copyright (c) 2026 the kvm4nfv authors
# SPDX-License-Identifier: GPL-2.0-or-later

from __future__ import annotations

import argparse
from typing import Sequence

from . import answer
from .bench import ANSWER_TIMEOUT, Bench
from .contender import Contender
from .guest import Linux
from .measurement import Case, Measurement
from .progress import Failure

TITLE = 'how late a timer wakes the guest: cyclictest in a real-time Linux, and a guest without any operating system'
GUESTS = ('linux', 'probe')
VCPUS = {'idle': 'vCPU that halts between two timers', 'poll': 'vCPU that polls all the time'}
# Seconds: of a boot by TCG, and what else a run takes.
BOOT = {'linux': 8, 'probe': 1.5}
WORKSET = 1


class Timer:
    name = 'timer'
    title = TITLE

    def add_arguments(self, parser: argparse.ArgumentParser) -> None:
        group = parser.add_argument_group('timer')
        group.add_argument('--timer-guests', choices=('all', *GUESTS), default='all', help='[%(default)s]')
        group.add_argument('--timer-interval', type=int, default=1000, metavar='US',
                           help='between two timers [%(default)s]')

    def cases(self, options: argparse.Namespace) -> Sequence[Case]:
        if not 100 <= options.timer_interval <= 1000000:
            raise Failure(f'--timer-interval {options.timer_interval}: must be 100 to 1000000')
        guests = GUESTS if options.timer_guests == 'all' else (options.timer_guests,)
        return [Case('timer', f'{guest}-{vcpu}', f'{guest} guest, {title}', BOOT[guest] + options.seconds,
                     (('guest', guest), ('interval_us', options.timer_interval), ('seconds', options.seconds)))
                for guest in guests for vcpu, title in VCPUS.items()]

    def skip(self, bench: Bench, case: Case, side: Contender) -> str | None:
        try:
            self.guest(bench, case).check()
        except Failure as failure:
            return str(failure)
        return None

    def guest(self, bench: Bench, case: Case) -> Linux:
        return bench.linux(workset=WORKSET, interval=bench.options.timer_interval, poll=case.name.endswith('poll'))

    def run(self, bench: Bench, case: Case, side: Contender) -> Measurement:
        with bench.boot(side, self.guest(bench, case)) as vm:
            seconds = bench.options.seconds
            found = answer.histogram(vm.ask(f'measure latency {seconds:.0f}', 'done', seconds + ANSWER_TIMEOUT))
            return Measurement({'latency': found.scaled(1000)})


TEST = Timer()
