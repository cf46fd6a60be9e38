/*
 * Unit tests: facts of hosts that are made up
 *
 * Copyright (c) 2026 the kvm4nfv authors
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "qemu/osdep.h"
#include "nfv/cpus.h"
#include "nfv/fakeroot.h"
#include "hw/nfv/facts.h"

#define DATE " Mon Jan 1 00:00:00 UTC 2026"

static void test_preemption(void)
{
    static const struct {
        const char *realtime, *dynamic, *version;
        NfvPreemption expected;
    } cases[] = {
        /* What is built in */
        { NULL, NULL, "#1 SMP PREEMPT_RT" DATE, NFV_PREEMPTION_RT },
        { NULL, NULL, "#1 SMP PREEMPT" DATE, NFV_PREEMPTION_FULL },
        { NULL, NULL, "#1 SMP" DATE, NFV_PREEMPTION_NONE },
        { NULL, NULL, "", NFV_PREEMPTION_NONE },
        { NULL, NULL, "#1 SMP PREEMPT_DYNAMIC" DATE, NFV_PREEMPTION_DYNAMIC },

        /* PREEMPT_RT says so in two places, older kernels only in one. */
        { "1", NULL, "#1 SMP PREEMPT RT" DATE, NFV_PREEMPTION_RT },
        { "1", NULL, "#1 SMP PREEMPT_RT" DATE, NFV_PREEMPTION_RT },
        { "1", "none voluntary (full) lazy", "#1 SMP PREEMPT_RT" DATE,
          NFV_PREEMPTION_RT },
        { NULL, "(full) lazy", "#1 SMP PREEMPT_RT" DATE, NFV_PREEMPTION_RT },
        { "0", NULL, "#1 SMP PREEMPT" DATE, NFV_PREEMPTION_FULL },
        { "", NULL, "#1 SMP PREEMPT" DATE, NFV_PREEMPTION_FULL },
        { "10", NULL, "#1 SMP" DATE, NFV_PREEMPTION_NONE },

        /* What was chosen */
        { NULL, "(none) voluntary full", "#1 SMP PREEMPT_DYNAMIC" DATE,
          NFV_PREEMPTION_NONE },
        { NULL, "none (voluntary) full", "#1 SMP PREEMPT_DYNAMIC" DATE,
          NFV_PREEMPTION_VOLUNTARY },
        { NULL, "none voluntary (full)", "#1 SMP PREEMPT_DYNAMIC" DATE,
          NFV_PREEMPTION_FULL },
        { NULL, "none voluntary full (lazy)", "#1 SMP PREEMPT_DYNAMIC" DATE,
          NFV_PREEMPTION_LAZY },
        { "0", "full (lazy)", "#1 SMP PREEMPT_DYNAMIC" DATE,
          NFV_PREEMPTION_LAZY },

        /* A file that says nothing is as none. */
        { NULL, "", "#1 SMP PREEMPT_DYNAMIC" DATE, NFV_PREEMPTION_DYNAMIC },
        { NULL, "none voluntary full", "#1 SMP PREEMPT_DYNAMIC" DATE,
          NFV_PREEMPTION_DYNAMIC },
        { NULL, "(new) full", "#1 SMP PREEMPT_DYNAMIC" DATE,
          NFV_PREEMPTION_DYNAMIC },
    };

    for (int i = 0; i < ARRAY_SIZE(cases); i++) {
        NfvPreemption found = nfv_facts_preemption(
            cases[i].realtime, cases[i].dynamic, cases[i].version);

        g_test_message("case %d", i);
        g_assert_cmpstr(NfvPreemption_str(found), ==,
                        NfvPreemption_str(cases[i].expected));
    }
}

#define CPU "/sys/devices/system/cpu/"
#define SIBLINGS(n) CPU "cpu" n "/topology/thread_siblings_list"
#define FAIR(n) "/sys/kernel/debug/sched/fair_server/cpu" n "/runtime"
#define RT_RUNTIME "/proc/sys/kernel/sched_rt_runtime_us"
#define RT_PERIOD "/proc/sys/kernel/sched_rt_period_us"
#define CLOCK_SOURCE \
    "/sys/devices/system/clocksource/clocksource0/current_clocksource"

static NfvFacts *read_facts(const Fake *fake, const char *cpus)
{
    NfvCpuSet set;

    cpu_set(&set, cpus);
    return nfv_facts_read(fake->root, &set);
}

static void test_read(void)
{
    g_auto(Fake) fake = { NULL };
    g_autoptr(NfvFacts) facts = NULL;

    fake_new(&fake);
    fake_write(&fake, CPU "isolated", "2-3,6-7\n");
    fake_write(&fake, CPU "nohz_full", "3,7\n");
    fake_write(&fake, RT_RUNTIME, "950000\n");
    fake_write(&fake, RT_PERIOD, "1000001\n");
    fake_write(&fake, CLOCK_SOURCE, "hpet\n");
    fake_write(&fake, "/sys/kernel/realtime", "1\n");
    facts = read_facts(&fake, "2-3");

    assert_cpu_set(&facts->isolated, "2-3,6-7");
    assert_cpu_set(&facts->nohz_full, "3,7");
    assert_cpu_set(&facts->siblings, "none");
    g_assert_cmpint(facts->rt_runtime_us, ==, 950000);
    g_assert_cmpint(facts->rt_period_us, ==, 1000001);
    g_assert_cmpint(facts->cgroup_rt_us, ==, -1);
    g_assert_cmpint(facts->preemption, ==, NFV_PREEMPTION_RT);
    g_assert_cmpstr(facts->clock_source, ==, "hpet");
}

static void test_read_siblings(void)
{
    static const struct {
        const char *cpus, *siblings;
    } cases[] = {
        { "none", "none" }, { "0", "4" },     { "4", "0" },
        { "0,4", "none" },  { "0-1", "4-5" }, { "0-1,4", "5" },
        { "0-7", "none" },  { "3", "none" }, /* no sibling */
        { "8", "none" },                     /* not known */
        { "2,8", "6" },
    };
    g_auto(Fake) fake = { NULL };

    fake_new(&fake);
    fake_write(&fake, SIBLINGS("0"), "0,4\n");
    fake_write(&fake, SIBLINGS("1"), "1,5\n");
    fake_write(&fake, SIBLINGS("2"), "2,6\n");
    fake_write(&fake, SIBLINGS("3"), "3\n");
    fake_write(&fake, SIBLINGS("4"), "0,4\n");
    fake_write(&fake, SIBLINGS("5"), "1,5\n");
    fake_write(&fake, SIBLINGS("6"), "2,6\n");
    for (int i = 0; i < ARRAY_SIZE(cases); i++) {
        g_autoptr(NfvFacts) facts = read_facts(&fake, cases[i].cpus);

        g_test_message("%s", cases[i].cpus);
        assert_cpu_set(&facts->siblings, cases[i].siblings);
    }
}

/* Of the asked CPUs: as recorded on Linux 6.12, and 0 where it is off. */
static void test_read_fair_server(void)
{
    g_auto(Fake) fake = { NULL };
    g_autoptr(NfvFacts) facts = NULL;
    g_autoptr(NfvFacts) off = NULL;

    fake_new(&fake);
    fake_write(&fake, FAIR("0"), "50000000\n");
    fake_write(&fake, FAIR("1"), "0\n");
    fake_write(&fake, FAIR("2"), "50000000\n");
    facts = read_facts(&fake, "1-3");
    assert_cpu_set(&facts->fair_server, "2");
    off = read_facts(&fake, "1");
    assert_cpu_set(&off->fair_server, "none");
}

static void test_read_preemption(void)
{
    g_auto(Fake) fake = { NULL };
    g_autoptr(NfvFacts) none = NULL;
    g_autoptr(NfvFacts) facts = NULL;

    fake_new(&fake);
    none = read_facts(&fake, "0");
    if (none->preemption == NFV_PREEMPTION_RT) {
        g_test_skip("this kernel's version says PREEMPT_RT");
        return;
    }
    fake_write(&fake, "/sys/kernel/debug/sched/preempt",
               "none voluntary full (lazy)\n");
    facts = read_facts(&fake, "0");
    g_assert_cmpint(facts->preemption, ==, NFV_PREEMPTION_LAZY);
}

static void assert_unknown(const Fake *fake)
{
    g_autoptr(NfvFacts) facts = read_facts(fake, "0-3");

    assert_cpu_set(&facts->isolated, "none");
    assert_cpu_set(&facts->nohz_full, "none");
    assert_cpu_set(&facts->siblings, "none");
    assert_cpu_set(&facts->fair_server, "none");
    g_assert_cmpint(facts->rt_runtime_us, ==, -1);
    g_assert_cmpint(facts->rt_period_us, ==, 1000000);
    g_assert_cmpint(facts->cgroup_rt_us, ==, -1);
    g_assert_cmpstr(facts->clock_source, ==, "");
}

static void test_read_missing(void)
{
    g_auto(Fake) fake = { NULL };

    fake_new(&fake);
    assert_unknown(&fake);
}

static void test_read_garbage(void)
{
    static const char *const texts[] = { "", "\n", "(null)\n", "x\n", "0-\n" };
    g_auto(Fake) fake = { NULL };

    fake_new(&fake);
    for (int i = 0; i < ARRAY_SIZE(texts); i++) {
        g_test_message("'%s'", texts[i]);
        fake_write(&fake, CPU "isolated", texts[i]);
        fake_write(&fake, CPU "nohz_full", texts[i]);
        fake_write(&fake, SIBLINGS("0"), texts[i]);
        fake_write(&fake, FAIR("0"), texts[i]);
        fake_write(&fake, RT_RUNTIME, texts[i]);
        fake_write(&fake, RT_PERIOD, texts[i]);
        fake_write(&fake, CLOCK_SOURCE, "\n");
        assert_unknown(&fake);
    }
}

/* The budget of the cgroup that the test is in, if one is shown there. */
static void test_read_cgroup(void)
{
    g_auto(Fake) fake = { NULL };
    g_autoptr(NfvFacts) facts = NULL;
    g_autofree char *text = NULL;
    g_auto(GStrv) lines = NULL;
    bool found = false;

    g_file_get_contents("/proc/self/cgroup", &text, NULL, NULL);
    lines = g_strsplit(text ?: "", "\n", -1);
    fake_new(&fake);
    for (int i = 0; lines[i]; i++) {
        const char *colon = strchr(lines[i], ':');
        const char *path = colon ? strchr(colon + 1, ':') : NULL;
        g_autofree char *file = NULL;

        if (path && (g_str_has_prefix(colon, ":cpu:") ||
                     g_str_has_prefix(colon, ":cpu,"))) {
            file = g_strconcat("/sys/fs/cgroup/cpu", path + 1,
                               "/cpu.rt_runtime_us", NULL);
            fake_write(&fake, file, "123456\n");
            found = true;
        }
    }
    facts = read_facts(&fake, "0");
    g_assert_cmpint(facts->cgroup_rt_us, ==, found ? 123456 : -1);
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    g_test_add_func("/nfv/facts/preemption", test_preemption);
    g_test_add_func("/nfv/facts/read", test_read);
    g_test_add_func("/nfv/facts/read/siblings", test_read_siblings);
    g_test_add_func("/nfv/facts/read/fair-server", test_read_fair_server);
    g_test_add_func("/nfv/facts/read/preemption", test_read_preemption);
    g_test_add_func("/nfv/facts/read/missing", test_read_missing);
    g_test_add_func("/nfv/facts/read/garbage", test_read_garbage);
    g_test_add_func("/nfv/facts/read/cgroup", test_read_cgroup);
    return g_test_run();
}
