"""CPU lists and masks in the kernel's formats."""
# Copyright (c) 2026 the kvm4nfv authors
# SPDX-License-Identifier: GPL-2.0-or-later

from __future__ import annotations

from typing import Iterable


def parse_list(text: str, last: int = 0) -> set[int]:
    """1-3,5 of sysfs, and what a boot parameter may have on top: all, 2-N, 0-31:2/8. ValueError names what is wrong.

    last: the highest CPU, which `all` and `N` stand for.
    """
    cpus: set[int] = set()
    for part in filter(None, (item.strip() for item in text.strip().split(','))):
        if part == 'all':
            cpus.update(range(last + 1))
            continue
        span, _, stride = part.partition(':')
        first, _, end = span.partition('-')
        try:
            low = last if first == 'N' else int(first)
            high = low if not end else last if end == 'N' else int(end)
            used, _, group = stride.partition('/') if stride else ('1', '', '1')
            size, width = int(used), int(group)
            if not 0 <= low <= high or not 0 < size <= width:
                raise ValueError
        except ValueError:
            raise ValueError(f"'{part}' is no CPU list; valid is for example 2-5,7") from None
        cpus.update(cpu for cpu in range(low, high + 1) if (cpu - low) % width < size)
    return cpus


def parse_mask(text: str) -> set[int]:
    """ff,00000003: words of 32 bits in hexadecimal, the highest first."""
    value = 0
    for word in text.strip().split(','):
        value = value << 32 | int(word, 16)
    return {bit for bit in range(value.bit_length()) if value >> bit & 1}


def format_list(cpus: Iterable[int]) -> str:
    """The shortest list: 1-3,5; `none` for no CPU."""
    spans: list[list[int]] = []
    for cpu in sorted(set(cpus)):
        if spans and spans[-1][1] == cpu - 1:
            spans[-1][1] = cpu
        else:
            spans.append([cpu, cpu])
    return ','.join(str(a) if a == b else f'{a}-{b}' for a, b in spans) or 'none'


def format_mask(cpus: Iterable[int], width: int) -> str:
    """A hexadecimal mask for `width` CPUs, in words of 32 bits."""
    value = sum(1 << cpu for cpu in set(cpus))
    words = [f'{value >> 32 * i & 0xffffffff:08x}' for i in reversed(range(max(1, -(-width // 32))))]
    return ','.join([words[0].lstrip('0') or '0', *words[1:]])
