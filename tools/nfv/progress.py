"""What the user sees while a step takes its time, and how a step is interrupted."""
# Copyright (c) 2026 the kvm4nfv authors
# SPDX-License-Identifier: GPL-2.0-or-later

from __future__ import annotations

from contextlib import contextmanager
import os
import shutil
import signal
import sys
import time
from typing import Iterator


BAR_WIDTH = 20


class Failure(Exception):
    """What went wrong and what to do, in words for the user."""


class Stopped(Exception):
    """The user or the system asked us to end."""

    def __init__(self, number: int):
        super().__init__(f'stopped by {signal.Signals(number).name}')
        self.status = 128 + number


class Progress:
    """A live line on a terminal; in a log, a line when a step starts, every ten seconds, and when it ends."""

    def __init__(self) -> None:
        self.signal = 0
        self.live = sys.stdout.isatty()
        self.step_name = self.shown = ''
        self.began = self.told = 0.0
        self.planned = self.done = self.guessed = self.took = 0.0
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
            signal.signal(number, self._note)

    def _note(self, number: int, _frame: object) -> None:
        # Only noted here: each wait calls tick(), which raises where cleaning up is safe.
        self.signal = self.signal or number

    def say(self, text: str) -> None:
        if self.live:
            sys.stdout.write('\r\033[K')
        try:
            print(text, flush=True)
        except BrokenPipeError:
            # Nobody reads any more; what was started must still be ended in order.
            sys.stdout = open(os.devnull, 'w', encoding='utf-8')
            self.signal = self.signal or signal.SIGHUP

    def tick(self) -> None:
        """To be called at least every half second while waiting."""
        if self.signal:
            raise Stopped(self.signal)
        now = time.monotonic()
        if self.step_name and self.live:
            # A line that wraps could not be overwritten.
            bar = self._bar(now)
            name = self.step_name[:max(10, shutil.get_terminal_size().columns - 12 - len(bar))]
            line = f'{bar}{name} ... {now - self.began:.0f} s'
            if line != self.shown:
                sys.stdout.write(f'\r\033[K{line}')
                sys.stdout.flush()
                self.shown = line
        elif self.step_name and now - self.told >= 10:
            self.told = now
            self.say(f'{self.step_name} ... {now - self.began:.0f} s')

    def plan(self, seconds: float) -> None:
        """How long all is expected to take; from now on there is a bar, and the time that is left."""
        self.planned, self.done, self.guessed, self.took = seconds, 0.0, 0.0, 0.0

    def advance(self, guessed: float, took: float) -> None:
        """A part for which `guessed` seconds were planned has taken `took`."""
        self.done += guessed
        self.guessed += guessed
        self.took += took

    def left(self) -> float:
        """Seconds: what is planned, as far off as what is done was."""
        return max(0.0, self.planned - self.done) * (self.took / self.guessed if self.guessed else 1.0)

    def _bar(self, now: float) -> str:
        if not self.planned:
            return ''
        left = max(0.0, self.left() - (now - self.began))
        share = (self.took + now - self.began) / max(0.001, self.took + now - self.began + left)
        full = int(share * BAR_WIDTH)
        return f'[{"#" * full}{"-" * (BAR_WIDTH - full)}] {share * 100:.0f} % '

    @contextmanager
    def step(self, name: str) -> Iterator[None]:
        self.step_name = name
        self.began = self.told = time.monotonic()
        if not self.live:
            self.say(f'{name} ...')
        done = False
        try:
            self.tick()
            yield
            done = True
        finally:
            self.step_name = ''
            self.say(f'{name}: {"" if done else "not done after "}{time.monotonic() - self.began:.1f} s')

    def sleep(self, seconds: float) -> None:
        end = time.monotonic() + seconds
        while (left := end - time.monotonic()) > 0:
            self.tick()
            time.sleep(min(left, 0.2))
