/*
 * nfv-set-placement: a new placement of a running machine
 *
 * Copyright (c) 2026 the kvm4nfv authors
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "qemu/osdep.h"
#include <sched.h>
#include "libqtest.h"
#include "nfv/host.h"
#include "nfv/setup.h"
#include "nfv/thread.h"
#include "qobject/qdict.h"

static void set_placement(QTestState *qts, const char *arguments)
{
    g_autofree char *command = g_strdup_printf(
        "{ 'execute': 'nfv-set-placement', 'arguments': %s }", arguments);

    qobject_unref(qtest_qmp_assert_success_ref(qts, command, NULL));
}

/* Takes over @response. */
static void check_error(QDict *response, const char *words)
{
    const QDict *error = qdict_get_qdict(response, "error");

    g_assert(error);
    g_assert(strstr(qdict_get_str(error, "desc"), words));
    qobject_unref(response);
}

/* The vCPU gets the CPU that had the others, which get the vCPU's. */
static void test_swap(void)
{
    g_auto(NfvSetup) s = { 0 };
    g_autofree char *vcpu = NULL;
    g_autofree char *arguments = NULL;
    QTestState *qts;

    if (!nfv_setup_init(&s)) {
        return;
    }
    vcpu = g_strdup_printf("%u", nfv_test_cpu(1));
    arguments = g_strdup_printf("{ 'vcpu-cpus': '%s', "
                                "'housekeeping-cpus': '%s' }",
                                vcpu, s.first);
    const NfvExpect expect[] = {
        { "CPU 0/*", "vcpu", vcpu },
        { "main", "emulator", s.first },
        { "IO *", "iothread", s.first },
        { "*", "worker", s.first },
        { NULL },
    };

    qts = nfv_setup_start(&s, "qtest", "rt=off", "-object iothread,id=io0");
    nfv_setup_expect(&s, qts, (NfvPriorities) { 0 }, NULL);
    set_placement(qts, arguments);
    nfv_test_expect(qts, expect);
    /* Threads that start later follow the new plan. */
    qobject_unref(qtest_qmp_assert_success_ref(qts, "{ 'execute': "
                                                    "'object-add', "
                                                    "'arguments': "
                                                    "{ 'qom-type': 'iothread', "
                                                    "'id': 'io1' } }"));
    nfv_test_expect(qts, expect);
    qtest_quit(qts);
}

/* A list that was given can be taken back. */
static void test_default(void)
{
    g_auto(NfvSetup) s = { 0 };
    g_autofree char *arguments = NULL;
    QTestState *qts;

    if (!nfv_setup_init(&s) || !nfv_test_has_cpus(3)) {
        return;
    }
    arguments = g_strdup_printf("{ 'housekeeping-cpus': '%u' }",
                                nfv_test_cpu(1));
    qts = nfv_setup_start(&s, "qtest", "rt=off", "-object iothread,id=io0");
    set_placement(qts, arguments);
    set_placement(qts, "{ 'housekeeping-cpus': '', 'rt-vcpus': '' }");
    nfv_setup_expect(&s, qts, (NfvPriorities) { 0 }, NULL);
    qtest_quit(qts);
}

/* A machine that was started without vcpu-cpus. */
static void test_begin(void)
{
    g_auto(NfvSetup) s = { 0 };
    g_autofree char *arguments = NULL;
    QTestState *qts;

    if (!nfv_setup_init(&s)) {
        return;
    }
    arguments = g_strdup_printf("{ 'vcpu-cpus': '%s', 'rt': 'off' }", s.first);
    qts = qtest_initf("-M nfv,x-host-root=%s -nodefaults "
                      "-object iothread,id=io0",
                      s.root);
    set_placement(qts, arguments);
    nfv_setup_expect(&s, qts, (NfvPriorities) { 0 }, NULL);
    qtest_quit(qts);
}

/* Real-time comes, changes and goes, and leaves nothing behind. */
static void test_real_time(void)
{
    g_auto(NfvSetup) s = { 0 };
    QTestState *qts;

    if (!nfv_setup_init(&s) || !nfv_test_has_fifo()) {
        return;
    }
    qts = nfv_setup_start(&s, "qtest", "rt=off", "-object iothread,id=io0");
    set_placement(qts, "{ 'rt': 'on', 'vcpu-priority': 3 }");
    nfv_setup_expect(&s, qts, (NfvPriorities) { .vcpu = 3 }, NULL);
    set_placement(qts, "{ 'vcpu-priority': 2, 'iothread-priority': 1 }");
    nfv_setup_expect(&s, qts, (NfvPriorities) { .vcpu = 2, .iothread = 1 },
                     NULL);
    set_placement(qts, "{ 'rt': 'off' }");
    nfv_setup_expect(&s, qts, (NfvPriorities) { 0 }, NULL);
    qtest_quit(qts);
}

/* What cannot be applied changes nothing. */

typedef struct BadChange {
    const char *arguments; /* %u is a host CPU that does not exist */
    const char *error;     /* what it must name */
} BadChange;

static const BadChange bad_changes[] = {
    { "{ 'vcpu-cpus': '' }", "vcpu-cpus" },
    { "{ 'vcpu-cpus': '5-2' }", "5-2" },
    { "{ 'vcpu-cpus': '%u' }", "vcpu-cpus: host CPU" },
    { "{ 'vcpu-cpus': 'auto' }", "isolated" },
    { "{ 'vcpu-priority': 99 }", "vcpu-priority=99" },
    { "{ 'vcpu-priority': 0 }", "vcpu-priority=0" },
    { "{ 'rt-vcpus': '1' }", "rt-vcpus" },
    { "{ 'housekeeping-cpus': '%u' }", "housekeeping-cpus: host CPU" },
    { "{ 'iothread-cpus': 'x' }", "iothread-cpus='x'" },
    /* The first of them alone would do. */
    { "{ 'vcpu-priority': 7, 'iothread-cpus': 'x' }", "iothread-cpus='x'" },
};

static void test_refused(void)
{
    g_auto(NfvSetup) s = { 0 };
    QTestState *qts;

    if (!nfv_setup_init(&s)) {
        return;
    }
    qts = nfv_setup_start(&s, "qtest", "rt=off", "-object iothread,id=io0");
    for (int i = 0; i < ARRAY_SIZE(bad_changes); i++) {
        g_auto(GStrv) parts = g_strsplit(bad_changes[i].arguments, "%u", -1);
        g_autofree char *cpu = g_strdup_printf("%u", nfv_test_no_cpu());
        g_autofree char *arguments = g_strjoinv(cpu, parts);
        g_autofree char *text = g_strdup_printf("{ 'execute': "
                                                "'nfv-set-placement', "
                                                "'arguments': %s }",
                                                arguments);
        QDict *response, *plan, *info;

        response = qtest_qmp(qts, text, NULL);
        g_test_message("%s", arguments);
        check_error(response, bad_changes[i].error);
        nfv_setup_expect(&s, qts, (NfvPriorities) { 0 }, NULL);
        info = nfv_test_query(qts);
        plan = qdict_get_qdict(info, "plan");
        g_assert_cmpint(qdict_get_int(plan, "vcpu-priority"), ==, 1);
        qobject_unref(info);
    }
    qtest_quit(qts);
}

static void test_needs_vcpu_cpus(void)
{
    QTestState *qts = qtest_init("-M nfv -nodefaults");
    QDict *response = qtest_qmp(qts, "{ 'execute': 'nfv-set-placement', "
                                     "'arguments': { 'rt': 'off' } }");

    check_error(response, "vcpu-cpus");
    qtest_quit(qts);
}

static void test_other_machine(void)
{
    QTestState *qts = qtest_init("-M q35 -nodefaults");
    QDict *response = qtest_qmp(qts, "{ 'execute': 'nfv-set-placement', "
                                     "'arguments': { 'vcpu-cpus': '1' } }");

    check_error(response, "not an nfv machine");
    qtest_quit(qts);
}

int main(int argc, char **argv)
{
    nfv_test_init(&argc, &argv);
    qtest_add_func("nfv/set/swap", test_swap);
    qtest_add_func("nfv/set/default", test_default);
    qtest_add_func("nfv/set/begin", test_begin);
    qtest_add_func("nfv/set/real-time", test_real_time);
    qtest_add_func("nfv/set/refused", test_refused);
    qtest_add_func("nfv/set/needs-vcpu-cpus", test_needs_vcpu_cpus);
    qtest_add_func("nfv/set/other-machine", test_other_machine);
    return g_test_run();
}
