"""Tests of summaries and ratios."""
# Copyright (c) 2026 the kvm4nfv authors
# SPDX-License-Identifier: GPL-2.0-or-later

import unittest

from nfv.stats import Summary, ratio, short, summary


class Stats(unittest.TestCase):
    def test_summary(self):
        self.assertEqual(summary([3, 1, 10]), Summary(3, 3, 1, 10))
        self.assertEqual(summary([4, 1]), Summary(2, 2.5, 1, 4))
        self.assertEqual(summary([None, 2.5]), Summary(1, 2.5, 2.5, 2.5))

    def test_nothing(self):
        self.assertIsNone(summary([]))
        self.assertIsNone(summary([None, None]))

    def test_ratio(self):
        four, eight = summary([4]), summary([8])
        self.assertEqual(ratio(four, eight), 0.5)
        self.assertIsNone(ratio(four, None))
        self.assertIsNone(ratio(None, four))
        self.assertIsNone(ratio(four, summary([0])))
        self.assertIsNone(ratio(four, eight, floor=8))

    def test_text(self):
        self.assertEqual([short(v) for v in (0.123, 5.04, 12.34, 1234.5, 7, -0.5)],
                         ['0.12', '5.0', '12.3', '1234', '7', '-0.50'])
        self.assertEqual(str(summary([1.25, 2.5, 9.5])), '2.5 (1.2-9.5)')
        self.assertEqual(str(summary([2.51, 2.52])), '2.5')


if __name__ == '__main__':
    unittest.main()
