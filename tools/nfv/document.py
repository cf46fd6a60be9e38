"""The result of a session as a JSON document."""
# Copyright (c) 2026 the kvm4nfv authors
# SPDX-License-Identifier: GPL-2.0-or-later

from __future__ import annotations

import json
import os
from pathlib import Path
import tempfile
from typing import Any, Sequence

from .contender import Contender
from .measurement import Case, Measurement
from .progress import Failure

SCHEMA = 1


class Document:
    """Rows, one for each case and load, in the order in which they were met."""

    def __init__(self, sides: Sequence[Contender]):
        self.complete = False
        self.machine: dict[str, Any] = {}
        self.sides: dict[str, Any] = {side.name: {'title': side.title} for side in sides}
        self.rows: dict[Case, dict[str, Any]] = {}
        self.skipped: list[dict[str, str]] = []
        self.migrations: dict[str, Any] | None = None

    def describe(self, machine: dict[str, Any], sides: Sequence[Contender]) -> None:
        self.machine = machine
        for side in sides:
            self.sides[side.name] = {'title': side.title, 'machine': side.machine, 'arguments': list(side.arguments),
                                     'version': _version(side)}

    def row(self, case: Case) -> dict[str, Any]:
        if case not in self.rows:
            self.rows[case] = {**case.as_json(), 'sides': {}}
        return self.rows[case]

    def _side(self, case: Case, side: Contender) -> dict[str, Any]:
        return self.row(case)['sides'].setdefault(side.name, {'rounds': [], 'errors': []})

    def add(self, case: Case, side: Contender, measured: Measurement) -> None:
        self._side(case, side)['rounds'].append(measured.as_json())

    def fail(self, case: Case, side: Contender, why: str) -> None:
        self._side(case, side)['errors'].append(why)

    def skip(self, case: Case, side: Contender, why: str) -> bool:
        """True the first time that this test was skipped for this reason."""
        entry = {'test': case.test, 'case': case.name, 'title': case.title, 'stress': str(case.stress),
                 'side': side.name, 'reason': why}
        first = not any(one['test'] == case.test and one['reason'] == why for one in self.skipped)
        if entry not in self.skipped:
            self.skipped.append(entry)
        return first

    def as_json(self) -> dict[str, Any]:
        return {'schema': SCHEMA, 'kind': 'nfv-bench', 'complete': self.complete, 'machine': self.machine,
                'sides': self.sides, 'results': list(self.rows.values()), 'skipped': self.skipped,
                'migrations': self.migrations}


def _version(side: Contender) -> str:
    try:
        return side.version()
    except Failure as failure:
        return str(failure)


def save(found: dict[str, Any], path: Path) -> None:
    """Whole or not at all."""
    replace(path, json.dumps(found) + '\n')


def replace(path: Path, text: str) -> None:
    """A reader finds the old file or the new one."""
    if path.exists() and not path.is_file():
        path.write_text(text, encoding='utf-8')
        return
    handle, name = tempfile.mkstemp(dir=path.absolute().parent, prefix=f'.{path.name}.')
    try:
        with open(handle, 'w', encoding='utf-8') as file:
            file.write(text)
        os.chmod(name, 0o666 & ~_umask())
        os.replace(name, path)
    except BaseException:
        os.unlink(name)
        raise


def _umask() -> int:
    mask = os.umask(0)
    os.umask(mask)
    return mask


def load(path: Path) -> dict[str, Any]:
    try:
        found = json.loads(path.read_text(encoding='utf-8'))
    except OSError as error:
        raise Failure(f'cannot read {path}: {error.strerror}') from error
    except ValueError as error:
        raise Failure(f'{path} is no JSON: {error}') from error
    if not isinstance(found, dict) or found.get('kind') != 'nfv-bench':
        raise Failure(f'{path} was not written by nfv-bench --json')
    if found.get('schema') != SCHEMA:
        raise Failure(f'{path} has the schema {found.get("schema")}; this nfv-bench reads {SCHEMA}')
    return found
