"""Runs the tests of a file and prints TAP, so that each is counted, and each that is skipped says why."""
# Copyright (c) 2026 the kvm4nfv authors
# SPDX-License-Identifier: GPL-2.0-or-later

from __future__ import annotations

import sys
import traceback
from typing import Any, TextIO
import unittest


def say(text: str) -> None:
    """For a person who reads the log."""
    for line in text.splitlines():
        print(f'# {line}', flush=True)


class Result(unittest.TestResult):
    def __init__(self, out: TextIO):
        super().__init__()
        self.out, self.number = out, 0

    def line(self, good: bool, test: Any, more: str = '') -> None:
        self.number += 1
        # A number sign would begin a directive.
        name = test.id().removeprefix('__main__.').replace('#', ' ')
        print(f'{"ok" if good else "not ok"} {self.number} {name}{more}', file=self.out, flush=True)

    def bad(self, test: Any, error: Any) -> None:
        self.line(False, test)
        for line in ''.join(traceback.format_exception(*error)).splitlines():
            print(f'# {line}', file=self.out, flush=True)

    def addSuccess(self, test: Any) -> None:
        self.line(True, test)

    def addError(self, test: Any, err: Any) -> None:
        super().addError(test, err)
        self.bad(test, err)

    def addFailure(self, test: Any, err: Any) -> None:
        super().addFailure(test, err)
        self.bad(test, err)

    def addSubTest(self, test: Any, subtest: Any, err: Any) -> None:
        super().addSubTest(test, subtest, err)
        if err:
            self.bad(subtest, err)

    def addSkip(self, test: Any, reason: str) -> None:
        super().addSkip(test, reason)
        self.line(True, test, f' # SKIP {reason}')


def run(suite: unittest.TestSuite, out: TextIO) -> bool:
    """Whether all was well."""
    result = Result(out)
    suite.run(result)
    print(f'1..{result.number}', file=out, flush=True)
    return result.wasSuccessful()


def main(names: list[str]) -> None:
    """All tests of the program that calls it, or those named: CLASS or CLASS.TEST."""
    loader, module = unittest.defaultTestLoader, sys.modules['__main__']
    suite = loader.loadTestsFromNames(names, module) if names else loader.loadTestsFromModule(module)
    sys.exit(0 if run(suite, sys.stdout) else 1)
