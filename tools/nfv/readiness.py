"""How ready a host is for real-time guests, and what would make it so. Pure."""
# Copyright (c) 2026 the kvm4nfv authors
# SPDX-License-Identifier: GPL-2.0-or-later

from __future__ import annotations

from dataclasses import dataclass
import re
from typing import Any


@dataclass(frozen=True)
class Check:
    """ready: None where it is not known."""

    name: str
    ready: bool | None
    found: str
    advice: str = ''


def fair_server(machine: dict[str, Any]) -> tuple[bool, str]:
    """Whether there is none, and what is known: Linux has one since 6.12; debugfs shows where it is on."""
    found = re.match(r'(\d+)\.(\d+)', machine['kernel'])
    if not found or (int(found[1]), int(found[2])) < (6, 12):
        return True, 'not in this kernel'
    cpus = machine.get('fair_server')
    if cpus is None:
        return False, 'in this kernel'
    return not cpus, f'on host CPUs {", ".join(map(str, cpus))}' if cpus else 'off'


def checks(machine: dict[str, Any]) -> list[Check]:
    """Of a description by machine.py."""
    if not machine:
        return []
    settings = machine['settings']
    isolated, line = machine['isolated'], machine['command_line'] or ''
    governor, smt, thp = settings['governor'], settings['smt'], settings['thp'] or ''
    throttle, clock = settings['rt_runtime_us'], settings['clocksource']
    rt = settings['realtime'] == '1' or 'PREEMPT_RT' in machine['kernel_version']
    return [
        Check('host CPUs', len(machine['cpus']) > 2, f'{len(machine["cpus"])} usable',
              'with two, all housekeeping shares one host CPU'),
        Check('isolated host CPUs', bool(isolated), ', '.join(map(str, isolated)) or 'none',
              'boot with isolcpus=managed_irq,domain,LIST, or make a cpuset partition'),
        Check('tickless', 'nohz_full=' in line, settings['nohz_full'] or 'no nohz_full=',
              'boot with nohz_full=LIST rcu_nocbs=LIST'),
        Check('real-time kernel', rt, machine['kernel'], 'install a kernel with PREEMPT_RT'),
        Check('RT throttling', None if throttle is None else throttle == '-1',
              'off' if throttle == '-1' else f'{throttle} µs of every second' if throttle else 'not known',
              'sysctl -w kernel.sched_rt_runtime_us=-1; nfv-bench does it for the time of its run'),
        Check('fair server', *fair_server(machine),
              'it gives tasks that starve behind SCHED_FIFO 50 ms of every second, whatever RT throttling says: keep '
              'them off the vCPUs\' host CPUs (isolcpus=, a cpuset partition), or echo 0 > '
              '/sys/kernel/debug/sched/fair_server/cpuN/runtime for each, which nfv-bench does for the time of its run where '
              'debugfs lets it'),
        Check('hyper-threading', None if smt is None else smt in ('off', 'forceoff', 'notsupported', 'notimplemented'),
              smt or 'not known', 'boot with nosmt, or leave the siblings of the vCPUs\' host CPUs idle'),
        Check('frequency', None if governor is None else governor == 'performance', governor or 'not known',
              'cpupower frequency-set -g performance'),
        Check('clock', clock == 'tsc', clock or 'not known', 'boot with clocksource=tsc tsc=reliable'),
        Check('transparent huge pages', None if not thp else '[always]' not in thp, thp or 'not known',
              'boot with transparent_hugepage=madvise'),
        Check('bare metal', not machine['hypervisor'], 'a virtual machine' if machine['hypervisor'] else 'yes',
              'another hypervisor can take this host\'s CPUs away at any time'),
        Check('privileges', machine['root'], 'root' if machine['root'] else 'not root',
              'run as root, so that SCHED_FIFO, huge pages and RT throttling can be set'),
    ]
