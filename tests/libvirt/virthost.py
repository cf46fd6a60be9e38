"""A libvirt host of the tests: a real libvirtd with directories, network and processes of its own (namespaces)."""
# Copyright (c) 2026 the kvm4nfv authors
# SPDX-License-Identifier: GPL-2.0-or-later

from __future__ import annotations

from dataclasses import dataclass, field
import json
import os
from pathlib import Path
import shutil
import subprocess
import time
from typing import Any
import uuid

from nfv.progress import Failure

HERE = Path(__file__).resolve().parent
EMULATOR = '/run/nfv/build/qemu-system-x86_64'
START_TIMEOUT = 60
COMMAND_TIMEOUT = 120
TAIL_LINES = 15
CAP_SYS_RESOURCE = 24
# What each host is told; QEMU runs as a user without privileges, as it does with the packages of the distributions.
USER = 'libvirt-qemu'
USER_ID = 64055
QEMU_CONF = {'user': USER, 'group': USER, 'stdio_handler': 'file', 'cgroup_controllers': [], 'security_driver': 'none',
             'hugetlbfs_mount': '/dev/shm/huge',
             # libvirt 11 raises the limit otherwise, which a container may not allow.
             'max_core': 0}
DEVICES = ('/dev/null', '/dev/full', '/dev/zero', '/dev/random', '/dev/urandom', '/dev/ptmx', '/dev/kvm',
           '/dev/userfaultfd')


def conf(settings: dict[str, Any]) -> str:
    """In the form of libvirt's configuration files, whose words are those of JSON. Pure."""
    return ''.join(f'{name} = {json.dumps(value)}\n' for name, value in settings.items())


@dataclass
class VirtHost:
    """`address`: in its network; `directory`: its own, below one that holds `images`, which all hosts share."""

    name: str
    address: str
    directory: Path
    build: Path
    qemu_conf: dict[str, Any] = field(default_factory=dict)
    libvirtd_conf: dict[str, Any] = field(default_factory=dict)
    process: subprocess.Popen[bytes] | None = None

    def start(self, names: dict[str, str]) -> None:
        """`names`: the address of each host. Returns when libvirtd answers."""
        for part in ('etc', 'lib/images', 'log', 'cache'):
            (self.directory / part).mkdir(parents=True, exist_ok=True)
        self.directory.chmod(0o711)
        (self.directory / 'hosts').write_text(
            '127.0.0.1 localhost\n' + ''.join(f'{address} {name}\n' for name, address in names.items()), 'ascii')
        # libvirt as Debian builds it does not start without this user, which a package makes that starts services.
        for file, entry in (('passwd', f'{USER}:x:{USER_ID}:{USER_ID}::/var/lib/libvirt:/usr/sbin/nologin'),
                            ('group', f'{USER}:x:{USER_ID}:')):
            known = Path('/etc', file).read_text(encoding='utf-8')
            entry = '' if f'\n{USER}:' in known else f'{entry}\n'
            (self.directory / file).write_text(known + entry, encoding='utf-8')
        (self.directory / 'etc/qemu.conf').write_text(
            conf({**QEMU_CONF, 'cgroup_device_acl': [d for d in DEVICES if os.path.exists(d)], **self.qemu_conf}))
        (self.directory / 'etc/libvirtd.conf').write_text(
            conf({'listen_tls': 0, 'listen_tcp': 1, 'auth_tcp': 'none', 'auth_unix_rw': 'none',
                  'host_uuid': str(uuid.uuid4()), 'log_outputs': f'3:file:{self.directory}/libvirtd.log',
                  'log_filters': '4:util.netdev 4:util.dbus 4:util.dnsmasq',
                  **self.libvirtd_conf}))
        with open(self.directory / 'host.err', 'wb') as errors:
            # pylint: disable=consider-using-with
            self.process = subprocess.Popen(
                ['unshare', '--mount', '--net', '--uts', '--pid', '--fork', '--kill-child', '--mount-proc',
                 'sh', HERE / 'host.sh', self.directory, self.name, self.build],
                stdin=subprocess.PIPE, stdout=subprocess.DEVNULL, stderr=errors, start_new_session=True)
        end = time.monotonic() + START_TIMEOUT
        while self.run('virsh', '-c', 'qemu:///system', 'uri', check=False).returncode:
            if self.process.poll() is not None or time.monotonic() > end:
                raise Failure(f'libvirtd of {self.name} does not answer:\n{self.said()}')
            time.sleep(0.2)

    def said(self) -> str:
        """What went wrong there, as far as it was written down."""
        lines = []
        for name in ('host.err', 'libvirtd.out', 'libvirtd.log', *sorted(
                str(log.relative_to(self.directory)) for log in (self.directory / 'log').glob('qemu/*.log'))):
            if (path := self.directory / name).exists():
                lines += [f'{self.name}, {name}:', *path.read_text(errors='replace').splitlines()[-TAIL_LINES:]]
        return '\n'.join(lines)

    def end(self) -> None:
        """Its processes, mounts and network devices end with its first process."""
        if self.process:
            assert self.process.stdin
            self.process.stdin.close()
            try:
                self.process.wait(10)
            except subprocess.TimeoutExpired:
                self.process.kill()
                self.process.wait()
            self.process = None

    def inside(self, *command: str | Path) -> list[str]:
        """The command line that runs a command there."""
        assert self.process
        pid = self.process.pid
        return ['nsenter', '-t', str(pid), '--mount', '--net', '--uts', f'--pid=/proc/{pid}/ns/pid_for_children',
                *map(str, command)]

    def run(self, *command: str | Path, check: bool = True, timeout: float = COMMAND_TIMEOUT
            ) -> subprocess.CompletedProcess[str]:
        try:
            done = subprocess.run(self.inside(*command), check=False, capture_output=True, text=True, timeout=timeout,
                                  stdin=subprocess.DEVNULL, env={**os.environ, 'LC_ALL': 'C'})
        except subprocess.TimeoutExpired as error:
            raise Failure(f'{self.name}: {" ".join(map(str, command))} takes more than {timeout:.0f} s:\n'
                          f'{self.said()}') from error
        if check and done.returncode:
            raise Failure(f'{self.name}: {" ".join(map(str, command))}: {done.stderr.strip()}\n{self.said()}')
        return done

    def virsh(self, *arguments: str | Path, timeout: float = COMMAND_TIMEOUT) -> str:
        return self.run('virsh', '-q', '-c', 'qemu:///system', *arguments, timeout=timeout).stdout

    def refused(self, *arguments: str | Path) -> str:
        """virsh must fail; what it says."""
        done = self.run('virsh', '-q', '-c', 'qemu:///system', *arguments, check=False)
        if not done.returncode:
            raise Failure(f'{self.name}: virsh {" ".join(map(str, arguments))} was not refused')
        return done.stderr

    def define(self, xml: str, name: str) -> None:
        (self.directory / f'{name}.xml').write_text(xml)
        self.virsh('define', self.directory / f'{name}.xml')

    def create(self, xml: str, name: str) -> None:
        """A domain that is gone when it ends; paused yet."""
        (self.directory / f'{name}.xml').write_text(xml)
        self.virsh('create', self.directory / f'{name}.xml', '--paused')

    def qmp(self, domain: str, command: str, **arguments: Any) -> Any:
        """A QMP command, as an operator sends it with virsh."""
        answer = json.loads(self.virsh('qemu-monitor-command', domain, json.dumps(
            {'execute': command, 'arguments': arguments})))
        if 'error' in answer:
            raise Failure(f'{self.name}: {command} of {domain}: {answer["error"]["desc"]}')
        return answer['return']


def join(source: VirtHost, other: VirtHost) -> None:
    """A network cable between two hosts."""
    assert other.process
    source.run('ip', 'link', 'add', 'eth0', 'type', 'veth', 'peer', 'name', 'peer0')
    # By the id in the namespace of the one who asks, so not from inside of it.
    subprocess.run(['nsenter', '-t', str(source.process.pid if source.process else 0), '--net', 'ip', 'link', 'set',
                    'peer0', 'netns', str(other.process.pid)], check=True)
    other.run('ip', 'link', 'set', 'peer0', 'name', 'eth0')
    for host in (source, other):
        host.run('ip', 'address', 'add', f'{host.address}/24', 'dev', 'eth0')
        host.run('ip', 'link', 'set', 'eth0', 'up')


def missing() -> str | None:
    """Why this machine or user cannot have such hosts, with the package to install; None if all is well."""
    if os.geteuid():
        return 'libvirtd in namespaces needs root'
    path = os.environ.get('PATH', '') + ':/usr/sbin:/sbin'
    for tool, package in (('libvirtd', 'libvirt-daemon'), ('virsh', 'libvirt-clients'), ('ip', 'iproute2'),
                          ('nsenter', 'util-linux'), ('certtool', 'gnutls-bin')):
        if not shutil.which(tool, path=path):
            return f'{tool} is missing: install the package {package} (scripts/deps.sh libvirt)'
    if not list(Path('/usr/lib').glob('**/libvirt/connection-driver/libvirt_driver_qemu.so')) and \
            not list(Path('/usr/lib64').glob('libvirt/connection-driver/libvirt_driver_qemu.so')):
        return 'libvirt\'s driver for QEMU is missing: install the package libvirt-daemon-driver-qemu'
    if subprocess.run(['unshare', '--mount', '--net', '--uts', '--pid', '--fork', '--mount-proc', 'true'],
                      check=False, capture_output=True).returncode:
        return 'this kernel or container gives no namespaces to root'
    return None


def can_lock() -> bool:
    """Whether libvirtd may give a guest of ours the limit that <locked/> needs: it may raise limits, or has it."""
    words = dict(line.split(':\t', 1) for line in Path('/proc/self/status').read_text().splitlines() if ':\t' in line)
    return bool(int(words['CapEff'], 16) >> CAP_SYS_RESOURCE & 1)
