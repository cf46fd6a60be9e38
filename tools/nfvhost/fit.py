"""Checks of a guest against its host."""
# Copyright (c) 2026 the kvm4nfv authors
# SPDX-License-Identifier: GPL-2.0-or-later

from __future__ import annotations

from collections import Counter

from .cpulist import format_list
from .domain import Domain
from .finding import Finding, Level, judged
from .iommu import PCI
from .memory import node_pages
from .mend import Advice, Command, Sysctl
from .root import Root
from .target import NODE, Target, isolated

MACHINE = 'pc-q35-nfv-10.0'
MAX_VCPUS = 66


def machine(domain: Domain, _root: Root, _target: Target) -> Finding:
    return judged('guest-machine', domain.machine == MACHINE, domain.machine or 'none named',
                  'libvirt 9.0 ends itself on the alias nfv, and other machines have none of the properties of -M nfv',
                  Advice(f"<type arch='x86_64' machine='{MACHINE}'>hvm</type>"), bad=Level.WARN)


def pins(domain: Domain, root: Root, target: Target) -> Finding:
    why = 'two vCPUs on one host CPU, or a vCPU that moves, wait for each other'
    line = Advice("a <vcpupin vcpu='N' cpuset='one host CPU'/> for each vCPU, all different")
    limit = root.extension(MAX_VCPUS)
    if limit and domain.vcpus > limit:
        return Finding('guest-vcpus', Level.FAIL, f'{domain.vcpus} vCPUs; this KVM has {limit} at most', why,
                       (Advice('give the guest fewer vCPUs'),))
    if domain.machine_options.get('vcpu-cpus') == 'auto':
        free = len(isolated(root) & target.online)
        return judged('guest-vcpus', free >= domain.vcpus, f'vcpu-cpus=auto: {domain.vcpus} of {free} isolated host CPUs', why,
                      Advice(f'isolate {domain.vcpus} host CPUs'))
    loose = [vcpu for vcpu in range(domain.vcpus) if not domain.pins.get(vcpu)]
    if loose:
        return Finding('guest-vcpus', Level.FAIL, f'vCPU {format_list(loose)} not pinned', why, (line,))
    absent = domain.cpus - target.online
    if absent:
        return Finding('guest-vcpus', Level.FAIL, f'host CPU {format_list(absent)} is not online here', why,
                       (Advice(f'online here are {format_list(target.online)}'),))
    uses = Counter(cpu for cpus in domain.pins.values() for cpu in cpus)
    twice = {cpu for cpu, count in uses.items() if count > 1}
    if twice:
        return Finding('guest-vcpus', Level.FAIL, f'host CPU {format_list(twice)} is of several vCPUs', why, (line,))
    wide = [vcpu for vcpu, cpus in domain.pins.items() if len(cpus) > 1]
    return judged('guest-vcpus', not wide, f'{domain.vcpus} on {format_list(domain.cpus)}' + (
        f'; vCPU {format_list(wide)} may move' if wide else ''), why, line, bad=Level.WARN)


def isolation(domain: Domain, root: Root, _target: Target) -> Finding:
    exposed = domain.cpus - isolated(root)
    own = domain.machine_options.get('vcpu-cpus') == 'auto'
    found = f'{format_list(exposed)} not isolated' if exposed else format_list(domain.cpus) if domain.cpus else \
        'isolated ones, chosen at the start' if own else 'not pinned'
    return judged('guest-isolation', own or bool(domain.cpus) and not exposed, found,
                  'the scheduler puts other tasks on the host CPUs of this guest',
                  Advice(f'pin to isolated host CPUs ({format_list(isolated(root))}), or isolate these'))


def emulator(domain: Domain, root: Root, target: Target) -> Finding:
    why = "QEMU's other threads preempt a vCPU whose host CPU they share"
    line = Advice(f"<emulatorpin cpuset='{target.others}'/>")
    if 'vcpu-cpus' in domain.machine_options:
        return Finding('guest-emulator', Level.PASS, 'placed by QEMU', why)
    if domain.emulator is None:
        return Finding('guest-emulator', Level.WARN, 'no emulatorpin', why, (line,))
    shared = domain.emulator & domain.cpus
    lone = domain.emulator & isolated(root)
    if shared:
        return Finding('guest-emulator', Level.FAIL, f'shares host CPU {format_list(shared)} with vCPUs', why, (line,))
    return judged('guest-emulator', not lone, f'on {format_list(domain.emulator)}' + (
        f'; {format_list(lone)} isolated, where threads are not balanced' if lone else ''), why, line, bad=Level.WARN)


def siblings(domain: Domain, _root: Root, target: Target) -> Finding:
    here = domain.cpus & target.online
    outside = {cpu for cpu in here if target.core[cpu] - here}
    shared = {cpu for cpu in here if len(target.core[cpu] & here) > 1}
    found = f'{format_list(outside)} share cores with others' if outside else \
        f'{format_list(shared)} are threads of shared cores' if shared else 'cores of its own'
    return judged('guest-siblings', not outside and not shared, found,
                  'a sibling thread takes time and cache from the vCPU', Advice('pin to one thread of each core and leave the other '
                  'idle, or switch SMT off: echo off > /sys/devices/system/cpu/smt/control'), bad=Level.WARN)


def node(domain: Domain, _root: Root, target: Target) -> Finding:
    cpus = target.nodes(domain.cpus & target.online)
    far = domain.nodes - cpus if domain.nodes and cpus else set()
    where = f'vCPUs on {f"node {format_list(cpus)}" if cpus else "no host CPU of this host"}, memory on {f"node {format_list(domain.nodes)}" if domain.nodes else "any node"}'
    bound = bool(domain.nodes) or len(target.nodes(target.online)) == 1 or 'vcpu-cpus' in domain.machine_options
    return judged('guest-node', not far and len(cpus) <= 1 and bound, where,
                  'each access to memory of another node takes longer',
                  Advice(f"<numatune><memory mode='strict' nodeset='{format_list(cpus)}'/></numatune>, and vCPUs on one node"),
                  bad=Level.FAIL if far else Level.WARN)


def memory(domain: Domain, root: Root, target: Target) -> Finding:
    """Whether the pages that the guest wants are free on the nodes where it wants them."""
    why = 'without enough free huge pages on its node the guest does not start, or is slow'
    if domain.page is None:
        own = domain.machine_options.get('hugepages')
        return judged('guest-memory', own not in (None, 'off'), f'hugepages={own}' if own else '4 KiB pages', why,
                      Advice("<memoryBacking><hugepages><page size='2048' unit='KiB'/></hugepages><locked/></memoryBacking>"),
                      bad=Level.WARN)
    kib = domain.page or 2048
    nodes = sorted(domain.nodes or target.nodes(domain.cpus & target.online) or {0})
    free = {where: node_pages(root, where, kib)[1] for where in nodes}
    need = -(-domain.memory // kib)
    found = f'{need} of {kib} KiB wanted, free: ' + ', '.join(f'{count} on node {where}' for where, count in free.items())
    first = nodes[0]
    want = node_pages(root, first, kib)[0] + max(0, need - sum(free.values()))
    return judged('guest-memory', sum(free.values()) >= need, found, why,
                  Command(f'echo {want} > {NODE}/node{first}/hugepages/hugepages-{kib}kB/nr_hugepages'))


def locked(domain: Domain, _root: Root, _target: Target) -> Finding:
    own = domain.machine_options.get('mem-lock') == 'on'
    return judged('guest-locked', domain.locked or own or domain.page is not None,
                  'locked' if domain.locked or own else 'huge pages, which do not swap' if domain.page is not None else 'no',
                  'memory that is not locked can be swapped or migrated under a running vCPU',
                  Advice('<memoryBacking><locked/></memoryBacking>'), bad=Level.WARN)


def scheduler(domain: Domain, root: Root, _target: Target) -> Finding:
    why = 'a SCHED_FIFO vCPU is not preempted by ordinary tasks; with RT throttling on, it is stopped for a part of each second'
    own = 'vcpu-cpus' in domain.machine_options and domain.machine_options.get('rt') != 'off'
    fifo = set(domain.fifo) or (set(range(domain.vcpus)) if own else set())
    if not fifo:
        return Finding('guest-scheduler', Level.WARN, 'not SCHED_FIFO', why,
                       (Advice(f"<vcpusched vcpus='0-{domain.vcpus - 1}' scheduler='fifo' priority='1'/>"),))
    value = root.number('/proc/sys/kernel/sched_rt_runtime_us')
    return judged('guest-scheduler', value == -1, f'SCHED_FIFO for vCPU {format_list(fifo)}' + (
        '' if value == -1 else ', RT throttling is on'), why, Sysctl('kernel.sched_rt_runtime_us', '-1'))


def placement(domain: Domain, root: Root, _target: Target) -> Finding:
    """Either libvirt or QEMU places threads; libvirt's sandbox forbids it to QEMU."""
    why = "libvirt's sandbox kills or refuses QEMU's affinity calls, and two who place threads undo each other's work"
    if 'vcpu-cpus' not in domain.machine_options:
        return Finding('guest-placement', Level.PASS, 'by libvirt', why)
    if domain.emulator is not None or domain.fifo:
        return Finding('guest-placement', Level.WARN, 'vcpu-cpus and <cputune>', why,
                       (Advice('keep either the <cputune> or the property vcpu-cpus'),))
    lines = [line.replace(' ', '') for line in (root.read('/etc/libvirt/qemu.conf') or '').splitlines()]
    return judged('guest-placement', 'seccomp_sandbox=0' in lines, 'by QEMU, ' + (
        'the sandbox is off' if 'seccomp_sandbox=0' in lines else "in libvirt's sandbox"), why,
        Command('echo seccomp_sandbox = 0 >> /etc/libvirt/qemu.conf && systemctl restart libvirtd'))


def cpu(domain: Domain, _root: Root, _target: Target) -> Finding:
    good = domain.cpu_mode in ('host-passthrough', 'maximum') and domain.dedicated
    return judged('guest-cpu', good, f'{domain.cpu_mode}, hint-dedicated {"on" if domain.dedicated else "off"}',
                  'the guest uses each feature of the CPU, and spins instead of halting when it knows that the CPU is its own',
                  Advice("<cpu mode='host-passthrough'/> and <features><kvm><hint-dedicated state='on'/></kvm></features>"),
                  bad=Level.WARN)


def hostdev(domain: Domain, root: Root, target: Target) -> Finding:
    why = 'a device is given away with its whole IOMMU group, and best to vCPUs on its node'
    bad, far = [], []
    for address in domain.hostdevs:
        group = root.link(f'{PCI}/{address}/iommu_group')
        if root.read(f'{PCI}/{address}/vendor') is None:
            bad.append(f'{address} is not here')
        elif group is None:
            bad.append(f'{address} has no IOMMU group')
        else:
            others = [other for other in root.names(f'/sys/kernel/iommu_groups/{group}/devices')
                      if other not in domain.hostdevs and not (root.read(f'{PCI}/{other}/class') or '').startswith('0x0604')
                      and root.link(f'{PCI}/{other}/driver') not in (None, 'vfio-pci')]
            bad += [f'{address} shares its group with {other}, which {root.link(f"{PCI}/{other}/driver")} uses' for other in others]
            home = root.number(f'{PCI}/{address}/numa_node')
            if home is not None and home >= 0 and home not in target.nodes(domain.cpus & target.online):
                far.append(f'{address} is on node {home}')
    if not domain.hostdevs:
        return Finding('guest-hostdev', Level.PASS, 'none', why)
    mend = [Command(f'virsh nodedev-detach pci_{address.replace(":", "_").replace(".", "_")}') for address in domain.hostdevs]
    mend.append(Advice('devices that do not exist: lspci -D; no group: the check "iommu"; another node: pin the vCPUs there'))
    level = Level.FAIL if bad else Level.WARN if far else Level.PASS
    return Finding('guest-hostdev', level, '; '.join(bad + far) or ', '.join(domain.hostdevs), why, tuple(mend))


def vhost_user(domain: Domain, root: Root, _target: Target) -> Finding:
    why = 'the switch reads the packets in the memory of the guest, so it must be shared, and its socket must be there'
    if not domain.sockets:
        return Finding('guest-vhost-user', Level.PASS, 'none', why)
    own = domain.machine_options.get('hugepages') in ('on', '2M', '1G')
    if not domain.shared and not own:
        return Finding('guest-vhost-user', Level.FAIL, 'memory is not shared', why,
                       (Advice("<memoryBacking><access mode='shared'/></memoryBacking>"),))
    there = [path for path, mode in domain.sockets if mode == 'client']
    gone = [path for path in there if root.access(path) is None]
    found = f'no socket {", ".join(gone)}' if gone else 'memory is shared' + (', sockets are there' if there else '')
    return judged('guest-vhost-user', not gone, found, why,
                  Advice('start the switch first; with type=dpdkvhostuserclient let libvirt have mode=\'server\''), bad=Level.WARN)


CHECKS = (machine, pins, isolation, emulator, siblings, node, memory, locked, scheduler, placement, cpu, hostdev, vhost_user)


def run(domain: Domain, root: Root, target: Target) -> list[Finding]:
    return [check(domain, root, target) for check in CHECKS]
