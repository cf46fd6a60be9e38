/*
 * query-nfv and "info nfv": the placement, for programs and for people
 *
 * Copyright (c) 2026 the kvm4nfv authors
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "qemu/osdep.h"
#include <sched.h>
#include "qapi/error.h"
#include "qapi/qapi-commands-nfv.h"
#include "qapi/type-helpers.h"
#include "block/thread-pool.h"
#include "hw/boards.h"
#include "hw/nfv/disturb.h"
#include "hw/nfv/kvm.h"
#include "hw/nfv/machine.h"
#include "hw/nfv/placement.h"
#include "hw/nfv/ram.h"
#include "hw/nfv/table.h"
#include "monitor/monitor.h"
#include "system/runstate.h"

static uint16List *list_of_set(const NfvCpuSet *set)
{
    uint16List *head = NULL, **tail = &head;
    unsigned cpu;

    NFV_CPUSET_FOREACH(cpu, set) {
        QAPI_LIST_APPEND(tail, cpu);
    }
    return head;
}

static NfvSchedPolicy policy_of(int policy)
{
    switch (policy) {
    case SCHED_OTHER:
        return NFV_SCHED_POLICY_OTHER;
    case SCHED_FIFO:
        return NFV_SCHED_POLICY_FIFO;
    case SCHED_RR:
        return NFV_SCHED_POLICY_RR;
    case SCHED_BATCH:
        return NFV_SCHED_POLICY_BATCH;
    case SCHED_IDLE:
        return NFV_SCHED_POLICY_IDLE;
#ifdef SCHED_DEADLINE
    case SCHED_DEADLINE:
        return NFV_SCHED_POLICY_DEADLINE;
#endif
    default:
        return NFV_SCHED_POLICY_UNKNOWN;
    }
}

static NfvSched *sched_new(const NfvCpuSet *cpus, bool has_policy,
                           NfvSchedPolicy policy, int priority)
{
    NfvSched *s = g_new0(NfvSched, 1);

    s->cpus = list_of_set(cpus);
    s->has_policy = has_policy;
    s->policy = policy;
    s->has_priority = has_policy && priority;
    s->priority = priority;
    return s;
}

static NfvCounters *counters_info(bool has, const NfvCounts *counts)
{
    NfvCounters *c;

    if (!has) {
        return NULL;
    }
    c = g_new0(NfvCounters, 1);
    c->run_time = counts->run_ns;
    c->wait_time = counts->wait_ns;
    c->involuntary_switches = counts->involuntary;
    c->minor_faults = counts->minor_faults;
    c->major_faults = counts->major_faults;
    return c;
}

static NfvHostInfo *host_info(const NfvFacts *facts)
{
    NfvHostInfo *info = g_new0(NfvHostInfo, 1);

    info->isolated = list_of_set(&facts->isolated);
    info->nohz_full = list_of_set(&facts->nohz_full);
    info->smt_siblings = list_of_set(&facts->siblings);
    info->rt_runtime = facts->rt_runtime_us;
    info->rt_period = facts->rt_period_us;
    info->has_cgroup_rt_runtime = facts->cgroup_rt_us >= 0;
    info->cgroup_rt_runtime = facts->cgroup_rt_us;
    info->preemption = facts->preemption;
    info->clock_source = g_strdup(facts->clock_source);
    return info;
}

static uint16List *list_of_nodes(const NfvNodeSet *set)
{
    uint16List *head = NULL, **tail = &head;
    unsigned node;

    NFV_NODESET_FOREACH(node, set)
    {
        QAPI_LIST_APPEND(tail, node);
    }
    return head;
}

static NfvMemory *memory_info(const NfvRam *ram)
{
    NfvMemory *m = g_new0(NfvMemory, 1);
    NfvNodeMemoryList **tail = &m->nodes;

    m->id = g_strdup(ram->id);
    m->size = ram->range.size;
    m->page_size = ram->page_size;
    m->share = ram->share;
    m->populated = ram->range.populated;
    m->huge = ram->range.huge;
    m->locked = ram->range.locked;
    m->has_bound_to = !NFV_NODESET_EMPTY(&ram->bound);
    m->bound_to = list_of_nodes(&ram->bound);
    for (unsigned node = 0; node < NFV_NODES; node++) {
        if (ram->range.on_node[node]) {
            NfvNodeMemory *on = g_new0(NfvNodeMemory, 1);

            on->node = node;
            on->size = ram->range.on_node[node];
            QAPI_LIST_APPEND(tail, on);
        }
    }
    return m;
}

static bool is_placed(const NfvThreadState *s)
{
    return !s->has_wanted ||
           nfv_sched_matches(&s->wanted, &s->cpus, s->policy, s->priority);
}

static NfvThread *thread_info(const NfvThreadState *state)
{
    NfvThread *t = g_new0(NfvThread, 1);
    const NfvWanted *w = &state->wanted;

    t->role = state->role;
    t->thread_id = state->tid;
    t->name = g_strdup(state->name);
    t->has_vcpu = state->vcpu >= 0;
    t->vcpu = MAX(state->vcpu, 0);
    t->placed = is_placed(state);
    t->error = g_strdup(state->error);
    t->since_start = counters_info(state->has_counts, &state->counts);
    t->since_query = counters_info(state->has_since_query, &state->since_query);
    if (state->has_wanted) {
        t->wanted = sched_new(
            &w->cpus, w->policy,
            w->priority ? NFV_SCHED_POLICY_FIFO : NFV_SCHED_POLICY_OTHER,
            w->priority);
    }
    t->now = sched_new(&state->cpus, true, policy_of(state->policy),
                       state->priority);
    return t;
}

static NfvPlanInfo *plan_info(const NfvPlan *plan)
{
    NfvPlanInfo *info = g_new0(NfvPlanInfo, 1);
    uint16List **cpus = &info->vcpu_cpus, **vcpus = &info->rt_vcpus;

    for (unsigned i = 0; i < plan->vcpu_cpus->len; i++) {
        QAPI_LIST_APPEND(cpus, g_array_index(plan->vcpu_cpus, unsigned, i));
    }
    for (unsigned i = 0; i < plan->max_cpus; i++) {
        if (test_bit(i, plan->rt_vcpus)) {
            QAPI_LIST_APPEND(vcpus, i);
        }
    }
    info->rt = plan->rt_asked;
    info->rt_active = plan->rt;
    info->iothread_cpus = list_of_set(&plan->iothread);
    info->housekeeping_cpus = list_of_set(&plan->housekeeping);
    info->vcpu_priority = plan->vcpu_priority;
    info->iothread_priority = plan->iothread_priority;
    info->emulator_priority = plan->emulator_priority;
    return info;
}

/* "2-3 fifo:1" */
static char *sched_text(const NfvCpuSet *cpus, bool has_policy,
                        NfvSchedPolicy policy, int priority)
{
    g_autofree char *list = nfv_cpuset_format(cpus);

    if (!has_policy) {
        return g_steal_pointer(&list);
    }
    return priority ?
               g_strdup_printf("%s %s:%d", list, NfvSchedPolicy_str(policy),
                               priority) :
               g_strdup_printf("%s %s", list, NfvSchedPolicy_str(policy));
}

static char *now_text(const NfvThreadState *s)
{
    return sched_text(&s->cpus, true, policy_of(s->policy), s->priority);
}

static char *wanted_text(const NfvThreadState *s)
{
    const NfvWanted *w = &s->wanted;

    return sched_text(
        &w->cpus, w->policy,
        w->priority ? NFV_SCHED_POLICY_FIFO : NFV_SCHED_POLICY_OTHER,
        w->priority);
}

static void add_problem(NfvProblemList ***tail, char *what, char *remedy)
{
    NfvProblem *p = g_new0(NfvProblem, 1);

    p->what = what;
    p->remedy = remedy;
    QAPI_LIST_APPEND(*tail, p);
}

/*
 * BQL.  The worst first: what hits every vCPU, then single threads, vCPUs
 * before others as the snapshot sorts them.
 */
static NfvProblemList *find_problems(const NfvSnapshot *snapshot)
{
    NfvProblemList *head = NULL, **tail = &head;
    const NfvPlan *plan = snapshot->plan;

    if (plan && plan->refusal) {
        add_problem(&tail, g_strdup(plan->refusal_what),
                    g_strdup(plan->refusal_remedy));
    }
    /* A migration between two guests of one host is about to end that. */
    if (snapshot->shared->len && !runstate_check(RUN_STATE_INMIGRATE)) {
        g_autofree char *list = nfv_cpulist_format(snapshot->shared);

        add_problem(&tail,
                    g_strdup_printf("another nfv guest has host CPU %s for its "
                                    "vCPUs, too",
                                    list),
                    g_strdup("give each guest host CPUs of its own, or use "
                             "vcpu-cpus=auto"));
    }
    for (int i = 0; i < snapshot->threads->len; i++) {
        const NfvThreadState *s = g_ptr_array_index(snapshot->threads, i);
        g_autofree char *now = NULL, *wanted = NULL;

        if (!s->alive || is_placed(s) ||
            (plan->refusal == NFV_REFUSAL_SANDBOX)) {
            continue;
        }
        now = now_text(s);
        wanted = wanted_text(s);
        if (s->error) {
            add_problem(&tail,
                        g_strdup_printf("%s (%d) has %s instead of %s: %s",
                                        s->name, s->tid, now, wanted, s->error),
                        g_strdup("give QEMU the privilege for it, see "
                                 "README.md, and start it again"));
        } else {
            add_problem(&tail,
                        g_strdup_printf("%s (%d) has %s instead of %s: changed "
                                        "from outside of QEMU",
                                        s->name, s->tid, now, wanted),
                        g_strdup("look for libvirt's cputune, taskset, chrt, "
                                 "or a change of the cpuset"));
        }
    }
    return head;
}

/* What is read in a thread of the pool, because it walks /proc. */
typedef struct Reading {
    NfvSnapshot *snapshot;
    NfvRamList *ram;
} Reading;

/* BQL. */
static NfvInfo *make_info(const char *machine, const Reading *reading)
{
    const NfvSnapshot *snapshot = reading->snapshot;
    NfvInfo *info = g_new0(NfvInfo, 1);
    NfvThreadList **tail = &info->threads;
    NfvMemoryList **memory = &info->memory;
    NfvTuningList **tuning;

    info->machine = g_strdup(machine);
    if (snapshot->plan) {
        info->plan = plan_info(snapshot->plan);
    }
    for (int i = 0; i < snapshot->threads->len; i++) {
        const NfvThreadState *s = g_ptr_array_index(snapshot->threads, i);

        if (s->alive) {
            QAPI_LIST_APPEND(tail, thread_info(s));
        }
    }
    info->host = host_info(snapshot->facts);
    for (unsigned i = 0; i < reading->ram->count; i++) {
        QAPI_LIST_APPEND(memory, memory_info(&reading->ram->ram[i]));
    }
    info->tuning = nfv_ram_tuning(reading->ram);
    tuning = &info->tuning;
    while (*tuning) {
        tuning = &(*tuning)->next;
    }
    *tuning = nfv_kvm_tuning();
    info->kvm = nfv_kvm_features();
    info->problems = find_problems(snapshot);
    info->disturbances = nfv_disturbances(snapshot->facts, &snapshot->vcpus,
                                          snapshot->threads, info->tuning);
    return info;
}

static const char *machine_name(const char *command, Error **errp)
{
    const char *name = MACHINE_GET_CLASS(current_machine)->name;

    if (!is_nfv_machine(current_machine)) {
        error_setg(errp,
                   "%s: '%s' is not an nfv machine; start QEMU with -M nfv",
                   command, name);
        return NULL;
    }
    return name;
}

static int read_all(void *opaque)
{
    Reading *reading = opaque;

    reading->snapshot = nfv_placement_snapshot();
    nfv_ram_read(reading->ram);
    return 0;
}

static NfvInfo *coroutine_fn query(const char *command, Error **errp)
{
    const char *machine = machine_name(command, errp);
    Reading reading = { 0 };
    NfvInfo *info;

    if (!machine) {
        return NULL;
    }
    reading.ram = nfv_ram_list();
    thread_pool_submit_co(read_all, &reading);
    info = make_info(machine, &reading);
    nfv_snapshot_free(reading.snapshot);
    nfv_ram_list_free(reading.ram);
    return info;
}

NfvInfo *coroutine_fn qmp_query_nfv(Error **errp)
{
    return query("query-nfv", errp);
}

static HumanReadableText *coroutine_fn hmp_info_nfv(Error **errp)
{
    g_autoptr(NfvInfo) info = query("info nfv", errp);
    HumanReadableText *text;

    if (!info) {
        return NULL;
    }
    text = g_new0(HumanReadableText, 1);
    text->human_readable_text = nfv_table(info);
    return text;
}

static void nfv_report_init(void)
{
    monitor_register_hmp_info_hrt("nfv", hmp_info_nfv);
}
type_init(nfv_report_init);
