"""Tests of what follows from results: percentiles, ratios, tables, conditions, comparisons, goals."""
# Copyright (c) 2026 the kvm4nfv authors
# SPDX-License-Identifier: GPL-2.0-or-later

import argparse
import json
from pathlib import Path
import tempfile
import unittest

import results
from nfv import compare, condition, document, figures, goals, histogram, prometheus, readiness
from nfv.histogram import Histogram
from nfv.measurement import Measurement
from nfv.progress import Failure


class Histograms(unittest.TestCase):
    def test_merged(self):
        one = histogram.of_buckets({1: 3, 5: 1})
        other = histogram.of_buckets({5: 2, 9: 1}, overflows=1, longest=40)
        both = histogram.merged([one, Histogram(), other])
        self.assertEqual((both.buckets, both.overflows, both.samples), ({1: 3, 5: 3, 9: 1}, 1, 8))
        self.assertEqual((both.min, both.max), (1, 40))
        self.assertEqual(histogram.merged([]).samples, 0)

    def test_since(self):
        later = histogram.of_buckets({1: 3, 5: 4, 9: 1}).since(histogram.of_buckets({1: 3, 5: 1}))
        self.assertEqual((later.buckets, later.min, later.max, later.avg), ({5: 3, 9: 1}, 5, 9, 6))

    def test_scaled_and_json(self):
        one = histogram.of_buckets({1: 3, 5: 1}).scaled(1000)
        self.assertEqual((one.buckets, one.max, one.avg), ({1000: 3, 5000: 1}, 5000, 2000))
        self.assertEqual(histogram.from_json(json.loads(json.dumps(one.as_json()))), one)


class Tables(unittest.TestCase):
    def test_text(self):
        text = figures.text(results.found()['results'][0])
        fork, stock, tuned, against_stock, against_tuned = text.splitlines()[2:]
        self.assertEqual(fork.split()[:2], ['fork', '2000'])
        self.assertEqual(stock.split()[2:9], ['100', '109', '100', '100', '1000', '1000', '1000'])
        self.assertEqual(against_stock.split()[1:], ['0.10'] * 7 + ['ranges', 'apart'])
        self.assertEqual(against_tuned.split()[1:], ['1.00'] * 7 + ['ranges', 'overlap'])
        self.assertTrue(tuned.split()[-1].startswith('100'))

    def test_phases_values_and_skips(self):
        text = figures.all_text(results.found())
        for words in ('during, µs', 'downtime ms', 'packet/tap+idle@fork: ip is missing: install iproute2'):
            self.assertIn(words, text)

    def test_failures_are_told(self):
        row = {**results.CASE.as_json(), 'sides': {'fork': {'rounds': [], 'errors': ['it ended\nat once']}}}
        self.assertIn('fork failed: it ended', figures.text(row))


class Conditions(unittest.TestCase):
    def judge(self, text):
        return condition.judge(condition.parse(text), results.found())

    def test_held(self):
        for text, held in (('timer.p999 > 50us', True), ('timer.p99 > 50us', False), ('timer.p999 > 0.2ms', False),
                           ('timer@stock.p50 >= 100us', True), ('timer/probe-idle+cpu.max<1ms', True),
                           ('timer.p999/stock > 0.2', False), ('timer:during.p999/tuned <= 1', True),
                           ('timer.downtime-ms > 3', True)):
            with self.subTest(text):
                self.assertEqual(self.judge(text)[0], held)

    def test_the_worst_one_is_told(self):
        self.assertRegex(self.judge('timer@stock.p999 > 50us')[1], '^FAIL: .*timer/probe-.* is 1000 µs')

    def test_what_was_not_measured_fails(self):
        self.assertEqual(self.judge('packet.p99 > 1s'), (True, 'FAIL: packet.p99 > 1s: nothing of that kind was measured'))

    def test_refused(self):
        for text, words in (('timer', 'it has the form'), ('timer.p999 > 50', 'needs a unit'),
                            ('timer.p999 > 50 kg', "unit 'kg'"), ('timer@us.p999 > 50us', "side 'us'"),
                            ('timer.p999/stock > 2us', 'a ratio has no unit'), ('timer.p999/q > 2', "side 'q'")):
            with self.subTest(text), self.assertRaisesRegex(argparse.ArgumentTypeError, words):
                condition.parse(text)


class Comparisons(unittest.TestCase):
    def test_changes(self):
        text = compare.text(results.found(), results.found(scale=2))
        self.assertIn('100 -> 200 (+100 %)', text)
        self.assertIn('apart', text)
        self.assertNotIn('not the same machine', text)

    def test_what_speaks_against_it(self):
        other = json.loads(json.dumps(results.found(complete=False)))
        other['machine']['kernel'] = '6.2'
        other['results'].pop()
        text = compare.text(results.found(), other)
        for words in ('kernel was 6.1, is 6.2', 'the second one is not complete', 'only in the first: timer/probe-migrate/cpu'):
            self.assertIn(words, text)


class Files(unittest.TestCase):
    def setUp(self):
        self.path = Path(self.enterContext(tempfile.TemporaryDirectory())) / 'a.json'

    def test_round_trip(self):
        document.save(results.found(), self.path)
        self.assertEqual(document.load(self.path), results.found())
        self.assertEqual(list(self.path.parent.iterdir()), [self.path])

    def test_refused(self):
        for text, words in (('{', 'is no JSON'), ('[]', 'was not written by'), ('{"kind": "nfv-bench", "schema": 9}', 'schema 9')):
            self.path.write_text(text)
            with self.subTest(text), self.assertRaisesRegex(Failure, words):
                document.load(self.path)
        with self.assertRaisesRegex(Failure, 'cannot read'):
            document.load(self.path.parent / 'none')

    def test_prometheus(self):
        text = prometheus.text(results.found())
        labels = 'test="timer",case="probe-idle",stress="cpu",side="fork",phase="latency"'
        self.assertIn(f'nfv_bench_latency_seconds{{{labels},quantile="0.999"}} 0.0001\n', text)
        self.assertIn(f'nfv_bench_latency_seconds_count{{{labels}}} 2000\n', text)
        self.assertTrue(text.endswith('nfv_bench_complete 1\n'))
        families = [line.split()[2] for line in text.splitlines() if line.startswith('# TYPE')]
        self.assertEqual(len(families), len(set(families)))
        self.assertEqual(prometheus.escape('a"b\\c\nd'), 'a\\"b\\\\c\\nd')


class Verdicts(unittest.TestCase):
    def test_goals(self):
        judged = {(one.goal.against, one.goal.phase): one.met for one in goals.reached(results.found())}
        self.assertEqual(judged, {('stock', 'latency'): True, ('tuned', 'latency'): True, ('tuned', 'during'): False})
        self.assertEqual(goals.verdict(results.found()), '2 of 3 goals are met on this host under CPU load.')
        self.assertIn('did not come to its end', goals.verdict(results.found(complete=False)))

    def test_packets(self):
        """Of 64 bytes alone, and with no more loss; while the guest moves, against stock tuned by hand."""
        def judged(lost):
            found = results.document.Document(results.SIDES)
            for side, us, share in zip(results.SIDES, (10, 100, 10), (lost, 1.0, 1.0)):
                load = results.Stress('cpu')
                found.add(results.Case('packet', 'vhost-user-1000', 'vhost-user', 1.0, stress=load), side,
                          Measurement({size: results.counted(us, us) for size in ('64B', '512B')}, {'lost-64B': share}))
                found.add(results.Case('packet', 'tap-migrate-1000', 'TAP', 1.0, stress=load), side,
                          Measurement({phase: results.counted(us, us) for phase in ('before', 'during', 'after')}))
            return {(one.goal.against, one.goal.phase): one.met for one in goals.reached(found.as_json())}

        self.assertEqual(judged(1.0), {('stock', '64B'): True, ('tuned', 'during'): False})
        self.assertEqual(judged(1.5), {('stock', '64B'): False, ('tuned', 'during'): False})

    def test_without_load(self):
        idle = json.loads(json.dumps(results.found()))
        for row in idle['results']:
            row['stress'] = 'idle'
        self.assertIn('in 4 of 4 measurements', goals.verdict(idle))
        self.assertIn('no verdict', goals.verdict({**idle, 'results': []}))

    def test_readiness(self):
        found = {check.name: check.ready for check in readiness.checks(results.MACHINE)}
        self.assertEqual((found['RT throttling'], found['clock'], found['frequency'], found['isolated host CPUs']),
                         (False, True, None, False))
        self.assertEqual(readiness.checks({}), [])
        for kernel, cpus, expected in (
                ('6.1.0-9-amd64', None, (True, 'not in this kernel')), ('x', None, (True, 'not in this kernel')),
                ('6.12.1', None, (False, 'in this kernel')), ('7.0', [1, 3], (False, 'on host CPUs 1, 3')),
                ('7.0', [], (True, 'off'))):
            self.assertEqual(readiness.fair_server({'kernel': kernel, 'fair_server': cpus}), expected)
        self.assertEqual(readiness.fair_server({'kernel': '6.12.1'}), (False, 'in this kernel'))


if __name__ == '__main__':
    unittest.main()
