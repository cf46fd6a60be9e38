"""The link between source and destination, the same for both builds."""
# Copyright (c) 2026 the kvm4nfv authors
# SPDX-License-Identifier: GPL-2.0-or-later

from __future__ import annotations

from contextlib import contextmanager
from dataclasses import dataclass, field
import os
from pathlib import Path
import shutil
import subprocess
import sys
import tempfile
from typing import Iterator

from . import relay, stream
from .progress import Failure

PACKAGES = {'ip': 'iproute2', 'tc': 'iproute2', 'nsenter': 'util-linux', 'unshare': 'util-linux'}
TBF_BURST = 262144
# Documentation addresses of RFC 5737; they are seen inside our namespaces only.
TBF_ADDRESS = {'source': '192.0.2.1', 'destination': '192.0.2.2'}


@dataclass(frozen=True)
class Route:
    """How one migration goes over the link: addresses for QEMU, and what to run the two ends with."""

    outgoing: str
    incoming: str
    prefix: dict[str, list[str]] = field(default_factory=dict)


@dataclass(frozen=True)
class Link:
    """kind: relay, tbf or direct; rate: bytes a second, 0 for no limit; delay: seconds, one way."""

    kind: str
    rate: int = 0
    delay: float = 0

    def __str__(self) -> str:
        if self.kind == 'direct':
            return 'direct (Unix socket, not limited)'
        return (f'{self.kind} {self.rate / 1e6:.0f} MB/s' if self.rate else f'{self.kind}, not limited') + \
            (f', {self.delay * 1000:g} ms' if self.delay else '')


def problem(link: Link) -> str | None:
    """Why this host or user cannot have it, with the next step; None if all is well."""
    if link.kind != 'tbf':
        return None
    if os.geteuid() != 0:
        return 'network namespaces need root: run as root, or use --link relay'
    if link.delay:
        return 'tbf does not delay: use --link relay for --delay'
    for tool, package in PACKAGES.items():
        if not shutil.which(tool):
            return f'{tool} is missing: install the package {package}, or use --link relay'
    return None


@contextmanager
def open_link(link: Link) -> Iterator['Namespaces | None']:
    """What the link needs for a whole run; pass it to open_route()."""
    if link.kind == 'tbf':
        with Namespaces(link.rate) as namespaces:
            yield namespaces
    else:
        yield None


@contextmanager
def open_route(link: Link, namespaces: 'Namespaces | None', directory: Path) -> Iterator[Route]:
    """For one migration; `directory` is its own."""
    if namespaces:
        incoming = f'tcp:{TBF_ADDRESS["destination"]}:4444'
        yield Route(incoming, incoming, namespaces.prefix)
    elif link.kind == 'direct':
        yield Route(f'unix:{directory}/in', f'unix:{directory}/in')
    else:
        with start_relay(link, directory):
            yield Route(f'unix:{directory}/out', f'unix:{directory}/in')


@contextmanager
def start_relay(link: Link, directory: Path) -> Iterator[None]:
    command = [sys.executable, '-B', relay.__file__, '--listen', f'{directory}/out', '--connect', f'{directory}/in',
               '--rate', str(link.rate), '--delay', str(link.delay)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, start_new_session=True) as process:
        try:
            assert process.stdout
            if process.stdout.readline() != b'ready\n':
                raise Failure(f'the relay did not start; run it to see why: {" ".join(command)}')
            yield
        finally:
            process.kill()


def stream_speed(link: Link, namespaces: 'Namespaces | None') -> float:
    """Bytes a second that the link carries now: of one stream between two processes, sent for a second."""
    with tempfile.TemporaryDirectory(prefix='nfv-bench.') as directory, \
            open_route(link, namespaces, Path(directory)) as route:
        command = [sys.executable, '-B', stream.__file__]
        with subprocess.Popen([*route.prefix.get('destination', ()), *command, 'receive', route.incoming],
                              stdout=subprocess.PIPE, start_new_session=True) as receiver:
            try:
                assert receiver.stdout
                receiver.stdout.readline()
                sender = subprocess.run([*route.prefix.get('source', ()), *command, 'send', route.outgoing],
                                        capture_output=True, text=True, check=False)
            finally:
                receiver.kill()
        if sender.returncode:
            raise Failure(f'cannot measure the speed of the link: {sender.stderr.strip()}')
        return float(sender.stdout)


class Namespaces:
    """Two network namespaces with a wire between them that tbf limits, both ways.

    A process of ours holds each of them, so they have no names, do not meet those of another run, and end with us.
    """

    def __init__(self, rate: int):
        self.rate = rate
        self.holders: dict[str, subprocess.Popen[bytes]] = {}
        self.prefix: dict[str, list[str]] = {}

    def __enter__(self) -> Namespaces:
        try:
            for end in TBF_ADDRESS:
                self._hold(end)
            peer = self.holders['destination'].pid
            self._run('source', 'ip', 'link', 'add', 'wire', 'type', 'veth', 'peer', 'name', 'wire', 'netns', str(peer))
            for end, address in TBF_ADDRESS.items():
                self._run(end, 'ip', 'address', 'add', f'{address}/24', 'dev', 'wire')
                self._run(end, 'ip', 'link', 'set', 'wire', 'up')
                if self.rate:
                    self._run(end, 'tc', 'qdisc', 'add', 'dev', 'wire', 'root', 'tbf', 'rate', f'{self.rate * 8}bit',
                              'burst', str(TBF_BURST), 'limit', str(TBF_BURST + relay.QUEUE))
        except BaseException:
            self.__exit__()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        for holder in self.holders.values():
            holder.kill()
            holder.wait()

    def _hold(self, end: str) -> None:
        # cat ends with its standard input, so with us, even if we are killed.
        # pylint: disable=consider-using-with
        holder = subprocess.Popen(['unshare', '--net', 'sh', '-c', 'echo ready; exec cat'], stdin=subprocess.PIPE,
                                  stdout=subprocess.PIPE, start_new_session=True)
        self.holders[end] = holder
        assert holder.stdout
        if holder.stdout.readline() != b'ready\n':
            raise Failure('cannot make a network namespace (unshare --net): use --link relay')
        self.prefix[end] = ['nsenter', f'--net=/proc/{holder.pid}/ns/net', '--']

    def _run(self, end: str, *command: str) -> None:
        done = subprocess.run([*self.prefix[end], *command], capture_output=True, text=True, check=False)
        if done.returncode:
            raise Failure(f'cannot make the link: {" ".join(command)}: {done.stderr.strip()}; use --link relay')
