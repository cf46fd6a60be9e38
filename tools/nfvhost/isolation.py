"""Checks: nothing but a vCPU runs on a vCPU's host CPU."""
# Copyright (c) 2026 the kvm4nfv authors
# SPDX-License-Identifier: GPL-2.0-or-later

from __future__ import annotations

from . import bootline
from .cpulist import format_list, format_mask, parse_mask
from .finding import Finding, Level, judged
from .mend import Advice, Boot, Command, Sysctl, Sysfs
from .root import Root
from .target import CPU, Target, isolated


def cpus(_root: Root, target: Target) -> Finding:
    found = f'{target.guests} for guests ({target.origin}), {target.others} for everything else'
    return judged('cpus', bool(target.guest and target.housekeeping), found,
                  'a vCPU needs a host CPU of its own, and at least one must be left for interrupts and other threads',
                  Advice('give the host more CPUs, or name those of the guests with --cpus'))


def isolation(root: Root, target: Target) -> Finding:
    missing = target.guest - isolated(root)
    found = f'{format_list(isolated(root))} isolated' + (f', {format_list(missing)} is not' if missing else '')
    return judged('isolcpus', bool(target.guest) and not missing, found,
                  'the scheduler may put any task on a CPU that is not isolated, and a vCPU then waits for it',
                  Boot(f'isolcpus=managed_irq,domain,{target.guests}'))


def managed_irq(root: Root, target: Target) -> Finding:
    value = bootline.value(root, 'isolcpus') or ''
    return judged('managed-irq', 'managed_irq' in value.split(','), f'isolcpus={value}' if value else 'no isolcpus=',
                  'drivers such as nvme place an interrupt on every CPU and no one can move it, unless managed_irq is set',
                  Boot(f'isolcpus=managed_irq,domain,{target.guests}'), bad=Level.WARN)


def nohz_full(root: Root, target: Target) -> Finding:
    have = root.cpus(f'{CPU}/nohz_full')
    return judged('nohz_full', bool(target.guest) and target.guest <= have, format_list(have),
                  'without it the timer tick interrupts a running vCPU 100 to 1000 times a second',
                  Boot(f'nohz_full={target.guests}'))


def rcu_nocbs(root: Root, target: Target) -> Finding:
    last = target.width - 1
    value = bootline.value(root, 'rcu_nocbs')
    everyone = set(range(last + 1)) if value == '' else set()
    have = bootline.cpus(root, 'rcu_nocbs', last) | root.cpus(f'{CPU}/nohz_full') | everyone
    return judged('rcu_nocbs', bool(target.guest) and target.guest <= have, format_list(have),
                  'RCU callbacks run as softirqs on the CPU of a vCPU; nohz_full= and rcu_nocbs= move them away',
                  Boot(f'rcu_nocbs={target.guests}'))


def workqueues(root: Root, target: Target) -> Finding:
    path = '/sys/devices/virtual/workqueue/cpumask'
    text = root.read(path)
    have = parse_mask(text) if text else set()
    return judged('workqueues', text is not None and not have & target.guest,
                  f'unbound work on {format_list(have)}' if text else 'unknown',
                  'unbound kernel work would run on the CPU of a vCPU',
                  Sysfs(path, format_mask(target.housekeeping, target.width)), bad=Level.WARN)


def watchdog(root: Root, target: Target) -> Finding:
    on = {name for name in ('nmi_watchdog', 'soft_watchdog') if root.number(f'/proc/sys/kernel/{name}') == 1}
    where = root.cpus('/proc/sys/kernel/watchdog_cpumask')
    hit = target.guest & where if on else set()
    found = f'{" and ".join(sorted(on))} on {format_list(where)}' if on else 'off'
    return judged('watchdog', not hit, found,
                  'each watchdog wakes its CPU every few seconds, a running vCPU with it',
                  Sysctl('kernel.watchdog_cpumask', target.others), bad=Level.WARN)


def vmstat(root: Root, _target: Target) -> Finding:
    value = root.number('/proc/sys/vm/stat_interval')
    return judged('vmstat', value is not None and value >= 60, 'unknown' if value is None else f'every {value} s',
                  'memory statistics of each CPU are folded that often, by a kernel thread that preempts the vCPU',
                  Sysctl('vm.stat_interval', '120'), bad=Level.WARN)


def siblings(root: Root, target: Target) -> Finding:
    """Two kinds of trouble: a core is shared with what keeps house, or by two CPUs of guests."""
    why = 'two threads share one core: what runs on one takes time and cache from a vCPU on the other'
    control = root.read(f'{CPU}/smt/control') or 'unknown'
    mixed = {cpu for cpu in target.guest if target.core[cpu] - target.guest}
    shared = {cpu for cpu in target.guest if len(target.core[cpu]) > 1}
    if mixed:
        others = set().union(*(target.core[cpu] for cpu in mixed)) - target.guest
        return Finding('siblings', Level.FAIL, f'{format_list(mixed)} share cores with {format_list(others)}', why, (
            Command('echo off > /sys/devices/system/cpu/smt/control'),
            Advice('or give a guest both threads of each core: --cpus ' + format_list(
                cpu for cpu in target.guest if cpu not in mixed))))
    if shared:
        return Finding('siblings', Level.WARN, f'{format_list(shared)} are threads of shared cores', why, (
            Command('echo off > /sys/devices/system/cpu/smt/control'), Boot('nosmt', auto=False),
            Advice('or give each guest both threads of a core, one of them without work')))
    return Finding('siblings', Level.PASS, f'no core is shared (SMT: {control})', why)


CHECKS = (cpus, isolation, managed_irq, nohz_full, rcu_nocbs, workqueues, watchdog, vmstat, siblings)
