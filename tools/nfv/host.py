"""The host's part: which CPUs the guest gets, and real-time throttling."""
# Copyright (c) 2026 the kvm4nfv authors
# SPDX-License-Identifier: GPL-2.0-or-later

from __future__ import annotations

from contextlib import contextmanager
import os
from pathlib import Path
from typing import Any, Callable, ContextManager, Iterable, Iterator

from . import shared

FAIR_SERVERS = Path('/sys/kernel/debug/sched/fair_server')
RT_RUNTIME = Path('/proc/sys/kernel/sched_rt_runtime_us')
# Of root's alone, as the setting is.
RT_USERS = Path('/run/kvm4nfv-rt-runtime')
USERFAULTFD = Path('/proc/sys/vm/unprivileged_userfaultfd')
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


def fair_servers(cpus: Iterable[int]) -> dict[str, str]:
    """The files of those CPUs by which starving tasks get a part of each second, and what is in them; only what is on."""
    found = {}
    for path in (FAIR_SERVERS / f'cpu{cpu}' / 'runtime' for cpu in cpus):
        try:
            found[str(path)] = path.read_text(encoding='ascii').strip()
        except OSError:
            pass
    return {path: value for path, value in found.items() if value != '0'}


def postcopy_problem() -> str | None:
    """Why this user's QEMU cannot have post-copy."""
    try:
        allowed = USERFAULTFD.read_text(encoding='ascii').strip() != '0'
    except OSError:
        allowed = True
    if allowed or os.geteuid() == 0 or os.access('/dev/userfaultfd', os.R_OK | os.W_OK):
        return None
    return 'post-copy needs userfaultfd: run as root, or sysctl -w vm.unprivileged_userfaultfd=1'


@contextmanager
def unthrottled(say: Callable[[str], None], cpus: Iterable[int] = ()) -> Iterator[bool]:
    """No real-time throttling inside, if this user can: it would stop a busy SCHED_FIFO vCPU for 50 ms of every second.

    Nor, on these CPUs, a fair server, which does that on newer kernels. Yields whether throttling is off. Of several
    runs at once the last one restores it, also for one that was killed.
    """
    before, fair = _read_runtime(), fair_servers(cpus)
    if before == '-1' and not fair and not RT_USERS.exists():
        yield True
        return
    try:
        changed = _enter(fair)
    except OSError as error:
        if before != '-1':
            say(f'kernel.sched_rt_runtime_us stays {before} ({error.strerror}), so the vCPUs are pinned but not '
                'SCHED_FIFO; as root: sysctl -w kernel.sched_rt_runtime_us=-1')
        yield before == '-1'
        return
    for what in changed:
        say(f'{what} during this run')
    try:
        yield True
    finally:
        _leave()


def throttled_again() -> bool:
    """Whether something else has switched it on while we had it off; then it is off again."""
    if _read_runtime() == '-1' or not RT_USERS.exists():
        return False
    RT_RUNTIME.write_text('-1', encoding='ascii')
    return True


def _read_runtime() -> str:
    try:
        return RT_RUNTIME.read_text(encoding='ascii').strip()
    except OSError:
        return '-1'


def _users() -> ContextManager[dict[str, Any]]:
    """Who has switched it off, and what it was: `before` and the process ids `users`."""
    return shared.state(RT_USERS)


def _enter(fair: dict[str, str]) -> list[str]:
    """What was changed, in words."""
    now = _read_runtime()
    changed = [f'kernel.sched_rt_runtime_us is -1 (it was {now})'] if now != '-1' else []
    with _users() as state:
        RT_RUNTIME.write_text('-1', encoding='ascii')
        if now != '-1':
            state['before'] = now
        state['users'].append(os.getpid())
        for path, value in fair.items():
            try:
                Path(path).write_text('0', encoding='ascii')
            except OSError as error:
                changed.append(f'{path} stays {value} ({error.strerror})')
                continue
            state.setdefault('fair', {}).setdefault(path, value)
            changed.append(f'{path} is 0 (it was {value})')
    return changed


def _leave() -> None:
    with _users() as state:
        if os.getpid() in state['users']:
            state['users'].remove(os.getpid())
        if not state['users']:
            RT_RUNTIME.write_text(state.pop('before', '-1'), encoding='ascii')
            for path, value in state.pop('fair', {}).items():
                Path(path).write_text(value, encoding='ascii')
