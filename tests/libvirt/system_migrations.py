"""Tests of live migration between two libvirtds: `virsh migrate` in its kinds, memory proven, the contract judged.

usage: system_migrations.py QEMU PROBE [TEST...]
"""
# Copyright (c) 2026 the kvm4nfv authors
# SPDX-License-Identifier: GPL-2.0-or-later

from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
import sys
import unittest

from nfv import answer
from nfv.host import granted_cpus
from nfv.progress import Failure

from console import Console
from contract import ENDED, Events, promise
import domain
from pair import site
import pki
import tap
from virthost import VirtHost, missing

QEMU, PROBE = map(Path, sys.argv[1:3])
XML = Path(__file__).resolve().parents[2] / 'libvirt'
DOMAIN = 'nfv-minimal'
BYSTANDER = 'nfv-bystander'
# 64 MiB that hold data, and 8 of them rewritten at 2 MB a second.
WRITES = 'fill=64 set=8 rate=2000 beat=1000'
# More than the 5 MiB a second that such a migration is given.
WRITES_MUCH = 'fill=64 set=32 rate=40000 beat=1000'
SLOW = ('--bandwidth', '5')
TCP, TLS = 'qemu+tcp://nfv-host-b/system', f'qemu+tls://nfv-host-b/system?pkipath={pki.PLACE}'


def xml(name: str) -> str:
    return (XML / f'{name}.xml').read_text(encoding='utf-8')


@dataclass
class Guest:
    """A domain with the probe guest in it, on the host where it runs now."""

    host: VirtHost
    name: str
    console: Console
    events: Events
    pages: int


class Pair(unittest.TestCase):
    conf: dict = {}

    @classmethod
    def setUpClass(cls):
        if why := missing():
            raise unittest.SkipTest(why)
        cls.site = cls.enterClassContext(site(QEMU.parent, PROBE))
        cls.site.certifies()
        cls.a, cls.b = (cls.site.host(name, qemu_conf=cls.conf) for name in ('nfv-host-a', 'nfv-host-b'))
        for host in (cls.a, cls.b):
            bystander = domain.without(cls.site.prepared(xml('minimal'), mib=16), 'devices/disk')
            host.create(domain.named(bystander, BYSTANDER), BYSTANDER)

    @contextmanager
    def guest(self, text):
        """Running on host a."""
        name = domain.name(text)
        self.a.create(text, name)
        console, events = Console(self.a, name), Events(self.a, BYSTANDER)
        try:
            self.a.virsh('resume', name)
            guest = Guest(self.a, name, console, events, console.expect('ready').numbers()['pages'])
            self.check(guest)
            yield guest
        finally:
            console.end()
            events.end()
            for host in (self.a, self.b):
                host.run('virsh', 'destroy', name, check=False)

    def check(self, guest, console=None):
        memory = answer.memory((console or guest.console).ask('verify', 'verify'), guest.pages)
        self.assertTrue(memory.intact, memory)

    def text(self, options=WRITES):
        """Without a disk: nothing but memory and devices has to be at both ends."""
        return domain.without(self.site.prepared(xml('minimal'), options), 'devices/disk')

    def verdict(self, guest):
        """What the source told at the end. Empty if libvirt was faster: it ends QEMU when it hears that all is sent."""
        try:
            return guest.events.event(ENDED, guest.name, timeout=5).data
        except Failure:
            tap.say('libvirt ended QEMU before it told how the migration ended')
            return {}

    def moved(self, guest, *arguments, uri=TCP):
        """Migrated, and proven on host b; (what became of the contract, what host b says of it)."""
        arrivals = Events(self.b, BYSTANDER)
        try:
            self.a.virsh('migrate', '--live', *arguments, guest.name, uri)
            result = self.verdict(guest)
            started = arrivals.event('RESUME', guest.name)
            console = Console(self.b, guest.name)
            try:
                self.check(guest, console)
                before = console.ask('stats', 'stats').numbers()
                self.assertGreater(console.ask('stats', 'stats').numbers()['us'], before['us'])
            finally:
                console.end()
            self.assertNotIn(guest.name, self.a.virsh('list', '--name').split())
            there = self.b.qmp(guest.name, 'query-nfv-migration')
            stop = (started.at - guest.events.last('STOP', guest.name).at) * 1000
            waited = there['waited'] / 1000
            # One clock: what was waited for libvirt is a part of the stop.
            self.assertLessEqual(waited, stop + 1)
            tap.say(f'stopped for {stop:.1f} ms; all loaded, it waited for libvirt {waited:.1f} ms of them; '
                    f'{result.get("verdict")}: {result.get("why")}')
            return result, there
        finally:
            arrivals.end()


class Migrations(Pair):
    def test_plain(self):
        with self.guest(self.text()) as guest:
            promise(self.a, DOMAIN, max_downtime=60000, deadline=100000)
            result, _ = self.moved(guest)
            if result:
                self.assertEqual((result['status'], result['postcopy']), ('completed', False))
                self.assertIn(result['verdict'], ('kept', 'unknown'))

    def test_postcopy(self):
        with self.guest(self.text()) as guest:
            promise(self.a, DOMAIN, max_downtime=60000, deadline=100000)
            result, there = self.moved(guest, '--postcopy', '--postcopy-after-precopy', *SLOW)
            self.assertIn('stalls', there)
            if result:
                self.assertEqual((result['status'], result['postcopy'], result['verdict']), ('completed', True, 'kept'))
                self.assertGreater(result['downtime-left'], 0)

    def test_parallel(self):
        with self.guest(self.text()) as guest:
            result, _ = self.moved(guest, '--parallel', '--parallel-connections', '2')
            self.assertEqual(result.get('status', 'completed'), 'completed')

    def test_tls(self):
        """Both libvirt's connection and QEMU's stream."""
        with self.guest(self.text()) as guest:
            result, _ = self.moved(guest, '--tls', uri=TLS)
            self.assertEqual(result.get('status', 'completed'), 'completed')

    def test_tls_to_a_host_of_another_name(self):
        """What the certificate does not name gets nothing, and the guest goes on where it is."""
        with self.guest(self.text()) as guest:
            self.a.refused('migrate', '--live', '--tls', '--tls-destination', 'nfv-host-c', DOMAIN, TLS)
            self.assertEqual(self.a.virsh('domstate', DOMAIN).strip(), 'running')
            self.check(guest)

    def test_deadline_cancels(self):
        with self.guest(self.text(WRITES_MUCH)) as guest:
            promise(self.a, DOMAIN, max_downtime=10, deadline=2000, on_deadline='cancel')
            self.a.refused('migrate', '--live', *SLOW, DOMAIN, TCP)
            result = guest.events.event(ENDED, DOMAIN).data
            self.assertEqual((result['status'], result['verdict']), ('cancelled', 'missed'))
            found = self.a.qmp(DOMAIN, 'query-nfv-migration')
            self.assertEqual((found['deadline'], found['deadline-passed'], found['result']), (2000, True, result))
            self.assertEqual(self.a.virsh('domstate', DOMAIN).strip(), 'running')
            self.assertNotIn(DOMAIN, self.b.virsh('list', '--name').split())
            self.check(guest)

    def test_deadline_switches_to_postcopy(self):
        with self.guest(self.text(WRITES_MUCH)) as guest:
            promise(self.a, DOMAIN, max_downtime=60000, deadline=4000, on_deadline='postcopy')
            result, there = self.moved(guest, '--postcopy', *SLOW)
            self.assertIn('stalls', there)
            if result:
                self.assertEqual((result['status'], result['postcopy']), ('completed', True))


class Placed(Pair):
    """A domain that places itself, without real-time scheduling so that it needs no privilege."""

    conf = {'seccomp_sandbox': 0}

    def setUp(self):
        if granted_cpus() < {0, 1}:
            self.skipTest('the host CPUs 0 and 1 are needed')

    def placed(self):
        text = domain.without(self.site.prepared(xml('self-placed'), WRITES), 'devices/disk')
        for tag in ('memoryBacking', 'cputune'):
            text = domain.without(text, tag)
        return domain.with_pin(text.replace('vcpu-cpus=1,housekeeping-cpus=0,rt=on',
                                            'vcpu-cpus=1,housekeeping-cpus=0,rt=off'), 1)

    def test_refused_where_the_list_does_not_fit(self):
        with self.guest(self.placed()) as guest:
            words = self.a.refused('migrate', '--live', '--xml', self.elsewhere(guest, 4095), guest.name, TCP)
            self.assertRegex(words, 'vcpu-cpus: host CPU 4095 is offline or does not exist')
            self.assertNotIn(guest.name, self.b.virsh('list', '--name').split())
            self.check(guest)

    def test_placed_elsewhere(self):
        """With the list that fits the other host."""
        with self.guest(self.placed()) as guest:
            self.moved(guest, '--xml', self.elsewhere(guest, 0))
            self.assertEqual(self.b.qmp(guest.name, 'query-nfv')['plan']['vcpu-cpus'], [0])

    def elsewhere(self, guest, cpu):
        """The domain as libvirt wants it for the other host, with another list."""
        text = self.a.virsh('dumpxml', guest.name, '--migratable')
        changed = text.replace('vcpu-cpus=1,housekeeping-cpus=0', f'vcpu-cpus={cpu},housekeeping-cpus={1 - cpu % 2}')
        self.assertNotEqual(changed, text)
        path = self.a.directory / 'elsewhere.xml'
        path.write_text(changed, encoding='utf-8')
        return path

    def test_placed_there(self):
        with self.guest(self.placed()) as guest:
            self.moved(guest)
            vcpus = [thread for thread in self.b.qmp(guest.name, 'query-nfv')['threads'] if thread['role'] == 'vcpu']
            self.assertEqual([(thread['now']['cpus'], thread['placed']) for thread in vcpus], [([1], True)])


if __name__ == '__main__':
    tap.main(sys.argv[3:])
