"""Where what the tools run is found: in the tree that they lie in, or, where they are installed, in the packages."""
# Copyright (c) 2026 the kvm4nfv authors
# SPDX-License-Identifier: GPL-2.0-or-later

from __future__ import annotations

from pathlib import Path
import shutil

TOP = Path(__file__).resolve().parents[2]
# The name of the installed QEMU, and where it is, in the directory of its own that the packages give it.
INSTALLED, IN_PREFIX = 'qemu-system-x86_64-nfv', 'bin/qemu-system-x86_64'


def qemu(top: Path = TOP) -> Path:
    """That of the tree, whether it is built or not, unless the tools are installed and a QEMU of ours is, too."""
    if not (top / 'configure').exists() and (installed := shutil.which(INSTALLED)):
        return Path(installed)
    return top / 'build/qemu-system-x86_64'


def probe(top: Path = TOP) -> Path:
    """The probe guest that belongs to qemu()."""
    program = qemu(top).resolve()
    prefix = program.parents[1]
    if program == prefix / IN_PREFIX:
        return prefix / 'guest/probe'
    return top / 'build/nfv/guest/probe/probe'
