"""Tests of the parser of the guest's answers."""
# Copyright (c) 2026 the kvm4nfv authors
# SPDX-License-Identifier: GPL-2.0-or-later

import unittest

from nfv import answer


def parsed(*lines):
    return [answer.parse(line) for line in lines]


class Parse(unittest.TestCase):
    def test_answer(self):
        found = answer.parse('nfv-guest: ready cpus=2 kernel=6.12 #1 SMP PREEMPT_RT\r\n')
        self.assertEqual((found.verb, found.text), ('ready', 'cpus=2 kernel=6.12 #1 SMP PREEMPT_RT'))
        self.assertEqual(found.numbers(), {'cpus': 2})

    def test_what_the_firmware_left_before_it(self):
        self.assertEqual(answer.parse('\x1bc\x1b[?7lnfv-guest: started during').verb, 'started')

    def test_other_lines(self):
        for line in ('', '[    1.0] Linux version 6.12', 'nfv-guest: ', 'nfv-guest:ready'):
            self.assertIsNone(answer.parse(line))


class Measurement(unittest.TestCase):
    def test_lines_add_up(self):
        found = answer.histogram(parsed('nfv-guest: hist a 33:1 36:2', 'nfv-guest: hist a 40:4',
                                        'nfv-guest: done a samples=8 min=33 avg=38 max=200123 overflows=1'))
        self.assertEqual(found.buckets, {33: 1, 36: 2, 40: 4})
        self.assertEqual((found.samples, found.overflows, found.max), (8, 1, 200123))

    def test_lost_line(self):
        with self.assertRaisesRegex(ValueError, '8 samples were counted, 5 came'):
            answer.histogram(parsed('nfv-guest: hist a 40:4',
                                    'nfv-guest: done a samples=8 min=33 avg=38 max=200123 overflows=1'))

    def test_no_end(self):
        for lines in ((), ('nfv-guest: hist a 40:4',)):
            with self.assertRaises(ValueError):
                answer.histogram(parsed(*lines))


class Memory(unittest.TestCase):
    LINE = 'nfv-guest: verify pages={} wrong={} table={} first={} writes=9968 digest=b39987fe396c110c'

    def memory(self, *numbers):
        return answer.memory(answer.parse(self.LINE.format(*numbers)), 8192)

    def test_intact(self):
        found = self.memory(8192, 0, 0, -1)
        self.assertTrue(found.intact)
        self.assertEqual(str(found), '8192 of 8192 pages intact (digest b39987fe396c110c)')

    def test_bad(self):
        for numbers in ((8192, 1, 0, 77), (8192, 0, 1, 77), (4096, 0, 0, -1)):
            found = self.memory(*numbers)
            self.assertFalse(found.intact)
            self.assertIn('WRONG', str(found))


if __name__ == '__main__':
    unittest.main()
