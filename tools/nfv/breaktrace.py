"""A trace of the host's kernel that is kept when a latency was above a limit, to name what caused it.

The trace has an instance of its own in tracefs, so that it does not meet those of others.
"""
# Copyright (c) 2026 the kvm4nfv authors
# SPDX-License-Identifier: GPL-2.0-or-later

from __future__ import annotations

from dataclasses import dataclass
import json
import os
from pathlib import Path
import re
import subprocess
import time
from typing import Callable, Iterable

from .contender import Contender
from .progress import Failure, Progress
from .vm import Vm

MOUNTS = (Path('/sys/kernel/tracing'), Path('/sys/kernel/debug/tracing'))
EVENTS = ('sched/sched_switch', 'sched/sched_waking', 'sched/sched_migrate_task', 'irq', 'irq_vectors',
          'timer/hrtimer_expire_entry', 'workqueue/workqueue_execute_start')
BUFFER_KIB = 8192
MOST = 4                                # culprits that are told
SWITCH = re.compile(r'^\s*(?P<task>.+?)-(?P<pid>\d+)\s+\[(?P<cpu>\d+)\]\s+\S+\s+(?P<time>\d+\.\d+): sched_switch: '
                    r'prev_comm=(?P<prev>.+?) prev_pid=(?P<prev_pid>\d+) .*==> next_comm=(?P<next>.+?) '
                    r'next_pid=(?P<next_pid>\d+)')


class Broken(Failure):
    """A latency was above the limit; says where the trace is and what it shows."""


@dataclass(frozen=True)
class Culprit:
    """A task that had the host CPU instead of the vCPU."""

    name: str
    pid: int
    us: float


def culprits(trace: str, threads: Iterable[int], window_us: float) -> list[Culprit]:
    """Who ran for how long on the CPU that these threads last ran on, in the end of the trace; the longest first. Pure.

    Idle counts, too: then the vCPU was not woken in time.
    """
    threads = set(threads)
    switches = [found for line in trace.splitlines() if (found := SWITCH.match(line))]
    cpu = next((one['cpu'] for one in reversed(switches)
                if int(one['next_pid']) in threads or int(one['prev_pid']) in threads), None)
    on_cpu = [one for one in switches if one['cpu'] == cpu]
    if not on_cpu:
        return []
    end = float(switches[-1]['time'])
    ran: dict[tuple[str, int], float] = {}
    for one, after in zip(on_cpu, [*(float(later['time']) for later in on_cpu[1:]), end]):
        us = (after - max(float(one['time']), end - window_us / 1e6)) * 1e6
        key = one['next'], int(one['next_pid'])
        if us > 0 and key[1] not in threads:
            ran[key] = ran.get(key, 0) + us
    return sorted((Culprit(name, pid, us) for (name, pid), us in ran.items()), key=lambda one: -one.us)


def told(what: str, found: list[Culprit]) -> list[str]:
    """Pure."""
    if not found:
        return [f'    on the host CPU of the {what} nothing else ran']
    return [f'    on the host CPU of the {what} ran '
            f'{"nothing" if not one.pid else f"{one.name} ({one.pid})"} for {one.us:.0f} µs' for one in found[:MOST]]


def problem() -> str | None:
    if os.geteuid() != 0:
        return '--breaktrace needs root, for tracefs'
    if not any((mount / 'instances').is_dir() for mount in MOUNTS) and not Path('/sys/kernel/tracing').is_dir():
        return '--breaktrace: this kernel has no tracefs'
    return None


def _tracefs() -> tuple[Path, bool]:
    """Where it is, and whether we mounted it."""
    for mount in MOUNTS:
        if (mount / 'instances').is_dir():
            return mount, False
    done = subprocess.run(['mount', '-t', 'tracefs', 'nodev', str(MOUNTS[0])], capture_output=True, text=True,
                          check=False)
    if done.returncode:
        raise Failure(f'--breaktrace: cannot mount tracefs: {done.stderr.strip()}')
    return MOUNTS[0], True


class Trace:
    def __init__(self, limit_us: int, vm: Vm, side: Contender, progress: Progress):
        self.limit, self.vm, self.side, self.progress = limit_us, vm, side, progress
        self.mounted = False
        self.instance: Path | None = None

    def __enter__(self) -> Trace:
        if why := problem():
            raise Failure(why)
        root, self.mounted = _tracefs()
        try:
            self.instance = root / 'instances' / f'nfv-bench.{os.getpid()}'
            self.instance.mkdir()
            self._put('buffer_size_kb', str(BUFFER_KIB))
            for event in EVENTS:
                if (self.instance / 'events' / event).is_dir():
                    self._put(f'events/{event}/enable', '1')
            self._put('tracing_on', '1')
        except OSError as error:
            self.__exit__()
            raise Failure(f'--breaktrace: cannot use tracefs: {error}') from error
        return self

    def __exit__(self, *_: object) -> None:
        if self.instance and self.instance.is_dir():
            for name, value in (('tracing_on', '0'), ('events/enable', '0')):
                self._put(name, value)
            self.instance.rmdir()
        if self.mounted:
            subprocess.run(['umount', str(MOUNTS[0])], capture_output=True, check=False)

    def _put(self, name: str, value: str) -> None:
        assert self.instance
        (self.instance / name).write_text(value, encoding='ascii')

    def follow(self, broke: Callable[[], bool], seconds: float) -> None:
        """Raises Broken as soon as broke() is true; returns after so long if it never is."""
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            self.progress.tick()
            if broke():
                self._put('tracing_on', '0')
                raise Broken(self._keep())

    def _keep(self) -> str:
        """Writes the trace and query-nfv into the current directory, where the user finds them."""
        assert self.instance
        threads = [cpu['thread-id'] for cpu in self.vm.qmp('query-cpus-fast')]
        trace = (self.instance / 'trace').read_text(encoding='utf-8', errors='replace')
        path = Path(f'nfv-bench-trace.{os.getpid()}.{self.side.name}.txt')
        path.write_text(trace, encoding='utf-8')
        lines = [f'{self.side.name}: a latency was above {self.limit} µs (--breaktrace); the kernel\'s trace is in '
                 f'{path}']
        if not self.side.stock:
            state = path.with_suffix('.json')
            state.write_text(json.dumps(self.vm.qmp('query-nfv'), indent=1) + '\n', encoding='utf-8')
            lines.append(f'query-nfv is in {state}')
        # The main loop raises what the kernel does not: nfv-pulse, and with TCG every timer.
        for what, of in (('vCPU', threads), ('main loop', [self.vm.pid])):
            lines += told(what, culprits(trace, of, max(2 * self.limit, 1000)))
        return '\n'.join(lines)
