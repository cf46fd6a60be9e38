"""What a libvirt domain asks of its host."""
# Copyright (c) 2026 the kvm4nfv authors
# SPDX-License-Identifier: GPL-2.0-or-later

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
import xml.etree.ElementTree as ET

from .cpulist import parse_list

QEMU = '{http://libvirt.org/schemas/domain/qemu/1.0}'
UNITS = {'b': 1 / 1024, 'bytes': 1 / 1024, 'KB': 1000 / 1024, 'k': 1, 'KiB': 1, 'MB': 1e6 / 1024, 'M': 1 << 10, 'MiB': 1 << 10,
         'GB': 1e9 / 1024, 'G': 1 << 20, 'GiB': 1 << 20, 'TB': 1e12 / 1024, 'T': 1 << 30, 'TiB': 1 << 30}


@dataclass(frozen=True)
class Domain:
    """Sizes are KiB. pins: the host CPUs of each vCPU that has any; machine_options: of -machine on <qemu:commandline>."""

    name: str
    machine: str
    vcpus: int
    pins: dict[int, frozenset[int]]
    emulator: frozenset[int] | None
    fifo: frozenset[int]
    memory: int
    page: int | None
    locked: bool
    shared: bool
    nodes: frozenset[int]
    cpu_mode: str
    dedicated: bool
    hostdevs: tuple[str, ...]
    sockets: tuple[tuple[str, str], ...]
    machine_options: dict[str, str]

    @property
    def cpus(self) -> frozenset[int]:
        """The host CPUs of vCPUs."""
        return frozenset().union(*self.pins.values())


def size(element: ET.Element | None, attribute: str | None = None) -> int | None:
    """A <memory unit=>, or a <page size= unit=>, in KiB."""
    if element is None:
        return None
    text = element.get(attribute) if attribute else element.text
    unit = element.get('unit', 'KiB')
    if text is None or unit not in UNITS:
        raise ValueError(f"<{element.tag}> has the unit '{unit}'; valid are {', '.join(UNITS)}")
    return round(int(text) * UNITS[unit])


def machine_options(root: ET.Element) -> dict[str, str]:
    """-machine a=b,c=d and -M of <qemu:commandline>; a doubled comma is one of the value."""
    words = [arg.get('value', '') for arg in root.iter(f'{QEMU}arg')]
    found: dict[str, str] = {}
    for option, text in zip(words, words[1:]):
        if option in ('-machine', '-M', '--machine'):
            for part in text.replace(',,', '\0').split(','):
                key, _, value = part.replace('\0', ',').partition('=')
                found[key] = value
    return found


def own_pins(options: dict[str, str], vcpus: int) -> dict[int, frozenset[int]]:
    """vcpu-cpus=2-3:6: one host CPU a vCPU, in order. `auto` is not known before the start."""
    text = options.get('vcpu-cpus', '')
    if not text or text == 'auto':
        return {}
    order = [cpu for part in text.replace(':', ',').split(',') for cpu in sorted(parse_list(part))]
    return {vcpu: frozenset({cpu}) for vcpu, cpu in enumerate(order[:vcpus])}


def pci_address(element: ET.Element) -> str:
    part = [int(element.get(key, '0'), 0) for key in ('domain', 'bus', 'slot', 'function')]
    return f'{part[0]:04x}:{part[1]:02x}:{part[2]:02x}.{part[3]:x}'


def parse(text: str) -> Domain:
    """Of a domain's XML. ValueError says what is wrong with it."""
    try:
        root = ET.fromstring(text)
    except ET.ParseError as error:
        raise ValueError(f'is no XML: {error}') from None
    if root.tag != 'domain':
        raise ValueError(f'holds <{root.tag}>; valid is a <domain> of libvirt')
    vcpu = root.find('vcpu')
    vcpus = int(vcpu.text or '1') if vcpu is not None else 1
    options = machine_options(root)
    pins = {int(pin.get('vcpu', '0')): frozenset(parse_list(pin.get('cpuset', '')))
            for pin in root.iterfind('cputune/vcpupin')} or own_pins(options, vcpus)
    emulator = root.find('cputune/emulatorpin')
    fifo = frozenset(cpu for entry in root.iterfind('cputune/vcpusched') if entry.get('scheduler') == 'fifo'
                     for cpu in parse_list(entry.get('vcpus', '')))
    page = root.find('memoryBacking/hugepages/page')
    huge = root.find('memoryBacking/hugepages')
    shared = any(cell.get('memAccess') == 'shared' for cell in root.iterfind('cpu/numa/cell')) or any(
        access.get('mode') == 'shared' for access in root.iterfind('memoryBacking/access'))
    tune = root.find('numatune/memory')
    addresses = [pci_address(found) for path in ("devices/hostdev[@type='pci']/source/address",
                                                "devices/interface[@type='hostdev']/source/address")
                 for found in root.iterfind(path)]
    kind = root.find('os/type')
    hint = root.find('features/kvm/hint-dedicated')
    return Domain(
        name=root.findtext('name') or 'domain', machine=kind.get('machine', '') if kind is not None else '', vcpus=vcpus,
        pins=pins, emulator=frozenset(parse_list(emulator.get('cpuset', ''))) if emulator is not None else None, fifo=fifo,
        memory=size(root.find('memory')) or 0,
        page=None if huge is None else size(page, 'size') if page is not None else 0,
        locked=root.find('memoryBacking/locked') is not None, shared=shared,
        nodes=frozenset(parse_list(tune.get('nodeset', ''))) if tune is not None else frozenset(),
        cpu_mode=(root.find('cpu').get('mode', 'custom') if root.find('cpu') is not None else 'none'),
        dedicated=hint is not None and hint.get('state') == 'on', hostdevs=tuple(addresses),
        sockets=tuple((source.get('path', ''), source.get('mode', ''))
                      for source in root.iterfind("devices/interface[@type='vhostuser']/source")),
        machine_options=options)


def load(path: str) -> Domain:
    try:
        return parse(Path(path).read_text())
    except ValueError as error:
        raise ValueError(f"'{path}' {error}") from None
