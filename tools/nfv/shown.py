"""Whether a command printed what a document shows of it."""
# Copyright (c) 2026 the kvm4nfv authors
# SPDX-License-Identifier: GPL-2.0-or-later

from __future__ import annotations

import re

ELLIPSIS = '…'


def pattern(line: str) -> str:
    """A regular expression for a line of output: … is any text, and white space is as good as other white space."""
    if line == ELLIPSIS:
        return r'(?:.*\n)*?'
    parts = (r'[ \t]+'.join(map(re.escape, re.split(r'[ \t]+', part))) for part in line.split(ELLIPSIS))
    return r'[ \t]*' + '.*'.join(parts) + r'[ \t]*\n'


def difference(shown: str, printed: str) -> str | None:
    """The first shown line that was not printed right after the ones before it; None if all were.

    A line that is only … stands for any number of lines. Before the first line and after the last one anything may have
    been printed. Empty lines do not count.
    """
    output = ''.join(f'{line}\n' for line in printed.splitlines() if line.strip())
    so_far = '^'
    for line in filter(None, map(str.strip, shown.splitlines())):
        so_far += pattern(line)
        if not re.search(so_far, output, re.MULTILINE):
            return line
    return None
