/*
 * Unit tests: NfvInfo for people
 *
 * Copyright (c) 2026 the kvm4nfv authors
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "qemu/osdep.h"
#include "qapi/util.h"
#include "qemu/units.h"
#include "nfv/cpus.h"
#include "hw/nfv/table.h"

static uint16List *cpus16(const char *text)
{
    g_autoptr(GArray) list = cpu_list(text);
    uint16List *head = NULL, **tail = &head;

    for (unsigned i = 0; i < list->len; i++) {
        QAPI_LIST_APPEND(tail, g_array_index(list, unsigned, i));
    }
    return head;
}

static NfvInfo *new_info(void)
{
    NfvInfo *info = g_new0(NfvInfo, 1);

    info->machine = g_strdup("pc-q35-nfv-10.0");
    info->host = g_new0(NfvHostInfo, 1);
    info->host->clock_source = g_strdup("tsc");
    return info;
}

static void add_plan(NfvInfo *info, OnOffAuto rt, bool active)
{
    NfvPlanInfo *plan = g_new0(NfvPlanInfo, 1);

    plan->vcpu_cpus = cpus16("5:2-3");
    plan->iothread_cpus = cpus16("1");
    plan->housekeeping_cpus = cpus16("0:8-9");
    plan->rt = rt;
    plan->rt_active = active;
    info->plan = plan;
}

static void add_problem(NfvProblemList **list, const char *what,
                        const char *remedy)
{
    NfvProblem *p = g_new0(NfvProblem, 1);

    p->what = g_strdup(what);
    p->remedy = g_strdup(remedy);
    while (*list) {
        list = &(*list)->next;
    }
    QAPI_LIST_APPEND(list, p);
}

static NfvSched *new_sched(const char *cpus, int policy, int priority)
{
    NfvSched *s = g_new0(NfvSched, 1);

    s->cpus = cpus16(cpus);
    s->has_policy = policy >= 0;
    s->policy = MAX(policy, 0);
    s->has_priority = priority > 0;
    s->priority = priority;
    return s;
}

static NfvThread *add_thread(NfvInfo *info, NfvRole role, int tid,
                             const char *name, NfvSched *now)
{
    NfvThread *t = g_new0(NfvThread, 1);
    NfvThreadList **list = &info->threads;

    t->role = role;
    t->thread_id = tid;
    t->name = g_strdup(name);
    t->now = now;
    t->placed = true;
    while (*list) {
        list = &(*list)->next;
    }
    QAPI_LIST_APPEND(list, t);
    return t;
}

/* Counts from @first on, each another. */
static NfvCounters *new_counters(uint64_t first)
{
    NfvCounters *c = g_new0(NfvCounters, 1);

    c->run_time = first;
    c->wait_time = (first + 1) * 1000 + 999;
    c->involuntary_switches = first + 2;
    c->minor_faults = first + 3;
    c->major_faults = first + 4;
    return c;
}

/* The table's lines, without the empty one after the last. */
static char **table_lines(const NfvInfo *info)
{
    g_autofree char *text = nfv_table(info);
    char **lines = g_strsplit(text, "\n", -1);
    guint count = g_strv_length(lines);

    g_test_message("%s", text);
    g_assert_cmpuint(count, >=, 1);
    g_assert_cmpstr(lines[count - 1], ==, "");
    g_clear_pointer(&lines[count - 1], g_free);
    return lines;
}

#define HEADER "ROLE "

static void assert_header(const char *line)
{
    g_assert_true(g_str_has_prefix(line, HEADER));
}

/* The words of @line, whatever is between them. */
static void assert_words(const char *line, const char *expected)
{
    g_autofree char *text = g_strdup(line);
    g_autoptr(GString) words = g_string_new(NULL);
    char *rest = NULL;

    for (char *w = strtok_r(text, " ", &rest); w;
         w = strtok_r(NULL, " ", &rest)) {
        g_string_append_printf(words, "%s%s", words->len ? " " : "", w);
    }
    g_assert_cmpstr(words->str, ==, expected);
}

static void test_no_plan(void)
{
    g_autoptr(NfvInfo) info = new_info();
    g_auto(GStrv) lines = NULL;

    add_thread(info, NFV_ROLE_EMULATOR, 100, "qemu",
               new_sched("0-3", NFV_SCHED_POLICY_OTHER, 0));
    lines = table_lines(info);
    g_assert_cmpuint(g_strv_length(lines), ==, 3);
    g_assert_cmpstr(lines[0], ==,
                    "pc-q35-nfv-10.0: no vcpu-cpus, so QEMU places no thread");
    assert_header(lines[1]);
    assert_words(lines[2], "emulator qemu 100 0-3 other");
}

static void test_plan(void)
{
    static const struct {
        OnOffAuto rt;
        bool active;
        const char *text;
    } cases[] = {
        { ON_OFF_AUTO_ON, true, "on" },
        { ON_OFF_AUTO_AUTO, true, "on" },
        { ON_OFF_AUTO_AUTO, false, "no" },
        { ON_OFF_AUTO_OFF, false, "off" },
    };

    for (int i = 0; i < ARRAY_SIZE(cases); i++) {
        g_autoptr(NfvInfo) info = new_info();
        g_autofree char *plan = g_strconcat("vCPUs on host CPUs 5,2-3, I/O "
                                            "threads on 1, housekeeping on "
                                            "0,8-9; real-time: ",
                                            cases[i].text, NULL);
        g_auto(GStrv) lines = NULL;

        add_plan(info, cases[i].rt, cases[i].active);
        lines = table_lines(info);
        g_assert_cmpuint(g_strv_length(lines), ==, 3);
        g_assert_cmpstr(lines[0], ==,
                        "pc-q35-nfv-10.0: every thread is where it should be");
        g_assert_cmpstr(lines[1], ==, plan);
        assert_header(lines[2]);
    }
}

static void test_problems(void)
{
    g_autoptr(NfvInfo) info = new_info();
    g_auto(GStrv) lines = NULL;

    add_plan(info, ON_OFF_AUTO_AUTO, true);
    add_problem(&info->problems, "the worst", "do this");
    add_problem(&info->problems, "the other", "do that");
    add_problem(&info->disturbances, "a noise", "be quiet");
    lines = table_lines(info);
    g_assert_cmpuint(g_strv_length(lines), ==, 9);
    g_assert_cmpstr(lines[0], ==, "PROBLEM: the worst");
    g_assert_cmpstr(g_strstrip(lines[1]), ==, "do this");
    g_assert_cmpstr(lines[2], ==, "PROBLEM: the other");
    g_assert_cmpstr(g_strstrip(lines[3]), ==, "do that");
    g_assert_cmpstr(lines[4], ==,
                    "pc-q35-nfv-10.0: not as it should be, see above");
    g_assert_cmpstr(lines[6], ==, "disturbs: a noise");
    g_assert_cmpstr(g_strstrip(lines[7]), ==, "be quiet");
    assert_header(lines[8]);
}

/* Three are shown, and how many there are beyond. */
static void test_disturbances(void)
{
    for (int n = 0; n < 7; n++) {
        g_autoptr(NfvInfo) info = new_info();
        g_auto(GStrv) lines = NULL;
        int shown = MIN(n, 3), at = 2;

        g_test_message("%d disturbances", n);
        add_plan(info, ON_OFF_AUTO_AUTO, true);
        for (int i = 0; i < n; i++) {
            g_autofree char *what = g_strdup_printf("noise %d", i);

            add_problem(&info->disturbances, what, "be quiet");
        }
        lines = table_lines(info);
        g_assert_cmpuint(g_strv_length(lines), ==, 3 + 2 * shown + (n > 3));
        /* They are no problem. */
        g_assert_cmpstr(lines[0], ==,
                        "pc-q35-nfv-10.0: every thread is where it should be");
        for (int i = 0; i < shown; i++, at += 2) {
            g_autofree char *line = g_strdup_printf("disturbs: noise %d", i);

            g_assert_cmpstr(lines[at], ==, line);
            g_assert_cmpstr(g_strstrip(lines[at + 1]), ==, "be quiet");
        }
        if (n > 3) {
            g_autofree char *more =
                g_strdup_printf("(%d more in query-nfv)", n - 3);

            g_assert_cmpstr(g_strstrip(lines[at++]), ==, more);
        }
        assert_header(lines[at]);
    }
}

/* Memory and tuning */

static NfvMemory *add_memory(NfvInfo *info, const char *id, uint64_t size,
                             uint64_t page_size)
{
    NfvMemory *m = g_new0(NfvMemory, 1);
    NfvMemoryList **tail = &info->memory;

    m->id = g_strdup(id);
    m->size = size;
    m->page_size = page_size;
    while (*tail) {
        tail = &(*tail)->next;
    }
    QAPI_LIST_APPEND(tail, m);
    return m;
}

static void add_node(NfvMemory *m, unsigned node, uint64_t size)
{
    NfvNodeMemory *n = g_new0(NfvNodeMemory, 1);
    NfvNodeMemoryList **tail = &m->nodes;

    n->node = node;
    n->size = size;
    while (*tail) {
        tail = &(*tail)->next;
    }
    QAPI_LIST_APPEND(tail, n);
}

static void test_memory(void)
{
    g_autoptr(NfvInfo) info = new_info();
    g_auto(GStrv) lines = NULL;
    NfvMemory *m = add_memory(info, "pc.ram", GiB, 2 * MiB);

    m->share = true;
    m->populated = m->huge = 512 * MiB;
    m->locked = 256 * MiB;
    m->has_bound_to = true;
    m->bound_to = cpus16("0:2-3");
    add_node(m, 0, 384 * MiB);
    add_node(m, 3, 128 * MiB);
    /* Another, of which nothing is populated */
    add_memory(info, "dimm0", 128 * MiB, 4 * KiB);

    lines = table_lines(info);
    g_assert_cmpuint(g_strv_length(lines), ==, 4);
    g_assert_cmpstr(lines[1], ==,
                    "memory: pc.ram 1024 MiB in pages of 2 MiB, shared: 512 "
                    "populated, 512 in huge pages, 256 locked, 384 on node 0, "
                    "128 on node 3; bound to node 0,2-3");
    g_assert_cmpstr(lines[2], ==,
                    "memory: dimm0 128 MiB in pages of 4 KiB: 0 populated, 0 "
                    "in huge pages, 0 locked");
    assert_header(lines[3]);
}

static void test_tuning(void)
{
    enum {
        a = NFV_TUNING_STATE_APPLIED,
        o = NFV_TUNING_STATE_OFF,
        u = NFV_TUNING_STATE_UNAVAILABLE,
    };
    static const struct {
        NfvTuningState states[4];
        unsigned count;
        const char *text;
    } cases[] = {
        { { a, a, a, a }, 4, "tuning: t0=v0, t1, t2=v2, t3" },
        { { a, o, u, a }, 4, "tuning: t0=v0, t3; off: t1; unavailable: t2=v2" },
        { { u, u, o, o },
          4,
          "tuning: none applied; off: t2=v2, t3; unavailable: t0=v0, t1" },
        { { o }, 1, "tuning: none applied; off: t0=v0" },
        { { u }, 1, "tuning: none applied; unavailable: t0=v0" },
    };

    for (int i = 0; i < ARRAY_SIZE(cases); i++) {
        g_autoptr(NfvInfo) info = new_info();
        NfvTuningList **tail = &info->tuning;
        g_auto(GStrv) lines = NULL;

        g_test_message("case %d", i);
        for (int n = 0; n < cases[i].count; n++) {
            NfvTuning *t = g_new0(NfvTuning, 1);

            t->name = g_strdup_printf("t%d", n);
            t->state = cases[i].states[n];
            t->value = n % 2 ? NULL : g_strdup_printf("v%d", n);
            QAPI_LIST_APPEND(tail, t);
        }
        lines = table_lines(info);
        g_assert_cmpuint(g_strv_length(lines), ==, 3);
        g_assert_cmpstr(lines[1], ==, cases[i].text);
        assert_header(lines[2]);
    }
}

static void test_threads(void)
{
    g_autoptr(NfvInfo) info = new_info();
    g_auto(GStrv) lines = NULL;
    NfvThread *t;

    add_plan(info, ON_OFF_AUTO_AUTO, true);
    /* Placed: what is wanted is not repeated. */
    t = add_thread(info, NFV_ROLE_VCPU, 4711, "CPU 0/KVM",
                   new_sched("5", NFV_SCHED_POLICY_FIFO, 1));
    t->wanted = new_sched("5", NFV_SCHED_POLICY_FIFO, 1);
    t->since_start = new_counters(100);
    t->since_query = new_counters(10);
    /* Misplaced */
    t = add_thread(info, NFV_ROLE_VCPU, 4712, "CPU 1/KVM",
                   new_sched("0-3", NFV_SCHED_POLICY_OTHER, 0));
    t->wanted = new_sched("2", NFV_SCHED_POLICY_FIFO, 98);
    t->placed = false;
    t->since_start = new_counters(100);
    /* The policy does not matter, and nothing was counted. */
    t = add_thread(info, NFV_ROLE_WORKER, 4713, "worker",
                   new_sched("1", NFV_SCHED_POLICY_RR, 7));
    t->wanted = new_sched("0:8-9", -1, 0);
    t->placed = false;
    /* Left alone */
    add_thread(info, NFV_ROLE_MEMORY, 4714, "touch",
               new_sched("none", NFV_SCHED_POLICY_DEADLINE, 0));

    lines = table_lines(info);
    g_assert_cmpuint(g_strv_length(lines), ==, 7);
    assert_header(lines[2]);
    assert_words(lines[3], "vcpu CPU 0/KVM 4711 5 fifo:1 11 12 13 14");
    assert_words(lines[4], "vcpu CPU 1/KVM 4712 0-3 other 101 102 103 104 "
                           "wanted 2 fifo:98");
    assert_words(lines[5], "worker worker 4713 1 rr:7 wanted 0,8-9");
    assert_words(lines[6], "memory touch 4714 none deadline");
}

static void test_kvm(void)
{
    g_autoptr(NfvInfo) info = new_info();
    NfvKvmFeatures *f = g_new0(NfvKvmFeatures, 1);
    g_auto(GStrv) few = NULL, all = NULL;

    info->kvm = f;
    few = table_lines(info);
    g_assert_cmpuint(g_strv_length(few), ==, 3);
    g_assert_cmpstr(few[1], ==,
                    "KVM: irqchip off, dirty bitmap cleared at once");
    f->irqchip = NFV_IRQCHIP_SPLIT;
    f->dirty_ring = 4096;
    f->x2apic = true;
    f->kvm_hint_dedicated = true;
    f->kvm_poll_control = true;
    all = table_lines(info);
    g_assert_cmpstr(all[1], ==,
                    "KVM: irqchip split, dirty ring of 4096, x2apic, "
                    "kvm-hint-dedicated, kvm-poll-control");
    assert_header(all[2]);
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    g_test_add_func("/nfv/table/no-plan", test_no_plan);
    g_test_add_func("/nfv/table/plan", test_plan);
    g_test_add_func("/nfv/table/problems", test_problems);
    g_test_add_func("/nfv/table/disturbances", test_disturbances);
    g_test_add_func("/nfv/table/memory", test_memory);
    g_test_add_func("/nfv/table/tuning", test_tuning);
    g_test_add_func("/nfv/table/threads", test_threads);
    g_test_add_func("/nfv/table/kvm", test_kvm);
    return g_test_run();
}
