"""The builds that are compared, and machines with the same devices for both."""
# Copyright (c) 2026 the kvm4nfv authors
# SPDX-License-Identifier: GPL-2.0-or-later

from __future__ import annotations

from dataclasses import dataclass
import os
import subprocess

from .progress import Failure

# By which the machines differ in what they have by default: q35 has them, nfv has not.
OPTIONAL = ('hpet', 'smbus', 'sata', 'i8042', 'vmport', 'smm', 'fd-bootchk')
DEVICE_SETS = ('nfv', 'q35')


@dataclass(frozen=True)
class Side:
    """source, destination: QEMU arguments of that end besides those of both ends; capabilities: of migration, besides."""

    name: str
    qemu: str
    machine: str
    source: tuple[str, ...] = ()
    destination: tuple[str, ...] = ()
    capabilities: tuple[str, ...] = ()

    def check(self) -> None:
        if not os.access(self.qemu, os.X_OK) or os.path.isdir(self.qemu):
            what = 'make stock' if self.name.startswith('stock') else 'make'
            raise Failure(f'{self.qemu} is not a program: build it with `{what}`, or name one with --{self.name.split()[0]}')


    def version(self) -> str:
        """What it calls itself."""
        try:
            done = subprocess.run([self.qemu, '--version'], capture_output=True, text=True, timeout=20, check=True)
        except (OSError, subprocess.SubprocessError) as error:
            raise Failure(f'cannot run {self.qemu} --version: {error}') from error
        return done.stdout.partition('\n')[0]


def machines(device_set: str) -> tuple[str, str]:
    """Of stock and fork: their types differ, their devices do not. Pure."""
    if device_set == 'nfv':
        return ','.join(['q35', *(f'{name}=off' for name in OPTIONAL)]), 'nfv'
    return 'q35', ','.join(['nfv', *(f'{name}=on' for name in OPTIONAL)])


def devices(count: int) -> list[str]:
    """QEMU arguments of that many virtio PCI devices of all kinds that a network function has. Pure."""
    arguments: list[str] = []
    for i in range(count):
        arguments += (
            ['-netdev', f'hubport,id=net{i},hubid={i}',
             '-device', f'virtio-net-pci,netdev=net{i},romfile=,mac=52:54:00:4e:46:{i:02x}'],
            ['-blockdev', f'null-co,node-name=disk{i},size=1073741824,read-zeroes=on',
             '-device', f'virtio-blk-pci,drive=disk{i}'],
            ['-device', 'virtio-rng-pci'],
            ['-device', 'virtio-serial-pci'],
        )[i % 4]
    return arguments
