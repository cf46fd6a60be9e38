"""Tests of what the soak takes for a leak, and of the ways that it goes."""
# Copyright (c) 2026 the kvm4nfv authors
# SPDX-License-Identifier: GPL-2.0-or-later

import os
import unittest

from nfv import holdings, hop, soak
from nfv.holdings import Holdings


class Leaks(unittest.TestCase):
    BEFORE = Holdings(13, 4, 150000)

    def test_none(self):
        for after in (self.BEFORE, Holdings(12, 3, 140000), Holdings(13, 6, 150000 + soak.SLACK_KIB)):
            self.assertEqual(soak.leaked(self.BEFORE, after), '')

    def test_each(self):
        self.assertEqual(soak.leaked(self.BEFORE, Holdings(14, 7, 160240)), '1 descriptors, 3 threads, 10.0 MiB')

    def test_drift(self):
        """Compared with the first one that went the same way."""
        def done(number, way, descriptors):
            return soak.Done(number, way, 100.0, 1.0, 1.0, Holdings(descriptors, 4, 150000), None)
        self.assertEqual(soak.drift([done(1, 'a', 10), done(2, 'b', 13), done(3, 'a', 10)]), '')
        self.assertEqual(soak.drift([done(1, 'a', 10), done(2, 'b', 13), done(3, 'a', 12)]), '2 descriptors')

    def test_of_this_process(self):
        before = holdings.of(os.getpid())
        pipe = os.pipe()
        after = holdings.of(os.getpid())
        for end in pipe:
            os.close(end)
        self.assertEqual((after - before).descriptors, 2)


class Ways(unittest.TestCase):
    def test_all_are_among_them(self):
        self.assertEqual(len({way.name for way in hop.WAYS}), len(hop.WAYS))
        self.assertTrue(any(way.cuts == 2 for way in hop.WAYS))
        self.assertTrue(all(way.postcopy for way in hop.WAYS if way.cuts))
        self.assertTrue(all(set(hop.POSTCOPY) <= set(way.capabilities) for way in hop.WAYS if way.postcopy))


if __name__ == '__main__':
    unittest.main()
