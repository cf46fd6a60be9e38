#!/usr/bin/env python3
"""A link for migrations: passes connections on, as slowly and as late as it is told, both ways independently.

All connections share the rate of a direction, as they would share a wire. Ends with its standard input, so never
outlives who started it.
"""
# Copyright (c) 2026 the kvm4nfv authors
# SPDX-License-Identifier: GPL-2.0-or-later

from __future__ import annotations

import argparse
from collections import deque
import select
import signal
import socket
import sys
import time

CHUNK = 65536
# Beyond what is under way on the wire: the queue in front of it, as tbf's limit.
QUEUE = 4 * CHUNK


class Shaper:
    """When bytes arrive at the far end of a wire. Pure: the caller has the clock.

    rate: bytes a second, or 0 for no limit; delay: seconds; burst: bytes that may leave at once after a pause.
    """

    def __init__(self, rate: float, delay: float = 0, burst: int = CHUNK):
        self.rate, self.delay, self.burst = rate, delay, burst
        self.free = float('-inf')

    def due(self, now: float, size: int) -> float:
        """The time at which `size` bytes that came at `now`, not sooner than any before, are through."""
        if not self.rate:
            return now + self.delay
        self.free = max(self.free, now - self.burst / self.rate) + size / self.rate
        return max(now, self.free) + self.delay

    def room(self, queued: int) -> bool:
        """Whether more may be taken in, with that much inside: what is under way and a queue."""
        return queued < self.rate * self.delay + QUEUE if self.rate or not self.delay else True


class Pipe:
    """One direction of a connection."""

    def __init__(self, source: socket.socket, sink: socket.socket, shaper: Shaper):
        self.source, self.sink, self.shaper = source, sink, shaper
        self.queue: deque[tuple[float, memoryview]] = deque()
        self.queued = 0
        self.open = True

    def wants_data(self) -> bool:
        return self.open and self.shaper.room(self.queued)

    def has_data(self, now: float) -> bool:
        return bool(self.queue) and self.queue[0][0] <= now

    def take(self, now: float) -> None:
        try:
            data = self.source.recv(CHUNK)
        except BlockingIOError:
            return
        if data:
            self.queue.append((self.shaper.due(now, len(data)), memoryview(data)))
            self.queued += len(data)
        else:
            self.open = False

    def give(self) -> None:
        due, data = self.queue.popleft()
        try:
            sent = self.sink.send(data)
        except BlockingIOError:
            sent = 0
        self.queued -= sent
        if sent < len(data):
            self.queue.appendleft((due, data[sent:]))

    def finished(self) -> bool:
        return not self.open and not self.queue


class Relay:
    def __init__(self, listen: str, connect: str, rate: float, delay: float):
        self.connect = connect
        self.shapers = Shaper(rate, delay), Shaper(rate, delay)
        self.pipes: list[Pipe] = []
        self.listener = socket.socket(socket.AF_UNIX)
        self.listener.bind(listen)
        self.listener.listen(64)

    def accept(self) -> None:
        near, _ = self.listener.accept()
        far = socket.socket(socket.AF_UNIX)
        try:
            far.connect(self.connect)
        except OSError:
            near.close()
            far.close()
            return
        near.setblocking(False)
        far.setblocking(False)
        self.pipes += [Pipe(near, far, self.shapers[0]), Pipe(far, near, self.shapers[1])]

    def drop(self, pipe: Pipe) -> None:
        """Passes an end of file on; the connection goes when both directions have ended."""
        self.pipes.remove(pipe)
        try:
            pipe.sink.shutdown(socket.SHUT_WR)
        except OSError:
            pass
        if not any(other.source is pipe.sink for other in self.pipes):
            pipe.source.close()
            pipe.sink.close()

    def cut(self, pipe: Pipe) -> None:
        """One end is gone without a word: so is the connection."""
        self.pipes = [other for other in self.pipes if other.source not in (pipe.source, pipe.sink)]
        pipe.source.close()
        pipe.sink.close()

    def step(self) -> bool:
        """Waits for something to do and does it; False when standard input has ended."""
        now = time.monotonic()
        readers = {pipe.source: pipe for pipe in self.pipes if pipe.wants_data()}
        writers = {pipe.sink: pipe for pipe in self.pipes if pipe.has_data(now)}
        dues = [pipe.queue[0][0] for pipe in self.pipes if pipe.queue and pipe.sink not in writers]
        # select(), because the timeouts of poll() and epoll are whole milliseconds.
        readable, writable, _ = select.select([sys.stdin, self.listener, *readers], list(writers), [],
                                              max(0.0, min(dues) - now) if dues else None)
        if sys.stdin in readable:
            return False
        if self.listener in readable:
            self.accept()
        for ends, ready, act in ((readers, readable, lambda pipe: pipe.take(time.monotonic())),
                                 (writers, writable, Pipe.give)):
            for end in ready:
                pipe = ends.get(end)
                if pipe in self.pipes:
                    try:
                        act(pipe)
                    except OSError:
                        self.cut(pipe)
        for pipe in [pipe for pipe in self.pipes if pipe.finished()]:
            self.drop(pipe)
        return True


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument('--listen', required=True, metavar='PATH')
    parser.add_argument('--connect', required=True, metavar='PATH')
    parser.add_argument('--rate', type=float, default=0, metavar='BYTES/S', help='0: no limit')
    parser.add_argument('--delay', type=float, default=0, metavar='SECONDS', help='one way')
    options = parser.parse_args()
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    relay = Relay(options.listen, options.connect, options.rate, options.delay)
    print('ready', flush=True)
    while relay.step():
        pass


if __name__ == '__main__':
    main()
