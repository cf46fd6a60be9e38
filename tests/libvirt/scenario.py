"""The commands of a page of the manual that are run on the hosts of a test, and what it shows of their output. Pure.

A code block of the class ``host-a`` or ``host-b`` is run there; one of the class ``shows`` is what it prints, in the
form of the class ``output`` of other pages (docs/developer/documentation.rst).
"""
# Copyright (c) 2026 the kvm4nfv authors
# SPDX-License-Identifier: GPL-2.0-or-later

from __future__ import annotations

from dataclasses import dataclass
import re
import textwrap

BLOCK = re.compile(r'^(?P<indent> *)\.\. code-block:: *\w*\n(?P<options>(?:(?P=indent) +:[^\n]*\n)*)\n'
                   r'(?P<body>(?:(?:(?P=indent) {2,}[^\n]*|[ ]*)\n)+)', re.MULTILINE)
CLASSES = re.compile(r':class: *(.*)')
HOSTS = {'host-a', 'host-b'}


@dataclass
class Step:
    host: str
    commands: str
    line: int
    shows: str | None = None


def steps(page: str) -> list[Step]:
    found: list[Step] = []
    for block in BLOCK.finditer(page + '\n'):
        named = CLASSES.search(block['options'])
        classes = set(named[1].split()) if named else set()
        text = textwrap.dedent(block['body']).strip('\n')
        line = page.count('\n', 0, block.start()) + 1
        if hosts := classes & HOSTS:
            found.append(Step(hosts.pop(), text, line))
        elif 'shows' in classes:
            if not found or found[-1].shows is not None:
                raise ValueError(f'line {line}: it shows the output of no command')
            found[-1].shows = text
    return found
