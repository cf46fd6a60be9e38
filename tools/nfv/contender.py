"""The three that a latency test compares, and how each is started and placed on the host.

fork: -M nfv, which places its threads itself. stock: -M q35 of stock QEMU as anybody would start it. tuned: stock
QEMU after the recipe of the real-time guides: memory in huge pages and locked, the vCPU threads on host CPUs of their
own and SCHED_FIFO, all other threads elsewhere, timers that nobody needs left out. What taskset and chrt would do is
done by the same system calls, before the vCPUs run.
"""
# Copyright (c) 2026 the kvm4nfv authors
# SPDX-License-Identifier: GPL-2.0-or-later

from __future__ import annotations

from dataclasses import dataclass
import os
from pathlib import Path
import resource
from typing import Iterable, Sequence

from .progress import Failure
from .side import Side

NAMES = ('fork', 'stock', 'tuned')
TITLES = {'fork': 'fork, -M nfv', 'stock': 'stock, as it comes', 'tuned': 'stock, tuned by hand'}
FIFO_PRIORITY = 1


@dataclass(frozen=True)
class Contender:
    """arguments: further ones for QEMU, machine: further options of its machine type, both of the user."""

    name: str
    qemu: str
    machine: str = ''
    arguments: tuple[str, ...] = ()

    @property
    def title(self) -> str:
        return TITLES[self.name]

    @property
    def stock(self) -> bool:
        return self.name != 'fork'

    def check(self) -> None:
        Side('stock' if self.stock else 'fork', self.qemu, '').check()

    def version(self) -> str:
        return Side(self.name, self.qemu, '').version()


def machine(side: Contender, vcpu_cpus: Sequence[int]) -> str:
    """The machine type with its options. Pure."""
    words = {'fork': 'nfv', 'stock': 'q35', 'tuned': 'q35,hpet=off,vmport=off,mem-merge=off'}[side.name]
    if side.name == 'fork' and vcpu_cpus:
        words += f',vcpu-cpus={":".join(map(str, vcpu_cpus))},rt=auto'
    return f'{words},{side.machine}' if side.machine else words


def may_lock() -> bool:
    """Whether this user may lock memory without a limit."""
    return os.geteuid() == 0 or resource.getrlimit(resource.RLIMIT_MEMLOCK)[0] == resource.RLIM_INFINITY


def may_be_real_time() -> bool:
    """Whether this user may give its threads SCHED_FIFO."""
    return os.geteuid() == 0 or resource.getrlimit(resource.RLIMIT_RTPRIO)[0] >= FIFO_PRIORITY


def arguments(side: Contender, memory: int, smp: int, vcpu_cpus: Sequence[int], huge: bool,
              lock: bool = True) -> list[str]:
    """Of QEMU: machine, memory (MiB) and vCPUs. huge: huge pages for all of it are reserved; lock: it may be. Pure."""
    # Default devices (a DVD drive, a display, a NIC) are left out for all: management tools do that, too, and with
    # TCG SeaBIOS was seen to hang at the drive.
    result = ['-machine', machine(side, vcpu_cpus), '-m', str(memory), '-smp', str(smp), '-nodefaults']
    if side.name == 'tuned':
        result.append('-S')
        if lock:
            result += ['-overcommit', 'mem-lock=on-fault']
        if huge:
            result += ['-object', f'memory-backend-memfd,id=ram,size={memory}M,share=on,hugetlb=on,hugetlbsize=2M,'
                       'prealloc=on', '-machine', 'memory-backend=ram']
    return [*result, *side.arguments]


def place(pid: int, vcpu_threads: Sequence[int], vcpu_cpus: Sequence[int], housekeeping: Iterable[int],
          real_time: bool) -> None:
    """What the recipe does to a QEMU that is stopped: each vCPU thread to its host CPU, all others to the rest."""
    housekeeping = set(housekeeping)
    for task in Path(f'/proc/{pid}/task').iterdir():
        if int(task.name) not in vcpu_threads:
            try:
                os.sched_setaffinity(int(task.name), housekeeping)
            except ProcessLookupError:
                pass
    for thread, cpu in zip(vcpu_threads, vcpu_cpus):
        os.sched_setaffinity(thread, {cpu})
        if real_time:
            try:
                os.sched_setscheduler(thread, os.SCHED_FIFO | os.SCHED_RESET_ON_FORK, os.sched_param(FIFO_PRIORITY))
            except PermissionError as error:
                raise Failure('stock tuned by hand needs SCHED_FIFO: run as root, or raise RLIMIT_RTPRIO '
                              '(ulimit -r), or leave it out with --sides fork,stock') from error
