/*
 * What the host grants to this QEMU
 *
 * Copyright (c) 2026 the kvm4nfv authors
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#ifndef HW_NFV_HOST_H
#define HW_NFV_HOST_H

#include "hw/nfv/cpulist.h"

/* Why the host refuses affinity or SCHED_FIFO. */
typedef enum NfvRefusal {
    NFV_REFUSAL_NONE,
    NFV_REFUSAL_SANDBOX, /* -sandbox resourcecontrol=deny: every call fails */
    NFV_REFUSAL_CAPABILITY, /* neither CAP_SYS_NICE nor any RLIMIT_RTPRIO */
    NFV_REFUSAL_RLIMIT,     /* RLIMIT_RTPRIO is below the priority */
    NFV_REFUSAL_CGROUP, /* RT_GROUP_SCHED: the cgroup has no real-time budget */
    NFV_REFUSAL_THROTTLED, /* allowed, but RT throttling stops a busy vCPU */
    NFV_REFUSAL_OTHER,     /* none of these; NfvHost.fifo_errno says what */
} NfvRefusal;

typedef struct NfvHost {
    NfvCpuSet online;
    /* what the kernel gives when all are asked for: the cpuset */
    NfvCpuSet granted;
    NfvCpuSet inherited; /* the caller's: at start, what QEMU was given */
    NfvCpuSet isolated;  /* isolcpus= and isolated cpuset partitions */
    /* NUMA node of each host CPU; 0 where the kernel does not say */
    int16_t node[NFV_CPUS];
    NfvRefusal affinity; /* NONE or SANDBOX */
    NfvRefusal fifo;
    int fifo_errno;        /* of the attempt that was refused; 0 */
    unsigned rtprio_limit; /* RLIMIT_RTPRIO */
} NfvHost;

/*
 * Read the facts, and try what is refused, for SCHED_FIFO with @priority, on a
 * thread of its own: the caller's placement does not change.  @root is "" but
 * in tests, which prefix the files below /sys and /proc/sys with it. The caller
 * frees the result with g_free().
 */
NfvHost *nfv_host_read(const char *root, int priority);

/*
 * Why an attempt to get SCHED_FIFO with @priority failed with @err (0: it did
 * not).  Pure.
 * @sandboxed: affinity is refused, too; @capable: CAP_SYS_NICE is in force;
 * @limit: RLIMIT_RTPRIO;
 * @throttled: RT throttling is on.
 */
NfvRefusal nfv_refusal_of(int err, bool sandboxed, bool capable, unsigned limit,
                          int priority, bool throttled);

/*
 * One sentence that says it, and what to do about it.  The caller frees both;
 * @remedy may be NULL.
 */
char *nfv_refusal_describe(const NfvHost *host, NfvRefusal refusal,
                           int priority, char **remedy);

#endif
