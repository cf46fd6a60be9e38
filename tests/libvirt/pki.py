"""Certificates for hosts: an authority, and for each host a key that serves as server and as client, by certtool."""
# Copyright (c) 2026 the kvm4nfv authors
# SPDX-License-Identifier: GPL-2.0-or-later

from __future__ import annotations

from pathlib import Path
import subprocess

AUTHORITY = ('cn = "nfv test authority"', 'ca', 'cert_signing_key', 'expiration_days = 2')
# Where they are, as the host sees it; libvirt's own names for the files.
PLACE = '/etc/libvirt/pki'
NAMES = {'libvirtd': {'ca_file': f'{PLACE}/ca-cert.pem', 'cert_file': f'{PLACE}/server-cert.pem',
                      'key_file': f'{PLACE}/server-key.pem'},
         'qemu': {'migrate_tls_x509_cert_dir': PLACE, 'migrate_tls_x509_verify': 1}}


def host_template(name: str, address: str) -> tuple[str, ...]:
    """What certtool is to certify. Pure."""
    return (f'cn = "{name}"', f'dns_name = "{name}"', f'ip_address = "{address}"', 'tls_www_server', 'tls_www_client',
            'encryption_key', 'signing_key', 'expiration_days = 2')


def certtool(*arguments: str | Path) -> None:
    subprocess.run(['certtool', *arguments], check=True, capture_output=True)


class Authority:
    def __init__(self, directory: Path):
        self.directory = directory
        directory.mkdir()
        self.key, self.certificate = directory / 'ca-key.pem', directory / 'ca-cert.pem'
        template = directory / 'ca.template'
        template.write_text('\n'.join(AUTHORITY))
        certtool('--generate-privkey', '--key-type=rsa', '--bits=2048', '--outfile', self.key)
        certtool('--generate-self-signed', '--load-privkey', self.key, '--template', template,
                 '--outfile', self.certificate)

    def certify(self, name: str, address: str, place: Path, uid: int) -> None:
        """A host's files, under the names that libvirt and QEMU look for, for libvirtd and for QEMU's user."""
        place.mkdir(parents=True)
        template = self.directory / f'{name}.template'
        template.write_text('\n'.join(host_template(name, address)))
        key = place / 'server-key.pem'
        certtool('--generate-privkey', '--key-type=rsa', '--bits=2048', '--outfile', key)
        certtool('--generate-certificate', '--load-privkey', key, '--load-ca-certificate', self.certificate,
                 '--load-ca-privkey', self.key, '--template', template, '--outfile', place / 'server-cert.pem')
        (place / 'ca-cert.pem').write_bytes(self.certificate.read_bytes())
        (place / 'cacert.pem').symlink_to('ca-cert.pem')
        for part in ('key', 'cert'):
            (place / f'client-{part}.pem').symlink_to(f'server-{part}.pem')
            # virsh has names of its own.
            (place / f'client{part}.pem').symlink_to(f'server-{part}.pem')
        key.chmod(0o400)
        subprocess.run(['chown', str(uid), key], check=True)
