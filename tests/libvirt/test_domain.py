"""Unit tests of what the libvirt tests do to a domain's XML, and of what they read."""
# Copyright (c) 2026 the kvm4nfv authors
# SPDX-License-Identifier: GPL-2.0-or-later

from pathlib import Path
import unittest
import xml.etree.ElementTree as ET

import contract
import domain
import pki
import virthost

XML = Path(__file__).resolve().parents[2] / 'libvirt'


def xml(name):
    return (XML / f'{name}.xml').read_text(encoding='utf-8')


class Fitted(unittest.TestCase):
    def test_each_is_for_tcg_with_one_vcpu(self):
        for file in sorted(XML.glob('*.xml')):
            with self.subTest(file.name):
                root = ET.fromstring(domain.fitted(file.read_text(encoding='utf-8'), '/q', '/k', 'fill=1', 64))
                self.assertEqual(root.get('type'), 'qemu')
                self.assertEqual([root.findtext(path) for path in ('memory', 'vcpu', 'devices/emulator', 'os/kernel',
                                                                   'os/cmdline')], ['64', '1', '/q', '/k', 'fill=1'])
                self.assertEqual(root.find('cpu').get('mode'), 'maximum')
                self.assertIsNone(root.find('features/kvm'))

    def test_pins(self):
        root = ET.fromstring(domain.fitted(xml('realtime'), '/q', '/k'))
        tune = root.find('cputune')
        self.assertEqual([(pin.tag, pin.get('cpuset')) for pin in tune if pin.get('cpuset')],
                         [('vcpupin', '1'), ('emulatorpin', '0'), ('iothreadpin', '0')])
        self.assertEqual(tune.find('vcpusched').get('vcpus'), '0')

    def test_arguments(self):
        text = domain.fitted(xml('self-placed'), '/q', '/k')
        self.assertIn('"vcpu-cpus=1,housekeeping-cpus=0,rt=on"', text)
        self.assertIn('<qemu:arg value="-S"', domain.with_arguments(text, '-S'))
        self.assertIn('<qemu:arg value="-S"', domain.with_arguments(xml('minimal'), '-S'))
        self.assertNotIn('vcpu-cpus', domain.without_arguments(text))
        with self.assertRaisesRegex(ValueError, 'commandline'):
            domain.without_arguments(xml('minimal'))

    def test_what_is_not_there_cannot_be_left_out(self):
        self.assertNotIn('<locked', domain.without(xml('realtime'), 'memoryBacking/locked'))
        with self.assertRaisesRegex(ValueError, 'memoryBacking'):
            domain.without(xml('minimal'), 'memoryBacking/locked')
        with self.assertRaisesRegex(ValueError, 'devices/video'):
            domain.without(xml('minimal'), 'devices/video')

    def test_little_changes(self):
        root = ET.fromstring(domain.boots_from_its_first_interface(domain.fitted(xml('vhost-user'), '/q', '/k')))
        self.assertIsNone(root.find('os/kernel'))
        self.assertEqual([card.find('boot') is not None for card in root.iterfind('devices/interface')], [True, False])
        self.assertIn('current="1">2</vcpu>', domain.with_vcpus(xml('minimal'), 2, 1))
        self.assertIn('bus="0x07" slot="0x01" function="0x2"',
                      domain.with_function(xml('sriov'), '0x07', '0x01', '0x2'))
        self.assertEqual(domain.disks(xml('sata')), ['/var/lib/libvirt/images/nfv-sata.qcow2'])
        self.assertEqual(domain.name(xml('sata')), 'nfv-sata')


class Read(unittest.TestCase):
    def test_event(self):
        line = "event NFV_MIGRATION_ENDED at 12.345678 for domain 'd': {\"verdict\":\"kept\",\"why\":\"5 ms: fits\"}"
        self.assertEqual(contract.event(line), contract.Event('NFV_MIGRATION_ENDED', 12.345678, 'd',
                                                              {'verdict': 'kept', 'why': '5 ms: fits'}))
        self.assertEqual(contract.event("event RESUME at 12.3 for domain 'd': <null>").data, {})
        self.assertIsNone(contract.event('Migration: [ 50 %]'))

    def test_configuration(self):
        self.assertEqual(virthost.conf({'a': 1, 'b': 'x', 'c': ['y', 'z']}), 'a = 1\nb = "x"\nc = ["y", "z"]\n')

    def test_certificate(self):
        self.assertIn('dns_name = "h"', pki.host_template('h', '192.0.2.1'))


if __name__ == '__main__':
    unittest.main()
