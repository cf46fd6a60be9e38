"""How much memory a process has allocated."""
# Copyright (c) 2026 the kvm4nfv authors
# SPDX-License-Identifier: GPL-2.0-or-later

from __future__ import annotations

from pathlib import Path
import re

COUNTED = ('Pss', 'Private_Hugetlb', 'Shared_Hugetlb')


def parse(smaps_rollup: str) -> int:
    """KiB that are its own: its share of mapped pages and its huge pages. Pure."""
    found = dict(re.findall(r'^(\w+):\s+(\d+) kB$', smaps_rollup, re.MULTILINE))
    if 'Pss' not in found:
        raise ValueError('smaps_rollup has no Pss')
    return sum(int(found.get(name, 0)) for name in COUNTED)


def kib(pid: int) -> int | None:
    """None where the kernel does not tell."""
    try:
        return parse(Path(f'/proc/{pid}/smaps_rollup').read_text(encoding='ascii'))
    except (OSError, ValueError):
        return None
