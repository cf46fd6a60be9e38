/*
 * query-nfv and "info nfv": their form, and what they say when somebody else
 * has moved a thread
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
#include "qobject/qbool.h"
#include "qobject/qdict.h"
#include "qobject/qjson.h"
#include "qobject/qlist.h"
#include "qobject/qstring.h"

/* The result against the schema that QEMU itself tells */

typedef struct Schema {
    QList *entities;
} Schema;

static const QDict *find_entity(const Schema *schema, const char *name)
{
    const QListEntry *entry;

    QLIST_FOREACH_ENTRY(schema->entities, entry) {
        const QDict *entity = qobject_to(QDict, qlist_entry_obj(entry));

        if (!strcmp(qdict_get_str(entity, "name"), name)) {
            return entity;
        }
    }
    g_assert_not_reached();
}

static void check_value(const Schema *schema, const char *type, QObject *value);

/*
 * Each member is in the schema, and those that are not optional are in the
 * value.
 */
static void check_struct(const Schema *schema, const QDict *entity,
                         const QDict *value)
{
    const QListEntry *entry;
    size_t known = 0;

    QLIST_FOREACH_ENTRY(qdict_get_qlist(entity, "members"), entry) {
        const QDict *member = qobject_to(QDict, qlist_entry_obj(entry));
        const char *name = qdict_get_str(member, "name");

        if (qdict_haskey(value, name)) {
            check_value(schema, qdict_get_str(member, "type"),
                        qdict_get(value, name));
            known++;
        } else {
            /* An optional member has a default, which is null. */
            g_assert(qdict_haskey(member, "default"));
        }
    }
    g_assert_cmpuint(known, ==, qdict_size(value));
}

static void check_enum(const QDict *entity, const char *value)
{
    const QListEntry *entry;

    QLIST_FOREACH_ENTRY(qdict_get_qlist(entity, "values"), entry) {
        if (!strcmp(
                qstring_get_str(qobject_to(QString, qlist_entry_obj(entry))),
                value)) {
            return;
        }
    }
    g_test_message("'%s' is not in the enumeration", value);
    g_assert_not_reached();
}

static void check_builtin(const QDict *entity, QObject *value)
{
    const char *type = qdict_get_str(entity, "json-type");

    if (!strcmp(type, "string")) {
        g_assert(qobject_type(value) == QTYPE_QSTRING);
    } else if (!strcmp(type, "boolean")) {
        g_assert(qobject_type(value) == QTYPE_QBOOL);
    } else {
        g_assert_cmpstr(type, ==, "int");
        g_assert(qobject_type(value) == QTYPE_QNUM);
    }
}

static void check_value(const Schema *schema, const char *type, QObject *value)
{
    const QDict *entity = find_entity(schema, type);
    const char *meta = qdict_get_str(entity, "meta-type");
    const QListEntry *entry;

    if (!strcmp(meta, "object")) {
        check_struct(schema, entity, qobject_to(QDict, value));
    } else if (!strcmp(meta, "array")) {
        QLIST_FOREACH_ENTRY(qobject_to(QList, value), entry) {
            check_value(schema, qdict_get_str(entity, "element-type"),
                        qlist_entry_obj(entry));
        }
    } else if (!strcmp(meta, "enum")) {
        check_enum(entity, qstring_get_str(qobject_to(QString, value)));
    } else {
        g_assert_cmpstr(meta, ==, "builtin");
        check_builtin(entity, value);
    }
}

static void check_schema(QTestState *qts)
{
    QDict *response = qtest_qmp(qts, "{ 'execute': 'query-qmp-schema' }");
    Schema schema = { qdict_get_qlist(response, "return") };
    const QDict *command = find_entity(&schema, "query-nfv");
    QDict *info = nfv_test_query(qts);

    g_assert_cmpstr(qdict_get_str(command, "meta-type"), ==, "command");
    check_value(&schema, qdict_get_str(command, "ret-type"), QOBJECT(info));
    qobject_unref(info);
    qobject_unref(response);
}

static void test_schema_without_plan(void)
{
    QTestState *qts = qtest_init("-M nfv");

    check_schema(qts);
    qtest_quit(qts);
}

static void test_schema(void)
{
    g_auto(NfvSetup) s = { 0 };
    QTestState *qts;

    if (!nfv_setup_init(&s)) {
        return;
    }
    nfv_test_root_write(s.root, NFV_TEST_RT_RUNTIME,
                        "950000"); /* for a problem in the result */
    qts = nfv_setup_start(&s, "qtest", "rt=auto", "2> /dev/null");
    check_schema(qts);
    qtest_quit(qts);
}

/* The plan says what was asked for. */

static char *list_text(const QDict *plan, const char *key)
{
    return g_string_free(qobject_to_json(qdict_get(plan, key)), false);
}

static void test_plan(void)
{
    g_auto(NfvSetup) s = { 0 };
    g_autofree char *vcpus = NULL, *rest = NULL, *properties = NULL,
                    *wanted_vcpus = NULL, *wanted_rest = NULL;
    g_autofree char *iothread = NULL, *rt_vcpus = NULL;
    QTestState *qts;
    const QDict *plan;
    QDict *info;

    if (!nfv_setup_init(&s)) {
        return;
    }
    properties = g_strdup_printf("rt=off,rt-vcpus=1:0,housekeeping-cpus=%u,"
                                 "vcpu-priority=7,iothread-priority=5,"
                                 "emulator-priority=3",
                                 nfv_test_cpu(1));
    qts = nfv_setup_start(&s, "qtest", properties, "-smp 1,maxcpus=4");
    info = nfv_test_query(qts);
    plan = qdict_get_qdict(info, "plan");
    vcpus = list_text(plan, "vcpu-cpus");
    rest = list_text(plan, "housekeeping-cpus");
    iothread = list_text(plan, "iothread-cpus");
    rt_vcpus = list_text(plan, "rt-vcpus");
    wanted_vcpus = g_strdup_printf("[%s]", s.first);
    wanted_rest = g_strdup_printf("[%u]", nfv_test_cpu(1));
    g_assert_cmpstr(vcpus, ==, wanted_vcpus);
    g_assert_cmpstr(rest, ==, wanted_rest);
    g_assert_cmpstr(iothread, ==, wanted_rest);
    g_assert_cmpstr(rt_vcpus, ==, "[0, 1]");
    g_assert_cmpstr(qdict_get_str(plan, "rt"), ==, "off");
    g_assert_false(qdict_get_bool(plan, "rt-active"));
    g_assert_cmpint(qdict_get_int(plan, "vcpu-priority"), ==, 7);
    g_assert_cmpint(qdict_get_int(plan, "iothread-priority"), ==, 5);
    g_assert_cmpint(qdict_get_int(plan, "emulator-priority"), ==, 3);
    qobject_unref(info);
    qtest_quit(qts);
}

/*
 * Somebody else moves a thread: it is told, and not undone, for libvirt's word
 * counts.
 */

static void move_thread(int tid, unsigned cpu)
{
    cpu_set_t *set = CPU_ALLOC(NFV_TEST_CPUS);
    size_t size = CPU_ALLOC_SIZE(NFV_TEST_CPUS);

    CPU_ZERO_S(size, set);
    CPU_SET_S(cpu, size, set);
    g_assert_cmpint(sched_setaffinity(tid, size, set), ==, 0);
    CPU_FREE(set);
}

static int vcpu_tid(QTestState *qts)
{
    QDict *info = nfv_test_query(qts);
    int tid = qdict_get_int(nfv_test_thread(info, "CPU 0/*"), "thread-id");

    qobject_unref(info);
    return tid;
}

/*
 * The thread has @now, query-nfv and info nfv say so, and it stays when QEMU
 * has looked again.
 */
static void check_changed(QTestState *qts, int tid, const char *now)
{
    for (int round = 0; round < 3; round++) {
        g_autofree char *kernel = nfv_test_kernel_text(tid),
                        *table = qtest_hmp(qts, "info nfv");
        g_autofree char *finding =
            g_strdup_printf("CPU 0/DUMMY (%d) has ", tid);
        QDict *info = nfv_test_query(qts);

        g_assert_cmpstr(kernel, ==, now);
        g_assert_false(qdict_get_bool(nfv_test_thread(info, "CPU 0/*"), "place"
                                                                        "d"));
        g_assert_true(qdict_get_bool(nfv_test_thread(info, "main"), "placed"));
        g_assert(nfv_test_has_problem(info, finding));
        g_assert(nfv_test_has_problem(info, "changed from outside of QEMU"));
        g_assert_cmpuint(qlist_size(qdict_get_qlist(info, "problems")), ==, 1);
        g_assert(g_str_has_prefix(table, "PROBLEM: CPU 0/DUMMY"));
        g_assert(strstr(table, "not as it should be"));
        g_assert(strstr(table, "wanted"));
        qobject_unref(info);
        /* These make QEMU look for threads, too. */
        qtest_qmp_assert_success(qts, "{ 'execute': %s }",
                                 round ? "stop" : "cont");
    }
}

static void check_unchanged(QTestState *qts)
{
    QDict *info = nfv_test_query(qts);
    g_autofree char *table = qtest_hmp(qts, "info nfv");

    g_assert(qlist_empty(qdict_get_qlist(info, "problems")));
    g_assert(g_str_has_prefix(table, "pc-q35-nfv-10.0: every thread is where "
                                     "it should be"));
    g_assert(!strstr(table, "wanted"));
    qobject_unref(info);
}

static void test_moved_from_outside(void)
{
    g_auto(NfvSetup) s = { 0 };
    g_autofree char *now = NULL;
    QTestState *qts;
    int tid;

    if (!nfv_setup_init(&s)) {
        return;
    }
    qts = nfv_setup_start(&s, "qtest", "rt=off", "");
    check_unchanged(qts);
    tid = vcpu_tid(qts);
    move_thread(tid, nfv_test_cpu(1));
    now = g_strdup_printf("other:0 on %u", nfv_test_cpu(1));
    check_changed(qts, tid, now);
    move_thread(tid, nfv_test_cpu(0));
    check_unchanged(qts);
    qtest_quit(qts);
}

static void test_policy_from_outside(void)
{
    g_auto(NfvSetup) s = { 0 };
    g_autofree char *now = NULL;
    struct sched_param param = { .sched_priority = 2 };
    QTestState *qts;
    int tid;

    if (!nfv_setup_init(&s) || !nfv_test_has_fifo()) {
        return;
    }
    qts = nfv_setup_start(&s, "qtest", "rt=on", "");
    check_unchanged(qts);
    tid = vcpu_tid(qts);
    g_assert_cmpint(sched_setscheduler(tid, SCHED_RR, &param), ==, 0);
    now = g_strdup_printf("rr:2 on %s", s.first);
    check_changed(qts, tid, now);
    qtest_quit(qts);
}

/* Two guests on one host CPU */

static void test_shared_cpu(void)
{
    g_auto(NfvSetup) s = { 0 };
    g_autofree char *finding = NULL;
    QTestState *one, *two;
    QDict *info;

    if (!nfv_setup_init(&s)) {
        return;
    }
    one = nfv_setup_start(&s, "qtest", "rt=off", "");
    two = nfv_setup_start(&s, "qtest", "rt=off", "");
    finding = g_strdup_printf("another nfv guest has host CPU %s", s.first);
    info = nfv_test_query(two);
    g_assert(nfv_test_has_problem(info, finding));
    qobject_unref(info);
    check_unchanged(one); /* it was the first */
    qtest_quit(one);
    check_unchanged(two); /* and now this is */
    qtest_quit(two);
}

int main(int argc, char **argv)
{
    nfv_test_init(&argc, &argv);

    qtest_add_func("nfv/report/schema", test_schema);
    qtest_add_func("nfv/report/schema-without-plan", test_schema_without_plan);
    qtest_add_func("nfv/report/plan", test_plan);
    qtest_add_func("nfv/report/moved-from-outside", test_moved_from_outside);
    qtest_add_func("nfv/report/policy-from-outside", test_policy_from_outside);
    qtest_add_func("nfv/report/shared-cpu", test_shared_cpu);

    return g_test_run();
}
