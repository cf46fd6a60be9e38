/*
 * The plan: which host CPUs and which scheduling policy each role has
 *
 * Copyright (c) 2026 the kvm4nfv authors
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "qemu/osdep.h"
#include "qapi/error.h"
#include "hw/nfv/plan.h"

unsigned nfv_plan_cpus_needed(const NfvTopology *topology)
{
    return topology->single_thread ? 1 : topology->cpus;
}

static bool check_cpus(const char *property, const NfvCpuSet *cpus,
                       const NfvHost *host, Error **errp)
{
    unsigned cpu;

    NFV_CPUSET_FOREACH(cpu, cpus) {
        if (!NFV_CPUSET_HAS(&host->online, cpu)) {
            g_autofree char *online = nfv_cpuset_format(&host->online);

            error_setg(errp,
                       "%s: host CPU %u is offline or does not exist; online "
                       "are %s",
                       property, cpu, online);
            return false;
        }
        if (!NFV_CPUSET_HAS(&host->granted, cpu)) {
            g_autofree char *granted = nfv_cpuset_format(&host->granted);

            error_setg(errp,
                       "%s: host CPU %u is not granted to QEMU; its cpuset has "
                       "%s",
                       property, cpu, granted);
            return false;
        }
    }
    return true;
}

static bool check_vcpu_cpus(const GArray *list, const NfvCpuSet *set,
                            const NfvHost *host, const NfvTopology *topology,
                            Error **errp)
{
    ERRP_GUARD();
    g_autofree char *text = nfv_cpulist_format(list);

    if (!check_cpus("vcpu-cpus", set, host, errp)) {
        return false;
    }
    if (list->len < nfv_plan_cpus_needed(topology)) {
        error_setg(errp, "vcpu-cpus: too few host CPUs (%s) for %u vCPUs", text,
                   topology->cpus);
        error_append_hint(errp, "Give one host CPU for each vCPU, or lower "
                                "-smp.\n");
        return false;
    }
    if (list->len > topology->max_cpus) {
        error_setg(errp, "vcpu-cpus: too many host CPUs (%s): maxcpus is %u",
                   text, topology->max_cpus);
        error_append_hint(errp, "Shorten the list, or raise maxcpus= of "
                                "-smp.\n");
        return false;
    }
    return true;
}

/*
 * The set of @list, or of @otherwise where the user gave no list; must not
 * touch the CPUs of the vCPUs.
 */
static bool make_set(const char *property, const GArray *list,
                     const NfvCpuSet *otherwise, const NfvCpuSet *vcpus,
                     const NfvHost *host, NfvCpuSet *set, Error **errp)
{
    NfvCpuSet both;

    if (!list) {
        *set = *otherwise;
        return true;
    }
    nfv_cpuset_from_list(set, list);
    if (!check_cpus(property, set, host, errp)) {
        return false;
    }
    NFV_CPUSET_AND(&both, set, vcpus);
    if (!NFV_CPUSET_EMPTY(&both)) {
        g_autofree char *text = nfv_cpuset_format(&both);

        error_setg(errp,
                   "%s: overlaps vcpu-cpus in %s; a vCPU shares its host CPU "
                   "with no other thread",
                   property, text);
        return false;
    }
    return true;
}

/*
 * What runs no vCPU, of the CPUs that QEMU was started with, else of the
 * others: isolated ones last.
 */
static bool make_housekeeping(const NfvHost *host, const NfvCpuSet *vcpus,
                              NfvCpuSet *set, Error **errp)
{
    ERRP_GUARD();
    g_autofree char *text = nfv_cpuset_format(&host->granted);
    NfvCpuSet rest;

    NFV_CPUSET_AND(set, &host->granted, &host->inherited);
    NFV_CPUSET_ANDNOT(set, set, vcpus);
    if (!NFV_CPUSET_EMPTY(set)) {
        return true;
    }
    NFV_CPUSET_ANDNOT(&rest, &host->granted, vcpus);
    NFV_CPUSET_ANDNOT(set, &rest, &host->isolated);
    if (NFV_CPUSET_EMPTY(set)) {
        *set = rest;
    }
    if (NFV_CPUSET_EMPTY(set)) {
        error_setg(errp,
                   "vcpu-cpus takes every host CPU that is granted to QEMU "
                   "(%s): none is left for housekeeping",
                   text);
        error_append_hint(errp, "Leave at least one host CPU to QEMU's other "
                                "threads.\n");
        return false;
    }
    return true;
}

static bool set_rt_vcpus(NfvPlan *plan, const GArray *list, Error **errp)
{
    if (!list) {
        bitmap_fill(plan->rt_vcpus, plan->max_cpus);
        return true;
    }
    for (unsigned i = 0; i < list->len; i++) {
        unsigned vcpu = g_array_index(list, unsigned, i);

        if (vcpu >= plan->max_cpus) {
            error_setg(errp,
                       "rt-vcpus: there is no vCPU %u; the machine can have "
                       "vCPUs 0 to %u",
                       vcpu, plan->max_cpus - 1);
            return false;
        }
        set_bit(vcpu, plan->rt_vcpus);
    }
    return true;
}

/* The highest that any thread gets. */
static int highest_priority(const NfvPlan *plan)
{
    return MAX(plan->vcpu_priority,
               MAX(plan->iothread_priority, plan->emulator_priority));
}

/* Real-time policies: in force, or why they are not. */
static bool decide_rt(NfvPlan *plan, const NfvHost *host, Error **errp)
{
    ERRP_GUARD();
    bool wanted = plan->rt_asked != ON_OFF_AUTO_OFF;

    plan->refusal = host->affinity ?: wanted ? host->fifo : NFV_REFUSAL_NONE;
    plan->rt = wanted && !plan->refusal;
    if (!plan->refusal) {
        return true;
    }
    plan->refusal_what = nfv_refusal_describe(
        host, plan->refusal, highest_priority(plan), &plan->refusal_remedy);
    if (plan->rt_asked == ON_OFF_AUTO_ON) {
        error_setg(errp, "rt=on: %s", plan->refusal_what);
        error_append_hint(errp, "Do this, or use rt=auto: %s.\n",
                          plan->refusal_remedy);
        return false;
    }
    return true;
}

NfvPlan *nfv_plan_make(const NfvConfig *config, const GArray *vcpu_cpus,
                       const NfvHost *host, const NfvTopology *topology,
                       Error **errp)
{
    g_autoptr(NfvPlan) plan = g_atomic_rc_box_new0(NfvPlan);
    NfvCpuSet vcpus, rest;

    plan->vcpu_cpus = g_array_new(false, false, sizeof(unsigned));
    g_array_append_vals(plan->vcpu_cpus, vcpu_cpus->data, vcpu_cpus->len);
    plan->vcpu_auto = config->vcpu_auto;
    plan->max_cpus = topology->max_cpus;
    plan->single_thread = topology->single_thread;
    plan->rt_vcpus = bitmap_new(plan->max_cpus);
    plan->rt_asked = config->rt;
    plan->vcpu_priority = config->vcpu_priority;
    plan->iothread_priority = config->iothread_priority;
    plan->emulator_priority = config->emulator_priority;

    nfv_cpuset_from_list(&vcpus, vcpu_cpus);
    if (!check_vcpu_cpus(vcpu_cpus, &vcpus, host, topology, errp) ||
        !set_rt_vcpus(plan, config->rt_vcpus, errp)) {
        return NULL;
    }
    if (!config->housekeeping_cpus &&
        !make_housekeeping(host, &vcpus, &rest, errp)) {
        return NULL;
    }
    if (!make_set("housekeeping-cpus", config->housekeeping_cpus, &rest, &vcpus,
                  host, &plan->housekeeping, errp) ||
        !make_set("iothread-cpus", config->iothread_cpus, &plan->housekeeping,
                  &vcpus, host, &plan->iothread, errp) ||
        !decide_rt(plan, host, errp)) {
        return NULL;
    }
    return g_steal_pointer(&plan);
}

static void plan_clear(void *opaque)
{
    NfvPlan *plan = opaque;

    g_array_unref(plan->vcpu_cpus);
    g_free(plan->rt_vcpus);
    g_free(plan->refusal_what);
    g_free(plan->refusal_remedy);
}

NfvPlan *nfv_plan_ref(NfvPlan *plan)
{
    return g_atomic_rc_box_acquire(plan);
}

void nfv_plan_unref(NfvPlan *plan)
{
    if (plan) {
        g_atomic_rc_box_release_full(plan, plan_clear);
    }
}

static int compare_candidates(const void *a, const void *b, void *opaque)
{
    unsigned x = *(const unsigned *)a, y = *(const unsigned *)b;
    const int *rank = opaque;

    return rank[x] != rank[y] ? rank[x] - rank[y] : (int)x - (int)y;
}

GArray *nfv_plan_candidates(const NfvHost *host, unsigned needed)
{
    GArray *list = g_array_new(false, false, sizeof(unsigned));
    g_autofree int *rank = g_new0(int, NFV_CPUS);
    g_autofree unsigned *size = g_new0(unsigned, INT16_MAX + 1);
    NfvCpuSet free;
    unsigned cpu;

    NFV_CPUSET_AND(&free, &host->isolated, &host->granted);
    NFV_CPUSET_AND(&free, &free, &host->online);
    NFV_CPUSET_FOREACH(cpu, &free) {
        size[host->node[cpu]]++;
        g_array_append_val(list, cpu);
    }
    NFV_CPUSET_FOREACH(cpu, &free) {
        bool enough = size[host->node[cpu]] >= needed;

        rank[cpu] = host->node[cpu] + (enough ? 0 : INT16_MAX + 1);
    }
    g_array_sort_with_data(list, compare_candidates, rank);
    return list;
}

bool nfv_plan_lookup(const NfvPlan *plan, NfvRole role, int vcpu,
                     NfvWanted *wanted)
{
    bitmap_zero(wanted->cpus.bits, NFV_CPUS);
    wanted->policy = plan->rt;
    wanted->priority = 0;

    switch (role) {
    case NFV_ROLE_VCPU:
        if (vcpu >= (int)plan->vcpu_cpus->len) {
            return false;
        }
        set_bit(g_array_index(plan->vcpu_cpus, unsigned, MAX(vcpu, 0)),
                wanted->cpus.bits);
        /* One thread for all vCPUs is real-time if one of them is. */
        if (vcpu < 0 ? !bitmap_empty(plan->rt_vcpus, plan->max_cpus) :
                       test_bit(vcpu, plan->rt_vcpus)) {
            wanted->priority = plan->vcpu_priority;
        }
        return true;
    case NFV_ROLE_IOTHREAD:
        wanted->cpus = plan->iothread;
        wanted->priority = plan->iothread_priority;
        return true;
    case NFV_ROLE_EMULATOR:
        wanted->cpus = plan->housekeeping;
        wanted->priority = plan->emulator_priority;
        return true;
    case NFV_ROLE_FAULT:
        /*
         * A stalled real-time vCPU waits for it, so no migration thread may
         * come before it.
         */
        wanted->cpus = plan->housekeeping;
        wanted->priority = plan->vcpu_priority;
        return true;
    case NFV_ROLE_MEMORY:
        return false;
    case NFV_ROLE_VHOST:
    case NFV_ROLE_MIGRATION:
    case NFV_ROLE_WORKER:
    case NFV_ROLE__MAX:
        break;
    }
    wanted->cpus = plan->housekeeping;
    return true;
}
