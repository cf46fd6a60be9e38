/*
 * Threads that the nfv machine does not make itself, and what QEMU's threads
 * inherit
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

/* thread-context has properties for its own placement. */
static void test_thread_context(void)
{
    g_auto(NfvSetup) s = { 0 };
    g_autofree char *options = NULL;
    QTestState *qts;

    if (!nfv_setup_init(&s)) {
        return;
    }
    options = g_strdup_printf("-object thread-context,id=tc,cpu-affinity=%s -m "
                              "64 -object memory-backend-ram,id=m,"
                              "size=64M,prealloc=on,prealloc-context=tc "
                              "-machine memory-backend=m",
                              s.first);
    qts = nfv_setup_start(&s, "qtest", "rt=off", options);
    nfv_test_expect(qts, (NfvExpect[]) {
                             { "TC tc", "memory", s.first, SCHED_OTHER, 0 },
                             { "CPU 0/*", "vcpu", s.first, SCHED_OTHER, 0 },
                             { "main", "emulator", s.rest, SCHED_OTHER, 0 },
                             { "IO *", "iothread", s.rest, SCHED_OTHER, 0 },
                             { "*", "worker", s.rest, SCHED_OTHER, 0 },
                             { NULL },
                         });
    qtest_quit(qts);
}

static void test_vhost(void)
{
    g_auto(NfvSetup) s = { 0 };
    g_autofree char *options = NULL;
    QTestState *qts;

    if (access("/dev/vhost-vsock", R_OK | W_OK) < 0) {
        g_test_skip("/dev/vhost-vsock cannot be used");
        return;
    }
    if (!nfv_setup_init(&s)) {
        return;
    }
    options =
        g_strdup_printf("-device vhost-vsock-pci,guest-cid=%d", getpid() + 3);
    qts = nfv_setup_start(&s, "qtest", "rt=off", options);
    nfv_test_expect(qts, (NfvExpect[]) {
                             { "vhost-*", "vhost", s.rest, SCHED_OTHER, 0 },
                             { "CPU 0/*", "vcpu", s.first, SCHED_OTHER, 0 },
                             { "main", "emulator", s.rest, SCHED_OTHER, 0 },
                             { "IO *", "iothread", s.rest, SCHED_OTHER, 0 },
                             { "*", "worker", s.rest, SCHED_OTHER, 0 },
                             { NULL },
                         });
    qtest_quit(qts);
}

#ifdef CONFIG_LINUX_IO_URING
/*
 * The kernel makes a worker for what it cannot do at once, such as to flush a
 * file.
 */
static void test_io_uring(void)
{
    g_auto(NfvSetup) s = { 0 };
    g_autofree char *file = NULL, *output = NULL;
    QTestState *qts;
    QDict *response, *info;

    if (!nfv_setup_init(&s)) {
        return;
    }
    file = g_strconcat(s.root, "/disk", NULL);
    g_assert(g_file_set_contents(file, "", 0, NULL));
    g_assert_cmpint(truncate(file, 512), ==, 0);
    qts = nfv_setup_start(&s, "qtest", "rt=off", "> /dev/null");
    response = qtest_qmp(qts,
                         "{ 'execute': 'blockdev-add', 'arguments': { "
                         "'driver': 'file', 'node-name': 'd', "
                         "'filename': %s, 'aio': 'io_uring' } }",
                         file);
    if (qdict_haskey(response, "error")) {
        g_test_skip("this host has no io_uring for QEMU");
        goto out;
    }
    output = qtest_hmp(qts, "qemu-io d \"write 0 512\"");
    g_free(output);
    output = qtest_hmp(qts, "qemu-io d flush");
    info = nfv_test_query(qts);
    if (!nfv_test_thread(info, "iou-wrk-*") ||
        qdict_haskey(nfv_test_thread(info, "iou-wrk-*"), "error")) {
        g_test_skip("this kernel has no io_uring worker for a flush, or it "
                    "cannot be moved");
        qobject_unref(info);
        goto out;
    }
    qobject_unref(info);
    nfv_setup_expect(&s, qts, (NfvPriorities) { 0 }, "iou-wrk-*");
out:
    qobject_unref(response);
    qtest_quit(qts);
}
#endif

#ifdef CONFIG_VNC
static void test_vnc(void)
{
    g_auto(NfvSetup) s = { 0 };
    g_autofree char *options = NULL;
    QTestState *qts;

    if (!nfv_setup_init(&s) || !nfv_test_has_fifo()) {
        return;
    }
    options = g_strdup_printf("-vnc unix:%s/vnc", s.root);
    qts = nfv_setup_start(&s, "qtest", "rt=on,emulator-priority=3", options);
    nfv_setup_expect(&s, qts, (NfvPriorities) { .vcpu = 1, .emulator = 3 },
                     "vnc_worker");
    qtest_quit(qts);
}
#endif

/* What QEMU was started with: a policy, and an affinity. */

static void set_own_policy(int policy, int priority)
{
    struct sched_param param = { .sched_priority = priority };

    g_assert_cmpint(sched_setscheduler(0, policy, &param), ==, 0);
}

static QTestState *start_as_fifo(const NfvSetup *s, const char *properties)
{
    QTestState *qts;

    set_own_policy(SCHED_FIFO, 2);
    qts = nfv_setup_start(s, "qtest", properties, "-object iothread,id=io");
    set_own_policy(SCHED_OTHER, 0);
    return qts;
}

/* With real-time policies in force, no other thread keeps what it inherited. */
static void test_inherited_fifo(void)
{
    g_auto(NfvSetup) s = { 0 };
    QTestState *qts;

    if (!nfv_setup_init(&s) || !nfv_test_has_fifo()) {
        return;
    }
    qts = start_as_fifo(&s, "rt=on");
    nfv_setup_expect(&s, qts, (NfvPriorities) { .vcpu = 1 }, NULL);
    qtest_quit(qts);
}

/* Without them, policies are left alone. */
static void test_inherited_fifo_rt_off(void)
{
    g_auto(NfvSetup) s = { 0 };
    QTestState *qts;
    GArray *tasks;

    if (!nfv_setup_init(&s) || !nfv_test_has_fifo()) {
        return;
    }
    qts = start_as_fifo(&s, "rt=off");
    tasks = nfv_test_tasks(qtest_pid(qts));
    for (unsigned i = 0; i < tasks->len; i++) {
        g_autofree char *text =
            nfv_test_kernel_text(g_array_index(tasks, int, i));

        g_assert(g_str_has_prefix(text, "fifo:2 on "));
    }
    g_array_unref(tasks);
    qtest_quit(qts);
}

/*
 * A vCPU may have the very CPU that QEMU was bound to; the others then go to
 * those that are granted, too.
 */
static void test_inherited_affinity(void)
{
    g_auto(NfvSetup) s = { 0 };
    g_autofree char *properties = NULL;
    QTestState *qts;
    cpu_set_t *own = CPU_ALLOC(NFV_TEST_CPUS), *one = CPU_ALLOC(NFV_TEST_CPUS);
    size_t size = CPU_ALLOC_SIZE(NFV_TEST_CPUS);

    if (nfv_setup_init(&s)) {
        CPU_ZERO_S(size, one);
        CPU_SET_S(nfv_test_cpu(0), size, one);
        g_assert_cmpint(sched_getaffinity(0, size, own), ==, 0);
        g_assert_cmpint(sched_setaffinity(0, size, one), ==, 0);
        properties =
            g_strdup_printf("rt=off,housekeeping-cpus=%u", nfv_test_cpu(1));
        qts = nfv_setup_start(&s, "qtest", properties, "");
        g_assert_cmpint(sched_setaffinity(0, size, own), ==, 0);
        g_free(s.rest);
        s.rest = g_strdup_printf("%u", nfv_test_cpu(1));
        nfv_setup_expect(&s, qts, (NfvPriorities) { 0 }, NULL);
        qtest_quit(qts);
    }
    CPU_FREE(own);
    CPU_FREE(one);
}

int main(int argc, char **argv)
{
    nfv_test_init(&argc, &argv);

    qtest_add_func("nfv/threads/thread-context", test_thread_context);
    qtest_add_func("nfv/threads/vhost", test_vhost);
#ifdef CONFIG_LINUX_IO_URING
    qtest_add_func("nfv/threads/io-uring", test_io_uring);
#endif
#ifdef CONFIG_VNC
    qtest_add_func("nfv/threads/vnc", test_vnc);
#endif
    qtest_add_func("nfv/threads/inherited-fifo", test_inherited_fifo);
    qtest_add_func("nfv/threads/inherited-fifo-rt-off",
                   test_inherited_fifo_rt_off);
    qtest_add_func("nfv/threads/inherited-affinity", test_inherited_affinity);

    return g_test_run();
}
