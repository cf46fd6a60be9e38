"""Hosts for a test: made in a directory of their own, joined by a network, and taken away again."""
# Copyright (c) 2026 the kvm4nfv authors
# SPDX-License-Identifier: GPL-2.0-or-later

from __future__ import annotations

from contextlib import contextmanager
from pathlib import Path
import shutil
import subprocess
import tempfile
from typing import Any, Iterator

import domain
import pki
from virthost import EMULATOR, USER_ID, VirtHost, join

# Documentation addresses of RFC 5737; they are seen inside our namespaces only.
ADDRESSES = {'nfv-host-a': '192.0.2.1', 'nfv-host-b': '192.0.2.2'}
IMAGES = '/var/lib/libvirt/images'
PROBE = f'{IMAGES}/probe'
DISK_MIB = 64


class Site:
    """Hosts that share the images of their guests, as they would a storage network."""

    def __init__(self, directory: Path, build: Path, probe: Path):
        self.directory, self.build = directory, build
        self.images = directory / 'images'
        self.images.mkdir()
        directory.chmod(0o711)
        shutil.copy(probe, self.images / 'probe')
        (self.images / 'probe').chmod(0o644)
        self.hosts: list[VirtHost] = []
        self.authority: pki.Authority | None = None

    def certifies(self) -> None:
        """Hosts that are started from now on have certificates, and speak TLS, too."""
        self.authority = pki.Authority(self.directory / 'authority')

    def host(self, name: str, **settings: Any) -> VirtHost:
        """Started, and joined to the one before."""
        host = VirtHost(name, ADDRESSES[name], self.directory / name, self.build, **settings)
        if self.authority:
            self.authority.certify(name, host.address, host.directory / 'etc/pki', USER_ID)
            host.libvirtd_conf = {'listen_tls': 1, **pki.NAMES['libvirtd'], **host.libvirtd_conf}
            host.qemu_conf = {**pki.NAMES['qemu'], **host.qemu_conf}
        self.hosts.append(host)
        host.start(ADDRESSES)
        if len(self.hosts) == 2:
            join(*self.hosts)
        return host

    def image(self, name: str) -> None:
        """An empty disk."""
        subprocess.run([self.build / 'qemu-img', 'create', '-q', '-f', 'qcow2', self.images / name, f'{DISK_MIB}M'],
                       check=True)
        (self.images / name).chmod(0o666)

    def prepared(self, xml: str, options: str = 'fill=8', mib: int = 128) -> str:
        """The XML fitted to our hosts, with the probe guest in it, and its disks made."""
        for disk in domain.disks(xml):
            self.image(Path(disk).name)
        return domain.fitted(xml, EMULATOR, PROBE, options, mib)

    def end(self) -> None:
        for host in self.hosts:
            host.end()


@contextmanager
def site(build: Path, probe: Path) -> Iterator[Site]:
    with tempfile.TemporaryDirectory(prefix='nfv-libvirt.') as directory:
        made = Site(Path(directory), build, probe)
        try:
            yield made
        finally:
            made.end()
