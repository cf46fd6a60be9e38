/*
 * Facts of the host that decide how quietly a vCPU runs
 *
 * Copyright (c) 2026 the kvm4nfv authors
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#ifndef HW_NFV_FACTS_H
#define HW_NFV_FACTS_H

#include "hw/nfv/cpulist.h"
#include "qapi/qapi-types-nfv.h"

typedef struct NfvFacts {
    NfvCpuSet isolated;    /* from the scheduler: isolcpus=, cpusets */
    NfvCpuSet nohz_full;   /* without a tick while one task runs */
    NfvCpuSet siblings;    /* SMT siblings of the asked CPUs, less these */
    /* the asked CPUs that starving tasks get for a part of each second; only
     * what debugfs shows to this user */
    NfvCpuSet fair_server;
    int64_t rt_runtime_us; /* -1: not throttled */
    int64_t rt_period_us;
    int64_t cgroup_rt_us; /* budget of QEMU's cgroup; -1: no such limit */
    NfvPreemption preemption;
    char *clock_source; /* "" where the kernel does not say */
} NfvFacts;

/*
 * Read them; @cpus are those of the vCPUs.  @root: as in nfv_host_read().
 * Reads /proc and /sys: any thread, not with the BQL.  Never NULL.
 */
NfvFacts *nfv_facts_read(const char *root, const NfvCpuSet *cpus);
void nfv_facts_free(NfvFacts *facts);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(NfvFacts, nfv_facts_free)

/*
 * The preemption model from the text of /sys/kernel/realtime and
 * /sys/kernel/debug/sched/preempt, each NULL if there is none, and the kernel's
 * version string as from uname(2).  Pure.
 */
NfvPreemption nfv_facts_preemption(const char *realtime, const char *dynamic,
                                   const char *version);

#endif
