"""What a latency test of nfv-bench consists of: cases, and what one run of one side found. Pure.

A test is a module of this package that is named in subcommands.py and has an object TEST with the methods of Test.
"""
# Copyright (c) 2026 the kvm4nfv authors
# SPDX-License-Identifier: GPL-2.0-or-later

from __future__ import annotations

from dataclasses import dataclass, field
import argparse
from typing import TYPE_CHECKING, Any, Protocol, Sequence

from .histogram import Histogram
from .stress import IDLE, Stress

if TYPE_CHECKING:
    from .bench import Bench
    from .contender import Contender


@dataclass(frozen=True)
class Case:
    """What is measured with the same words for every side. seconds: a guess at what one run of one side takes.

    name: within the test, of letters, digits and '-', as --fail-if names it; title: for people; parameters: for JSON;
    sides: those that it is measured on, None for all that were chosen.
    """

    test: str
    name: str
    title: str
    seconds: float
    parameters: tuple[tuple[str, Any], ...] = ()
    stress: Stress = IDLE
    sides: tuple[str, ...] | None = None

    def __str__(self) -> str:
        return f'{self.test}: {self.title}; {self.stress.title}'

    def as_json(self) -> dict[str, Any]:
        return {'test': self.test, 'case': self.name, 'title': self.title, 'stress': str(self.stress),
                'parameters': dict(self.parameters)}


@dataclass
class Measurement:
    """What one run of one side found.

    latency: histograms in nanoseconds by the name of what was measured: 'latency', or 'before', 'during', 'after', …;
    values: further numbers, which become columns of the table; details: for JSON alone.
    """

    latency: dict[str, Histogram] = field(default_factory=dict)
    values: dict[str, float] = field(default_factory=dict)
    details: dict[str, Any] = field(default_factory=dict)

    def as_json(self) -> dict[str, Any]:
        return {'latency': {name: histogram.as_json() for name, histogram in self.latency.items()},
                'values': self.values, 'details': self.details}


class Test(Protocol):
    """The methods are called in this order; title is a line for --help."""

    name: str
    title: str

    def add_arguments(self, parser: argparse.ArgumentParser) -> None:
        """Its own options, each with a default, in a group of its own; those of all tests are there already."""

    def cases(self, options: argparse.Namespace) -> Sequence[Case]:
        """What the options ask for; raises Failure for a value that cannot be. Without stress: that is multiplied."""

    def skip(self, bench: Bench, case: Case, side: Contender) -> str | None:
        """Why this host cannot measure that, with the next step (a missing tool with its package), or None."""

    def run(self, bench: Bench, case: Case, side: Contender) -> Measurement:
        """One run, with everything that it started ended when it returns or raises; raises Failure if it failed."""
