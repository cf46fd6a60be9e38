"""Tests of what a run prints and writes."""
# Copyright (c) 2026 the kvm4nfv authors
# SPDX-License-Identifier: GPL-2.0-or-later

import json
import unittest

from nfv import report
from nfv.answer import Memory
from nfv.histogram import Histogram


class Report(unittest.TestCase):
    def setUp(self):
        histogram = Histogram({40: 999, 30: 1}, min=30, avg=39, max=40)
        self.result = report.Result(
            {'accelerator': 'tcg'}, {'before': histogram, 'during': histogram},
            report.Migration(total_ms=398, downtime_us=11590, reported_downtime_ms=12, transferred=3 << 20),
            Memory(expected=8, pages=8, wrong=0, table=0, first=-1, writes=9, digest='ff'))

    def test_table_is_aligned(self):
        lines = report.table(self.result.latency).splitlines()
        self.assertEqual(lines[0].split()[-6:], ['samples', 'min', 'avg', 'p99', 'p99.9', 'max'])
        self.assertEqual(lines[1].split(), ['before', '1000', '30', '39', '40', '40', '40'])
        self.assertEqual(len({len(line) for line in lines}), 1)

    def test_text(self):
        text = report.text(self.result)
        for part in ('398 ms in all, 3.0 MiB sent', '11.6 ms from stop to start (QEMU reported 12 ms)',
                     '8 of 8 pages intact'):
            self.assertIn(part, text)

    def test_json(self):
        found = json.loads(json.dumps(self.result.as_json()))
        self.assertEqual(found['latency_us']['before']['histogram'], {'30': 1, '40': 999})
        self.assertEqual(found['migration']['downtime_us'], 11590)
        self.assertTrue(found['memory']['intact'])


if __name__ == '__main__':
    unittest.main()
