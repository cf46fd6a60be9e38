/*
 * Affinity and scheduling policy of a thread, as the kernel has them
 *
 * Copyright (c) 2026 the kvm4nfv authors
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#ifndef HW_NFV_SCHED_H
#define HW_NFV_SCHED_H

#include "hw/nfv/cpulist.h"

/* What a thread should have. */
typedef struct NfvWanted {
    NfvCpuSet cpus;
    bool policy; /* false: leave the policy as it is */
    /*
     * with @policy: 0 a policy that is not real-time, else the priority of
     * SCHED_FIFO
     */
    int priority;
} NfvWanted;

/*
 * All of these take a kernel thread id, 0 being the caller, may be called from
 * any thread with or without the BQL, and return 0 or a negative errno; -ESRCH
 * when the thread has ended.
 */
int nfv_sched_get_cpus(int tid, NfvCpuSet *cpus);
int nfv_sched_set_cpus(int tid, const NfvCpuSet *cpus);

/* *@policy: SCHED_* without flags; *@priority: 0 unless it is real-time. */
int nfv_sched_get_policy(int tid, int *policy, int *priority);

/* SCHED_FIFO whose children start as SCHED_OTHER. */
int nfv_sched_set_fifo(int tid, int priority);

/* SCHED_OTHER if the policy is real-time now; other policies are left alone. */
int nfv_sched_set_ordinary(int tid);

/*
 * Give @tid what is @wanted; the CPUs also if the policy is refused.  On
 * failure *@what says, as a literal, which of the two it was.
 */
int nfv_sched_apply(int tid, const NfvWanted *wanted, const char **what);

/* What the kernel has for a thread, to be given back to it later. */
typedef struct NfvSchedState {
    NfvCpuSet cpus;
    int policy; /* with flags */
    int priority;
} NfvSchedState;

int nfv_sched_save(int tid, NfvSchedState *state);
int nfv_sched_restore(int tid, const NfvSchedState *state);

/* Whether the kernel's @cpus, @policy and @priority are what is @wanted. */
bool nfv_sched_matches(const NfvWanted *wanted, const NfvCpuSet *cpus,
                       int policy, int priority);

#endif
