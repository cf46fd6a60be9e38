"""A domain's serial console, as `virsh console` gives it to a person, and the test guest's answers on it."""
# Copyright (c) 2026 the kvm4nfv authors
# SPDX-License-Identifier: GPL-2.0-or-later

from __future__ import annotations

import time

from nfv import answer
from nfv.progress import Failure

from terminal import TIMEOUT, Terminal
from virthost import VirtHost


class Console(Terminal):
    """Attached when it is made; a guest that is paused until then loses nothing that it says."""

    def __init__(self, host: VirtHost, domain: str):
        super().__init__(host, 'console', domain, '--force')
        end = time.monotonic() + TIMEOUT
        while not self.raw():
            self._read()
            if self.process.poll() is not None or time.monotonic() > end:
                self.end()
                raise Failure(f'{host.name}: {self.command} did not attach:\n' + '\n'.join(self.lines[-10:]))

    def expect(self, verb: str, timeout: float = TIMEOUT) -> answer.Answer:
        """The guest's next answer of this verb."""
        def match(line: str) -> answer.Answer | None:
            reply = answer.parse(line)
            if reply and reply.verb == 'error':
                raise Failure(f'the guest cannot do it: {reply.text}')
            return reply if reply and reply.verb == verb else None

        return self.find(f'the guest\'s "{verb}"', match, timeout)

    def ask(self, command: str, verb: str, timeout: float = TIMEOUT) -> answer.Answer:
        self.type(f'{command}\n')
        return self.expect(verb, timeout)
