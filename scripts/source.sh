#!/bin/sh
# Assemble qemu/: obtain QEMU's source, unpack it, apply patches/, link our files in. Safe to run again.
# usage: source.sh [DIR|TARBALL|DSC]; without an argument, Debian's source package through apt.
#
# Copyright (c) 2026 the kvm4nfv authors
# SPDX-License-Identifier: GPL-2.0-or-later

. "$(dirname "$0")/lib.sh"

refuse_path "$top" "this tree"
# One at a time: make may be running twice.
exec 9> "$top/.source.lock"
flock 9
new=$top/qemu.new

# obtain_dsc: the path of a .dsc in the cache, downloaded if there is none.
obtain_dsc() {
    dsc=$(ls "$cache/source/${source}_$version"*.dsc 2> /dev/null | tail -n 1) || :
    if [ -z "$dsc" ]; then
        say "downloading the source of QEMU $series (about 40 MB) to $cache/source" >&2
        sh "$top/scripts/fetch-apt.sh" "$suite" "$cache/source" "src:$source" meson
        dsc=$(ls "$cache/source/${source}_$series".*.dsc 2> /dev/null | tail -n 1) || :
        [ "$dsc" ] || die "the suite '$suite' has no QEMU $series; use ./configure --qemu-source=DIR|TARBALL"
    fi
    # Pinned parts must be as pinned; of a later version or revision, apt has checked the archive's signature.
    pinned=yes
    for part in $(printf '%s' "$sha256" | sed -n 's/^[0-9a-f]*  //p'); do
        grep -q " $part\$" "$dsc" || pinned=
    done
    if [ "$pinned" ]; then
        printf '%s' "$sha256" | sed '/^$/d' | (cd "$cache/source" && sha256sum --quiet -c -) >&2 ||
            die "$cache/source does not hold what UPSTREAM names: delete that directory and run again"
    else
        say "the suite '$suite' has ${dsc##*/}, which is newer than UPSTREAM; continuing with it" >&2
    fi
    printf '%s\n' "$dsc"
}

# base FROM VERSION: qemu.new becomes qemu/, its source one tagged commit
base() {
    say "preparing the source of QEMU $2 in qemu/"
    g "$new" init -q -b upstream .
    g "$new" add -A -f .
    GIT_AUTHOR_DATE='@0 +0000' GIT_COMMITTER_DATE='@0 +0000' g "$new" commit -q --no-verify -m "QEMU $2"
    g "$new" tag "upstream/$2"
    printf '%s\n' "$2" > "$new/.base"
    printf '%s\n' "$1" > "$new/.origin"
    rm -rf "$qemu" "$top/qemu-stock"
    mv "$new" "$qemu"
}

from=${1-}
if [ -z "$from" ] && [ -s "$qemu/.origin" ]; then
    from=$(cat "$qemu/.origin")         # as last time
fi
if [ ! -s "$qemu/.base" ] || [ "$from" != "$(cat "$qemu/.origin" 2> /dev/null)" ]; then
    if [ -s "$qemu/.base" ]; then
        sh "$top/scripts/queue.sh" clean    # nothing of a developer's in there may be lost
    fi
    origin=${from:-debian}
    if [ "$origin" = debian ]; then
        if [ -d "$top/upstream" ]; then from=$(bundled); else from=$(obtain_dsc); fi
    fi
    [ -e "$from" ] || die "QEMU's source '$from' is gone; give another by ./configure --qemu-source=DIR|TARBALL"
    unpack "$from" "$new"
    base "$origin" "$unpacked"
fi
sh "$top/scripts/queue.sh" apply
sh "$top/scripts/overlay.sh"
