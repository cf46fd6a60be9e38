"""What is made of results that were written before: a comparison of two, or text, page and verdict of one."""
# Copyright (c) 2026 the kvm4nfv authors
# SPDX-License-Identifier: GPL-2.0-or-later

from __future__ import annotations

import argparse
from pathlib import Path

from . import compare, condition, document, figures, session
from .progress import Progress


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument('--compare', nargs=2, type=Path, metavar=('A', 'B'),
                        help='two files of --json: what changed from A to B, on each side')


def add_show_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument('file', type=Path, help='of --json')
    parser.add_argument('--html', metavar='FILE', help='one page for a browser, the verdict first')
    parser.add_argument('--prometheus', metavar='FILE', help='for node_exporter\'s textfile collector')
    parser.add_argument('--fail-if', action='append', default=[], type=condition.parse, metavar='CONDITION',
                        help=condition.HELP)


def show(options: argparse.Namespace, progress: Progress) -> int:
    found = document.load(options.file)
    options.json = None
    progress.say(figures.all_text(found))
    session.write(found, options)
    return session.judge(found, options.fail_if, progress.say)


def run(options: argparse.Namespace, progress: Progress) -> int:
    before, after = (document.load(path) for path in options.compare)
    progress.say(compare.text(before, after))
    return 0
