"""Checks: the guest's memory is huge, near, and left alone."""
# Copyright (c) 2026 the kvm4nfv authors
# SPDX-License-Identifier: GPL-2.0-or-later

from __future__ import annotations

from .cpulist import format_list
from .finding import Finding, Level, judged
from .mend import Advice, Boot, Command, Mend, Sysctl, Sysfs
from .root import Root
from .target import NODE, Target

NUMA_WHY = 'memory and interrupts of another node are reached over a slower link, which all guests share'
SIZES = {1048576: '1G', 2048: '2M'}
THP = '/sys/kernel/mm/transparent_hugepage'


def node_pages(root: Root, node: int, kib: int) -> tuple[int, int]:
    """Huge pages of a size on a node: all, free."""
    top = f'{NODE}/node{node}/hugepages/hugepages-{kib}kB'
    if root.read(f'{top}/nr_hugepages') is None and node == 0:
        top = f'/sys/kernel/mm/hugepages/hugepages-{kib}kB'        # a kernel without NUMA
    return root.number(f'{top}/nr_hugepages') or 0, root.number(f'{top}/free_hugepages') or 0


def hugepages(root: Root, target: Target) -> Finding:
    nodes = sorted(target.nodes() or {0})
    parts, bare = [], []
    for node in nodes:
        pages = {name: node_pages(root, node, kib) for kib, name in SIZES.items()}
        here = [f'{total} of {name} ({free} free)' for name, (total, free) in pages.items() if total]
        parts.append(f'node {node}: {", ".join(here) or "none"}')
        if not here:
            bare.append(node)
    level = Level.PASS if not bare else Level.FAIL if bare == nodes else Level.WARN
    mend = tuple(Command(f'echo 2048 > {NODE}/node{node}/hugepages/hugepages-2048kB/nr_hugepages') for node in bare)
    return Finding('hugepages', level, '; '.join(parts),
                   'with 4 KiB pages the guest misses the TLB often, and vhost-user has no memory that it can share',
                   (*mend, Boot('default_hugepagesz=2M hugepagesz=2M hugepages=N', auto=False),
                    Advice('N pages are the memory of all guests divided by 2 MiB; 1 GiB pages exclude post-copy')))


def chosen(text: str | None) -> str:
    """The word in brackets."""
    return next((word[1:-1] for word in (text or '').split() if word.startswith('[')), 'unknown')


def transparent(root: Root, _target: Target) -> Finding:
    mode = chosen(root.read(f'{THP}/enabled'))
    return judged('thp', mode in ('never', 'madvise'), mode,
                  'khugepaged joins pages of every process and takes their memory away meanwhile, also from QEMU',
                  Sysfs(f'{THP}/enabled', 'madvise'), bad=Level.WARN)


def ksm(root: Root, _target: Target) -> Finding:
    value = root.number('/sys/kernel/mm/ksm/run')
    return judged('ksm', value != 1, 'not in this kernel' if value is None else 'running' if value == 1 else 'off',
                  'it write-protects equal pages of guests: the next write is a page fault that copies',
                  Sysfs('/sys/kernel/mm/ksm/run', '2'), Command('systemctl disable --now ksm ksmtuned'), bad=Level.FAIL)


def balancing(root: Root, target: Target) -> Finding:
    value = root.number('/proc/sys/kernel/numa_balancing')
    return judged('numa-balancing', not value, 'on' if value else 'off',
                  'it unmaps pages to see who uses them, and each is a page fault of a vCPU',
                  Sysctl('kernel.numa_balancing', '0'),
                  bad=Level.FAIL if len(target.nodes(target.online)) > 1 else Level.WARN)


def nodes(root: Root, target: Target) -> Finding:
    """Each node that guests use has CPUs left for its interrupts and QEMU's threads, and memory."""
    everywhere = sorted(target.nodes(target.online))
    bare = target.nodes() - target.nodes(target.housekeeping)
    empty = {node for node in target.nodes() if mem_total(root, node) == 0}
    where = '; '.join(f'node {node}: {format_list(cpu for cpu in target.guest if target.node.get(cpu, 0) == node)}'
                      for node in sorted(target.nodes()))
    found = f'{len(everywhere)} node{"s" * (len(everywhere) > 1)}, guests on {where}'
    mend: list[Mend] = []
    if bare:
        mend.append(Advice(f'leave one core of node {format_list(bare)} out of isolcpus='))
    if empty:
        mend.append(Advice(f'node {format_list(empty)} has no memory: fit it with DIMMs, or use another node for guests'))
        return Finding('numa', Level.FAIL, found, NUMA_WHY, tuple(mend))
    return judged('numa', not bare, found, NUMA_WHY, *mend, bad=Level.WARN)


def mem_total(root: Root, node: int) -> int | None:
    for line in (root.read(f'{NODE}/node{node}/meminfo') or '').splitlines():
        words = line.split()
        if 'MemTotal:' in words:
            return int(words[words.index('MemTotal:') + 1])
    return None


def swap(root: Root, _target: Target) -> Finding:
    areas = [line.split()[0] for line in (root.read('/proc/swaps') or '').splitlines()[1:] if line.split()]
    return judged('swap', not areas, ', '.join(areas) or 'none',
                  'memory of QEMU that is not locked can go to disk; a vCPU waits milliseconds for it to come back',
                  Command('swapoff -a'), Advice('and take swap out of /etc/fstab; or lock guests: mem-lock=on'), bad=Level.WARN)


def compaction(root: Root, _target: Target) -> Finding:
    value = root.number('/proc/sys/vm/compaction_proactiveness')
    return judged('compaction', not value, 'not in this kernel' if value is None else str(value),
                  'a kernel thread moves pages in the background, and their users fault meanwhile',
                  Sysctl('vm.compaction_proactiveness', '0'), bad=Level.WARN)


CHECKS = (hugepages, transparent, ksm, nodes, balancing, swap, compaction)
