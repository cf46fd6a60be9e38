"""nfv-bench packet: latency and loss of frames that guests forward, at fixed rates and sizes."""
# Copyright (c) 2026 the kvm4nfv authors
# SPDX-License-Identifier: GPL-2.0-or-later

from __future__ import annotations

import argparse
from contextlib import ExitStack, suppress
import os
from pathlib import Path
import tempfile
from typing import Any, Iterator, Sequence

from . import backing, packetspace, packetswitch, places
from .bench import Bench
from .breaktrace import Trace
from .contender import Contender
from .measurement import Case, Measurement
from .packetguest import Forwarder
from .packetload import DRAIN_MS, MAX_SIZE, MIN_SIZE, WARM_UP, Found, Load, Way
from .packetmove import moved
from .packetpath import QUICK, SCENARIOS, Network, Placement, Scenario, place
from .packetspace import Space
from .packetvf import usable
from .progress import Failure
from .stress import Stress
from .timer import NO_BREAK
from .vm import Vm

SIZES, RATES = (64, 512, 1518), (1000, 10000)
QUICK_SIZES, QUICK_RATES = (64, 1518), (1000,)
MAX_RATE = 10_000_000
VHOST_NET = '/dev/vhost-net'
# Seconds: of a boot by TCG, and what else a run takes.
BOOT, OTHER = 12, 3
MIGRATION = 12


def numbers(text: str) -> tuple[int, ...]:
    return tuple(dict.fromkeys(int(part) for part in text.split(',')))


class Packet:
    name = 'packet'
    title = 'latency and loss of frames that guests forward, at fixed rates and sizes, as RFC 2544 has them'

    def add_arguments(self, parser: argparse.ArgumentParser) -> None:
        from .session import words  # pylint: disable=import-outside-toplevel,cyclic-import
        group = parser.add_argument_group('packet')
        group.add_argument('--packet-cases', type=words(tuple(SCENARIOS)), metavar='LIST',
                           help=f'of {",".join(SCENARIOS)} [all; --quick {",".join(QUICK)}]')
        group.add_argument('--packet-sizes', type=numbers, metavar='LIST', help='bytes of a frame, with FCS; '
                           f'--seconds are divided among them [{",".join(map(str, SIZES))}; '
                           f'--quick {",".join(map(str, QUICK_SIZES))}]')
        group.add_argument('--packet-rates', type=numbers, metavar='LIST', help='frames a second '
                           f'[{",".join(map(str, RATES))}; --quick {",".join(map(str, QUICK_RATES))}]')
        group.add_argument('--packet-generator', default=str(places.TOP / 'build/nfv/tools/packet/nfv-packet'),
                           metavar='FILE', help='[%(default)s]')
        group.add_argument('--packet-guest', default=str(places.TOP / 'build/guest/forward.gz'), metavar='FILE',
                           help='initrd of the guest that forwards [%(default)s]')

    def cases(self, options: argparse.Namespace) -> Sequence[Case]:
        sizes = options.packet_sizes or (QUICK_SIZES if options.quick else SIZES)
        rates = options.packet_rates or (QUICK_RATES if options.quick else RATES)
        for size in sizes:
            if not MIN_SIZE <= size <= MAX_SIZE:
                raise Failure(f'--packet-sizes {size}: must be {MIN_SIZE} to {MAX_SIZE} bytes')
        for rate in rates:
            if not 1 <= rate <= MAX_RATE:
                raise Failure(f'--packet-rates {rate}: must be 1 to {MAX_RATE} frames a second')
        return [self.case(SCENARIOS[name], rate, sizes, options)
                for name in options.packet_cases or (QUICK if options.quick else SCENARIOS) for rate in rates]

    @staticmethod
    def case(scenario: Scenario, rate: int, sizes: tuple[int, ...], options: argparse.Namespace) -> Case:
        if scenario.moves:
            sizes = sizes[:1]
        seconds = options.seconds + len(sizes) * (WARM_UP + DRAIN_MS / 1000) + OTHER + BOOT * scenario.guests + \
            (MIGRATION if scenario.moves else 0)
        return Case('packet', f'{scenario.name}-{rate}', f'{scenario.title}, {rate} frames/s', seconds,
                    (('scenario', scenario.name), ('rate', rate), ('sizes', sizes), ('seconds', options.seconds)),
                    sides=None if scenario.guests else options.sides[:1])

    def skip(self, bench: Bench, case: Case, side: Contender) -> str | None:
        scenario = scenario_of(case)
        if bench.options.breaktrace and scenario.moves:
            return NO_BREAK
        if not os.access(bench.options.packet_generator, os.X_OK):
            return f'there is no generator at {bench.options.packet_generator}: make it with `make tree`'
        if why := packetspace.problem(scenario.tap) or (packetswitch.problem() if scenario.switch else None):
            return why
        if scenario.guests:
            try:
                forwarder(bench, scenario, case.stress).check()
            except Failure as failure:
                return str(failure)
        return None

    def run(self, bench: Bench, case: Case, side: Contender) -> Measurement:
        parameters = dict(case.parameters)
        with ExitStack() as stack:
            site = Site(bench, side, scenario_of(case), case.stress, stack)
            if site.scenario.moves:
                return moved(site, parameters['rate'], parameters['sizes'][0], bench.options.seconds)
            way = site.boot_all()
            return self.measure(site, way, parameters)

    @staticmethod
    def measure(site: Site, way: Way, parameters: dict[str, Any]) -> Measurement:
        result = Measurement(details=site.details())
        for size in parameters['sizes']:
            seconds = max(1.0, parameters['seconds'] / len(parameters['sizes']))
            found = site.measure(way, parameters['rate'], size, seconds)
            measured = found.phases[1]
            result.latency[f'{size}B'] = measured.latency
            result.values[f'lost-{size}B'] = round(measured.loss, 4)
            result.details[f'{size}B'] = {**measured.as_json(), **found.as_json()}
        if not any(counted.samples for counted in result.latency.values()):
            raise Failure(f'{site.side.name}: no frame came back: {site.guests_say()}')
        return result


def scenario_of(case: Case) -> Scenario:
    return SCENARIOS[dict(case.parameters)['scenario']]


def forwarder(bench: Bench, scenario: Scenario, load: Stress, **words: Any) -> Forwarder:
    """guest/stress.sh makes the initrd of one with stress-ng beside the other."""
    initrd = Path(bench.options.packet_guest)
    if load.guest:
        initrd = initrd.with_name(f'{initrd.stem}-stress{initrd.suffix}')
    return Forwarder(bench.options.kernel, str(initrd), scenario.forward,
                     stress=load.arguments() if load.guest else (), **words)


class Site:
    """All that one run needs: network, switch and guests; ended with `stack`."""

    def __init__(self, bench: Bench, side: Contender, scenario: Scenario, load: Stress, stack: ExitStack):
        self.bench, self.side, self.scenario, self.stress, self.stack = bench, side, scenario, load, stack
        vcpus = bench.vcpu_cpus(scenario.guests) if scenario.guests else []
        self.placement: Placement = place(bench.housekeeping(vcpus), vcpus)
        self.directory = Path(stack.enter_context(tempfile.TemporaryDirectory(dir=bench.directory)))
        self.network = Network(scenario, self.directory, os.access(VHOST_NET, os.R_OK | os.W_OK), usable())
        self.space = stack.enter_context(Space())
        self.network.make(self.space)
        self.switch: packetswitch.Switch | None = None
        self.switch_huge = False
        self.vms: dict[str, Vm] = {}
        if scenario.switch:
            self._start_switch()

    def _start_switch(self) -> None:
        """In huge pages, if this user can reserve some and nobody else takes them."""
        if os.geteuid() == 0:
            with suppress(Failure):
                self.switch = self._switch(huge=True)
                return
        self.switch = self._switch(huge=False)

    def _switch(self, huge: bool) -> packetswitch.Switch:
        nice = packetswitch.NICE_MOVING if self.scenario.moves else packetswitch.NICE
        with ExitStack() as attempt:
            if huge:
                attempt.enter_context(backing.huge_pages(packetswitch.MEMORY))
            switch = attempt.enter_context(packetswitch.Switch(
                self.space, self.network.switch_ports(), self.placement.switch, huge, nice, self.directory,
                self.bench.progress))
            self.switch_huge = huge
            self.stack.enter_context(attempt.pop_all())
            return switch

    def boot(self, end: str, guest: int, **words: Any) -> Vm:
        """A vhost-user switch maps the guest's memory, so it must be shared: huge pages of a memfd, or a plain one."""
        system = forwarder(self.bench, self.scenario, self.stress, peers=self.network.peers(guest),
                           vf=self.scenario.ports == 'igb' and not self.network.vfs)
        shared = self.scenario.ports == 'vhost-user'
        own = shared and (self.side.name == 'stock' or not backing.can_reserve(system.memory))
        memory = ['-object', f'memory-backend-memfd,id=ram,size={system.memory}M,share=on',
                  '-machine', 'memory-backend=ram'] if own else []
        name = f'{end}{guest}'
        self.vms[name] = self.stack.enter_context(self.bench.boot(
            self.side, system, memory=system.memory,
            arguments=[*memory, *self.network.devices(end, guest)], name=name, own_memory=own,
            vcpu_cpus=self.placement.vcpus[guest:guest + 1], prefix=self.space.prefix, **words))
        return self.vms[name]

    def boot_all(self) -> Way:
        """The way of the frames, through guests that are ready."""
        macs = [self.boot('source', guest).ready.word('mac0') for guest in range(self.scenario.guests)]
        return self.way(macs[0] if macs else '')

    def way(self, receiver: str) -> Way:
        """Everything is in place: frames may come."""
        if self.switch:
            self.switch.forward()
        return self.network.way(receiver)

    def load(self, way: Way) -> Load:
        load = Load(self.bench.options.packet_generator, self.space, way, self.placement.generator, self.bench.progress)
        self.stack.callback(load.end)
        return load

    def measure(self, way: Way, rate: float, size: int, seconds: float) -> Found:
        """Phase 0 warms up, phase 1 counts."""
        load, limit = self.load(way), self.bench.options.breaktrace
        load.start(rate, size, 2 * (seconds + WARM_UP) + 10, self.directory / f'load{size}', limit)
        self.bench.progress.sleep(WARM_UP)
        if limit and self.vms:
            with Trace(limit, next(iter(self.vms.values())), self.side, self.bench.progress) as trace:
                load.phase(1)
                trace.follow(load.broke, seconds)
        else:
            load.phase(1)
            self.bench.progress.sleep(seconds)
        return load.finish()

    def guests_say(self) -> str:
        said = [f'{name}: {vm.ask("stats", "stats", 20)[-1].text}' for name, vm in self.vms.items()]
        return '; '.join(said) or 'there is no guest'

    def details(self) -> dict[str, Any]:
        return {'vhost_net': self.network.vhost and self.scenario.ports == 'tap', 'switch_huge_pages': self.switch_huge,
                'vfs': list(self.network.vfs.guest) if self.network.vfs else None,
                'vcpu_cpus': list(self.placement.vcpus), 'switch_cpus': list(self.placement.switch),
                'generator_cpus': list(self.placement.generator)}


TEST = Packet()
