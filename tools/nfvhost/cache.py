"""Check: the last-level cache is divided between vCPUs and the rest."""
# Copyright (c) 2026 the kvm4nfv authors
# SPDX-License-Identifier: GPL-2.0-or-later

from __future__ import annotations

from .cpulist import format_list
from .finding import Finding, Level
from .mend import Advice, Command
from .root import Root
from .target import Target

TOP = '/sys/fs/resctrl'
PLAIN = {'info', 'mon_data', 'mon_groups'}


def masks(schemata: str) -> dict[str, int]:
    """The bits of the L3 cache a domain: L3:0=ffff0;1=ffff0"""
    for line in schemata.splitlines():
        name, _, text = line.strip().partition(':')
        if name == 'L3':
            return {key: int(value, 16) for key, value in (part.split('=') for part in text.split(';'))}
    return {}


def resctrl(root: Root, target: Target) -> Finding:
    why = 'another core that reads much memory empties the cache that a vCPU needs'
    if 'cat_l3' not in root.flags():
        return Finding('resctrl', Level.WARN, 'the CPU has no cache allocation (cat_l3)', why, (
            Advice('take a CPU with cache allocation, or leave memory-hungry work to another socket'),))
    mount = Command('mount -t resctrl resctrl /sys/fs/resctrl')
    divide = (Command(f'mkdir {TOP}/nfv && echo {target.guests} > {TOP}/nfv/cpus_list'),
              Advice(f'then give {TOP}/nfv/schemata and {TOP}/schemata bits that do not overlap'))
    rest = root.read(f'{TOP}/schemata')
    if rest is None:
        return Finding('resctrl', Level.WARN, 'not mounted', why, (mount, *divide))
    taken = masks(rest)
    left = set(target.guest)
    for name in root.names(TOP):
        own = masks(root.read(f'{TOP}/{name}/schemata') or '') if name not in PLAIN else {}
        cpus = root.cpus(f'{TOP}/{name}/cpus_list')
        if own and cpus and not any(bits & taken.get(domain, 0) for domain, bits in own.items()):
            left -= cpus
    if left:
        return Finding('resctrl', Level.WARN, f'{format_list(left)} shares the cache of everything else', why, divide)
    return Finding('resctrl', Level.PASS, f'{target.guests} has cache of its own', why)


CHECKS = (resctrl,)
