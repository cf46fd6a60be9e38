"""Runs what the manual's scenarios, and its page about libvirt, tell an operator to type on two hosts.

usage: system_scenarios.py QEMU PROBE [TEST...]
"""
# Copyright (c) 2026 the kvm4nfv authors
# SPDX-License-Identifier: GPL-2.0-or-later

from pathlib import Path
import subprocess
import sys
import unittest

from nfv import backing
from nfv.host import granted_cpus, unthrottled
from nfv.progress import Failure
from nfv.shown import difference

import domain
import ovs
from pair import site
import scenario
import tap
from virthost import can_lock, missing

QEMU, PROBE = map(Path, sys.argv[1:3])
TOP = Path(__file__).resolve().parents[2]
COMMAND_TIMEOUT = 120
MIB = 128


class Lab(unittest.TestCase):
    def setUp(self):
        if why := missing():
            self.skipTest(why)
        if granted_cpus() < {0, 1}:
            self.skipTest('the host CPUs 0 and 1 are needed')

    def play(self, page, prepare, huge=0, switches=False):
        """The page's steps in their order, each host in a directory with libvirt/*.xml as `prepare` makes them."""
        steps = scenario.steps((TOP / f'docs/{page}.rst').read_text(encoding='utf-8'))
        self.assertGreater(len(steps), 2)
        try:
            self.enterContext(backing.huge_pages(huge))
        except Failure as failure:
            self.skipTest(str(failure))
        self.enterContext(unthrottled(tap.say))
        made = self.enterContext(site(QEMU.parent, PROBE))
        made.certifies()
        hosts = {name: made.host(f'nfv-{name}') for name in ('host-a', 'host-b')}
        for file in (TOP / 'libvirt').glob('*.xml'):
            text = file.read_text(encoding='utf-8')
            if '<locked/>' in text and not can_lock():
                text = domain.without(text, 'memoryBacking/locked')
            text = prepare(made.prepared(text, 'fill=32', MIB))
            for host in hosts.values():
                (host.directory / file.name).write_text(text, encoding='utf-8')
        if switches:
            for host in hosts.values():
                try:
                    self.addCleanup(ovs.Switch(host, 0).end)
                except ovs.NoMemory as why:
                    self.skipTest(str(why))
        for step in steps:
            with self.subTest(line=step.line):
                self.take(page, step, hosts[step.host])

    def take(self, page, step, host):
        done = subprocess.run(
            host.inside('env', 'LIBVIRT_DEFAULT_URI=qemu:///system', 'LC_ALL=C.UTF-8', 'sh', '-ec',
                        f'cd {host.directory}\n{step.commands}'),
            stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
            timeout=COMMAND_TIMEOUT, check=False)
        tap.say(f'{step.host}$ {step.commands}\n{done.stdout}')
        self.assertEqual(done.returncode, 0, f'{page}, line {step.line}: {done.stdout}\n{host.said()}')
        if step.shows is not None:
            self.assertIsNone(difference(step.shows, done.stdout), f'{page}, line {step.line}: {done.stdout}')


class Scenarios(Lab):
    def test_kvm(self):
        self.play('scenarios/kvm', str, huge=MIB)

    def test_high_availability(self):
        self.play('scenarios/high-availability', str)

    def test_libvirt(self):
        self.play('user/libvirt', str)


class Ovs(Lab):
    def setUp(self):
        super().setUp()
        if why := ovs.missing():
            self.skipTest(why)

    def test_ovs_dpdk(self):
        """Its guest asks for an address on its first interface, and has no disk."""
        self.play('scenarios/ovs-dpdk', self.asks, huge=2 * (MIB + ovs.MEMORY + 192), switches=True)

    def asks(self, text):
        text = domain.without(text, 'devices/disk')
        return domain.boots_from_its_first_interface(text) if 'vhostuser' in text else text


if __name__ == '__main__':
    tap.main(sys.argv[3:])
