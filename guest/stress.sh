#!/bin/sh
# Make stress.gz: the initrd of guest/build.sh with stress-ng in it; forward-stress.gz of forward.gz, if that is there.
# usage: stress.sh OUTDIR
# Out of Debian's packages; the host gets none of it installed.
#
# Copyright (c) 2026 the kvm4nfv authors
# SPDX-License-Identifier: GPL-2.0-or-later

. "$(dirname "$0")/../scripts/lib.sh"

[ $# = 1 ] || die "usage: guest/stress.sh OUTDIR"
sh "$top/guest/build.sh" "$1"
out=$(cd "$1" && pwd -P)
debs=$cache/guest-stress
packages="stress-ng libacl1 libapparmor1 libbsd0 libc6 libcrypt1 libdrm2 libegl1 libexpat1 libgbm1 libgcc-s1 libgles2 libglvnd0
          libgmp10 libipsec-mb2 libjpeg62-turbo libjudydebian1 libkmod2 libmd0 libmpfr6 libsctp1 libssl3t64 libstdc++6
          libxxhash0 libzstd1 zlib1g"

for tool in dpkg-deb cpio gzip readelf; do
    command -v $tool > /dev/null || die "$tool is missing: install it (on Debian: scripts/deps.sh build)"
done

# 1. packages; the directory gets its name when it is complete
if [ ! -d "$debs" ]; then
    say "downloading stress-ng for the test guest (12 MB)"
    rm -rf "$debs.new"
    sh "$top/scripts/fetch-apt.sh" "$suite" "$debs.new" $packages
    mv "$debs.new" "$debs"
fi

# 2. nothing to do?
stamp=$({ ls "$debs"; cat "$top/guest/stress.sh" "$out/stamp" "$out/forward.stamp" 2> /dev/null || :; } | sha256sum)
if [ -s "$out/stress.gz" ] && [ "$(cat "$out/stress.stamp" 2> /dev/null)" = "$stamp" ]; then
    exit 0
fi
say "making the test guest with stress-ng"
rm -f "$out/stress.stamp"

# 3. one archive behind the other: the kernel unpacks both
work=$(mktemp -d "${TMPDIR:-/tmp}/kvm4nfv-guest.XXXXXX")
trap 'rm -rf "$work"' EXIT; trap 'exit 130' INT; trap 'exit 143' TERM
root=$work/root tree=$work/deb
mkdir -p "$tree" "$root/bin" "$root/lib" "$root/tmp"
for deb in "$debs"/*.deb; do
    dpkg-deb --fsys-tarfile "$deb" | tar -x -C "$tree" --no-same-owner --exclude='./usr/share' || die "cannot unpack $deb"
done
# libraries_of FILE: each that it needs, and that these need, into $root/lib
libraries_of() {
    for soname in $(readelf -d "$1" | sed -n 's/.*(NEEDED).*\[\(.*\)\]/\1/p'); do
        [ -e "$root/lib/$soname" ] && continue
        cp -L "$tree/usr/lib/x86_64-linux-gnu/$soname" "$root/lib" ||
            die "the packages have not $soname, which $1 needs; remove $debs to download them anew"
        libraries_of "$root/lib/$soname"
    done
}
cp "$tree/usr/bin/stress-ng" "$root/bin"
libraries_of "$root/bin/stress-ng"
find "$root" -exec touch -h -d @0 {} +
(cd "$root" && find . | LC_ALL=C sort | cpio --quiet --reproducible -o -H newc -R 0:0) | gzip -n1 \
    > "$work/stress.gz"
cat "$out/initrd.gz" "$work/stress.gz" > "$out/stress.gz"
[ ! -s "$out/forward.gz" ] || cat "$out/forward.gz" "$work/stress.gz" > "$out/forward-stress.gz"
printf '%s\n' "$stamp" > "$out/stress.stamp"
