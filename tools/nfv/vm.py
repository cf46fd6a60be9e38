"""One QEMU process with a test guest in it: started, asked over QMP and the serial port, ended by its process id."""
# Copyright (c) 2026 the kvm4nfv authors
# SPDX-License-Identifier: GPL-2.0-or-later

from __future__ import annotations

import asyncio
import os
from pathlib import Path
import select
import socket
import subprocess
import time
from typing import Any, Callable, Collection, Sequence

from qemu.qmp import QMPError
from qemu.qmp.legacy import QEMUMonitorProtocol

from . import answer
from .progress import Failure, Progress
from .stress import killed_with_us

TAIL_LINES = 12
DOWNTIME_TRACE = ('vmstate_downtime_checkpoint',)


def prepare(cpus: Collection[int]) -> None:
    """In the child."""
    killed_with_us()
    if cpus:
        os.sched_setaffinity(0, cpus)


class Vm:
    """`name` is for messages and file names; `log` is QEMU's trace log."""

    def __init__(self, name: str, directory: Path, progress: Progress):
        self.name = name
        self.log = directory / f'{name}.log'
        self.output = directory / f'{name}.out'
        self.progress = progress
        self.process: subprocess.Popen[bytes] | None = None
        self.monitor: QEMUMonitorProtocol | None = None
        self.serial: socket.socket | None = None
        self.lines: list[str] = []
        self.partial = b''
        self.ready = answer.Answer('', '')      # what the guest said when it was

    def start(self, command: list[str], timeout: float, traces: Sequence[str] = DOWNTIME_TRACE,
              cpus: Collection[int] = ()) -> None:
        """Returns when QEMU answers QMP. `cpus`: the host CPUs that all of it runs on, if any are given."""
        monitor, monitor_end = socket.socketpair()
        self.serial, serial_end = socket.socketpair()
        fds = [end.fileno() for end in (monitor_end, serial_end)]
        command = [*command, '-display', 'none', '-no-user-config', '-no-reboot',
                   '-chardev', f'socket,id=monitor,fd={fds[0]}', '-mon', 'chardev=monitor,mode=control',
                   '-chardev', f'socket,id=serial,fd={fds[1]}', '-serial', 'chardev:serial',
                   '-msg', 'timestamp=on', '-D', str(self.log)]
        for trace in traces:
            command += ['-trace', trace]
        with monitor_end, serial_end, open(self.output, 'wb') as output:
            try:
                # In a session of its own, so that Ctrl-C reaches us alone and we end it in order.
                # pylint: disable=consider-using-with
                self.process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=output, stderr=output,
                                                pass_fds=fds, start_new_session=True,
                                                preexec_fn=lambda: prepare(cpus))
            except OSError as error:
                monitor.close()
                raise Failure(f'cannot run {command[0]}: {error.strerror}; build it first (make), '
                              'or give the right path with --qemu') from error
        self.monitor = QEMUMonitorProtocol(monitor, nickname=self.name)
        self.monitor.settimeout(20)
        self.wait('answer on its monitor', lambda: bool(select.select([monitor], [], [], 0.2)[0]), timeout)
        try:
            self.monitor.connect()
        except (QMPError, OSError, EOFError) as error:
            raise self.failure('ended at its start') from error

    @property
    def pid(self) -> int:
        assert self.process
        return self.process.pid

    def end(self) -> None:
        """Whatever state it is in."""
        if self.process:
            self.process.kill()
            self.process.wait()
        if self.monitor:
            try:
                self.monitor.close()
            except (QMPError, OSError, EOFError, asyncio.TimeoutError):
                pass
        if self.serial:
            self.serial.close()

    def failure(self, what: str) -> Failure:
        """With what QEMU and the guest said last."""
        if self.serial:
            self._read_serial(0.1)
        text = [f'QEMU ({self.name}) {what}']
        if self.process:
            try:
                # A process that is just ending is to be seen as ended.
                text[0] += f' (exit status {self.process.wait(0.2)})'
            except subprocess.TimeoutExpired:
                pass
        for title, lines in (('QEMU says', self._read_output()), ('the guest\'s serial port says', self.lines)):
            if lines:
                text += [f'{title}:', *(f'    {line}' for line in lines[-TAIL_LINES:])]
        return Failure('\n'.join(text))

    def _read_output(self) -> list[str]:
        return self.output.read_text(errors='replace').splitlines() if self.output.exists() else []

    def wait(self, what: str, ready: Callable[[], bool], timeout: float) -> None:
        """Until ready() is true, which itself takes some time, at most half a second."""
        end = time.monotonic() + timeout
        while not ready():
            self.progress.tick()
            if self.process and self.process.poll() is not None:
                raise self.failure(f'ended; it should {what}')
            if any('KVM internal error' in line for line in self._read_output()):
                raise self.failure('stopped on a KVM internal error')
            if time.monotonic() > end:
                raise self.failure(f'did not {what} within {timeout:.0f} s')

    def qmp(self, command: str, **arguments: Any) -> Any:
        assert self.monitor
        try:
            return self.monitor.cmd(command, **arguments)
        except (QMPError, OSError, EOFError, asyncio.TimeoutError) as error:
            raise self.failure(f'refused {command}: {error or type(error).__name__}') from error

    def hmp(self, command: str) -> str:
        return self.qmp('human-monitor-command', **{'command-line': command}).replace('\r', '').strip('\n')

    def _read_serial(self, timeout: float) -> list[str]:
        """New complete lines; waits for them at most `timeout` seconds."""
        assert self.serial
        if not select.select([self.serial], [], [], timeout)[0]:
            return []
        try:
            data = self.serial.recv(65536)
        except OSError:
            data = b''
        if not data:
            time.sleep(timeout)
            return []
        *lines, self.partial = (self.partial + data).split(b'\n')
        new = [line.decode(errors='replace').rstrip() for line in lines]
        self.lines += new
        return new

    def poll(self) -> list[str]:
        """The guest's new lines, within a tenth of a second."""
        return self._read_serial(0.1)

    def expect(self, verb: str, timeout: float) -> list[answer.Answer]:
        """The guest's answers up to the one with this verb."""
        answers: list[answer.Answer] = []

        def arrived() -> bool:
            for line in self._read_serial(0.2):
                if found := answer.parse(line):
                    answers.append(found)
                    if found.verb == 'error':
                        raise self.failure(f'has a guest that could not do it: {found.text}')
            return bool(answers) and answers[-1].verb == verb

        self.wait(f'show the guest\'s "{verb}"', arrived, timeout)
        return answers

    def ask(self, command: str, verb: str, timeout: float) -> list[answer.Answer]:
        assert self.serial
        self.serial.sendall(command.encode() + b'\n')
        return self.expect(verb, timeout)
