/*
 * The plan: which host CPUs and which scheduling policy each role has
 *
 * Copyright (c) 2026 the kvm4nfv authors
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#ifndef HW_NFV_PLAN_H
#define HW_NFV_PLAN_H

#include "hw/nfv/host.h"
#include "hw/nfv/sched.h"
#include "qapi/qapi-types-common.h"
#include "qapi/qapi-types-nfv.h"

/*
 * What the user asked for: the machine's properties.  Lists are NULL where the
 * user gave none.
 */
typedef struct NfvConfig {
    bool vcpu_auto;    /* vcpu-cpus=auto */
    GArray *vcpu_cpus; /* of unsigned: the host CPU of each vCPU */
    GArray *rt_vcpus;  /* of unsigned: indices of vCPUs */
    GArray *iothread_cpus;
    GArray *housekeeping_cpus;
    OnOffAuto rt;
    uint8_t vcpu_priority;     /* 1 to 98 */
    uint8_t iothread_priority; /* 0 to 98 */
    uint8_t emulator_priority; /* 0 to 98 */
    /* a property that was given and is idle without vcpu-cpus, or NULL */
    const char *needs_plan;
} NfvConfig;

typedef struct NfvTopology {
    unsigned cpus, max_cpus; /* vCPUs at start; with all hot-plugged ones */
    /* one thread runs all vCPUs (TCG with thread=single, icount or replay) */
    bool single_thread;
} NfvTopology;

typedef struct NfvPlan {
    GArray *vcpu_cpus;       /* of unsigned, at most max_cpus long */
    bool vcpu_auto;          /* chosen by QEMU */
    unsigned long *rt_vcpus; /* max_cpus bits */
    unsigned max_cpus;
    bool single_thread; /* see NfvTopology */
    NfvCpuSet iothread, housekeeping;
    OnOffAuto rt_asked;
    /* real-time policies are in force; else policies are left as they are */
    bool rt;
    /* why they are not, or NONE; SANDBOX also with rt=off: nothing is placed */
    NfvRefusal refusal;
    char *refusal_what, *refusal_remedy; /* the same in words, or NULL */
    uint8_t vcpu_priority, iothread_priority, emulator_priority;
} NfvPlan;

/*
 * Make a plan.  Pure: the facts are in @host, and @vcpu_cpus (of unsigned) is
 * the list of the user or the one that was claimed for vcpu-cpus=auto.  NULL
 * and @errp set if the configuration cannot be met on this host; with rt=auto a
 * refusal of the host's is not an error but noted in the plan.
 */
NfvPlan *nfv_plan_make(const NfvConfig *config, const GArray *vcpu_cpus,
                       const NfvHost *host, const NfvTopology *topology,
                       Error **errp);

/* A plan is not changed once it is made, and counts its users, any thread. */
NfvPlan *nfv_plan_ref(NfvPlan *plan);
void nfv_plan_unref(NfvPlan *plan);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(NfvPlan, nfv_plan_unref)

/* How many host CPUs @topology needs in vcpu-cpus. */
unsigned nfv_plan_cpus_needed(const NfvTopology *topology);

/*
 * Host CPUs (of unsigned) to try for vcpu-cpus=auto, best first: isolated and
 * granted ones, those of one NUMA node together, nodes that can take all
 * @needed vCPUs first.  Pure; never NULL.
 */
GArray *nfv_plan_candidates(const NfvHost *host, unsigned needed);

/*
 * What a thread of @role should have.  @vcpu: index of its vCPU, -1 for a
 * thread that runs all. False if the thread is to be left alone.
 */
bool nfv_plan_lookup(const NfvPlan *plan, NfvRole role, int vcpu,
                     NfvWanted *wanted);

#endif
