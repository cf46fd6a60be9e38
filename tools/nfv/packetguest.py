"""The forwarding guest of nfv-bench packet, and the addresses of all that take part."""
# Copyright (c) 2026 the kvm4nfv authors
# SPDX-License-Identifier: GPL-2.0-or-later

from __future__ import annotations

from dataclasses import dataclass

from .guest import check_file

HOW = 'make it with guest/dpdk.sh OUTDIR'
HOW_STRESS = f'{HOW}, then guest/stress.sh OUTDIR'
# MiB: of a guest, and of one that stress-ng uses memory in.
MEMORY, STRESS_MEMORY = 384, 1024
PORTS = (0, 1)
# Of RFC 2544's own range, seen in our namespaces only.
IP = ('198.18.0.1', '198.19.0.1')
GUEST_IP = ('198.18.0.2/24', '198.19.0.2/24')
APPEND = 'console=ttyS0 quiet panic=-1 nokaslr no_timer_check mitigations=off tsc=reliable'


def generator_mac(port: int) -> str:
    return f'02:4e:46:00:00:{port:02x}'


def guest_mac(guest: int, port: int) -> str:
    return f'52:54:00:4e:{guest:02x}:{port:02x}'


@dataclass(frozen=True)
class Forwarder:
    """forward: dpdk or kernel; vf: its ports are VFs that it makes of its NICs; peers: whom its ports send to."""

    kernel: str
    initrd: str
    forward: str = 'dpdk'
    vf: bool = False
    peers: tuple[str, str] = (generator_mac(0), generator_mac(1))
    stress: tuple[str, ...] = ()        # arguments of a stress-ng in it

    @property
    def memory(self) -> int:
        """MiB."""
        return STRESS_MEMORY if self.stress else MEMORY

    def check(self) -> None:
        check_file('guest kernel', self.kernel, HOW)
        check_file('forwarding guest', self.initrd, HOW_STRESS if self.stress else HOW)

    def arguments(self) -> list[str]:
        words = [APPEND, f'nfv.forward={self.forward}', *(['nfv.vf'] if self.vf else ())]
        for port in PORTS:
            words += [f'nfv.peer{port}={self.peers[port]}', f'nfv.address{port}={GUEST_IP[port]}',
                      f'nfv.neighbour{port}={IP[port]}']
        return ['-kernel', self.kernel, '-initrd', self.initrd, '-append', ' '.join(words)]
