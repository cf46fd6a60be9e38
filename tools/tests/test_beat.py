"""Tests of finding the guest's gap in its heartbeats."""
# Copyright (c) 2026 the kvm4nfv authors
# SPDX-License-Identifier: GPL-2.0-or-later

import unittest

from nfv import beat


def every(us, start, count):
    return [start + us * i for i in range(count)]


class Beats(unittest.TestCase):
    def test_parse(self):
        log = ('12@1700000000.000250:serial_write write addr 0x07 val 0x01\n'
               '12@1700000000.000300:serial_write write addr 0x00 val 0x41\n'
               '12@1700000000.000400:serial_read read addr 0x07 val 0x41\n'
               '12@1700000001.000000:serial_write write addr 0x07 val 0x02\n')
        self.assertEqual(beat.times(log), [1700000000000250, 1700000001000000])

    def test_full_speed_at_once(self):
        source = every(250, 0, 400)
        found = beat.gap(source, every(250, source[-1] + 7000, 100), began=50000)
        self.assertEqual((found.full, found.switch, found.before), (7000, 7000, 250))

    def test_slow_at_first(self):
        source = every(250, 0, 400)
        slow = every(1000, source[-1] + 7000, 30)
        found = beat.gap(source, slow + every(250, slow[-1] + 1000, 100), began=50000)
        self.assertEqual(found.switch, 7000)
        # The window may begin with a slow one, as long as it is as fast as before on the whole.
        self.assertTrue(7000 + 28 * 1000 <= found.full <= 7000 + 30 * 1000, found)

    def test_a_single_late_one_is_not_slow(self):
        source = every(250, 0, 400)
        after = every(250, source[-1] + 5000, 100)
        after[10:] = [time + 1000 for time in after[10:]]
        self.assertEqual(beat.gap(source, after, began=50000).full, 5000)

    def test_never_full_speed(self):
        source = every(250, 0, 400)
        found = beat.gap(source, every(1000, source[-1] + 7000, 100), began=50000)
        self.assertEqual((found.full, found.switch), (None, 7000))

    def test_stall_before(self):
        source = every(250, 0, 400)
        source[300:] = [time + 9000 for time in source[300:]]
        self.assertEqual(beat.gap(source, [], began=50000).before, 9250)
        self.assertEqual(beat.gap(source, [], began=source[300]).before, 250)

    def test_too_few(self):
        self.assertEqual(beat.gap([], [], 0), beat.Gap(None, None, None))
        self.assertEqual(beat.gap([100], [300], 0), beat.Gap(None, 200, None))

    def test_recovered(self):
        """90 % of 400 heartbeats in 100 ms."""
        source = every(250, 0, 400)
        self.assertEqual(beat.recovered(source, every(250, 120000, 800), 90000, 119000), 1000)
        slow = every(500, 120000, 100)
        found = beat.recovered(source, slow + every(250, slow[-1] + 250, 800), 90000, 120000)
        self.assertTrue(slow[-1] - 120000 - 40 * 500 <= found <= slow[-1] - 120000, found)
        self.assertIsNone(beat.recovered(source, every(500, 120000, 800), 90000, 120000))
        self.assertIsNone(beat.recovered(source[:5], every(250, 120000, 800), 90000, 120000))


if __name__ == '__main__':
    unittest.main()
