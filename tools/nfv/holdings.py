"""What a process holds that it could leak: descriptors, threads, memory."""
# Copyright (c) 2026 the kvm4nfv authors
# SPDX-License-Identifier: GPL-2.0-or-later

from __future__ import annotations

from dataclasses import dataclass
import os

from . import footprint


@dataclass(frozen=True)
class Holdings:
    """kib: memory that is its own, with the guest's."""

    descriptors: int
    threads: int
    kib: int

    def __sub__(self, before: Holdings) -> Holdings:
        return Holdings(self.descriptors - before.descriptors, self.threads - before.threads, self.kib - before.kib)

    def __str__(self) -> str:
        return f'{self.descriptors} descriptors, {self.threads} threads, {self.kib / 1024:.1f} MiB'


def of(pid: int) -> Holdings:
    """Right now; threads of a migration and of QEMU's pools may be about to end."""
    return Holdings(len(os.listdir(f'/proc/{pid}/fd')), len(os.listdir(f'/proc/{pid}/task')), footprint.kib(pid) or 0)
