/*
 * What still disturbs a placed vCPU
 *
 * Copyright (c) 2026 the kvm4nfv authors
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "qemu/osdep.h"
#include "qapi/util.h"
#include "hw/nfv/disturb.h"

/* Less than this share of its time spent waiting is the noise of counting. */
#define WAIT_PERMILLE 1

static void add(NfvProblemList ***tail, char *what, const char *remedy)
{
    NfvProblem *p = g_new0(NfvProblem, 1);

    p->what = what;
    p->remedy = g_strdup(remedy);
    QAPI_LIST_APPEND(*tail, p);
}

static const NfvCounts *newest(const NfvThreadState *s)
{
    return s->has_since_query ? &s->since_query : &s->counts;
}

static const char *period(const NfvThreadState *s)
{
    return s->has_since_query ? "since the last query" : "since its start";
}

/* The vCPU thread for which @value is highest; NULL if it is 0 for all. */
static const NfvThreadState *worst(const GPtrArray *threads,
                                   uint64_t (*value)(const NfvCounts *))
{
    const NfvThreadState *found = NULL;

    for (int i = 0; i < threads->len; i++) {
        const NfvThreadState *s = g_ptr_array_index(threads, i);

        if (s->alive && s->has_counts && s->role == NFV_ROLE_VCPU &&
            value(newest(s)) > (found ? value(newest(found)) : 0)) {
            found = s;
        }
    }
    return found;
}

static uint64_t wait_permille(const NfvCounts *c)
{
    uint64_t all = c->run_ns + c->wait_ns;

    return all ? c->wait_ns / (all / 1000 + 1) : 0;
}

static uint64_t major_faults(const NfvCounts *c)
{
    return c->major_faults;
}

static void add_measured(NfvProblemList ***tail, const GPtrArray *threads)
{
    const NfvThreadState *s = worst(threads, wait_permille);

    if (s && wait_permille(newest(s)) >= WAIT_PERMILLE) {
        const NfvCounts *c = newest(s);

        add(tail,
            g_strdup_printf("%s waited %" PRIu64 " us for its host CPU and was "
                            "taken off it %" PRIu64 " times %s",
                            s->name, c->wait_ns / 1000, c->involuntary,
                            period(s)),
            "keep other work away from that host CPU: isolcpus=, IRQ affinity, "
            "a cpuset of its own");
    }
    s = worst(threads, major_faults);
    if (s) {
        add(tail,
            g_strdup_printf("%s waited for I/O in %" PRIu64 " page faults %s",
                            s->name, newest(s)->major_faults, period(s)),
            "lock the guest's memory: mem-lock=on");
    }
}

static void add_tuning(NfvProblemList ***tail, const NfvTuningList *list)
{
    for (; list; list = list->next) {
        const NfvTuning *t = list->value;

        if (t->state == NFV_TUNING_STATE_UNAVAILABLE && t->remedy) {
            add(tail, g_strdup_printf("no %s: %s", t->name, t->why), t->remedy);
        }
    }
}

static void add_settings(NfvProblemList ***tail, const NfvFacts *facts,
                         const NfvCpuSet *vcpus)
{
    NfvCpuSet rest;

    NFV_CPUSET_ANDNOT(&rest, vcpus, &facts->isolated);
    if (!NFV_CPUSET_EMPTY(&rest)) {
        g_autofree char *list = nfv_cpuset_format(&rest);

        add(tail,
            g_strdup_printf("the scheduler may give host CPU %s of the vCPUs "
                            "to any task",
                            list),
            "boot the host with isolcpus= for it, or make a cpuset partition");
    }
    if (!NFV_CPUSET_EMPTY(&facts->fair_server)) {
        g_autofree char *list = nfv_cpuset_format(&facts->fair_server);

        add(tail,
            g_strdup_printf("the fair server gives host CPU %s to tasks that "
                            "starve behind SCHED_FIFO, for a part of each "
                            "second",
                            list),
            "keep other tasks away, or write 0 to /sys/kernel/debug/sched/"
            "fair_server/cpuN/runtime for each");
    }
    if (!NFV_CPUSET_EMPTY(&facts->siblings)) {
        g_autofree char *list = nfv_cpuset_format(&facts->siblings);

        add(tail,
            g_strdup_printf("host CPU %s shares a core with a vCPU's", list),
            "leave it idle, or switch SMT off");
    }
    if (facts->preemption != NFV_PREEMPTION_RT) {
        add(tail,
            g_strdup_printf("the host's kernel has preemption model '%s'",
                            NfvPreemption_str(facts->preemption)),
            "boot a PREEMPT_RT kernel");
    }
    NFV_CPUSET_ANDNOT(&rest, vcpus, &facts->nohz_full);
    if (!NFV_CPUSET_EMPTY(&rest)) {
        g_autofree char *list = nfv_cpuset_format(&rest);

        add(tail,
            g_strdup_printf("host CPU %s has a periodic timer tick", list),
            "boot the host with nohz_full= and rcu_nocbs= for it");
    }
    if (*facts->clock_source && strcmp(facts->clock_source, "tsc") &&
        strcmp(facts->clock_source, "kvm-clock")) {
        add(tail,
            g_strdup_printf("the host's clock source is '%s', which is slow to "
                            "read",
                            facts->clock_source),
            "find out in the host's log why the TSC is not trusted");
    }
}

NfvProblemList *nfv_disturbances(const NfvFacts *facts, const NfvCpuSet *vcpus,
                                 const GPtrArray *threads,
                                 const NfvTuningList *tuning)
{
    NfvProblemList *head = NULL, **tail = &head;

    add_measured(&tail, threads);
    add_tuning(&tail, tuning);
    add_settings(&tail, facts, vcpus);
    return head;
}
