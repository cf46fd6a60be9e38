"""What all runs of nfv-bench's latency tests share: host CPUs, accelerator, and starting a guest on a side."""
# Copyright (c) 2026 the kvm4nfv authors
# SPDX-License-Identifier: GPL-2.0-or-later

from __future__ import annotations

import argparse
from contextlib import ExitStack, contextmanager
from dataclasses import replace
import os
from pathlib import Path
import tempfile
from typing import Iterator, Sequence

from . import backing, contender, guest, host, stress
from .contender import Contender
from .progress import Failure, Progress
from .vm import Vm

START_TIMEOUT = 60
BOOT_TIMEOUT = {'kvm': 20, 'tcg': 180}
ANSWER_TIMEOUT = 60
# Of all guests of one test.
VCPUS = 2
PROBE_MEMORY, LINUX_MEMORY, STRESS_MEMORY = 64, 256, 768


class Bench:
    """Tests call vcpu_cpus(), accelerator() and boot(); the rest is for the session that runs them.

    directory: a temporary one of this run; real_time: RT throttling is off; granted: host CPUs that we may use.
    """

    def __init__(self, options: argparse.Namespace, progress: Progress, directory: Path):
        self.options, self.progress, self.directory = options, progress, directory
        self.granted = sorted(host.granted_cpus())
        self.isolated = host.isolated_cpus()
        self.real_time = False
        self.accelerators: dict[str, str] = {}
        self.huge_problem: str | None = None
        self.may_lock = contender.may_lock()

    def vcpu_cpus(self, vcpus: int) -> list[int]:
        """Host CPUs for so many vCPUs, of all guests together; none if nothing would be left for housekeeping."""
        return host.choose_cpus(self.granted, self.isolated, vcpus)[0]

    def all_vcpu_cpus(self) -> list[int]:
        """Those that any test may use for vCPUs."""
        return sorted({cpu for vcpus in range(1, VCPUS + 1) for cpu in self.vcpu_cpus(vcpus)})

    def housekeeping(self, vcpu_cpus: Sequence[int]) -> list[int]:
        return [cpu for cpu in self.granted if cpu not in vcpu_cpus]

    def probe(self, **words: object) -> guest.Probe:
        return guest.Probe(self.options.probe, **words)

    def linux(self, load: stress.Stress = stress.IDLE, **words: object) -> guest.Linux:
        """load: what the guest is to do besides; boot() starts it."""
        initrd = self.options.stress_initrd if load.guest else self.options.initrd
        return guest.Linux(self.options.kernel, initrd, stress=load.arguments() if load.guest else (), **words)

    def accelerator(self, system: guest.Linux | guest.Probe, side: Contender) -> str:
        """KVM if such a guest really runs with it here, else TCG; tried once for each kind of guest."""
        if self.options.accel != 'auto':
            return self.options.accel
        kind = type(system).__name__
        if kind not in self.accelerators:
            self.accelerators[kind] = self._try_kvm(system, side)
        return self.accelerators[kind]

    def _try_kvm(self, system: guest.Linux | guest.Probe, side: Contender) -> str:
        why = '/dev/kvm is missing or not for this user'
        if os.access('/dev/kvm', os.R_OK | os.W_OK):
            try:
                with ExitStack() as stack:
                    vm = Vm('trial of kvm', self.directory, self.progress)
                    stack.callback(vm.end)
                    vm.start([side.qemu, '-machine', 'q35', '-accel', 'kvm', '-cpu', 'host', '-nodefaults',
                              '-m', str(LINUX_MEMORY), *system.arguments()], START_TIMEOUT, ())
                    vm.expect('ready', BOOT_TIMEOUT['kvm'])
                return 'kvm'
            except Failure as failure:
                why = str(failure).splitlines()[0]
        self.progress.say(f'{type(system).__name__} guest: using TCG, because with KVM: {why}')
        return 'tcg'

    def command(self, side: Contender, system: guest.Linux | guest.Probe, memory: int, smp: int,
                vcpu_cpus: Sequence[int], huge: bool, arguments: Sequence[str]) -> list[str]:
        accel = self.accelerator(system, side)
        cpu = self.options.cpu or ('host' if accel == 'kvm' else 'max')
        return [side.qemu, *contender.arguments(side, memory, smp, vcpu_cpus, huge, self.may_lock), '-accel', accel,
                '-cpu', cpu, *system.arguments(), *arguments]

    @contextmanager
    def boot(self, side: Contender, system: guest.Linux | guest.Probe, *, memory: int = 0, smp: int = 1,
             arguments: Sequence[str] = (), name: str = 'guest', vcpu_cpus: Sequence[int] | None = None,
             own_memory: bool = False, small_pages: bool = False, incoming: bool = False,
             traces: Sequence[str] = (), prefix: Sequence[str] = ()) -> Iterator[Vm]:
        """A guest of `system` that runs and is ready, placed as the side does it; ended at exit.

        memory: MiB, 0: enough for that guest; arguments: for QEMU, the same for each side; vcpu_cpus: the host CPUs of
        its vCPUs, None: chosen, empty: not placed at all; own_memory: `arguments` bring the memory backend (`-object
        …,id=X -machine memory-backend=X`); small_pages: no huge pages on any side; incoming: wait for a migration
        instead of being ready; prefix: of the command, which must become QEMU by exec. Its name must differ from
        those of guests that run beside it.
        """
        memory = memory or (PROBE_MEMORY if isinstance(system, guest.Probe) else
                            STRESS_MEMORY if system.stress else LINUX_MEMORY)
        cpus = self.vcpu_cpus(smp) if vcpu_cpus is None else list(vcpu_cpus)
        with ExitStack() as stack:
            if small_pages and side.name == 'fork':
                side = replace(side, machine=','.join(filter(None, ('hugepages=off', side.machine))))
            huge = side.name != 'stock' and not (own_memory or small_pages) and self._reserve(stack, memory)
            command = self.command(side, system, memory, smp, cpus, huge, arguments)
            if incoming:
                # With -S it would not go on after the migration; no vCPU runs before that anyway.
                command = [word for word in command if word != '-S'] + ['-incoming', 'defer']
            directory = Path(stack.enter_context(tempfile.TemporaryDirectory(dir=self.directory)))
            vm = Vm(name, directory, self.progress)
            stack.callback(vm.end)
            vm.start([*prefix, *command], START_TIMEOUT, traces)
            if side.name == 'tuned':
                self._tune(vm, cpus)
            if side.name == 'tuned' and not incoming:
                vm.qmp('cont')
            if not incoming:
                vm.ready = vm.expect('ready', BOOT_TIMEOUT[self.accelerator(system, side)])[-1]
                if system.stress:
                    vm.ask(f'stress {" ".join(system.stress)}', 'stressed', ANSWER_TIMEOUT)
            yield vm

    def _tune(self, vm: Vm, cpus: Sequence[int]) -> None:
        if cpus:
            threads = [cpu['thread-id'] for cpu in vm.qmp('query-cpus-fast')]
            contender.place(vm.pid, threads, cpus, self.housekeeping(cpus), self.real_time)

    def _reserve(self, stack: ExitStack, memory: int) -> bool:
        """Huge pages for a guest, given back when `stack` ends; without them the run goes on, and says it once."""
        try:
            stack.enter_context(backing.huge_pages(memory))
            return True
        except Failure as failure:
            if self.huge_problem is None:
                self.huge_problem = str(failure)
                self.progress.say(f'guests have no huge pages: {failure}')
            return False


def problem(side: Contender, kind: stress.Stress) -> str | None:
    """What is missing for a run of that side under that load."""
    try:
        side.check()
    except Failure as failure:
        return str(failure)
    return stress.problem(kind)
