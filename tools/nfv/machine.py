"""The description of the host that a result was measured on."""
# Copyright (c) 2026 the kvm4nfv authors
# SPDX-License-Identifier: GPL-2.0-or-later

from __future__ import annotations

import os
from pathlib import Path
import platform
import re
import time
from typing import Any, Iterable, Sequence

FAIR_SERVERS = 'sys/kernel/debug/sched/fair_server'
SETTINGS = {
    'rt_runtime_us': 'proc/sys/kernel/sched_rt_runtime_us',
    'nohz_full': 'sys/devices/system/cpu/nohz_full',
    'smt': 'sys/devices/system/cpu/smt/control',
    'governor': 'sys/devices/system/cpu/cpu0/cpufreq/scaling_governor',
    'clocksource': 'sys/devices/system/clocksource/clocksource0/current_clocksource',
    'thp': 'sys/kernel/mm/transparent_hugepage/enabled',
    'preempt': 'sys/kernel/debug/sched/preempt',
    'realtime': 'sys/kernel/realtime',
    'huge_pages_2M': 'sys/kernel/mm/hugepages/hugepages-2048kB/nr_hugepages',
    'numa': 'sys/devices/system/node/online',
}


def read(path: Path) -> str | None:
    try:
        return path.read_text(encoding='utf-8', errors='replace').strip()
    except OSError:
        return None


def model(cpuinfo: str) -> str:
    """Pure."""
    found = re.search(r'^model name\s*:\s*(.+)$', cpuinfo, re.MULTILINE)
    return found[1] if found else 'unknown'


def memory_mib(meminfo: str) -> int:
    """Pure."""
    found = re.search(r'^MemTotal:\s*(\d+) kB$', meminfo, re.MULTILINE)
    return int(found[1]) // 1024 if found else 0


def fair_server(cpus: Sequence[int], directory: Path) -> list[int] | None:
    """The host CPUs for which it is on; None where that is not shown."""
    found = {cpu: read(directory / f'cpu{cpu}/runtime') for cpu in cpus}
    return [cpu for cpu in cpus if found[cpu] != '0'] if any(found.values()) else None


def describe(granted: Sequence[int], isolated: Iterable[int], root: Path = Path('/')) -> dict[str, Any]:
    """What can be told without a name of the host in it."""
    cpuinfo = read(root / 'proc/cpuinfo') or ''
    return {'cpu': model(cpuinfo), 'hypervisor': ' hypervisor' in cpuinfo, 'cpus': list(granted),
            'isolated': sorted(isolated), 'memory_mib': memory_mib(read(root / 'proc/meminfo') or ''),
            'kernel': platform.release(), 'kernel_version': platform.version(), 'arch': platform.machine(),
            'command_line': read(root / 'proc/cmdline'), 'root': os.geteuid() == 0,
            'load': os.getloadavg()[0], 'date': time.strftime('%Y-%m-%dT%H:%M:%SZ', time.gmtime()),
            'fair_server': fair_server(granted, root / FAIR_SERVERS),
            'settings': {name: read(root / path) for name, path in SETTINGS.items()}}
