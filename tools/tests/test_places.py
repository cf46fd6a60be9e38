"""Tests of where the tools look for what they run."""
# Copyright (c) 2026 the kvm4nfv authors
# SPDX-License-Identifier: GPL-2.0-or-later

from pathlib import Path
import tempfile
import unittest
from unittest import mock

from nfv import places


class Places(unittest.TestCase):
    def setUp(self):
        self.top = Path(self.enterContext(tempfile.TemporaryDirectory())).resolve()

    def installed(self):
        """A QEMU of the packages, and its name in PATH."""
        prefix, names = self.top / 'prefix', self.top / 'names'
        for directory in (prefix / 'bin', names):
            directory.mkdir(parents=True)
        program = prefix / places.IN_PREFIX
        program.touch(0o755)
        (names / places.INSTALLED).symlink_to(program)
        self.enterContext(mock.patch.dict('os.environ', {'PATH': str(names)}))
        return prefix, names / places.INSTALLED

    def test_in_a_tree(self):
        """Also where a QEMU is installed."""
        self.installed()
        (self.top / 'configure').touch()
        self.assertEqual(places.qemu(self.top), self.top / 'build/qemu-system-x86_64')
        self.assertEqual(places.probe(self.top), self.top / 'build/nfv/guest/probe/probe')

    def test_installed(self):
        prefix, name = self.installed()
        share = self.top / 'share'
        self.assertEqual(places.qemu(share), name)
        self.assertEqual(places.probe(share), prefix / 'guest/probe')

    def test_tools_without_a_qemu(self):
        self.enterContext(mock.patch.dict('os.environ', {'PATH': str(self.top)}))
        self.assertEqual(places.qemu(self.top), self.top / 'build/qemu-system-x86_64')


if __name__ == '__main__':
    unittest.main()
