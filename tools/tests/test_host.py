"""Tests of the choice of host CPUs."""
# Copyright (c) 2026 the kvm4nfv authors
# SPDX-License-Identifier: GPL-2.0-or-later

import unittest

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


if __name__ == '__main__':
    unittest.main()
