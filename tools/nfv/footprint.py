"""How much memory a process has allocated."""
# Copyright (c) 2026 the kvm4nfv authors
# SPDX-License-Identifier: GPL-2.0-or-later

from __future__ import annotations

from pathlib import Path
import re

# Not its program: its share of that changes with how many others run it.
COUNTED = ('Pss_Anon', 'Pss_Shmem', 'Private_Hugetlb', 'Shared_Hugetlb')


def parse(smaps_rollup: str) -> int:
    """KiB that are its own: its share of memory that is no file on a disk, and its huge pages. Pure."""
    found = dict(re.findall(r'^(\w+):\s+(\d+) kB$', smaps_rollup, re.MULTILINE))
    if 'Pss_Anon' not in found:
        raise ValueError('smaps_rollup has no Pss_Anon')
    return sum(int(found.get(name, 0)) for name in COUNTED)


def parse_ram(smaps: str, size: int) -> int:
    """KiB that are populated of the guest's RAM: of the smallest mapping that has at least `size` KiB. Pure."""
    found = [dict(re.findall(r'^(\w+):\s+(\d+) kB$', part, re.MULTILINE))
             for part in re.split(r'^[0-9a-f]+-[0-9a-f]+ .*$', smaps, flags=re.MULTILINE)]
    mappings = [mapping for mapping in found if int(mapping.get('Size', 0)) >= size]
    if not mappings:
        raise ValueError(f'smaps has no mapping of {size} KiB')
    ram = min(mappings, key=lambda mapping: int(mapping['Size']))
    return sum(int(ram.get(name, 0)) for name in ('Rss', 'Private_Hugetlb', 'Shared_Hugetlb'))


def populated(pid: int, mib: int) -> int | None:
    """Bytes of the guest's RAM of `mib` MiB that QEMU has populated; None where the kernel does not tell."""
    try:
        return parse_ram(Path(f'/proc/{pid}/smaps').read_text(encoding='ascii', errors='replace'), mib * 1024) * 1024
    except (OSError, ValueError):
        return None


def kib(pid: int) -> int | None:
    """None where the kernel does not tell."""
    try:
        return parse(Path(f'/proc/{pid}/smaps_rollup').read_text(encoding='ascii'))
    except (OSError, ValueError):
        return None
