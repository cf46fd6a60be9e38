"""Tests of how a session plans, starts and ends its runs."""
# Copyright (c) 2026 the kvm4nfv authors
# SPDX-License-Identifier: GPL-2.0-or-later

import argparse
import os
from pathlib import Path
import subprocess
import sys
import tempfile
import time
import unittest
from unittest import mock

import results
from nfv import breaktrace, contender, everything, guest, host, machine, meter, outcome, session, stress, subcommands
from nfv.measurement import Case, Measurement
from nfv.progress import Failure, Progress


def options(*arguments):
    parser = argparse.ArgumentParser()
    everything.add_arguments(parser, subcommands.tests())
    found = parser.parse_args(arguments)
    session.settle(found)
    return found


class Plans(unittest.TestCase):
    def test_interleaved(self):
        cases = [Case('timer', 'a', '', 1), Case('timer', 'b', '', 1, sides=('fork',))]
        runs = session.runs(cases, results.SIDES, 2)
        self.assertEqual([(run.case.name, run.number, run.side.name) for run in runs],
                         [('a', n, side) for n in (0, 1) for side in ('fork', 'stock', 'tuned')] +
                         [('b', 0, 'fork'), ('b', 1, 'fork')])

    def test_every_case_under_every_load(self):
        found = session.cases(subcommands.tests(), options('--quick', '--stress', 'idle,guest-io'))
        names = {(case.test, case.name) for case in found}
        self.assertLessEqual({('timer', 'probe-poll'), ('interrupt', 'probe-migrate')}, names)
        self.assertEqual({str(case.stress) for case in found}, {'idle', 'guest-io'})
        self.assertEqual(len(found), 2 * len(names))

    def test_defaults(self):
        self.assertEqual((options().rounds, options().stress), (3, ('idle', 'cpu')))
        self.assertEqual((options('--quick').rounds, options('--quick', '-n', '2').rounds), (1, 2))

    def test_refused(self):
        for words, said in ((('-n', '0'), '--rounds 0'), (('--seconds', '0.1'), '--seconds 0.1'),
                            (('--breaktrace', '0'), '--breaktrace 0'), (('--prometheus', 'a.txt'), 'end in .prom'),
                            (('--json', '/no/such/a'), '/no/such does not exist')):
            with self.subTest(words), self.assertRaisesRegex(Failure, said):
                options(*words)

    def test_refused_by_tests(self):
        for words in (('--timer-interval', '1'), ('--interrupt-period', '2')):
            with self.subTest(words), self.assertRaisesRegex(Failure, words[0]):
                session.cases(subcommands.tests(), options(*words))


class Sides(unittest.TestCase):
    def test_arguments(self):
        fork, stock, tuned = (' '.join(contender.arguments(side, 256, 1, [3], True)) for side in results.SIDES)
        self.assertIn('nfv,vcpu-cpus=3,rt=auto', fork)
        self.assertIn('-machine q35 ', stock)
        self.assertNotIn('hugetlb', stock + fork)
        self.assertIn('hugetlb=on', tuned)
        self.assertIn('-S', tuned)
        self.assertNotIn('hugetlb', ' '.join(contender.arguments(results.SIDES[2], 256, 1, [3], False)))

    def test_the_users_own_options(self):
        side = contender.Contender('fork', 'q', 'emulator-priority=1', ('-global', 'x=y'))
        found = contender.arguments(side, 256, 1, [], False)
        self.assertIn('nfv,emulator-priority=1', found)
        self.assertEqual(found[-2:], ['-global', 'x=y'])

    def test_placed(self):
        cpus = sorted(os.sched_getaffinity(0))
        with subprocess.Popen(['sleep', '30']) as process:
            try:
                contender.place(process.pid, [process.pid], cpus[:1], cpus, False)
                self.assertEqual(os.sched_getaffinity(process.pid), set(cpus[:1]))
                contender.place(process.pid, [], [], cpus, False)
                self.assertEqual(os.sched_getaffinity(process.pid), set(cpus))
            finally:
                process.kill()

    def test_probe_options(self):
        words = guest.Probe('p', fill=0, timer=1000, halt=True, break_us=50).arguments()[-1]
        self.assertEqual(words, 'fill=0 set=0 rate=0 rings=0 beat=250 timer=1000 halt=1 break=50 order=sequential')
        self.assertIn('idle=poll', guest.Linux('k', 'i', poll=True).arguments()[-1])


class Children(unittest.TestCase):
    def test_they_end_with_us(self):
        script = ('import subprocess, time; from nfv import stress; print(subprocess.Popen(["sleep", "60"], '
                  'preexec_fn=stress.killed_with_us).pid, flush=True); time.sleep(60)')
        with subprocess.Popen([sys.executable, '-c', script], stdout=subprocess.PIPE, text=True,
                              env={**os.environ, 'PYTHONPATH': ':'.join(sys.path)}) as parent:
            pid = int(parent.stdout.readline())
            os.kill(pid, 0)
            parent.kill()
        gone(self, pid)


def gone(test, pid):
    for _ in range(100):
        try:
            if ') Z' in Path(f'/proc/{pid}/stat').read_text():
                return
        except OSError:
            return
        time.sleep(0.05)
    test.fail(f'process {pid} still runs')


class Loads(unittest.TestCase):
    def test_names(self):
        for name in stress.NAMES:
            self.assertEqual(str(stress.parse(name)), name)
        with self.assertRaisesRegex(ValueError, 'disk'):
            stress.parse('disk')

    def test_a_missing_tool_is_named_with_its_package(self):
        with mock.patch.dict(os.environ, PATH='/none'):
            self.assertIn('package stress-ng', stress.problem(stress.Stress('cpu')))
            self.assertIsNone(stress.problem(stress.IDLE))

    def test_ended_with_its_workers(self):
        with tempfile.TemporaryDirectory() as directory:
            tool = Path(directory) / 'stress-ng'
            tool.write_text('#!/bin/sh\nsleep 77 &\necho $! > "$0.pid"\nwait\n')
            tool.chmod(0o755)
            with mock.patch.dict(os.environ, PATH=f'{directory}:{os.environ["PATH"]}'):
                with stress.on_host(stress.Stress('cpu')):
                    worker = int(Path(f'{tool}.pid').read_text())
                    os.kill(worker, 0)
            gone(self, worker)

    def test_what_ends_at_once_is_told(self):
        with tempfile.TemporaryDirectory() as directory:
            tool = Path(directory) / 'stress-ng'
            tool.write_text('#!/bin/sh\necho no such stressor\nexit 3\n')
            tool.chmod(0o755)
            with mock.patch.dict(os.environ, PATH=f'{directory}:{os.environ["PATH"]}'), \
                    self.assertRaisesRegex(Failure, 'exit status 3.*no such stressor'):
                with stress.on_host(stress.Stress('cpu')):
                    pass


class Meters(unittest.TestCase):
    def test_pulse_counts_from_its_begin(self):
        state = {'latency': [10, 5], 'raises': 5, 'answers': 5, 'missed': 0, 'skipped': 1}
        vm = mock.Mock()
        vm.qmp = lambda command, path, property: state[property]
        pulse = meter.Pulse(1)
        pulse.begin(vm)
        self.assertFalse(pulse.broke(vm))
        state.update({'latency': [10, 6, 2000, 1], 'raises': 7, 'answers': 7})
        self.assertTrue(pulse.broke(vm))
        found = pulse.end(vm)
        self.assertEqual(found.buckets, {10: 1, 2000: 1})
        self.assertEqual(pulse.counts, {'raises': 2, 'answers': 2, 'missed': 0, 'skipped': 0})


class Bar(unittest.TestCase):
    def test_time_left(self):
        progress = Progress()
        progress.plan(100)
        self.assertEqual(progress.left(), 100)
        progress.advance(10, 20)
        self.assertEqual(progress.left(), 180)
        progress.advance(90, 180)
        self.assertEqual(progress.left(), 0)


class Sessions(unittest.TestCase):
    def test_what_fails_and_what_is_skipped_is_kept(self):
        class Test:
            name = title = 'timer'

            def cases(self, _options):
                return [Case('timer', 'a', 'A', 1), Case('timer', 'b', 'B', 1)]

            def skip(self, _bench, case, side):
                return 'no B here' if case.name == 'b' else None

            def run(self, _bench, case, side):
                if side.name == 'tuned':
                    raise Failure('it broke')
                return Measurement({'latency': results.counted(1, 2)})

        with mock.patch.object(contender.Contender, 'check'), mock.patch.object(contender.Contender, 'version'), \
                mock.patch.multiple(host, RT_RUNTIME=Path('/no/such/file'), RT_USERS=Path('/no/such/file')):
            whole = session.Session({'timer': Test()}, options('-n', '2', '--stress', 'idle'), mock.Mock(**{
                'step.return_value': mock.MagicMock(), 'left.return_value': 1.0}))
            whole.found.describe = lambda *_: None
            whole.run()
        found = whole.found.as_json()
        self.assertTrue(found['complete'])
        row = found['results'][0]['sides']
        self.assertEqual({name: (len(side['rounds']), side['errors']) for name, side in row.items()},
                         {'fork': (2, []), 'stock': (2, []), 'tuned': (0, ['it broke'] * 2)})
        self.assertEqual([(one['case'], one['side']) for one in found['skipped']],
                         [('b', side) for side in contender.NAMES])
        self.assertEqual(session.judge(found, [], lambda _: None), 1)


class Traces(unittest.TestCase):
    LINE = '{:>16}-{} [001] d..2. {:.6f}: sched_switch: prev_comm={} prev_pid={} prev_prio=120 prev_state=R ==> ' \
           'next_comm={} next_pid={} next_prio=120'

    def test_culprits(self):
        lines = [self.LINE.format(*words) for words in (
            ('CPU 0/TCG', 50, 1.0, 'CPU 0/TCG', 50, 'stress-ng cpu', 60),
            ('stress-ng cpu', 60, 1.004, 'stress-ng cpu', 60, 'kworker/1:2', 70),
            ('kworker/1:2', 70, 1.0045, 'kworker/1:2', 70, 'CPU 0/TCG', 50))]
        lines.append('            other-9 [000] d..2. 1.005000: sched_switch: prev_comm=other prev_pid=9 prev_prio=120 '
                     'prev_state=R ==> next_comm=swapper/0 next_pid=0 next_prio=120')
        found = breaktrace.culprits('# tracer: nop\n' + '\n'.join(lines), [50], 10000)
        self.assertEqual([(one.name, one.pid, round(one.us)) for one in found],
                         [('stress-ng cpu', 60, 4000), ('kworker/1:2', 70, 500)])
        self.assertEqual([round(one.us) for one in breaktrace.culprits('\n'.join(lines), [50], 2000)], [1000, 500])
        self.assertEqual(breaktrace.culprits('', [50], 1000), [])
        self.assertEqual(breaktrace.told('vCPU', found)[0],
                         '    on the host CPU of the vCPU ran stress-ng cpu (60) for 4000 µs')
        self.assertIn('ran nothing for 7', breaktrace.told('vCPU', [breaktrace.Culprit('swapper/1', 0, 7)])[0])
        self.assertIn('nothing else ran', breaktrace.told('vCPU', [])[0])


class Machines(unittest.TestCase):
    def test_parsers(self):
        self.assertEqual(machine.model('processor: 0\nmodel name\t: A CPU @ 3 GHz\n'), 'A CPU @ 3 GHz')
        self.assertEqual(machine.model(''), 'unknown')
        self.assertEqual(machine.memory_mib('MemTotal:    2048 kB\n'), 2)

    def test_a_host_that_tells_nothing(self):
        with tempfile.TemporaryDirectory() as directory:
            found = machine.describe([0], [], Path(directory))
        self.assertEqual((found['cpu'], found['memory_mib'], found['settings']['governor']), ('unknown', 0, None))


class Commands(unittest.TestCase):
    def test_compare_wants_results(self):
        with tempfile.NamedTemporaryFile('w') as file, self.assertRaisesRegex(Failure, 'is no JSON'):
            outcome.run(argparse.Namespace(compare=[Path(file.name)] * 2), mock.Mock())


if __name__ == '__main__':
    unittest.main()
