"""All checks, in the order in which they are shown."""
# Copyright (c) 2026 the kvm4nfv authors
# SPDX-License-Identifier: GPL-2.0-or-later

from __future__ import annotations

from typing import Callable

from . import cache, interrupts, iommu, isolation, kernel, kvm, limits, memory, power
from .finding import Finding
from .root import Root
from .target import Target

Check = Callable[[Root, Target], Finding]

GROUPS: dict[str, tuple[Check, ...]] = {
    'CPUs': isolation.CHECKS, 'Kernel and clock': kernel.CHECKS, 'Interrupts': interrupts.CHECKS, 'Memory': memory.CHECKS,
    'Power': power.CHECKS, 'Cache': cache.CHECKS, 'KVM': kvm.CHECKS, 'Devices': iommu.CHECKS, 'Permissions': limits.CHECKS}


def run(root: Root, target: Target) -> dict[str, list[Finding]]:
    return {group: [check(root, target) for check in checks] for group, checks in GROUPS.items()}
