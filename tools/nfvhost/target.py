"""Which host CPUs are for vCPUs and which keep house."""
# Copyright (c) 2026 the kvm4nfv authors
# SPDX-License-Identifier: GPL-2.0-or-later

from __future__ import annotations

from dataclasses import dataclass
from typing import Iterable

from .cpulist import format_list
from .root import Root

CPU = '/sys/devices/system/cpu'
NODE = '/sys/devices/system/node'


@dataclass(frozen=True)
class Target:
    """origin: where the choice is from. core: a CPU's threads of one core; node: its NUMA node."""

    guest: frozenset[int]
    online: frozenset[int]
    origin: str
    core: dict[int, frozenset[int]]
    node: dict[int, int]

    @property
    def housekeeping(self) -> frozenset[int]:
        return self.online - self.guest

    @property
    def width(self) -> int:
        return max(self.online, default=0) + 1

    @property
    def guests(self) -> str:
        return format_list(self.guest)

    @property
    def others(self) -> str:
        return format_list(self.housekeeping)

    def nodes(self, cpus: Iterable[int] | None = None) -> set[int]:
        """The nodes of some CPUs, by default of the guests'."""
        return {self.node.get(cpu, 0) for cpu in (self.guest if cpus is None else cpus)}


def isolated(root: Root) -> set[int]:
    """CPUs that the scheduler leaves alone: isolcpus=, or an isolated partition of a cpuset."""
    return root.cpus(f'{CPU}/isolated') | root.cpus('/sys/fs/cgroup/cpuset.cpus.isolated')


def propose(online: Iterable[int], core: dict[int, frozenset[int]], node: dict[int, int]) -> set[int]:
    """All but the first core of each node, so that each node has a CPU for its interrupts and QEMU's other threads."""
    online = sorted(online)
    kept: set[int] = set()
    for one in sorted({node.get(cpu, 0) for cpu in online}):
        members = [cpu for cpu in online if node.get(cpu, 0) == one]
        kept |= core.get(members[0], frozenset({members[0]}))
    return set(online) - kept


def choose(root: Root, wanted: Iterable[int] | None = None, origin: str = '--cpus') -> Target:
    """The CPUs that are wanted; else the isolated ones; else a proposal. ValueError if one is not there."""
    online = root.cpus(f'{CPU}/online') or set(range(1))
    core = {cpu: frozenset(root.cpus(f'{CPU}/cpu{cpu}/topology/thread_siblings_list') & online) or frozenset({cpu})
            for cpu in online}
    node = {cpu: int(name[4:]) for name in root.names(NODE) if name[:4] == 'node' and name[4:].isdigit()
            for cpu in root.cpus(f'{NODE}/{name}/cpulist')}
    if wanted is not None:
        guest = set(wanted)
        if guest - online:
            raise ValueError(f'{origin}: host CPU {format_list(guest - online)} is not online; online are {format_list(online)}')
    else:
        guest, origin = isolated(root) & online, 'isolated'
        if not guest:
            guest, origin = propose(online, core, node), 'proposed'
    return Target(frozenset(guest), frozenset(online), origin, core, node)
