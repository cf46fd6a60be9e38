"""How long the guest waited for pages in post-copy, out of the destination's trace log. Pure.

The events are QEMU's own, so they are the same for every build: a fault is reported, and its page is placed.
"""
# Copyright (c) 2026 the kvm4nfv authors
# SPDX-License-Identifier: GPL-2.0-or-later

from __future__ import annotations

import re

TRACES = ('postcopy_ram_fault_thread_request', 'postcopy_place_page', 'postcopy_place_page_zero')
EVENT = re.compile(r'^\d+@(\d+)\.(\d{6}):postcopy_(?:(ram_fault_thread_request Request for HVA)|place_page(?:_zero)? host)'
                   r'=0x([0-9a-f]+)', re.MULTILINE)


def stalls_us(log: str, page_bytes: int) -> list[int]:
    """Of each fault whose page was placed after it, in microseconds, in the order of their ends."""
    waiting: dict[int, list[int]] = {}
    found: list[int] = []
    for seconds, us, is_fault, address in EVENT.findall(log):
        time, page = int(seconds) * 1000000 + int(us), int(address, 16) // page_bytes
        if is_fault:
            waiting.setdefault(page, []).append(time)
        else:
            found += [time - since for since in waiting.pop(page, ())]
    return found


def quantile(values: list[int], share: float) -> float | None:
    """The smallest value that `share` of all are not above; None of none."""
    if not values:
        return None
    return sorted(values)[min(len(values) - 1, int(share * len(values)))]
