#!/bin/sh
# The patch queue: patches/series on top of the tagged source in qemu/.
# usage: queue.sh apply          make qemu/ the base with the series on top
#        queue.sh clean          fail if qemu/ holds work that is not in patches/
#        queue.sh refresh        write the commits of qemu/ back to patches/, fixups folded in
#
# Copyright (c) 2026 the kvm4nfv authors
# SPDX-License-Identifier: GPL-2.0-or-later

. "$(dirname "$0")/lib.sh"

patches=$top/patches
q() { g "$qemu" "$@"; }
sum() { (cd "$patches" && cat series $(cat series) | sha256sum | cut -d ' ' -f 1); }

# Each file that series names is there.
complete() {
    for p in $(cat "$patches/series"); do
        [ -s "$patches/$p" ] || die "patches/series names $p, which is missing or empty in patches/"
    done
}
tag() { printf 'upstream/%s\n' "$(cat "$qemu/.base")"; }

clean() {
    dirty=$(q status --porcelain --untracked-files=no)
    [ -z "$dirty" ] || die "qemu/ has uncommitted changes; commit them with --fixup and run 'make refresh', or restore them:
$dirty"
    # .series holds "sum head": what was applied, and where that put HEAD.
    read -r _ head < "$qemu/.series" 2> /dev/null || return 0
    [ "$head" = "$(q rev-parse HEAD)" ] ||
        die "qemu/ has commits that are not in patches/: run 'make refresh' (or: git -C qemu reset --hard $head)"
}

mark() { printf '%s %s\n' "$(sum)" "$(q rev-parse HEAD)" > "$qemu/.series"; }

apply() {
    complete
    if [ -s "$qemu/.series" ]; then
        read -r have _ < "$qemu/.series"
        [ "$have" != "$(sum)" ] || return 0
        clean
    fi
    rm -f "$qemu/.series"        # an interrupted run must not look like a developer's work
    [ ! -d "$qemu/.git/rebase-apply" ] || q am --abort || rm -rf "$qemu/.git/rebase-apply"
    q checkout -q -f -B nfv "$(tag)"
    all=$qemu/.git/series.mbox
    (cd "$patches" && cat /dev/null $(cat series)) > "$all"
    [ ! -s "$all" ] || q am -q --committer-date-is-author-date "$all" || {
        q am --abort || :
        q checkout -q -f -B nfv "$(tag)"
        die "patches/series does not apply to QEMU $(cat "$qemu/.base"): run 'make check-patches' to see where"
    }
    mark
}

# The files of patches/ from the commits of qemu/; no difference where nothing changed.
export_series() {
    tmp=$(mktemp -d); trap 'rm -rf "$tmp"' EXIT
    q format-patch -q -N -p --zero-commit --no-signature --abbrev=12 --no-renames -U3 \
        --src-prefix=a/ --dst-prefix=b/ -o "$tmp" "$(tag)..HEAD"
    : > "$tmp/series"
    for f in "$tmp"/[0-9]*.patch; do
        [ -e "$f" ] || break
        name=${f##*/}; name=${name#[0-9]*-}
        mv "$f" "$tmp/$name"
        printf '%s\n' "$name" >> "$tmp/series"
    done
    for f in "$patches"/*.patch; do
        [ -e "$tmp/${f##*/}" ] || rm -f "$f"
    done
    for f in "$tmp"/*; do
        cmp -s "$f" "$patches/${f##*/}" || { cp "$f" "$patches/"; say "refreshed patches/${f##*/}"; }
    done
    mark
}

refresh() {
    [ -s "$qemu/.series" ] || die "patches/ is not applied to qemu/: run 'make' first"
    [ -z "$(q status --porcelain --untracked-files=no)" ] || die "qemu/ has uncommitted changes: commit them first"
    GIT_SEQUENCE_EDITOR=: q rebase -q -i --autosquash --committer-date-is-author-date "$(tag)"
    export_series
}

case ${1-} in
apply | clean | refresh) "$1" ;;
*) sed -n '2,5s/^# //p' "$0" >&2; exit 1 ;;
esac
