"""Tests of what nfv-bench plans, reads and prints."""
# Copyright (c) 2026 the kvm4nfv authors
# SPDX-License-Identifier: GPL-2.0-or-later

import argparse
import socket
import unittest
from unittest import mock

from nfv import backing, footprint, guest, link, migrate, plan, profile, sample, side, stream, table
from nfv.answer import Answer, Memory
from nfv.migration import Point
from nfv.progress import Failure
from nfv.sample import CANCELLED, ENDED, ENDLESS, FAILED, Row, Sample

GOOD = Memory(expected=10, pages=10, wrong=0, table=0, first=-1, writes=5, digest='0')
WRONG = Memory(expected=10, pages=10, wrong=1, table=0, first=3, writes=5, digest='0')


def options(*arguments):
    parser = argparse.ArgumentParser()
    migrate.add_arguments(parser)
    return parser.parse_args(arguments)


class Profiles(unittest.TestCase):
    def test_all(self):
        cases = profile.cases(list(profile.NAMES), profile.Choice())
        count = {name: sum(case.profile == name for case in cases) for name in profile.NAMES}
        self.assertEqual(count, {'idle': 3, 'devices': 6, 'hot': 9, 'ring': 3, 'postcopy': 6})
        self.assertEqual(len(set(cases)), len(cases))
        self.assertEqual({case.backing for case in cases if case.profile == 'idle'}, set(backing.NAMES))
        self.assertTrue(all(case.memory == 8192 for case in cases if case.profile == 'idle'))

    def test_choice(self):
        choice = profile.Choice(memory=128, rates=(0.5,), shares=(10, 30), orders=('random', 'scattered'))
        cases = profile.cases(['hot'], choice)
        self.assertEqual([(case.set, case.order) for case in cases],
                         [(12, 'random'), (12, 'scattered'), (38, 'random'), (38, 'scattered')])

    def test_postcopy(self):
        cases = profile.cases(['postcopy'], profile.Choice())
        self.assertEqual([(case.set, case.order) for case in cases],
                         [(16, 'scattered'), (64, 'scattered'), (256, 'scattered'),
                          (384, 'sequential'), (384, 'random'), (384, 'skewed')])
        self.assertEqual([case.order for case in profile.cases(['postcopy'], profile.Choice(orders=('random',)))],
                         ['random'])
        self.assertEqual([case.set for case in profile.cases(['postcopy'], profile.Choice(sets=(8,)))], [8])
        self.assertAlmostEqual(cases[0].press(100000000), 1.1 * 512 * 1.048576 / 100)
        self.assertIsNone(profile.Case('hot', 512, set=51, rate=1.5).press(100000000))
        self.assertEqual(str(cases[1]), 'postcopy, 512 MiB, 64 MiB hot, scattered, written at 1 x link')

    def test_rate(self):
        case = profile.Case('hot', 256, set=25, rate=1.5)
        self.assertEqual(case.rate_kib(100000000), 146484)
        self.assertGreater(case.bound(100000000), 4 * 256 * 1.048 / 100)
        self.assertEqual(str(case), 'hot, 256 MiB, 10 % hot, sequential, written at 1.5 x link')


class Points(unittest.TestCase):
    CASE = profile.Case('postcopy', 512, set=64, rate=1)

    def test_postcopy(self):
        self.assertEqual(migrate.choose_points(options('--postcopy'), self.CASE), [Point(5, 0, True)])
        self.assertEqual(migrate.choose_points(options('--postcopy', '--points', '2:20'), self.CASE),
                         [Point(20, 2, True)])
        capabilities = {item['capability']: item['state'] for item in Point(5, 2, True).capabilities()}
        self.assertEqual(capabilities, {'return-path': True, 'postcopy-ram': True, 'postcopy-preempt': True,
                                        'multifd': True})

    def test_contract(self):
        chosen = options('--contract', '10:2000')
        self.assertEqual(migrate.choose_points(chosen, profile.Case('hot', 128, set=12, rate=1.5)),
                         [Point(10, 0, True, 2000)])
        stock, fork = migrate.choose_sides(chosen)
        self.assertFalse(any('migration' in argument for argument in stock.source))
        self.assertEqual(fork.source[-6:],
                         ('-global', 'migration.max-downtime=10', '-global', 'migration.deadline=2000',
                          '-global', 'migration.on-deadline=postcopy'))
        for text in ('10', '0:5', '5:0', 'a:b'):
            with self.subTest(text), mock.patch('sys.stderr'), self.assertRaises(SystemExit):
                options('--contract', text)

    def test_arm(self):
        bare, armed = migrate.choose_sides(options('--arm'))
        self.assertEqual((bare.name, bare.capabilities), ('fork', ()))
        self.assertEqual((armed.name, armed.capabilities), ('fork, armed', ('postcopy-ram', 'postcopy-preempt')))

    def test_kept(self):
        for downtime, total, kept in ((10, 2000, True), (10.1, 5, False), (5, 2001, False), (None, None, False)):
            self.assertEqual(sample.kept(Sample(ENDED, downtime=downtime, total=total), 10, 2000), kept)
        row = Row([Sample(ENDED, memory=GOOD, kept=True), Sample(ENDED, memory=GOOD, kept=False)])
        self.assertEqual(table.verdict(row), 'intact 2/2, contract kept 1/2')


class Plans(unittest.TestCase):
    def test_side_by_side(self):
        case = profile.Case('devices', 64)
        sides = [side.Side('stock', 'a', 'q35'), side.Side('fork', 'b', 'nfv')]
        runs = plan.runs({case: [Point(5), Point(300)]}, sides, 2)
        self.assertEqual([(run.number, run.point.limit, run.side.name) for run in runs],
                         [(n, limit, name) for n in (0, 1) for limit in (5, 300) for name in ('stock', 'fork')])

    def test_left(self):
        self.assertEqual(plan.seconds_left([10, 20, 30], []), 60)
        self.assertEqual(plan.seconds_left([10, 20, 30], [5]), 25)
        self.assertEqual(plan.seconds_left([10, 20], [10, 20]), 0)
        self.assertEqual([plan.duration(s) for s in (5, 99, 150, 7200)], ['5 s', '99 s', '2 min', '2.0 h'])


class Options(unittest.TestCase):
    def test_points(self):
        case = profile.Case('hot', 64)
        self.assertEqual(migrate.choose_points(options(), case), [Point(300), Point(300, 2)])
        self.assertEqual(migrate.choose_points(options(), profile.Case('devices', 64)), [Point(5), Point(5, 2)])
        self.assertEqual(migrate.choose_points(options('--points', '0:5,4:20'), case), [Point(5), Point(20, 4)])
        self.assertEqual(len(migrate.choose_points(options('--sweep'), case)), 8)
        self.assertEqual(migrate.choose_points(options('--quick'), case), [Point(300)])

    def test_parameters(self):
        self.assertEqual(Point(20, 2).parameters(), {'max-bandwidth': 0, 'downtime-limit': 20, 'multifd-channels': 2})
        self.assertEqual({c['capability']: c['state'] for c in Point(20).capabilities()},
                         {'return-path': True, 'postcopy-ram': False, 'postcopy-preempt': False, 'multifd': False})

    def test_quick(self):
        cases = migrate.choose_cases(options('--quick'))
        self.assertEqual([case.profile for case in cases], ['devices', 'hot', 'ring', 'postcopy'])
        cases = migrate.choose_cases(options('--quick', '--profile', 'hot', '--memory', '96', '--backing', 'memfd'))
        self.assertEqual([(case.memory, case.backing) for case in cases], [(96, 'memfd')])

    def test_sides(self):
        stock, fork = migrate.choose_sides(options('--fork-args', '-global migration.x=on',
                                                   '--fork-source-args', '-global migration.y=off'))
        self.assertEqual((stock.name, fork.name), ('stock', 'fork'))
        self.assertEqual(fork.source, ('-global', 'migration.x=on', '-global', 'migration.y=off'))
        self.assertEqual(fork.destination, ('-global', 'migration.x=on'))
        self.assertEqual((stock.source, stock.destination), ((), ()))
        self.assertTrue(stock.machine.startswith('q35,hpet=off') and fork.machine == 'nfv')
        without = migrate.choose_sides(options('--without-modules'))
        self.assertEqual(without[0].machine, without[1].machine)

    def test_self(self):
        one, again = migrate.choose_sides(options('--self', 'stock'))
        self.assertEqual((one.qemu, one.machine), (again.qemu, again.machine))
        self.assertNotEqual(one.name, again.name)

    def test_same_devices(self):
        stock, fork = side.machines('q35')
        self.assertEqual(stock, 'q35')
        self.assertEqual(fork, 'nfv,' + side.machines('nfv')[0].partition(',')[2].replace('off', 'on'))
        arguments = side.devices(12)
        self.assertEqual(arguments.count('-device'), 12)
        self.assertEqual(len({a for a in arguments if 'mac=' in a}), 3)

    def test_refused(self):
        for arguments, words in ((['-n', '0'], '--repeat 0: must be at least 1'), (['--memory', '8'], 'at least 64'),
                                 (['--rate', '0'], '--rate 0'), (['--shares', '90'], '--shares 90: must be 1 to 75'),
                                 (['--delay', '-1'], 'not be negative'), (['--points=-1:5'], 'not be negative')):
            with self.subTest(arguments), self.assertRaisesRegex(Failure, words):
                migrate.check(options(*arguments))
        for arguments in (['--profile', 'lazy'], ['--points', 'x'], ['--backing', 'paper']):
            with self.subTest(arguments), self.assertRaises(SystemExit), mock.patch('sys.stderr'):
                options(*arguments)


class Links(unittest.TestCase):
    def test_problems(self):
        self.assertIsNone(link.problem(link.Link('relay', 100, 1)))
        with mock.patch('os.geteuid', return_value=1000):
            self.assertIn('use --link relay', link.problem(link.Link('tbf', 100)))
        with mock.patch('os.geteuid', return_value=0):
            self.assertIn('does not delay', link.problem(link.Link('tbf', 100, 0.1)))
            with mock.patch('shutil.which', lambda tool: None if tool == 'tc' else tool):
                self.assertIn('the package iproute2', link.problem(link.Link('tbf', 100)))

    def test_stream_addresses(self):
        self.assertEqual(stream.parse('unix:/a:b'), (socket.AF_UNIX, '/a:b'))
        self.assertEqual(stream.parse('tcp:192.0.2.1:44'), (socket.AF_INET, ('192.0.2.1', 44)))
        for bad in ('', 'unix:', 'tcp:44', 'tcp:host:port', 'exec:a:1'):
            with self.subTest(bad), self.assertRaisesRegex(ValueError, 'must be unix:PATH or tcp:HOST:PORT'):
                stream.parse(bad)

    def test_stream_is_as_fast_as_the_link_at_most(self):
        for kind, rate in (('relay', 8000000), ('direct', 0)):
            with self.subTest(kind):
                speed = link.stream_speed(link.Link(kind, rate), None)
                self.assertGreater(speed, 0)
                if rate:
                    # The relay lets a burst pass at the begin.
                    self.assertLess(speed, 1.1 * rate)

    def test_text(self):
        self.assertEqual(str(link.Link('relay', 100000000, 0.005)), 'relay 100 MB/s, 5 ms')


class Reading(unittest.TestCase):
    def test_footprint(self):
        text = ('55d0-7ffd ---p 00000000 00:00 0    [rollup]\nRss:  2000 kB\nPss:  1500 kB\nPss_Anon: 1400 kB\n'
                'Pss_File: 70 kB\nPss_Shmem: 30 kB\nShared_Hugetlb:  2048 kB\nPrivate_Hugetlb:  4096 kB\n')
        self.assertEqual(footprint.parse(text), 1400 + 30 + 2048 + 4096)
        with self.assertRaises(ValueError):
            footprint.parse('')

    def test_populated(self):
        text = ('7f00-7f10 rw-p 00000000 00:00 0 \nSize:  1048576 kB\nRss:  500 kB\n'
                '7f20-7f30 rw-s 00000000 00:01 7   /memfd:ram (deleted)\nSize:  524288 kB\nRss:  100 kB\n'
                'Shared_Hugetlb:  2048 kB\nPrivate_Hugetlb:  4096 kB\n7f40-7f50 r--p 0 0:0 0\nSize:  4 kB\nRss:  4 kB\n')
        self.assertEqual(footprint.parse_ram(text, 524288), 100 + 2048 + 4096)
        self.assertEqual(footprint.parse_ram(text, 524289), 500)
        with self.assertRaisesRegex(ValueError, 'no mapping of 1048577 KiB'):
            footprint.parse_ram(text, 1048577)

    def test_floor(self):
        self.assertEqual(sample.floor_ms(50000000, 100e6), 500)
        self.assertIsNone(sample.floor_ms(None, 100e6))
        self.assertIsNone(sample.floor_ms(50000000, None))
        self.assertIsNone(sample.floor_ms(50000000, 0))

    def test_page_size(self):
        self.assertEqual(backing.chosen('always [madvise] never'), 'madvise')
        self.assertEqual(backing.chosen('what is this'), 'never')
        self.assertIn('2 MiB', backing.page_size('hugetlb'))

    def test_backing(self):
        for name in backing.NAMES:
            arguments = backing.arguments(name, 64)
            self.assertEqual(arguments[:2] + arguments[-2:], ['-m', '64', '-machine', 'memory-backend=ram'])
            self.assertIn(',id=ram,size=64M', arguments[3])
        self.assertIn('share=on', backing.arguments('memfd', 64)[3])

    def test_probe(self):
        probe = guest.Probe('probe', fill=0, set=8, rate=1000)
        self.assertEqual(probe.arguments(),
                         ['-kernel', 'probe', '-append', 'fill=0 set=8 rate=1000 rings=0 beat=250 order=sequential'])
        self.assertEqual(probe.pages(Answer('ready', 'pages=100 set=3 hz=9')), 100)
        self.assertEqual(guest.rate(Answer('stats', 'bytes=1000 us=500000'), Answer('stats', 'bytes=6000 us=1000000')),
                         10000)
        self.assertIsNone(guest.rate(Answer('stats', 'bytes=1 us=5'), Answer('stats', 'bytes=1 us=5')))

    def test_logs(self):
        one = Sample(ENDED)
        sample.read_logs(one, '1@100.000000:migrate_set_state new state setup\n'
                         '1@100.400000:serial_write write addr 0x07 val 0x01\n'
                         '1@100.500000:vmstate_downtime_checkpoint src-downtime-start\n',
                         '2@100.507500:vmstate_downtime_checkpoint dst-precopy-bh-vm-started\n'
                         '2@100.600000:serial_write write addr 0x07 val 0x02\n')
        self.assertEqual((one.total, one.downtime, one.switch, one.gap), (507.5, 7.5, 200, None))
        sample.read_info(one, {'total-time': 510, 'downtime': 6, 'ram': {'transferred': 99, 'dirty-sync-count': 3}})
        self.assertEqual((one.reported_downtime, one.sent, one.rounds, one.multifd), (6, 99, 3, None))


class Tables(unittest.TestCase):
    def rows(self):
        return {'stock': Row([Sample(ENDED, total=100, downtime=10, memory=GOOD),
                              Sample(ENDED, total=120, downtime=12, memory=GOOD)]),
                'fork': Row([Sample(ENDED, total=55, downtime=6, memory=GOOD),
                             Sample(ENDED, total=55, downtime=5, memory=GOOD)])}

    def test_lines(self):
        lines = table.point_lines(self.rows())
        self.assertEqual([line.split() for line in lines], [
            ['n', 'total', 'ms', 'downtime', 'ms', 'memory'],
            ['stock', '2', '110', '(100-120)', '11', '(10-12)', 'intact', '2/2'],
            ['fork', '2', '55', '5.5', '(5-6)', 'intact', '2/2'],
            ['ratio', '0.50', '0.50']])

    def test_bad_memory_and_failures_are_told(self):
        rows = self.rows()
        rows['fork'].samples[0].memory = WRONG
        rows['stock'].samples.append(Sample(FAILED, error='QEMU ended\nbecause'))
        text = '\n'.join(table.point_lines(rows))
        self.assertIn('BAD 1/2', text)
        self.assertIn('fork memory: WRONG: 1 of 10', text)
        self.assertIn('stock failed: QEMU ended', text)
        self.assertFalse(rows['fork'].samples[0].good or rows['stock'].samples[2].good)

    def test_endless(self):
        row = Row([Sample(ENDLESS, bound=30, rate=5, sent=9, memory=GOOD)])
        self.assertEqual(table.verdict(row), 'intact 1/1, does not end in 30 s')
        # What was sent in vain is no figure of a migration; the guest's rate is one.
        self.assertEqual((row.values('sent'), row.values('rate')), ([], [5]))
        self.assertTrue(row.samples[0].good)

    def test_cancelled(self):
        row = Row([Sample(CANCELLED, cancelled=2999.6, memory=GOOD), Sample(CANCELLED, cancelled=3100, memory=GOOD)])
        self.assertEqual(table.verdict(row), 'intact 2/2, cancelled after 3000 to 3100 ms')
        self.assertTrue(row.endless and not row.hopeless)
        one = Sample(CANCELLED)
        sample.read_cancelled(one, '7@10.000000:migrate_set_state new state setup\n'
                                   '7@13.000500:migrate_set_state new state cancelling\n')
        self.assertEqual(one.cancelled, 3000.5)

    def test_best(self):
        points = {Point(300): self.rows(), Point(5): self.rows()}
        points[Point(5)]['stock'].samples = [Sample(ENDED, total=200, downtime=3, memory=GOOD)]
        total, downtime = (next(f for f in table.FIGURES if f.name == name) for name in ('total', 'downtime'))
        stock = {point: rows['stock'] for point, rows in points.items()}
        self.assertEqual(table.best(stock, total)[0], Point(300))
        self.assertEqual(table.best(stock, downtime)[0], Point(5))
        stock[Point(5)].samples.append(Sample(ENDLESS, memory=GOOD))
        self.assertEqual(table.best(stock, downtime)[0], Point(300))
        self.assertIn('ratio', table.best_lines(points)[0])

    def test_json(self):
        rows = table.case_json(profile.Case('hot', 64), '4 KiB pages', {Point(): self.rows()})
        self.assertEqual([(row['side'], row['n'], row['memory_intact'], row['ends']) for row in rows],
                         [('stock', 2, True, True), ('fork', 2, True, True)])
        self.assertEqual(rows[0]['summary']['total'], {'n': 2, 'median': 110, 'min': 100, 'max': 120})
        self.assertTrue(rows[0]['samples'][0]['memory']['intact'])


if __name__ == '__main__':
    unittest.main()
