"""nfv-bench migrate: live migration of the fork and of stock QEMU, side by side.

Exit status 0 means that every run was made and that its guest found its memory right; times are not judged.
"""
# Copyright (c) 2026 the kvm4nfv authors
# SPDX-License-Identifier: GPL-2.0-or-later

from __future__ import annotations

import argparse
from dataclasses import asdict, replace
import json
import os
from pathlib import Path
import platform
import shlex
from typing import Any, Callable

from . import backing, host, link, places, profile, side
from .campaign import Campaign
from .guest import Linux, Probe
from .migration import Point
from .profile import Case, Choice
from .progress import Failure, Progress, Stopped
from .trial import Bench, accelerator_works

LIMITS = (5, 20, 100, 300)
CHANNELS = 2


def numbers(kind: Callable[[str], Any]) -> Callable[[str], tuple]:
    def parse(text: str) -> tuple:
        return tuple(kind(part) for part in text.split(','))
    parse.__name__ = 'list'
    return parse


def words(valid: tuple[str, ...]) -> Callable[[str], tuple[str, ...]]:
    def parse(text: str) -> tuple[str, ...]:
        for part in text.split(','):
            if part not in valid:
                raise argparse.ArgumentTypeError(f'{part!r}: must be of {", ".join(valid)}')
        return tuple(text.split(','))
    return parse


def point(text: str) -> Point:
    """CHANNELS:LIMIT"""
    channels, _, limit = text.partition(':')
    return Point(int(limit), int(channels))


def contract(text: str) -> tuple[int, int]:
    """DOWNTIME:DEADLINE"""
    downtime, _, deadline = text.partition(':')
    if int(downtime) < 1 or int(deadline) < 1:
        raise ValueError
    return int(downtime), int(deadline)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    what = parser.add_argument_group('what is measured')
    what.add_argument('--profile', type=words(profile.NAMES), default=profile.NAMES, metavar='LIST',
                      help=f'of {",".join(profile.NAMES)} [all]')
    what.add_argument('-n', '--repeat', type=int, default=3, metavar='N', help='runs of each row [%(default)s]')
    what.add_argument('--quick', action='store_true', help='one small case a profile but idle, one run each')
    what.add_argument('--points', type=numbers(point), metavar='LIST',
                      help='CHANNELS:LIMIT, CHANNELS of multifd (0: none), LIMIT is the downtime limit in ms; '
                      f'[0:300,{CHANNELS}:300; devices 0:5,{CHANNELS}:5]')
    what.add_argument('--sweep', action='store_true',
                      help=f'points: limits of {", ".join(map(str, LIMITS))} ms, with and without multifd')
    what.add_argument('--memory', type=int, metavar='MIB', help='guest RAM '
                      f'[{", ".join(f"{name} {mib}" for name, mib in profile.MEMORY.items())}]')
    what.add_argument('--backing', type=words(backing.NAMES), metavar='LIST',
                      help=f'of {",".join(backing.NAMES)} [idle: all, else anon]')
    what.add_argument('--devices', type=numbers(int), metavar='LIST', help='devices: virtio devices [4,12]')
    what.add_argument('--smp', type=numbers(int), metavar='LIST', help='devices: vCPUs [1,2,4]')
    what.add_argument('--rates', type=numbers(float), metavar='LIST',
                      help='hot, ring: what the guest writes, of the link [0.5,0.9,1.5]')
    what.add_argument('--shares', type=numbers(int), metavar='LIST', help='hot: working set, %% of RAM [10,30,60]')
    what.add_argument('--orders', type=words(profile.ORDERS), metavar='LIST',
                      help=f'hot, postcopy: of {",".join(profile.ORDERS)} [hot: sequential; postcopy: all but scattered]')
    what.add_argument('--sets', type=numbers(int), metavar='LIST',
                      help='postcopy: MiB that the guest writes to, scattered over its RAM [16,64,256]')
    what.add_argument('--postcopy', dest='profile', action='store_const', const=('postcopy',),
                      help='the same as --profile postcopy: post-copy is asked for after the time that '
                      f'{profile.PRESS:g} times the RAM takes on the link, with postcopy-preempt')
    what.add_argument('--contract', type=contract, metavar='DOWNTIME:DEADLINE',
                      help='ms: post-copy is possible, and it is counted how often the guest stood still for at most '
                      'DOWNTIME and ran on the destination by the DEADLINE; only the fork is told of the deadline')
    what.add_argument('--bound', type=float, metavar='S', help='after so long a migration does not end '
                      '[20 s and the time of 4 times the RAM]')
    wire = parser.add_argument_group('the link')
    wire.add_argument('--link', choices=('relay', 'tbf', 'direct'), default='relay',
                      help='relay: a process of ours; tbf: network namespaces, as root; direct: a Unix socket, '
                      'for which --rate is only what the guest\'s rates refer to [%(default)s]')
    wire.add_argument('--rate', type=int, default=100, metavar='MB/S', help='of the link [%(default)s]')
    wire.add_argument('--delay', type=float, default=0, metavar='MS', help='one way; relay only [%(default)s]')
    sides = parser.add_argument_group('the two builds')
    sides.add_argument('--fork', default=str(places.qemu()), metavar='QEMU', help='[%(default)s]')
    sides.add_argument('--stock', default=str(places.TOP / 'build-stock/qemu-system-x86_64'), metavar='QEMU',
                       help='[%(default)s]')
    sides.add_argument('--self', dest='only', choices=('stock', 'fork'),
                       help='compare it with itself: how far apart equal builds are')
    sides.add_argument('--arm', action='store_true', help='compare the fork with itself with the capabilities of '
                       'post-copy on, which nobody uses: what that costs')
    sides.add_argument('--devices-of', choices=side.DEVICE_SETS, default='nfv',
                       help='what both machines have besides; nfv: no HPET, SATA and so on [%(default)s]')
    sides.add_argument('--without-modules', action='store_true', help='fork: as -M q35, which has our modules off')
    for end in ('', 'source-', 'destination-'):
        sides.add_argument(f'--fork-{end}args', type=shlex.split, default=[], metavar='ARGS',
                           help=f'fork: further arguments of {end.strip("-") or "both ends"}, in one word: '
                           f'--fork-{end}args="-global migration.vmstate=off"')
    sides.add_argument('--accel', choices=('auto', 'kvm', 'tcg'), default='auto', help='auto: KVM if a guest runs')
    sides.add_argument('--cpu', help='CPU model [kvm: host, tcg: max]')
    sides.add_argument('--pin', action='store_true', help='source on the first host CPU, destination on the second')
    files = parser.add_argument_group('files')
    files.add_argument('--probe', default=str(places.probe()), help='[%(default)s]')
    files.add_argument('--kernel', default=str(places.TOP / 'build/guest/vmlinuz'), help='[%(default)s]')
    files.add_argument('--initrd', default=str(places.TOP / 'build/guest/initrd.gz'), help='[%(default)s]')
    files.add_argument('--json', metavar='FILE', help='write all samples there, too')


def check(options: argparse.Namespace) -> None:
    for name in ('repeat', 'rate'):
        if getattr(options, name) < 1:
            raise Failure(f'--{name} {getattr(options, name)}: must be at least 1')
    if options.memory is not None and options.memory < 64:
        raise Failure(f'--memory {options.memory}: must be at least 64')
    if options.delay < 0:
        raise Failure(f'--delay {options.delay}: must not be negative')
    for limits in options.points or ():
        if limits.channels < 0 or limits.limit < 0:
            raise Failure('--points: channels and limits must not be negative')
    for share in options.shares or ():
        if not 1 <= share <= 75:
            raise Failure(f'--shares {share}: must be 1 to 75 % of RAM')


def choose_points(options: argparse.Namespace, case: Case) -> list[Point]:
    """The devices' part shows only if there is no time for RAM in the stop."""
    if options.contract:
        limit, deadline = options.contract
        return [Point(limit, at.channels, True, deadline) for at in options.points or (Point(),)]
    if case.profile == 'postcopy':
        return [replace(at, postcopy=True) for at in options.points or (Point(LIMITS[0]),)]
    if options.points:
        return list(options.points)
    if options.sweep:
        return [Point(limit, channels) for channels in (0, CHANNELS) for limit in LIMITS]
    limit = LIMITS[0] if case.profile == 'devices' else LIMITS[-1]
    return [Point(limit)] if options.quick else [Point(limit), Point(limit, CHANNELS)]


def choose_cases(options: argparse.Namespace) -> list[Case]:
    choice = Choice(memory=options.memory, backings=options.backing, devices=options.devices, smp=options.smp,
                    rates=options.rates, shares=options.shares, orders=options.orders, sets=options.sets)
    names = list(options.profile)
    if options.quick:
        # As fast as the link, so that pre-copy does not end by itself before post-copy is asked for.
        quick = Choice(memory=64, devices=(4,), smp=(2,), rates=(1.0,), shares=(10,), sets=(16,))
        choice = replace(quick, **{name: value for name, value in vars(choice).items() if value is not None})
        names = [name for name in names if name != 'idle']
    return profile.cases(names, choice)


def choose_sides(options: argparse.Namespace) -> list[side.Side]:
    stock_machine, fork_machine = side.machines(options.devices_of)
    if options.without_modules:
        fork_machine = stock_machine
    stock = side.Side('stock', options.stock, stock_machine)
    fork = side.Side('fork', options.fork, fork_machine, (*options.fork_args, *options.fork_source_args),
                     (*options.fork_args, *options.fork_destination_args))
    if options.contract:
        limit, deadline = options.contract
        promise = [word for name, value in (('max-downtime', limit), ('deadline', deadline), ('on-deadline', 'postcopy'))
                   for word in ('-global', f'migration.{name}={value}')]
        fork = replace(fork, source=(*fork.source, *promise))
    if options.arm:
        return [fork, replace(fork, name='fork, armed', capabilities=('postcopy-ram', 'postcopy-preempt'))]
    if options.only:
        one = {'stock': stock, 'fork': fork}[options.only]
        return [one, replace(one, name=f'{one.name} again')]
    return [stock, fork]


def choose_pinning(options: argparse.Namespace) -> dict[str, frozenset[int]]:
    if not options.pin:
        return {}
    cpus = sorted(host.granted_cpus())
    if len(cpus) < 2:
        raise Failure('--pin needs two host CPUs, one for each end: leave it out')
    return {'source': frozenset(cpus[:1]), 'destination': frozenset(cpus[1:2])}


def choose_accelerator(options: argparse.Namespace, bench: Bench, sides: list[side.Side], progress: Progress) -> Bench:
    """Having /dev/kvm does not mean that a guest runs with it, so try."""
    def made_for(accel: str) -> Bench:
        return replace(bench, accel=accel, cpu=options.cpu or ('host' if accel == 'kvm' else 'max'))

    if options.accel == 'tcg':
        return made_for('tcg')
    try:
        if not os.access('/dev/kvm', os.R_OK | os.W_OK):
            raise Failure('/dev/kvm is missing or not for this user')
        with progress.step('trying KVM'):
            for which in sides:
                accelerator_works(made_for('kvm'), which, progress)
        return made_for('kvm')
    except Failure as failure:
        if options.accel == 'kvm':
            raise Failure(f'{failure}\nKVM cannot run the probe guest here; use --accel tcg') from failure
        progress.say(f'using TCG, because with KVM: {str(failure).splitlines()[0]}')
        return made_for('tcg')


def check_files(options: argparse.Namespace, cases: list[Case], sides: list[side.Side], wire: link.Link) -> None:
    if why := link.problem(wire):
        raise Failure(why)
    for which in sides:
        which.check()
    Probe(options.probe).check()
    if any(case.guest == 'linux' for case in cases):
        Linux(options.kernel, options.initrd).check()


def describe(bench: Bench, sides: list[side.Side], say: Callable[[str], None]) -> dict[str, Any]:
    """Tells the user, and returns for JSON, what all runs have in common."""
    versions = {which.name: which.version() for which in sides}
    say(f'link {bench.link}; {bench.accel}, -cpu {bench.cpu}; '
        f'{"each end pinned to a host CPU" if bench.pinned else "not pinned"}; max-bandwidth 0; the same devices:')
    for which in sides:
        extra = ' '.join(dict.fromkeys((*which.source, *which.destination)))
        say(f'    {which.name}: {versions[which.name]}\n        -M {which.machine} {extra}'.rstrip())
    if bench.stream:
        say(f'one stream over the link carries {bench.stream / 1e6:.0f} MB/s; floor: the populated RAM at that speed')
    return {'link': str(bench.link), 'link_rate': bench.wire_rate, 'stream_rate': bench.stream,
            'accelerator': bench.accel, 'cpu': bench.cpu,
            'pinned': {end: sorted(cpus) for end, cpus in bench.pinned.items()},
            'sides': {which.name: {'version': versions[which.name], **asdict(which)} for which in sides},
            'kernel': platform.release(), 'host_cpus': os.cpu_count()}


def run(options: argparse.Namespace, progress: Progress) -> int:
    if options.quick:
        options.repeat = 1
    check(options)
    cases, sides = choose_cases(options), choose_sides(options)
    rate = options.rate * 1000000
    wire = link.Link(options.link, 0 if options.link == 'direct' else rate, options.delay / 1000)
    check_files(options, cases, sides, wire)
    campaign = Campaign({case: choose_points(options, case) for case in cases}, sides, options.repeat, progress)
    setup: dict[str, Any] = {}
    try:
        with link.open_link(wire) as namespaces:
            bench = Bench(link=wire, wire_rate=rate, namespaces=namespaces, accel='', cpu='',
                          pinned=choose_pinning(options), probe=options.probe, linux=(options.kernel, options.initrd),
                          bound=options.bound)
            bench = choose_accelerator(options, bench, sides, progress)
            if any(case.profile == 'idle' for case in cases):
                bench = replace(bench, stream=link.stream_speed(wire, namespaces))
            setup = describe(bench, sides, progress.say)
            campaign.run(bench)
    except Stopped:
        if case := campaign.unfinished():
            progress.say(f'\n{campaign.text(case)}')
        raise
    finally:
        if options.json and setup:
            found = {'schema': 1, 'setup': setup, **campaign.as_json()}
            Path(options.json).write_text(json.dumps(found, indent=1) + '\n', encoding='utf-8')
    if why := campaign.problem():
        progress.say(why)
        return 1
    return 0
