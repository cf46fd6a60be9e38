"""A domain's XML, fitted to the host that a test has. Pure."""
# Copyright (c) 2026 the kvm4nfv authors
# SPDX-License-Identifier: GPL-2.0-or-later

from __future__ import annotations

import re
import xml.etree.ElementTree as ET

QEMU = 'http://libvirt.org/schemas/domain/qemu/1.0'
ET.register_namespace('qemu', QEMU)


def need(parent: ET.Element, path: str) -> ET.Element:
    found = parent.find(path)
    if found is None:
        raise ValueError(f'the domain has no {path}')
    return found


def name(xml: str) -> str:
    return need(ET.fromstring(xml), 'name').text or ''


def disks(xml: str) -> list[str]:
    """The files that its disks are."""
    return [source.get('file', '') for source in ET.fromstring(xml).iterfind('devices/disk/source')]


def for_tcg(root: ET.Element) -> None:
    """Without KVM, and what only KVM has."""
    root.set('type', 'qemu')
    cpu = need(root, 'cpu')
    cpu.set('mode', 'maximum')
    features = need(root, 'features')
    for only in ('kvm', 'pmu'):
        for element in features.findall(only):
            features.remove(element)


def with_one_vcpu(root: ET.Element, cpu: int, rest: int) -> None:
    """On a host of two CPUs: the first vCPU, on host CPU `cpu`, and everything else on `rest`."""
    need(root, 'vcpu').text = '1'
    tune = root.find('cputune')
    if tune is not None:
        for pin in tune.findall('vcpupin'):
            if pin.get('vcpu') == '0':
                pin.set('cpuset', str(cpu))
            else:
                tune.remove(pin)
        for pin in [*tune.findall('emulatorpin'), *tune.findall('iothreadpin')]:
            pin.set('cpuset', str(rest))
        for sched in tune.findall('vcpusched'):
            sched.set('vcpus', '0')
    topology = root.find('cpu/topology')
    if topology is not None:
        topology.set('cores', '1')
    for argument in root.iter(f'{{{QEMU}}}arg'):
        value = re.sub(r'\bvcpu-cpus=[0-9:-]+', f'vcpu-cpus={cpu}', argument.get('value', ''))
        argument.set('value', re.sub(r'\bhousekeeping-cpus=[0-9:-]+', f'housekeeping-cpus={rest}', value))


def boots(root: ET.Element, kernel: str, options: str) -> None:
    """A kernel of ours instead of what is on the disk."""
    system = need(root, 'os')
    ET.SubElement(system, 'kernel').text = kernel
    ET.SubElement(system, 'cmdline').text = options


def fitted(xml: str, emulator: str, kernel: str, options: str = '', mib: int = 128) -> str:
    """For TCG on a host of two CPUs, with one of our test guests in it."""
    root = ET.fromstring(xml)
    for_tcg(root)
    with_one_vcpu(root, 1, 0)
    boots(root, kernel, options)
    need(root, 'memory').text = str(mib)
    need(root, 'devices/emulator').text = emulator
    return ET.tostring(root, encoding='unicode')


def with_arguments(xml: str, *arguments: str) -> str:
    """With more of them for QEMU's command line."""
    root = ET.fromstring(xml)
    line = root.find(f'{{{QEMU}}}commandline')
    if line is None:
        line = ET.SubElement(root, f'{{{QEMU}}}commandline')
    for argument in arguments:
        ET.SubElement(line, f'{{{QEMU}}}arg', value=argument)
    return ET.tostring(root, encoding='unicode')


def named(xml: str, new: str) -> str:
    """Another domain that is the same."""
    root = ET.fromstring(xml)
    need(root, 'name').text = new
    return ET.tostring(root, encoding='unicode')


def without(xml: str, path: str) -> str:
    """Without the elements of this path."""
    root = ET.fromstring(xml)
    parent, _, tag = path.rpartition('/')
    above = need(root, parent) if parent else root
    found = above.findall(tag)
    if not found:
        raise ValueError(f'the domain has no {path}')
    for element in found:
        above.remove(element)
    return ET.tostring(root, encoding='unicode')


def without_arguments(xml: str) -> str:
    """Without what is for QEMU's command line."""
    root = ET.fromstring(xml)
    root.remove(need(root, f'{{{QEMU}}}commandline'))
    return ET.tostring(root, encoding='unicode')


def of_emulator(xml: str, emulator: str, kvm: bool) -> str:
    """As it is but for what a host may lack: QEMU at its place, and KVM."""
    root = ET.fromstring(xml)
    need(root, 'devices/emulator').text = emulator
    if not kvm:
        for_tcg(root)
    return ET.tostring(root, encoding='unicode')


def with_vcpus(xml: str, most: int, current: int) -> str:
    """So many at first, and so many slots for them."""
    root = ET.fromstring(xml)
    vcpu = need(root, 'vcpu')
    vcpu.text = str(most)
    vcpu.set('current', str(current))
    return ET.tostring(root, encoding='unicode')


def with_pin(xml: str, cpu: int) -> str:
    """With its first vCPU pinned by libvirt."""
    root = ET.fromstring(xml)
    ET.SubElement(ET.SubElement(root, 'cputune'), 'vcpupin', vcpu='0', cpuset=str(cpu))
    return ET.tostring(root, encoding='unicode')


def boots_from_its_first_interface(xml: str) -> str:
    """Instead of a kernel of ours: the network card's firmware asks for an address."""
    root = ET.fromstring(xml)
    system = need(root, 'os')
    for tag in ('kernel', 'cmdline'):
        system.remove(need(root, f'os/{tag}'))
    ET.SubElement(need(root, 'devices/interface'), 'boot', order='1')
    return ET.tostring(root, encoding='unicode')


def with_function(xml: str, bus: str, slot: str, function: str) -> str:
    """With another PCI function for its hostdev interface."""
    root = ET.fromstring(xml)
    address = need(root, "devices/interface[@type='hostdev']/source/address")
    for name, value in (('bus', bus), ('slot', slot), ('function', function)):
        address.set(name, value)
    return ET.tostring(root, encoding='unicode')
