/*
 * Placement of the nfv machine's threads: where each runs and with which
 * policy, as the kernel says
 *
 * Copyright (c) 2026 the kvm4nfv authors
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "qemu/osdep.h"
#include <sched.h>
#include "libqtest.h"
#include "nfv/setup.h"
#include "nfv/thread.h"
#include "qobject/qdict.h"
#include "qobject/qlist.h"

/*
 * Have threads of every kind: an I/O thread that came later, and what runs
 * requests of the one that was there.
 */
static void make_threads(const NfvSetup *s, QTestState *qts)
{
    g_autofree char *file = g_strconcat(s->root, "/disk", NULL), *output = NULL;

    g_assert(g_file_set_contents(file, "disk", 512, NULL));
    qtest_qmp_assert_success(qts, "{ 'execute': 'object-add', 'arguments': { "
                                  "'qom-type': 'iothread', 'id': 'later' } }");
    qtest_qmp_assert_success(qts,
                             "{ 'execute': 'blockdev-add', 'arguments': { "
                             "'driver': 'file', 'node-name': 'd', "
                             "'filename': %s, 'aio': 'threads' } }",
                             file);
    qtest_qmp_assert_success(qts, "{ 'execute': 'x-blockdev-set-iothread', "
                                  "'arguments': { 'node-name': 'd', "
                                  "'iothread': 'io' } }");
    output = qtest_hmp(qts, "qemu-io d \"read 0 512\"");
    g_assert_cmpstr(output, ==, "");
}

/*
 * qemu-io writes to QEMU's standard output, which is not to become the test's.
 */
#define THREAD_OPTIONS "-object iothread,id=io > /dev/null"

static void check_index(QTestState *qts, const QDict *info)
{
    const QDict *vcpu = nfv_test_thread(info, "CPU 0/*"),
                *emulator = nfv_test_thread(info, "main");

    g_assert_cmpint(qdict_get_int(vcpu, "vcpu"), ==, 0);
    g_assert_false(qdict_haskey(emulator, "vcpu"));
    g_assert_cmpint(qdict_get_int(emulator, "thread-id"), ==, qtest_pid(qts));
    g_assert(qlist_empty(qdict_get_qlist(info, "problems")));
}

static void check_roles(const char *accel, const char *properties,
                        NfvPriorities priorities)
{
    g_auto(NfvSetup) s = { 0 };
    QTestState *qts;
    QDict *info;

    if (!nfv_setup_init(&s) || !nfv_setup_has_accel(accel) ||
        (priorities.vcpu && !nfv_test_has_fifo())) {
        return;
    }
    qts = nfv_setup_start(&s, accel, properties, THREAD_OPTIONS);
    make_threads(&s, qts);
    nfv_setup_expect(&s, qts, priorities, "worker");
    info = nfv_test_query(qts);
    g_assert(nfv_test_thread(info, "IO io"));
    g_assert(nfv_test_thread(info, "IO later"));
    g_assert(nfv_test_thread(info, "call_rcu"));
    g_assert(strcmp(accel, "kvm") || nfv_test_thread(info, "kvm-pit/*"));
    check_index(qts, info);
    qobject_unref(info);
    qtest_quit(qts);
}

static void test_pinned(const void *accel)
{
    check_roles(accel, "rt=off", (NfvPriorities) { 0 });
}

static void test_rt_auto(const void *accel)
{
    check_roles(accel, "rt=auto", (NfvPriorities) { .vcpu = 1 });
}

static void test_rt_priorities(const void *accel)
{
    check_roles(accel,
                "rt=on,vcpu-priority=7,iothread-priority=5,emulator-priority=3",
                (NfvPriorities) { .vcpu = 7, .iothread = 5, .emulator = 3 });
}

/* Without vcpu-cpus every thread has what QEMU was started with. */
static void test_untouched(const void *accel)
{
    g_autofree char *own = nfv_test_kernel_text(0);
    g_autoptr(GArray) tasks = NULL;
    QTestState *qts;
    QDict *info;

    if (!nfv_setup_has_accel(accel)) {
        return;
    }
    qts = qtest_initf("-M nfv -S -accel %s -object iothread,id=io",
                      (const char *)accel);
    info = nfv_test_query(qts);
    g_assert_false(qdict_haskey(info, "plan"));
    g_assert_false(qdict_haskey(nfv_test_thread(info, "CPU 0/*"), "wanted"));
    g_assert(nfv_test_thread(info, "IO io"));
    g_assert(qlist_empty(qdict_get_qlist(info, "problems")));
    qobject_unref(info);
    tasks = nfv_test_tasks(qtest_pid(qts));
    g_assert_cmpuint(tasks->len, >, 3);
    for (unsigned i = 0; i < tasks->len; i++) {
        g_autofree char *text =
            nfv_test_kernel_text(g_array_index(tasks, int, i));

        g_assert_cmpstr(text, ==, own);
    }
    qtest_quit(qts);
}

/* rt-vcpus: a vCPU that is not real-time is pinned all the same. */
static void test_rt_vcpus(void)
{
    g_auto(NfvSetup) s = { 0 };
    QTestState *qts;

    if (!nfv_setup_init(&s) || !nfv_test_has_fifo()) {
        return;
    }
    qts = nfv_setup_start(&s, "qtest", "rt=on,rt-vcpus=1", "-smp 1,maxcpus=2");
    nfv_setup_expect(&s, qts, (NfvPriorities) { 0 }, NULL);
    qtest_quit(qts);
}

/*
 * The list is in the order of the vCPUs, and the second vCPU comes by hot plug.
 */
static void test_hotplugged_vcpu(void)
{
    NfvTestRoot root = NULL;
    g_autofree char *first = NULL, *second = NULL, *rest = NULL;
    QTestState *qts;

    if (!nfv_test_has_cpus(3) || !nfv_test_has_fifo()) {
        return;
    }
    root = nfv_test_root_new();
    first = g_strdup_printf("%u", nfv_test_cpu(0));
    second = g_strdup_printf("%u", nfv_test_cpu(1));
    rest = nfv_test_cpus_but(2);
    qts = qtest_initf("-M nfv,x-host-root=%s,vcpu-cpus=%s:%s,rt=on,rt-vcpus=1 "
                      "-cpu qemu64 -smp 1,maxcpus=2,sockets=2",
                      root, first, second);
    qtest_qmp_device_add(qts, "qemu64-x86_64-cpu", "hot",
                         "{ 'socket-id': 1, 'die-id': 0, 'module-id': 0, "
                         "'core-id': 0, 'thread-id': 0 }");
    nfv_test_expect(qts, (NfvExpect[]) {
                             { "CPU 0/*", "vcpu", first, SCHED_OTHER, 0 },
                             { "CPU 1/*", "vcpu", second, SCHED_FIFO, 1 },
                             { "main", "emulator", rest, SCHED_OTHER, 0 },
                             { "IO *", "iothread", rest, SCHED_OTHER, 0 },
                             { "*", "worker", rest, SCHED_OTHER, 0 },
                             { NULL },
                         });
    qtest_quit(qts);
    nfv_test_root_free(root);
}

/* One thread for all vCPUs is real-time if one of them is. */
static void test_single_thread(void)
{
    g_auto(NfvSetup) s = { 0 };
    QTestState *qts;

    if (!nfv_setup_init(&s) || !nfv_setup_has_accel("tcg") ||
        !nfv_test_has_fifo()) {
        return;
    }
    qts =
        nfv_setup_start(&s, "tcg,thread=single", "rt=on,rt-vcpus=1", "-smp 2");
    nfv_setup_expect(&s, qts, (NfvPriorities) { .vcpu = 1 }, NULL);
    qtest_quit(qts);
}

/* Lists of the user's; on a host with two CPUs both have to name the same. */
static void test_lists(void)
{
    g_auto(NfvSetup) s = { 0 };
    g_autofree char *iothread = NULL, *housekeeping = NULL, *properties = NULL;
    QTestState *qts;

    if (!nfv_setup_init(&s)) {
        return;
    }
    iothread = g_strdup_printf("%u", nfv_test_cpu(1));
    housekeeping = g_strdup_printf("%u", nfv_test_cpu(nfv_test_cpus() - 1));
    properties = g_strdup_printf("rt=off,iothread-cpus=%s,housekeeping-cpus=%s",
                                 iothread, housekeeping);
    qts = nfv_setup_start(&s, "qtest", properties, THREAD_OPTIONS);
    make_threads(&s, qts);
    nfv_test_expect(qts,
                    (NfvExpect[]) {
                        { "CPU 0/*", "vcpu", s.first, SCHED_OTHER, 0 },
                        { "main", "emulator", housekeeping, SCHED_OTHER, 0 },
                        { "IO *", "iothread", iothread, SCHED_OTHER, 0 },
                        { "worker", "worker", housekeeping, SCHED_OTHER, 0 },
                        { "*", "worker", housekeeping, SCHED_OTHER, 0 },
                        { NULL },
                    });
    qtest_quit(qts);
}

/* A reset makes no thread, and none loses its place. */
static void test_reset(void)
{
    g_auto(NfvSetup) s = { 0 };
    QTestState *qts;

    if (!nfv_setup_init(&s)) {
        return;
    }
    qts = nfv_setup_start(&s, "tcg", "rt=off", "");
    qtest_system_reset(qts);
    nfv_setup_expect(&s, qts, (NfvPriorities) { 0 }, NULL);
    qtest_quit(qts);
}

static const char *const accels[] = { "qtest", "tcg", "kvm" };

static void add_for_accel(const char *name, const char *accel,
                          void (*fn)(const void *accel))
{
    g_autofree char *path = g_strdup_printf("nfv/placement/%s/%s", accel, name);

    qtest_add_data_func(path, accel, fn);
}

int main(int argc, char **argv)
{
    nfv_test_init(&argc, &argv);

    for (int i = 0; i < ARRAY_SIZE(accels); i++) {
        add_for_accel("untouched", accels[i], test_untouched);
        add_for_accel("pinned", accels[i], test_pinned);
        add_for_accel("rt-auto", accels[i], test_rt_auto);
        add_for_accel("rt-priorities", accels[i], test_rt_priorities);
    }
    qtest_add_func("nfv/placement/rt-vcpus", test_rt_vcpus);
    qtest_add_func("nfv/placement/hotplugged-vcpu", test_hotplugged_vcpu);
    qtest_add_func("nfv/placement/single-thread", test_single_thread);
    qtest_add_func("nfv/placement/lists", test_lists);
    qtest_add_func("nfv/placement/reset", test_reset);

    return g_test_run();
}
