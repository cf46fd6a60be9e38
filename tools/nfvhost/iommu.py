"""Checks: devices can be passed through to guests, and from the right node."""
# Copyright (c) 2026 the kvm4nfv authors
# SPDX-License-Identifier: GPL-2.0-or-later

from __future__ import annotations

from . import bootline
from .finding import Finding, Level, judged
from .kvm import opened
from .mend import Advice, Boot, Command
from .root import Root
from .target import Target

NET = '/sys/class/net'
PCI = '/sys/bus/pci/devices'
WHY = 'VFIO gives a device to a guest only behind an IOMMU'


def parameter(root: Root) -> Boot:
    vendor = 'amd' if 'AuthenticAMD' in root.cpuinfo().get('vendor_id', '') else 'intel'
    return Boot(f'{vendor}_iommu=on iommu=pt')


def enabled(root: Root, _target: Target) -> Finding:
    units = root.names('/sys/class/iommu')
    groups = len(root.names('/sys/kernel/iommu_groups'))
    return judged('iommu', bool(units and groups), f'{len(units)} unit{"s" * (len(units) != 1)}, {groups} groups', WHY,
                  parameter(root), Advice('in the firmware: Intel VT-d or AMD IOMMU on'), bad=Level.WARN)


def passthrough(root: Root, _target: Target) -> Finding:
    """Devices of the host itself: identity is without translation."""
    types = {root.read(f'/sys/kernel/iommu_groups/{group}/type') for group in root.names('/sys/kernel/iommu_groups')}
    types.discard(None)
    mode = bootline.value(root, 'iommu') or ''
    direct = 'pt' in mode.split(',') or bootline.value(root, 'iommu.passthrough') == '1' or types == {'identity'}
    found = 'no IOMMU' if not types and not direct else ', '.join(sorted(filter(None, types))) or f'iommu={mode}'
    return judged('iommu-pt', direct or not types, found,
                  'the host translates the DMA of its own devices too, which costs OVS-DPDK and vhost time',
                  Boot('iommu=pt'), bad=Level.WARN)


def remapping(root: Root, _target: Target) -> Finding:
    off = 'off' in (bootline.value(root, 'intremap') or '') or 'nopost' in (bootline.value(root, 'intremap') or '')
    unsafe = (root.read('/sys/module/vfio_iommu_type1/parameters/allow_unsafe_interrupts') or 'N') in ('Y', '1')
    found = ', '.join(['intremap=' + (bootline.value(root, 'intremap') or '')] * off + ['allow_unsafe_interrupts=Y'] * unsafe)
    return judged('interrupt-remapping', not off and not unsafe, found or 'not switched off',
                  'without it a guest can forge interrupts, and none can be posted to a running vCPU',
                  Command('remove intremap= and vfio_iommu_type1.allow_unsafe_interrupts= from the boot line and /etc/modprobe.d'))


def vfio(root: Root, _target: Target) -> Finding:
    driver = 'vfio-pci' in root.names('/sys/bus/pci/drivers')
    bound = [name for name in root.names('/sys/bus/pci/drivers/vfio-pci') if name.count(':') == 2]
    device = root.access('/dev/vfio/vfio')
    found = f'{len(bound)} device{"s" * (len(bound) != 1)} bound to vfio-pci' if driver else 'no driver vfio-pci'
    return judged('vfio', driver and bool(device), f'{found}, {opened("/dev/vfio/vfio", device)}',
                  'SR-IOV functions and whole NICs reach a guest through vfio-pci',
                  Command('modprobe vfio-pci'), bad=Level.WARN)


def interfaces(root: Root) -> dict[str, str]:
    """Network interfaces that are a PCI device: name and address."""
    found = {name: root.link(f'{NET}/{name}/device') for name in root.names(NET)}
    return {name: address for name, address in found.items() if address and address.count(':') == 2}


def functions(root: Root, _target: Target) -> Finding:
    """Physical functions have a total; with none there is nothing to judge."""
    able = {name: (root.number(f'{NET}/{name}/device/sriov_numvfs') or 0, root.number(f'{NET}/{name}/device/sriov_totalvfs'))
            for name in interfaces(root)}
    able = {name: counts for name, counts in able.items() if counts[1]}
    unused = [name for name, counts in able.items() if not counts[0]]
    found = ', '.join(f'{name}: {used} of {total} functions' for name, (used, total) in able.items())
    return judged('sriov', not able or len(unused) < len(able), found or 'no NIC with SR-IOV',
                  'a virtual function gives a guest its own queues in the NIC',
                  *(Command(f'echo 4 > {NET}/{name}/device/sriov_numvfs') for name in unused), bad=Level.WARN)


def nic_nodes(root: Root, target: Target) -> Finding:
    nodes = {name: root.number(f'{NET}/{name}/device/numa_node') for name in interfaces(root)}
    far = {name: node for name, node in nodes.items() if node is not None and node >= 0 and node not in target.nodes()}
    found = ', '.join(f'{name} on {"no node" if node is None or node < 0 else f"node {node}"}' for name, node in nodes.items())
    return judged('nic-node', not far, found or 'no PCI NIC',
                  'packets of a NIC on another node cross the link between the sockets, twice',
                  *(Advice(f'isolate CPUs of node {node} for guests that use {name}') for name, node in far.items()),
                  bad=Level.WARN)


CHECKS = (enabled, passthrough, remapping, vfio, functions, nic_nodes)
