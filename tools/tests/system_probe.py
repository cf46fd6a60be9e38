"""Tests of the probe guest in QEMU: it finds its memory right, and finds each single wrong byte.

usage: system_probe.py QEMU PROBE
"""
# Copyright (c) 2026 the kvm4nfv authors
# SPDX-License-Identifier: GPL-2.0-or-later

from pathlib import Path
import sys
import tempfile
import unittest

from nfv import answer
from nfv.guest import Probe
from nfv.progress import Failure, Progress
from nfv.vm import Vm

MIB = 1 << 20
TIMEOUT = 60
QEMU, PROBE = sys.argv[1:3]


class ProbeGuest(unittest.TestCase):
    def setUp(self):
        directory = Path(self.enterContext(tempfile.TemporaryDirectory(prefix='nfv-probe.')))
        self.ram = directory / 'ram'
        self.vm = Vm('probe', directory, Progress())
        self.addCleanup(self.vm.end)

    def boot(self, probe, memory=64):
        self.vm.start([QEMU, '-M', 'q35', '-accel', 'tcg', '-cpu', 'max', '-nodefaults', '-m', str(memory),
                       '-object', f'memory-backend-file,id=ram,size={memory}M,share=on,mem-path={self.ram}',
                       '-machine', 'memory-backend=ram', *probe.arguments()], TIMEOUT)
        self.pages = probe.pages(self.vm.expect('ready', TIMEOUT)[-1])

    def verify(self):
        return answer.memory(self.vm.ask('verify', 'verify', TIMEOUT)[-1], self.pages)

    def flip(self, offset):
        """One bit of the guest's RAM, while the guest is stopped."""
        self.vm.qmp('stop')
        with open(self.ram, 'r+b', buffering=0) as ram:
            ram.seek(offset)
            byte = ram.read(1)[0]
            ram.seek(offset)
            ram.write(bytes([byte ^ 0x10]))
        self.vm.qmp('cont')

    def test_intact(self):
        for probe in (Probe(PROBE), Probe(PROBE, fill=0), Probe(PROBE, set=8, rate=20000),
                      Probe(PROBE, set=8, rate=20000, order='random', fill=32),
                      Probe(PROBE, set=8, rate=20000, order='scattered'), Probe(PROBE, set=8, rate=20000, rings=3)):
            with self.subTest(probe=probe):
                self.boot(probe)
                self.assertGreater(self.pages, 60 * 256)
                memory = self.verify()
                self.assertTrue(memory.intact, memory)
                if probe.writes:
                    before = self.vm.ask('stats', 'stats', TIMEOUT)[-1].numbers()
                    self.vm.progress.sleep(0.5)
                    after = self.vm.ask('stats', 'stats', TIMEOUT)[-1].numbers()
                    self.assertGreater(after['bytes'], before['bytes'])
                    self.assertTrue(self.verify().intact)
                self.vm.end()
                self.ram.unlink()

    def test_more_than_4_gib(self):
        self.boot(Probe(PROBE, fill=1), memory=4608)
        self.assertGreater(self.pages, 4600 * 256)
        self.assertTrue(self.verify().intact)

    def test_flipped_bit_in_data(self):
        self.boot(Probe(PROBE))
        self.flip(20 * MIB + 1234)
        memory = self.verify()
        self.assertEqual((memory.wrong, memory.table, memory.intact), (1, 0, False))
        # Pages are numbered from the image's end, behind 1 MiB.
        self.assertTrue(18 * 256 < memory.first < 19 * 256, memory)

    def test_flipped_bit_in_untouched_memory(self):
        self.boot(Probe(PROBE, fill=0))
        self.flip(20 * MIB)
        self.assertEqual(self.verify().wrong, 1)

    def test_flipped_bit_in_the_working_set_is_not_written_over(self):
        self.boot(Probe(PROBE, set=40, rate=100000))
        self.flip(20 * MIB + 4095)
        # By then it may have been rewritten several times.
        self.vm.progress.sleep(2)
        self.assertEqual(self.verify().wrong, 1)

    def test_flipped_bit_in_a_ring(self):
        self.boot(Probe(PROBE, set=4, rate=0, rings=4))
        self.flip(2 * MIB + 100)
        self.assertEqual(self.verify().wrong, 1)

    def test_flipped_bit_in_the_image(self):
        self.boot(Probe(PROBE))
        self.flip(MIB + 4)
        self.assertEqual(self.verify().table, 1)

    def test_bad_options(self):
        for options, words in (('set=x', 'does not know the option set=x'), ('speed=3', 'the option speed=3'),
                               ('order=upwards', 'order=upwards'), ('beat=0', 'beat=0'), ('set=1000', 'not enough')):
            with self.subTest(options), self.assertRaisesRegex(Failure, words):
                self.vm.start([QEMU, '-M', 'q35', '-accel', 'tcg', '-nodefaults', '-m', '64',
                               '-kernel', PROBE, '-append', options], TIMEOUT)
                self.vm.expect('ready', TIMEOUT)
            self.vm.end()


if __name__ == '__main__':
    unittest.main(argv=sys.argv[:1], verbosity=2)
