"""nfv-bench packet, while the guest that forwards the frames is migrated: latency and loss before, during and after."""
# Copyright (c) 2026 the kvm4nfv authors
# SPDX-License-Identifier: GPL-2.0-or-later

from __future__ import annotations

from typing import TYPE_CHECKING

from . import link, stamp
from .measurement import Measurement
from .meter import BOUND, LINK, TRACES
from .migration import Point, migrate
from .packetload import WARM_UP, Found
from .progress import Failure

if TYPE_CHECKING:
    from .packet import Site

PHASES = {1: 'before', 2: 'during', 3: 'after'}
# The guest that moves is found again by what QEMU announces; that is counted as during.
SETTLE = 1.0


def measurement(found: Found) -> Measurement:
    """Pure."""
    result = Measurement(details=found.as_json())
    for number, name in PHASES.items():
        phase = found.phases[number]
        result.latency[name] = phase.latency
        result.values[f'lost-{name}'] = phase.lost
        result.details[name] = phase.as_json()
    during = found.phases[2]
    result.values['longest-outage-ms'] = round(1000 * during.longest_loss / found.rate, 3)
    return result


def moved(site: Site, rate: float, size: int, seconds: float) -> Measurement:
    """Half of the time before, half of it after."""
    progress = site.bench.progress
    source = site.boot('source', 0, traces=TRACES)
    site.network.learn(site.space)
    way = site.way(source.ready.word('mac0'))
    destination = site.boot('destination', 0, incoming=True, traces=TRACES)
    load = site.load(way)
    load.start(rate, size, 2 * seconds + BOUND + 60, site.directory / 'load')
    progress.sleep(WARM_UP)
    load.phase(1)
    progress.sleep(seconds / 2)
    route = site.stack.enter_context(link.open_route(LINK, None, site.directory))
    load.phase(2)
    outcome = migrate(source, destination, route.outgoing, route.incoming, Point(), BOUND, progress)
    if not outcome.ended:
        raise Failure(f'{site.side.name}: the migration did not end within {BOUND} s, and it was cancelled')
    progress.sleep(SETTLE)
    load.phase(3)
    progress.sleep(seconds / 2)
    result = measurement(load.finish())
    if not result.latency['after'].samples:
        raise Failure(f'{site.side.name}: no frame came back after the migration')
    logs = [vm.log.read_text(errors='replace') for vm in (source, destination)]
    total, downtime = (stamp.started(logs[1]) - stamp.begun(logs[0])) / 1000, stamp.downtime_us(*logs) / 1000
    result.values.update({'migration-ms': total, 'downtime-ms': downtime})
    result.details.update(site.details())
    result.details['timeline'] = {'points': outcome.points, 'stopped': total - downtime, 'started': total}
    return result
