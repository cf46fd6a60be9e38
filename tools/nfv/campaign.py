"""The runs of a comparison and what they found."""
# Copyright (c) 2026 the kvm4nfv authors
# SPDX-License-Identifier: GPL-2.0-or-later

from __future__ import annotations

from contextlib import ExitStack
import time
from typing import Any

from . import backing, host, plan, table
from .migration import Point
from .profile import Case
from .progress import Failure, Progress
from .sample import FAILED, Row, Sample
from .side import Side
from .trial import Bench, Trial


class Campaign:
    """What the runs found is kept, so it is there however the campaign ends."""

    def __init__(self, points: dict[Case, list[Point]], sides: list[Side], repeat: int, progress: Progress):
        self.points, self.sides, self.repeat, self.progress = points, sides, repeat, progress
        self.found = {case: {at: {side.name: Row() for side in sides} for at in points[case]} for case in points}
        self.skipped: dict[Case, str] = {}
        self.complete = False

    def run(self, bench: Bench) -> None:
        todo = plan.runs(self.points, self.sides, self.repeat)
        guesses = [run.case.seconds(bench.wire_rate) for run in todo]
        took: list[float] = []
        for number, run in enumerate(todo):
            left = plan.duration(plan.seconds_left(guesses, took))
            began = time.monotonic()
            self._one(bench, run, f'[{number + 1}/{len(todo)}, {left} left]')
            took.append(time.monotonic() - began)
            if number + 1 == len(todo) or todo[number + 1].case != run.case:
                self.progress.say(f'\n{self.text(run.case)}\n')
        self.complete = True

    def _one(self, bench: Bench, run: plan.Run, where: str) -> None:
        row = self.found[run.case][run.point][run.side.name]
        # What did not end once will not do so again, and takes the longest of all.
        if run.case in self.skipped or row.hopeless:
            return
        if run.point.postcopy or 'postcopy-ram' in run.side.capabilities:
            if why := host.postcopy_problem():
                self.skipped[run.case] = why
                return
        with ExitStack() as stack:
            try:
                if run.case.backing == 'hugetlb':
                    stack.enter_context(backing.huge_pages(2 * run.case.memory))
            except Failure as failure:
                self.skipped[run.case] = str(failure)
                return
            try:
                with self.progress.step(f'{where} {run.case}, {run.case.backing}; {run.point}; {run.side.name}'):
                    row.samples.append(Trial(bench, run, self.progress).run())
            except Failure as failure:
                self.progress.say(str(failure))
                row.samples.append(Sample(FAILED, error=str(failure)))

    def _rows(self, case: Case) -> list[Row]:
        return [row for sides in self.found[case].values() for row in sides.values()]

    def text(self, case: Case) -> str:
        if case in self.skipped:
            return f'{case}, {case.backing}: skipped: {self.skipped[case]}'
        return table.case_text(case, backing.page_size(case.backing), self.found[case])

    def unfinished(self) -> Case | None:
        """The case that some runs of were made, but not all."""
        for case in self.points:
            rows = self._rows(case)
            if any(row.samples for row in rows) and not all(self._finished(row) for row in rows):
                return case
        return None

    def _finished(self, row: Row) -> bool:
        return row.hopeless or len(row.samples) == self.repeat

    def as_json(self) -> dict[str, Any]:
        rows = [row for case in self.points if case not in self.skipped
                for row in table.case_json(case, backing.page_size(case.backing), self.found[case])]
        return {'complete': self.complete, 'rows': rows,
                'skipped': [{'case': case.as_json(), 'reason': reason} for case, reason in self.skipped.items()]}

    def problem(self) -> str | None:
        """None if each row that was not skipped has its runs, and each of them found its memory right."""
        rows = [row for case in self.points if case not in self.skipped for row in self._rows(case)]
        if not rows:
            return 'nothing was measured: every case was skipped'
        if not all(self._finished(row) and all(sample.good for sample in row.samples) for row in rows):
            return 'not every run was made and proven: see above'
        return None
