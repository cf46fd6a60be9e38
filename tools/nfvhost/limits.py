"""Checks: what the user who runs this may do; that is the user who starts QEMU where libvirt does not."""
# Copyright (c) 2026 the kvm4nfv authors
# SPDX-License-Identifier: GPL-2.0-or-later

from __future__ import annotations

from .finding import Finding, Level, judged
from .mend import Advice, Command
from .root import Root
from .target import Target

CAP_IPC_LOCK, CAP_SYS_NICE, CAP_SYS_PTRACE = 14, 23, 19
CONF = '/etc/security/limits.d/nfv.conf'


def capable(root: Root, capability: int) -> bool:
    for line in (root.read('/proc/self/status') or '').splitlines():
        name, _, value = line.partition(':')
        if name == 'CapEff':
            return bool(int(value, 16) >> capability & 1)
    return False


def limit(root: Root, name: str) -> int | None:
    """The soft limit; -1 for unlimited, None where unknown."""
    for line in (root.read('/proc/self/limits') or '').splitlines():
        if line.startswith(name):
            value = line[len(name):].split()[0]
            return -1 if value == 'unlimited' else int(value)
    return None


def locked_memory(root: Root, _target: Target) -> Finding:
    value = limit(root, 'Max locked memory')
    good = value == -1 or capable(root, CAP_IPC_LOCK)
    text = 'unknown' if value is None else 'unlimited' if value == -1 else f'{value >> 10} KiB'
    return judged('memlock', good, text + (' and CAP_IPC_LOCK' if capable(root, CAP_IPC_LOCK) else ''),
                  'mem-lock=on and VFIO lock all memory of the guest',
                  Command(f"echo '@kvm - memlock unlimited' >> {CONF}"), bad=Level.WARN)


def real_time(root: Root, _target: Target) -> Finding:
    value = limit(root, 'Max realtime priority')
    nice = capable(root, CAP_SYS_NICE)
    text = 'CAP_SYS_NICE' if nice else 'unknown' if value is None else f'no CAP_SYS_NICE, priority up to {value}'
    return judged('rtprio', nice or value == -1 or (value or 0) >= 1, text,
                  'rt=on makes vCPU threads SCHED_FIFO, which the kernel allows only to the privileged',
                  Command(f"echo '@kvm - rtprio 98' >> {CONF}"), bad=Level.WARN)


def files(root: Root, _target: Target) -> Finding:
    value = limit(root, 'Max open files')
    return judged('nofile', value is not None and (value == -1 or value >= 4096), 'unknown' if value is None else str(value),
                  'each queue of each virtio device takes several file descriptors',
                  Command(f"echo '@kvm - nofile 65536' >> {CONF}"), bad=Level.WARN)


def userfaultfd(root: Root, _target: Target) -> Finding:
    value = root.number('/proc/sys/vm/unprivileged_userfaultfd')
    why = 'post-copy at the destination serves page faults of the kernel by it'
    if value is None and not root.access('/dev/userfaultfd'):
        return Finding('userfaultfd', Level.FAIL, 'not in this kernel', why, (Advice('take a kernel with CONFIG_USERFAULTFD'),))
    ways = [name for name, way in (('CAP_SYS_PTRACE', capable(root, CAP_SYS_PTRACE)),
                                   ('/dev/userfaultfd', root.access('/dev/userfaultfd')),
                                   ('vm.unprivileged_userfaultfd=1', value == 1)) if way]
    allow = 'chgrp kvm /dev/userfaultfd && chmod 660 /dev/userfaultfd' if root.access('/dev/userfaultfd') is not None else \
        'sysctl -w vm.unprivileged_userfaultfd=1'
    return judged('userfaultfd', bool(ways), ' and '.join(ways) or 'refused', why, Command(allow), bad=Level.WARN)


CHECKS = (locked_memory, real_time, files, userfaultfd)
