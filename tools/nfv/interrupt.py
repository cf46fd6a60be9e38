"""nfv-bench interrupt: how soon the guest answers an interrupt of a device."""
# Copyright (c) 2026 the kvm4nfv authors
# SPDX-License-Identifier: GPL-2.0-or-later

from __future__ import annotations

import argparse
import subprocess
from typing import Sequence

from .bench import Bench
from .contender import Contender
from .guest import Linux, Probe
from .measurement import Case, Measurement
from .meter import Pulse, moving, standing
from .progress import Failure
from .timer import NO_BREAK, NO_STRESS, VCPUS, WORKSET, moves, seconds_of

LINUX = 'real-time Linux, a SCHED_FIFO thread by UIO and INTx'
CASES = {
    'linux-idle': f'{LINUX}, {VCPUS["idle"]}',
    'linux-poll': f'{LINUX}, {VCPUS["poll"]}',
    'probe-idle': f'probe guest, {VCPUS["idle"]}',
    'probe-poll': f'probe guest, {VCPUS["poll"]}',
    'probe-migrate': f'probe guest, {VCPUS["poll"]}, migrated',
}
QUICK = ('linux-idle', 'probe-poll', 'probe-migrate')


class Interrupt:
    name = 'interrupt'
    title = 'how soon the guest answers an MSI of the device nfv-pulse, on the host\'s clock'

    def __init__(self) -> None:
        self.devices: dict[str, bool] = {}

    def add_arguments(self, parser: argparse.ArgumentParser) -> None:
        from .session import words  # pylint: disable=import-outside-toplevel,cyclic-import
        group = parser.add_argument_group('interrupt')
        group.add_argument('--interrupt-cases', type=words(tuple(CASES)), metavar='LIST',
                           help=f'of {",".join(CASES)} [all; --quick {",".join(QUICK)}]')
        group.add_argument('--interrupt-period', type=int, default=1000, metavar='US',
                           help='between two interrupts [%(default)s]')

    def cases(self, options: argparse.Namespace) -> Sequence[Case]:
        if not 10 <= options.interrupt_period <= 1000000:
            raise Failure(f'--interrupt-period {options.interrupt_period}: must be 10 to 1000000')
        return [Case('interrupt', name, CASES[name], seconds_of(name, options),
                     (('period_us', options.interrupt_period), ('seconds', options.seconds)))
                for name in options.interrupt_cases or (QUICK if options.quick else CASES)]

    def skip(self, bench: Bench, case: Case, side: Contender) -> str | None:
        if bench.options.breaktrace and moves(case.name):
            return NO_BREAK
        if case.stress.guest and not case.name.startswith('linux'):
            return NO_STRESS
        try:
            self._guest(bench, case).check()
        except Failure as failure:
            return str(failure)
        if side.qemu not in self.devices:
            self.devices[side.qemu] = has_pulse(side.qemu)
        if not self.devices[side.qemu]:
            return f'{side.qemu} has no device nfv-pulse: build it with {"make stock" if side.stock else "make"}'
        return None

    def _guest(self, bench: Bench, case: Case) -> Linux | Probe:
        kind, _, vcpu = case.name.partition('-')
        if kind == 'linux':
            return bench.linux(case.stress, workset=WORKSET, poll=vcpu == 'poll')
        return bench.probe(fill=None if vcpu == 'migrate' else 0, pulse=True, halt=vcpu == 'idle')

    def run(self, bench: Bench, case: Case, side: Contender) -> Measurement:
        move, system = moves(case.name), self._guest(bench, case)
        meter = Pulse(bench.options.breaktrace, command='pulse' if isinstance(system, Linux) else '')
        arguments = ('-device', f'nfv-pulse,id=pulse,period={bench.options.interrupt_period}')
        found = (moving if move else standing)(bench, side, system, meter, arguments)
        found.details.update(meter.counts)
        return found


def has_pulse(qemu: str) -> bool:
    try:
        done = subprocess.run([qemu, '-M', 'none', '-device', 'help'], capture_output=True, text=True, timeout=20,
                              check=False)
    except (OSError, subprocess.SubprocessError):
        return False
    return '"nfv-pulse"' in done.stdout


TEST = Interrupt()
