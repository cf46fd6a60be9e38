"""Tests of the checks of nfv-host-check on model hosts: untuned, tuned, and tuned with single faults."""
# Copyright (c) 2026 the kvm4nfv authors
# SPDX-License-Identifier: GPL-2.0-or-later

from __future__ import annotations

from typing import Any
import unittest

import hosts
from hosts import CPU, NODE, with_files
from nfvhost import checks
from nfvhost.finding import Finding, Level
from nfvhost.root import Recording
from nfvhost.target import choose


def judge(host: dict[str, Any], cpus: set[int] | None = None) -> dict[str, Finding]:
    root = Recording(host)
    groups = checks.run(root, choose(root, cpus))
    return {finding.check: finding for findings in groups.values() for finding in findings}


def per_cpu(name: str, text: str | None) -> dict[str, str | None]:
    return {f'{CPU}/cpu{cpu}/{name}': text for cpu in range(16)}


# A fault of a host that is tuned otherwise: the files that are changed, and all that is then not PASS.
FAULTS: dict[str, tuple[dict[str, str | None], dict[str, str]]] = {
    'one guest CPU is not isolated': ({f'{CPU}/isolated': '2-6,10-15'}, {'isolcpus': 'FAIL'}),
    'the tick runs': ({f'{CPU}/nohz_full': '(null)'}, {'nohz_full': 'FAIL'}),
    'a kernel without nohz_full or rcu_nocbs': (
        {f'{CPU}/nohz_full': None, '/proc/cmdline': 'isolcpus=managed_irq,domain,2-7,10-15 iommu=pt'},
        {'nohz_full': 'FAIL', 'rcu_nocbs': 'FAIL'}),
    'managed interrupts everywhere': (
        {'/proc/cmdline': 'isolcpus=2-7,10-15 nohz_full=2-7,10-15 rcu_nocbs=2-7,10-15 iommu=pt'}, {'managed-irq': 'WARN'}),
    'unbound work everywhere': ({'/sys/devices/virtual/workqueue/cpumask': 'ffff'}, {'workqueues': 'WARN'}),
    'watchdogs everywhere': ({'/proc/sys/kernel/watchdog_cpumask': '0-15'}, {'watchdog': 'WARN'}),
    'statistics each second': ({'/proc/sys/vm/stat_interval': '1'}, {'vmstat': 'WARN'}),
    'a sibling keeps house': (
        {f'{CPU}/cpu2/topology/thread_siblings_list': '0,2', f'{CPU}/cpu0/topology/thread_siblings_list': '0,2'},
        {'siblings': 'FAIL'}),
    'guests share a core': (
        {f'{CPU}/cpu2/topology/thread_siblings_list': '2-3', f'{CPU}/cpu3/topology/thread_siblings_list': '2-3'},
        {'siblings': 'WARN'}),
    'no PREEMPT_RT': ({'/sys/kernel/realtime': None, '/proc/sys/kernel/version': '#1 SMP PREEMPT_DYNAMIC'}, {'preempt_rt': 'WARN'}),
    'RT throttling': ({'/proc/sys/kernel/sched_rt_runtime_us': '950000'}, {'rt-throttling': 'FAIL'}),
    'starving tasks get their share': ({f'{hosts.FAIR}/cpu{cpu}/runtime': '50000000' for cpu in (2, 7)}, {'fair-server': 'WARN'}),
    'the fair server does not show itself': ({f'{hosts.FAIR}/cpu{cpu}/runtime': None for cpu in range(16)}, {'fair-server': 'WARN'}),
    'no real-time budget for libvirt': (
        {'/sys/fs/cgroup/cpu/cpu.rt_runtime_us': '950000', '/sys/fs/cgroup/cpu/machine.slice/cpu.rt_runtime_us': '0'},
        {'rt-group': 'FAIL'}),
    'HPET as clock source': ({'/sys/devices/system/clocksource/clocksource0/current_clocksource': 'hpet'}, {'clocksource': 'FAIL'}),
    'an old TSC': ({'/proc/cpuinfo': 'flags\t: vmx tsc_deadline_timer cat_l3'}, {'tsc': 'FAIL'}),
    'a disk interrupts a guest CPU': ({'/proc/irq/45/effective_affinity_list': '4'}, {'irq-affinity': 'FAIL'}),
    'a passed-through NIC interrupts another guest': ({'/proc/irq/60/effective_affinity_list': '5'}, {'irq-vfio': 'WARN'}),
    'new interrupts everywhere': ({'/proc/irq/default_smp_affinity': 'ffff'}, {'irq-default': 'WARN'}),
    'irqbalance is banned from too few': (
        {'/sys/fs/cgroup/system.slice/irqbalance.service/cgroup.procs': '9',
         '/etc/default/irqbalance': '# banned\nIRQBALANCE_BANNED_CPULIST="2-7"'}, {'irqbalance': 'FAIL'}),
    'one node without huge pages': ({f'{NODE}/node1/hugepages/hugepages-2048kB/nr_hugepages': '0'}, {'hugepages': 'WARN'}),
    'no huge pages': ({f'{NODE}/node{node}/hugepages/hugepages-2048kB/nr_hugepages': '0' for node in (0, 1)}, {'hugepages': 'FAIL'}),
    'transparent huge pages everywhere': ({'/sys/kernel/mm/transparent_hugepage/enabled': '[always] madvise never'}, {'thp': 'WARN'}),
    'KSM runs': ({'/sys/kernel/mm/ksm/run': '1'}, {'ksm': 'FAIL'}),
    'NUMA balancing': ({'/proc/sys/kernel/numa_balancing': '1'}, {'numa-balancing': 'FAIL'}),
    'a node without memory': ({f'{NODE}/node1/meminfo': 'Node 1 MemTotal: 0 kB'}, {'numa': 'FAIL'}),
    'swap': ({'/proc/swaps': 'Filename Type\n/swapfile file'}, {'swap': 'WARN'}),
    'proactive compaction': ({'/proc/sys/vm/compaction_proactiveness': '20'}, {'compaction': 'WARN'}),
    'powersave': (per_cpu('cpufreq/scaling_governor', 'powersave'), {'governor': 'FAIL'}),
    'no cpufreq': (per_cpu('cpufreq/scaling_governor', None), {'governor': 'WARN'}),
    'deep C-states': (per_cpu('cpuidle/state3/disable', '0'), {'c-states': 'FAIL'}),
    'no cache allocation': ({'/proc/cpuinfo': 'flags\t: vmx constant_tsc nonstop_tsc tsc_deadline_timer'}, {'resctrl': 'WARN'}),
    'resctrl is not mounted': ({'/sys/fs/resctrl/schemata': None}, {'resctrl': 'WARN'}),
    'the cache of guests overlaps': ({'/sys/fs/resctrl/nfv/schemata': 'L3:0=7f0;1=700'}, {'resctrl': 'WARN'}),
    'no nested paging': ({'/sys/module/kvm_intel/parameters/ept': 'N'}, {'kvm-paging': 'FAIL'}),
    'no APIC virtualisation': ({'/sys/module/kvm_intel/parameters/enable_apicv': 'N'}, {'kvm-apicv': 'WARN'}),
    'huge pages are split': ({'/sys/module/kvm/parameters/nx_huge_pages': 'Y'}, {'kvm-nx-huge-pages': 'WARN'}),
    'clocks are corrected': ({'/sys/module/kvm/parameters/kvmclock_periodic_sync': 'Y'}, {'kvm-clock-sync': 'WARN'}),
    'pauses exit': ({'/sys/module/kvm_intel/parameters/ple_gap': '128'}, {'kvm-pause-loops': 'WARN'}),
    'devices of the host are translated': (
        {'/proc/cmdline': 'isolcpus=managed_irq,domain,2-7,10-15 rcu_nocbs=2-7,10-15 intel_iommu=on'}, {'iommu-pt': 'WARN'}),
    'unsafe interrupts': ({'/sys/module/vfio_iommu_type1/parameters/allow_unsafe_interrupts': 'Y'}, {'interrupt-remapping': 'FAIL'}),
    'no virtual functions': ({f'/sys/class/net/ens{n}f0/device/sriov_numvfs': '0' for n in (0, 1)}, {'sriov': 'WARN'}),
    'little memory may be locked': (
        {'/proc/self/limits': hosts.LIMITS.format(memlock='8388608', rtprio='98')}, {'memlock': 'WARN'}),
    'no real-time priority': ({'/proc/self/limits': hosts.LIMITS.format(memlock='unlimited', rtprio='0')}, {'rtprio': 'WARN'}),
    'few files': ({'/proc/self/limits': hosts.LIMITS.format(memlock='unlimited', rtprio='98').replace('65536', '1024 ')},
                  {'nofile': 'WARN'}),
    'userfaultfd for root only': ({'/proc/sys/vm/unprivileged_userfaultfd': '0'}, {'userfaultfd': 'WARN'}),
}


class Hosts(unittest.TestCase):
    def test_tuned(self):
        self.assertEqual({name: found.found for name, found in judge(hosts.tuned()).items() if found.level is not Level.PASS}, {})

    def test_untuned(self):
        found = judge(hosts.untuned())
        self.assertEqual({name for name, finding in found.items() if finding.level is Level.FAIL}, {
            'isolcpus', 'nohz_full', 'rcu_nocbs', 'rt-throttling', 'irq-affinity', 'irqbalance', 'hugepages', 'ksm',
            'numa-balancing', 'governor', 'c-states'})
        self.assertIn('isolcpus=managed_irq,domain,1-7,9-15', str(found['isolcpus'].mend[0]))

    def test_single_faults(self):
        for name, (files, expected) in FAULTS.items():
            with self.subTest(name):
                found = judge(with_files(hosts.tuned(), files), hosts.GUESTS)
                wrong = {check: finding.level.value for check, finding in found.items() if finding.level is not Level.PASS}
                self.assertEqual(wrong, expected)

    def test_each_finding_says_what_to_do(self):
        worlds = [hosts.untuned(), *(with_files(hosts.tuned(), files) for files, _ in FAULTS.values())]
        for host in worlds:
            for check, finding in judge(host, hosts.GUESTS).items():
                with self.subTest(check):
                    self.assertTrue(finding.found and finding.why)
                    self.assertTrue(finding.mend or finding.level is Level.PASS, f'{check}: {finding.found}')

    def test_each_check_can_fail(self):
        """No check that passes on every host of these tests."""
        seen = set()
        for host in (hosts.untuned(), *(with_files(hosts.tuned(), files) for files, _ in FAULTS.values())):
            seen |= {name for name, finding in judge(host, hosts.GUESTS).items() if finding.level is not Level.PASS}
        # Each of these has a test of its own below.
        self.assertEqual(set(judge(hosts.tuned())) - seen, {'cpus', 'kvm', 'kvm-capabilities', 'nic-node'})


    def test_fair_server(self):
        on = with_files(hosts.tuned(), {f'{hosts.FAIR}/cpu{cpu}/runtime': '50000000' for cpu in (0, 2, 7)})
        finding = judge(on, hosts.GUESTS)['fair-server']
        self.assertEqual(finding.found, '50000 us a second on 2,7')
        self.assertEqual(str(finding.mend[0]), f'for cpu in 2 7; do echo 0 > {hosts.FAIR}/cpu$cpu/runtime; done')
        hidden = {f'{hosts.FAIR}/cpu{cpu}/runtime': None for cpu in range(16)}
        for release, level in (('6.11.9', Level.PASS), ('6.12.0', Level.WARN), ('7.0-rt', Level.WARN), ('x', Level.PASS)):
            found = judge(with_files(hosts.tuned(), {**hidden, '/proc/sys/kernel/osrelease': release}))
            self.assertEqual(found['fair-server'].level, level, release)


class Devices(unittest.TestCase):
    def test_kvm(self):
        host = hosts.tuned()
        for devices, words, mend in (({'/dev/kvm': False}, 'may not be opened', 'usermod'), ({}, 'no /dev/kvm', 'modprobe')):
            finding = judge(host | {'devices': host['devices'] | {'/dev/kvm': None} | devices})['kvm']
            self.assertEqual(finding.level, Level.FAIL)
            self.assertIn(words, finding.found)
            self.assertIn(mend, str(finding.mend[0]))

    def test_kvm_without_virtualisation(self):
        host = with_files(hosts.tuned(), {'/proc/cpuinfo': 'flags\t: constant_tsc'})
        self.assertIn('neither vmx nor svm', judge(host | {'devices': {}})['kvm'].found)

    def test_capabilities(self):
        host = hosts.tuned()
        for lost, level in (('236', Level.WARN), ('72', Level.FAIL)):
            kvm = {number: value for number, value in host['kvm'].items() if number != lost}
            self.assertEqual(judge(host | {'kvm': kvm})['kvm-capabilities'].level, level)
        self.assertIn('could not be asked', judge(host | {'kvm': {}})['kvm-capabilities'].found)

    def test_smi(self):
        host = hosts.tuned()
        smi = host['smi'] | {'3': [2, 1.0]}
        self.assertEqual(judge(host | {'smi': smi})['smi'].level, Level.FAIL)
        self.assertEqual(judge(host | {'smi': smi})['smi'].found, '2 in 1.0 s')
        self.assertEqual(judge(host | {'smi': {}})['smi'].level, Level.WARN)

    def test_rt_group_sched_without_a_budget(self):
        host = hosts.tuned() | {'config': {'CONFIG_RT_GROUP_SCHED': 'y'}}
        self.assertEqual(judge(host)['rt-group'].level, Level.FAIL)
        line = host['files']['/proc/cmdline'] + ' rt_group_sched=0'
        self.assertEqual(judge(with_files(host, {'/proc/cmdline': line}))['rt-group'].level, Level.PASS)

    def test_a_nic_of_another_node(self):
        finding = judge(hosts.tuned(), {2, 3})['nic-node']
        self.assertEqual(finding.level, Level.WARN)
        self.assertIn('isolate CPUs of node 1 for guests that use ens1f0', str(finding.mend[0]))

    def test_amd(self):
        files = {'/proc/cpuinfo': 'vendor_id\t: AuthenticAMD\nflags\t: svm constant_tsc nonstop_tsc cat_l3',
                 '/sys/module/kvm_intel/parameters/ept': None, '/sys/module/kvm_intel/parameters/enable_apicv': None,
                 '/sys/module/kvm_intel/parameters/ple_gap': None, '/sys/module/kvm_amd/parameters/npt': '1',
                 '/sys/module/kvm_amd/parameters/avic': 'N', '/sys/module/kvm_amd/parameters/pause_filter_count': '3000'}
        host = with_files(hosts.tuned(), files)
        found = judge(host | {'directories': {**host['directories'], '/sys/class/iommu': []}})
        self.assertEqual({name for name, finding in found.items() if finding.level is not Level.PASS},
                         {'kvm-apicv', 'kvm-pause-loops', 'iommu'})
        self.assertEqual(str(found['kvm-apicv'].mend[0]), 'boot the host with kvm_amd.avic=1')
        self.assertIn('amd_iommu=on', str(found['iommu'].mend[0]))


class Numa(unittest.TestCase):
    def test_a_node_of_guests_only(self):
        finding = judge(hosts.tuned(), set(range(8, 16)))['numa']
        self.assertEqual(finding.level, Level.WARN)
        self.assertIn('leave one core of node 1', str(finding.mend[0]))

    def test_nothing_left(self):
        self.assertEqual(judge(hosts.tuned(), set(range(16)))['cpus'].level, Level.FAIL)


if __name__ == '__main__':
    unittest.main()
