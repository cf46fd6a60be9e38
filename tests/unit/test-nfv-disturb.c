/*
 * Unit tests: what disturbs vCPUs, on hosts that are made up
 *
 * Copyright (c) 2026 the kvm4nfv authors
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "qemu/osdep.h"
#include "qapi/util.h"
#include "qemu/timer.h"
#include "nfv/cpus.h"
#include "hw/nfv/disturb.h"

/* A host on which nothing disturbs the vCPUs on @vcpus, and no thread. */
typedef struct Fixture {
    NfvFacts facts;
    NfvCpuSet vcpus;
    GPtrArray *threads;
    NfvTuningList *tuning;
} Fixture;

static void fixture_init(Fixture *f)
{
    *f = (Fixture) { .facts.preemption = NFV_PREEMPTION_RT,
                     .facts.rt_runtime_us = -1,
                     .facts.rt_period_us = 1000000,
                     .facts.cgroup_rt_us = -1,
                     .facts.clock_source = g_strdup("tsc") };
    cpu_set(&f->facts.isolated, "2-5");
    cpu_set(&f->facts.nohz_full, "2-5");
    cpu_set(&f->vcpus, "2-3");
    f->threads = g_ptr_array_new_with_free_func(g_free);
}

static void fixture_clear(Fixture *f)
{
    g_free(f->facts.clock_source);
    g_ptr_array_unref(f->threads);
    qapi_free_NfvTuningList(f->tuning);
}

G_DEFINE_AUTO_CLEANUP_CLEAR_FUNC(Fixture, fixture_clear)

/* A vCPU's thread that was never disturbed. */
static NfvThreadState *add_thread(Fixture *f, const char *name)
{
    NfvThreadState *s = g_new0(NfvThreadState, 1);

    *s = (NfvThreadState) { .name = (char *)name,
                            .role = NFV_ROLE_VCPU,
                            .alive = true,
                            .has_counts = true };
    s->counts.run_ns = NANOSECONDS_PER_SECOND;
    g_ptr_array_add(f->threads, s);
    return s;
}

static void set_clock_source(Fixture *f, const char *name)
{
    g_free(f->facts.clock_source);
    f->facts.clock_source = g_strdup(name);
}

/*
 * That what is found has, in this order, the parts of @whats, and its remedies
 * have those of @remedies.  Both end with NULL.
 */
static void assert_found(const Fixture *f, const char *const *whats,
                         const char *const *remedies)
{
    g_autoptr(NfvProblemList) list =
        nfv_disturbances(&f->facts, &f->vcpus, f->threads, f->tuning);
    NfvProblemList *p = list;

    for (int i = 0; whats[i]; i++, p = p->next) {
        if (!p) {
            g_error("'%s' is not found", whats[i]);
        }
        g_test_message("%s; %s", p->value->what, p->value->remedy);
        assert_contains(p->value->what, whats[i]);
        assert_contains(p->value->remedy, remedies[i]);
    }
    if (p) {
        g_error("'%s' is found, too", p->value->what);
    }
}

static void assert_one(const Fixture *f, const char *what, const char *remedy)
{
    const char *const whats[] = { what, NULL };
    const char *const remedies[] = { remedy, NULL };

    assert_found(f, whats, remedies);
}

static void assert_none(const Fixture *f)
{
    const char *const none[] = { NULL };

    assert_found(f, none, none);
}

static void test_quiet(void)
{
    g_auto(Fixture) f;

    fixture_init(&f);
    assert_none(&f);
    add_thread(&f, "CPU 0/KVM");
    add_thread(&f, "CPU 1/KVM");
    assert_none(&f);
}

/* Tuning */

static void add_tuning(Fixture *f, const char *name, NfvTuningState state,
                       const char *why, const char *remedy)
{
    NfvTuning *t = g_new0(NfvTuning, 1);
    NfvTuningList **tail = &f->tuning;

    t->name = g_strdup(name);
    t->state = state;
    t->why = g_strdup(why);
    t->remedy = g_strdup(remedy);
    while (*tail) {
        tail = &(*tail)->next;
    }
    QAPI_LIST_APPEND(tail, t);
}

/* Only what was wanted and is not there disturbs, in the order of the list. */
static void test_tuning(void)
{
    static const char *const whats[] = { "no hugepages: none are free",
                                         "no mem-lock: not allowed", NULL };
    static const char *const remedies[] = { "echo 1 > x", "ulimit", NULL };
    g_auto(Fixture) f;

    fixture_init(&f);
    add_tuning(&f, "prealloc", NFV_TUNING_STATE_APPLIED, NULL, NULL);
    add_tuning(&f, "mem-bind", NFV_TUNING_STATE_OFF, "not asked", "ask");
    assert_none(&f);
    add_tuning(&f, "hugepages", NFV_TUNING_STATE_UNAVAILABLE, "none are free",
               "echo 1 > x");
    assert_one(&f, "no hugepages: none are free", "echo 1 > x");
    add_tuning(&f, "mem-lock", NFV_TUNING_STATE_UNAVAILABLE, "not allowed",
               "ulimit -l unlimited");
    assert_found(&f, whats, remedies);
    /* Nothing can be done about it. */
    add_tuning(&f, "other", NFV_TUNING_STATE_UNAVAILABLE, "never", NULL);
    assert_found(&f, whats, remedies);
}

/* Settings of the host, each alone */

static void test_isolated(void)
{
    g_auto(Fixture) f;

    fixture_init(&f);
    cpu_set(&f.vcpus, "1-3,6");
    cpu_set(&f.facts.nohz_full, "0-7");
    assert_one(&f, "host CPU 1,6 of the vCPUs", "isolcpus=");
}

static void test_nohz_full(void)
{
    g_auto(Fixture) f;

    fixture_init(&f);
    cpu_set(&f.facts.nohz_full, "0-2,6");
    assert_one(&f, "host CPU 3 has a periodic timer tick", "nohz_full=");
}

static void test_fair_server(void)
{
    g_auto(Fixture) f;

    fixture_init(&f);
    cpu_set(&f.facts.fair_server, "3");
    assert_one(&f, "the fair server gives host CPU 3 to tasks",
               "write 0 to /sys/kernel/debug/sched/fair_server/cpuN/runtime");
}

static void test_siblings(void)
{
    g_auto(Fixture) f;

    fixture_init(&f);
    cpu_set(&f.facts.siblings, "10-11");
    assert_one(&f, "host CPU 10-11 shares a core", "SMT");
}

static void test_preemption(void)
{
    for (NfvPreemption p = 0; p < NFV_PREEMPTION__MAX; p++) {
        g_auto(Fixture) f;

        fixture_init(&f);
        f.facts.preemption = p;
        if (p == NFV_PREEMPTION_RT) {
            assert_none(&f);
        } else {
            g_autofree char *what =
                g_strdup_printf("'%s'", NfvPreemption_str(p));

            assert_one(&f, what, "PREEMPT_RT");
        }
    }
}

static void test_clock_source(void)
{
    static const char *const quick[] = { "tsc", "kvm-clock", "" };
    static const char *const slow[] = { "hpet", "acpi_pm", "tsc-early" };

    for (int i = 0; i < ARRAY_SIZE(quick); i++) {
        g_auto(Fixture) f;

        fixture_init(&f);
        set_clock_source(&f, quick[i]);
        assert_none(&f);
    }
    for (int i = 0; i < ARRAY_SIZE(slow); i++) {
        g_auto(Fixture) f;
        g_autofree char *what = g_strdup_printf("'%s'", slow[i]);

        fixture_init(&f);
        set_clock_source(&f, slow[i]);
        assert_one(&f, what, "TSC");
    }
}

/* Without vCPUs there is nothing to isolate. */
static void test_no_vcpus(void)
{
    g_auto(Fixture) f;

    fixture_init(&f);
    cpu_set(&f.vcpus, "none");
    cpu_set(&f.facts.isolated, "none");
    cpu_set(&f.facts.nohz_full, "none");
    assert_none(&f);
}

/* What was measured */

/* One part in a thousand of the time is where noise ends. */
static void test_waited_threshold(void)
{
    static const struct {
        uint64_t run_ns, wait_ns;
        bool found;
    } cases[] = {
        { 0, 0, false },
        { 1000000000, 0, false },
        { 1000000000, 900000, false },
        { 1000000000, 1100000, true },
        { 1000000000, 1000000000, true },
        { 0, 1000000000, true },
        { UINT64_MAX / 2, UINT64_MAX / 4000, false },
        { UINT64_MAX / 2, UINT64_MAX / 1000, true },
    };

    for (int i = 0; i < ARRAY_SIZE(cases); i++) {
        g_auto(Fixture) f;
        NfvThreadState *s;

        g_test_message("case %d", i);
        fixture_init(&f);
        s = add_thread(&f, "CPU 0/KVM");
        s->counts.run_ns = cases[i].run_ns;
        s->counts.wait_ns = cases[i].wait_ns;
        if (cases[i].found) {
            assert_one(&f, "CPU 0/KVM waited", "isolcpus=");
        } else {
            assert_none(&f);
        }
    }
}

static void test_waited(void)
{
    g_auto(Fixture) f;
    NfvThreadState *s;

    fixture_init(&f);
    s = add_thread(&f, "CPU 0/KVM");
    s->counts.wait_ns = 500 * SCALE_MS + 999;
    s->counts.involuntary = 42;
    assert_one(&f,
               "CPU 0/KVM waited 500000 us for its host CPU and was taken off "
               "it 42 times since its start",
               "IRQ affinity");

    /* What was before the last query is no news. */
    s->has_since_query = true;
    s->since_query.run_ns = NANOSECONDS_PER_SECOND;
    assert_none(&f);
    s->since_query.wait_ns = 7 * SCALE_MS;
    s->since_query.involuntary = 3;
    assert_one(&f,
               "CPU 0/KVM waited 7000 us for its host CPU and was taken off it "
               "3 times since the last query",
               "IRQ affinity");
}

/* The vCPU that waited for the largest share of its time is named. */
static void test_waited_worst(void)
{
    g_auto(Fixture) f;
    NfvThreadState *s;

    fixture_init(&f);
    s = add_thread(&f, "CPU 0/KVM");
    s->counts.run_ns = 100 * NANOSECONDS_PER_SECOND;
    s->counts.wait_ns = NANOSECONDS_PER_SECOND;
    s = add_thread(&f, "CPU 1/KVM");
    s->counts.run_ns = NANOSECONDS_PER_SECOND;
    s->counts.wait_ns = NANOSECONDS_PER_SECOND / 2;
    s = add_thread(&f, "CPU 2/KVM");
    s->counts.wait_ns = 2 * SCALE_MS;
    assert_one(&f, "CPU 1/KVM waited 500000 us", "isolcpus=");
}

static void test_major_faults(void)
{
    g_auto(Fixture) f;
    NfvThreadState *s;

    fixture_init(&f);
    add_thread(&f, "CPU 0/KVM")->counts.major_faults = 1;
    assert_one(&f, "CPU 0/KVM waited for I/O in 1 page faults since its start",
               "mem-lock=on");
    s = add_thread(&f, "CPU 1/KVM");
    s->counts.major_faults = 4;
    s->counts.minor_faults = 1000;
    s->has_since_query = true;
    s->since_query.major_faults = 3;
    add_thread(&f, "CPU 2/KVM")->counts.major_faults = 2;
    assert_one(&f,
               "CPU 1/KVM waited for I/O in 3 page faults since the last query",
               "mem-lock=on");
}

/* Other threads may wait, and what ended or was not counted says nothing. */
static void test_not_measured(void)
{
    for (int i = 0; i < NFV_ROLE__MAX + 2; i++) {
        g_auto(Fixture) f;
        NfvThreadState *s;

        g_test_message("case %d", i);
        fixture_init(&f);
        s = add_thread(&f, "x");
        s->counts.wait_ns = NANOSECONDS_PER_SECOND;
        s->counts.major_faults = 1;
        if (i == NFV_ROLE__MAX) {
            s->alive = false;
        } else if (i > NFV_ROLE__MAX) {
            s->has_counts = false;
        } else if (i == NFV_ROLE_VCPU) {
            continue;
        } else {
            s->role = i;
        }
        assert_none(&f);
    }
}

/* All at once: first what was measured, then tuning, then settings. */
static void test_order(void)
{
    static const char *const whats[] = { "CPU 0/KVM waited 500000 us",
                                         "CPU 0/KVM waited for I/O in 5 page",
                                         "no mem-lock: not allowed",
                                         "host CPU 2-3 of the vCPUs",
                                         "fair server gives host CPU 2-3",
                                         "host CPU 8 shares a core",
                                         "preemption model 'voluntary'",
                                         "host CPU 2-3 has a periodic",
                                         "clock source is 'hpet'",
                                         NULL };
    static const char *const remedies[] = {
        "cpuset", "mem-lock",   "ulimit",    "isolcpus=", "cpuN/runtime",
        "SMT",    "PREEMPT_RT", "nohz_full=", "TSC",      NULL
    };
    g_auto(Fixture) f;
    NfvThreadState *s;

    fixture_init(&f);
    cpu_set(&f.facts.isolated, "none");
    cpu_set(&f.facts.nohz_full, "none");
    cpu_set(&f.facts.fair_server, "2-3");
    cpu_set(&f.facts.siblings, "8");
    f.facts.preemption = NFV_PREEMPTION_VOLUNTARY;
    set_clock_source(&f, "hpet");
    add_tuning(&f, "mem-lock", NFV_TUNING_STATE_UNAVAILABLE, "not allowed",
               "ulimit -l unlimited");
    s = add_thread(&f, "CPU 0/KVM");
    s->counts.wait_ns = NANOSECONDS_PER_SECOND / 2;
    s->counts.major_faults = 5;
    assert_found(&f, whats, remedies);
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    g_test_add_func("/nfv/disturb/quiet", test_quiet);
    g_test_add_func("/nfv/disturb/tuning", test_tuning);
    g_test_add_func("/nfv/disturb/isolated", test_isolated);
    g_test_add_func("/nfv/disturb/nohz-full", test_nohz_full);
    g_test_add_func("/nfv/disturb/fair-server", test_fair_server);
    g_test_add_func("/nfv/disturb/siblings", test_siblings);
    g_test_add_func("/nfv/disturb/preemption", test_preemption);
    g_test_add_func("/nfv/disturb/clock-source", test_clock_source);
    g_test_add_func("/nfv/disturb/no-vcpus", test_no_vcpus);
    g_test_add_func("/nfv/disturb/waited", test_waited);
    g_test_add_func("/nfv/disturb/waited/threshold", test_waited_threshold);
    g_test_add_func("/nfv/disturb/waited/worst", test_waited_worst);
    g_test_add_func("/nfv/disturb/major-faults", test_major_faults);
    g_test_add_func("/nfv/disturb/not-measured", test_not_measured);
    g_test_add_func("/nfv/disturb/order", test_order);
    return g_test_run();
}
