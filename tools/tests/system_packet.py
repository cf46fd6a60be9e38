"""Tests of nfv-bench packet with real guests: frames come back, losses are counted, nothing is left; no time is judged.

usage: system_packet.py QEMU GENERATOR GUEST [--slow]; GUEST is the directory of guest/dpdk.sh
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

from nfv import packetspace

QEMU, GENERATOR, GUEST = (os.path.abspath(path) for path in sys.argv[1:4])
SLOW = '--slow' in sys.argv
TIMEOUT = 2400 if SLOW else 600
BENCH = Path(__file__).resolve().parent.parent / 'nfv-bench'
RUNTIME = Path('/var/run/dpdk')
ADDRESSES = ('--from', '02:00:00:00:00:01/192.0.2.1', '--to', '02:00:00:00:00:02/192.0.2.2')


class Runs(unittest.TestCase):
    """Starts nfv-bench, and sees that it leaves nothing behind."""

    def setUp(self):
        self.directory = Path(self.enterContext(tempfile.TemporaryDirectory(prefix='nfv-system.')))
        self.json = self.directory / 'found.json'
        self.temporary = self.directory / 'tmp'
        self.temporary.mkdir()
        self.runtime = RUNTIME.exists()

    def start(self, *arguments):
        return subprocess.Popen(
            [sys.executable, BENCH, 'packet', '--fork', QEMU, '--sides', 'fork', '--accel', 'tcg',
             '--packet-generator', GENERATOR, '--kernel', f'{GUEST}/vmlinuz', '--packet-guest', f'{GUEST}/forward.gz',
             '--json', self.json, *arguments], text=True, cwd=self.directory, stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT, env={**os.environ, 'TMPDIR': str(self.temporary)})

    def check_nothing_left(self):
        """All that a run starts has a file name below its temporary directory on its command line or open log."""
        self.assertEqual(list(self.temporary.iterdir()), [])
        self.assertEqual(RUNTIME.exists(), self.runtime)
        for process in Path('/proc').glob('[0-9]*'):
            try:
                self.assertNotIn(str(self.temporary).encode(), (process / 'cmdline').read_bytes())
                for link in (process / 'fd').iterdir():
                    self.assertNotIn(str(self.temporary), os.readlink(link))
            except OSError:
                pass

    def rows(self, *arguments):
        """Of what was measured; skips if nothing can be on this host."""
        with self.start(*arguments) as bench:
            output = bench.communicate(timeout=TIMEOUT)[0]
        self.check_nothing_left()
        found = json.loads(self.json.read_text())
        if found['skipped'] and not found['results']:
            self.skipTest(found['skipped'][0]['reason'])
        self.assertEqual(bench.returncode, 0, output)
        self.assertTrue(found['complete'])
        for one in found['skipped']:
            print(f'skipped: {one["case"]}: {one["reason"]}')
        return {row['case'].rpartition('-')[0]: row['sides']['fork']['rounds'][0] for row in found['results']}

    def check(self, one, phases):
        """Some frames came back; all that were sent are accounted for."""
        for name in phases:
            details, counted = one['details'][name], one['latency'][name]
            self.assertGreater(details['received'], 0, details)
            self.assertEqual(details['sent'] - details['received'], details['lost'])
            self.assertEqual(counted['samples'], details['received'])
            self.assertEqual(sum(count for _, count in counted['buckets']), details['received'])
            self.assertLessEqual(counted['min'], counted['max'])


@unittest.skipIf(SLOW, 'of make check')
class Quick(Runs):
    def test_scenarios(self):
        rows = self.rows('--quick', '--packet-cases', 'loop,vhost-user,tap', '--packet-sizes', '64,1518',
                         '--packet-rates', '500', '--seconds', '1')
        self.assertIn('loop', rows)
        for name, one in rows.items():
            with self.subTest(name):
                self.check(one, ('64B', '1518B'))
        # A pair of veths loses nothing.
        self.assertEqual(rows['loop']['values'], {'lost-64B': 0, 'lost-1518B': 0})

    def test_interrupted(self):
        if why := packetspace.problem(tap=True):
            self.skipTest(why)
        with self.start('--quick', '--packet-cases', 'loop,tap', '--packet-sizes', '64', '--packet-rates', '500',
                        '--seconds', '3') as bench:
            for line in bench.stdout:
                if line.startswith('[2/'):
                    break
            time.sleep(4)
            bench.send_signal(signal.SIGINT)
            output = bench.communicate(timeout=TIMEOUT)[0]
        self.assertEqual(bench.returncode, 130, output)
        self.assertIn('everything that was started has ended', output)
        self.check_nothing_left()
        found = json.loads(self.json.read_text())
        self.assertFalse(found['complete'])
        self.assertEqual([row['case'] for row in found['results']], ['loop-500'])


@unittest.skipIf(SLOW, 'of make check')
class Generator(unittest.TestCase):
    def generate(self, *arguments, words='stop\n'):
        return subprocess.run([GENERATOR, *arguments], input=words, capture_output=True, text=True, timeout=60,
                              check=False)

    def test_refuses(self):
        some = ('--tx', 'lo', '--rx', 'lo', '--seconds', '1', *ADDRESSES)
        for words, said in ((('--size', '63', '--rate', '1'), '--size 63: must be 64 to 1518'),
                            (('--size', '64', '--rate', '0'), '--rate 0: must be 0.1 to'),
                            (('--size', '64', '--rate', '1x'), '--rate 1x'),
                            (('--size', '64'), 'usage:')):
            with self.subTest(words):
                done = self.generate(*some, *words)
                self.assertEqual(done.returncode, 2)
                self.assertIn(said, done.stderr)
        done = self.generate(*some, '--size', '64', '--rate', '1', '--from', '1/2')
        self.assertIn('--from 1/2: must be MAC/IPV4', done.stderr)
        done = self.generate('--tx', 'none0', '--rx', 'none0', *some[4:], '--size', '64', '--rate', '1')
        self.assertEqual(done.returncode, 1)
        self.assertIn('\'none0\' does not exist', done.stderr)


@unittest.skipUnless(SLOW, 'of make check-full')
class Slow(Runs):
    def test_chain_and_sriov(self):
        rows = self.rows('--packet-cases', 'chain,sriov', '--packet-sizes', '64,512', '--packet-rates', '500',
                         '--seconds', '4', '-n', '1', '--stress', 'idle')
        for name, one in rows.items():
            with self.subTest(name):
                self.check(one, ('64B', '512B'))

    def test_migrations(self):
        rows = self.rows('--packet-cases', 'tap-migrate,vhost-user-migrate', '--packet-sizes', '64',
                         '--packet-rates', '500', '--seconds', '4', '-n', '1', '--stress', 'idle')
        for name, one in rows.items():
            with self.subTest(name):
                self.check(one, ('before', 'during', 'after'))
                self.assertGreater(one['values']['downtime-ms'], 0)


if __name__ == '__main__':
    unittest.main(argv=sys.argv[:1], verbosity=2)
