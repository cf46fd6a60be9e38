"""Tests of nfv-bench migrate with real migrations: memory intact, rows complete, nothing left. Times are not judged.

usage: system_bench.py QEMU PROBE
"""
# Copyright (c) 2026 the kvm4nfv authors
# SPDX-License-Identifier: GPL-2.0-or-later

import json
import os
from pathlib import Path
import signal
import subprocess
import sys
import tempfile
import time
import unittest

TIMEOUT = 100
QEMU, PROBE = sys.argv[1:3]
BENCH = Path(__file__).resolve().parent.parent / 'nfv-bench'


class Bench(unittest.TestCase):
    def setUp(self):
        self.directory = Path(self.enterContext(tempfile.TemporaryDirectory(prefix='nfv-system.')))
        self.json = self.directory / 'found.json'
        self.temporary = self.directory / 'tmp'
        self.temporary.mkdir()

    def start(self, *arguments):
        return subprocess.Popen(
            [sys.executable, BENCH, 'migrate', '--quick', '--self', 'fork', '--accel', 'tcg', '--fork', QEMU,
             '--probe', PROBE, '--json', self.json, *arguments], text=True, stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT, env={**os.environ, 'TMPDIR': str(self.temporary)})

    def check_nothing_left(self):
        """All that a run starts has a file name below its temporary directory on its command line or open log."""
        self.assertEqual(list(self.temporary.iterdir()), [])
        for process in Path('/proc').glob('[0-9]*/cmdline'):
            try:
                self.assertNotIn(str(self.temporary).encode(), process.read_bytes())
            except OSError:
                pass

    def rows(self, status, *arguments):
        with self.start(*arguments) as bench:
            output = bench.communicate(timeout=TIMEOUT)[0]
        self.assertEqual(bench.returncode, status, output)
        self.check_nothing_left()
        found = json.loads(self.json.read_text())
        self.assertTrue(found['complete'])
        return found['rows']

    def check_complete(self, rows):
        for row in rows:
            with self.subTest(case=row['case']['name'], side=row['side']):
                self.assertTrue(row['memory_intact'])
                self.assertEqual(row['n'], 1)
                self.assertTrue(row['ends'])
                sample = row['samples'][0]
                for figure in ('total', 'downtime', 'switch', 'sent', 'rounds', 'reported_downtime'):
                    self.assertIsNotNone(sample[figure], figure)
                self.assertGreaterEqual(sample['total'], sample['downtime'])
                self.assertGreater(sample['memory']['pages'], 60 * 256)
                if row['case']['rate']:
                    self.assertGreater(sample['rate'], 0)
                    self.assertGreater(sample['memory']['writes'], 0)

    def test_profiles(self):
        rows = self.rows(0)
        self.assertEqual([(row['case']['profile'], row['side']) for row in rows],
                         [(profile, side) for profile in ('devices', 'hot', 'ring', 'postcopy')
                          for side in ('fork', 'fork again')])
        self.check_complete(rows)
        for row in rows[-2:]:
            sample = row['samples'][0]
            self.assertIsNotNone(sample['whole'], 'it did not switch to post-copy')
            self.assertGreaterEqual(sample['whole'], sample['total'])
            self.assertEqual(sample['stall_sum'] > 0, sample['faults'] > 0)

    def test_multifd_over_namespaces(self):
        if os.geteuid() or subprocess.run(['unshare', '--net', 'true'], check=False, capture_output=True).returncode:
            self.skipTest('no network namespaces for this user')
        rows = self.rows(0, '--profile', 'hot', '--link', 'tbf', '--points', '2:300')
        self.check_complete(rows)
        self.assertTrue(all(row['samples'][0]['multifd'] for row in rows))

    def test_what_does_not_end_is_cancelled_and_proven(self):
        rows = self.rows(0, '--profile', 'hot', '--shares', '50', '--rates', '1.5', '--points', '0:1', '--rate', '20',
                         '--bound', '5')
        self.assertEqual([(row['ends'], row['memory_intact']) for row in rows], [(False, True)] * 2)
        self.assertTrue(all('total' not in row['summary'] for row in rows))

    def test_interrupted(self):
        with self.start('--points', '0:5,0:300') as bench:
            for line in bench.stdout:
                if line.startswith('[2/'):
                    break
            time.sleep(1)
            bench.send_signal(signal.SIGINT)
            output = bench.communicate(timeout=TIMEOUT)[0]
        self.assertEqual(bench.returncode, 130, output)
        self.assertIn('everything that was started has ended', output)
        self.assertIn('intact 1/1', output)
        self.check_nothing_left()
        found = json.loads(self.json.read_text())
        self.assertFalse(found['complete'])
        self.assertEqual(sum(row['n'] for row in found['rows']), 1)

    def test_a_qemu_that_cannot_start_is_told(self):
        rows = self.rows(1, '--profile', 'devices', '--fork-args=-no-such-option')
        self.assertIn('-no-such-option', rows[0]['samples'][0]['error'])


if __name__ == '__main__':
    unittest.main(argv=sys.argv[:1], verbosity=2)
