"""What is measured: the cases of each profile. Pure."""
# Copyright (c) 2026 the kvm4nfv authors
# SPDX-License-Identifier: GPL-2.0-or-later

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any, Callable, Iterator

from .backing import NAMES as BACKINGS

NAMES = ('idle', 'devices', 'hot', 'ring', 'postcopy')
ORDERS = ('sequential', 'random', 'scattered', 'skewed')
# MiB of the guest's RAM unless it is given.
MEMORY = {'idle': 8192, 'devices': 128, 'hot': 512, 'ring': 256, 'postcopy': 512}
# postcopy: when it is asked for, as a multiple of the time that the data takes on the link.
PRESS = 1.1
RING_COUNT = 4
RING_BUFFERS = 16


@dataclass(frozen=True)
class Case:
    """guest: linux or probe; memory, fill, set: MiB; rate: of the link, what the guest is to write in a second."""

    profile: str
    memory: int
    guest: str = 'probe'
    backing: str = 'anon'
    smp: int = 1
    devices: int = 0
    fill: int | None = None
    set: int = 0
    rate: float = 0
    rings: int = 0
    order: str = 'sequential'

    def __str__(self) -> str:
        parts = [self.profile, f'{self.memory} MiB']
        if self.devices:
            parts.append(f'{self.devices} virtio devices, {self.smp} vCPU{"s" if self.smp > 1 else ""}')
        if self.rings:
            parts.append(f'{self.rings} rings, {self.set} MiB of buffers')
        elif self.set and self.profile == 'postcopy':
            parts.append(f'{self.set} MiB hot, {self.order}')
        elif self.set:
            parts.append(f'{self.set * 100 / self.memory:.0f} % hot, {self.order}')
        if self.rate:
            parts.append(f'written at {self.rate:g} x link')
        return ', '.join(parts)

    def rate_kib(self, link_rate: int) -> int:
        """KiB a second."""
        return int(self.rate * link_rate / 1024)

    def press(self, link_rate: int) -> float | None:
        """Seconds after which post-copy is asked for; None: it is not."""
        return PRESS * self.data * 1.048576e6 / link_rate if self.profile == 'postcopy' and link_rate else None

    @property
    def data(self) -> int:
        """MiB that the guest has written to; a guess for Linux."""
        return self.fill if self.fill is not None else self.memory if self.guest == 'probe' else 300

    @property
    def allocates(self) -> int:
        """MiB that a migration may allocate on both ends: stock reads holes of a file, too, which fills them."""
        return {'anon': self.data + 64, 'memfd': 2 * self.memory}.get(self.backing, 0)

    def seconds(self, link_rate: int) -> float:
        """A guess at how long one run takes; good enough to say what is left before the first one is measured."""
        copy = self.data * 1.048576e6 / link_rate if link_rate else self.data / 500
        if self.profile == 'postcopy':
            return 4 + 2 * copy
        return (9 if self.guest == 'linux' else 2.5) + copy / max(0.3, 1 - self.rate)

    def bound(self, link_rate: int) -> float:
        """Seconds after which a migration that has not ended never will: four times the RAM, and some."""
        return 20 + 4 * self.memory * 1.048576 / (link_rate / 1e6) if link_rate else 60 + self.memory / 50

    def as_json(self) -> dict[str, Any]:
        return {'name': str(self), **asdict(self)}


@dataclass(frozen=True)
class Choice:
    """What the user wants less or more of; None: all that the profile has."""

    memory: int | None = None
    backings: tuple[str, ...] | None = None
    devices: tuple[int, ...] | None = None
    smp: tuple[int, ...] | None = None
    rates: tuple[float, ...] | None = None
    shares: tuple[int, ...] | None = None
    orders: tuple[str, ...] | None = None
    sets: tuple[int, ...] | None = None


def idle(memory: int, choice: Choice) -> Iterator[Case]:
    for backing in choice.backings or BACKINGS:
        yield Case('idle', memory, guest='linux', backing=backing)


def devices(memory: int, choice: Choice) -> Iterator[Case]:
    for backing in choice.backings or ('anon',):
        for count in choice.devices or (4, 12):
            for smp in choice.smp or (1, 2, 4):
                yield Case('devices', memory, backing=backing, smp=smp, devices=count, fill=0)


def hot(memory: int, choice: Choice) -> Iterator[Case]:
    for backing in choice.backings or ('anon',):
        for share in choice.shares or (10, 30, 60):
            for rate in choice.rates or (0.5, 0.9, 1.5):
                for order in choice.orders or ('sequential',):
                    yield Case('hot', memory, backing=backing, set=max(1, memory * share // 100), rate=rate,
                               order=order)


def ring(memory: int, choice: Choice) -> Iterator[Case]:
    for backing in choice.backings or ('anon',):
        for rate in choice.rates or (0.5, 0.9, 1.5):
            yield Case('ring', memory, backing=backing, set=RING_BUFFERS, rate=rate, rings=RING_COUNT)


def postcopy(memory: int, choice: Choice) -> Iterator[Case]:
    """A small set that the guest needs soon, all over its RAM; and most of the RAM, in an order."""
    for backing in choice.backings or ('anon',):
        for size in choice.sets or (() if choice.orders else (16, 64, 256)):
            for rate in choice.rates or (1.0,):
                yield Case('postcopy', memory, backing=backing, set=size, rate=rate, order='scattered')
        for order in choice.orders or (() if choice.sets else ('sequential', 'random', 'skewed')):
            for rate in choice.rates or (0.5,):
                yield Case('postcopy', memory, backing=backing, set=memory * 3 // 4, rate=rate, order=order)


MAKE: dict[str, Callable[[int, Choice], Iterator[Case]]] = {'idle': idle, 'devices': devices, 'hot': hot, 'ring': ring,
                                                          'postcopy': postcopy}


def cases(names: list[str], choice: Choice) -> list[Case]:
    return [case for name in names for case in MAKE[name](choice.memory or MEMORY[name], choice)]
