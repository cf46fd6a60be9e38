"""Open vSwitch with DPDK in one of our hosts: its database and its daemon, with files of their own."""
# Copyright (c) 2026 the kvm4nfv authors
# SPDX-License-Identifier: GPL-2.0-or-later

from __future__ import annotations

from pathlib import Path
import re
import subprocess
import time

from nfv.progress import Failure

from virthost import VirtHost

DAEMON = Path('/usr/lib/openvswitch-switch-dpdk/ovs-vswitchd-dpdk')
SCHEMA = Path('/usr/share/openvswitch/vswitch.ovsschema')
PLACE = '/run/openvswitch'
# MiB of huge pages that DPDK takes.
MEMORY = 256
BRIDGE = 'ovsbr0'
START_TIMEOUT = 60


def missing() -> str | None:
    """Why this machine cannot have it, with the package to install; None if all is well."""
    return None if DAEMON.exists() and SCHEMA.exists() else \
        'Open vSwitch with DPDK is missing: install the package openvswitch-switch-dpdk'


class NoMemory(Failure):
    """The huge pages that were reserved for it are somebody else's by now."""


class Switch:
    """With a bridge of the user-space datapath; it ends with its host, or before."""

    def __init__(self, host: VirtHost, poll_cpu: int):
        self.host = host
        self.log = host.directory / 'ovs.out'
        database = f'{PLACE}/conf.db'
        host.run('mkdir', '-p', PLACE)
        host.run('ovsdb-tool', 'create', database, SCHEMA)
        self.processes: list[subprocess.Popen[bytes]] = []
        self._start('ovsdb-server', database, f'--remote=punix:{PLACE}/db.sock')
        self._wait('its database', 'ovs-vsctl', '--no-wait', 'init')
        for setting in ('dpdk-init=true', f'dpdk-socket-mem={MEMORY}',
                        # Or it takes all that is free when it gets a port.
                        f'dpdk-socket-limit={MEMORY}', f'pmd-cpu-mask={1 << poll_cpu:#x}',
                        'dpdk-extra="--in-memory --no-pci"'):
            host.run('ovs-vsctl', '--no-wait', 'set', 'Open_vSwitch', '.', f'other_config:{setting}')
        self._start(DAEMON, f'unix:{PLACE}/db.sock')
        self._wait('DPDK', 'ovs-vsctl', '--timeout=5', 'wait-until', 'Open_vSwitch', '.', 'dpdk_initialized=true')
        self._wait('its bridge', 'ovs-vsctl', '--timeout=5', '--may-exist', 'add-br', BRIDGE, '--', 'set', 'bridge',
                   BRIDGE, 'datapath_type=netdev')

    def _start(self, *command: str | Path) -> None:
        with open(self.log, 'ab') as log:
            # pylint: disable=consider-using-with
            self.processes.append(subprocess.Popen(self.host.inside('env', f'OVS_RUNDIR={PLACE}', *command),
                                                   stdin=subprocess.DEVNULL, stdout=log, stderr=log))

    def _wait(self, what: str, *command: str) -> None:
        end = time.monotonic() + START_TIMEOUT
        while self.host.run(*command, check=False).returncode:
            if 'Cannot init memory' in self.said():
                raise NoMemory(f'DPDK does not get {MEMORY} MiB of huge pages: other programs use them')
            if time.monotonic() > end:
                raise Failure(f'Open vSwitch did not start {what}:\n{self.said()}')
            time.sleep(0.2)

    def said(self) -> str:
        return '\n'.join(self.log.read_text(errors='replace').splitlines()[-20:])

    def get(self, table: str, record: str, column: str) -> str:
        return self.host.run('ovs-vsctl', '--timeout=10', 'get', table, record, column).stdout.strip().strip('"')

    def add_port(self, name: str, path: str) -> None:
        """Of which QEMU is the server."""
        self.host.run('ovs-vsctl', '--timeout=10', 'add-port', BRIDGE, name, '--', 'set', 'Interface', name,
                      'type=dpdkvhostuserclient', f'options:vhost-server-path={path}')

    def packets(self, port: str) -> tuple[int, int]:
        """From the guest, and to it; Open vSwitch counts from the first on."""
        found = self.get('Interface', port, 'statistics')
        received, sent = (int((re.search(rf'\b{way}_packets=(\d+)', found) or ['', '0'])[1]) for way in ('rx', 'tx'))
        return received, sent

    def say_something(self) -> None:
        """To all who are on the bridge: a question for an address that nobody has."""
        for command in ('ip address replace 198.51.100.1/24 dev', 'ip link set up dev'):
            self.host.run(*command.split(), BRIDGE)
        self.host.run('bash', '-c', 'echo > /dev/udp/198.51.100.2/9')

    def end(self) -> None:
        for process in reversed(self.processes):
            process.terminate()
            process.wait()
