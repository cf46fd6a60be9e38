"""The host's part: which CPUs the guest gets, and real-time throttling."""
# Copyright (c) 2026 the kvm4nfv authors
# SPDX-License-Identifier: GPL-2.0-or-later

from __future__ import annotations

from contextlib import contextmanager
import os
from pathlib import Path
from typing import Callable, Iterable, Iterator

RT_RUNTIME = Path('/proc/sys/kernel/sched_rt_runtime_us')
ISOLATED = Path('/sys/devices/system/cpu/isolated')


def parse_cpus(text: str) -> set[int]:
    """The kernel's list format: 1-3,5"""
    cpus: set[int] = set()
    for part in filter(None, text.strip().split(',')):
        first, _, last = part.partition('-')
        cpus.update(range(int(first), int(last or first) + 1))
    return cpus


def choose_cpus(granted: Iterable[int], isolated: Iterable[int], vcpus: int) -> tuple[list[int], list[int]]:
    """A CPU a vCPU for source and destination: isolated ones first, then the last ones.

    Both ends get the same ones if there are too few, which is fine as only one end runs at a time. None at all if
    nothing would be left for housekeeping.
    """
    isolated = set(isolated)
    order = sorted(granted, key=lambda cpu: (cpu not in isolated, -cpu))
    if len(order) <= vcpus:
        return [], []
    source = sorted(order[:vcpus])
    return source, sorted(order[vcpus:2 * vcpus]) if len(order) > 2 * vcpus else source


def granted_cpus() -> set[int]:
    """Inherited affinity is not the limit: ask for all, see what the kernel gives."""
    mine = os.sched_getaffinity(0)
    try:
        os.sched_setaffinity(0, range(os.cpu_count() or 1))
        return os.sched_getaffinity(0)
    except OSError:
        return mine
    finally:
        os.sched_setaffinity(0, mine)


def isolated_cpus() -> set[int]:
    try:
        return parse_cpus(ISOLATED.read_text())
    except (OSError, ValueError):
        return set()


@contextmanager
def unthrottled(say: Callable[[str], None]) -> Iterator[None]:
    """No real-time throttling inside: it would stop a busy SCHED_FIFO vCPU for 50 ms of every second."""
    try:
        before = RT_RUNTIME.read_text().strip()
    except OSError:
        before = '-1'
    if before == '-1':
        yield
        return
    try:
        RT_RUNTIME.write_text('-1')
    except OSError as error:
        say(f'kernel.sched_rt_runtime_us stays {before} ({error.strerror}), so the vCPUs are pinned but not SCHED_FIFO;'
            ' as root: sysctl -w kernel.sched_rt_runtime_us=-1')
        yield
        return
    say(f'kernel.sched_rt_runtime_us is -1 during this run (it was {before})')
    try:
        yield
    finally:
        RT_RUNTIME.write_text(before)
