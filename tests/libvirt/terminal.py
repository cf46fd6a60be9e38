"""A command of virsh's that stays, on a terminal, and the lines that it prints."""
# Copyright (c) 2026 the kvm4nfv authors
# SPDX-License-Identifier: GPL-2.0-or-later

from __future__ import annotations

import os
import pty
import select
import subprocess
import termios
import time
from typing import Callable, TypeVar

from nfv.progress import Failure

from virthost import VirtHost

T = TypeVar('T')
TIMEOUT = 60


class Terminal:
    def __init__(self, host: VirtHost, *arguments: str):
        self.host = host
        self.command = ' '.join(('virsh', *arguments))
        self.partial = b''
        self.lines: list[str] = []
        self.master, terminal = pty.openpty()
        # pylint: disable=consider-using-with
        self.process = subprocess.Popen(host.inside('virsh', '-c', 'qemu:///system', *arguments), stdin=terminal,
                                        stdout=terminal, stderr=terminal, start_new_session=True)
        os.close(terminal)

    def _read(self) -> list[str]:
        """New whole lines, after waiting a moment for them."""
        if not select.select([self.master], [], [], 0.1)[0]:
            return []
        try:
            data = os.read(self.master, 65536)
        except OSError:
            # The command has ended.
            time.sleep(0.1)
            return []
        *lines, self.partial = (self.partial + data).split(b'\n')
        new = [line.decode(errors='replace').strip() for line in lines]
        self.lines += new
        return new

    def find(self, what: str, match: Callable[[str], T | None], timeout: float = TIMEOUT) -> T:
        """What `match` makes of the first new line that it does not answer None to."""
        end = time.monotonic() + timeout
        while time.monotonic() < end:
            for line in self._read():
                if (found := match(line)) is not None:
                    return found
        raise Failure(f'{self.host.name}: {self.command} did not show {what} in {timeout:.0f} s; it says:\n' +
                      '\n'.join(self.lines[-10:]) + '\n' + self.host.said())

    def raw(self) -> bool:
        """Whether the command has switched the terminal to single characters; it throws away what was typed before."""
        return not termios.tcgetattr(self.master)[3] & termios.ICANON

    def type(self, text: str) -> None:
        os.write(self.master, text.encode())

    def end(self) -> None:
        self.process.kill()
        self.process.wait()
        os.close(self.master)
