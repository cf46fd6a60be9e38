#!/bin/sh
# Install the domains of libvirt/ for a QEMU that is installed in PREFIX. usage: install-examples.sh DIRECTORY PREFIX
#
# Copyright (c) 2026 the kvm4nfv authors
# SPDX-License-Identifier: GPL-2.0-or-later

set -eu
mkdir -p "$1"
for f in libvirt/*.xml; do
    sed "s#<emulator>.*/\(qemu-[^/]*</emulator>\)#<emulator>$2/bin/\1#" "$f" > "$1/${f##*/}"
done
