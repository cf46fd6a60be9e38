"""The test guests: how QEMU is to start each, and what it answers."""
# Copyright (c) 2026 the kvm4nfv authors
# SPDX-License-Identifier: GPL-2.0-or-later

from __future__ import annotations

from dataclasses import dataclass
import os

from .answer import Answer
from .progress import Failure

PAGES_PER_MIB = 256
LINUX_APPEND = ('console=ttyS0 quiet panic=-1 nokaslr no_timer_check mitigations=off tsc=reliable '
                'nfv.workset={workset} nfv.interval={interval}')


def check_file(what: str, path: str, how: str) -> None:
    if not os.path.isfile(path):
        raise Failure(f'there is no {what} at {path}: {how}, or name a file that exists')


@dataclass(frozen=True)
class Linux:
    """Of guest/build.sh. workset: MiB that are kept in motion and verified; beat: microseconds between heartbeats.

    tell: microseconds between two timers whose latency it tells to the host (phases.py), 0: none;
    poll: its vCPUs never halt; extra: further words for its kernel; stress: arguments of a stress-ng in it.
    """

    kernel: str
    initrd: str
    workset: int = 64
    interval: int = 1000
    beat: int = 0
    tell: int = 0
    poll: bool = False
    extra: tuple[str, ...] = ()
    stress: tuple[str, ...] = ()

    def check(self) -> None:
        check_file('guest kernel', self.kernel, 'make the guest with guest/build.sh OUTDIR')
        script = 'guest/stress.sh' if self.stress else 'guest/build.sh'
        check_file('guest initrd', self.initrd, f'make it with {script} OUTDIR')

    def arguments(self) -> list[str]:
        words = [LINUX_APPEND.format(workset=self.workset, interval=self.interval),
                 *(f'nfv.{name}={us}' for name, us in (('beat', self.beat), ('tell', self.tell)) if us),
                 *(['idle=poll'] if self.poll else ()), *self.extra]
        return ['-kernel', self.kernel, '-initrd', self.initrd, '-append', ' '.join(words)]

    def pages(self, _ready: Answer | None = None) -> int:
        """How many it must verify."""
        return self.workset * PAGES_PER_MIB

    @property
    def writes(self) -> bool:
        """Whether its rate of writing is given, and can be asked for."""
        return False


@dataclass(frozen=True)
class Probe:
    """Of guest/probe; its options.h says what is what. rate: KiB a second; fill, set: MiB; beat: microseconds.

    timer: microseconds between two interrupts of its timer; pulse: it answers nfv-pulse; halt: it halts in between;
    tell: it tells each latency to the host (phases.py); break_us: it ends its measurement at a latency above that many
    microseconds.
    """

    kernel: str
    fill: int | None = None
    set: int = 0
    rate: int = 0
    rings: int = 0
    order: str = 'sequential'
    beat: int = 250
    timer: int = 0
    pulse: bool = False
    halt: bool = False
    tell: bool = False
    break_us: int = 0
    stress: tuple[str, ...] = ()        # it has none

    def check(self) -> None:
        check_file('probe guest', self.kernel, 'make it with `make tree`')

    def arguments(self) -> list[str]:
        options = [f'{name}={value}' for name, value in (
            ('fill', self.fill), ('set', self.set), ('rate', self.rate), ('rings', self.rings), ('beat', self.beat))
            if value is not None]
        options += [f'{name}={int(value)}' for name, value in (
            ('timer', self.timer), ('pulse', self.pulse), ('halt', self.halt), ('tell', self.tell),
            ('break', self.break_us)) if value]
        return ['-kernel', self.kernel, '-append', ' '.join([*options, f'order={self.order}'])]

    def pages(self, ready: Answer) -> int:
        return ready.numbers()['pages']

    @property
    def writes(self) -> bool:
        return bool(self.set and self.rate)


def rate(before: Answer, after: Answer) -> float | None:
    """Bytes that a probe wrote in a second of its own time, between two of its `stats`. Pure."""
    sooner, later = before.numbers(), after.numbers()
    us = later['us'] - sooner['us']
    return (later['bytes'] - sooner['bytes']) * 1e6 / us if us > 0 else None
