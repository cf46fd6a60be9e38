"""nfv-bench all: every test that this host can run, and a list of what it cannot, and why."""
# Copyright (c) 2026 the kvm4nfv authors
# SPDX-License-Identifier: GPL-2.0-or-later

from __future__ import annotations

import argparse
import json
from pathlib import Path
import tempfile
from typing import Any, Mapping

from . import figures, migrate, session
from .measurement import Test
from .progress import Failure, Progress, Stopped
from .session import Session
from .side import Side

TITLE = 'every test that this host can run; says what was skipped, and why'


def add_arguments(parser: argparse.ArgumentParser, tests: Mapping[str, Test]) -> None:
    session.add_arguments(parser)
    parser.add_argument('--without', type=session.words((*tests, 'migrate')), default=(), metavar='LIST',
                        help=f'leave out, of {",".join((*tests, "migrate"))}')
    for test in tests.values():
        test.add_arguments(parser)


def migrations(options: argparse.Namespace, progress: Progress) -> dict[str, Any]:
    """What `nfv-bench migrate` finds, in its own form, with its exit status."""
    parser = argparse.ArgumentParser()
    migrate.add_arguments(parser)
    with tempfile.TemporaryDirectory(prefix='nfv-bench.') as directory:
        path = Path(directory) / 'migrate.json'
        small = ['--quick'] if options.quick else ['--repeat', str(options.rounds), '--shares', '30', '--rates', '0.5',
                                                   '--smp', '1', '--profile', 'devices,hot,ring']
        words = [*small, '--json', str(path), '--fork', options.fork, '--stock', options.stock,
                 '--accel', options.accel, '--probe', options.probe]
        status = migrate.run(parser.parse_args(words), progress)
        return {'status': status, **json.loads(path.read_text(encoding='utf-8'))}


def run(tests: Mapping[str, Test], options: argparse.Namespace, progress: Progress) -> int:
    """Exit status 0: what was not skipped was measured, and no condition of --fail-if holds."""
    whole = Session({name: test for name, test in tests.items() if name not in options.without}, options, progress)
    status = 0
    try:
        with session.written(whole, options):
            whole.run()
            if 'migrate' not in options.without:
                whole.found.complete = False
                status = _migrate(whole, options, progress)
                whole.found.complete = True
    except Stopped:
        progress.say(f'\n{figures.all_text(whole.found.as_json())}')
        raise
    found = whole.found.as_json()
    progress.say('\n' + figures.all_text({**found, 'results': []}))
    return session.judge(found, options.fail_if, progress.say) or status


def _migrate(whole: Session, options: argparse.Namespace, progress: Progress) -> int:
    for name, qemu in (('stock', options.stock), ('fork', options.fork)):
        try:
            Side(name, qemu, '').check()
        except Failure as failure:
            progress.say(f'skipped: migrate: {failure}')
            whole.found.migrations = {'status': 0, 'skipped': str(failure)}
            return 0
    try:
        whole.found.migrations = migrations(options, progress)
    except Failure as failure:
        progress.say(f'migrate: {failure}')
        whole.found.migrations = {'status': 1, 'error': str(failure)}
    return whole.found.migrations['status']
