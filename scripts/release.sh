#!/bin/sh
# Begin a release: the next version in the changelogs of the packages, with what is new. usage: release.sh TEXT
#
# Copyright (c) 2026 the kvm4nfv authors
# SPDX-License-Identifier: GPL-2.0-or-later

. "$(dirname "$0")/lib.sh"

text=${1-}
[ "$text" ] || die "say what is new: make release TEXT='QEMU 10.0.14: CVE-2026-1234'"
changelog=$top/packaging/debian/changelog
spec=$top/packaging/qemu-nfv.spec
old=$(release)
# Our own count begins again with each version of QEMU.
case $old in
"$version"+nfv*) next=$version+nfv$((${old##*+nfv} + 1)) ;;
*)               next=$version+nfv1 ;;
esac
who=$(sed -n 's/^ -- \(.*>\)  .*/\1/p' "$changelog" | head -n 1)
{
    printf 'qemu-nfv (%s-1) unstable; urgency=medium\n\n' "$next"
    printf '%s\n' "$text" | fold -s -w 74 | sed '1s/^/  * /; 2,$s/^/    /; s/ *$//'
    printf '\n -- %s  %s\n\n' "$who" "$(date -u -R)"
    cat "$changelog"
} > "$changelog.new"
mv "$changelog.new" "$changelog"
{
    sed "s/^\\(Version: *\\).*/\\1$next/; /^%changelog/,\$d" "$spec"
    printf '%%changelog\n* %s %s - %s-1\n- %s\n\n' "$(date -u '+%a %b %d %Y')" "$who" "$next" "$text"
    sed '1,/^%changelog/d' "$spec"
} > "$spec.new"
mv "$spec.new" "$spec"
say "$old -> $next: packaging/debian/changelog, packaging/qemu-nfv.spec. Next: git commit, git tag v$next, make dist deb"
