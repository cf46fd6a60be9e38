"""Unit tests of the TAP that the libvirt tests print."""
# Copyright (c) 2026 the kvm4nfv authors
# SPDX-License-Identifier: GPL-2.0-or-later

import io
import unittest

import tap


class Sample(unittest.TestCase):
    """Not run by itself: load_tests leaves it out."""

    def test_a_good(self):
        pass

    def test_b_bad(self):
        self.fail('because')

    def test_c_skipped(self):
        self.skipTest('no libvirt')

    def test_d_part(self):
        for number in (1, 2):
            with self.subTest(number=number):
                self.assertEqual(number, 1)


class Skipped(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        raise unittest.SkipTest('no root')

    def test_x(self):
        self.fail('not reached')


class Tap(unittest.TestCase):
    def run_one(self, case):
        out = io.StringIO()
        good = tap.run(unittest.defaultTestLoader.loadTestsFromTestCase(case), out)
        return good, [line for line in out.getvalue().splitlines() if not line.startswith('#')]

    def test_each_is_told(self):
        good, lines = self.run_one(Sample)
        self.assertFalse(good)
        self.assertEqual([line.split(' test_tap.')[0] for line in lines],
                         ['ok 1', 'not ok 2', 'ok 3', 'not ok 4', '1..4'])
        self.assertIn('# SKIP no libvirt', lines[2])
        self.assertIn('number=2', lines[3])

    def test_a_whole_class_is_skipped(self):
        good, lines = self.run_one(Skipped)
        self.assertTrue(good)
        self.assertEqual(len(lines), 2)
        self.assertTrue(lines[0].startswith('ok 1 ') and lines[0].endswith('# SKIP no root'), lines)


def load_tests(loader, _tests, _pattern):
    return loader.loadTestsFromTestCase(Tap)


if __name__ == '__main__':
    unittest.main()
