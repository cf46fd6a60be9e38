"""What the guest's RAM is made of, and huge pages for it."""
# Copyright (c) 2026 the kvm4nfv authors
# SPDX-License-Identifier: GPL-2.0-or-later

from __future__ import annotations

from contextlib import contextmanager
import os
from pathlib import Path
import re
from typing import Iterator

from . import shared
from .progress import Failure

HUGE = Path('/sys/kernel/mm/hugepages/hugepages-2048kB')
HUGE_MIB = 2
# Of root's alone, as the count is: how many pages each run has reserved.
USERS = Path('/run/kvm4nfv-huge-pages')
THP = Path('/sys/kernel/mm/transparent_hugepage')
OBJECTS = {
    'anon': 'memory-backend-ram',
    'memfd': 'memory-backend-memfd,share=on',
    'hugetlb': 'memory-backend-memfd,share=on,hugetlb=on,hugetlbsize=2M,prealloc=on',
}
NAMES = tuple(OBJECTS)
# In which a page comes over in post-copy.
PAGE_BYTES = {'anon': 4096, 'memfd': 4096, 'hugetlb': HUGE_MIB << 20}


def arguments(name: str, mib: int) -> list[str]:
    """For QEMU; always an object, because machine types choose differently if they are let. Pure."""
    return ['-m', str(mib), '-object', f'{OBJECTS[name]},id=ram,size={mib}M,merge=off',
            '-machine', 'memory-backend=ram']


def chosen(setting: str) -> str:
    """The word in brackets of such a file of the kernel's. Pure."""
    found = re.search(r'\[(\w+)\]', setting)
    return found[1] if found else 'never'


def page_size(name: str) -> str:
    """What QEMU gets on this host; it asks for transparent huge pages (madvise)."""
    if name == 'hugetlb':
        return '2 MiB pages, preallocated'
    try:
        setting = chosen((THP / ('enabled' if name == 'anon' else 'shmem_enabled')).read_text(encoding='ascii'))
    except OSError:
        setting = 'never'
    return '4 KiB pages' if setting in ('never', 'deny') else '4 KiB pages and THP'


@contextmanager
def huge_pages(mib: int) -> Iterator[None]:
    """Room for `mib` MiB in huge pages beside those that are reserved already; they are given back.

    Who may not reserve any uses those that are free.
    """
    number = HUGE / 'nr_hugepages'
    count = (mib + HUGE_MIB - 1) // HUGE_MIB
    if not number.exists():
        raise Failure('this kernel has no huge pages of 2 MiB')
    if not os.access(number, os.W_OK):
        if int((HUGE / 'free_hugepages').read_text(encoding='ascii')) < count:
            raise Failure(f'{count} huge pages are needed, and only root can reserve them: run as root')
        yield
        return
    added = _add(number, count)
    try:
        if added < count:
            raise Failure(f'only {added} of {count} huge pages could be reserved: free memory, or use less --memory')
        yield
    finally:
        _add(number, -added)


def can_reserve(mib: int) -> bool:
    """Whether huge_pages() would at least try."""
    number = HUGE / 'nr_hugepages'
    if not number.exists():
        return False
    free = int((HUGE / 'free_hugepages').read_text(encoding='ascii')) * HUGE_MIB
    return os.access(number, os.W_OK) or free >= mib


def _add(number: Path, change: int) -> int:
    """How many more there are. The count is everybody's: runs of ours take turns to change it.

    What a run that was killed has left is given back by the next one.
    """
    with shared.state(USERS) as state:
        pages: dict[str, int] = state.setdefault('pages', {})
        left = sum(pages.pop(pid) for pid in list(pages) if int(pid) not in state['users'])
        now = int(number.read_text(encoding='ascii'))
        # Somebody may have done so by hand; those of runs that go on must stay.
        before = now - min(left, max(0, now - sum(pages.values())))
        number.write_text(str(max(0, before + change)), encoding='ascii')
        added = int(number.read_text(encoding='ascii')) - before
        me = os.getpid()
        pages[str(me)] = pages.get(str(me), 0) + added
        if pages[str(me)] <= 0:
            del pages[str(me)]
        state['users'] = [pid for pid in state['users'] if pid != me] + ([me] if str(me) in pages else [])
        return added
