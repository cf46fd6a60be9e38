/*
 * Affinity and scheduling policy of a thread, as the kernel has them
 *
 * Copyright (c) 2026 the kvm4nfv authors
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "qemu/osdep.h"
#include <sched.h>
#include "hw/nfv/sched.h"

int nfv_sched_get_cpus(int tid, NfvCpuSet *cpus)
{
    bitmap_zero(cpus->bits, NFV_CPUS);
    return sched_getaffinity(tid, sizeof(cpus->bits), (cpu_set_t *)cpus->bits) <
                   0 ?
               -errno :
               0;
}

int nfv_sched_set_cpus(int tid, const NfvCpuSet *cpus)
{
    return sched_setaffinity(tid, sizeof(cpus->bits),
                             (const cpu_set_t *)cpus->bits) < 0 ?
               -errno :
               0;
}

int nfv_sched_get_policy(int tid, int *policy, int *priority)
{
    struct sched_param param;
    int ret = sched_getscheduler(tid);

    if (ret < 0 || sched_getparam(tid, &param) < 0) {
        return -errno;
    }
    *policy = ret & ~SCHED_RESET_ON_FORK;
    *priority = param.sched_priority;
    return 0;
}

int nfv_sched_set_fifo(int tid, int priority)
{
    struct sched_param param = { .sched_priority = priority };

    return sched_setscheduler(tid, SCHED_FIFO | SCHED_RESET_ON_FORK, &param) <
                   0 ?
               -errno :
               0;
}

static bool is_real_time(int policy)
{
    return policy == SCHED_FIFO || policy == SCHED_RR ||
           policy == SCHED_DEADLINE;
}

int nfv_sched_set_ordinary(int tid)
{
    struct sched_param param = { 0 };
    int policy = sched_getscheduler(tid);

    if (policy < 0) {
        return -errno;
    }
    if (!is_real_time(policy & ~SCHED_RESET_ON_FORK)) {
        return 0;
    }
    /* Without CAP_SYS_NICE the flag cannot be taken back: keep it. */
    policy = SCHED_OTHER | (policy & SCHED_RESET_ON_FORK);
    return sched_setscheduler(tid, policy, &param) < 0 ? -errno : 0;
}

int nfv_sched_apply(int tid, const NfvWanted *wanted, const char **what)
{
    int cpus, policy = 0;

    /*
     * First the CPUs: a real-time thread should not run on somebody else's even
     * for a moment.
     */
    cpus = nfv_sched_set_cpus(tid, &wanted->cpus);
    if (wanted->policy) {
        policy = wanted->priority ? nfv_sched_set_fifo(tid, wanted->priority) :
                                    nfv_sched_set_ordinary(tid);
    }
    *what = cpus ? "affinity" : "scheduling policy";
    return cpus ?: policy;
}

int nfv_sched_save(int tid, NfvSchedState *state)
{
    struct sched_param param;

    state->policy = sched_getscheduler(tid);
    if (state->policy < 0 || sched_getparam(tid, &param) < 0) {
        return -errno;
    }
    state->priority = param.sched_priority;
    return nfv_sched_get_cpus(tid, &state->cpus);
}

int nfv_sched_restore(int tid, const NfvSchedState *state)
{
    struct sched_param param = { .sched_priority = state->priority };
    int ret = nfv_sched_set_cpus(tid, &state->cpus);

    /* Without CAP_SYS_NICE nothing can take the flag back. */
    if (sched_setscheduler(tid, state->policy, &param) < 0 &&
        sched_setscheduler(tid, state->policy | SCHED_RESET_ON_FORK, &param) <
            0) {
        return -errno;
    }
    return ret;
}

bool nfv_sched_matches(const NfvWanted *wanted, const NfvCpuSet *cpus,
                       int policy, int priority)
{
    if (!NFV_CPUSET_EQUAL(&wanted->cpus, cpus)) {
        return false;
    }
    if (!wanted->policy) {
        return true;
    }
    return wanted->priority ?
               policy == SCHED_FIFO && priority == wanted->priority :
               !is_real_time(policy);
}
