/*
 * Placement: the threads of this QEMU, and the plan that is in force for them
 *
 * Copyright (c) 2026 the kvm4nfv authors
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#ifndef HW_NFV_PLACEMENT_H
#define HW_NFV_PLACEMENT_H

#include "hw/nfv/counters.h"
#include "hw/nfv/facts.h"
#include "hw/nfv/plan.h"

/*
 * Put a plan for @config into force: all threads that exist are placed now,
 * each later one before its function runs (kernel threads and threads that QEMU
 * did not make: within a second). Main thread with the BQL, before the vCPUs
 * are made, at most once a process.  @root: as in nfv_host_read(); copied.
 * False and @errp set, and nothing placed, if the configuration cannot be met.
 */
bool nfv_placement_start(const NfvConfig *config, const NfvTopology *topology,
                         const char *root, Error **errp);

/*
 * Whether there is a host CPU for the vCPU with this @index; true without a
 * plan.  BQL.
 */
bool nfv_placement_check_vcpu(int index, Error **errp);

/* One thread as it was when the snapshot was taken. */
typedef struct NfvThreadState {
    int tid;
    char *name;
    NfvRole role;
    int vcpu;
    bool has_wanted;
    NfvWanted wanted;
    bool alive; /* the three below are known */
    NfvCpuSet cpus;
    int policy, priority;
    char *error; /* why it could not be placed, or NULL */
    bool has_counts, has_since_query;
    NfvCounts counts;
    NfvCounts since_query; /* the last snapshot that had counts of it */
} NfvThreadState;

typedef struct NfvSnapshot {
    /* of NfvThreadState, by role and then thread id */
    GPtrArray *threads;
    /* NULL: none is in force.  Not owned; lives as long as the process. */
    const NfvPlan *plan;
    /* what the plan was made from; NULL without one */
    const NfvHost *host;
    /* of unsigned: vCPU host CPUs that another nfv guest has claimed, too */
    GArray *shared;
    NfvCpuSet vcpus; /* where the vCPU threads may run now */
    NfvFacts *facts;
} NfvSnapshot;

/*
 * All threads and what the kernel says of them now.  Walks /proc: takes
 * milliseconds, so never with the BQL; from any thread.
 */
NfvSnapshot *nfv_placement_snapshot(void);
void nfv_snapshot_free(NfvSnapshot *snapshot);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(NfvSnapshot, nfv_snapshot_free)

#endif
