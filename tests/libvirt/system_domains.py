"""Tests of libvirt/*.xml with a real libvirtd: valid, defined, started, and what is done with a running domain.

usage: system_domains.py QEMU PROBE [TEST...]
"""
# Copyright (c) 2026 the kvm4nfv authors
# SPDX-License-Identifier: GPL-2.0-or-later

from contextlib import contextmanager
import os
from pathlib import Path
import shutil
import subprocess
import sys
import unittest

from nfv import answer, backing
from nfv.host import RT_RUNTIME, granted_cpus, unthrottled
from nfv.progress import Failure

from console import Console
import domain
from pair import site
import tap
from virthost import EMULATOR, can_lock, missing

QEMU, PROBE = map(Path, sys.argv[1:3])
XML = Path(__file__).resolve().parents[2] / 'libvirt'
MACHINE = 'pc-q35-nfv-10.0'
MIB = 128
# There are too few huge pages, or other programs have taken those that were reserved.
SHORT = ('huge pages', 'unable to map backing store for guest RAM')


def xml(name: str) -> str:
    text = (XML / f'{name}.xml').read_text(encoding='utf-8')
    return text if can_lock() or '<locked/>' not in text else domain.without(text, 'memoryBacking/locked')


class Valid(unittest.TestCase):
    def test_each_is_valid(self):
        if not shutil.which('virt-xml-validate') or not shutil.which('xmllint'):
            self.skipTest('install the packages libvirt-clients and libxml2-utils')
        files = sorted(XML.glob('*.xml'))
        self.assertGreaterEqual(len(files), 6)
        for file in files:
            with self.subTest(file.name):
                done = subprocess.run(['virt-xml-validate', file], capture_output=True, text=True, check=False)
                self.assertEqual(done.returncode, 0, done.stdout + done.stderr)
                self.assertEqual(domain.name(file.read_text(encoding='utf-8')), f'nfv-{file.stem}')


class Defined(unittest.TestCase):
    """On one host, whose QEMU has what libvirt gives it by default."""

    conf: dict = {}

    @classmethod
    def setUpClass(cls):
        if why := missing():
            raise unittest.SkipTest(why)
        cls.site = cls.enterClassContext(site(QEMU.parent, PROBE))
        cls.host = cls.site.host('nfv-host-a', qemu_conf=cls.conf)

    @contextmanager
    def defined(self, text):
        name = domain.name(text)
        self.host.define(text, name)
        try:
            yield name
        finally:
            self.host.run('virsh', 'destroy', name, check=False)
            self.host.run('virsh', 'undefine', name, check=False)

    @contextmanager
    def started(self, text):
        """Its name and its console; the guest has proven its memory once."""
        with self.defined(text) as name:
            self.host.virsh('start', name, '--paused')
            console = Console(self.host, name)
            try:
                self.host.virsh('resume', name)
                pages = console.expect('ready').numbers()['pages']
                self.assertGreater(pages, (MIB - 4) * 256)
                memory = answer.memory(console.ask('verify', 'verify'), pages)
                self.assertTrue(memory.intact, memory)
                yield name, console
            finally:
                console.end()

    def threads(self, name, role):
        return [thread for thread in self.host.qmp(name, 'query-nfv')['threads'] if thread['role'] == role]


class Domains(Defined):
    def test_as_they_are(self):
        """Each can be defined, and libvirt keeps what it asks for."""
        for file in sorted(XML.glob('*.xml')):
            text = domain.of_emulator(file.read_text(encoding='utf-8'), EMULATOR, os.path.exists('/dev/kvm'))
            with self.subTest(file.name), self.defined(text) as name:
                dump = self.host.virsh('dumpxml', name, '--inactive')
                self.assertIn(f"machine='{MACHINE}'", dump)
                for argument in ('sata=on', 'vcpu-cpus=2-3,housekeeping-cpus=0-1,rt=on'):
                    self.assertEqual(argument in text, argument in dump)

    def test_minimal(self):
        with self.started(self.site.prepared(xml('minimal'))) as (name, _):
            self.assertIn(f"machine='{MACHINE}'", self.host.virsh('dumpxml', name))
            found = self.host.qmp(name, 'query-nfv')
            self.assertEqual(found['machine'], MACHINE)
            self.assertNotIn('plan', found)
            self.assertEqual(found['problems'], [])
            self.assertIn(MACHINE, self.host.virsh('qemu-monitor-command', name, '--hmp', 'info nfv'))

    def test_alias(self):
        """libvirt keeps the full name, so that a guest does not change its machine with a later release."""
        text = self.site.prepared(xml('minimal')).replace(f'machine="{MACHINE}"', 'machine="nfv"')
        self.assertIn('machine="nfv"', text)
        with self.started(text) as (name, _):
            self.assertIn(f"machine='{MACHINE}'", self.host.virsh('dumpxml', name, '--inactive'))

    def test_plug_a_vcpu_and_an_interface(self):
        text = domain.with_vcpus(self.site.prepared(xml('minimal')), 2, 1)
        with self.started(text) as (name, console):
            self.assertEqual(len(self.threads(name, 'vcpu')), 1)
            self.host.virsh('setvcpus', name, '2', '--live')
            self.assertEqual(len(self.threads(name, 'vcpu')), 2)
            self.host.virsh('attach-interface', name, 'bridge', 'br0', '--model', 'virtio', '--live')
            dump = self.host.virsh('dumpxml', name)
            self.assertIn("<vcpu placement='static'>2</vcpu>", dump)
            self.assertEqual(dump.count("<source bridge='br0'/>"), 2)
            self.assertEqual(len([device for device in self.host.qmp(name, 'qom-list', path='/machine/peripheral')
                                  if device['name'].startswith('net')]), 2)
            # The guest goes on.
            self.assertGreater(console.ask('stats', 'stats').numbers()['us'], 0)

    def test_realtime(self):
        """libvirt places the threads, and query-nfv shows what the kernel says about them."""
        if granted_cpus() < {0, 1}:
            self.skipTest('the host CPUs 0 and 1 are needed')
        try:
            with backing.huge_pages(MIB), unthrottled(tap.say), \
                    self.started(self.site.prepared(xml('realtime'), mib=MIB)) as (name, _):
                now = {'cpus': [1], 'policy': 'fifo', 'priority': 1}
                self.assertEqual([thread['now'] for thread in self.threads(name, 'vcpu')], [now])
                for role in ('emulator', 'worker', 'iothread'):
                    for thread in self.threads(name, role):
                        if not thread['name'].startswith('IO mon'):
                            self.assertEqual(thread['now']['cpus'], [0], thread)
                ram = self.host.qmp(name, 'query-nfv')['memory'][0]
                self.assertEqual((ram['page-size'], ram['populated']), (2 << 20, MIB << 20))
        except Failure as failure:
            if not any(words in str(failure) for words in SHORT):
                raise
            self.skipTest(f'{MIB} MiB of huge pages are not free, or others have taken them')

    def test_self_placed_is_refused_by_the_sandbox(self):
        with self.defined(self.site.prepared(xml('self-placed'))) as name:
            words = self.host.refused('start', name)
            self.assertIn('the sandbox (resourcecontrol=deny) forbids affinity and scheduling calls', words)
            self.assertIn('<cputune>', words)

    def test_sata(self):
        """The controller is there with sata=on. Not booted: with TCG the firmware takes half a minute."""
        text = self.site.prepared(xml('sata'))
        with self.defined(text) as name:
            self.host.virsh('start', name, '--paused')
            tree = self.host.virsh('qemu-monitor-command', name, '--hmp', 'info qtree')
            self.assertIn('ich9-ahci', tree)
            self.assertIn('ide-hd', tree)
            self.assertEqual(self.host.virsh('domblklist', name).split()[:1], ['sda'])
        with self.defined(domain.without_arguments(text)) as name:
            self.assertIn("Bus 'ide.0' not found", self.host.refused('start', name))

    def test_vhost_user(self):
        """QEMU's own vhost-user switch connects to both ports, and maps the guest's huge pages."""
        bridge = QEMU.parent / 'tests/vhost-user-bridge'
        if not bridge.exists():
            self.skipTest(f'{bridge.name} is not built')
        try:
            with backing.huge_pages(MIB), unthrottled(tap.say), \
                    self.defined(self.site.prepared(xml('vhost-user'), mib=MIB)) as name, self.switch(2):
                self.host.virsh('start', name)
                chardevs = {device['label']: device['filename'] for device in self.host.qmp(name, 'query-chardev')}
                for port in ('0', '1'):
                    # QEMU says "disconnected:" in front of the path of a socket that has no peer.
                    self.assertRegex(chardevs[f'charnet{port}'], f'^unix:/run/nfv-vhost/port{port}.sock')
                ram = self.host.qmp(name, 'query-nfv')['memory'][0]
                self.assertEqual((ram['page-size'], ram['share']), (2 << 20, True))
        except Failure as failure:
            if not any(words in str(failure) for words in SHORT):
                raise
            self.skipTest(f'{MIB} MiB of huge pages are not free, or others have taken them')

    @contextmanager
    def switch(self, ports):
        """Connects to each port as soon as QEMU listens there, as Open vSwitch does."""
        waits = 'until [ -S {0} ]; do sleep 0.1; done; exec /run/nfv/build/tests/vhost-user-bridge -c -u {0} ' \
            '-l 127.0.0.1:{1} -r 127.0.0.1:{2}'
        made = [subprocess.Popen(self.host.inside(
            'sh', '-c', waits.format(f'/run/nfv-vhost/port{port}.sock', 5000 + port, 6000 + port)),
            stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) for port in range(ports)]
        try:
            yield
        finally:
            for process in made:
                process.kill()
                process.wait()

    def test_sriov_says_which_function_is_missing(self):
        text = domain.with_function(self.site.prepared(xml('sriov')), '0x00', '0x1f', '0x6')
        if Path('/sys/bus/pci/devices/0000:00:1f.6').exists():
            self.skipTest('this host has a PCI device 0000:00:1f.6')
        with self.defined(text) as name:
            self.assertRegex(self.host.refused('start', name),
                             '0000:00:1f.6|does not support|doesn.t support passthrough')


class SelfPlaced(Defined):
    """QEMU's user is an ordinary one; the capability is on the file of QEMU, and the sandbox is off."""

    conf = {'seccomp_sandbox': 0}
    emulator = '/run/nfv/capable/qemu-system-x86_64'

    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        if granted_cpus() < {0, 1}:
            raise unittest.SkipTest('the host CPUs 0 and 1 are needed')
        if not shutil.which('setcap', path=f'{os.environ["PATH"]}:/usr/sbin:/sbin'):
            raise unittest.SkipTest('setcap is missing: install the package libcap2-bin')
        cls.host.run('sh', '-c', f'mkdir /run/nfv/capable && cp {EMULATOR} /run/nfv/capable && '
                     'cp -a /run/nfv/build/qemu-bundle /run/nfv/capable && '
                     f'PATH=$PATH:/usr/sbin setcap cap_sys_nice+ep {cls.emulator}')

    def text(self, emulator):
        return self.site.prepared(xml('self-placed')).replace(EMULATOR, emulator)

    def throttled(self):
        return RT_RUNTIME.read_text(encoding='ascii').strip() != '-1'

    def test_without_the_capability(self):
        with self.defined(self.text(EMULATOR)) as name:
            self.assertIn('SCHED_FIFO needs CAP_SYS_NICE', self.host.refused('start', name))

    def test_with_real_time_throttling(self):
        if not self.throttled():
            self.skipTest('real-time throttling is off on this host')
        with self.defined(self.text(self.emulator)) as name:
            self.assertIn('sysctl -w kernel.sched_rt_runtime_us=-1', self.host.refused('start', name))

    def test_places_itself(self):
        with unthrottled(tap.say):
            if self.throttled():
                self.skipTest('kernel.sched_rt_runtime_us cannot be set')
            with self.started(self.text(self.emulator)) as (name, _):
                found = self.host.qmp(name, 'query-nfv')
                self.assertEqual((found['plan']['vcpu-cpus'], found['plan']['rt-active']), ([1], True))
                self.assertEqual(found['problems'], [])
                now = {'cpus': [1], 'policy': 'fifo', 'priority': 1}
                self.assertEqual([thread['now'] for thread in self.threads(name, 'vcpu')], [now])
                self.assertTrue(all(thread['placed'] for thread in found['threads']), found['threads'])

    def test_libvirt_resets_what_it_was_not_told(self):
        """Without vcpupin, it gives each vCPU all host CPUs after QEMU has placed it, and query-nfv says so."""
        with unthrottled(tap.say):
            if self.throttled():
                self.skipTest('kernel.sched_rt_runtime_us cannot be set')
            with self.started(domain.without(self.text(self.emulator), 'cputune')) as (name, _):
                found = self.host.qmp(name, 'query-nfv')
                self.assertEqual([thread['placed'] for thread in self.threads(name, 'vcpu')], [False])
                self.assertTrue(found['problems'])
                # The way back, while the guest runs.
                self.host.qmp(name, 'nfv-set-placement', **{'vcpu-cpus': '1'})
                self.assertEqual([thread['placed'] for thread in self.threads(name, 'vcpu')], [True])


if __name__ == '__main__':
    tap.main(sys.argv[3:])
