"""Tests of the checks of the manual: that they find what is wrong."""
# Copyright (c) 2026 the kvm4nfv authors
# SPDX-License-Identifier: GPL-2.0-or-later

from contextlib import redirect_stdout
import importlib.util
import io
import json
from pathlib import Path
import tempfile
import unittest

SCRIPT = Path(__file__).resolve().parent.parent.parent / 'scripts/check-docs.py'
spec = importlib.util.spec_from_file_location('check_docs', SCRIPT)
check_docs = importlib.util.module_from_spec(spec)
spec.loader.exec_module(check_docs)


class Tree(unittest.TestCase):
    def setUp(self):
        self.top = Path(self.enterContext(tempfile.TemporaryDirectory()))

    def write(self, name, text):
        file = self.top / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text)


@unittest.skipUnless(importlib.util.find_spec('sphinx'), 'Sphinx is missing')
class Build(Tree):
    """A manual of one page, with our extensions."""

    def build(self, page):
        self.write('docs/conf.py', f"""import sys
sys.path.insert(0, {str(SCRIPT.parent.parent / 'docs/_ext')!r})
extensions = ['commands', 'properties']
""")
        self.write('docs/index.rst', page)
        problems = check_docs.build(self.top, 'html', self.top / 'out')
        found = {name: json.loads((self.top / f'out/html/{name}.json').read_text()) for name in ('commands', 'names')
                 if (self.top / f'out/html/{name}.json').exists()}
        return '\n'.join(problems), found

    def test_commands(self):
        problems, found = self.build("""Title
=====

.. code-block:: sh
   :class: run exit-1 needs-root

   false

.. code-block:: text
   :class: output

   nothing

.. code-block:: sh

   not marked
""")
        self.assertEqual(problems, '')
        block, = found['commands']['index']
        self.assertEqual((block['text'], block['classes'], block['output']),
                         ('false', ['exit-1', 'needs-root'], 'nothing'))

    def test_what_is_wrong_is_named(self):
        problems, _ = self.build("""Title
=====

.. code-block:: text
   :class: output

   text

.. code-block:: sh
   :class: run slowly

   true

:doc:`nowhere`
""")
        for words in ("unknown class 'slowly'", 'does not follow a command', 'nowhere'):
            self.assertIn(words, problems)

    def test_names(self):
        problems, found = self.build("""Title
=====

.. nfv-property:: one

   See :nfv-property:`one`.

.. nfv-trace:: nfv_two

   Text.
""")
        self.assertEqual(problems, '')
        self.assertEqual(found['names'], {'nfv-property': ['one'], 'nfv-trace': ['nfv_two']})


class Links(Tree):
    def problems(self, text):
        self.write('a/page.html', text)
        self.write('other.html', '<p id="place">')
        return check_docs.check_links(self.top)

    def test_good(self):
        self.assertEqual(self.problems('<a href="../other.html#place"></a><a href="#here"></a><p id="here">'
                                       '<a href="https://example.org/x"></a>'), [])

    def test_no_page(self):
        self.assertEqual(self.problems('<a href="none.html"></a>'), ['a/page.html: none.html leads nowhere'])

    def test_no_place(self):
        self.assertEqual(self.problems('<a href="../other.html#elsewhere"></a>'),
                         ['a/page.html: ../other.html#elsewhere leads to no place of its page'])

    def test_loads_from_elsewhere(self):
        for text in ('<img src="https://example.org/a.png">', '<script src="//example.org/a.js"></script>',
                     '<link rel="stylesheet" href="http://example.org/a.css">'):
            self.assertRegex(self.problems(text)[0], 'loads .* from elsewhere')

    def test_contents(self):
        self.assertRegex(self.problems('<nav class="contents local"></nav>')[0], 'has a directive contents')

    def test_readme(self):
        self.write('README.md', '[a](docs/a.rst) [b](docs/b.rst#x) [c](https://example.org)')
        self.write('docs/a.rst', '')
        self.assertEqual(check_docs.check_readme(self.top), ['README.md: docs/b.rst leads nowhere'])


class Figures(Tree):
    def problems(self, text):
        self.write('docs/figures/x.svg', text)
        return check_docs.check_figures(self.top)

    def test_good(self):
        self.assertEqual(self.problems('<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 1 1"><title/><desc/></svg>'),
                         [])

    def test_lacks_all(self):
        self.assertEqual(len(self.problems('<svg xmlns="http://www.w3.org/2000/svg"><image/></svg>')), 4)

    def test_is_no_xml(self):
        self.assertEqual(len(self.problems('<svg>')), 1)


class Names(unittest.TestCase):
    def test_both_ways(self):
        self.assertEqual(check_docs.check_names('thing', {'a', 'b'}, {'b', 'c'}),
                         ['the manual does not tell about the thing a',
                          'the manual tells about the thing c, which does not exist'])


class Commands(Tree):
    def run_page(self, *blocks, slow=False):
        """TAP of a page with these commands."""
        output = io.StringIO()
        with redirect_stdout(output):
            check_docs.Commands(self.top, slow, check_docs.Tap()).page(
                'page', [{'line': 1, 'classes': [], **block} for block in blocks])
        return output.getvalue()

    def test_one_directory_for_a_page(self):
        self.assertNotIn('not ok', self.run_page({'text': 'echo x > file'}, {'text': 'test "$(cat file)" = x'}))

    def test_output(self):
        block = {'text': 'echo one; echo two', 'output': 'one\ntwo'}
        self.assertNotIn('not ok', self.run_page(block))
        self.assertIn('not ok', self.run_page({**block, 'output': 'one\nthree'}))

    def test_exit_status(self):
        self.assertIn('exit status 3, not 0', self.run_page({'text': 'exit 3'}))
        self.assertNotIn('not ok', self.run_page({'text': 'exit 3', 'classes': ['exit-3']}))
        self.assertIn('exit status 0, not 3', self.run_page({'text': 'true', 'classes': ['exit-3']}))

    def test_first_failure_ends_a_block(self):
        self.assertIn('not ok', self.run_page({'text': 'false\ntrue'}))

    def test_tree(self):
        self.assertNotIn('not ok', self.run_page({'text': 'test "$PWD" = "$CLONE"', 'classes': ['tree']}))

    def test_slow_and_needs(self):
        self.assertIn('# SKIP slow', self.run_page({'text': 'false', 'classes': ['slow']}))
        self.assertIn('not ok', self.run_page({'text': 'false', 'classes': ['slow']}, slow=True))
        self.assertIn('# SKIP needs the program no-such-program',
                      self.run_page({'text': 'false', 'classes': ['needs-no-such-program']}))
        self.assertIn('# SKIP needs build/guest', self.run_page({'text': 'false', 'classes': ['needs-guest']}))


if __name__ == '__main__':
    unittest.main()
