#!/bin/sh
# Install the tools below DESTDIR, as they lie in the tree, with names in /usr/bin. usage: install-tools.sh DESTDIR
#
# Copyright (c) 2026 the kvm4nfv authors
# SPDX-License-Identifier: GPL-2.0-or-later

set -eu
share=$1/usr/share/qemu-nfv
mkdir -p "$share/tools" "$share/qemu/python/qemu" "$1/usr/bin"
for f in tools/*; do
    case $f in
    tools/tests | tools/__pycache__) continue ;;
    esac
    cp -r "$f" "$share/tools"
    [ ! -f "$f" ] || [ ! -x "$f" ] || ln -s "../share/qemu-nfv/$f" "$1/usr/bin/${f##*/}"
done
find "$share" -name __pycache__ -prune -exec rm -rf {} +
# QMP in Python, out of QEMU's source.
src=qemu/python/qemu/qmp
if [ ! -d "$src" ]; then
    . scripts/lib.sh
    unpack "$(bundled)" "$top/qemu.new"
    src=$top/qemu.new/python/qemu/qmp
fi
cp -r "$src" "$share/qemu/python/qemu/qmp"
# What makes the guest of nfv-run.
cp -r --parents UPSTREAM scripts/lib.sh scripts/fetch-apt.sh guest/build.sh guest/stress.sh guest/init guest/*.c "$share"
rm -rf qemu.new "$share/qemu/python/qemu/qmp/"*tui* "$share/qemu/python/qemu/qmp/py.typed"
