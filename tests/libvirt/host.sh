#!/bin/sh
# The first process of a libvirt host of the tests, in namespaces of its own: gives it directories, and runs libvirtd.
# It ends, and all of that host with it, when its standard input ends.
# usage: host.sh DIRECTORY NAME BUILD
#
# Copyright (c) 2026 the kvm4nfv authors
# SPDX-License-Identifier: GPL-2.0-or-later

set -eu
dir=$1 name=$2 build=$3

# Nothing of these mounts is seen outside. QEMU runs as a user who may not reach the build directory by its path.
mount -t tmpfs -o mode=755 host /run
mkdir -p /run/lock /run/nfv/build
mount --bind "$build" /run/nfv/build
# Where a package has not made the mount point, it is made in a layer that only this host sees.
for parent in /etc /var/lib /var/log /var/cache; do
    [ ! -d $parent/libvirt ] || continue
    layer=/run/nfv/layer$parent
    mkdir -p $layer/upper $layer/work
    mount -t overlay -o lowerdir=$parent,upperdir=$layer/upper,workdir=$layer/work layer $parent
    mkdir $parent/libvirt
done
mount --bind "$dir/etc" /etc/libvirt
for file in hosts passwd group; do
    mount --bind "$dir/$file" "/etc/$file"
done
for part in lib log cache; do
    mount --bind "$dir/$part" "/var/$part/libvirt"
done
mount --bind "$dir/../images" /var/lib/libvirt/images
mount -t tmpfs -o mode=1777 shm /dev/shm
mkdir /dev/shm/huge
mount -t hugetlbfs -o pagesize=2M huge /dev/shm/huge || :
# QEMU's user may use KVM, which libvirt asks for at each step, and userfaultfd for post-copy.
for device in kvm userfaultfd; do
    if [ -c /dev/$device ]; then
        cp -a /dev/$device /run/nfv/$device
        chmod 666 /run/nfv/$device
        mount --bind /run/nfv/$device /dev/$device
    fi
done
mkdir /run/nfv-vhost
chown libvirt-qemu /run/nfv-vhost
hostname "$name"
ip link set lo up
ip link add br0 type bridge
ip link set br0 up

libvirtd --listen > "$dir/libvirtd.out" 2>&1 < /dev/null &
libvirtd=$!
exec 3<&0
{ cat <&3 > /dev/null; kill -KILL $libvirtd; } &
# Every child that is left alone becomes this shell's, which collects it while it waits.
wait $libvirtd
