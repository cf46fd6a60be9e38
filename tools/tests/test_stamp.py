"""Tests of reading the trace log."""
# Copyright (c) 2026 the kvm4nfv authors
# SPDX-License-Identifier: GPL-2.0-or-later

import unittest

from nfv import stamp

SOURCE = '''\
some other line
12@1700000000.999500:vmstate_downtime_checkpoint src-downtime-start
12@1700000000.999600:vmstate_downtime_save type=iterable idstr=ram instance_id=0 downtime=9
12@1700000001.000100:vmstate_downtime_checkpoint src-vm-stopped
12@1700000001.030000:vmstate_downtime_checkpoint src-downtime-end
'''
PRECOPY = '''\
34@1700000001.010000:vmstate_downtime_checkpoint dst-precopy-loadvm-completed
34@1700000001.011000:vmstate_downtime_checkpoint dst-precopy-bh-vm-started
'''
POSTCOPY = '34@1700000001.002500:vmstate_downtime_checkpoint dst-postcopy-bh-vm-started\n'


class Stamps(unittest.TestCase):
    def test_checkpoints(self):
        self.assertEqual(stamp.checkpoints(SOURCE), {'src-downtime-start': 1700000000999500,
                                                     'src-vm-stopped': 1700000001000100,
                                                     'src-downtime-end': 1700000001030000})

    def test_downtime(self):
        self.assertEqual(stamp.downtime_us(SOURCE, PRECOPY), 11500)
        self.assertEqual(stamp.downtime_us(SOURCE, POSTCOPY), 3000)

    def test_a_second_attempt_counts(self):
        again = SOURCE + '12@1700000001.010000:vmstate_downtime_checkpoint src-downtime-start\n'
        self.assertEqual(stamp.downtime_us(again, PRECOPY), 1000)

    def test_begin(self):
        log = '12@1700000000.000000:migrate_set_state new state setup\n' + SOURCE
        self.assertEqual(stamp.begun(log), 1700000000000000)
        with self.assertRaisesRegex(ValueError, 'no migration that is setup'):
            stamp.begun(SOURCE)

    def test_missing(self):
        with self.assertRaisesRegex(ValueError, 'of the source'):
            stamp.downtime_us('', PRECOPY)
        with self.assertRaisesRegex(ValueError, 'of the destination'):
            stamp.downtime_us(SOURCE, '')


if __name__ == '__main__':
    unittest.main()
