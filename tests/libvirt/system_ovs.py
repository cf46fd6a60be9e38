"""Test of vhost-user.xml with Open vSwitch and DPDK: packets both ways, and a live migration between two switches.

usage: system_ovs.py QEMU PROBE [TEST...]
"""
# Copyright (c) 2026 the kvm4nfv authors
# SPDX-License-Identifier: GPL-2.0-or-later

from pathlib import Path
import sys
import time
import unittest

from nfv import backing
from nfv.host import unthrottled
from nfv.progress import Failure

import domain
import ovs
from pair import site
import tap
from virthost import missing

QEMU, PROBE = map(Path, sys.argv[1:3])
XML = Path(__file__).resolve().parents[2] / 'libvirt/vhost-user.xml'
NAME = 'nfv-vhost-user'
MIB = 128
# With TCG, the network card's firmware needs some seconds.
FIRMWARE_TIMEOUT = 40
PACKETS_TIMEOUT = 240
# DPDK takes more than it is told to, for each port.
HUGE_MIB = 2 * (MIB + ovs.MEMORY + 192)


class Ovs(unittest.TestCase):
    def setUp(self):
        if why := missing() or ovs.missing():
            self.skipTest(why)
        try:
            self.enterContext(backing.huge_pages(HUGE_MIB))
        except Failure as failure:
            self.skipTest(str(failure))
        self.enterContext(unthrottled(tap.say))
        made = self.enterContext(site(QEMU.parent, PROBE))
        self.a, self.b = made.host('nfv-host-a'), made.host('nfv-host-b')
        text = domain.without(XML.read_text(encoding='utf-8'), 'memoryBacking/locked')
        self.text = domain.boots_from_its_first_interface(
            domain.without(made.prepared(text, mib=MIB), 'devices/disk'))

    def switch(self, host):
        try:
            made = ovs.Switch(host, 0)
        except ovs.NoMemory as why:
            self.skipTest(str(why))
        self.addCleanup(made.end)
        for port in '01':
            made.add_port(f'vhost{port}', f'/run/nfv-vhost/port{port}.sock')
        return made

    def await_packets(self, switch):
        """From the guest's first port and to it; a firmware that was not heard in time begins anew."""
        end = time.monotonic() + PACKETS_TIMEOUT
        again = time.monotonic() + FIRMWARE_TIMEOUT
        while not all(switch.packets('vhost0')):
            self.assertLess(time.monotonic(), end, f'{switch.packets("vhost0")}\n{switch.said()}')
            if time.monotonic() > again:
                switch.host.virsh('reset', NAME)
                again += FIRMWARE_TIMEOUT
            time.sleep(1)
            switch.say_something()
        received, sent = switch.packets('vhost0')
        tap.say(f'{switch.host.name}: {received} packets from the guest, {sent} to it')

    def test_packets_and_migration(self):
        here = self.switch(self.a)
        self.a.create(self.text, NAME)
        self.a.virsh('resume', NAME)
        self.await_packets(here)
        self.assertEqual(here.get('Interface', 'vhost0', 'link_state'), 'up')
        there = self.switch(self.b)
        self.assertEqual(there.packets('vhost0'), (0, 0))
        self.a.virsh('migrate', '--live', NAME, 'qemu+tcp://nfv-host-b/system')
        self.assertEqual(self.b.virsh('domstate', NAME).strip(), 'running')
        # The firmware may have given up by now.
        self.b.virsh('reset', NAME)
        self.await_packets(there)
        # Two queues, in huge pages that the other switch maps.
        ram = self.b.qmp(NAME, 'query-nfv')['memory'][0]
        self.assertEqual((ram['page-size'], ram['share']), (2 << 20, True))


if __name__ == '__main__':
    tap.main(sys.argv[3:])
