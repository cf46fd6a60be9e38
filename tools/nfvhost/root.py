"""What the checks may ask a host: files of /sys and /proc, and the few answers that are not in a file.

A host is live, a directory that stands for its /, or a recording, which is one JSON file.
"""
# Copyright (c) 2026 the kvm4nfv authors
# SPDX-License-Identifier: GPL-2.0-or-later

from __future__ import annotations

import fcntl
import gzip
import json
import os
from pathlib import Path
import struct
import time
from typing import Any, Mapping

from .cpulist import parse_list

FORMAT = 'nfv-host-check recording 1'
KVM_CHECK_EXTENSION = 0xae03
MSR_SMI_COUNT = 0x34


class Root:
    """The questions. What is missing or may not be read is None or empty, never an error."""

    def read(self, path: str) -> str | None:
        """A file's text without its white space around."""
        raise NotImplementedError

    def names(self, path: str) -> list[str]:
        """A directory's entries, sorted."""
        raise NotImplementedError

    def link(self, path: str) -> str | None:
        """The last component of what a symbolic link points to."""
        raise NotImplementedError

    def access(self, path: str) -> bool | None:
        """Whether the caller may open a device for reading and writing; None if it is not there."""
        raise NotImplementedError

    def extension(self, number: int) -> int | None:
        """KVM_CHECK_EXTENSION of /dev/kvm."""
        raise NotImplementedError

    def smis(self, cpu: int) -> tuple[int, float] | None:
        """System management interrupts of a CPU, and the seconds over which they were counted."""
        raise NotImplementedError

    def head(self, path: str) -> str | None:
        """A file's text up to its first empty line: /proc/cpuinfo's first CPU."""
        text = self.read(path)
        return None if text is None else text.split('\n\n')[0]

    def config(self, option: str) -> str | None:
        """The value of an option of the kernel's configuration; '' if it is known to be off, None if nothing is known."""
        text = self.read(f'/boot/config-{self.read("/proc/sys/kernel/osrelease")}')
        return None if text is None else option_value(text, option)

    def number(self, path: str) -> int | None:
        text = self.read(path)
        try:
            return None if text is None else int(text, 0)
        except ValueError:
            return None

    def cpus(self, path: str) -> set[int]:
        """A CPU list; empty also for `(null)`, which the kernel writes for none."""
        try:
            return parse_list(self.read(path) or '')
        except ValueError:
            return set()

    def flags(self) -> frozenset[str]:
        """The CPU's flags."""
        return frozenset(self.cpuinfo().get('flags', '').split())

    def cpuinfo(self) -> dict[str, str]:
        lines = (self.head('/proc/cpuinfo') or '').splitlines()
        return {key.strip(): value.strip() for key, _, value in (line.partition(':') for line in lines)}


def option_value(text: str, option: str) -> str:
    for line in text.splitlines():
        name, _, value = line.partition('=')
        if name == option:
            return value
    return ''


class Directory(Root):
    """A tree below a directory, such as a report of another host that was unpacked."""

    def __init__(self, top: str | Path):
        self.top = Path(top)

    def path(self, path: str) -> Path:
        return self.top / path.lstrip('/')

    def read(self, path: str) -> str | None:
        try:
            return self.path(path).read_text(errors='replace').strip()
        except OSError:
            return None

    def names(self, path: str) -> list[str]:
        try:
            return sorted(os.listdir(self.path(path)))
        except OSError:
            return []

    def link(self, path: str) -> str | None:
        try:
            return os.path.basename(os.readlink(self.path(path)))
        except OSError:
            return None

    def access(self, path: str) -> bool | None:
        return True if self.path(path).exists() else None

    def extension(self, number: int) -> int | None:
        return None

    def smis(self, cpu: int) -> tuple[int, float] | None:
        return None


class Live(Directory):
    """This host. SMIs are counted from the construction until they are asked for, for `patience` seconds at least."""

    def __init__(self, patience: float = 1.0):
        super().__init__('/')
        self.patience = patience
        self.began = time.monotonic()
        self.first = {cpu: self.smi_count(cpu) for cpu in self.cpus('/sys/devices/system/cpu/online')}

    def access(self, path: str) -> bool | None:
        return os.access(path, os.R_OK | os.W_OK) if os.path.exists(path) else None

    def extension(self, number: int) -> int | None:
        try:
            with open('/dev/kvm', 'rb') as kvm:
                return fcntl.ioctl(kvm, KVM_CHECK_EXTENSION, number)
        except OSError:
            return None

    def config(self, option: str) -> str | None:
        found = super().config(option)
        if found is None:
            try:
                with gzip.open('/proc/config.gz', 'rt') as text:
                    return option_value(text.read(), option)
            except OSError:
                return None
        return found

    @staticmethod
    def smi_count(cpu: int) -> int | None:
        try:
            with open(f'/dev/cpu/{cpu}/msr', 'rb', buffering=0) as msr:
                return struct.unpack('<Q', os.pread(msr.fileno(), 8, MSR_SMI_COUNT))[0] & 0xffffffff
        except (OSError, struct.error):
            return None

    def smis(self, cpu: int) -> tuple[int, float] | None:
        before = self.first.get(cpu)
        if before is None:
            return None
        time.sleep(max(0.0, self.patience - (time.monotonic() - self.began)))
        after = self.smi_count(cpu)
        return None if after is None else ((after - before) & 0xffffffff, time.monotonic() - self.began)


class Recording(Root):
    """Answers that were kept. Directories also have what their files' paths say."""

    def __init__(self, kept: Mapping[str, Any]):
        self.files: dict[str, str] = dict(kept.get('files', {}))
        self.directories: dict[str, list[str]] = dict(kept.get('directories', {}))
        self.links: dict[str, str] = dict(kept.get('links', {}))
        self.devices: dict[str, bool] = dict(kept.get('devices', {}))
        self.kvm: dict[str, int] = dict(kept.get('kvm', {}))
        self.smi: dict[str, list[float]] = dict(kept.get('smi', {}))
        self.options: dict[str, str] = dict(kept.get('config', {}))

    def read(self, path: str) -> str | None:
        text = self.files.get(path)
        return None if text is None else text.strip()

    def names(self, path: str) -> list[str]:
        below = path.rstrip('/') + '/'
        found = {name[len(below):].split('/')[0] for kept in (self.files, self.links) for name in kept
                 if name.startswith(below)}
        return sorted(found | set(self.directories.get(path, ())))

    def link(self, path: str) -> str | None:
        return self.links.get(path)

    def access(self, path: str) -> bool | None:
        return self.devices.get(path)

    def extension(self, number: int) -> int | None:
        return self.kvm.get(str(number))

    def smis(self, cpu: int) -> tuple[int, float] | None:
        found = self.smi.get(str(cpu))
        return (int(found[0]), float(found[1])) if found else None

    def config(self, option: str) -> str | None:
        return self.options.get(option)


class Recorder(Root):
    """Passes questions on and keeps the answers."""

    def __init__(self, host: Root):
        self.host = host
        self.kept: dict[str, Any] = {'format': FORMAT, **{name: {} for name in (
            'files', 'directories', 'links', 'devices', 'kvm', 'smi', 'config')}}

    def keep(self, section: str, key: str, value: Any) -> Any:
        if value is not None:
            self.kept[section][key] = value
        return value

    def read(self, path: str) -> str | None:
        return self.keep('files', path, self.host.read(path))

    def names(self, path: str) -> list[str]:
        return self.keep('directories', path, self.host.names(path) or None) or []

    def link(self, path: str) -> str | None:
        return self.keep('links', path, self.host.link(path))

    def access(self, path: str) -> bool | None:
        return self.keep('devices', path, self.host.access(path))

    def extension(self, number: int) -> int | None:
        return self.keep('kvm', str(number), self.host.extension(number))

    def smis(self, cpu: int) -> tuple[int, float] | None:
        return self.keep('smi', str(cpu), self.host.smis(cpu))

    def head(self, path: str) -> str | None:
        return self.keep('files', path, self.host.head(path))

    def config(self, option: str) -> str | None:
        return self.keep('config', option, self.host.config(option))

    def write(self, path: str | Path) -> None:
        Path(path).write_text(json.dumps(self.kept, indent=1, sort_keys=True) + '\n')


def open_root(path: str | None) -> Root:
    """This host, or a directory or recording of another. OSError and ValueError say what is wrong with it."""
    if path is None or os.path.abspath(path) == '/':
        return Live()
    if os.path.isdir(path):
        if not os.path.isdir(os.path.join(path, 'proc')) and not os.path.isdir(os.path.join(path, 'sys')):
            raise ValueError(f"'{path}' has neither proc/ nor sys/; valid is a tree of a host, or a file that --record wrote")
        return Directory(path)
    try:
        kept = json.loads(Path(path).read_text())
    except ValueError:
        kept = None
    if not isinstance(kept, dict) or kept.get('format') != FORMAT:
        raise ValueError(f"'{path}' is no recording; valid is a directory with proc/ and sys/, or a file that --record wrote")
    return Recording(kept)
