"""Findings for a terminal."""
# Copyright (c) 2026 the kvm4nfv authors
# SPDX-License-Identifier: GPL-2.0-or-later

from __future__ import annotations

from collections import Counter
from textwrap import wrap
from typing import Mapping, Sequence

from .finding import Finding, Level
from .mend import Advice
from .target import Target
from .tuned import boot_words

COLOURS = {Level.PASS: '32', Level.WARN: '33', Level.FAIL: '1;31'}
NAME = 20       # columns
Groups = Mapping[str, Sequence[Finding]]


def counts(groups: Groups) -> Counter[Level]:
    return Counter(finding.level for findings in groups.values() for finding in findings)


def block(head: str, text: str, indent: int, width: int) -> list[str]:
    """Text beside its head, wrapped; long words such as paths stay whole."""
    lines = wrap(text, max(20, width - indent), break_long_words=False, break_on_hyphens=False) or ['']
    return [head.ljust(indent) + lines[0], *(' ' * indent + line for line in lines[1:])]


def finding_lines(finding: Finding, width: int, colour: bool, full: bool) -> list[str]:
    name = finding.level.value
    lines = block(f'  {name}  {finding.check.ljust(NAME)} ', finding.found, NAME + 9, width)
    if colour:
        lines[0] = lines[0].replace(name, f'\033[{COLOURS[finding.level]}m{name}\033[0m', 1)
    if finding.level is Level.PASS and not full:
        return lines
    lines += block('        why ', finding.why, 12, width)
    if finding.level is not Level.PASS:
        for i, mend in enumerate(finding.mend):
            head = '        do  ' if i == 0 else '            '
            # A command must stay one that can be copied.
            lines += block(head, str(mend), 12, width) if isinstance(mend, Advice) else [head + str(mend)]
    return lines


def text(groups: Groups, target: Target, width: int, colour: bool, full: bool) -> str:
    lines = []
    for group, findings in groups.items():
        lines.append(f'\033[1m{group}\033[0m' if colour else group)
        for finding in findings:
            lines += finding_lines(finding, width, colour, full)
    wanted = boot_words(finding for findings in groups.values() for finding in findings if finding.level is not Level.PASS)
    if wanted:
        lines += ['', 'Boot parameters for the host, together (isolcpus and nohz_full replace those of the same name):',
                  '  ' + ' '.join(wanted)]
    total = counts(groups)
    lines += ['', f'host CPUs for guests: {target.guests} ({target.origin}): ' +
              ', '.join(f'{total[level]} {level.value}' for level in Level)]
    return '\n'.join(lines)
