"""The test guest's answers on its serial port (guest/init says what they are). Pure."""
# Copyright (c) 2026 the kvm4nfv authors
# SPDX-License-Identifier: GPL-2.0-or-later

from __future__ import annotations

from dataclasses import dataclass

from .histogram import Histogram

MARK = 'nfv-guest: '


@dataclass
class Answer:
    verb: str
    text: str

    def numbers(self) -> dict[str, int]:
        """The answer's NAME=NUMBER words."""
        pairs = (word.split('=', 1) for word in self.text.split() if '=' in word)
        return {name: int(value) for name, value in pairs if value.lstrip('-').isdigit()}

    def word(self, name: str) -> str:
        """The value of a NAME=VALUE word; empty if there is none."""
        return next((word[len(name) + 1:] for word in self.text.split() if word.startswith(f'{name}=')), '')


def parse(line: str) -> Answer | None:
    """None for what is not an answer: firmware, kernel and shell print on the same port."""
    _, mark, rest = line.strip().partition(MARK)
    if not mark or not rest:
        return None
    verb, _, text = rest.partition(' ')
    return Answer(verb, text)


def histogram(answers: list[Answer]) -> Histogram:
    """The histogram of the answers of one measurement: any number of `hist`, then `done`."""
    if not answers or answers[-1].verb != 'done':
        raise ValueError('a measurement without an end')
    done = answers[-1].numbers()
    result = Histogram(overflows=done['overflows'], min=done['min'], avg=done['avg'], max=done['max'])
    for answer in answers[:-1]:
        for pair in answer.text.split()[1:]:
            latency, count = pair.split(':')
            result.buckets[int(latency)] = result.buckets.get(int(latency), 0) + int(count)
    if result.samples != done['samples']:
        raise ValueError(f'{done["samples"]} samples were counted, {result.samples} came over the serial port')
    return result


@dataclass
class Memory:
    """What the guest found when it checked its working set."""

    expected: int
    pages: int
    wrong: int
    table: int
    first: int
    writes: int
    digest: str

    @property
    def intact(self) -> bool:
        return self.pages == self.expected and not self.wrong and not self.table

    def __str__(self) -> str:
        if self.intact:
            return f'{self.pages} of {self.expected} pages intact (digest {self.digest})'
        return (f'WRONG: {self.wrong} of {self.expected} pages differ, {self.table} table entries damaged, '
                f'{self.pages} pages checked, the first bad one is {self.first}')


def memory(answer: Answer, expected: int) -> Memory:
    found = answer.numbers()
    digest = answer.text.partition('digest=')[2].split()[0]
    return Memory(expected=expected, digest=digest,
                  **{name: found[name] for name in ('pages', 'wrong', 'table', 'first', 'writes')})
