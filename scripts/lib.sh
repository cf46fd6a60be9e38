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

# unpack FROM DIR: QEMU's source out of a directory, tarball or .dsc, without what we do not build.
unpack() {
    rm -rf "$2"
    case $1 in
    *.dsc)  dpkg-source --no-copy --no-check -x "$1" "$2" > /dev/null ;;
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
