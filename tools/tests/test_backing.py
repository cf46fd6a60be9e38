"""Tests of huge pages that are reserved and given back, on a made-up kernel."""
# Copyright (c) 2026 the kvm4nfv authors
# SPDX-License-Identifier: GPL-2.0-or-later

import json
import os
from pathlib import Path
import subprocess
import tempfile
import unittest
from unittest import mock

from nfv import backing
from nfv.progress import Failure


class HugePages(unittest.TestCase):
    def setUp(self):
        self.directory = Path(self.enterContext(tempfile.TemporaryDirectory()))
        self.number, self.users = self.directory / 'nr_hugepages', self.directory / 'users'
        self.number.write_text('10\n')
        self.enterContext(mock.patch.multiple(backing, HUGE=self.directory, USERS=self.users))

    def count(self):
        return int(self.number.read_text())

    def test_they_are_given_back(self):
        with backing.huge_pages(64):
            with backing.huge_pages(3):
                self.assertEqual(self.count(), 10 + 32 + 2)
                self.assertEqual(json.loads(self.users.read_text()), {'users': [os.getpid()],
                                                                      'pages': {str(os.getpid()): 34}})
            self.assertEqual(self.count(), 42)
        self.assertEqual(self.count(), 10)
        self.assertFalse(self.users.exists())

    def test_also_after_a_failure(self):
        with self.assertRaises(KeyError), backing.huge_pages(64):
            raise KeyError
        self.assertEqual(self.count(), 10)

    def test_those_of_a_run_that_was_killed(self):
        with subprocess.Popen(['true']) as gone:
            pass
        self.users.write_text(json.dumps({'users': [gone.pid], 'pages': {str(gone.pid): 7}}))
        with backing.huge_pages(2):
            self.assertEqual(self.count(), 10 - 7 + 1)
        self.assertEqual(self.count(), 3)
        self.assertFalse(self.users.exists())

    def test_those_of_a_run_that_goes_on_stay(self):
        with subprocess.Popen(['sleep', '60']) as other:
            try:
                self.users.write_text(json.dumps({'users': [other.pid], 'pages': {str(other.pid): 7}}))
                with backing.huge_pages(2):
                    self.assertEqual(self.count(), 11)
                self.assertEqual(self.count(), 10)
                self.assertEqual(json.loads(self.users.read_text())['pages'], {str(other.pid): 7})
            finally:
                other.kill()

    def test_those_that_somebody_gave_back_by_hand(self):
        with subprocess.Popen(['true']) as gone:
            pass
        for there in (0, 4):
            self.number.write_text(f'{there}\n')
            self.users.write_text(json.dumps({'users': [gone.pid], 'pages': {str(gone.pid): 896}}))
            with backing.huge_pages(64):
                self.assertEqual(self.count(), 32)
            self.assertEqual(self.count(), 0)
            self.assertFalse(self.users.exists())

    def test_too_few(self):
        full = self.directory / 'full'
        full.mkdir()
        with mock.patch.object(backing, 'HUGE', full), self.assertRaisesRegex(Failure, 'no huge pages of 2 MiB'):
            with backing.huge_pages(2):
                self.fail('there are none')


if __name__ == '__main__':
    unittest.main()
