"""Memory that the host has at hand when a run needs it.

A host that is itself a virtual machine gets memory from its own host when it is touched for the first time, which
takes tens of times longer than to clear it, and meets whichever side comes first.
"""
# Copyright (c) 2026 the kvm4nfv authors
# SPDX-License-Identifier: GPL-2.0-or-later

from __future__ import annotations

import mmap
import os

MIB = 1 << 20
MADV_HUGEPAGE = getattr(mmap, 'MADV_HUGEPAGE', 14)
MADV_POPULATE_WRITE = 23                # Linux 5.14


def touch(mib: int) -> bool:
    """Populate that much, or half of what is available, and give it back: what is allocated next comes from it.

    False if the kernel refuses.
    """
    mib = min(mib, os.sysconf('SC_AVPHYS_PAGES') * os.sysconf('SC_PAGE_SIZE') // MIB // 2)
    if mib < 1:
        return True
    with mmap.mmap(-1, mib * MIB, flags=mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS) as memory:
        try:
            memory.madvise(MADV_HUGEPAGE)
            memory.madvise(MADV_POPULATE_WRITE)
        except OSError:
            return False
    return True
