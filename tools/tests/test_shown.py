"""Tests of the comparison between what a command printed and what a document shows."""
# Copyright (c) 2026 the kvm4nfv authors
# SPDX-License-Identifier: GPL-2.0-or-later

import unittest

from nfv.shown import difference


class Shown(unittest.TestCase):
    def test_same(self):
        self.assertIsNone(difference('one\ntwo\n', 'one\ntwo\n'))

    def test_anything_before_and_after(self):
        self.assertIsNone(difference('two', 'one\ntwo\nthree'))

    def test_missing_line_is_named(self):
        self.assertEqual(difference('one\ntwo', 'one\nthree'), 'two')

    def test_order_counts(self):
        self.assertEqual(difference('two\n…\none', 'one\ntwo'), 'one')

    def test_nothing_between_two_lines(self):
        self.assertEqual(difference('one\nthree', 'one\ntwo\nthree'), 'three')

    def test_a_false_start_does_not_mislead(self):
        self.assertIsNone(difference('one\ntwo', 'one\none\ntwo'))

    def test_empty_lines_do_not_count(self):
        self.assertIsNone(difference('one\n\ntwo\nthree', 'one\ntwo\n  \nthree'))

    def test_ellipsis_line_is_any_lines(self):
        self.assertIsNone(difference('one\n…\nthree', 'one\ntwo\ntwo\nthree'))
        self.assertIsNone(difference('one\n…\nthree', 'one\nthree'))

    def test_ellipsis_in_a_line(self):
        self.assertIsNone(difference('downtime … ms', 'downtime 42.1 ms'))
        self.assertEqual(difference('downtime … ms', 'downtime 42.1 s'), 'downtime … ms')

    def test_line_must_match_whole(self):
        self.assertEqual(difference('one', 'one two'), 'one')

    def test_white_space_is_alike(self):
        self.assertIsNone(difference('a  b', '   a\tb  '))

    def test_characters_stand_for_themselves(self):
        self.assertEqual(difference('a.c', 'abc'), 'a.c')
        self.assertIsNone(difference('(a*)', '(a*)'))

    def test_nothing_printed(self):
        self.assertEqual(difference('one', ''), 'one')


if __name__ == '__main__':
    unittest.main()
