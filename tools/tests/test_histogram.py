"""Tests of histograms and percentiles."""
# Copyright (c) 2026 the kvm4nfv authors
# SPDX-License-Identifier: GPL-2.0-or-later

import unittest

from nfv.histogram import Histogram


class Percentile(unittest.TestCase):
    def test_ranks(self):
        histogram = Histogram({value: 1 for value in range(1, 1001)}, max=1000)
        self.assertEqual(histogram.samples, 1000)
        self.assertEqual(histogram.percentile('50'), 500)
        self.assertEqual(histogram.percentile('99'), 990)
        self.assertEqual(histogram.percentile('99.9'), 999)
        self.assertEqual(histogram.percentile('100'), 1000)

    def test_smallest_value_that_covers_the_share(self):
        self.assertEqual(Histogram({10: 99, 500: 1}).percentile('99'), 10)
        self.assertEqual(Histogram({10: 98, 500: 2}).percentile('99'), 500)

    def test_one_sample(self):
        histogram = Histogram({7: 1})
        self.assertEqual([histogram.percentile(p) for p in ('0', '50', '100')], [7, 7, 7])

    def test_order_of_buckets_does_not_matter(self):
        self.assertEqual(Histogram({30: 1, 10: 98, 20: 1}).percentile('99'), 20)

    def test_overflows_count_as_the_maximum(self):
        histogram = Histogram({10: 98}, overflows=2, max=345678)
        self.assertEqual(histogram.samples, 100)
        self.assertEqual(histogram.percentile('98'), 10)
        self.assertEqual(histogram.percentile('99'), 345678)

    def test_no_samples(self):
        with self.assertRaises(ValueError):
            Histogram().percentile('99')

    def test_summary(self):
        histogram = Histogram({5: 9, 8: 1}, min=5, avg=5, max=8)
        self.assertEqual(histogram.summary(),
                         {'samples': 10, 'min': 5, 'avg': 5, 'p99': 8, 'p99.9': 8, 'max': 8})


if __name__ == '__main__':
    unittest.main()
