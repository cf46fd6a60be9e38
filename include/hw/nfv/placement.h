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
 * Look for threads that no hook announces, the main thread among them, so that
 * nfv_placement_start() finds them.  Walks /proc: not with the BQL once the
 * machine runs.
 */
void nfv_placement_prepare(void);

/*
 * Put a plan for @config into force, on a @host as nfv_host_read() found it:
 * all threads that exist are placed now, each later one before its function
 * runs (kernel threads and threads that QEMU did not make: within a second).
 * Replaces the plan that was in force.  @root: as in nfv_host_read(); copied.
 * Main thread with the BQL; before the vCPUs are made, or at any time later.
 * False and @errp set, and nothing changed, if the configuration cannot be met
 * on this host, or if a thread of QEMU's cannot be placed by it while the
 * machine runs.
 */
bool nfv_placement_start(const NfvConfig *config, const NfvHost *host,
                         const NfvTopology *topology, const char *root,
                         Error **errp);

/* The priority to call nfv_host_read() with. */
int nfv_config_priority(const NfvConfig *config);

/* The plan in force, for the caller to unref; NULL if there is none. */
NfvPlan *nfv_placement_plan(void);

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
    NfvPlan *plan; /* NULL: none is in force */
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
