"""Checks: the host CPUs of vCPUs are fast and awake."""
# Copyright (c) 2026 the kvm4nfv authors
# SPDX-License-Identifier: GPL-2.0-or-later

from __future__ import annotations

from collections import defaultdict

from . import bootline
from .cpulist import format_list
from .finding import Finding, Level, judged
from .mend import Advice, Boot, Command
from .root import Root
from .target import CPU, Target

DEEP = 10       # us to leave a C-state


def governor(root: Root, target: Target) -> Finding:
    why = 'a CPU that has slowed down is slow when the packet comes'
    found = defaultdict(set)
    for cpu in target.guest:
        name = root.read(f'{CPU}/cpu{cpu}/cpufreq/scaling_governor')
        if name:
            found[name].add(cpu)
    if not found:
        return Finding('governor', Level.WARN, 'no cpufreq', why, (
            Advice('in the firmware: power profile "maximum performance"; a virtual host inherits that of its own host'),))
    return judged('governor', set(found) == {'performance'},
                  ', '.join(f'{name} on {format_list(cpus)}' for name, cpus in sorted(found.items())), why,
                  Command('cpupower -c {} frequency-set -g performance'.format(target.guests)))


def deep_states(root: Root, cpu: int) -> dict[str, int]:
    """C-states of a CPU that are on and take long to leave: name and us."""
    found = {}
    for state in root.names(f'{CPU}/cpu{cpu}/cpuidle'):
        top = f'{CPU}/cpu{cpu}/cpuidle/{state}'
        latency = root.number(f'{top}/latency') or 0
        if latency > DEEP and root.read(f'{top}/disable') != '1':
            found[root.read(f'{top}/name') or state] = latency
    return found


def c_states(root: Root, target: Target) -> Finding:
    deep: dict[str, int] = {}
    where = set()
    for cpu in target.guest:
        here = deep_states(root, cpu)
        deep.update(here)
        where |= {cpu} if here else set()
    driver = root.read(f'{CPU}/cpuidle/current_driver') or 'none'
    if not deep:
        limit = ', idle=poll' if bootline.value(root, 'idle') == 'poll' else ''
        found = f'none that takes more than {DEEP} us to leave (driver: {driver}{limit})'
    else:
        found = ', '.join(f'{name} {us} us' for name, us in sorted(deep.items(), key=lambda item: item[1])) + \
            f' on {format_list(where)}'
    return judged('c-states', not deep, found,
                  'an idle vCPU lets its host CPU sleep, and the next interrupt waits until it is awake',
                  Command(f'cpupower -c {target.guests} idle-set -D {DEEP}'),
                  Boot('intel_idle.max_cstate=1 processor.max_cstate=1', auto=False))


CHECKS = (governor, c_states)
