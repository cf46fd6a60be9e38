#!/bin/sh
# Download packages of one Debian suite from the host's own mirror, whatever the host's suite is.
# usage: fetch-apt.sh SUITE OUTDIR PACKAGE... ; src:NAME is a source package. Touches nothing of the system's apt.
#
# Copyright (c) 2026 the kvm4nfv authors
# SPDX-License-Identifier: GPL-2.0-or-later

. "$(dirname "$0")/lib.sh"

suite=$1 out=$2; shift 2
key=/usr/share/keyrings/debian-archive-keyring.gpg
offline="give QEMU's source with ./configure --qemu-source=DIR|TARBALL, or the guest with KERNEL= and INITRD="
command -v apt-get > /dev/null || die "apt-get is not here; $offline"
[ -r $key ] || die "$key is missing: install debian-archive-keyring, or $offline"
mkdir -p "$out"
state=$(mktemp -d "${TMPDIR:-/tmp}/kvm4nfv-apt.XXXXXX")
trap 'rm -rf "$state"' EXIT; trap 'exit 130' INT; trap 'exit 143' TERM

# The mirrors that the host uses: from its package lists, or where it has none yet, from its sources.
mirrors() {
    apt-get indextargets --format '$(REPO_URI)' 'Created-By: Packages' 'Origin: Debian' 'Label: Debian' \
        'Component: main' 2> /dev/null || :
    apt-get update --print-uris 2> /dev/null | sed -n "s#^'\(.*\)/dists/[a-z]*/InRelease'.*#\1#p"
}

# The host's hooks, pins, architectures and default release must not reach in.
mkdir -p "$state/lists/partial" "$state/archives/partial"
cat > "$state/apt.conf" <<EOC
#clear APT::Update::Pre-Invoke;
#clear APT::Update::Post-Invoke;
#clear APT::Update::Post-Invoke-Success;
#clear DPkg::Post-Invoke;
#clear APT::Architectures;
#clear Acquire::Languages;
APT::Default-Release "";
APT::Sandbox::User "";
Acquire::Languages "none";
Dir::Etc::SourceList "$state/sources.list";
Dir::Etc::SourceParts "/dev/null";
Dir::Etc::Preferences "/dev/null";
Dir::Etc::PreferencesParts "/dev/null";
Dir::State::Lists "$state/lists";
Dir::State::status "/dev/null";
Dir::Cache "$state";
EOC

found=
for mirror in $(mirrors | sort -u); do
    printf '%s [signed-by=%s] %s %s main\n' deb-src $key "$mirror" "$suite" deb $key "$mirror" "$suite" \
        > "$state/sources.list"
    if apt-get -q -c "$state/apt.conf" update -o APT::Update::Error-Mode=any > "$state/log" 2>&1; then
        found=1
        break
    fi
done
[ "$found" ] || {
    cat "$state/log" >&2 2> /dev/null || :
    die "no Debian mirror of this host has the suite '$suite'; $offline"
}
cd "$out"
for p; do
    case $p in
    src:*) set -- source --download-only "${p#src:}" ;;
    *)     set -- download "$p" ;;
    esac
    apt-get -q -c "$state/apt.conf" "$@" > "$state/log" 2>&1 || { cat "$state/log" >&2; die "cannot download $p"; }
done
