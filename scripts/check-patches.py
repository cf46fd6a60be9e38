#!/usr/bin/env python3
"""Lint the patch queue: small, additive, explained, and exact on the pinned base.

usage: check-patches.py TOP; prints one TAP line for each patch and rule set.

Copyright (c) 2026 the kvm4nfv authors
SPDX-License-Identifier: GPL-2.0-or-later
"""
import os
import re
import subprocess
import sys
import tempfile
from dataclasses import dataclass, field
from pathlib import Path

MAX_PATCH = 40      # changed lines
MAX_SERIES = 200
MAX_FILES = 5       # upstream files of one patch
TRAILERS = ('Needed-by', 'Upstream-Status', 'Drop-when')


@dataclass
class Patch:
    """A parsed patch file."""
    name: str
    subject: str = ''
    body: str = ''
    trailers: dict = field(default_factory=dict)
    files: list = field(default_factory=list)
    new_files: list = field(default_factory=list)
    added: list = field(default_factory=list)
    removed: list = field(default_factory=list)


def parse(name, text):
    """The parts of a mail-formatted patch."""
    patch = Patch(name)
    head, _, diff = text.partition('\ndiff --git ')
    headers, _, message = head.partition('\n\n')
    match = re.search(r'^Subject: \[PATCH\] ((?:.|\n )*)$', headers, re.M)
    patch.subject = match.group(1).replace('\n ', ' ') if match else ''
    paragraphs = []
    for line in message.splitlines():
        key, colon, value = line.partition(': ')
        if colon and re.fullmatch(r'[A-Z][A-Za-z-]+', key):
            patch.trailers[key] = value
        else:
            paragraphs.append(line)
    patch.body = '\n'.join(paragraphs).strip()
    in_hunk = False
    for line in diff.splitlines():
        if line.startswith('diff --git '):
            in_hunk = False
        elif line.startswith('@@'):
            in_hunk = True
        elif not in_hunk and line.startswith('+++ '):
            patch.files.append(line[4:].removeprefix('b/'))
        elif not in_hunk and line.startswith('new file mode'):
            patch.new_files.append(line)
        elif in_hunk and line.startswith('+'):
            patch.added.append(line[1:])
        elif in_hunk and line.startswith('-'):
            patch.removed.append(line[1:])
    return patch


def complaints(patch, exists):
    """What is wrong with one patch; exists(path) tells whether a file of ours is there."""
    if not re.match(r'[a-z0-9/.-]+: [a-z]', patch.subject):
        yield f"the subject '{patch.subject}' is not of the form 'area: do x'"
    if len(patch.body.split()) < 10:
        yield 'the message does not say why the patch exists'
    for key in TRAILERS:
        if not patch.trailers.get(key):
            yield f"the line '{key}: …' is missing"
    for path in filter(None, re.split(r',\s*', patch.trailers.get('Needed-by', ''))):
        if not exists(path):
            yield f"Needed-by names '{path}', which does not exist"
    if patch.new_files:
        yield 'it adds a file; ours belong in the overlay'
    if patch.removed and 'Removes' not in patch.trailers:
        yield "it removes lines and no 'Removes: …' line says why"
    changed = len(patch.added) + len(patch.removed)
    if changed > MAX_PATCH:
        yield f'{changed} changed lines, more than {MAX_PATCH}'
    if len(patch.files) > MAX_FILES:
        yield f'{len(patch.files)} upstream files, more than {MAX_FILES}'
    if not any(line.strip() for line in patch.added + patch.removed):
        yield 'it changes nothing but white space'


class Base:
    """The tagged sources in qemu/, as git trees in an index of their own."""

    def __init__(self, top):
        self.repo = top / 'qemu'
        self.pinned = 'upstream/' + (self.repo / '.base').read_text().strip()
        self.env = {k: v for k, v in os.environ.items() if not k.startswith('GIT_')}
        self.env.update(GIT_CONFIG_GLOBAL='/dev/null', GIT_CONFIG_NOSYSTEM='1', LC_ALL='C')

    def git(self, *args):
        return subprocess.run(['git', '-C', self.repo, '-c', 'safe.directory=*', *args], env=self.env, text=True,
                              stdout=subprocess.PIPE, stderr=subprocess.STDOUT, check=False)

    def tags(self):
        return self.git('tag', '--list', 'upstream/*').stdout.split()

    def apply(self, tag, patches):
        """Apply the files one after the other on tag; yields (file, git's words, whether it went)."""
        with tempfile.TemporaryDirectory() as tmp:
            self.env['GIT_INDEX_FILE'] = os.path.join(tmp, 'index')
            self.git('read-tree', tag)
            for path in patches:
                run = self.git('apply', '--cached', '--verbose', str(path))
                yield path, run.stdout, run.returncode == 0
            del self.env['GIT_INDEX_FILE']


def checkpatch(top, path):
    run = subprocess.run(['perl', top / 'qemu/scripts/checkpatch.pl', '--no-signoff', '--quiet', path], text=True,
                         cwd=top / 'qemu', stdout=subprocess.PIPE, stderr=subprocess.STDOUT, check=False)
    if run.returncode:
        yield 'checkpatch.pl: ' + ' / '.join(run.stdout.split('\n')[:3])


class Tap:
    """Counts and prints results."""

    def __init__(self):
        self.number = self.failed = 0

    def report(self, name, why):
        self.number += 1
        why = list(why)
        print(f"{'not ok' if why else 'ok'} {self.number} {name}")
        for line in why:
            print(f'# {name}: {line}')
        self.failed += bool(why)


def main():
    top = Path(sys.argv[1]).resolve()
    directory = top / 'patches'
    series = (directory / 'series').read_text().split()
    paths = [directory / name for name in series]
    tap = Tap()
    files = {p.name for p in directory.glob('*.patch')}
    tap.report('series names each patch once',
               [f'{n}: {"not in series" if n in files else "no such file"}' for n in files ^ set(series)] +
               [f'{n}: twice' for n in set(series) if series.count(n) > 1])
    patches = [parse(p.name, p.read_text()) for p in paths if p.exists()]
    for patch in patches:
        tap.report(patch.name, [*complaints(patch, lambda path: (top / path).exists()),
                                *checkpatch(top, directory / patch.name)])
    total = sum(len(p.added) + len(p.removed) for p in patches)
    tap.report(f'series has {total} changed lines',
               [f'more than {MAX_SERIES}'] if total > MAX_SERIES else [])

    base = Base(top)
    for tag in base.tags():
        why = []
        for path, words, went in base.apply(tag, paths):
            moved = re.search(r'offset -?\d+', words) if tag == base.pinned else None
            if not went or moved:
                why.append(f'{path.name}: {moved.group(0) if went else words.strip()}')
        tap.report(f'series applies to {tag}', why)
    print(f'1..{tap.number}')
    return 1 if tap.failed else 0


if __name__ == '__main__':
    sys.exit(main())
