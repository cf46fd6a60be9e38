#!/bin/sh
# QEMU's own migration-test with every migration module of ours switched on, whatever the machine; TAP.
# usage: migration-switches.sh BUILDDIR
#
# Copyright (c) 2026 the kvm4nfv authors
# SPDX-License-Identifier: GPL-2.0-or-later
set -e

build=$(cd "$1" && pwd)
tmp=$(mktemp -d); trap 'rm -rf "$tmp"' EXIT

# The test knows the architecture by the name of the program.
{
    echo '#!/bin/sh'
    printf 'exec "%s/qemu-system-x86_64" "$@"' "$build"
    for switch in vmstate=on vmdesc=off popmap=on pcimap=on policy=on heat=on net=on vcpu-sync=on postcopy=on \
        early-discard=on hot-push=on prefetch=on; do
        printf ' -global migration.%s' "$switch"
    done
    echo
} > "$tmp/qemu-system-x86_64"
chmod +x "$tmp/qemu-system-x86_64"

cd "$build"
# One of its tests skips without PYTHON.
PYTHON=$build/pyvenv/bin/python3 QTEST_QEMU_BINARY=$tmp/qemu-system-x86_64 QTEST_QEMU_IMG=./qemu-img \
    ./tests/qtest/migration-test --tap -k
