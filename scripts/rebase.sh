#!/bin/sh
# Move the patch queue to another point release. usage: rebase.sh VERSION|DIR|TARBALL|DSC
# Stops at a conflict; run it again with the same argument once that is resolved.
#
# Copyright (c) 2026 the kvm4nfv authors
# SPDX-License-Identifier: GPL-2.0-or-later

. "$(dirname "$0")/lib.sh"

to=${1:-}
[ "$to" ] || die "say where to: make rebase TO=$series.z, or a directory or tarball of that version"
q() { g "$qemu" "$@"; }
old=$(cat "$qemu/.base")
new=$top/qemu.new
[ ! -d "$qemu/.git/rebase-merge" ] && [ ! -d "$qemu/.git/rebase-apply" ] ||
    die "a rebase is under way in qemu/: resolve it, 'git -C qemu rebase --continue', then run this again"

if [ -e "$to" ]; then
    to=$(readlink -f "$to")
else        # a version: what Debian's suite has
    rm -rf "$cache/rebase"
    sh "$top/scripts/fetch-apt.sh" "$suite" "$cache/rebase" "src:$source"
    dsc=$(ls "$cache/rebase/${source}_$to"*.dsc 2> /dev/null) ||
        die "TO=$to: the suite '$suite' has only $(cd "$cache/rebase" && ls ./*.dsc); give a directory or tarball of $to"
    to=$dsc
fi
unpack "$to" "$new"
next=$unpacked
if ! q merge-base --is-ancestor "upstream/$next" HEAD 2> /dev/null; then
    sh "$top/scripts/queue.sh" clean
    # The new base is a commit on top of the old one, made from the unpacked tree by an index of its own.
    index=$qemu/.git/index.rebase
    rm -f "$index"
    in_new() (GIT_INDEX_FILE=$index && export GIT_INDEX_FILE && cd "$new" &&
        git --git-dir="$qemu/.git" --work-tree="$new" -c safe.directory='*' -c core.autocrlf=false "$@")
    in_new add -A -f .
    tree=$(in_new write-tree)
    rm -f "$index"
    commit=$(GIT_AUTHOR_DATE='@0 +0000' GIT_COMMITTER_DATE='@0 +0000' \
        q commit-tree -p "upstream/$old" -m "QEMU $next" "$tree")
    q tag -f "upstream/$next" "$commit" > /dev/null
    q rebase -q --committer-date-is-author-date --onto "upstream/$next" "upstream/$old" nfv ||
        die "conflict: resolve it in qemu/, 'git -C qemu rebase --continue', then run this again"
fi
rm -rf "$new"
q merge-base --is-ancestor "upstream/$next" HEAD || die "qemu/ is not on upstream/$next; run 'git -C qemu status'"
before=$(cut -d ' ' -f 2 "$qemu/.series")
printf '%s\n' "$next" > "$qemu/.base"
printf '%s\n' "$to" > "$qemu/.origin"
sh "$top/scripts/queue.sh" refresh
q range-diff "upstream/$old..$before" "upstream/$next..HEAD"
say "patches/ is now based on QEMU $next (was $old). Next: version and sha256 in UPSTREAM, then make check."
