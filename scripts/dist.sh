#!/bin/sh
# Make dist/kvm4nfv-VERSION.tar.xz: this tree, and QEMU's source as it was obtained in upstream/. Builds without network.
#
# Copyright (c) 2026 the kvm4nfv authors
# SPDX-License-Identifier: GPL-2.0-or-later

. "$(dirname "$0")/lib.sh"

[ -s "$qemu/.origin" ] || die "qemu/ is not there: run ./configure first"
# copy_dsc DSC DIR: with the parts that it names
copy_dsc() {
    cp "$1" "$2"
    sed -n '/^Checksums-Sha256:/,/^[^ ]/s/^ [0-9a-f]* [0-9]* //p' "$1" | while read -r part; do
        cp "${1%/*}/$part" "$2"
    done
}

tag=$(release)
out=$top/dist name=kvm4nfv-$tag
mkdir -p "$out"
stage=$(mktemp -d "$out/stage.XXXXXX")
trap 'rm -rf "$stage"' EXIT; trap 'exit 130' INT; trap 'exit 143' TERM
new=$stage/$name
mkdir "$new"

# 1. our files: what git knows, as it is now; in an unpacked release, everything that was not generated
cd "$top"
if [ -e .git ]; then
    git -c safe.directory='*' -c core.quotePath=false ls-files > "$stage/list"
else
    find . -path ./dist -prune -o -path ./build -prune -o -path ./build-stock -prune -o -path ./qemu -prune \
        -o -path ./qemu-stock -prune -o -path ./debian -prune -o -path ./upstream -prune -o -name '*.pyc' -prune \
        -o -name .source.lock -prune -o \( -type f -o -type l \) -print > "$stage/list"
fi
while IFS= read -r f; do [ ! -e "$f" ] || printf '%s\n' "$f"; done < "$stage/list" | tar -c -T - | tar -x -C "$new"

# 2. QEMU as it came
src=$new/upstream
mkdir "$src"
origin=$(cat "$qemu/.origin")
case $origin in
debian)
    if [ -d upstream ]; then from=$(bundled); else from=$(cached); fi
    case $from in
    *.dsc) copy_dsc "$from" "$src" ;;
    *)     cp "$from" "$src" ;;
    esac ;;
*.dsc)
    copy_dsc "$origin" "$src" ;;
*)
    version=$(cat "$qemu/.base")
    if [ -d "$origin" ]; then
        tar -c -J -C "${origin%/*}" --exclude-vcs --exclude='*/roms/*' -f "$src/qemu-$version.tar.xz" "${origin##*/}"
    else
        cp "$origin" "$src/qemu-$version.tar.${origin##*.}"
    fi ;;
esac
# Debian 12's Meson is too old for QEMU.
for deb in "$top"/upstream/meson_*.deb "$cache"/source/meson_*.deb; do
    [ ! -e "$deb" ] || { cp "$deb" "$src"; break; }
done
(cd "$src" && sha256sum -- * > SHA256SUMS)

# 3. the same bytes for the same files
if [ -e .git ]; then stamp=$(git -c safe.directory='*' log -1 --format=%ct); else stamp=$(stat -c %Y UPSTREAM); fi
tar -c -C "$stage" --sort=name --owner=0 --group=0 --numeric-owner --mtime="@$stamp" --format=gnu "$name" |
    xz -T0 -3 > "$out/$name.tar.xz.new"
mv "$out/$name.tar.xz.new" "$out/$name.tar.xz"
say "made dist/$name.tar.xz ($(($(stat -c %s "$out/$name.tar.xz") / 1000000)) MB)"
