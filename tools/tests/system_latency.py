"""Tests of nfv-bench's latency tests with real guests: rows complete, files written, nothing left; no time is judged.

usage: system_latency.py QEMU STOCK PROBE GUEST [--all]; GUEST is the directory of guest/build.sh
"""
# Copyright (c) 2026 the kvm4nfv authors
# SPDX-License-Identifier: GPL-2.0-or-later

import json
import os
from pathlib import Path
import shutil
import signal
import subprocess
import sys
import tempfile
import time
import unittest

from nfv import backing, breaktrace, host

QEMU, STOCK, PROBE, GUEST = (os.path.abspath(path) for path in sys.argv[1:5])
ALL = '--all' in sys.argv
TIMEOUT = 800 if ALL else 280
BENCH = Path(__file__).resolve().parent.parent / 'nfv-bench'
RT_RUNTIME = host.RT_RUNTIME
HUGE_PAGES = Path('/sys/kernel/mm/hugepages/hugepages-2048kB/nr_hugepages')
MOVED = ('migrate', 'postcopy')
SMALL = ('--quick', '--seconds', '1')


def read(path):
    return path.read_text().strip() if path.exists() else None


class Runs(unittest.TestCase):
    """Starts nfv-bench, and sees that it leaves nothing behind."""

    def setUp(self):
        self.directory = Path(self.enterContext(tempfile.TemporaryDirectory(prefix='nfv-system.')))
        self.json, self.html, self.prom = (self.directory / f'found.{end}' for end in ('json', 'html', 'prom'))
        self.temporary = self.directory / 'tmp'
        self.temporary.mkdir()

    def start(self, *arguments, **more):
        return subprocess.Popen(
            [*more.pop('prefix', ()), sys.executable, BENCH, *arguments, '--fork', QEMU, '--stock', STOCK, '--accel',
             'tcg', '--probe', PROBE, '--kernel', f'{GUEST}/vmlinuz',
             '--initrd', f'{GUEST}/initrd.gz', '--stress-initrd', f'{GUEST}/stress.gz'], text=True, cwd=self.directory,
            stdout=subprocess.PIPE, stderr=subprocess.STDOUT, env={**os.environ, 'TMPDIR': str(self.temporary)}, **more)

    def bench(self, status, *arguments, **more):
        with self.start(*arguments, **more) as bench:
            output = bench.communicate(timeout=TIMEOUT)[0]
        self.assertEqual(bench.returncode, status, output)
        self.check_nothing_left()
        return output

    def check_nothing_left(self):
        """All that a run starts has a file name below its temporary directory on its command line or open log."""
        self.assertEqual(list(self.temporary.iterdir()), [])
        for process in Path('/proc').glob('[0-9]*'):
            try:
                self.assertNotIn(str(self.temporary).encode(), (process / 'cmdline').read_bytes())
            except OSError:
                pass

    def found(self):
        return json.loads(self.json.read_text())

    def check_complete(self, found, sides):
        self.assertTrue(found['complete'])
        for row in found['results']:
            with self.subTest(test=row['test'], case=row['case']):
                self.assertEqual(set(row['sides']), set(sides))
                for side in row['sides'].values():
                    self.assertEqual((len(side['rounds']), side['errors']), (1, []))
                    for one in side['rounds']:
                        names = {'before', 'during', 'after'} if row['case'].endswith(MOVED) else {'latency'}
                        if row['test'] == 'timer' and row['case'].endswith(MOVED):
                            names |= {'setup', 'bulk', 'switchover'}
                            self.assertEqual('post-copy' in one['latency'], row['case'].endswith('postcopy'))
                            self.assertLessEqual(names, set(one['latency']))
                        elif row['test'] in ('timer', 'interrupt'):
                            self.assertEqual(set(one['latency']), names)
                        for counted in one['latency'].values():
                            self.assertGreater(counted['samples'], 0)
                            self.assertEqual(sum(count for _, count in counted['buckets']) + counted['overflows'],
                                             counted['samples'])

    def sides(self):
        return ['fork', 'stock', 'tuned'] if os.access(STOCK, os.X_OK) else ['fork']


class Latency(Runs):
    def test_interrupt(self):
        output = self.bench(0, 'interrupt', *SMALL, '--json', self.json, '--prometheus', self.prom,
                            '--fail-if', 'interrupt.p50 > 100s')
        self.check_complete(self.found(), self.sides())
        self.assertEqual(len(self.found()['results']), 3)
        self.assertIn('ok: interrupt.p50 > 100s', output)
        self.assertIn('nfv_bench_complete 1', self.prom.read_text())
        if self.sides() == ['fork']:
            self.assertIn('make stock', output)

    def test_timer_under_load(self):
        stress = 'cpu' if shutil.which('stress-ng') else 'idle'
        output = self.bench(1, 'timer', *SMALL, '--timer-cases', 'linux-idle,probe-poll', '--stress', stress, '--sides',
                            'fork', '--json', self.json, '--fail-if', 'timer/probe-poll.min > 0ns')
        self.check_complete(self.found(), ['fork'])
        self.assertRegex(output, r'FAIL: timer/probe-poll.min > 0ns: timer/probe-poll\+(cpu|idle):latency is ')

    def test_phases_of_a_migration(self):
        output = self.bench(0, 'timer', *SMALL, '--timer-cases', 'probe-postcopy', '--sides', 'fork',
                            '--json', self.json, '--fail-if', 'timer:switchover.max > 100s')
        self.check_complete(self.found(), ['fork'])
        self.assertRegex(output, r'(?m)^ *post-copy +fork +\d+ ')
        self.assertIn('ok: timer:switchover.max > 100s', output)

    def test_load_in_the_guest(self):
        if not Path(GUEST, 'stress.gz').exists():
            self.skipTest('no stress.gz: guest/stress.sh makes it')
        self.bench(0, 'timer', *SMALL, '--timer-cases', 'linux-idle', '--stress', 'guest-cpu', '--sides', 'fork',
                   '--json', self.json)
        self.check_complete(self.found(), ['fork'])

    def test_interrupted(self):
        throttling, pages = read(RT_RUNTIME), read(HUGE_PAGES)
        with self.start('timer', *SMALL, '-n', '9', '--timer-cases', 'probe-idle', '--sides', 'fork',
                        '--json', self.json, '--prometheus', self.prom) as bench:
            for line in bench.stdout:
                if line.startswith('[2/'):
                    break
            time.sleep(0.7)
            bench.send_signal(signal.SIGINT)
            output = bench.communicate(timeout=60)[0]
        self.assertEqual(bench.returncode, 130, output)
        self.assertIn('everything that was started has ended', output)
        self.check_nothing_left()
        self.assertFalse(self.found()['complete'])
        self.assertEqual(len(self.found()['results'][0]['sides']['fork']['rounds']), 1)
        self.assertIn('nfv_bench_complete 0', self.prom.read_text())
        # What other runs of somebody else's still use is theirs to restore.
        if not host.RT_USERS.exists():
            self.assertEqual(read(RT_RUNTIME), throttling)
        if not backing.USERS.exists():
            self.assertEqual(read(HUGE_PAGES), pages)

    def test_two_at_once(self):
        files = [self.directory / f'{name}.json' for name in 'ab']
        runs = [self.start('interrupt', *SMALL, '--interrupt-cases', 'probe-idle', '--sides', 'fork', '--json', file)
                for file in files]
        for run, file in zip(runs, files):
            with run:
                output = run.communicate(timeout=TIMEOUT)[0]
            self.assertEqual(run.returncode, 0, output)
            self.assertTrue(json.loads(file.read_text())['complete'])
        self.check_nothing_left()

    def test_breaktrace(self):
        if why := breaktrace.problem():
            self.skipTest(why)
        output = self.bench(1, 'interrupt', *SMALL, '--seconds', '20', '--interrupt-cases', 'probe-poll', '--sides',
                            'fork', '--breaktrace', '1', '--json', self.json)
        self.assertIn('a latency was above 1 µs', output)
        trace, = self.directory.glob('nfv-bench-trace.*.txt')
        self.assertIn('sched_switch', trace.read_text())
        self.assertIn('threads', json.loads(trace.with_suffix('.json').read_text()))

    def test_without_root(self):
        """What needs root is told, the rest is measured."""
        if os.geteuid() or not shutil.which('setpriv'):
            self.skipTest('not root, or no setpriv')
        nobody = ['setpriv', '--reuid', '65534', '--clear-groups']
        for path in (Path(QEMU), Path(STOCK), Path(PROBE), BENCH):
            if path.exists() and subprocess.run([*nobody, 'test', '-r', path], check=False).returncode:
                self.skipTest(f'{path} is in a directory of root\'s alone')
        self.directory.chmod(0o777)
        self.temporary.chmod(0o777)
        throttled = read(RT_RUNTIME) not in (None, '-1')
        output = self.bench(0, 'interrupt', *SMALL, '--interrupt-cases', 'probe-idle', '--json', self.json,
                            prefix=nobody)
        self.check_complete(self.found(), self.sides())
        if throttled:
            self.assertIn('as root: sysctl -w kernel.sched_rt_runtime_us=-1', output)

    def test_refused(self):
        for arguments, words in ((('timer', '--timer-interval', '7'), '--timer-interval 7: must be 100 to 1000000'),
                                 (('timer', '--seconds', '0'), '--seconds 0: must be'),
                                 (('--compare', '/no/such', '/no/such'), 'cannot read /no/such')):
            with subprocess.Popen([sys.executable, BENCH, *arguments], text=True, stdout=subprocess.PIPE,
                                  stderr=subprocess.STDOUT) as bench:
                output = bench.communicate(timeout=60)[0]
            self.assertEqual(bench.returncode, 1, output)
            self.assertIn(words, output)


class Everything(Runs):
    """nfv-bench all --quick, and its page in a browser."""

    def test_all(self):
        self.bench(0, 'all', '--quick', '--json', self.json, '--html', self.html, '--prometheus', self.prom)
        found = self.found()
        self.assertTrue(found['complete'])
        self.assertLessEqual({'timer', 'interrupt'}, {row['test'] for row in found['results']})
        self.assertIsNotNone(found['migrations'])
        self.look(dark=False)
        self.look(dark=True)

    def test_phases_of_linux(self):
        output = self.bench(0, 'timer', *SMALL, '--timer-cases', 'linux-migrate,linux-postcopy', '--sides', 'fork',
                            '--json', self.json)
        self.check_complete(self.found(), ['fork'])
        self.assertRegex(output, r'(?m)^ *post-copy +fork +\d+ ')

    def look(self, dark):
        browser = next(filter(None, map(shutil.which, ('chromium', 'chromium-browser', 'google-chrome'))), None)
        if not browser:
            self.skipTest('no chromium: scripts/deps.sh browser')
        shot = self.directory / f'{dark}.png'
        with tempfile.TemporaryDirectory(dir=self.directory) as profile:
            command = [browser, '--headless', '--no-sandbox', '--disable-gpu', '--hide-scrollbars',
                       f'--user-data-dir={profile}', '--window-size=390,1200', '--virtual-time-budget=2000']
            if dark:
                command.append('--blink-settings=preferredColorScheme=0')
            done = subprocess.run([*command, f'--screenshot={shot}', self.html.as_uri()], capture_output=True,
                                  text=True, timeout=120, check=False)
            self.assertEqual(done.returncode, 0, done.stderr)
            dom = subprocess.run([*command, '--dump-dom', self.html.as_uri()], capture_output=True, text=True,
                                 timeout=120, check=False).stdout
        self.assertRegex(dom, r'<svg[^>]*aria-label="Percentiles of')
        header = shot.read_bytes()[:24]
        self.assertEqual(header[:8], b'\x89PNG\r\n\x1a\n')
        self.assertEqual(int.from_bytes(header[16:20], 'big'), 390)
        self.assertGreater(shot.stat().st_size, 10000, 'a page that is not empty')


def load_tests(loader, _tests, _pattern):
    return loader.loadTestsFromTestCase(Everything if ALL else Latency)


if __name__ == '__main__':
    unittest.main(argv=sys.argv[:1], verbosity=2)
