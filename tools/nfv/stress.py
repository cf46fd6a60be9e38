"""Load on the host, or in the guest, while something is measured: the stress matrix."""
# Copyright (c) 2026 the kvm4nfv authors
# SPDX-License-Identifier: GPL-2.0-or-later

from __future__ import annotations

from contextlib import contextmanager
from dataclasses import dataclass
import os
from pathlib import Path
import shutil
import signal
import subprocess
import tempfile
from typing import Iterator

from .progress import Failure

KINDS = {
    'cpu': ('--cpu', '4'),
    'memory': ('--vm', '2', '--vm-bytes', '256M', '--vm-keep'),
    'io': ('--hdd', '2', '--hdd-bytes', '64M', '--io', '2'),
}
NAMES = ('idle', *KINDS, *(f'guest-{kind}' for kind in KINDS))


@dataclass(frozen=True)
class Stress:
    """kind: '' for none; guest: it runs in the guest, not on the host."""

    kind: str = ''
    guest: bool = False

    def __str__(self) -> str:
        return f'guest-{self.kind}' if self.guest else self.kind or 'idle'

    @property
    def title(self) -> str:
        if not self.kind:
            return 'host and guest idle'
        return f'{self.kind} stress {"in the guest" if self.guest else "on the host"}'

    def arguments(self) -> tuple[str, ...]:
        """Of stress-ng."""
        return KINDS[self.kind]


IDLE = Stress()


def parse(name: str) -> Stress:
    """Raises ValueError for what is no name of NAMES."""
    if name not in NAMES:
        raise ValueError(f'{name!r}: must be of {", ".join(NAMES)}')
    return Stress(name.removeprefix('guest-').replace('idle', ''), name.startswith('guest-'))


def problem(stress: Stress) -> str | None:
    if stress.kind and not stress.guest and not shutil.which('stress-ng'):
        return 'stress-ng is missing: install the package stress-ng (scripts/deps.sh bench)'
    return None


def killed_with_us() -> None:
    """In the child: it ends with us, also if we are killed."""
    import ctypes  # pylint: disable=import-outside-toplevel
    ctypes.CDLL(None).prctl(1, signal.SIGKILL)


@contextmanager
def on_host(stress: Stress) -> Iterator[None]:
    """Runs from entry to exit; on all host CPUs, with the scheduler's default policy."""
    if not stress.kind or stress.guest:
        yield
        return
    with tempfile.TemporaryDirectory(prefix='nfv-bench-stress.') as directory:
        output = Path(directory) / 'output'
        command = ['stress-ng', '--quiet', '--oomable', '--temp-path', directory, *stress.arguments()]
        try:
            with open(output, 'wb') as log:
                # pylint: disable=consider-using-with
                process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=log, stderr=log,
                                           start_new_session=True, preexec_fn=killed_with_us)
        except OSError as error:
            raise Failure(f'cannot run stress-ng: {error.strerror}; install the package stress-ng') from error
        try:
            try:
                status = process.wait(0.3)
                raise Failure(f'stress-ng ended at once (exit status {status}): '
                              f'{output.read_text(errors="replace").strip() or "it said nothing"}')
            except subprocess.TimeoutExpired:
                pass
            yield
        finally:
            end_group(process)


def end_group(process: subprocess.Popen[bytes]) -> None:
    """Of a process that leads a session: stress-ng's workers are in it."""
    for number in (signal.SIGTERM, signal.SIGKILL):
        try:
            os.killpg(process.pid, number)
        except ProcessLookupError:
            pass
        try:
            process.wait(3)
        except subprocess.TimeoutExpired:
            continue
        if number == signal.SIGTERM:
            continue
    process.wait()
