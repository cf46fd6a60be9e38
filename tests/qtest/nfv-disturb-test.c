/*
 * What query-nfv says about the host and about what disturbs the vCPUs
 *
 * Copyright (c) 2026 the kvm4nfv authors
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "qemu/osdep.h"
#include <sys/utsname.h>
#include "libqtest.h"
#include "nfv/host.h"
#include "nfv/setup.h"
#include "nfv/thread.h"
#include "qobject/qdict.h"
#include "qobject/qjson.h"
#include "qobject/qlist.h"

#define NOHZ_FULL "/sys/devices/system/cpu/nohz_full"
#define REALTIME "/sys/kernel/realtime"
#define PREEMPT "/sys/kernel/debug/sched/preempt"
#define CLOCK_SOURCE \
    "/sys/devices/system/clocksource/clocksource0/current_clocksource"

static void check_fact(const QDict *info, const char *key, const char *expected)
{
    g_autoptr(GString) json =
        qobject_to_json(qdict_get(qdict_get_qdict((QDict *)info, "host"), key));

    g_assert_cmpstr(json->str, ==, expected);
}

static void write_siblings(const NfvSetup *s, unsigned one, unsigned other)
{
    g_autofree char *path = g_strdup_printf("/sys/devices/system/cpu/cpu%s/"
                                            "topology/thread_siblings_list",
                                            s->first);
    g_autofree char *list =
        g_strdup_printf("%u,%u\n", MIN(one, other), MAX(one, other));

    nfv_test_root_write(s->root, path, list);
}

/*
 * Settings that are as they should be give no cause for complaint; what is
 * measured may, on a busy host.
 */
static const char *const complaints[] = {
    "the scheduler may give host CPU",
    "shares a core with a vCPU",
    "has preemption model",
    "periodic timer tick",
    "clock source",
};

static void test_quiet_host(void)
{
    g_auto(NfvSetup) s = { 0 };
    g_autofree char *list = NULL;
    QTestState *qts;
    QDict *info;

    if (!nfv_setup_init(&s)) {
        return;
    }
    nfv_test_root_write(s.root, NFV_TEST_ISOLATED, s.first);
    nfv_test_root_write(s.root, NOHZ_FULL, s.first);
    nfv_test_root_write(s.root, REALTIME, "1\n");
    nfv_test_root_write(s.root, CLOCK_SOURCE, "tsc\n");
    qts = nfv_setup_start(&s, "qtest", "rt=off", "");
    info = nfv_test_query(qts);
    list = g_strdup_printf("[%s]", s.first);
    check_fact(info, "isolated", list);
    check_fact(info, "nohz-full", list);
    check_fact(info, "smt-siblings", "[]");
    check_fact(info, "rt-runtime", "-1");
    check_fact(info, "rt-period", "1000000");
    check_fact(info, "preemption", "\"rt\"");
    check_fact(info, "clock-source", "\"tsc\"");
    for (int i = 0; i < ARRAY_SIZE(complaints); i++) {
        g_assert_false(nfv_test_has_disturbance(info, complaints[i]));
    }
    qobject_unref(info);
    qtest_quit(qts);
}

static bool is_rt_kernel(void)
{
    struct utsname name;

    g_assert_cmpint(uname(&name), ==, 0);
    return strstr(name.version, "PREEMPT_RT");
}

static void test_restless_host(void)
{
    g_auto(NfvSetup) s = { 0 };
    g_autofree char *sibling = NULL;
    QTestState *qts;
    QDict *info;

    if (!nfv_setup_init(&s)) {
        return;
    }
    nfv_test_root_write(s.root, NOHZ_FULL, "(null)\n");
    nfv_test_root_write(s.root, NFV_TEST_RT_RUNTIME, "900000\n");
    nfv_test_root_write(s.root, REALTIME, "0\n");
    nfv_test_root_write(s.root, PREEMPT, "none (voluntary) full\n");
    nfv_test_root_write(s.root, CLOCK_SOURCE, "hpet\n");
    write_siblings(&s, nfv_test_cpu(0), nfv_test_cpu(1));
    qts = nfv_setup_start(&s, "qtest", "rt=off", "");
    info = nfv_test_query(qts);
    sibling = g_strdup_printf("[%u]", nfv_test_cpu(1));
    check_fact(info, "isolated", "[]");
    check_fact(info, "nohz-full", "[]");
    check_fact(info, "smt-siblings", sibling);
    check_fact(info, "rt-runtime", "900000");
    check_fact(info, "clock-source", "\"hpet\"");
    for (int i = 0; i < ARRAY_SIZE(complaints); i++) {
        /*
         * The kernel's own name of its model is not a file that can be faked.
         */
        if (!is_rt_kernel() || !strstr(complaints[i], "preemption")) {
            g_assert_true(nfv_test_has_disturbance(info, complaints[i]));
        }
    }
    /* None of it keeps a thread from its place. */
    g_assert(qlist_empty(qdict_get_qlist(info, "problems")));
    qobject_unref(info);
    qtest_quit(qts);
}

/* Counts since the last query are what the counts since the start grew by. */

static const char *const counters[] = {
    "run-time",     "wait-time",    "involuntary-switches",
    "minor-faults", "major-faults",
};

static const QDict *counters_of_main(const QDict *info, const char *period)
{
    return qdict_get_qdict((QDict *)nfv_test_thread(info, "main"), period);
}

static void test_counters(void)
{
    QTestState *qts = qtest_init("-M nfv");
    QDict *one = nfv_test_query(qts), *two = nfv_test_query(qts);
    const QDict *before = counters_of_main(one, "since-start"),
                *after = counters_of_main(two, "since-start");
    const QDict *between = counters_of_main(two, "since-query");

    g_assert(!counters_of_main(one, "since-query"));
    if (before) {
        for (int i = 0; i < ARRAY_SIZE(counters); i++) {
            g_assert_cmpint(qdict_get_int(after, counters[i]) -
                                qdict_get_int(before, counters[i]),
                            ==, qdict_get_int(between, counters[i]));
        }
    } else {
        g_test_skip("this kernel does not count (no schedstat)");
    }
    qobject_unref(one);
    qobject_unref(two);
    qtest_quit(qts);
}

int main(int argc, char **argv)
{
    nfv_test_init(&argc, &argv);

    qtest_add_func("nfv/disturb/quiet-host", test_quiet_host);
    qtest_add_func("nfv/disturb/restless-host", test_restless_host);
    qtest_add_func("nfv/disturb/counters", test_counters);

    return g_test_run();
}
