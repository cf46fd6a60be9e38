# Shared by our shell scripts: where things are, how to say things, git for qemu/. Sourced, never run.
#
# Copyright (c) 2026 the kvm4nfv authors
# SPDX-License-Identifier: GPL-2.0-or-later

set -eu
umask 022
LC_ALL=C.UTF-8; export LC_ALL

top=$(cd "$(dirname "$0")/${up-..}" && pwd -P)
qemu=$top/qemu
cache=${KVM4NFV_CACHE:-${XDG_CACHE_HOME:-${HOME:-/root}/.cache}/kvm4nfv}
# The Debian firmware packages' directories, then those of other distributions.
firmware_dirs=/usr/share/qemu:/usr/share/seabios:/usr/lib/ipxe/qemu:/usr/share/seavgabios:/usr/share/ipxe/qemu
. "$top/UPSTREAM"

say() { printf '%s\n' "kvm4nfv: $*"; }
die() { printf '%s\n' "kvm4nfv: $*" >&2; exit 1; }

# refuse_path DIR WHAT: QEMU's build quotes neither spaces nor colons.
refuse_path() {
    case $1 in
    *[[:space:]:]*) die "QEMU cannot be built in a path with spaces or colons; $2 is '$1': move it elsewhere" ;;
    esac
}

# g DIR ARGS: git there, free of the user's configuration, hooks and outer repository, with an identity and,
# through the date arguments of the callers, reproducible commit ids.
g() (
    dir=$1; shift
    for var in $(git rev-parse --local-env-vars); do unset "$var"; done
    GIT_CONFIG_GLOBAL=/dev/null GIT_CONFIG_NOSYSTEM=1 GIT_TEMPLATE_DIR= GIT_EDITOR=: \
    GIT_AUTHOR_NAME=kvm4nfv GIT_AUTHOR_EMAIL=kvm4nfv@localhost \
    GIT_COMMITTER_NAME=kvm4nfv GIT_COMMITTER_EMAIL=kvm4nfv@localhost \
    git -C "$dir" -c safe.directory='*' -c gc.auto=0 -c core.hooksPath=/dev/null -c core.autocrlf=false "$@"
)

# release: the version of this tree, which its Debian changelog names: QEMU's and our own count.
release() { sed -n '1s/^[^(]*(\(.*\)-[^-]*).*/\1/p' "$top/packaging/debian/changelog"; }

# bundled: the source of QEMU in upstream/, which `make dist` put there.
bundled() {
    found=$(ls "$top"/upstream/*.dsc "$top"/upstream/qemu-*.tar.* 2> /dev/null | head -n 1) || :
    [ "$found" ] || die "$top/upstream holds no source of QEMU: unpack the release again, or remove that directory"
    (cd "$top/upstream" && sha256sum --quiet -c SHA256SUMS) >&2 ||
        die "$top/upstream does not hold what its SHA256SUMS says: unpack the release again"
    printf '%s\n' "$found"
}

# cached: the .dsc that was downloaded, of the pinned version rather than of another.
cached() {
    found=$(ls "$cache/source/${source}_$version"*.dsc 2> /dev/null | tail -n 1) || :
    [ "$found" ] || found=$(ls "$cache/source/${source}_$series".*.dsc 2> /dev/null | tail -n 1) || :
    [ "$found" ] && printf '%s\n' "$found"
}

# unpack_dsc DSC DIR: as dpkg-source does, also where there is none.
unpack_dsc() {
    if command -v dpkg-source > /dev/null; then
        dpkg-source --no-copy --no-check -x "$1" "$2" > /dev/null
        return
    fi
    parts=$(sed -n '/^Files:/,/^[^ ]/s/^ [0-9a-f]* [0-9]* //p' "$1")
    mkdir "$2"
    for part in $parts; do
        case $part in
        *.orig.tar.*)   tar -x -f "${1%/*}/$part" -C "$2" --strip-components=1 ;;
        *.debian.tar.*) tar -x -f "${1%/*}/$part" -C "$2" ;;
        esac
    done
    sed 's/[[:space:]]*#.*//; /^$/d' "$2/debian/patches/series" | while read -r p _; do
        patch -s -t -F 0 -N -E -p 1 --no-backup-if-mismatch -d "$2" -i "debian/patches/$p" || die "$p does not apply to $1"
    done
}

# unpack FROM DIR: QEMU's source out of a directory, tarball or .dsc, without what we do not build.
unpack() {
    rm -rf "$2"
    case $1 in
    *.dsc)  unpack_dsc "$1" "$2" ;;
    *)
        mkdir "$2"
        if [ -d "$1" ]; then
            (cd "$1" && tar -c -f "$2.tar" --exclude-vcs --exclude=./build --exclude=./roms .)
            tar -x -f "$2.tar" -C "$2"
            rm "$2.tar"
        else
            tar -x -f "$1" -C "$2" --strip-components=1 --exclude='*/roms/*'
        fi ;;
    esac
    rm -rf "$2/roms" "$2/debian" "$2/.pc" "$2/build"
    unpacked=$(cat "$2/VERSION" 2> /dev/null) || unpacked=unknown
    case $unpacked in
    "$series".*) ;;
    *)  rm -rf "$2"; die "'$1' holds QEMU version '$unpacked'; the patches are for $series.z" ;;
    esac
}
