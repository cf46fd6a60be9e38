"""Checks: KVM is there, can what a guest of ours uses, and is set for it."""
# Copyright (c) 2026 the kvm4nfv authors
# SPDX-License-Identifier: GPL-2.0-or-later

from __future__ import annotations

from dataclasses import dataclass

from .finding import Finding, Level, judged
from .mend import Advice, Boot, Command
from .root import Root
from .target import Target

VENDOR = Advice('load the KVM of this CPU: modprobe kvm_intel or kvm_amd; a nested KVM of another kind has its own parameters')
PARAMETERS = '/sys/module/{}/parameters/{}'


@dataclass(frozen=True)
class Capability:
    """A number of linux/kvm.h and what is lost without; needed: no guest should do without."""

    name: str
    number: int
    lost: str
    needed: bool = False


CAPABILITIES = (
    Capability('IRQFD', 32, 'vhost and VFIO interrupts', True),
    Capability('IOEVENTFD', 36, 'vhost', True),
    Capability('TSC_DEADLINE_TIMER', 72, 'timers without division', True),
    Capability('ADJUST_CLOCK', 39, 'a clock that stands still while the guest does', True),
    Capability('TSC_CONTROL', 60, 'a migration to a CPU of another TSC rate'),
    Capability('X86_DISABLE_EXITS', 143, 'cpu-pm=on'),
    Capability('MANUAL_DIRTY_LOG_PROTECT2', 168, 'short steps of the dirty log, so longer stalls while migrating'),
    Capability('HALT_POLL', 182, 'halt-poll-ns of one guest'),
    Capability('DIRTY_LOG_RING', 192, 'the dirty ring'),
    Capability('X86_BUS_LOCK_EXIT', 193, 'bus-lock-ratelimit'),
    Capability('X86_NOTIFY_VMEXIT', 219, 'exits from a guest that blocks interrupts'),
    Capability('PRE_FAULT_MEMORY', 236, 'mapping memory before the first run (Linux 6.11)'),
)


def parameter(root: Root, name: str, *modules: str) -> tuple[str, str] | None:
    """The value of a parameter and the module that has it."""
    for module in modules:
        value = root.read(PARAMETERS.format(module, name))
        if value is not None:
            return value, module
    return None


def opened(path: str, usable: bool | None) -> str:
    return f'{path} may be used' if usable else f'no {path}' if usable is None else f'{path} may not be opened'


def is_on(value: str) -> bool:
    return value in ('Y', 'y', '1', 'auto', 'force')


def device(root: Root, _target: Target) -> Finding:
    why = 'without KVM every instruction of the guest is emulated'
    usable = root.access('/dev/kvm')
    if usable:
        return Finding('kvm', Level.PASS, opened('/dev/kvm', usable), why)
    if usable is not None:
        return Finding('kvm', Level.FAIL, opened('/dev/kvm', usable), why, (Command('usermod -aG kvm "$USER"'),))
    if root.flags() & {'vmx', 'svm'}:
        return Finding('kvm', Level.FAIL, 'no /dev/kvm', why, (Command('modprobe kvm_intel || modprobe kvm_amd'),))
    return Finding('kvm', Level.FAIL, 'no /dev/kvm, and the CPU shows neither vmx nor svm', why, (
        Advice('in the firmware: Intel VT-x or AMD-V on; on a virtual host: nested virtualisation'),))


def capabilities(root: Root, _target: Target) -> Finding:
    why = 'each is used by -M nfv or its migration where the kernel has it'
    found = {item: root.extension(item.number) for item in CAPABILITIES}
    if all(value is None for value in found.values()):
        return Finding('kvm-capabilities', Level.FAIL if not root.access('/dev/kvm') else Level.WARN,
                       'unknown: KVM could not be asked', why, (Command('see the check "kvm"'),))
    missing = [item for item, value in found.items() if not value]
    level = Level.PASS if not missing else Level.FAIL if any(item.needed for item in missing) else Level.WARN
    text = 'without ' + '; '.join(f'{item.name} ({item.lost})' for item in missing) if missing else \
        f'all {len(CAPABILITIES)}'
    return Finding('kvm-capabilities', level, text, why, (
        Advice('take a newer kernel (6.12 has all that the hardware allows), or a CPU that has the feature'),))


def paging(root: Root, _target: Target) -> Finding:
    here = parameter(root, 'ept', 'kvm_intel') or parameter(root, 'npt', 'kvm_amd')
    why = 'without nested paging each change of a page table of the guest is an exit'
    if here is None:
        return Finding('kvm-paging', Level.WARN, 'neither kvm_intel nor kvm_amd', why, (VENDOR,))
    value, module = here
    name = 'npt' if module == 'kvm_amd' else 'ept'
    return judged('kvm-paging', is_on(value), f'{name}={value}', why, Boot(f'{module}.{name}=1'))


def posted(root: Root, _target: Target) -> Finding:
    here = parameter(root, 'enable_apicv', 'kvm_intel') or parameter(root, 'avic', 'kvm_amd')
    why = 'with APIC virtualisation an interrupt reaches a running vCPU without an exit'
    if here is None:
        return Finding('kvm-apicv', Level.WARN, 'neither kvm_intel nor kvm_amd', why, (VENDOR,))
    value, module = here
    name = 'avic' if module == 'kvm_amd' else 'enable_apicv'
    return judged('kvm-apicv', is_on(value), f'{name}={value}', why, Boot(f'{module}.{name}=1'), bad=Level.WARN)


def nx_huge_pages(root: Root, _target: Target) -> Finding:
    here = parameter(root, 'nx_huge_pages', 'kvm')
    safe = 'Not affected' in (root.read('/sys/devices/system/cpu/vulnerabilities/itlb_multihit') or '')
    bad = here is not None and is_on(here[0]) and not safe
    return judged('kvm-nx-huge-pages', not bad, here[0] if here else 'not in this kernel',
                  'KVM splits huge pages that are executed from and a thread joins them again every hour, which stalls '
                  'vCPUs; switching it off lets a hostile guest crash the host (iTLB multihit)',
                  Boot('kvm.nx_huge_pages=never', auto=False), Advice('only if you trust your guests; or a CPU that is not affected'),
                  bad=Level.WARN)


def clock_sync(root: Root, _target: Target) -> Finding:
    here = parameter(root, 'kvmclock_periodic_sync', 'kvm')
    why = 'every five minutes each vCPU is made to leave the guest to correct its clock'
    if here is None:
        return Finding('kvm-clock-sync', Level.PASS, 'not in this kernel', why)
    return judged('kvm-clock-sync', not is_on(here[0]), here[0], why, Boot('kvm.kvmclock_periodic_sync=0'), bad=Level.WARN)


def pause_loops(root: Root, _target: Target) -> Finding:
    here = parameter(root, 'ple_gap', 'kvm_intel') or parameter(root, 'pause_filter_count', 'kvm_amd')
    why = 'a spin lock of the guest that takes long makes its vCPU exit, for nothing on a CPU of its own'
    if here is None:
        return Finding('kvm-pause-loops', Level.PASS, 'not in this kernel', why)
    value, module = here
    name = 'pause_filter_count' if module == 'kvm_amd' else 'ple_gap'
    return judged('kvm-pause-loops', value == '0', f'{name}={value}', why, Boot(f'{module}.{name}=0'), bad=Level.WARN)


def vhost(root: Root, _target: Target) -> Finding:
    usable = root.access('/dev/vhost-net')
    return judged('vhost-net', bool(usable), opened('/dev/vhost-net', usable),
                  'without it each packet of a TAP device passes QEMU; vhost-user and VFIO do not need it',
                  Command('modprobe vhost_net'), bad=Level.WARN)


CHECKS = (device, capabilities, paging, posted, nx_huge_pages, clock_sync, pause_loops, vhost)
