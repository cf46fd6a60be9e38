"""Model hosts for the tests of nfv-host-check: trees of /sys and /proc as the kernel writes them."""
# Copyright (c) 2026 the kvm4nfv authors
# SPDX-License-Identifier: GPL-2.0-or-later

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

CPU = '/sys/devices/system/cpu'
NODE = '/sys/devices/system/node'
FAIR = '/sys/kernel/debug/sched/fair_server'
GUESTS = {*range(2, 8), *range(10, 16)}
LIMITS = """Limit                     Soft Limit           Hard Limit           Units
Max open files            65536                65536                files
Max locked memory         {memlock}            {memlock}            bytes
Max realtime priority     {rtprio}             {rtprio}
"""


def common() -> dict[str, Any]:
    """Two sockets of eight cores without SMT, a NIC with SR-IOV on each, an NVMe disk."""
    files = {f'{CPU}/online': '0-15', '/proc/sys/kernel/osrelease': '6.12.107-rt-amd64',
             f'{CPU}/smt/control': 'off', f'{NODE}/node0/cpulist': '0-7', f'{NODE}/node1/cpulist': '8-15',
             f'{NODE}/node0/meminfo': 'Node 0 MemTotal:       131072000 kB',
             f'{NODE}/node1/meminfo': 'Node 1 MemTotal:       131072000 kB',
             '/sys/devices/system/clocksource/clocksource0/current_clocksource': 'tsc',
             '/proc/cpuinfo': 'vendor_id\t: GenuineIntel\nflags\t\t: fpu vmx constant_tsc nonstop_tsc tsc_deadline_timer cat_l3',
             '/proc/sys/kernel/sched_rt_period_us': '1000000', f'{CPU}/cpuidle/current_driver': 'intel_idle',
             '/sys/module/kvm_intel/parameters/ept': 'Y', '/sys/module/kvm_intel/parameters/enable_apicv': 'Y',
             '/sys/devices/system/cpu/vulnerabilities/itlb_multihit': 'KVM: Mitigation: Split huge pages',
             '/proc/self/status': 'Name:\tpython3\nCapEff:\t0000000000000000', '/proc/cmdline': 'BOOT_IMAGE=/vmlinuz ro quiet'}
    links = {}
    for node, card in enumerate(('0000:18:00', '0000:af:00')):
        nic = f'/sys/class/net/ens{node}f0'
        links[f'{nic}/device'] = f'{card}.0'
        files |= {f'{nic}/device/numa_node': str(node), f'{nic}/device/sriov_totalvfs': '64'}
        for function, group in (('0', 40), ('1', 41), ('2', 42)):
            device = f'/sys/bus/pci/devices/{card}.{function}'
            group += 10 * node
            files |= {f'{device}/vendor': '0x8086', f'{device}/class': '0x020000', f'{device}/numa_node': str(node)}
            links[f'{device}/iommu_group'] = str(group)
            links[f'{device}/driver'] = 'vfio-pci' if function != '0' else 'ice'
            links[f'/sys/kernel/iommu_groups/{group}/devices/{card}.{function}'] = f'{card}.{function}'
            if function != '0':
                links[f'/sys/bus/pci/drivers/vfio-pci/{card}.{function}'] = f'{card}.{function}'
    for cpu in range(16):
        files[f'{CPU}/cpu{cpu}/topology/thread_siblings_list'] = str(cpu)
        for state, (name, latency) in enumerate((('POLL', 0), ('C1', 2), ('C1E', 10), ('C6', 133))):
            top = f'{CPU}/cpu{cpu}/cpuidle/state{state}'
            files |= {f'{top}/name': name, f'{top}/latency': str(latency), f'{top}/disable': '0'}
    kvm = {str(number): 1 for number in (32, 36, 72, 39, 60, 143, 168, 182, 192, 193, 219, 236)} | {'66': 1024}
    return {'format': 'nfv-host-check recording 1', 'files': files, 'links': links, 'devices': {'/dev/kvm': True},
            'kvm': kvm, 'config': {'CONFIG_RT_GROUP_SCHED': ''}, 'directories': {'/sys/bus/pci/drivers': ['ice', 'nvme', 'vfio-pci']}}


def irq(number: int, owner: str, cpus: str) -> dict[str, str]:
    top = f'/proc/irq/{number}'
    return {f'{top}/{owner}/.': '', f'{top}/smp_affinity_list': cpus, f'{top}/effective_affinity_list': cpus}


def untuned() -> dict[str, Any]:
    """As a distribution is installed."""
    host = common()
    files = host['files'] | {
        f'{CPU}/isolated': '', f'{CPU}/nohz_full': '(null)', '/sys/devices/virtual/workqueue/cpumask': 'ffff',
        '/proc/sys/kernel/version': '#1 SMP PREEMPT_DYNAMIC Debian 6.12.107-1', '/proc/sys/kernel/nmi_watchdog': '1',
        '/proc/sys/kernel/soft_watchdog': '1', '/proc/sys/kernel/watchdog_cpumask': '0-15', '/proc/sys/vm/stat_interval': '1',
        '/proc/sys/kernel/sched_rt_runtime_us': '950000', '/proc/irq/default_smp_affinity': 'ffff',
        '/sys/fs/cgroup/system.slice/irqbalance.service/cgroup.procs': '812',
        '/sys/kernel/mm/transparent_hugepage/enabled': '[always] madvise never', '/sys/kernel/mm/ksm/run': '1',
        '/proc/sys/kernel/numa_balancing': '1', '/proc/sys/vm/compaction_proactiveness': '20',
        '/proc/swaps': 'Filename Type Size Used Priority\n/dev/nvme0n1p3 partition 8388604 0 -2',
        '/sys/module/kvm/parameters/nx_huge_pages': 'Y', '/sys/module/kvm/parameters/kvmclock_periodic_sync': 'Y',
        '/sys/module/kvm_intel/parameters/ple_gap': '128', '/proc/sys/vm/unprivileged_userfaultfd': '0',
        '/proc/self/limits': LIMITS.format(memlock='8388608', rtprio='0'),
        **irq(45, 'nvme0q4', '4'), **irq(46, 'ens0f0-TxRx-9', '9')}
    for cpu in range(16):
        files[f'{CPU}/cpu{cpu}/cpufreq/scaling_governor'] = 'schedutil'
    host['directories'] = {'/sys/bus/pci/drivers': ['ice', 'nvme']}
    host['links'] = {path: link for path, link in host['links'].items() if 'iommu' not in path and 'vfio-pci' not in path}
    return host | {'files': files}


def tuned() -> dict[str, Any]:
    """A telecom host: CPUs 2-7 and 10-15 for guests, everything as the checks want it."""
    host = common()
    files = host['files'] | {
        f'{CPU}/isolated': '2-7,10-15', f'{CPU}/nohz_full': '2-7,10-15', '/sys/devices/virtual/workqueue/cpumask': '0303',
        '/sys/kernel/realtime': '1', '/proc/sys/kernel/version': '#1 SMP PREEMPT_RT Debian 6.12.107-1',
        '/proc/cmdline': 'BOOT_IMAGE=/vmlinuz ro isolcpus=managed_irq,domain,2-7,10-15 nohz_full=2-7,10-15 '
                         'rcu_nocbs=2-7,10-15 irqaffinity=0-1,8-9 intel_iommu=on iommu=pt',
        '/proc/sys/kernel/nmi_watchdog': '0', '/proc/sys/kernel/soft_watchdog': '1',
        '/proc/sys/kernel/watchdog_cpumask': '0-1,8-9', '/proc/sys/vm/stat_interval': '120',
        '/proc/sys/kernel/sched_rt_runtime_us': '-1', '/proc/irq/default_smp_affinity': '0303',
        '/sys/kernel/mm/transparent_hugepage/enabled': 'always [madvise] never', '/sys/kernel/mm/ksm/run': '2',
        '/proc/sys/kernel/numa_balancing': '0', '/proc/sys/vm/compaction_proactiveness': '0',
        '/proc/swaps': 'Filename Type Size Used Priority',
        '/sys/module/kvm/parameters/nx_huge_pages': 'never', '/sys/module/kvm/parameters/kvmclock_periodic_sync': 'N',
        '/sys/module/kvm_intel/parameters/ple_gap': '0', '/proc/sys/vm/unprivileged_userfaultfd': '1',
        '/proc/self/limits': LIMITS.format(memlock='unlimited', rtprio='98'),
        '/sys/fs/resctrl/schemata': 'L3:0=0ff;1=0ff', '/sys/fs/resctrl/cpus_list': '0-1,8-9',
        '/sys/fs/resctrl/nfv/schemata': '    L3:0=700;1=700', '/sys/fs/resctrl/nfv/cpus_list': '2-7,10-15',
        **irq(45, 'nvme0q4', '1'), **irq(46, 'ens0f0-TxRx-9', '9'), **irq(60, 'vfio-msix[0](0000:18:00.1)', '0')}
    for cpu in range(16):
        files |= {f'{CPU}/cpu{cpu}/cpufreq/scaling_governor': 'performance', f'{CPU}/cpu{cpu}/cpuidle/state3/disable': '1',
                  f'{FAIR}/cpu{cpu}/runtime': '0'}
    for node in (0, 1):
        files |= {f'{NODE}/node{node}/hugepages/hugepages-2048kB/{name}_hugepages': '16384' for name in ('nr', 'free')}
        files[f'/sys/class/net/ens{node}f0/device/sriov_numvfs'] = '2'
    for group in (40, 41, 42, 50, 51, 52):
        files[f'/sys/kernel/iommu_groups/{group}/type'] = 'identity' if group % 10 == 0 else 'DMA'
    host['directories']['/sys/class/iommu'] = ['dmar0', 'dmar1']
    host['devices'] |= {'/dev/vhost-net': True, '/dev/vfio/vfio': True, '/dev/userfaultfd': False}
    host['smi'] = {str(cpu): [0, 1.0] for cpu in range(16)}
    return host | {'files': files}


def with_files(host: dict[str, Any], files: dict[str, str | None]) -> dict[str, Any]:
    """The host with some files changed, or, where None, gone."""
    kept = {path: text for path, text in (host['files'] | files).items() if text is not None}
    return host | {'files': kept}


def unpack(host: dict[str, Any], top: Path) -> None:
    """The files, links and devices of a host as a directory; a link leads to a directory of its own."""
    for i, (path, name) in enumerate(host['links'].items()):
        there = top / 'linked' / str(i) / name
        there.mkdir(parents=True)
        (top / path[1:]).parent.mkdir(parents=True, exist_ok=True)
        (top / path[1:]).symlink_to(there)
    for path, text in host['files'].items():
        if path.endswith('/.'):
            (top / path[1:-2]).mkdir(parents=True, exist_ok=True)
            continue
        (top / path[1:]).parent.mkdir(parents=True, exist_ok=True)
        (top / path[1:]).write_text(text + '\n')
    for path, names in host['directories'].items():
        for name in names:
            (top / path[1:] / name).mkdir(parents=True, exist_ok=True)
    for path in host['devices']:
        (top / path[1:]).parent.mkdir(parents=True, exist_ok=True)
        (top / path[1:]).touch()


def save(host: dict[str, Any], path: Path) -> None:
    path.write_text(json.dumps(host))
