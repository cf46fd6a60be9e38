"""Unit tests of the commands that the manual's scenarios show."""
# Copyright (c) 2026 the kvm4nfv authors
# SPDX-License-Identifier: GPL-2.0-or-later

from pathlib import Path
import unittest

import scenario

TOP = Path(__file__).resolve().parents[2]
PAGE = """Title
=====

.. code-block:: sh
   :class: host-a

   virsh define x.xml

   virsh start x

Text.

.. code-block:: text
   :class: shows

   Domain 'x' started
   …

.. code-block:: sh

   not run

#. In a list:

   .. code-block:: sh
      :class: host-b

      virsh list

   more
"""


class Steps(unittest.TestCase):
    def test_page(self):
        self.assertEqual(scenario.steps(PAGE), [
            scenario.Step('host-a', 'virsh define x.xml\n\nvirsh start x', 4, "Domain 'x' started\n…"),
            scenario.Step('host-b', 'virsh list', 25)])

    def test_output_without_a_command(self):
        with self.assertRaisesRegex(ValueError, 'line 1'):
            scenario.steps('.. code-block:: text\n   :class: shows\n\n   x\n')

    def test_nothing(self):
        self.assertEqual(scenario.steps(''), [])

    def test_each_domain_is_in_the_manual(self):
        pages = '\n'.join(page.read_text(encoding='utf-8') for page in (TOP / 'docs').glob('*/*.rst'))
        for file in (TOP / 'libvirt').glob('*.xml'):
            self.assertIn(file.name, pages)


if __name__ == '__main__':
    unittest.main()
