#!/bin/sh
# Checks of ./configure and the scripts that need no build; TAP.
#
# Copyright (c) 2026 the kvm4nfv authors
# SPDX-License-Identifier: GPL-2.0-or-later

. "$(dirname "$0")/lib.sh"

number=0 failed=0
tmp=$(mktemp -d); trap 'rm -rf "$tmp"' EXIT

# ok NAME COMMAND...: the command succeeds
ok() {
    name=$1; shift
    number=$((number + 1))
    if "$@" > "$tmp/out" 2>&1; then echo "ok $number $name"
    else
        echo "not ok $number $name"
        sed 's/^/# /' "$tmp/out"
        failed=1
    fi
}

# refused WORDS COMMAND...: the command fails and says WORDS
refused() {
    words=$1; shift
    if "$@" > "$tmp/said" 2>&1; then echo "succeeded"; return 1; fi
    grep -qF -- "$words" "$tmp/said" || { cat "$tmp/said"; return 1; }
}

# skipped NAME REASON
skipped() {
    number=$((number + 1))
    echo "ok $number $1 # SKIP $2"
}

# One version: QEMU's and our own count, for each kind of package.
versions() {
    case $(release) in
    "$version"+nfv[0-9]*) ;;
    *) echo "packaging/debian/changelog names $(release), UPSTREAM $version"; return 1 ;;
    esac
    grep -qx "Version: *$(release)" "$top/packaging/qemu-nfv.spec" ||
        { echo "packaging/qemu-nfv.spec has another version than $(release)"; return 1; }
}

# rpmlint's errors; its exit status also counts warnings in some versions.
spec() {
    rpmlint "$top/packaging/qemu-nfv.spec" > "$tmp/rpmlint" 2>&1 || :
    grep -q ' 0 errors' "$tmp/rpmlint" || { cat "$tmp/rpmlint"; return 1; }
}

# A test program that died after a test that passed is one that failed.
died_counts() {
    mkdir -p "$tmp/logs"
    echo '{"name": "p:s / dir/dies", "result": "ERROR"}' > "$tmp/logs/log.json"
    cat > "$tmp/logs/log.xml" << 'EOF'
<testsuites><testsuite name="p.p:s / dir/dies" tests="1" errors="0" failures="0"><testcase name="1 /a"/></testsuite></testsuites>
EOF
    python3 -B - "$top/scripts/run-tests.py" "$tmp/logs" << 'EOF'
import pathlib, runpy, sys
logs = pathlib.Path(sys.argv[2])
counts, failed = runpy.run_path(sys.argv[1])['count']((logs / 'log.json', logs / 'log.xml'))
assert (counts['passed'], counts['failed'], failed) == (1, 1, {'dir/dies'}), (counts, failed)
EOF
}

scripts_parse() {
    for f in "$top/configure" "$top"/scripts/*.sh "$top"/guest/*.sh "$top/.ci/run" "$top"/packaging/*.sh \
        "$top"/packaging/debian/*.postinst "$top"/packaging/debian/*.prerm; do sh -n "$f" || return 1; done
}

# What configure reads before it looks at the source: enough for its refusals.
copy() {
    mkdir -p "$1"
    cp -r "$top/configure" "$top/scripts" "$top/UPSTREAM" "$top/patches" "$top/packaging" "$1"
}

in_dir() (cd "$1" && shift && "$@")

# A release counts on; with another version of QEMU it counts from 1.
releases() {
    sed -i 's/^version=.*/version=10.0.99/' "$1/UPSTREAM"
    for want in 10.0.99+nfv1 10.0.99+nfv2; do
        sh "$1/scripts/release.sh" "a fix of $want & more"
        head -n 1 "$1/packaging/debian/changelog" | grep -F "($want-1)" || return 1
        grep "^Version: *$want\$" "$1/packaging/qemu-nfv.spec" || return 1
        grep -F -- "- a fix of $want & more" "$1/packaging/qemu-nfv.spec" || return 1
    done
}

headers() {
    for f in $(find "$top/hw/nfv" "$top/include/hw/nfv" "$top/scripts" "$top/tests" "$top/tools" "$top/guest" "$top/packaging" \
                    -type f \( -name '*.[ch]' -o -name '*.py' -o -name '*.sh' \)); do
        head -n 20 "$f" | grep -q 'SPDX-License-Identifier: GPL-2.0-or-later' || { echo "$f has no SPDX line"; bad=1; }
    done
    [ -z "${bad-}" ]
}

# By their paths in QEMU's tree, which decide about some rules.  Warnings are for a reviewer to judge.
style() {
    cd "$qemu"
    ! find -L $(cat .overlay) -name '*.[ch]' | xargs perl scripts/checkpatch.pl --quiet -f | grep -A 3 '^ERROR'
}

ok "scripts parse" scripts_parse
ok "each file has its license" headers
ok "checkpatch.pl has no error in our C files" style
ok "configure --help" sh -c "'$top/configure' --help | grep -q -- --qemu-source="
copy "$tmp/with space"
ok "configure refuses a path with spaces" refused "spaces or colons" "$tmp/with space/configure" --no-install-deps
copy "$tmp/a:b"
ok "configure refuses a path with colons" refused "spaces or colons" "$tmp/a:b/configure" --no-install-deps
copy "$tmp/plain"
mkdir -p "$tmp/build here"
ok "configure refuses a build directory with spaces" \
    refused "spaces or colons" in_dir "$tmp/build here" "$tmp/plain/configure" --no-install-deps
ok "configure refuses a missing source" \
    refused "no such file or directory" "$tmp/plain/configure" --no-install-deps --qemu-source="$tmp/none"
mkdir -p "$tmp/old" && echo 9.2.0 > "$tmp/old/VERSION"
ok "configure refuses another version of QEMU" \
    refused "9.2.0" "$tmp/plain/configure" --no-install-deps --qemu-source="$tmp/old"
ok "configure wants a value for --qemu-source" \
    refused "--qemu-source wants a value" "$tmp/plain/configure" --no-install-deps --qemu-source
ok "the packages have one version" versions
copy "$tmp/release"
ok "a release gets the next version" releases "$tmp/release"
ok "a release wants to know what is new" refused "say what is new" sh "$tmp/release/scripts/release.sh"
if command -v rpmlint > /dev/null && command -v rpm > /dev/null; then ok "rpmlint finds no error in the RPM spec" spec
else skipped "rpmlint finds no error in the RPM spec" "rpmlint or rpm is missing: sh scripts/deps.sh deb"
fi
ok "run-tests.py counts a program that died" died_counts
ok "the queue has no work that is not in patches/" sh "$top/scripts/queue.sh" clean
echo "1..$number"
exit $failed
