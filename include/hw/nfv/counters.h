/*
 * What a thread went through, by the kernel's count
 *
 * Copyright (c) 2026 the kvm4nfv authors
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#ifndef HW_NFV_COUNTERS_H
#define HW_NFV_COUNTERS_H

/* All since the thread was made; see proc_pid_schedstat(5), proc_pid_stat(5) */
typedef struct NfvCounts {
    uint64_t run_ns;      /* on a host CPU */
    uint64_t wait_ns;     /* runnable, but waiting for a host CPU */
    uint64_t involuntary; /* switches away from it though it could have run */
    uint64_t minor_faults, major_faults;
} NfvCounts;

/*
 * The counts of a thread out of the text of its schedstat, status and stat
 * files.  False, and @counts as it was, if a text is not what the kernel
 * writes.  Pure.
 */
bool nfv_counts_parse(const char *schedstat, const char *status,
                      const char *stat, NfvCounts *counts);

/*
 * The counts of the thread @tid of this process, or of a kernel thread outside
 * of it.  False if it ended, or if the kernel does not count.  Reads /proc:
 * any thread, not with the BQL.
 */
bool nfv_counts_read(int tid, NfvCounts *counts);

/* @counts less @before. */
NfvCounts nfv_counts_since(const NfvCounts *counts, const NfvCounts *before);

#endif
