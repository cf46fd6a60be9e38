"""Tests of the guest's timer latency by phase of a migration."""
# Copyright (c) 2026 the kvm4nfv authors
# SPDX-License-Identifier: GPL-2.0-or-later

import json
import unittest

import results
from nfv import figures, phases, prometheus
from nfv.measurement import Measurement
from nfv.phases import Told

BEGAN = 1700000000000000


def line(us, event):
    return f'12@{(BEGAN + us) // 1000000}.{(BEGAN + us) % 1000000:06d}:{event}\n'


def told(us, bucket):
    return line(us, f'serial_write write addr 0x07 val 0x{0x80 | bucket >> 7:02x}') + \
        line(us + 3, f'serial_write write addr 0x07 val 0x{bucket & 127:02x}')


def every_ms(first, last, bucket):
    """From and to these milliseconds."""
    return ''.join(told(ms * 1000, bucket) for ms in range(first, last))


# Bucket 352 ends at 33791 ns, 512 at 1081343 ns.
SOURCE = ''.join((
    every_ms(-20, 0, 352), line(0, 'migrate_set_state new state setup'), line(500, 'migration_bitmap_sync_start '),
    every_ms(1, 3, 384), line(3500, 'migrate_set_state new state active'), every_ms(4, 10, 416),
    line(10500, 'migration_bitmap_sync_start '), every_ms(11, 20, 448), line(15500, 'migration_bitmap_sync_start '),
    line(19500, 'vmstate_downtime_checkpoint src-downtime-start'), line(21000, 'migration_bitmap_sync_start '),
    line(24000, 'migrate_set_state new state completed')))
PRECOPY = ''.join((
    line(22000, 'migrate_set_state new state completed'),
    line(25000, 'vmstate_downtime_checkpoint dst-precopy-bh-vm-started'), every_ms(26, 46, 352)))
POSTCOPY = ''.join((
    line(25000, 'vmstate_downtime_checkpoint dst-postcopy-bh-vm-started'), every_ms(26, 30, 512),
    line(30500, 'migrate_set_state new state completed'), every_ms(31, 46, 352)))


def split(source, destination, since=-10000, until=40000, stock=True):
    return phases.split(source, destination, 1000, BEGAN + since, BEGAN + until, stock)


class Words(unittest.TestCase):
    def test_buckets(self):
        """As guest/probe/latency.h has them."""
        self.assertEqual([phases.bucket_end(i) for i in (0, 31, 32, 63, 64, 65, 352, 1023)],
                         [0, 31, 32, 63, 65, 67, 33791, (1 << 36) - 1])
        ends = [phases.bucket_end(i) for i in range(1024)]
        self.assertEqual(ends, sorted(set(ends)))

    def test_told(self):
        log = told(0, 352) + line(500, 'serial_write write addr 0x00 val 0x82') + told(1000, 5)
        self.assertEqual(phases.told(log), [Told(BEGAN, phases.bucket_end(352)), Told(BEGAN + 1000, 5)])

    def test_half_of_one(self):
        """The guest may be stopped, or moved, between the two bytes; drivers write there, too."""
        half = line(0, 'serial_write write addr 0x07 val 0x82')
        other = line(0, 'serial_write write addr 0x07 val 0x2a')
        self.assertEqual(phases.told(half), [])
        self.assertEqual(phases.told(other + half + told(1000, 7)), [Told(BEGAN + 1000, 7)])


class Phases(unittest.TestCase):
    def test_precopy(self):
        found = split(SOURCE, PRECOPY)
        self.assertEqual({name: one.samples for name, one in found.items()},
                         {'before': 10, 'setup': 2, 'bulk': 6, 'rounds': 9, 'switchover': 1, 'after': 15 - 1, 'during': 18})
        self.assertEqual([found[name].max for name in ('before', 'setup', 'bulk', 'rounds')],
                         [phases.bucket_end(bucket) for bucket in (352, 384, 416, 448)])

    def test_postcopy(self):
        found = split(SOURCE, POSTCOPY)
        self.assertEqual((found['post-copy'].samples, found['after'].samples, found['during'].samples), (3, 10, 21))
        self.assertEqual(found['post-copy'].max, phases.bucket_end(512))

    def test_the_stop_is_on_the_hosts_clock(self):
        """The last timer on the source was met at 19 ms, and the first on the destination at 26: 6 ms late."""
        late = phases.bucket_end(448)
        self.assertEqual(split(SOURCE, PRECOPY)['switchover'].max, 6000000 + late)
        self.assertEqual(split(SOURCE, PRECOPY)['during'].max, late)
        # The source's last one was longer than a period, so that the ones in between were left out.
        self.assertEqual(phases.across(Told(5000, 2100000), Told(9000, 7), 1000), 3100000)
        self.assertEqual(phases.across(Told(5000, 0), Told(5100, 7), 1000), 0)

    def test_without_rounds(self):
        source = SOURCE.replace(line(10500, 'migration_bitmap_sync_start '), '')
        source = source.replace(line(15500, 'migration_bitmap_sync_start '), '')
        found = split(source, PRECOPY)
        self.assertNotIn('rounds', found)
        self.assertEqual(found['bulk'].samples, 6 + 9)

    def test_the_forks_first_pass(self):
        """It looks at the bitmap before the end of it."""
        self.assertNotIn('rounds', split(SOURCE, PRECOPY, stock=False))
        source = SOURCE.replace(line(15500, 'migration_bitmap_sync_start '), line(15500, 'nfv_heat_first_round 7 pages'))
        found = split(source, PRECOPY, stock=False)
        self.assertEqual((found['bulk'].samples, found['rounds'].samples), (6 + 5, 4))

    def test_logs_that_do_not_tell(self):
        for source, destination, words in ((SOURCE, POSTCOPY.replace('addr 0x07', 'addr 0x00'), 'destination'),
                                           (SOURCE.replace('state active', 'x'), PRECOPY, 'that is active'),
                                           (SOURCE.replace('src-downtime-start', 'x'), PRECOPY, 'of the source')):
            with self.subTest(words), self.assertRaisesRegex(ValueError, words):
                split(source, destination)


class Tables(unittest.TestCase):
    def setUp(self):
        found = results.document.Document(results.SIDES)
        for side in results.SIDES:
            found.add(results.MOVED, side, Measurement(split(SOURCE, POSTCOPY)))
        self.found = json.loads(json.dumps(found.as_json()))
        self.row, = self.found['results']

    def test_text(self):
        self.assertEqual(figures.phases(self.row), ['before', 'after', 'during'])
        text = figures.text(self.row)
        table = text[text.index('by phase'):].splitlines()
        self.assertEqual(table[0].split()[-1], 'p99.9/before')
        self.assertEqual([row.split()[:2] for row in table[1::3]],
                         [[name, 'fork'] for name in phases.NAMES])
        self.assertEqual(table[1].split()[-1], '1.00')
        self.assertEqual(table[-6].split(), ['post-copy', 'fork', '3', '1081', '1081', '1081', '1081', '1081', '32.00'])

    def test_not_moved(self):
        self.assertEqual(figures.parts(results.found()['results'][0]), [])
        self.assertNotIn('by phase', figures.text(results.found()['results'][0]))

    def test_prometheus(self):
        self.assertIn('phase="post-copy",quantile="0.999"} 0.001', prometheus.text({**self.found, 'complete': True}))


if __name__ == '__main__':
    unittest.main()
