"""Tests of the relay: when bytes are through, and that they all arrive, in order, at both ends."""
# Copyright (c) 2026 the kvm4nfv authors
# SPDX-License-Identifier: GPL-2.0-or-later

import hashlib
from pathlib import Path
import random
import socket
import tempfile
import threading
import unittest

from nfv import link
from nfv.relay import CHUNK, QUEUE, Shaper


class Schedule(unittest.TestCase):
    def test_rate(self):
        shaper = Shaper(1000, burst=100)
        # After a pause a burst leaves at once, then the rate holds.
        self.assertEqual(shaper.due(5, 100), 5)
        self.assertAlmostEqual(shaper.due(5, 100), 5.1)
        self.assertAlmostEqual(shaper.due(5.05, 1000), 6.1)

    def test_a_pause_saves_up_no_more_than_a_burst(self):
        shaper = Shaper(1000, burst=100)
        shaper.due(0, 100)
        self.assertAlmostEqual(shaper.due(1000, 300), 1000.2)

    def test_long_run(self):
        for size in (1, 100, 65536):
            shaper = Shaper(1e6)
            for _ in range(1000):
                last = shaper.due(0, size)
            self.assertAlmostEqual(last, max(0, (1000 * size - CHUNK) / 1e6), places=6)

    def test_order(self):
        chance = random.Random(4)
        shaper, now, last = Shaper(1e6, delay=0.01), 0.0, 0.0
        for _ in range(1000):
            now += chance.random() / 1000
            due = shaper.due(now, chance.randrange(1, 5000))
            self.assertGreaterEqual(due, last)
            self.assertGreaterEqual(due, now + 0.01)
            last = due

    def test_delay_does_not_cost_rate(self):
        near, far = Shaper(1e6), Shaper(1e6, delay=0.25)
        for i in range(100):
            self.assertAlmostEqual(far.due(i / 1000, 10000), near.due(i / 1000, 10000) + 0.25)

    def test_no_limit(self):
        self.assertEqual(Shaper(0, delay=1).due(5, 1 << 30), 6)
        self.assertEqual(Shaper(0).due(5, 1 << 30), 5)

    def test_room(self):
        self.assertTrue(Shaper(1e6).room(QUEUE - 1))
        self.assertFalse(Shaper(1e6).room(QUEUE))
        self.assertTrue(Shaper(1e6, delay=1).room(1000000))
        self.assertFalse(Shaper(1e6, delay=1).room(1000000 + QUEUE))
        self.assertFalse(Shaper(0).room(QUEUE))


class Echo(threading.Thread):
    """Answers a connection with the digest of what came, at its end of file."""

    def __init__(self, path):
        super().__init__(daemon=True)
        self.listener = socket.socket(socket.AF_UNIX)
        self.listener.bind(path)
        self.listener.listen()

    def serve(self, peer):
        digest = hashlib.sha256()
        with peer:
            while data := peer.recv(10000):
                digest.update(data)
            peer.sendall(digest.digest() * 1000)

    def run(self):
        with self.listener:
            for _ in range(3):
                threading.Thread(target=self.serve, args=[self.listener.accept()[0]], daemon=True).start()


class Process(unittest.TestCase):
    def test_bytes(self):
        for rate, delay in ((0, 0), (50000000, 0), (50000000, 0.02)):
            with self.subTest(rate=rate, delay=delay), tempfile.TemporaryDirectory() as directory, \
                    link.open_route(link.Link('relay', rate, delay), None, Path(directory)) as route:
                Echo(route.incoming.partition(':')[2]).start()
                ends = []
                for i in range(3):
                    end = socket.socket(socket.AF_UNIX)
                    end.settimeout(60)
                    end.connect(route.outgoing.partition(':')[2])
                    ends.append((end, random.Random(i).randbytes(1500000 + i)))
                for end, data in ends:
                    end.sendall(data)
                    end.shutdown(socket.SHUT_WR)
                for end, data in ends:
                    with end:
                        answer = b''
                        while part := end.recv(100000):
                            answer += part
                    self.assertEqual(answer, hashlib.sha256(data).digest() * 1000)

    def test_nobody_listens(self):
        with tempfile.TemporaryDirectory() as directory, \
                link.open_route(link.Link('relay'), None, Path(directory)) as route, \
                socket.socket(socket.AF_UNIX) as end:
            end.settimeout(60)
            end.connect(route.outgoing.partition(':')[2])
            self.assertEqual(end.recv(1), b'')


if __name__ == '__main__':
    unittest.main()
