"""Tests of nfv-bench packet: what is measured, which way frames go, and what is made of the generator's answer."""
# Copyright (c) 2026 the kvm4nfv authors
# SPDX-License-Identifier: GPL-2.0-or-later

import argparse
import copy
import json
from pathlib import Path
import tempfile
import unittest
from unittest import mock

from nfv import packetguest, packetload, packetmove, packetspace, packetswitch, session, stress, subcommands
from nfv.packet import TEST, forwarder
from nfv.packetpath import SCENARIOS, Network, Placement, place
from nfv.packetswitch import Port
from nfv.packetvf import Vfs, find
from nfv.progress import Failure

LATENCY = {'count': 8, 'min': 1000, 'avg': 2000, 'max': 9000, 'buckets': [[1007, 7], [9000, 1]]}
PHASE = {'sent': 10, 'refused': 1, 'received': 8, 'duplicates': 0, 'reordered': 0, 'longest_loss': 2, 'ns': 10 ** 10,
         'latency': LATENCY}
ANSWER = {'rate': 1000, 'size': 64, 'real_time': True, 'ring_drops': 0, 'clock_step_ns': -5, 'late': LATENCY,
          'phases': {'0': PHASE, '1': PHASE, '2': {**PHASE, 'sent': 20, 'longest_loss': 12}, '3': PHASE},
          'slice_ns': 100, 'slices': [[10, 8, 9000]]}


def options(*arguments):
    parser = argparse.ArgumentParser()
    session.add_arguments(parser)
    TEST.add_arguments(parser)
    found = parser.parse_args(arguments)
    session.settle(found)
    return found


def cases(*arguments):
    return TEST.cases(options(*arguments))


class Cases(unittest.TestCase):
    def test_it_is_a_subcommand(self):
        self.assertIs(subcommands.tests()['packet'], TEST)

    def test_every_scenario_at_every_rate(self):
        found = [case.name for case in cases('--packet-rates', '100,2000')]
        self.assertEqual(found, [f'{name}-{rate}' for name in SCENARIOS for rate in (100, 2000)])
        self.assertEqual({dict(case.parameters)['sizes'] for case in cases() if 'migrate' not in case.name},
                         {(64, 512, 1518)})

    def test_without_a_guest_there_is_one_side(self):
        found = {case.name: case.sides for case in cases('--packet-rates', '1', '--sides', 'stock,fork')}
        self.assertEqual((found['loop-1'], found['switch-1'], found['tap-1']), (('stock',), ('stock',), None))

    def test_quick(self):
        self.assertLess(sum(case.seconds for case in cases('--quick')), 60)

    def test_refused(self):
        for words, said in ((('--packet-sizes', '63'), '--packet-sizes 63: must be 64 to 1518'),
                            (('--packet-sizes', '64,1519'), '--packet-sizes 1519'),
                            (('--packet-rates', '0'), '--packet-rates 0: must be 1')):
            with self.subTest(words), self.assertRaisesRegex(Failure, said):
                cases(*words)


class Places(unittest.TestCase):
    def test_the_switch_shares_only_if_it_must(self):
        self.assertEqual(place([0], [1]), Placement((1,), (0,), (0,)))
        self.assertEqual(place([0, 2], [1]), Placement((1,), (0, 2), (0,)))
        self.assertEqual(place([0, 1, 2, 3], [4, 5]), Placement((4, 5), (0, 3), (2,)))

    def test_without_a_cpu_for_each_vcpu_none_is_placed(self):
        self.assertEqual(place([0, 1], []).vcpus, ())


class Networks(unittest.TestCase):
    def network(self, name, **words):
        return Network(SCENARIOS[name], Path('/d'), **words)

    def test_ports_of_the_switch_are_pairs(self):
        far = [Port('interface', 'far0'), Port('interface', 'far1')]
        sockets = [Port('vhost-user', f'/d/vhosts{n}') for n in ('00', '01', '10', '11')]
        self.assertEqual(self.network('switch').switch_ports(), far)
        self.assertEqual(self.network('vhost-user').switch_ports(), [far[0], *sockets[:2], far[1]])
        self.assertEqual(self.network('chain').switch_ports(), [far[0], *sockets, far[1]])

    def test_a_guest_that_moves_has_ports_at_both_ends(self):
        ports = self.network('vhost-user-migrate').switch_ports()
        self.assertEqual([port.kind for port in ports], ['interface', 'vhost-user'] * 4)
        self.assertEqual(len({port.name for port in ports}), 8)

    def test_each_guest_sends_to_the_next(self):
        chain = self.network('chain')
        self.assertEqual(chain.peers(0), (packetguest.generator_mac(0), packetguest.guest_mac(1, 0)))
        self.assertEqual(chain.peers(1), (packetguest.guest_mac(0, 1), packetguest.generator_mac(1)))
        self.assertEqual(self.network('tap').peers(0), (packetguest.generator_mac(0), packetguest.generator_mac(1)))

    def test_the_generator_sends_to_the_first_guest(self):
        way = self.network('tap').way('52:54:00:4E:00:00')
        self.assertEqual((way.tx, way.rx), ('taps00', 'taps01'))
        self.assertEqual((way.sender, way.receiver), ('02:4e:46:00:00:00/198.18.0.1', '52:54:00:4E:00:00/198.19.0.1'))
        self.assertEqual((self.network('chain').way('').tx, self.network('tap-migrate').way('').rx), ('gen0', 'gen1'))

    def test_devices(self):
        tap = ' '.join(self.network('tap', vhost=True).devices('source', 0))
        self.assertIn('tap,id=net1,ifname=taps01,script=no,downscript=no,vhost=on', tap)
        sriov = ' '.join(self.network('sriov', vhost=True).devices('source', 0))
        self.assertIn('vhost=off', sriov)
        self.assertIn('igb,bus=root0,netdev=net0', sriov)
        moved = ' '.join(self.network('vhost-user-migrate').devices('destination', 0))
        self.assertIn('socket,id=char0,path=/d/vhostd00', moved)
        self.assertIn('guest_announce=off', moved)
        self.assertNotIn('guest_announce', tap)

    def test_names_of_interfaces_are_short_enough(self):
        for name, scenario in SCENARIOS.items():
            with self.subTest(name):
                space = mock.Mock()
                self.network(name).make(space)
                names = [word for call in (*space.veth.call_args_list, *space.tap.call_args_list,
                                           *space.bridge.call_args_list)
                         for word in call.args if ':' not in word]
                self.assertTrue(names)
                self.assertTrue(all(len(word) < 16 for word in names), names)
                made = {word for call in (*space.veth.call_args_list, *space.tap.call_args_list)
                        for word in call.args if ':' not in word}
                self.assertLessEqual({port.name for port in self.network(name).switch_ports()
                                      if scenario.switch and port.kind == 'interface'}, made)
                way = self.network(name).way('')
                self.assertLessEqual({way.tx, way.rx}, made)


class RealVfs(unittest.TestCase):
    def setUp(self):
        self.devices = Path(self.enterContext(tempfile.TemporaryDirectory()))
        self.physical = self.device('0000:01:00.0', '0x020000')
        self.vfs = []
        for number, address in enumerate(f'0000:01:10.{i}' for i in range(5)):
            self.vfs.append(self.device(address, '0x020000'))
            (self.physical / f'virtfn{number}').symlink_to(self.vfs[-1])

    def device(self, address, kind):
        path = self.devices / address
        path.mkdir()
        (path / 'class').write_text(f'{kind}\n')
        return path

    def drive(self, vf, driver):
        (self.devices / driver).mkdir(exist_ok=True)
        (vf / 'driver').symlink_to(self.devices / driver)

    def wire(self, vf, name, flags):
        path = vf / 'net' / name
        path.mkdir(parents=True)
        (path / 'flags').write_text(f'{flags}\n')
        (path / 'address').write_text(f'02:00:00:00:00:{name[-1]}0\n')

    def test_two_for_the_guest_and_two_that_are_down(self):
        for vf in self.vfs[:2]:
            self.drive(vf, 'vfio-pci')
        for vf, name, flags in zip(self.vfs[2:], ('eth2', 'eth3', 'eth4'), ('0x1003', '0x1002', '0x1002')):
            self.drive(vf, 'iavf')
            self.wire(vf, name, flags)
        self.assertEqual(find(self.devices), Vfs(('0000:01:10.0', '0000:01:10.1'), ('eth3', 'eth4'),
                                                 ('02:00:00:00:00:30', '02:00:00:00:00:40')))

    def test_a_nic_that_is_not_prepared_is_left_alone(self):
        self.assertIsNone(find(self.devices))
        self.drive(self.vfs[0], 'vfio-pci')
        for vf, name in zip(self.vfs[2:], ('eth2', 'eth3', 'eth4')):
            self.wire(vf, name, '0x1002')
        self.assertIsNone(find(self.devices))
        self.assertIsNone(find(self.devices / 'none'))

    def test_network(self):
        vfs = Vfs(('0000:01:10.0', '0000:01:10.1'), ('eth3', 'eth4'), ('02:00:00:00:00:30', '02:00:00:00:00:40'))
        network = Network(SCENARIOS['sriov'], Path('/d'), vfs=vfs)
        self.assertEqual(network.devices('source', 0), ['-device', 'vfio-pci,host=0000:01:10.0',
                                                        '-device', 'vfio-pci,host=0000:01:10.1'])
        self.assertEqual(network.peers(0), vfs.macs)
        way = network.way('02:aa:00:00:00:01')
        self.assertEqual((way.tx, way.rx, way.sender), ('eth3', 'eth4', '02:00:00:00:00:30/198.18.0.1'))
        space = mock.Mock()
        network.make(space)
        self.assertEqual([call.args for call in space.adopt.call_args_list], [('eth3',), ('eth4',)])
        self.assertIsNone(Network(SCENARIOS['tap'], Path('/d'), vfs=vfs).vfs)


class Guests(unittest.TestCase):
    def test_arguments(self):
        words = packetguest.Forwarder('k', 'i', 'dpdk', True, ('a', 'b')).arguments()[-1].split()
        self.assertLessEqual({'nfv.forward=dpdk', 'nfv.vf', 'nfv.peer0=a', 'nfv.peer1=b', 'nfv.address1=198.19.0.2/24',
                              'nfv.neighbour1=198.19.0.1'}, set(words))
        self.assertNotIn('nfv.vf', packetguest.Forwarder('k', 'i').arguments()[-1])

    def test_a_missing_guest_is_told(self):
        with self.assertRaisesRegex(Failure, 'no guest kernel at /no/such.*guest/dpdk.sh'):
            packetguest.Forwarder('/no/such', '/no/such').check()


    def test_with_load_it_is_larger(self):
        idle, loaded = (packetguest.Forwarder('k', 'i', stress=words) for words in ((), ('--cpu', '1')))
        self.assertLess(idle.memory, loaded.memory)
        bench = mock.Mock()
        bench.options.kernel, bench.options.packet_guest = 'k', '/g/forward.gz'
        made = [forwarder(bench, SCENARIOS['tap'], stress.parse(name)) for name in ('cpu', 'guest-cpu')]
        self.assertEqual([one.initrd for one in made], ['/g/forward.gz', '/g/forward-stress.gz'])
        self.assertEqual([bool(one.stress) for one in made], [False, True])


class Answers(unittest.TestCase):
    def test_numbers(self):
        found = packetload.parse(json.dumps(ANSWER))
        phase = found.phases[1]
        self.assertEqual((phase.lost, phase.loss, phase.seconds), (2, 20.0, 10.0))
        self.assertEqual((phase.latency.samples, phase.latency.percentile('50'), phase.latency.max), (8, 1007, 9000))
        self.assertEqual(phase.as_json()['lost'], 2)
        self.assertEqual(found.as_json()['slices'], [[10, 8, 9000]])

    def test_nothing_sent_is_no_loss(self):
        self.assertEqual(packetload.Phase(0, 0, 0, 0, 0, 0, 0.0, packetload.Histogram()).loss, 0)

    def test_what_cannot_be_trusted_is_refused(self):
        for change, said in (({'ring_drops': 3}, 'missed 3 frames'), ({'clock_step_ns': 2_000_000}, 'set by 2.0 ms'),
                             ({'phases': {'1': {}}}, 'answer is none')):
            with self.subTest(said), self.assertRaisesRegex(Failure, said):
                packetload.parse(json.dumps({**ANSWER, **change}))
        with self.assertRaisesRegex(Failure, 'answer is none'):
            packetload.parse('{"rate": 10')

    def test_migration(self):
        answer = copy.deepcopy(ANSWER)
        found = packetmove.measurement(packetload.parse(json.dumps(answer)))
        self.assertEqual(list(found.latency), ['before', 'during', 'after'])
        self.assertEqual(found.values, {'lost-before': 2, 'lost-during': 12, 'lost-after': 2,
                                        'longest-outage-ms': 12.0})
        self.assertEqual(found.details['during']['sent'], 20)


class Hosts(unittest.TestCase):
    def test_namespace(self):
        self.assertEqual(packetspace.unshare(True), ['unshare', '--net'])
        self.assertIn('--map-root-user', packetspace.unshare(False))
        self.assertEqual(packetspace.enter(True, 7), ['nsenter', '--target=7', '--net', '--'])
        self.assertIn('--user', packetspace.enter(False, 7))

    def test_missing_tools_are_named_with_their_package(self):
        with mock.patch('shutil.which', lambda name: None if name == 'ip' else name):
            self.assertRegex(packetspace.problem(), 'ip is missing: install the package iproute2')
        with mock.patch('shutil.which', lambda name: None):
            self.assertRegex(packetswitch.problem(), 'dpdk-testpmd is missing: install the package dpdk-dev')
        with tempfile.TemporaryDirectory() as directory, mock.patch('shutil.which', lambda name: name), \
                mock.patch.object(packetswitch, 'PLUGINS', f'{directory}/{{}}.so'):
            self.assertRegex(packetswitch.problem(), 'package librte-net-vhost')
            for driver in packetswitch.DRIVERS:
                (Path(directory) / f'{driver}.so').touch()
            self.assertIsNone(packetswitch.problem())

    def test_switch(self):
        words = packetswitch.command([Port('interface', 'far0'), Port('vhost-user', '/d/s')], (0, 3), huge=False)
        self.assertIn('0@0,1@3', words)
        self.assertIn('--no-huge', words)
        self.assertIn('--vdev=net_vhost1,iface=/d/s,queues=1', words)
        self.assertIn('--in-memory', packetswitch.command([], (0,), huge=True))


if __name__ == '__main__':
    unittest.main()
