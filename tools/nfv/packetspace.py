"""The network namespace of a run of nfv-bench packet, with the interfaces in it."""
# Copyright (c) 2026 the kvm4nfv authors
# SPDX-License-Identifier: GPL-2.0-or-later

from __future__ import annotations

import os
import shutil
import subprocess

from .progress import Failure
from .stress import killed_with_us

PACKAGES = {'ip': 'iproute2', 'nsenter': 'util-linux', 'unshare': 'util-linux'}
DEPS = '(scripts/deps.sh packet)'
TUN = '/dev/net/tun'


def unshare(root: bool) -> list[str]:
    """Who is not root is root in a user namespace of its own. Pure."""
    return ['unshare', *([] if root else ['--user', '--map-root-user']), '--net']


def enter(root: bool, pid: int) -> list[str]:
    """To be put before a command that is to run in the namespace of that process. Pure."""
    return ['nsenter', f'--target={pid}', '--net', *([] if root else ['--user', '--preserve-credentials']), '--']


def problem(tap: bool = False) -> str | None:
    """Why this host or user cannot have it, with the next step."""
    for tool, package in PACKAGES.items():
        if not shutil.which(tool):
            return f'{tool} is missing: install the package {package} {DEPS}'
    done = subprocess.run([*unshare(os.geteuid() == 0), 'true'], capture_output=True, text=True, check=False)
    if done.returncode:
        return f'no network namespace can be made ({done.stderr.strip()}): run as root, or allow user namespaces ' \
            '(sysctl kernel.unprivileged_userns_clone, user.max_user_namespaces)'
    if tap and not os.access(TUN, os.R_OK | os.W_OK):
        return f'{TUN} is missing or not for this user: modprobe tun, or run as root'
    return None


class Space:
    """Without a name, so that two runs do not meet; a process of ours holds it, and all interfaces end with it."""

    def __init__(self) -> None:
        self.root = os.geteuid() == 0
        self.holder: subprocess.Popen[bytes] | None = None
        self.prefix: list[str] = []

    def __enter__(self) -> Space:
        # cat ends with its standard input, so with us, even if we are killed.
        # pylint: disable=consider-using-with
        self.holder = subprocess.Popen([*unshare(self.root), 'sh', '-c', 'echo ready; exec cat'], stdin=subprocess.PIPE,
                                       stdout=subprocess.PIPE, start_new_session=True, preexec_fn=killed_with_us)
        assert self.holder.stdout
        if self.holder.stdout.readline() != b'ready\n':
            self.__exit__()
            raise Failure('cannot make a network namespace (unshare --net)')
        self.prefix = enter(self.root, self.holder.pid)
        # Neighbour discovery and the like would be frames that nobody asked for.
        for kind in ('all', 'default'):
            self.run('sh', '-c', f'f=/proc/sys/net/ipv6/conf/{kind}/disable_ipv6; [ ! -e $f ] || echo 1 > $f')
        return self

    def __exit__(self, *_: object) -> None:
        if self.holder:
            self.holder.kill()
            self.holder.wait()
            for pipe in (self.holder.stdin, self.holder.stdout):
                if pipe:
                    pipe.close()

    def run(self, *command: str) -> None:
        done = subprocess.run([*self.prefix, *command], capture_output=True, text=True, check=False)
        if done.returncode:
            raise Failure(f'cannot make the network of a run: {" ".join(command)}: {done.stderr.strip()}')

    def up(self, name: str, mac: str = '') -> None:
        self.run('ip', 'link', 'set', name, *(['address', mac] if mac else []), 'up')

    def veth(self, one: str, other: str, mac: str = '') -> None:
        """`mac` is that of `one`."""
        self.run('ip', 'link', 'add', one, 'type', 'veth', 'peer', 'name', other)
        self.up(one, mac)
        self.up(other)

    def tap(self, name: str, mac: str = '') -> None:
        self.run('ip', 'tuntap', 'add', name, 'mode', 'tap')
        self.up(name, mac)

    def adopt(self, name: str) -> None:
        """An interface of the host's, which the kernel gives back when the namespace ends."""
        assert self.holder
        command = ['ip', 'link', 'set', name, 'netns', str(self.holder.pid)]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        if done.returncode:
            raise Failure(f'cannot take the interface {name}: {done.stderr.strip()}')
        self.up(name)

    def bridge(self, name: str, *ports: str) -> None:
        """That learns at once where a MAC is, and asks nobody."""
        self.run('ip', 'link', 'add', name, 'type', 'bridge', 'stp_state', '0', 'forward_delay', '0',
                 'mcast_snooping', '0')
        for port in ports:
            self.run('ip', 'link', 'set', port, 'master', name)
        self.up(name)
