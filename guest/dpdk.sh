#!/bin/sh
# Make the initrd of the forwarding guest, forward.gz: DPDK's testpmd, or the kernel. usage: dpdk.sh OUTDIR
# Out of Debian's packages, for the kernel of guest/build.sh in OUTDIR; the host gets none of it installed.
#
# Copyright (c) 2026 the kvm4nfv authors
# SPDX-License-Identifier: GPL-2.0-or-later

. "$(dirname "$0")/../scripts/lib.sh"

[ $# = 1 ] || die "usage: guest/dpdk.sh OUTDIR"
sh "$top/guest/build.sh" "$1"
out=$(cd "$1" && pwd -P)
src=$top/guest debs=$cache/guest-dpdk linux=$cache/guest
applets="arp awk cat grep insmod ip ls mkfifo mount nproc poweroff readlink renice sed seq sh sleep stty tail uname"
# testpmd and the libraries that it is linked with; of the drivers, those of the ports that a guest here can have.
rte="bitratestats bpf bus-auxiliary bus-dpaa bus-pci bus-vdev cmdline common-dpaax common-iavf common-mlx5-
     crypto-scheduler cryptodev dmadev eal ethdev eventdev gro gso hash ip-frag kvargs latencystats log mbuf
     mempool mempool-dpaa meter metrics net net-bnxt net-bond net-dpaa net-i40e net-iavf net-ice net-ixgbe
     net-mlx5- pcapng pci pdump rcu reorder ring sched security telemetry timer mempool-ring net-virtio net-e1000-"
drivers="mempool_ring net_virtio net_e1000"
abi=25
others="coreutils dpdk-dev ibverbs-providers libbsd0 libc6 libcap2 libdbus-1-3 libelf1t64 libfdt1 libibverbs1
        libjansson4 libmd0 libnl-3-200 libnl-route-3-200 libnuma1 libpcap0.8t64 libsystemd0 libzstd1 zlib1g"
# Of the guest kernel, where it has not built them in; the init knows their order.
modules="virtio_ring virtio virtio_pci_modern_dev virtio_pci_legacy_dev virtio_pci failover net_failover virtio_net
         uio uio_pci_generic dca i2c-algo-bit igb igbvf"

for tool in dpkg-deb cpio gzip xz readelf; do
    command -v $tool > /dev/null || die "$tool is missing: install it (on Debian: scripts/deps.sh build)"
done

# 1. packages; the directory gets its name when it is complete
if [ ! -d "$debs" ]; then
    say "downloading the forwarding guest's packages (14 MB)"
    rm -rf "$debs.new"
    sh "$top/scripts/fetch-apt.sh" "$suite" "$debs.new" $others $(for name in $rte; do echo "librte-$name$abi"; done)
    mv "$debs.new" "$debs"
fi

# 2. nothing to do?
stamp=$({ ls "$debs" "$linux"; cat "$src/dpdk.sh" "$src/dpdk-init"; } | sha256sum)
if [ -s "$out/forward.gz" ] && [ "$(cat "$out/forward.stamp" 2> /dev/null)" = "$stamp" ]; then
    exit 0
fi
say "making the forwarding guest"
rm -f "$out/forward.stamp"

# 3. the initrd
work=$(mktemp -d "${TMPDIR:-/tmp}/kvm4nfv-guest.XXXXXX")
trap 'rm -rf "$work"' EXIT; trap 'exit 130' INT; trap 'exit 143' TERM
root=$work/root tree=$work/deb
mkdir -p "$tree"
for dir in bin lib/modules lib/pmd proc sys dev tmp var/run; do
    mkdir -p "$root/$dir"
done
for deb in "$debs"/*.deb "$linux"/busybox-static_*.deb; do
    dpkg-deb --fsys-tarfile "$deb" | tar -x -C "$tree" --no-same-owner --exclude='./usr/share' ||
        die "cannot unpack $deb"
done
patterns=
for module in $modules; do
    patterns="$patterns */$module.ko.xz"
done
# Patterns without a match are an error to tar, but what the kernel has built in is no module.
kernel=$(ls "$linux"/linux-image-[0-9]*.deb)
set -f
dpkg-deb --fsys-tarfile "$kernel" |
    tar -x -C "$tree" --no-same-owner --wildcards $patterns 2> /dev/null || :
set +f
find "$tree/usr/lib/modules" -name '*.ko.xz' | while read -r module; do
    name=${module##*/}
    xz -dc "$module" > "$root/lib/modules/${name%.xz}"
done
[ -s "$root/lib/modules/virtio_net.ko" ] && [ -s "$root/lib/modules/uio_pci_generic.ko" ] ||
    die "the guest kernel's package has not the modules that we know; remove $linux to download it anew"

# libraries_of FILE...: each that they need, and that these need, into $root/lib
libraries_of() {
    for soname in $(readelf -d "$@" | sed -n 's/.*(NEEDED).*\[\(.*\)\]/\1/p' | sort -u); do
        [ -e "$root/lib/$soname" ] && continue
        cp -L "$tree/usr/lib/x86_64-linux-gnu/$soname" "$root/lib" ||
            die "the packages have not $soname, which $* needs; remove $debs to download them anew"
        libraries_of "$root/lib/$soname"
    done
}
cp "$tree/usr/bin/busybox" "$tree/usr/bin/dpdk-testpmd" "$root/bin"
libraries_of "$root/bin/dpdk-testpmd"
# stdbuf's part that makes testpmd say at once what it says
cp "$tree/usr/libexec/coreutils/libstdbuf.so" "$root/lib"
for driver in $drivers; do
    cp -L "$tree/usr/lib/x86_64-linux-gnu/librte_$driver.so.$abi" "$root/lib/pmd/$driver.so"
    libraries_of "$root/lib/pmd/$driver.so"
done
install -m 755 "$src/dpdk-init" "$root/init"
ln -s lib "$root/lib64"
for applet in $applets; do
    ln -s busybox "$root/bin/$applet"
done
find "$root" -exec touch -h -d @0 {} +
(cd "$root" && find . | LC_ALL=C sort | cpio --quiet --reproducible -o -H newc -R 0:0) | gzip -n1 > "$out/forward.gz"
printf '%s\n' "$stamp" > "$out/forward.stamp"
