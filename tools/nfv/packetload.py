"""The load of nfv-bench packet: test frames by the generator tools/packet, and what it found."""
# Copyright (c) 2026 the kvm4nfv authors
# SPDX-License-Identifier: GPL-2.0-or-later

from __future__ import annotations

from dataclasses import dataclass
import json
import os
from pathlib import Path
import subprocess
import time
from typing import Any, Sequence

from .histogram import Histogram
from .packetspace import Space
from .progress import Failure, Progress
from .stress import killed_with_us

# Bytes with FCS, as RFC 2544 counts them.
SIZES = (64, 128, 256, 512, 1024, 1280, 1518)
MIN_SIZE, MAX_SIZE = 64, 1518
# Above the vCPUs', so that it sends on time; it sleeps in between.
PRIORITY = 2
WARM_UP, DRAIN_MS = 0.5, 500
# ns that CLOCK_REALTIME may move against CLOCK_MONOTONIC during a measurement: what NTP's slewing does.
CLOCK_STEP = 1_000_000


@dataclass(frozen=True)
class Way:
    """Where frames are sent and received, and the addresses (MAC/IPv4) that they carry."""

    tx: str
    rx: str
    sender: str
    receiver: str


@dataclass(frozen=True)
class Phase:
    """Frames that were sent in one phase; refused: those of them that the interface did not take."""

    sent: int
    received: int
    refused: int
    duplicates: int
    reordered: int
    longest_loss: int
    seconds: float
    latency: Histogram

    @property
    def lost(self) -> int:
        return self.sent - self.received

    @property
    def loss(self) -> float:
        """Percent."""
        return 100 * self.lost / self.sent if self.sent else 0.0

    def as_json(self) -> dict[str, Any]:
        return {'sent': self.sent, 'received': self.received, 'lost': self.lost, 'refused': self.refused,
                'duplicates': self.duplicates, 'reordered': self.reordered, 'longest_loss': self.longest_loss,
                'seconds': self.seconds}


@dataclass(frozen=True)
class Found:
    """slices: of the time line, [sent, received, longest ns]."""

    rate: float
    size: int
    real_time: bool
    phases: dict[int, Phase]
    late: Histogram
    slice_ns: int
    slices: list[list[int]]

    def as_json(self) -> dict[str, Any]:
        return {'rate': self.rate, 'size': self.size, 'real_time': self.real_time, 'late': self.late.as_json(),
                'slice_ns': self.slice_ns, 'slices': self.slices}


def counted(found: dict[str, Any]) -> Histogram:
    return Histogram({ns: count for ns, count in found['buckets']}, 0, found['min'], found['avg'], found['max'])


def parse(text: str) -> Found:
    """What the generator printed; raises Failure where that cannot be trusted. Pure."""
    try:
        found = json.loads(text)
        phases = {int(number): Phase(latency=counted(one['latency']), seconds=one['ns'] / 1e9, **{
            name: one[name] for name in ('sent', 'received', 'refused', 'duplicates', 'reordered', 'longest_loss')})
            for number, one in found['phases'].items()}
        result = Found(found['rate'], found['size'], found['real_time'], phases, counted(found['late']),
                       found['slice_ns'], found['slices'])
    except (ValueError, KeyError, TypeError) as error:
        raise Failure(f'the generator\'s answer is none: {error!r} in {text[:200]!r}') from error
    if found['ring_drops']:
        raise Failure(f'the generator was too slow for its own ring and missed {found["ring_drops"]} frames: '
                      'use a lower rate, or give it a host CPU of its own')
    if abs(found['clock_step_ns']) > CLOCK_STEP:
        raise Failure(f'the host\'s clock was set by {found["clock_step_ns"] / 1e6:.1f} ms while frames were measured')
    return result


class Load:
    """One process of the generator, from the start to finish(). Frames are in phase 0 until phase() says otherwise."""

    def __init__(self, program: str, space: Space, way: Way, cpus: Sequence[int], progress: Progress):
        self.program, self.space, self.way, self.cpus, self.progress = program, space, way, cpus, progress
        self.process: subprocess.Popen[str] | None = None

    def start(self, rate: float, size: int, seconds: float, output: Path, limit: int | None = None) -> None:
        """seconds: at most; output: a file for what it prints; limit: µs that broke() is to see exceeded."""
        way = self.way
        command = [*self.space.prefix, self.program, '--tx', way.tx, '--rx', way.rx, '--from', way.sender,
                   '--to', way.receiver, '--rate', f'{rate:.17g}', '--size', str(size), '--seconds', f'{seconds:.3f}',
                   '--drain', str(DRAIN_MS), '--priority', str(PRIORITY), *(['--limit', str(limit)] if limit else [])]
        self.output = output

        def prepare() -> None:
            killed_with_us()
            if self.cpus:
                os.sched_setaffinity(0, self.cpus)

        with open(output, 'wb') as file, open(f'{output}.err', 'wb') as errors:
            # pylint: disable=consider-using-with
            self.process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=file, stderr=errors, text=True,
                                            start_new_session=True, preexec_fn=prepare)
        self._wait(lambda: 'ready\n' in output.read_text(encoding='utf-8'), 20, 'start')

    def _wait(self, ready: Any, timeout: float, what: str) -> None:
        assert self.process
        left = timeout
        while not ready():
            if self.process.poll() not in (None, 0):
                raise self._failure()
            if left <= 0:
                raise Failure(f'the generator did not {what} within {timeout:.0f} s')
            self.progress.sleep(0.05)
            left -= 0.05

    def _failure(self) -> Failure:
        assert self.process
        said = Path(f'{self.output}.err').read_text(errors='replace').strip()
        return Failure(f'the generator failed (exit status {self.process.returncode}): {said or "it said nothing"}')

    def _tell(self, line: str) -> None:
        assert self.process and self.process.stdin
        try:
            self.process.stdin.write(f'{line}\n')
            self.process.stdin.flush()
        except BrokenPipeError:
            self.process.wait(5)
            raise self._failure() from None

    def phase(self, number: int) -> None:
        """What is sent from now on."""
        self._tell(f'phase {number}')

    def broke(self) -> bool:
        """Whether a latency was above the limit, after phase 0; takes some milliseconds."""
        time.sleep(0.005)
        return 'broke\n' in self.output.read_text(encoding='utf-8')

    def finish(self) -> Found:
        assert self.process
        self._tell('stop')
        self._wait(lambda: self.process and self.process.poll() is not None, 20 + DRAIN_MS / 1000, 'end')
        if self.process.returncode:
            raise self._failure()
        return parse(self.output.read_text(encoding='utf-8').splitlines()[-1])

    def end(self) -> None:
        """Whatever state it is in."""
        if self.process:
            self.process.kill()
            self.process.wait()
            if self.process.stdin:
                try:
                    self.process.stdin.close()
                except BrokenPipeError:
                    pass
