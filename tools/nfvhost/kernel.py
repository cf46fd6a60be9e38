"""Checks: the kernel lets a real-time thread run on time."""
# Copyright (c) 2026 the kvm4nfv authors
# SPDX-License-Identifier: GPL-2.0-or-later

from __future__ import annotations

import re

from . import bootline
from .cpulist import format_list
from .finding import Finding, Level, judged
from .mend import Advice, Boot, Command, Sysctl
from .root import Root
from .target import Target

CGROUPS = ('/sys/fs/cgroup/cpu', '/sys/fs/cgroup/cpu,cpuacct')


def preemption(root: Root, _target: Target) -> Finding:
    release = root.read('/proc/sys/kernel/osrelease') or 'unknown kernel'
    version = root.read('/proc/sys/kernel/version') or ''
    real = root.read('/sys/kernel/realtime') == '1' or 'PREEMPT_RT' in version
    model = 'PREEMPT_RT' if real else next((word for word in version.split() if word.startswith('PREEMPT')), 'no PREEMPT')
    return judged('preempt_rt', real, f'{release}, {model}',
                  'without PREEMPT_RT an interrupt or a lock holder in the kernel delays a vCPU without a bound',
                  Command('apt-get install linux-image-rt-amd64'), Advice('that is Debian; elsewhere the package is often kernel-rt'),
                  bad=Level.WARN)


def throttling(root: Root, _target: Target) -> Finding:
    value = root.number('/proc/sys/kernel/sched_rt_runtime_us')
    period = root.number('/proc/sys/kernel/sched_rt_period_us') or 1000000
    found = 'unknown' if value is None else 'off' if value == -1 else f'after {value} of {period} us'
    return judged('rt-throttling', value == -1, found,
                  'a SCHED_FIFO vCPU that polls is stopped for the rest of each period; rt=auto then only pins it',
                  Sysctl('kernel.sched_rt_runtime_us', '-1'))


def fair_server(root: Root, target: Target) -> Finding:
    why = 'it takes the CPU from a SCHED_FIFO vCPU for a part of each second if another task starves, whatever RT throttling says'
    top = '/sys/kernel/debug/sched/fair_server'
    runtime = {cpu: root.number(f'{top}/cpu{cpu}/runtime') for cpu in sorted(target.guest)}
    on = {cpu for cpu, ns in runtime.items() if ns}
    if on:
        return Finding('fair-server', Level.WARN, f'{max(runtime[cpu] or 0 for cpu in on) // 1000} us a second on {format_list(on)}',
                       why, (Command(f'for cpu in {" ".join(map(str, sorted(on)))}; do echo 0 > {top}/cpu$cpu/runtime; done'),))
    if any(ns == 0 for ns in runtime.values()):
        return Finding('fair-server', Level.PASS, 'off', why)
    found = [int(number) for number in re.findall(r'\d+', root.read('/proc/sys/kernel/osrelease') or '')[:2]]
    if not found or found < [6, 12]:
        return Finding('fair-server', Level.PASS, 'not in this kernel', why)
    return Finding('fair-server', Level.WARN, 'in this kernel; it does not show whether it is on', why, (
        Command('mount -t debugfs debugfs /sys/kernel/debug'),
        Advice(f'then look at {top}; where that is not allowed, keep all other tasks off the guests\' host CPUs')))


def group_budget(root: Root, _target: Target) -> Finding:
    """Where the kernel has RT_GROUP_SCHED, a control group without a budget may not have SCHED_FIFO threads."""
    why = 'with RT_GROUP_SCHED a control group needs a real-time budget, or SCHED_FIFO is refused there'
    for top in CGROUPS:
        if root.read(f'{top}/cpu.rt_runtime_us') is None:
            continue
        budget = root.number(f'{top}/machine.slice/cpu.rt_runtime_us')
        return judged('rt-group', budget is None or budget != 0,
                      'no machine.slice yet' if budget is None else f'machine.slice has {budget} us', why,
                      Command(f'echo 900000 > {top}/machine.slice/cpu.rt_runtime_us'))
    option = root.config('CONFIG_RT_GROUP_SCHED')
    if option == 'y' and bootline.value(root, 'rt_group_sched') not in ('0', 'no', 'off'):
        return Finding('rt-group', Level.FAIL, 'RT_GROUP_SCHED with cgroup v2', why, (
            Boot('rt_group_sched=0'), Advice('or, where the kernel does not know that parameter, one without CONFIG_RT_GROUP_SCHED')))
    return Finding('rt-group', Level.PASS, 'no budgets' if option is not None else 'no budgets seen', why)


def clocksource(root: Root, _target: Target) -> Finding:
    value = root.read('/sys/devices/system/clocksource/clocksource0/current_clocksource')
    return judged('clocksource', value == 'tsc', value or 'unknown',
                  'another clock is read through the kernel or a device, and guests get no kvm-clock from the TSC',
                  Boot('clocksource=tsc tsc=reliable', auto=False))


def tsc(root: Root, _target: Target) -> Finding:
    missing = [flag for flag in ('constant_tsc', 'nonstop_tsc', 'tsc_deadline_timer') if flag not in root.flags()]
    if 'AuthenticAMD' in root.cpuinfo().get('vendor_id', '') and missing == ['tsc_deadline_timer']:
        missing = []        # older ones have a precise APIC timer instead
    return judged('tsc', not missing, f'without {", ".join(missing)}' if missing else 'constant, does not stop',
                  'a TSC that changes its rate or stops when idle makes the time of guests drift, and migration with it',
                  Advice('take a CPU with an invariant TSC; on a virtual host, pass it through: -cpu host,migratable=off,+invtsc'),
                  bad=Level.FAIL if 'constant_tsc' in missing else Level.WARN)


def smi(root: Root, target: Target) -> Finding:
    why = 'firmware takes all CPUs for up to milliseconds; the operating system cannot prevent it'
    counts = {cpu: root.smis(cpu) for cpu in sorted(target.online)}
    known = {cpu: value for cpu, value in counts.items() if value}
    if not known:
        return Finding('smi', Level.WARN, 'not counted', why, (
            Command('modprobe msr'), Advice('on AMD: perf stat -a -e ls_smi_rx -- sleep 10')))
    most = max(known.values(), key=lambda value: value[0])
    return judged('smi', most[0] == 0, f'{most[0]} in {most[1]:.1f} s', why,
                  Advice('in the firmware: USB legacy support, power capping, memory patrol and health reporting by SMI off'))


CHECKS = (preemption, throttling, fair_server, group_budget, clocksource, tsc, smi)
