"""Checks: interrupts of devices stay off the host CPUs of vCPUs."""
# Copyright (c) 2026 the kvm4nfv authors
# SPDX-License-Identifier: GPL-2.0-or-later

from __future__ import annotations

from dataclasses import dataclass

from .cpulist import format_list, format_mask, parse_list, parse_mask
from .finding import Finding, Level, judged
from .mend import Boot, Command, Mend, Sysfs
from .root import Root
from .target import Target, isolated

SERVICE = ('/sys/fs/cgroup/system.slice/irqbalance.service/cgroup.procs',
           '/sys/fs/cgroup/systemd/system.slice/irqbalance.service/cgroup.procs')
SHOWN = 4


@dataclass(frozen=True)
class Irq:
    """A device's interrupt: its number, who handles it, where it may go and where it goes."""

    number: int
    owner: str
    allowed: frozenset[int]
    effective: frozenset[int]

    def __str__(self) -> str:
        return f'{self.number} ({self.owner}) on {format_list(self.effective)}'


def irqs(root: Root) -> list[Irq]:
    """Those that have a handler. A handler is a directory, so it has no text."""
    found = []
    for name in sorted((name for name in root.names('/proc/irq') if name.isdigit()), key=int):
        top = f'/proc/irq/{name}'
        plain = {'effective_affinity', 'effective_affinity_list', 'smp_affinity', 'smp_affinity_list', 'affinity_hint',
                 'node', 'spurious'}
        owners = [entry for entry in root.names(top) if entry not in plain]
        if owners:
            allowed = frozenset(root.cpus(f'{top}/smp_affinity_list'))
            effective = frozenset(root.cpus(f'{top}/effective_affinity_list')) or allowed
            found.append(Irq(int(name), ' '.join(owners), allowed, effective))
    return found


def moves(hit: list[Irq], target: Target) -> tuple[Mend, ...]:
    numbers = ' '.join(str(irq.number) for irq in hit)
    return (Command(f'for n in {numbers}; do echo {target.others} > /proc/irq/$n/smp_affinity_list; done'),) if hit else ()


def summary(hit: list[Irq], count: int, target: Target) -> str:
    if not hit:
        return f'{count}, all off {target.guests}' if count else 'none'
    more = f' and {len(hit) - SHOWN} more' if len(hit) > SHOWN else ''
    return f'{len(hit)} of {count}: {", ".join(map(str, hit[:SHOWN]))}{more}'


def devices(root: Root, target: Target) -> Finding:
    host = [irq for irq in irqs(root) if 'vfio' not in irq.owner]
    hit = [irq for irq in host if irq.effective & target.guest]
    return judged('irq-affinity', not hit, summary(hit, len(host), target),
                  "a device's interrupt preempts the vCPU and leaves its cache cold",
                  *moves(hit, target), bad=Level.FAIL)


def vfio(root: Root, target: Target) -> Finding:
    passed = [irq for irq in irqs(root) if 'vfio' in irq.owner]
    hit = [irq for irq in passed if irq.effective & target.guest]
    return judged('irq-vfio', not hit, summary(hit, len(passed), target),
                  'where interrupts are not posted, one of a passed-through device stops the vCPU that it lands on, '
                  'be it of another guest', *moves(hit, target), bad=Level.WARN)


def default(root: Root, target: Target) -> Finding:
    text = root.read('/proc/irq/default_smp_affinity')
    have = parse_mask(text) if text else set()
    return judged('irq-default', bool(text) and not have & target.guest, f'new ones on {format_list(have)}' if text else 'unknown',
                  'an interrupt that a driver requests later starts on these CPUs',
                  Sysfs('/proc/irq/default_smp_affinity', format_mask(target.housekeeping, target.width)),
                  Boot(f'irqaffinity={target.others}'), bad=Level.WARN)


def banned(root: Root) -> set[int]:
    """What irqbalance is told to leave alone."""
    found: set[int] = set()
    for path in ('/etc/default/irqbalance', '/etc/sysconfig/irqbalance'):
        for line in (root.read(path) or '').splitlines():
            name, _, text = line.strip().partition('=')
            text = text.strip('"\' ')
            try:
                if name == 'IRQBALANCE_BANNED_CPULIST':
                    found |= parse_list(text)
                elif name == 'IRQBALANCE_BANNED_CPUS' and text:
                    found |= parse_mask(text)
            except ValueError:
                continue
    return found


def irqbalance(root: Root, target: Target) -> Finding:
    running = any(root.read(path) for path in SERVICE) or any(
        name.endswith('.sock') for name in root.names('/run/irqbalance'))
    safe = banned(root) or isolated(root) | root.cpus('/sys/devices/system/cpu/nohz_full')
    missing = target.guest - safe
    found = 'not running' if not running else 'running, and may use ' + format_list(missing) if missing else \
        f'running, leaves {format_list(safe)} alone'
    return judged('irqbalance', not running or not missing, found,
                  'it moves interrupts every ten seconds, to the CPUs of vCPUs where it is not told otherwise',
                  Command(f'echo IRQBALANCE_BANNED_CPULIST={target.guests} >> /etc/default/irqbalance && '
                          'systemctl restart irqbalance'))


CHECKS = (devices, vfio, default, irqbalance)
