"""Tests of what the trace log says about the pages that a guest waited for."""
# Copyright (c) 2026 the kvm4nfv authors
# SPDX-License-Identifier: GPL-2.0-or-later

import unittest

from nfv.stalls import quantile, stalls_us

LOG = '''\
77@100.000100:postcopy_place_page host=0x7f0000001000
77@100.000200:postcopy_ram_fault_thread_request Request for HVA=0x7f0000001000 rb=ram offset=0x1000 pid=78
77@100.000300:postcopy_ram_fault_thread_request Request for HVA=0x7f0000003000 rb=ram offset=0x3000 pid=78
77@100.000900:postcopy_place_page_zero host=0x7f0000003000
77@101.000200:postcopy_place_page host=0x7f0000001000
77@101.000300:postcopy_place_page host=0x7f0000003000
77@101.000400:postcopy_ram_fault_thread_request Request for HVA=0x7f0000005000 rb=ram offset=0x5000 pid=78
'''


class Stalls(unittest.TestCase):
    def test_pairs(self):
        """From the fault to the first placement after it; what was never placed does not count."""
        self.assertEqual(stalls_us(LOG, 4096), [600, 1000000])

    def test_huge(self):
        """Addresses in one huge page are one page."""
        self.assertEqual(stalls_us(LOG.replace('place_page_zero host=0x7f0000003000',
                                               'place_page host=0x7f0000000000'), 2 << 20), [700, 600])

    def test_two_wait(self):
        log = ('7@1.000000:postcopy_ram_fault_thread_request Request for HVA=0x1000 rb=ram offset=0x0 pid=1\n'
               '7@1.000010:postcopy_ram_fault_thread_request Request for HVA=0x1000 rb=ram offset=0x0 pid=2\n'
               '7@1.000030:postcopy_place_page host=0x1000\n')
        self.assertEqual(stalls_us(log, 4096), [30, 20])

    def test_quantile(self):
        self.assertIsNone(quantile([], 0.5))
        self.assertEqual(quantile([3, 1, 2], 0.5), 2)
        self.assertEqual(quantile(list(range(100)), 0.99), 99)


if __name__ == '__main__':
    unittest.main()
