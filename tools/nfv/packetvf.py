"""VFs of a real NIC for nfv-bench packet: two for the guest by vfio, and two for the generator."""
# Copyright (c) 2026 the kvm4nfv authors
# SPDX-License-Identifier: GPL-2.0-or-later

from __future__ import annotations

from dataclasses import dataclass
import os
from pathlib import Path

IFF_UP = 1
DEVICES = Path('/sys/bus/pci/devices')


@dataclass(frozen=True)
class Vfs:
    """guest: PCI addresses; wires: interfaces, macs: theirs. All of one NIC, whose own switch joins them."""

    guest: tuple[str, str]
    wires: tuple[str, str]
    macs: tuple[str, str]


def read(path: Path) -> str:
    try:
        return path.read_text(encoding='ascii').strip()
    except OSError:
        return ''


def idle_interface(vf: Path) -> Path | None:
    """The interface of a VF that nobody uses: it is down."""
    for interface in sorted((vf / 'net').glob('*')):
        if not int(read(interface / 'flags') or '0x1', 16) & IFF_UP:
            return interface
    return None


def find(devices: Path = DEVICES) -> Vfs | None:
    """Of the first NIC that has two VFs with the driver vfio-pci and two more whose interfaces are down.

    A NIC that was not prepared so is left alone: it may be in use.
    """
    for physical in sorted(devices.glob('*')):
        if not read(physical / 'class').startswith('0x0200'):
            continue
        vfs = sorted((link.resolve() for link in physical.glob('virtfn*')), key=lambda vf: vf.name)
        guest = [vf.name for vf in vfs if (vf / 'driver').exists() and (vf / 'driver').resolve().name == 'vfio-pci']
        wires = [interface for vf in vfs if (interface := idle_interface(vf))]
        if len(guest) >= 2 and len(wires) >= 2:
            return Vfs((guest[0], guest[1]), (wires[0].name, wires[1].name),
                       (read(wires[0] / 'address'), read(wires[1] / 'address')))
    return None


def usable() -> Vfs | None:
    """find() for who may use them: an interface moves to another network namespace by root alone."""
    return find() if os.geteuid() == 0 else None
