#!/bin/sh
# Install the Debian packages that a purpose needs; says which. usage: deps.sh PURPOSE, one of those below.
#
# Copyright (c) 2026 the kvm4nfv authors
# SPDX-License-Identifier: GPL-2.0-or-later

. "$(dirname "$0")/lib.sh"

case ${1-} in
build)  # QEMU with the features of README.md, its firmware, the test guest
    want="gcc libc6-dev make git ca-certificates dpkg-dev xz-utils cpio ccache ninja-build pkg-config python3 python3-venv
          libglib2.0-dev libpixman-1-dev zlib1g-dev libfdt-dev libslirp-dev libcap-ng-dev libseccomp-dev
          liburing-dev libaio-dev libnuma-dev libzstd-dev libgnutls28-dev libattr1-dev
          seabios ipxe-qemu qemu-system-data" ;;
docs)   # the manual and its theme
    want="python3-sphinx furo" ;;
bench)  # nfv-bench: load for the stress matrix, the page
    want="stress-ng python3-jinja2 python3-matplotlib" ;;
browser) # in which the test looks at that page
    want="chromium" ;;
libvirt) # the tests of libvirt/: no package that starts a service
    want="libvirt-daemon libvirt-daemon-driver-qemu libvirt-clients libxml2-utils gnutls-bin iproute2 util-linux libcap2-bin" ;;
packet) # nfv-bench packet: the switch with its drivers, namespaces and interfaces
    want="dpdk-dev iproute2 util-linux coreutils" ;;
deb)    # the Debian packages, their lint, and a new system to install them in
    want="build-essential debhelper dh-python lintian debootstrap python3-sphinx furo rpmlint rpm" ;;
*)      die "usage: deps.sh $(sed -n 's/^\([a-z]*\)) .*/\1/p' "$0" | paste -s -d '|')" ;;
esac

command -v dpkg-query > /dev/null || {
    say "this host has no dpkg: install what Debian calls" $want
    exit 0
}
missing=
for p in $want; do
    case $(dpkg-query -W -f '${Status}' "$p" 2> /dev/null) in
    "install ok installed") ;;
    *) missing="$missing $p" ;;
    esac
done
[ "$missing" ] || exit 0

sudo=
if [ "$(id -u)" != 0 ]; then
    command -v sudo > /dev/null || die "these packages are missing and neither root nor sudo is at hand; as root run:
    apt-get install --no-install-recommends$missing"
    sudo=sudo
fi
say "installing with apt:$missing"
log=$(mktemp); trap 'rm -f "$log"' EXIT; trap 'exit 130' INT TERM
# A package index that is older than the mirror's pool fails on download, so refresh it first.
{ $sudo apt-get -q update || :
  $sudo env DEBIAN_FRONTEND=noninteractive apt-get -q -y install --no-install-recommends $missing
} < /dev/null > "$log" 2>&1 || { tail -n 20 "$log" >&2; die "apt-get install failed (its last lines are above)"; }
