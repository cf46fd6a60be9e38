"""Test of the scenario with two hosts for one guest: moved for maintenance, and started anew where a host has failed.

usage: system_ha.py QEMU PROBE [TEST...]
"""
# Copyright (c) 2026 the kvm4nfv authors
# SPDX-License-Identifier: GPL-2.0-or-later

from pathlib import Path
import sys
import unittest

from nfv import answer

from console import Console
from pair import site
import tap
from virthost import missing

QEMU, PROBE = map(Path, sys.argv[1:3])
XML = Path(__file__).resolve().parents[2] / 'libvirt/minimal.xml'
NAME = 'nfv-minimal'
OTHER = 'qemu+tcp://nfv-host-b/system'
# The directory of the images is the same on both hosts, which libvirt cannot know: it is no network filesystem.
SHARED = '--unsafe'


class HighAvailability(unittest.TestCase):
    def setUp(self):
        if why := missing():
            self.skipTest(why)
        made = self.enterContext(site(QEMU.parent, PROBE))
        self.a, self.b = made.host('nfv-host-a'), made.host('nfv-host-b')
        self.text = made.prepared(XML.read_text(encoding='utf-8'), 'fill=32')

    def boots(self, host):
        """Started there; the number of its pages."""
        host.virsh('start', NAME, '--paused')
        console = Console(host, NAME)
        host.virsh('resume', NAME)
        pages = console.expect('ready').numbers()['pages']
        console.end()
        return pages

    def proves(self, host, pages):
        console = Console(host, NAME)
        memory = answer.memory(console.ask('verify', 'verify'), pages)
        console.end()
        self.assertTrue(memory.intact, memory)

    def test_maintenance(self):
        """All guests of a host go to the other, where they stay defined, and come back."""
        self.a.define(self.text, NAME)
        pages = self.boots(self.a)
        for guest in self.a.virsh('list', '--name').split():
            self.a.virsh('migrate', '--live', '--persistent', '--undefinesource', SHARED, guest, OTHER)
        self.assertEqual(self.a.virsh('list', '--all', '--name').split(), [])
        self.assertEqual(self.b.virsh('list', '--persistent', '--name').split(), [NAME])
        self.proves(self.b, pages)
        self.b.virsh('migrate', '--live', '--persistent', '--undefinesource', SHARED, NAME,
                     'qemu+tcp://nfv-host-a/system')
        self.proves(self.a, pages)

    def test_failure(self):
        """The guest is defined on both hosts; what runs it last holds the lock of its disk."""
        uuid = '<name>nfv-minimal</name><uuid>4d0f2b1e-7f5c-4a51-9d3a-6b0c5b7f2f01</uuid>'
        text = self.text.replace('<name>nfv-minimal</name>', uuid)
        for host in (self.a, self.b):
            host.define(text, NAME)
        self.boots(self.a)
        # A host that believes wrongly that the other has failed does no harm.
        self.assertIn('Failed to get', self.b.refused('start', NAME))
        self.a.end()
        pages = self.boots(self.b)
        self.proves(self.b, pages)


if __name__ == '__main__':
    tap.main(sys.argv[3:])
