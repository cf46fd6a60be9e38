"""A small result of nfv-bench, for tests."""
# Copyright (c) 2026 the kvm4nfv authors
# SPDX-License-Identifier: GPL-2.0-or-later

from nfv import contender, document
from nfv.histogram import of_buckets
from nfv.measurement import Case, Measurement
from nfv.stress import Stress

US = 1000
MACHINE = {'cpu': 'a CPU <with> brackets', 'hypervisor': True, 'cpus': [0, 1], 'isolated': [], 'memory_mib': 1024,
           'kernel': '6.1', 'kernel_version': '#1 SMP', 'arch': 'x86_64', 'command_line': 'quiet', 'root': True,
           'load': 0.5, 'date': '2026-01-01T00:00:00Z',
           'settings': {'rt_runtime_us': '950000', 'nohz_full': None, 'smt': 'on', 'governor': None,
                        'clocksource': 'tsc', 'thp': 'always [madvise] never', 'preempt': None, 'realtime': None,
                        'huge_pages_2M': '0', 'numa': '0'}}
SIDES = [contender.Contender(name, f'/qemu/{name}') for name in contender.NAMES]
CASE = Case('timer', 'probe-idle', 'probe guest, idle vCPU', 3.0, stress=Stress('cpu'))
MOVED = Case('timer', 'probe-migrate', 'probe guest, migrated', 3.0, stress=Stress('cpu'))


def counted(us, tail_us, tail=10):
    """1000 samples, of which the `tail` longest are apart."""
    return of_buckets({us * US: 1000 - tail, tail_us * US: tail})


def found(complete=True, scale=1):
    """The fork is ten times better than stock, and as good as tuned stock."""
    result = document.Document(SIDES)
    result.machine = MACHINE
    for side, us in zip(SIDES, (10, 100, 10)):
        for _ in range(2):
            result.add(CASE, side, Measurement({'latency': counted(us * scale, 10 * us * scale)}))
        line = {'points': [{'ms': 10.0, 'sent': 1000, 'rounds': 1, 'faults': 0},
                           {'ms': 20.0, 'sent': 90000, 'rounds': 2, 'faults': 3}], 'stopped': 25.0, 'started': 30.0}
        result.add(MOVED, side, Measurement({name: counted(us, 10 * us) for name in ('before', 'during', 'after')},
                                            {'downtime ms': 5.0}, {'timeline': line}))
    result.skip(Case('packet', 'tap', 'TAP', 1.0), SIDES[0], 'ip is missing: install iproute2')
    result.complete = complete
    return result.as_json()
