#!/bin/sh
# Make the test guest, vmlinuz and initrd.gz, out of Debian's packages. usage: build.sh OUTDIR
# A PREEMPT_RT kernel, its uio_pci_generic, busybox, cyclictest with its libraries, our init, workset, beat and pulse; the host gets none of it installed.
#
# Copyright (c) 2026 the kvm4nfv authors
# SPDX-License-Identifier: GPL-2.0-or-later

. "$(dirname "$0")/../scripts/lib.sh"

[ $# = 1 ] || die "usage: guest/build.sh OUTDIR"
mkdir -p "$1" "$cache"
out=$(cd "$1" && pwd -P)
src=$top/guest debs=$cache/guest
applets="awk echo grep insmod killall mkdir mount nproc poweroff renice rm sed sh sleep stty tail uname"

for tool in dpkg-deb cpio gzip xz "${CC:-cc}"; do
    command -v "${tool%% *}" > /dev/null ||
        die "$tool is missing: install it (on Debian: scripts/deps.sh build), or give a guest with KERNEL= and INITRD="
done

# 1. packages; the directory gets its name when it is complete
fetch() { sh "$top/scripts/fetch-apt.sh" "$suite" "$debs.new" "$@"; }
if [ ! -d "$debs" ]; then
    say "downloading the test guest's packages (110 MB)"
    rm -rf "$debs.new"
    fetch linux-image-rt-amd64 busybox-static rt-tests libnuma1 libc6
    # The first is a metapackage; the kernel's package is the one that it depends on.
    kernel=$(dpkg-deb -f "$debs.new"/linux-image-rt-amd64_*.deb Depends)
    fetch "${kernel%% *}"
    rm "$debs.new"/linux-image-rt-amd64_*.deb
    mv "$debs.new" "$debs"
fi

# 2. nothing to do?
stamp=$({ ls "$debs"; cat "$src/build.sh" "$src/init" "$src"/*.c "$src/probe/latency.h"; } | sha256sum)
if [ -s "$out/vmlinuz" ] && [ -s "$out/initrd.gz" ] && [ "$(cat "$out/stamp" 2> /dev/null)" = "$stamp" ]; then
    exit 0
fi
say "making the test guest"
rm -f "$out/stamp"

# 3. the two files
work=$(mktemp -d "${TMPDIR:-/tmp}/kvm4nfv-guest.XXXXXX")
trap 'rm -rf "$work"' EXIT; trap 'exit 130' INT; trap 'exit 143' TERM
# take PACKAGE [PATTERN...]: its files, under $work/deb
take() {
    package=$1; shift
    dpkg-deb --fsys-tarfile "$debs"/${package}_*.deb |
        tar -x -C "$work/deb" --no-same-owner --wildcards "$@" ||
        die "$package is not the package that we know; remove $debs to download it anew"
}
root=$work/root
mkdir -p "$work/deb" "$root/bin" "$root/lib" "$root/proc" "$root/sys" "$root/dev"
take 'linux-image-[0-9]*' './boot/vmlinuz-*' '*/uio.ko.xz' '*/uio_pci_generic.ko.xz'
for package in busybox-static rt-tests libnuma1 libc6; do
    take $package
done
(
    cd "$work/deb"
    mv boot/vmlinuz-* "$out/vmlinuz"
    for module in $(find usr/lib/modules -name '*.ko.xz'); do
        name=${module##*/}
        xz -dc "$module" > "$root/lib/${name%.xz}"
    done
    cp usr/bin/busybox usr/bin/cyclictest "$root/bin"
    cd usr/lib/x86_64-linux-gnu
    cp -L libc.so.6 ld-linux-x86-64.so.2 libnuma.so.1 "$root/lib"
)
install -m 755 "$src/init" "$root/init"
for program in workset beat pulse; do
    ${CC:-cc} -O2 -Wall -static -s -o "$root/bin/$program" "$src/$program.c" ||
        die "cannot compile guest/$program.c statically: install libc6-dev"
done
ln -s lib "$root/lib64"
for applet in $applets; do
    ln -s busybox "$root/bin/$applet"
done
[ -s "$root/lib/uio_pci_generic.ko" ] || die "the kernel's package has no uio_pci_generic that we know"
find "$root" -exec touch -h -d @0 {} +
(cd "$root" && find . | LC_ALL=C sort | cpio --quiet --reproducible -o -H newc -R 0:0) | gzip -n1 > "$out/initrd.gz"
printf '%s\n' "$stamp" > "$out/stamp"
