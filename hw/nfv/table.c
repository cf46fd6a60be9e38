/*
 * NfvInfo for people
 *
 * Copyright (c) 2026 the kvm4nfv authors
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "qemu/osdep.h"
#include "qemu/cutils.h"
#include "qemu/units.h"
#include "hw/nfv/cpulist.h"
#include "hw/nfv/table.h"

#define DISTURBANCES_SHOWN 3

static char *cpus_text(const uint16List *cpus)
{
    g_autoptr(GArray) list = g_array_new(false, false, sizeof(unsigned));

    for (; cpus; cpus = cpus->next) {
        unsigned cpu = cpus->value;

        g_array_append_val(list, cpu);
    }
    return nfv_cpulist_format(list);
}

/* "2-3 fifo:1" */
static char *sched_text(const NfvSched *s)
{
    g_autofree char *cpus = cpus_text(s->cpus);

    if (!s->has_policy) {
        return g_steal_pointer(&cpus);
    }
    if (!s->has_priority) {
        return g_strdup_printf("%s %s", cpus, NfvSchedPolicy_str(s->policy));
    }
    return g_strdup_printf("%s %s:%u", cpus, NfvSchedPolicy_str(s->policy),
                           s->priority);
}

static void append_plan(GString *text, const NfvPlanInfo *plan)
{
    g_autofree char *vcpus = cpus_text(plan->vcpu_cpus);
    g_autofree char *iothread = cpus_text(plan->iothread_cpus);
    g_autofree char *housekeeping = cpus_text(plan->housekeeping_cpus);
    const char *rt = plan->rt == ON_OFF_AUTO_OFF ? "off" : "no";

    g_string_append_printf(text,
                           "vCPUs on host CPUs %s, I/O threads on %s, "
                           "housekeeping on %s; real-time: %s\n",
                           vcpus, iothread, housekeeping,
                           plan->rt_active ? "on" : rt);
}

/* Sizes in MiB, which is what -m counts in. */
static void append_memory(GString *text, const NfvMemory *m)
{
    g_autofree char *page = size_to_str(m->page_size);

    g_string_append_printf(text,
                           "memory: %s %" PRIu64 " MiB in pages of %s%s: "
                           "%" PRIu64 " populated, %" PRIu64 " in huge pages, "
                           "%" PRIu64 " locked",
                           m->id, m->size / MiB, page,
                           m->share ? ", shared" : "", m->populated / MiB,
                           m->huge / MiB, m->locked / MiB);
    for (NfvNodeMemoryList *n = m->nodes; n; n = n->next) {
        g_string_append_printf(text, ", %" PRIu64 " on node %u",
                               n->value->size / MiB, n->value->node);
    }
    if (m->has_bound_to) {
        g_autofree char *nodes = cpus_text(m->bound_to);

        g_string_append_printf(text, "; bound to node %s", nodes);
    }
    g_string_append_c(text, '\n');
}

/* "tuning: hugepages=2 MiB, prealloc; off: mem-lock; unavailable: mem-bind" */
static void append_tuning(GString *text, const NfvTuningList *list)
{
    static const char *const titles[] = {
        [NFV_TUNING_STATE_APPLIED] = "tuning:",
        [NFV_TUNING_STATE_OFF] = "; off:",
        [NFV_TUNING_STATE_UNAVAILABLE] = "; unavailable:",
    };
    static const NfvTuningState order[] = {
        NFV_TUNING_STATE_APPLIED,
        NFV_TUNING_STATE_OFF,
        NFV_TUNING_STATE_UNAVAILABLE,
    };

    for (int i = 0; i < ARRAY_SIZE(order); i++) {
        unsigned count = 0;

        for (const NfvTuningList *l = list; l; l = l->next) {
            const NfvTuning *t = l->value;

            if (t->state != order[i]) {
                continue;
            }
            g_string_append_printf(text, "%s %s%s%s",
                                   count++ ? "," : titles[order[i]], t->name,
                                   t->value ? "=" : "", t->value ?: "");
        }
        if (!count && order[i] == NFV_TUNING_STATE_APPLIED) {
            g_string_append(text, "tuning: none applied");
        }
    }
    g_string_append_c(text, '\n');
}

static void append_kvm(GString *text, const NfvKvmFeatures *f)
{
    g_string_append_printf(text, "KVM: irqchip %s, ",
                           NfvIrqchip_str(f->irqchip));
    if (f->dirty_ring) {
        g_string_append_printf(text, "dirty ring of %" PRIu32, f->dirty_ring);
    } else {
        g_string_append_printf(text, "dirty bitmap cleared %s",
                               f->dirty_log_manual ? "in parts" : "at once");
    }
    g_string_append_printf(text, "%s%s%s\n", f->x2apic ? ", x2apic" : "",
                           f->kvm_hint_dedicated ? ", kvm-hint-dedicated" : "",
                           f->kvm_poll_control ? ", kvm-poll-control" : "");
}

static void append_disturbances(GString *text, const NfvProblemList *list)
{
    unsigned left = 0;

    for (int i = 0; list; list = list->next, i++) {
        if (i < DISTURBANCES_SHOWN) {
            g_string_append_printf(text, "disturbs: %s\n          %s\n",
                                   list->value->what, list->value->remedy);
        } else {
            left++;
        }
    }
    if (left) {
        g_string_append_printf(text, "          (%u more in query-nfv)\n",
                               left);
    }
}

static void append_thread(GString *text, const NfvThread *t)
{
    g_autofree char *now = sched_text(t->now);
    const NfvCounters *c = t->since_query ?: t->since_start;

    g_string_append_printf(text, "%-10s %-20s %8" PRId64 "  %-12s",
                           NfvRole_str(t->role), t->name, t->thread_id, now);
    if (c) {
        g_string_append_printf(
            text, " %9" PRIu64 " %9" PRIu64 " %7" PRIu64 " %5" PRIu64,
            c->wait_time / 1000, c->involuntary_switches, c->minor_faults,
            c->major_faults);
    }
    if (!t->placed) {
        g_autofree char *wanted = sched_text(t->wanted);

        g_string_append_printf(text, "   wanted %s", wanted);
    }
    g_string_append_c(text, '\n');
}

char *nfv_table(const NfvInfo *info)
{
    GString *text = g_string_new(NULL);
    const char *verdict = info->problems ? "not as it should be, see above" :
                                           "every thread is where it should be";

    for (NfvProblemList *p = info->problems; p; p = p->next) {
        g_string_append_printf(text, "PROBLEM: %s\n         %s\n",
                               p->value->what, p->value->remedy);
    }
    g_string_append_printf(
        text, "%s: %s\n", info->machine,
        info->plan ? verdict : "no vcpu-cpus, so QEMU places no thread");
    if (info->plan) {
        append_plan(text, info->plan);
    }
    for (NfvMemoryList *m = info->memory; m; m = m->next) {
        append_memory(text, m->value);
    }
    if (info->tuning) {
        append_tuning(text, info->tuning);
    }
    if (info->kvm) {
        append_kvm(text, info->kvm);
    }
    append_disturbances(text, info->disturbances);
    g_string_append_printf(text, "%-10s %-20s %8s  %-12s %9s %9s %7s %5s\n",
                           "ROLE", "THREAD", "ID", "CPUS POLICY", "WAITED us",
                           "TAKEN OFF", "FAULTS", "MAJOR");
    for (NfvThreadList *t = info->threads; t; t = t->next) {
        append_thread(text, t->value);
    }
    return g_string_free(text, false);
}
