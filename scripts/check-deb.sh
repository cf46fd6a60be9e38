#!/bin/sh
# Install the Debian packages of dist/deb on a new system, boot a guest there, and remove them again; TAP.
# The new system is a directory that debootstrap fills from the host's mirror; it is kept packed for the next time.
#
# Copyright (c) 2026 the kvm4nfv authors
# SPDX-License-Identifier: GPL-2.0-or-later

. "$(dirname "$0")/lib.sh"

skip() { echo "1..0 # SKIP $*"; exit 0; }
ls "$top"/dist/deb/*.deb > /dev/null 2>&1 || skip "there are no packages: run make deb"
[ "$(id -u)" = 0 ] || skip "debootstrap needs root"
command -v debootstrap > /dev/null || skip "debootstrap is missing: sh scripts/deps.sh deb"
# Everything that is mounted, and every process, is gone when this ends.
[ "${1-}" = inside ] || exec unshare --mount --pid --fork --kill-child "$0" inside

suite=$(. /etc/os-release && echo "$VERSION_CODENAME")
mirror=$(apt-get indextargets --format '$(REPO_URI)' 'Created-By: Packages' 'Origin: Debian' 'Label: Debian' \
    'Component: main' "Codename: $suite" | head -n 1)
[ "$mirror" ] || skip "the host has no mirror of Debian $suite"
base=$cache/system-$suite.tar
work=$(mktemp -d "$top/dist/check.XXXXXX")
trap 'umount -R "$root/proc" "$root/dev/shm" 2> /dev/null || :; rm -rf "$work"' EXIT
trap 'exit 130' INT; trap 'exit 143' TERM
root=$work/root
number=0 failed=0

# ok NAME COMMAND...: the command succeeds
ok() {
    name=$1; shift
    number=$((number + 1))
    if "$@" > "$work/out" 2>&1 < /dev/null; then echo "ok $number $name"
    else
        echo "not ok $number $name"
        tail -n 40 "$work/out" | sed 's/^/# /'
        failed=1
    fi
}

in_root() {
    env -i PATH=/usr/sbin:/usr/bin:/sbin:/bin HOME=/root LC_ALL=C.UTF-8 DEBIAN_FRONTEND=noninteractive chroot "$root" "$@"
}

if [ ! -s "$base" ]; then
    debootstrap --variant=minbase "$suite" "$work/new" "$mirror" > "$work/log" 2>&1 || {
        tail -n 3 "$work/log" | sed 's/^/# /'
        skip "debootstrap cannot make Debian $suite out of the host's mirror"
    }
    mkdir -p "$cache"
    tar -c -C "$work/new" --one-file-system -f "$base.new" .
    mv "$base.new" "$base"
    rm -rf "$work/new"
fi
mkdir "$root"
tar -x -f "$base" -C "$root"
mount -t proc proc "$root/proc"
mkdir -p "$root/dev/shm"
mount -t tmpfs tmpfs "$root/dev/shm"
cp /etc/resolv.conf "$root/etc/resolv.conf"
for proxy in /etc/apt/apt.conf.d/*proxy*; do [ ! -f "$proxy" ] || cp "$proxy" "$root/etc/apt/apt.conf.d/"; done
printf '#!/bin/sh\nexit 101\n' > "$root/usr/sbin/policy-rc.d"
chmod +x "$root/usr/sbin/policy-rc.d"
mkdir "$root/packages"
cp "$top"/dist/deb/*.deb "$root/packages"
rm -f "$root"/packages/*-dbgsym_*.deb
cp -r "$top/packaging/debian/tests" "$root/packages/tests"

apt() { in_root apt-get -q -y --no-install-recommends "$@"; }
install() { in_root sh -c 'apt-get -q -y --no-install-recommends install "$@" /packages/*.deb' - "$@"; }
# What is on the system, without what apt and dpkg remember and caches.
inventory() {
    (cd "$root" && find . -xdev \( -path ./proc -o -path ./packages -o -path ./dev -o -path ./tmp -o -path ./var/lib/dpkg \
        -o -path ./var/lib/apt -o -path ./var/cache -o -path ./var/log -o -path ./var/lib/systemd \) -prune -o -print |
        grep -v -e /__pycache__ -e '\.pyc$' -e '^./etc/ld.so.cache' | sort)
}
as_before() { inventory > "$work/after"; diff "$work/before" "$work/after"; }

# The profiles that libvirt loads for itself and for a guest, without a kernel that would take them.
profiles() {
    in_root sh -ec '
        cd /etc/apparmor.d
        grep -q qemu-nfv-guest local/abstractions/libvirt-qemu
        apparmor_parser --skip-kernel-load --skip-cache usr.sbin.libvirtd
        sed "s/LIBVIRT_TEMPLATE/libvirt-check/; s/profile libvirt/profile libvirt/" libvirt/TEMPLATE.qemu > /tmp/guest
        apparmor_parser --skip-kernel-load --skip-cache -I /etc/apparmor.d /tmp/guest
        rm /tmp/guest
        apparmor_parser --preprocess -I /etc/apparmor.d usr.sbin.libvirtd | grep -q "/usr/lib/qemu-nfv/bin/"'
}

ok "the new system has its package lists" apt update
# What is not ours comes first, so that it is not in the comparison.
depends=$(for deb in "$root"/packages/*.deb; do dpkg-deb -f "$deb" Depends; done | tr ',' '\n' |
    sed 's/ *(.*//; s/ *|.*//; s/^ *//' | sort -u | grep -v -e '^qemu-nfv' -e '^$')
ok "what the packages depend on" apt install $depends qemu-system-x86 apparmor
inventory > "$work/before"
ok "the packages install" install
ok "Debian's QEMU stays as it is" in_root sh /packages/tests/beside-qemu
ok "a guest boots, and the tools run" in_root sh /packages/tests/boot
ok "each tool has a manual page and shows its options" in_root sh -ec '
    for tool in $(dpkg -L qemu-nfv-tools | sed -n "s#^/usr/bin/##p"); do
        "$tool" --help > /dev/null
        dpkg -L qemu-nfv-tools | grep -q "/man1/$tool.1" || { echo "$tool has no manual page"; exit 1; }
    done'
ok "each example for libvirt names the installed QEMU" in_root sh -ec '
    for domain in /usr/share/doc/qemu-nfv/examples/*.xml; do
        test -x "$(sed -n "s#.*<emulator>\(.*\)</emulator>#\1#p" "$domain")"
    done'
ok "they install again over themselves" install --reinstall
ok "they are removed" apt purge qemu-nfv qemu-nfv-tools qemu-nfv-doc
ok "nothing is left of them" as_before
ok "they install beside libvirt" install libvirt-daemon-system
ok "AppArmor takes libvirt's profiles with ours" profiles
ok "libvirt stays when they go" apt purge qemu-nfv qemu-nfv-tools qemu-nfv-doc
ok "no profile of libvirt names them" in_root sh -c '! grep -r qemu-nfv /etc/apparmor.d'
echo "1..$number"
exit $failed
