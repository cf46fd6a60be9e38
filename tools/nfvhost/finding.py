"""What a check says about a host."""
# Copyright (c) 2026 the kvm4nfv authors
# SPDX-License-Identifier: GPL-2.0-or-later

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum
from typing import Any

from .mend import Mend


class Level(Enum):
    """WARN: works, slower or less evenly. FAIL: a guest does not start, or its deadlines are missed."""

    PASS = 'PASS'
    WARN = 'WARN'
    FAIL = 'FAIL'


@dataclass(frozen=True)
class Finding:
    """mend: what brings the wanted state about; also there if the state is as wanted, for profiles."""

    check: str
    level: Level
    found: str
    why: str
    mend: tuple[Mend, ...] = ()

    def as_json(self, group: str) -> dict[str, Any]:
        return {'group': group, 'check': self.check, 'level': self.level.value, 'found': self.found, 'why': self.why,
                'mend': [{'kind': type(mend).__name__.lower(), 'text': str(mend)} for mend in self.mend]
                if self.level is not Level.PASS else []}


def judged(check: str, good: bool, found: str, why: str, *mend: Mend, bad: Level = Level.FAIL) -> Finding:
    return Finding(check, Level.PASS if good else bad, found, why, mend)
