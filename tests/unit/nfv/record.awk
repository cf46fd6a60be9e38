# A trace of nfv_policy_decide as rows for test-nfv-decide.c: from when on, what the guest wrote, what the link took.
# usage: awk -v name=NAME -f record.awk LOG, of a source with -trace nfv_policy_decide -msg timestamp=off -D LOG
#
# Copyright (c) 2026 the kvm4nfv authors
# SPDX-License-Identifier: GPL-2.0-or-later

BEGIN {
    printf "static const Change %s[] = {\n", name
    step = 50000 # us; what follows sooner says little
}

# What was measured at a decision was so since the one before.
/nfv_policy_decide/ {
    split($1, stamp, /[@:]/)
    for (i = 2; i <= NF; i++) {
        if ($i == "pending,") {
            link = $(i + 1)
        } else if ($i == "dirty") {
            dirty = $(i + 1)
        }
    }
    first = first ? first : stamp[2]
    at = (stamp[2] - first) * 1000000
    if (at - last >= step && link) {
        printf "    { %d, %d, %d },\n", last, dirty, link
        last = at
    }
}

END {
    print "};"
}
