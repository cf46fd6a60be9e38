/*
 * What a thread went through, by the kernel's count
 *
 * Copyright (c) 2026 the kvm4nfv authors
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "qemu/osdep.h"
#include "hw/nfv/counters.h"

bool nfv_counts_parse(const char *schedstat, const char *status,
                      const char *stat, NfvCounts *counts)
{
    const char *switches = strstr(status, "\nnonvoluntary_ctxt_switches:");
    const char *fields = strrchr(stat, ')'); /* names may hold anything else */
    NfvCounts c;

    if (!switches || !fields ||
        sscanf(schedstat, "%" SCNu64 " %" SCNu64, &c.run_ns, &c.wait_ns) != 2 ||
        sscanf(switches, " nonvoluntary_ctxt_switches: %" SCNu64,
               &c.involuntary) != 1 ||
        /* state ppid pgrp session tty tpgid flags minflt cminflt majflt */
        sscanf(fields, ") %*c %*d %*d %*d %*d %*d %*u %" SCNu64 " %*u %" SCNu64,
               &c.minor_faults, &c.major_faults) != 2) {
        return false;
    }
    *counts = c;
    return true;
}

static char *read_file(const char *directory, int tid, const char *name)
{
    g_autofree char *path = g_strdup_printf("%s/%d/%s", directory, tid, name);
    char *text;

    return g_file_get_contents(path, &text, NULL, NULL) ? text : NULL;
}

bool nfv_counts_read(int tid, NfvCounts *counts)
{
    /* /proc/TID of one of our threads would show the whole process. */
    static const char *const directories[] = { "/proc/self/task", "/proc" };

    for (int i = 0; i < ARRAY_SIZE(directories); i++) {
        g_autofree char *schedstat =
            read_file(directories[i], tid, "schedstat");
        g_autofree char *status = read_file(directories[i], tid, "status");
        g_autofree char *stat = read_file(directories[i], tid, "stat");

        if (schedstat && status && stat) {
            return nfv_counts_parse(schedstat, status, stat, counts);
        }
    }
    return false;
}

NfvCounts nfv_counts_since(const NfvCounts *counts, const NfvCounts *before)
{
    return (NfvCounts) {
        .run_ns = counts->run_ns - before->run_ns,
        .wait_ns = counts->wait_ns - before->wait_ns,
        .involuntary = counts->involuntary - before->involuntary,
        .minor_faults = counts->minor_faults - before->minor_faults,
        .major_faults = counts->major_faults - before->major_faults,
    };
}
