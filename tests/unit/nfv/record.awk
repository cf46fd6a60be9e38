# A trace of nfv_policy_decide as rows for test-nfv-decide.c: from when on, what the guest wrote, what the link took.
# usage: awk -v name=NAME -f record.awk LOG, where the source had -trace nfv_policy_decide -msg timestamp=off -D LOG
#
# Copyright (c) 2026 the kvm4nfv authors
# SPDX-License-Identifier: GPL-2.0-or-later

BEGIN {
    printf "static const Change %s[] = {\n", name
    step = 100000 # us; what is less apart goes into one row
}

/nfv_policy_decide/ {
    split($1, stamp, /[@:]/)
    for (i = 2; i <= NF; i++) {
        if ($i == "pending,") {
            bandwidth = $(i + 1)
        } else if ($i == "dirty") {
            dirty = $(i + 1)
        }
    }
    if (!first) {
        first = stamp[2]
    }
    at = (stamp[2] - first) * 1000000
    if (rows && at - last < step) {
        next
    }
    last = at
    if (bandwidth) {
        printf "    { %d, %d, %d },\n", at, dirty, bandwidth
        rows++
    }
}

END {
    print "};"
}
