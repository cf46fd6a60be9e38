"""The kernel's boot line."""
# Copyright (c) 2026 the kvm4nfv authors
# SPDX-License-Identifier: GPL-2.0-or-later

from __future__ import annotations

import shlex

from .cpulist import parse_list
from .root import Root


def words(root: Root) -> list[str]:
    line = root.read('/proc/cmdline') or ''
    try:
        return shlex.split(line)
    except ValueError:
        return line.split()


def value(root: Root, name: str) -> str | None:
    """What a parameter was set to last; '' where it stands alone. The kernel takes - for _ in names."""
    found = None
    for word in words(root):
        key, _, text = word.partition('=')
        if key.replace('-', '_') == name.replace('-', '_'):
            found = text
    return found


def cpus(root: Root, name: str, last: int) -> set[int]:
    """The CPUs of a parameter such as isolcpus=managed_irq,domain,2-7."""
    items = (value(root, name) or '').split(',')
    found: set[int] = set()
    for item in items:
        try:
            found |= parse_list(item, last)
        except ValueError:
            continue        # a flag
    return found
