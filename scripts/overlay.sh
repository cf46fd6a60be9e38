#!/bin/sh
# Link our files into qemu/ at the path that they have here; remove links whose file is gone. Safe to run again.
#
# Copyright (c) 2026 the kvm4nfv authors
# SPDX-License-Identifier: GPL-2.0-or-later

. "$(dirname "$0")/lib.sh"

cd "$top"
list=$qemu/.overlay
# Directories of our own are linked whole; in QEMU's, file by file.
ours() {
    for d in hw/nfv include/hw/nfv accel/kvm/nfv migration/nfv tests/qtest/nfv tests/unit/nfv; do
        [ -d "$d" ] && printf '%s\n' "$d"
    done
    ls include/migration/nfv.h qapi/nfv*.json tests/qtest/nfv-*-test.c tests/unit/test-nfv-*.c \
       docs/system/i386/nfv.rst 2> /dev/null || :
}
ours > "$list.new"

if [ -f "$list" ]; then
    while read -r p; do
        if [ -L "$qemu/$p" ] && ! grep -qxF "$p" "$list.new"; then rm "$qemu/$p"; fi
    done < "$list"
fi
while read -r p; do
    # Relative, so that the tree can be moved.
    want=$(printf '%s\n' "$p" | sed 's#[^/]*#..#g')/$p
    if [ -L "$qemu/$p" ]; then
        [ "$(readlink "$qemu/$p")" = "$want" ] && continue
        rm "$qemu/$p"
    elif [ -e "$qemu/$p" ]; then
        die "$p exists in QEMU's source: a patch in patches/ is wanted, not a file"
    fi
    mkdir -p "$qemu/$(dirname "$p")"
    ln -s "$want" "$qemu/$p"
done < "$list.new"
mv "$list.new" "$list"
mkdir -p "$qemu/.git/info"
{ sed 's#^#/#' "$list"; printf '/.%s\n' overlay overlay.new base origin series; } > "$qemu/.git/info/exclude"
