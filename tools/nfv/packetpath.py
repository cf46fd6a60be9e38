"""The scenarios of nfv-bench packet: which way the frames go. Pure, but for make()."""
# Copyright (c) 2026 the kvm4nfv authors
# SPDX-License-Identifier: GPL-2.0-or-later

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Sequence

from .packetguest import IP, PORTS, generator_mac, guest_mac
from .packetload import Way
from .packetspace import Space
from .packetswitch import Port
from .packetvf import Vfs


@dataclass(frozen=True)
class Scenario:
    """ports: of the guests: vhost-user, tap or igb; forward: who does it in the guest; moves: it is migrated."""

    name: str
    title: str
    ports: str = ''
    forward: str = ''
    guests: int = 0
    switch: bool = False
    moves: bool = False

    @property
    def tap(self) -> bool:
        return self.ports in ('tap', 'igb')


SCENARIOS = {one.name: one for one in (
    Scenario('loop', 'host loop, no guest'),
    Scenario('switch', 'host loop through testpmd, no guest', switch=True),
    Scenario('vhost-user', 'testpmd, vhost-user, DPDK in the guest', 'vhost-user', 'dpdk', 1, switch=True),
    Scenario('tap', 'TAP, kernel forwarding in the guest', 'tap', 'kernel', 1),
    Scenario('sriov', 'TAP, emulated igb, DPDK on its VFs in the guest', 'igb', 'dpdk', 1),
    Scenario('chain', 'testpmd, vhost-user, DPDK in two guests in a chain', 'vhost-user', 'dpdk', 2, switch=True),
    Scenario('tap-migrate', 'TAP and bridge, kernel forwarding in the guest, migrated', 'tap', 'kernel', 1, moves=True),
    Scenario('vhost-user-migrate', 'bridge, testpmd, vhost-user, DPDK in the guest, migrated', 'vhost-user', 'dpdk', 1,
             switch=True, moves=True),
)}
QUICK = ('loop', 'vhost-user', 'tap')


@dataclass(frozen=True)
class Placement:
    """Host CPUs of the vCPUs (one a guest, or none at all), of the switch's threads, and of the generator."""

    vcpus: tuple[int, ...]
    switch: tuple[int, ...]
    generator: tuple[int, ...]


def place(housekeeping: Sequence[int], vcpus: Sequence[int]) -> Placement:
    """The switch polls: it gets the last CPU that runs no vCPU, and the generator the one before if there are more."""
    rest = sorted(housekeeping)
    if len(rest) == 1:
        return Placement(tuple(vcpus), (rest[0],), (rest[0],))
    if len(rest) == 2:
        return Placement(tuple(vcpus), (rest[0], rest[1]), (rest[0],))
    return Placement(tuple(vcpus), (rest[0], rest[-1]), (rest[-2],))


@dataclass
class Network:
    """directory: for its sockets; vhost: whether TAPs use vhost-net; vfs: of a real NIC, instead of emulated ones."""

    scenario: Scenario
    directory: Path
    vhost: bool = False
    vfs: Vfs | None = None
    ends: tuple[str, ...] = field(init=False)

    def __post_init__(self) -> None:
        self.vfs = self.vfs if self.scenario.ports == 'igb' else None
        self.ends = ('source', 'destination') if self.scenario.moves else ('source',)

    def name(self, kind: str, end: str, guest: int, port: int) -> str:
        return f'{kind}{end[0]}{guest}{port}'

    def socket(self, end: str, guest: int, port: int) -> str:
        return str(self.directory / self.name('vhost', end, guest, port))

    def make(self, space: Space) -> None:
        """All interfaces."""
        scenario = self.scenario
        if self.vfs:
            for wire in self.vfs.wires:
                space.adopt(wire)
        elif scenario.tap and not scenario.moves:
            for port in PORTS:
                space.tap(self.name('tap', 'source', 0, port), generator_mac(port))
        elif not scenario.switch and not scenario.tap:
            space.veth('gen0', 'gen1', generator_mac(0))
        else:
            for port in PORTS:
                space.veth(f'gen{port}', f'far{port}', generator_mac(port))
        if scenario.moves:
            for port in PORTS:
                self._bridge(space, port)

    def _bridge(self, space: Space, port: int) -> None:
        """Generator and both ends; no frame goes where the guest was not heard of."""
        far = []
        for end in self.ends:
            name = self.name('tap', end, 0, port)
            far.append(name)
            if self.scenario.tap:
                space.tap(name)
            else:
                space.veth(name, self.name('sw', end, 0, port))
        space.bridge(f'bridge{port}', f'far{port}', *far)
        for name in far:
            space.run('bridge', 'link', 'set', 'dev', name, 'flood', 'off')

    def learn(self, space: Space) -> None:
        """As if the bridges had heard of the guest at the source, where it runs: a TAP must be open for that."""
        for port in PORTS:
            space.run('bridge', 'fdb', 'replace', guest_mac(0, port), 'dev', self.name('tap', 'source', 0, port),
                      'master', 'dynamic')

    def switch_ports(self) -> list[Port]:
        """Of the switch, in pairs."""
        scenario = self.scenario
        if scenario.moves:
            return [port for end in self.ends for i in PORTS
                    for port in (Port('interface', self.name('sw', end, 0, i)),
                                 Port('vhost-user', self.socket(end, 0, i)))]
        guests = [Port('vhost-user', self.socket('source', guest, port))
                  for guest in range(scenario.guests) for port in PORTS]
        return [Port('interface', 'far0'), *guests, Port('interface', 'far1')]

    def peers(self, guest: int) -> tuple[str, str]:
        """The MACs that its ports send to."""
        if self.vfs:
            return self.vfs.macs
        return (guest_mac(guest - 1, 1) if guest else generator_mac(0),
                guest_mac(guest + 1, 0) if guest + 1 < self.scenario.guests else generator_mac(1))

    def way(self, receiver: str) -> Way:
        """`receiver`: the MAC of the first guest's first port; without a guest it does not matter."""
        if self.vfs:
            return Way(*self.vfs.wires, f'{self.vfs.macs[0]}/{IP[0]}', f'{receiver}/{IP[1]}')
        ports = [self.name('tap', 'source', 0, port) if self.scenario.tap and not self.scenario.moves else f'gen{port}'
                 for port in PORTS]
        return Way(ports[0], ports[1], f'{generator_mac(0)}/{IP[0]}', f'{receiver or generator_mac(1)}/{IP[1]}')

    def devices(self, end: str, guest: int) -> list[str]:
        """Arguments of QEMU for both ports of a guest."""
        if self.vfs:
            return [word for address in self.vfs.guest for word in ('-device', f'vfio-pci,host={address}')]
        result: list[str] = []
        for port in PORTS:
            if self.scenario.ports == 'vhost-user':
                result += ['-chardev', f'socket,id=char{port},path={self.socket(end, guest, port)}',
                           '-netdev', f'vhost-user,id=net{port},chardev=char{port}']
            else:
                result += ['-netdev', f'tap,id=net{port},ifname={self.name("tap", end, guest, port)},script=no,'
                           f'downscript=no,vhost={"on" if self.vhost and self.scenario.ports == "tap" else "off"}']
            if self.scenario.ports == 'igb':
                result += ['-device', f'pcie-root-port,id=root{port},chassis={port + 1}',
                           '-device', f'igb,bus=root{port},netdev=net{port},mac={guest_mac(guest, port)},romfile=']
            else:
                # QEMU announces the guest by itself after a migration, as DPDK's driver may not.
                result += ['-device', f'virtio-net-pci,netdev=net{port},mac={guest_mac(guest, port)},romfile='
                           + (',guest_announce=off' if self.scenario.moves else '')]
        return result
