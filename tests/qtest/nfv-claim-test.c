/*
 * vcpu-cpus=auto: isolated host CPUs, and no two guests on the same
 *
 * Copyright (c) 2026 the kvm4nfv authors
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "qemu/osdep.h"
#include <sys/file.h>
#include "libqtest.h"
#include "nfv/host.h"
#include "nfv/process.h"
#include "nfv/thread.h"
#include "qobject/qdict.h"
#include "qobject/qlist.h"
#include "qobject/qnum.h"

/* A host on which the first @n CPUs of the test are isolated. */
static NfvTestRoot isolate(unsigned n)
{
    NfvTestRoot root = nfv_test_root_new();
    g_autoptr(GString) list = g_string_new(NULL);

    for (unsigned i = 0; i < n; i++) {
        g_string_append_printf(list, "%s%u", i ? "," : "", nfv_test_cpu(i));
    }
    nfv_test_root_write(root, NFV_TEST_ISOLATED, list->str);
    return root;
}

static QTestState *start(const char *root, const char *vcpu_cpus,
                         const char *options)
{
    return qtest_initf("-M nfv,x-host-root=%s,rt=off,vcpu-cpus=%s %s", root,
                       vcpu_cpus, options);
}

/* The host CPU of vCPU 0, as the plan says and the kernel does. */
static unsigned cpu_of(QTestState *qts)
{
    QDict *info = nfv_test_query(qts);
    QList *list = qdict_get_qlist(qdict_get_qdict(info, "plan"), "vcpu-cpus");
    unsigned cpu = qnum_get_int(qobject_to(QNum, qlist_peek(list)));
    g_autofree char *kernel = nfv_test_kernel_text(
        qdict_get_int(nfv_test_thread(info, "CPU 0/*"), "thread-id"));
    g_autofree char *wanted = g_strdup_printf("other:0 on %u", cpu);

    g_assert_cmpuint(qlist_size(list), ==, 1);
    g_assert_cmpstr(kernel, ==, wanted);
    g_assert(qlist_empty(qdict_get_qlist(info, "problems")));
    qobject_unref(info);
    return cpu;
}

static void check_none_left(const char *root, const char *options,
                            const char *words)
{
    g_autofree char *output = NULL;

    g_assert_cmpint(nfv_test_run(&output,
                                 "-M nfv,x-host-root=%s,rt=off,vcpu-cpus=auto "
                                 "-nodefaults -display none "
                                 "-accel qtest -S %s",
                                 root, options),
                    ==, 1);
    g_assert(strstr(output, "vcpu-cpus=auto: "));
    g_assert(strstr(output, words));
    g_assert(strstr(output, "are isolated and granted"));
}

static void test_auto(void)
{
    g_auto(NfvTestRoot) root = NULL;
    QTestState *qts;

    if (!nfv_test_has_cpus(2)) {
        return;
    }
    root = isolate(1);
    qts = start(root, "auto", "");
    g_assert_cmpuint(cpu_of(qts), ==, nfv_test_cpu(0));
    qtest_quit(qts);
}

/* The second guest gets the other one, the third none, until the first ends. */
static void test_three_guests(void)
{
    g_auto(NfvTestRoot) root = NULL;
    QTestState *one, *two;
    unsigned first;

    if (!nfv_test_has_cpus(2)) {
        return;
    }
    root = isolate(2);
    one = start(root, "auto", "");
    two = start(root, "auto", "");
    first = cpu_of(one);
    g_assert_cmpuint(first + cpu_of(two), ==,
                     nfv_test_cpu(0) + nfv_test_cpu(1));
    g_assert_cmpuint(first, !=, cpu_of(two));
    check_none_left(root, "", "1 isolated host CPUs are wanted and 0 are free");

    qtest_quit(one);
    one = start(root, "auto", "");
    g_assert_cmpuint(cpu_of(one), ==, first);

    qtest_quit(one);
    check_none_left(root, "-smp 2",
                    "2 isolated host CPUs are wanted and 1 are free");
    qtest_quit(two);
}

/* A list of the user's is claimed, too. */
static void test_list_is_claimed(void)
{
    g_auto(NfvTestRoot) root = NULL;
    g_autofree char *first = NULL;
    QTestState *one, *two;

    if (!nfv_test_has_cpus(2)) {
        return;
    }
    root = isolate(2);
    first = g_strdup_printf("%u", nfv_test_cpu(0));
    one = start(root, first, "");
    two = start(root, "auto", "");
    g_assert_cmpuint(cpu_of(two), ==, nfv_test_cpu(1));
    qtest_quit(two);
    qtest_quit(one);
}

/* What was refused has claimed nothing. */
static void test_refused_claims_nothing(void)
{
    g_auto(NfvTestRoot) root = NULL;
    QTestState *qts;

    if (!nfv_test_has_cpus(2)) {
        return;
    }
    root = isolate(1);
    check_none_left(root, "-smp 2",
                    "2 isolated host CPUs are wanted and 1 are free");
    qts = start(root, "auto", "");
    g_assert_cmpuint(cpu_of(qts), ==, nfv_test_cpu(0));
    qtest_quit(qts);
}

/* Isolated, but offline or not granted: not for vCPUs. */
static void test_unusable(void)
{
    g_auto(NfvTestRoot) root = NULL;
    g_autofree char *list = NULL;
    QTestState *qts;

    if (!nfv_test_has_cpus(2)) {
        return;
    }
    root = isolate(1);
    list = g_strdup_printf("%u,%u", nfv_test_cpu(0), nfv_test_no_cpu());
    nfv_test_root_write(root, NFV_TEST_ISOLATED, list);
    nfv_test_root_write(root, NFV_TEST_ONLINE, "0-8191");
    check_none_left(root, "-smp 2",
                    "2 isolated host CPUs are wanted and 1 are free");
    qts = start(root, "auto", "");
    g_assert_cmpuint(cpu_of(qts), ==, nfv_test_cpu(0));
    qtest_quit(qts);
}

/* Hot-plugged vCPUs get what is left, and too little for them is no error. */
static void test_maxcpus(void)
{
    g_auto(NfvTestRoot) root = NULL;
    QTestState *qts;
    QDict *info;

    if (!nfv_test_has_cpus(3)) {
        return;
    }
    root = isolate(2);
    qts = start(root, "auto", "-smp 1,maxcpus=4");
    info = nfv_test_query(qts);
    g_assert_cmpuint(
        qlist_size(qdict_get_qlist(qdict_get_qdict(info, "plan"), "vcpu-cpus")),
        ==, 2);
    qobject_unref(info);
    qtest_quit(qts);
}

/* Another user's lock file can be read, not written, and that is enough. */
static void test_foreign_lock_file(void)
{
    g_auto(NfvTestRoot) root = NULL;
    g_autofree char *path = NULL, *name = NULL;
    QTestState *qts;
    int fd;

    if (!nfv_test_has_cpus(2)) {
        return;
    }
    root = isolate(1);
    name = g_strdup_printf("/run/lock/kvm4nfv-cpu%u.lock", nfv_test_cpu(0));
    path = g_strconcat(root, name, NULL);
    nfv_test_root_write(root, name, "");
    g_assert_cmpint(chmod(path, 0444), ==, 0);

    fd = open(path, O_RDONLY);
    g_assert_cmpint(flock(fd, LOCK_EX | LOCK_NB), ==, 0);
    check_none_left(root, "", "1 isolated host CPUs are wanted and 0 are free");
    close(fd);
    qts = start(root, "auto", "");
    g_assert_cmpuint(cpu_of(qts), ==, nfv_test_cpu(0));
    qtest_quit(qts);
}

/* Everybody may write to the directory: no file there may hang QEMU. */
static void test_fifo(void)
{
    g_auto(NfvTestRoot) root = nfv_test_root_new();
    g_autofree char *path = NULL;
    QTestState *qts;

    if (!nfv_test_has_cpus(2)) {
        return;
    }
    path = g_strdup_printf("%s/run/lock/kvm4nfv-cpu%u.lock", root,
                           nfv_test_cpu(0));
    g_assert_cmpint(mkfifo(path, 0666), ==, 0);
    qts = qtest_initf("-M nfv,x-host-root=%s,rt=off,vcpu-cpus=%u", root,
                      nfv_test_cpu(0));
    qobject_unref(nfv_test_query(qts));
    qtest_quit(qts);
}

int main(int argc, char **argv)
{
    nfv_test_init(&argc, &argv);

    qtest_add_func("nfv/claim/auto", test_auto);
    qtest_add_func("nfv/claim/three-guests", test_three_guests);
    qtest_add_func("nfv/claim/list-is-claimed", test_list_is_claimed);
    qtest_add_func("nfv/claim/refused-claims-nothing",
                   test_refused_claims_nothing);
    qtest_add_func("nfv/claim/unusable", test_unusable);
    qtest_add_func("nfv/claim/maxcpus", test_maxcpus);
    qtest_add_func("nfv/claim/foreign-lock-file", test_foreign_lock_file);
    qtest_add_func("nfv/claim/fifo", test_fifo);
    return g_test_run();
}
