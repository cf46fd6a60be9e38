"""Tests of nfv-host-check on guests, its profile, its text and its exit status."""
# Copyright (c) 2026 the kvm4nfv authors
# SPDX-License-Identifier: GPL-2.0-or-later

from __future__ import annotations

import json
import os
from pathlib import Path
import re
import subprocess
import sys
import tempfile
from typing import Any
import unittest

import hosts
from hosts import with_files
from nfvhost import checks, domain, fit, show, tuned
from nfvhost.finding import Finding, Level
from nfvhost.root import Recording
from nfvhost.target import choose

TOOL = Path(__file__).parent.parent / 'nfv-host-check'

# Real-time, of libvirt; %(...)s are what the tests change.
DOMAIN = """<domain type='kvm' xmlns:qemu='http://libvirt.org/schemas/domain/qemu/1.0'>
  <name>vnf</name>
  <memory unit='GiB'>4</memory>
  <memoryBacking>%(page)s%(access)s%(locked)s</memoryBacking>
  <vcpu>2</vcpu>
  <cputune>%(tune)s</cputune>
  <numatune>%(numa)s</numatune>
  <os><type arch='x86_64' machine='%(machine)s'>hvm</type></os>
  <features><kvm><hint-dedicated state='on'/></kvm></features>
  <cpu mode='%(cpu)s'/>
  <devices>%(devices)s</devices>
  %(more)s
</domain>"""
DEFAULTS = {
    'page': "<hugepages><page size='2' unit='MiB'/></hugepages>", 'access': "<access mode='shared'/>", 'locked': '<locked/>',
    'tune': "<vcpupin vcpu='0' cpuset='2'/><vcpupin vcpu='1' cpuset='3'/><emulatorpin cpuset='0-1'/>"
            "<vcpusched vcpus='0-1' scheduler='fifo' priority='1'/>",
    'numa': "<memory mode='strict' nodeset='0'/>", 'machine': 'pc-q35-nfv-10.0', 'cpu': 'host-passthrough', 'more': '',
    'devices': "<interface type='vhostuser'><source type='unix' path='/run/vhost0' mode='server'/></interface>"
               "<hostdev mode='subsystem' type='pci'><source><address domain='0x0000' bus='0x18' slot='0x00' function='0x1'/>"
               "</source></hostdev>"}


def own(options: str) -> dict[str, str]:
    """A guest that QEMU places."""
    return {'tune': '', 'numa': '', 'page': '', 'access': '', 'devices': '', 'locked': '',
            'more': f"<qemu:commandline><qemu:arg value='-machine'/><qemu:arg value='{options}'/></qemu:commandline>"}


def xml(**changes: str) -> str:
    return DOMAIN % (DEFAULTS | changes)


def judge(host: dict[str, Any] | None = None, **changes: str) -> dict[str, Finding]:
    root = Recording(host or hosts.tuned())
    return {finding.check: finding for finding in fit.run(domain.parse(xml(**changes)), root, choose(root))}


def wrong(host: dict[str, Any] | None = None, **changes: str) -> dict[str, str]:
    return {name: finding.level.value for name, finding in judge(host, **changes).items() if finding.level is not Level.PASS}


class Parsing(unittest.TestCase):
    def test_domain(self):
        guest = domain.parse(xml())
        self.assertEqual((guest.name, guest.vcpus, guest.memory, guest.page), ('vnf', 2, 4 << 20, 2048))
        self.assertEqual(guest.pins, {0: {2}, 1: {3}})
        self.assertEqual((guest.emulator, guest.fifo, guest.nodes), ({0, 1}, {0, 1}, {0}))
        self.assertEqual(guest.hostdevs, ('0000:18:00.1',))
        self.assertTrue(guest.locked and guest.shared and guest.dedicated)

    def test_own_placement(self):
        guest = domain.parse(xml(**own('vcpu-cpus=5:3,rt=on')))
        self.assertEqual(guest.pins, {0: {5}, 1: {3}})
        self.assertEqual(guest.machine_options, {'vcpu-cpus': '5:3', 'rt': 'on'})
        self.assertEqual(domain.parse(xml(**own('vcpu-cpus=5,,3'))).pins, {0: {5}, 1: {3}})

    def test_domains_of_this_tree(self):
        """Each can be read, and those that libvirt pins fit a host that is tuned."""
        root = Recording(hosts.tuned())
        failed = {}
        for file in sorted((TOOL.parent.parent / 'libvirt').glob('*.xml')):
            guest = domain.load(str(file))
            self.assertEqual(guest.machine, fit.MACHINE)
            failed[file.name] = {finding.check for finding in fit.run(guest, root, choose(root)) if finding.level is Level.FAIL}
        self.assertEqual((failed['realtime.xml'], failed['vhost-user.xml']), (set(), set()))
        self.assertEqual(failed['minimal.xml'], {'guest-vcpus', 'guest-isolation'})

    def test_refusals(self):
        for text, words in (('<domain>', 'is no XML'), ('<network/>', 'holds <network>'),
                            (xml().replace("unit='GiB'", "unit='pages'"), "has the unit 'pages'; valid are"),
                            (xml(tune="<vcpupin vcpu='0' cpuset='two'/>"), "'two' is no CPU list")):
            with self.assertRaisesRegex(ValueError, words):
                domain.parse(text)


class Fit(unittest.TestCase):
    def test_fits(self):
        self.assertEqual(wrong(), {})

    def test_own_placement_fits(self):
        host = with_files(hosts.tuned(), {'/etc/libvirt/qemu.conf': '# none\nseccomp_sandbox = 0\n'})
        self.assertEqual(wrong(host, **own('vcpu-cpus=4-5,rt=on,hugepages=2M,mem-lock=on')), {})
        self.assertEqual(wrong(**own('vcpu-cpus=4-5,rt=on,hugepages=2M,mem-lock=on')), {'guest-placement': 'FAIL'})
        auto = judge(**own('vcpu-cpus=auto'))
        self.assertEqual((auto['guest-vcpus'].level, auto['guest-isolation'].level), (Level.PASS, Level.PASS))

    def test_single_faults(self):
        pin = "<vcpupin vcpu='0' cpuset='%s'/><vcpupin vcpu='1' cpuset='%s'/>"
        rest = "<emulatorpin cpuset='0-1'/><vcpusched vcpus='0-1' scheduler='fifo' priority='1'/>"
        for name, changes, expected in (
                ('another machine', {'machine': 'pc-q35-10.0'}, {'guest-machine': 'WARN'}),
                ('the alias', {'machine': 'nfv'}, {'guest-machine': 'WARN'}),
                ('a vCPU without a pin', {'tune': "<vcpupin vcpu='0' cpuset='2'/>" + rest}, {'guest-vcpus': 'FAIL'}),
                ('two on one', {'tune': pin % (2, 2) + rest}, {'guest-vcpus': 'FAIL'}),
                ('a vCPU that moves', {'tune': pin % ('2', '3-4') + rest}, {'guest-vcpus': 'WARN'}),
                ('an absent CPU', {'tune': pin % (2, 40) + rest}, {'guest-vcpus': 'FAIL', 'guest-isolation': 'FAIL'}),
                ('a CPU that is not isolated', {'tune': pin % (2, 1) + rest.replace('0-1', '0', 1)}, {'guest-isolation': 'FAIL'}),
                ('emulator on a vCPU', {'tune': pin % (2, 3) + rest.replace('0-1', '0-2', 1)}, {'guest-emulator': 'FAIL'}),
                ('emulator on an isolated CPU', {'tune': pin % (2, 3) + rest.replace('0-1', '0,5', 1)}, {'guest-emulator': 'WARN'}),
                ('emulator anywhere', {'tune': pin % (2, 3) + rest[rest.index('<vcpusched'):]}, {'guest-emulator': 'WARN'}),
                ('two nodes', {'tune': pin % (2, 10) + rest}, {'guest-node': 'WARN'}),
                ('memory far away', {'numa': "<memory mode='strict' nodeset='1'/>"}, {'guest-node': 'FAIL'}),
                ('memory anywhere', {'numa': ''}, {'guest-node': 'WARN'}),
                ('no huge pages', {'page': ''}, {'guest-memory': 'WARN'}),
                ('pages of a size that is not there', {'page': "<hugepages><page size='1' unit='G'/></hugepages>"},
                 {'guest-memory': 'FAIL'}),
                ('not locked', {'locked': '', 'page': ''}, {'guest-memory': 'WARN', 'guest-locked': 'WARN'}),
                ('no scheduler', {'tune': pin % (2, 3) + "<emulatorpin cpuset='0'/>"}, {'guest-scheduler': 'WARN'}),
                ('two who place', {'more': own('vcpu-cpus=2-3')['more']}, {'guest-placement': 'WARN'}),
                ('a named CPU', {'cpu': 'custom'}, {'guest-cpu': 'WARN'}),
                ('memory is not shared', {'access': ''}, {'guest-vhost-user': 'FAIL'}),
                ('no switch', {'devices': DEFAULTS['devices'].replace("'server'", "'client'")}, {'guest-vhost-user': 'WARN'}),
                ('an absent device', {'devices': DEFAULTS['devices'].replace('0x18', '0x19')}, {'guest-hostdev': 'FAIL'}),
                ('a device far away', {'devices': DEFAULTS['devices'].replace('0x18', '0xaf')}, {'guest-hostdev': 'WARN'})):
            with self.subTest(name):
                self.assertEqual(wrong(**changes), expected)

    def test_too_little_memory(self):
        host = with_files(hosts.tuned(), {f'{hosts.NODE}/node0/hugepages/hugepages-2048kB/free_hugepages': '2000'})
        finding = judge(host)['guest-memory']
        self.assertEqual(finding.level, Level.FAIL)
        self.assertEqual(finding.found, '2048 of 2048 KiB wanted, free: 2000 on node 0')
        self.assertTrue(str(finding.mend[0]).startswith('echo 16432 > '), finding.mend)

    def test_throttled(self):
        self.assertEqual(wrong(with_files(hosts.tuned(), {'/proc/sys/kernel/sched_rt_runtime_us': '950000'})),
                         {'guest-scheduler': 'FAIL'})

    def test_shared_group(self):
        host = hosts.tuned()
        links = host['links'] | {'/sys/kernel/iommu_groups/41/devices/0000:18:00.0': '0000:18:00.0'}
        finding = judge(host | {'links': links})['guest-hostdev']
        self.assertEqual(finding.level, Level.FAIL)
        self.assertIn('shares its group with 0000:18:00.0, which ice uses', finding.found)

    def test_siblings(self):
        files = {f'{hosts.CPU}/cpu{cpu}/topology/thread_siblings_list': '3-4' for cpu in (3, 4)}
        self.assertEqual(wrong(with_files(hosts.tuned(), files)), {'guest-siblings': 'WARN'})

    def test_more_vcpus_than_kvm_has(self):
        host = hosts.tuned()
        self.assertIn('1 at most', judge(host | {'kvm': host['kvm'] | {'66': 1}})['guest-vcpus'].found)


class Profile(unittest.TestCase):
    @staticmethod
    def of(host: dict[str, Any], cpus: set[int]) -> dict[str, list[str]]:
        root = Recording(host)
        target = choose(root, cpus)
        text = tuned.profile(target, [finding for findings in checks.run(root, target).values() for finding in findings])
        sections: dict[str, list[str]] = {}
        for line in text.splitlines():
            if line.startswith('['):
                sections[line] = []
            elif line and not line.startswith('#'):
                sections[list(sections)[-1]].append(line)
        return sections

    def test_the_same_on_a_host_that_is_tuned(self):
        self.assertEqual(self.of(hosts.tuned(), hosts.GUESTS), self.of(hosts.untuned(), hosts.GUESTS))

    def test_contents(self):
        profile = self.of(hosts.untuned(), hosts.GUESTS)
        self.assertIn('kernel.sched_rt_runtime_us=-1', profile['[sysctl]'])
        self.assertIn('/sys/kernel/mm/ksm/run=2', profile['[sysfs]'])
        self.assertEqual(profile['[irqbalance]'], ['banned_cpus=2-7,10-15'])
        line = profile['[bootloader]'][0]
        self.assertIn('=+isolcpus=managed_irq,domain,2-7,10-15 nohz_full=2-7,10-15 ', line)
        # What costs safety, or needs a number, is left to the administrator.
        for word in ('nx_huge_pages', 'nosmt', 'hugepages', 'clocksource'):
            self.assertNotIn(word, line)

    def test_a_file_of_somebody_else_stays(self):
        with tempfile.TemporaryDirectory() as top:
            path = tuned.write(f'{top}/nfv', f'{tuned.MARK}: 1\n')
            tuned.write(f'{top}/nfv', f'{tuned.MARK}: 2\n')
            self.assertIn('2', path.read_text())
            path.write_text('[main]\n')
            with self.assertRaisesRegex(ValueError, 'is not of nfv-host-check'):
                tuned.write(f'{top}/nfv', f'{tuned.MARK}: 3\n')
            self.assertEqual(path.read_text(), '[main]\n')


class Text(unittest.TestCase):
    def text(self, host: dict[str, Any], **options: Any) -> str:
        root = Recording(host)
        target = choose(root)
        return show.text(checks.run(root, target), target, options.pop('width', 80), options.pop('colour', False),
                         options.pop('full', False))

    def test_tuned_is_one_line_a_check(self):
        lines = self.text(hosts.tuned(), width=120).splitlines()
        self.assertEqual(len([line for line in lines if line.startswith('  PASS  ')]), len(lines) - len(checks.GROUPS) - 2)
        self.assertNotIn('why', self.text(hosts.tuned()))
        self.assertIn('why', self.text(hosts.tuned(), full=True))

    def test_untuned(self):
        text = self.text(hosts.untuned())
        self.assertIn('  FAIL  ksm                  running\n', text)
        self.assertIn('\n  isolcpus=managed_irq,domain,1-7,9-15 nohz_full=1-7,9-15 rcu_nocbs=1-7,9-15 ', text)
        self.assertTrue(text.endswith('15 PASS, 22 WARN, 11 FAIL'), text[-60:])

    def test_prose_is_as_wide_as_the_terminal_and_commands_stay_whole(self):
        for line in self.text(hosts.untuned(), width=60).splitlines()[:-5]:
            self.assertTrue(len(line) <= 60 or ' do  ' in line or line.startswith(' ' * 12), line)

    def test_colour(self):
        text = self.text(hosts.untuned(), colour=True)
        self.assertIn('\033[1;31mFAIL\033[0m  ksm', text)
        self.assertEqual(re.sub('\033\\[[0-9;]*m', '', text), self.text(hosts.untuned()))


class Manual(unittest.TestCase):
    def test_each_check_is_told_about(self):
        text = (TOOL.parent.parent / 'docs/user/host-check.rst').read_text()
        root = Recording(hosts.tuned())
        real = {finding.check for findings in checks.run(root, choose(root)).values() for finding in findings} | set(judge())
        self.assertEqual({name for name in real if f'``{name}``' not in text}, set())


class Program(unittest.TestCase):
    def setUp(self):
        self.top = Path(self.enterContext(tempfile.TemporaryDirectory()))
        for name in ('tuned', 'untuned'):
            hosts.save(getattr(hosts, name)(), self.top / f'{name}.json')
        (self.top / 'vnf.xml').write_text(xml())

    def run_tool(self, *arguments: str) -> tuple[int, str, str]:
        result = subprocess.run([sys.executable, '-B', TOOL, *arguments], cwd=self.top, capture_output=True, text=True,
                                check=False, env=os.environ | {'COLUMNS': '120'})
        return result.returncode, result.stdout, result.stderr

    def test_status(self):
        self.assertEqual(self.run_tool('--root', 'tuned.json')[0], 0)
        self.assertEqual(self.run_tool('--root', 'untuned.json')[0], 1)
        host = with_files(hosts.tuned(), {'/proc/sys/vm/stat_interval': '1'})
        hosts.save(host, self.top / 'warns.json')
        self.assertEqual(self.run_tool('--root', 'warns.json')[0], 0)
        self.assertEqual(self.run_tool('--root', 'warns.json', '--strict')[0], 1)

    def test_wrong_words(self):
        for arguments, words in ((('--root', 'none'), 'none'), (('--root', '.'), 'neither proc/ nor sys/'),
                                 (('--root', 'tuned.json', '--cpus', '2-x'), "'2-x' is no CPU list"),
                                 (('--root', 'tuned.json', '--cpus', '99'), 'host CPU 99 is not online'),
                                 (('--root', 'tuned.json', '--for', 'tuned.json'), "'tuned.json' is no XML")):
            status, out, error = self.run_tool(*arguments)
            self.assertEqual((status, out), (2, ''))
            self.assertTrue(error.startswith('nfv-host-check: ') and words in error, error)

    def test_json(self):
        status, out, _ = self.run_tool('--root', 'untuned.json', '--json', '--for', 'vnf.xml')
        found = json.loads(out)
        self.assertEqual(status, 1)
        self.assertEqual(sum(found['summary'].values()), len(found['findings']))
        guest = [each for each in found['findings'] if each['group'] == 'Guest vnf']
        self.assertEqual(len(guest), len(fit.CHECKS))
        bad = next(each for each in found['findings'] if each['check'] == 'rt-throttling')
        self.assertEqual((bad['level'], bad['mend']), ('FAIL', [
            {'kind': 'sysctl', 'text': 'sysctl -w kernel.sched_rt_runtime_us=-1'}]))
        self.assertEqual(found['cpus'], [2, 3])

    def test_tuned(self):
        status, out, _ = self.run_tool('--root', 'untuned.json', '--tuned', '-')
        self.assertEqual(status, 0)
        self.assertTrue(out.startswith(tuned.MARK))
        _, _, error = self.run_tool('--root', 'untuned.json', '--tuned', 'nfv-host')
        self.assertIn('tuned-adm profile nfv-host', error)
        self.assertEqual((self.top / 'nfv-host/tuned.conf').read_text(), out)

    def test_this_host(self):
        """Whatever it is: each check says something, and its recording says the same."""
        status, out, error = self.run_tool('--json', '--record', 'here.json')
        self.assertIn(status, (0, 1), error)
        again = self.run_tool('--json', '--root', 'here.json')
        self.assertEqual(json.loads(again[1])['findings'], json.loads(out)['findings'])


if __name__ == '__main__':
    unittest.main()
