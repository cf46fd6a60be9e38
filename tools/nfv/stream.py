#!/usr/bin/env python3
"""One end of a stream that is sent for a second, to know how fast a link carries bytes.

The receiver says "ready" when it listens; the sender prints the bytes a second, until the last has arrived.
"""
# Copyright (c) 2026 the kvm4nfv authors
# SPDX-License-Identifier: GPL-2.0-or-later

from __future__ import annotations

import argparse
import socket
import time

CHUNK = 1 << 20
SECONDS = 1.0


def parse(address: str) -> tuple[int, str | tuple[str, int]]:
    """Family and address of socket, from QEMU's unix:PATH or tcp:HOST:PORT. Pure."""
    kind, _, rest = address.partition(':')
    if kind == 'unix' and rest:
        return socket.AF_UNIX, rest
    host, _, port = rest.rpartition(':')
    if kind == 'tcp' and host and port.isdecimal():
        return socket.AF_INET, (host, int(port))
    raise ValueError(f'{address!r}: must be unix:PATH or tcp:HOST:PORT')


def receive(address: str) -> None:
    """Takes one stream, and answers with a byte when all of it is there."""
    family, where = parse(address)
    with socket.socket(family) as listener:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind(where)
        listener.listen(1)
        print('ready', flush=True)
        connection, _ = listener.accept()
        with connection:
            buffer = bytearray(CHUNK)
            while connection.recv_into(buffer):
                pass
            connection.sendall(b'.')


def send(address: str, seconds: float = SECONDS) -> float:
    """Bytes a second of one stream that was sent for so long."""
    family, where = parse(address)
    data, sent = bytes([0xa5]) * CHUNK, 0
    with socket.socket(family) as connection:
        connection.connect(where)
        began = time.monotonic()
        while time.monotonic() - began < seconds:
            connection.sendall(data)
            sent += CHUNK
        connection.shutdown(socket.SHUT_WR)
        if not connection.recv(1):
            raise ConnectionError(f'{address}: the receiver ended')
        return sent / (time.monotonic() - began)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument('end', choices=('receive', 'send'))
    parser.add_argument('address')
    options = parser.parse_args()
    if options.end == 'receive':
        receive(options.address)
    else:
        print(send(options.address))


if __name__ == '__main__':
    main()
