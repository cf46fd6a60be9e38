"""The switch of nfv-bench packet: DPDK's testpmd on the host, which forwards frames between pairs of ports."""
# Copyright (c) 2026 the kvm4nfv authors
# SPDX-License-Identifier: GPL-2.0-or-later

from __future__ import annotations

from contextlib import suppress
from dataclasses import dataclass
from glob import glob
import os
from pathlib import Path
import shutil
import subprocess
import time
from typing import Sequence

from .packetspace import DEPS, Space
from .progress import Failure, Progress
from .stress import killed_with_us

PROGRAM = 'dpdk-testpmd'
# MiB that it allocates.
MEMORY = 128
DRIVERS = {'librte_net_vhost': 'librte-net-vhost', 'librte_net_af_packet': 'librte-net-af-packet',
           'librte_mempool_ring': 'librte-mempool-ring'}
PLUGINS = '/usr/lib/*/dpdk/pmds-*/{}.so*'
START_TIMEOUT = 60
READY, FORWARDS = 'testpmd> ', 'forwards packets on'
# It polls; with SCHED_FIFO it would starve a host CPU that it shares with all that does not run the guest.
# While a guest is migrated, it must also leave time to the migration.
NICE, NICE_MOVING = -20, 0


@dataclass(frozen=True)
class Port:
    """kind: interface, or vhost-user; name: of the interface, or of a Unix socket that the switch makes."""

    kind: str
    name: str


def problem() -> str | None:
    """What of it is missing, with the package."""
    if not shutil.which(PROGRAM):
        return f'{PROGRAM} is missing: install the package dpdk-dev {DEPS}'
    for driver, package in DRIVERS.items():
        if not glob(PLUGINS.format(driver)):
            return f'{PROGRAM} has no driver {driver}: install the package {package} with DPDK\'s ABI version {DEPS}'
    return None


def devices(ports: Sequence[Port]) -> list[str]:
    """Ports 0 and 1 are a pair, 2 and 3, and so on. Pure."""
    return [f'--vdev=net_af_packet{i},iface={port.name},blocksz=65536,framesz=2048,framecnt=1024'
            if port.kind == 'interface' else f'--vdev=net_vhost{i},iface={port.name},queues=1'
            for i, port in enumerate(ports)]


def command(ports: Sequence[Port], cpus: Sequence[int], huge: bool) -> list[str]:
    """cpus: of its main thread, and of the one that polls the ports. Pure."""
    memory = ['--in-memory'] if huge else ['--no-huge', '--no-shconf']
    # Its output is to be seen at once, not when it ends.
    return ['stdbuf', '-oL', PROGRAM, '--lcores', f'0@{cpus[0]},1@{cpus[-1]}', *memory, '-m', str(MEMORY),
            '--iova-mode=va', '--no-pci', '--no-telemetry', *devices(ports), '--', '--total-num-mbufs=16384',
            '--no-mlockall', '--nb-cores=1', '--forward-mode=io', '--disable-link-check', '-i']


def prepare(nice: int) -> None:
    """In the child, which leads a session: where the kernel groups tasks by session, the group's value counts."""
    killed_with_us()
    with suppress(OSError):
        os.setpriority(os.PRIO_PROCESS, 0, nice)
        Path('/proc/self/autogroup').write_text(str(nice), encoding='ascii')


class Switch:
    """Its ports are there from the start; it does not poll them before forward(), so that guests boot undisturbed."""

    def __init__(self, space: Space, ports: Sequence[Port], cpus: Sequence[int], huge: bool, nice: int,
                 directory: Path, progress: Progress):
        self.space, self.nice, self.progress, self.directory = space, nice, progress, directory
        self.command = command(ports, cpus, huge)
        self.log = directory / 'testpmd.log'
        self.process: subprocess.Popen[bytes] | None = None

    def __enter__(self) -> Switch:
        with open(self.log, 'wb') as log:
            # It ends with its standard input. Its files go to our directory, which is removed.
            # pylint: disable=consider-using-with
            self.process = subprocess.Popen([*self.space.prefix, *self.command], stdin=subprocess.PIPE, stdout=log,
                                            stderr=log, start_new_session=True, preexec_fn=lambda: prepare(self.nice),
                                            env={**os.environ, 'RUNTIME_DIRECTORY': str(self.directory)})
        try:
            self._wait(READY)
        except BaseException:
            self.__exit__()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        if self.process:
            self.process.kill()
            self.process.wait()
            assert self.process.stdin
            self.process.stdin.close()

    def forward(self) -> None:
        assert self.process and self.process.stdin
        with suppress(BrokenPipeError):
            self.process.stdin.write(b'start\n')
            self.process.stdin.flush()
        self._wait(FORWARDS)

    def _wait(self, said: str) -> None:
        assert self.process
        end = time.monotonic() + START_TIMEOUT
        while said not in self.log.read_text(errors='replace'):
            self.progress.sleep(0.1)
            if self.process.poll() is not None or time.monotonic() > end:
                lines = self.log.read_text(errors='replace').splitlines()[-12:]
                raise Failure('\n'.join([f'{PROGRAM} did not start on the host:', *(f'    {line}' for line in lines),
                                         f'the command was: {" ".join(self.command)}']))
