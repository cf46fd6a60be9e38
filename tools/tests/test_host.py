"""Tests of the choice of host CPUs, and of real-time throttling."""
# Copyright (c) 2026 the kvm4nfv authors
# SPDX-License-Identifier: GPL-2.0-or-later

import json
from pathlib import Path
import tempfile
import unittest
from unittest import mock

from nfv import host
from nfv.host import choose_cpus, parse_cpus


class Cpus(unittest.TestCase):
    def test_parse(self):
        self.assertEqual(parse_cpus('\n'), set())
        self.assertEqual(parse_cpus('1-3,5\n'), {1, 2, 3, 5})

    def test_last_ones(self):
        self.assertEqual(choose_cpus(range(8), [], 2), ([6, 7], [4, 5]))

    def test_isolated_first(self):
        self.assertEqual(choose_cpus(range(8), [1, 2], 1), ([2], [1]))
        self.assertEqual(choose_cpus(range(4), [1], 2), ([1, 3], [1, 3]))

    def test_both_ends_share(self):
        self.assertEqual(choose_cpus([0, 1], [], 1), ([1], [1]))

    def test_nothing_left_for_housekeeping(self):
        self.assertEqual(choose_cpus([3], [], 1), ([], []))
        self.assertEqual(choose_cpus([0, 1], [], 2), ([], []))


class Postcopy(unittest.TestCase):
    def test_problem(self):
        path = Path(self.enterContext(tempfile.TemporaryDirectory())) / 'allowed'
        for user, text, access, words in ((1000, '0\n', False, 'vm.unprivileged_userfaultfd=1'), (1000, '1\n', False, None),
                                          (1000, '0\n', True, None), (0, '0\n', False, None), (1000, None, False, None)):
            if text:
                path.write_text(text)
            else:
                path.unlink()
            with self.subTest(user=user, text=text, access=access), mock.patch.object(host, 'USERFAULTFD', path), \
                    mock.patch('os.geteuid', return_value=user), mock.patch('os.access', return_value=access):
                found = host.postcopy_problem()
                self.assertEqual(found is None, words is None)
                self.assertIn(words or '', found or '')


class Throttling(unittest.TestCase):
    def setUp(self):
        directory = Path(self.enterContext(tempfile.TemporaryDirectory()))
        self.runtime, self.users = directory / 'runtime', directory / 'users'
        self.runtime.write_text('950000\n')
        self.enterContext(mock.patch.multiple(host, RT_RUNTIME=self.runtime, RT_USERS=self.users,
                                               FAIR_SERVERS=directory / 'fair'))
        self.fair = [directory / f'fair/cpu{cpu}/runtime' for cpu in range(3)]
        self.said = []

    def test_restored(self):
        with self.assertRaises(KeyError), host.unthrottled(self.said.append) as off:
            self.assertEqual((off, self.runtime.read_text()), (True, '-1'))
            raise KeyError
        self.assertEqual(self.runtime.read_text(), '950000')
        self.assertFalse(self.users.exists())
        self.assertEqual(len(self.said), 1)

    def test_the_last_of_two_restores(self):
        with host.unthrottled(self.said.append):
            state = json.loads(self.users.read_text())
            self.users.write_text(json.dumps({**state, 'users': [*state['users'], 1]}))
        self.assertEqual(self.runtime.read_text(), '-1')
        self.users.write_text(json.dumps({'before': '950000', 'users': [4194305]}))
        with host.unthrottled(self.said.append):
            self.assertEqual(self.runtime.read_text(), '-1')
        self.assertEqual(self.runtime.read_text(), '950000', 'also what a run that was killed had found')

    def test_off_already(self):
        self.runtime.write_text('-1')
        with host.unthrottled(self.said.append) as off:
            self.assertTrue(off)
        self.assertEqual((self.said, self.users.exists()), ([], False))

    def test_fair_server(self):
        """Those of the vCPUs, where they are on; a run that was killed has them restored by the next one."""
        for path, value in zip(self.fair, ('50000000', '50000000', '0')):
            path.parent.mkdir(parents=True)
            path.write_text(value + '\n')
        for runtime in ('950000', '-1'):
            self.runtime.write_text(runtime)
            with host.unthrottled(self.said.append, [1, 2, 3]):
                self.assertEqual([path.read_text().strip() for path in self.fair], ['50000000', '0', '0'])
                state = json.loads(self.users.read_text())
            self.assertEqual([path.read_text().strip() for path in self.fair], ['50000000', '50000000', '0'])
            self.assertEqual((self.runtime.read_text(), self.users.exists()), (runtime, False))
            self.assertIn('cpu1/runtime is 0 (it was 50000000)', self.said[-1])
        self.fair[1].write_text('0')
        self.users.write_text(json.dumps({**state, 'users': [4194305]}))
        with host.unthrottled(self.said.append, [1]):
            pass
        self.assertEqual(self.fair[1].read_text(), '50000000')

    def test_not_allowed(self):
        with mock.patch.object(host, '_enter', side_effect=PermissionError(1, 'not permitted')), \
                host.unthrottled(self.said.append) as off:
            self.assertFalse(off)
        self.assertIn('as root', self.said[0])

    def test_switched_on_by_something_else(self):
        with host.unthrottled(self.said.append):
            self.assertFalse(host.throttled_again())
            self.runtime.write_text('950000')
            self.assertTrue(host.throttled_again())
            self.assertEqual(self.runtime.read_text(), '-1')


if __name__ == '__main__':
    unittest.main()
