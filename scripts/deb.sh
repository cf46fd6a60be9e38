#!/bin/sh
# Build the Debian packages in dist/ out of a release, and hold them to lintian.
#
# Copyright (c) 2026 the kvm4nfv authors
# SPDX-License-Identifier: GPL-2.0-or-later

. "$(dirname "$0")/lib.sh"

sh "$top/scripts/dist.sh"
tag=$(release)
out=$top/dist/deb
tree=$out/qemu-nfv-$tag
rm -rf "$out"
mkdir -p "$out"
ln "$top/dist/kvm4nfv-$tag.tar.xz" "$out/qemu-nfv_$tag.orig.tar.xz"
mkdir "$tree"
tar -x -f "$out/qemu-nfv_$tag.orig.tar.xz" -C "$tree" --strip-components=1
cp -r "$tree/packaging/debian" "$tree/debian"
say "building the packages; its output goes to dist/deb/log"
(cd "$tree" && dpkg-buildpackage -us -uc -jauto) > "$out/log" 2>&1 < /dev/null ||
    { tail -n 40 "$out/log" >&2; die "dpkg-buildpackage failed (its last lines are above, all of them in dist/deb/log)"; }
rm -rf "$tree"
lintian --fail-on error --suppress-tags bad-distribution-in-changes-file,initial-upload-closes-no-bugs "$out"/*.changes ||
    die "lintian found errors in the packages"
say "made $(cd "$top" && echo dist/deb/*.deb)"
