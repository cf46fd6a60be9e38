"""Tests of what nfv-host-check reads: CPU lists, boot lines, directories, recordings, and the choice of CPUs."""
# Copyright (c) 2026 the kvm4nfv authors
# SPDX-License-Identifier: GPL-2.0-or-later

from __future__ import annotations

import json
from pathlib import Path
import tempfile
import unittest

import hosts
from nfvhost import bootline, checks
from nfvhost.cpulist import format_list, format_mask, parse_list, parse_mask
from nfvhost.root import Directory, Recorder, Recording, open_root
from nfvhost.target import choose


def host_with(**files: str) -> Recording:
    return Recording({'files': {'/proc/cmdline': files.get('cmdline', '')}})


class Lists(unittest.TestCase):
    def test_parse(self):
        self.assertEqual(parse_list(' 1-3,5\n'), {1, 2, 3, 5})
        self.assertEqual(parse_list(''), set())
        self.assertEqual(parse_list('all', 3), {0, 1, 2, 3})
        self.assertEqual(parse_list('2-N', 4), {2, 3, 4})
        self.assertEqual(parse_list('0-7:2/4'), {0, 1, 4, 5})

    def test_refusals_name_the_part(self):
        for text in ('3-1', 'x', '1-', '1-3:0/2', '1-3:2', '-1', '1-3:5/4'):
            if text == '1-':
                self.assertEqual(parse_list(text), {1})
                continue
            with self.assertRaisesRegex(ValueError, f"'{text}' is no CPU list"):
                parse_list(f'0,{text}')

    def test_format(self):
        self.assertEqual(format_list({5, 1, 2, 3}), '1-3,5')
        self.assertEqual(format_list([]), 'none')

    def test_masks(self):
        self.assertEqual(parse_mask('1,80000001'), {0, 31, 32})
        self.assertEqual(format_mask({0, 31, 32}, 33), '1,80000001')
        self.assertEqual(format_mask([], 1), '0')
        for cpus in ({0}, {63}, {7, 40, 70}):
            self.assertEqual(parse_mask(format_mask(cpus, 96)), cpus)


class BootLine(unittest.TestCase):
    def test_last_one_counts(self):
        root = host_with(cmdline='quiet nohz_full=1 nohz-full=2-3 flag dyndbg="file x +p"')
        self.assertEqual(bootline.value(root, 'nohz_full'), '2-3')
        self.assertEqual(bootline.value(root, 'flag'), '')
        self.assertEqual(bootline.value(root, 'dyndbg'), 'file x +p')
        self.assertIsNone(bootline.value(root, 'isolcpus'))

    def test_flags_are_no_cpus(self):
        self.assertEqual(bootline.cpus(host_with(cmdline='isolcpus=managed_irq,domain,2-3,5'), 'isolcpus', 7), {2, 3, 5})

    def test_an_open_quote(self):
        self.assertEqual(bootline.value(host_with(cmdline='a="b c=d'), 'c'), 'd')


class Choice(unittest.TestCase):
    def test_isolated(self):
        target = choose(Recording(hosts.tuned()))
        self.assertEqual((target.guest, target.origin), (hosts.GUESTS, 'isolated'))
        self.assertEqual(target.nodes(), {0, 1})

    def test_proposal_leaves_a_core_of_each_node(self):
        host = hosts.with_files(hosts.untuned(), {f'{hosts.CPU}/cpu{cpu}/topology/thread_siblings_list': '0,4' for cpu in (0, 4)})
        self.assertEqual(choose(Recording(host)).housekeeping, {0, 4, 8})

    def test_a_cpu_that_is_not_there(self):
        with self.assertRaisesRegex(ValueError, '--cpus: host CPU 16-17 is not online; online are 0-15'):
            choose(Recording(hosts.tuned()), {3, 16, 17})


class Trees(unittest.TestCase):
    def setUp(self):
        self.top = Path(self.enterContext(tempfile.TemporaryDirectory()))

    def test_directory_as_recording(self):
        """The same findings from a tree, but for what no tree holds: KVM's answers, SMIs, the configuration."""
        hosts.unpack(hosts.tuned(), self.top)
        root, kept = Directory(self.top), Recording(hosts.tuned())
        for there, here in zip(*(checks.run(each, choose(each)).values() for each in (root, kept))):
            for one, other in zip(there, here):
                if one.check not in ('kvm-capabilities', 'smi', 'rt-group', 'userfaultfd'):
                    self.assertEqual(one, other)

    def test_record_and_judge(self):
        """A recording of a directory says what the directory says."""
        hosts.unpack(hosts.untuned(), self.top / 'host')
        recorder = Recorder(Directory(self.top / 'host'))
        first = checks.run(recorder, choose(recorder))
        recorder.write(self.top / 'host.json')
        again = open_root(str(self.top / 'host.json'))
        self.assertEqual(checks.run(again, choose(again)), first)

    def test_refusals(self):
        with self.assertRaisesRegex(ValueError, 'neither proc/ nor sys/'):
            open_root(str(self.top))
        wrong = self.top / 'wrong.json'
        for text in ('{', '[]', json.dumps({'format': 'other'})):
            wrong.write_text(text)
            with self.assertRaisesRegex(ValueError, 'is no recording'):
                open_root(str(wrong))
        with self.assertRaises(FileNotFoundError):
            open_root(str(self.top / 'none'))


if __name__ == '__main__':
    unittest.main()
