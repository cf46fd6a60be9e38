"""Tests of the page that shows results."""
# Copyright (c) 2026 the kvm4nfv authors
# SPDX-License-Identifier: GPL-2.0-or-later

from html.parser import HTMLParser
import re
import unittest

import results
from nfv import charts, page
from nfv.histogram import of_buckets
from nfv.progress import Failure


class Ids(HTMLParser):
    def __init__(self):
        super().__init__()
        self.ids, self.targets, self.loaded = [], [], []

    def handle_starttag(self, tag, attrs):
        for name, value in attrs:
            if name == 'id':
                self.ids.append(value)
            elif name in ('href', 'xlink:href') and value.startswith('#'):
                self.targets.append(value[1:])
            elif name in ('href', 'src', 'xlink:href'):
                self.loaded.append(value)


class Drawings(unittest.TestCase):
    def test_buckets_become_alike(self):
        self.assertEqual(charts.octaves(of_buckets({1000: 2, 1001: 3, 1500: 1})), {39: 5, 41: 1})
        self.assertLessEqual(charts.edge(39), 1.0)
        self.assertGreater(charts.edge(40), 1.001)

    def test_curve(self):
        self.assertEqual(charts.curve(of_buckets({1000: 9, 5000: 1})), ([1.0, 10.0, 20.0], [1.0, 1.0, 5.0]))
        self.assertEqual(charts.curve(of_buckets({1000: 9}, 1, 7000))[1][-1], 7.0)


class Pages(unittest.TestCase):
    def setUp(self):
        try:
            charts.pyplot()
            import jinja2  # noqa: F401
        except (Failure, ImportError) as error:
            self.skipTest(str(error))

    def test_whole(self):
        text = page.render(results.found())
        self.assertLess(text.index('2 of 3 goals are met'), text.index('<h2 id="results">'))
        for words in ('a CPU &lt;with&gt; brackets', 'ip is missing: install iproute2', 'aria-label="Percentiles of timer',
                      'aria-label="Time line of timer', 'prefers-color-scheme: dark', 'name="viewport"',
                      'boot with isolcpus='):
            self.assertIn(words, text)
        parser = Ids()
        parser.feed(text)
        self.assertEqual(len(parser.ids), len(set(parser.ids)), 'ids are unique')
        self.assertLessEqual(set(parser.targets), set(parser.ids))
        self.assertEqual(parser.loaded, [], 'nothing comes from elsewhere')
        self.assertNotRegex(re.sub(r'xmlns(:\w+)?="[^"]*"', '', text), r'(?i)@import|url\(http')

    def test_nothing_measured(self):
        found = {**results.found(), 'results': [], 'machine': {}, 'skipped': []}
        self.assertIn('Nothing was measured.', page.render(found))


if __name__ == '__main__':
    unittest.main()
