/*
 * Real-time scheduling that the host refuses to QEMU: an error with rt=on, and
 * with rt=auto a warning and a problem
 *
 * Copyright (c) 2026 the kvm4nfv authors
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "qemu/osdep.h"
#include <sched.h>
#include <sys/syscall.h>
#include "libqtest.h"
#include "nfv/process.h"
#include "nfv/setup.h"
#include "nfv/thread.h"
#include "qobject/qdict.h"
#include "qobject/qlist.h"

static void check_degrades(const NfvSetup *s, const char *properties,
                           const char *options, const char *finding,
                           const char *cpus_of_vcpu, const char *cpus_of_main)
{
    g_autofree char *errors = g_strconcat(s->root, "/stderr", NULL),
                    *text = NULL;
    g_autofree char *all_options = g_strdup_printf("%s 2> %s", options, errors);
    QTestState *qts = nfv_setup_start(s, "qtest", properties, all_options);
    QDict *info = nfv_test_query(qts);
    g_autofree char *vcpu = nfv_test_kernel_text(
        qdict_get_int(nfv_test_thread(info, "CPU 0/*"), "thread-id"));
    g_autofree char *emulator = nfv_test_kernel_text(qtest_pid(qts));
    g_autofree char *vcpu_wanted =
        g_strdup_printf("other:0 on %s", cpus_of_vcpu);
    g_autofree char *emulator_wanted =
        g_strdup_printf("other:0 on %s", cpus_of_main);
    const char *warning;

    g_assert_cmpstr(vcpu, ==, vcpu_wanted);
    g_assert_cmpstr(emulator, ==, emulator_wanted);
    g_assert(nfv_test_has_problem(info, finding));
    g_assert_cmpuint(qlist_size(qdict_get_qlist(info, "problems")), ==, 1);
    g_assert_false(qdict_get_bool(qdict_get_qdict(info, "plan"), "rt-active"));
    qobject_unref(info);
    qtest_quit(qts);

    g_assert(g_file_get_contents(errors, &text, NULL, NULL));
    warning = strstr(text, "warning: rt=auto: ");
    g_assert(warning && strstr(warning, finding));
    g_assert(!strstr(warning + 1, "warning:"));
    g_assert(strstr(warning, "To change that: "));
}

static void test_throttled(void)
{
    g_auto(NfvSetup) s = { 0 };
    g_autofree char *properties = NULL;

    if (!nfv_setup_init(&s) || !nfv_test_has_fifo()) {
        return;
    }
    nfv_test_root_write(s.root, NFV_TEST_RT_RUNTIME, "950000");
    properties = g_strdup_printf("rt=on,vcpu-cpus=%s", s.first);
    nfv_test_refused(s.root, properties, NULL,
                     (NfvWords) { "rt=on: RT throttling is on",
                                         "sysctl -w "
                                         "kernel.sched_rt_runtime_us=-1",
                                         "rt=auto" });
    check_degrades(&s, "rt=auto", "", "RT throttling is on", s.first, s.rest);
}

static void check_no_privilege(unsigned limit, const char *finding,
                               const char *remedy)
{
    g_auto(NfvSetup) s = { 0 };
    g_autofree char *properties = NULL;

    if (!nfv_setup_init(&s) || !nfv_test_drop_nice(limit)) {
        return;
    }
    properties =
        g_strdup_printf("rt=on,vcpu-priority=50,vcpu-cpus=%s", s.first);
    nfv_test_refused(
        s.root, properties, NULL,
        (NfvWords) { "rt=on: ", finding, remedy, "rt=auto" });
    check_degrades(&s, "rt=auto,vcpu-priority=50", "", finding, s.first,
                   s.rest);
    nfv_test_restore_nice();
}

static void test_no_capability(void)
{
    check_no_privilege(0, "needs CAP_SYS_NICE", "ulimit -r");
}

static void test_low_limit(void)
{
    check_no_privilege(1, "priority 50 is above QEMU's RLIMIT_RTPRIO of 1",
                       "lower the priority to 1");
}

/* rt=on is all or nothing: each priority counts. */
static void test_low_limit_for_iothread(void)
{
    g_auto(NfvSetup) s = { 0 };
    g_autofree char *properties = NULL;

    if (!nfv_setup_init(&s) || !nfv_test_drop_nice(10)) {
        return;
    }
    properties = g_strdup_printf(
        "rt=on,vcpu-priority=5,iothread-priority=50,vcpu-cpus=%s", s.first);
    nfv_test_refused(s.root, properties, NULL,
                     (NfvWords) { "rt=on: ", "priority 50 is above",
                                         "RLIMIT_RTPRIO of 10" });
    nfv_test_restore_nice();
}

/*
 * Root of a user namespace has a CAP_SYS_NICE that the scheduler does not
 * count.
 */

#define NO_NAMESPACE 77

static void exec_in_namespace(const char *command)
{
    int fd;

    if (unshare(CLONE_NEWUSER) < 0) {
        _exit(NO_NAMESPACE);
    }
    fd = open("/proc/self/uid_map", O_WRONLY);
    if (write(fd, "0 0 1", 5) != 5) {
        _exit(NO_NAMESPACE);
    }
    execl("/bin/sh", "sh", "-c", command, NULL);
    _exit(NO_NAMESPACE);
}

static void test_user_namespace(void)
{
    g_auto(NfvSetup) s = { 0 };
    g_autofree char *command = NULL, *errors = NULL, *text = NULL;
    int status;
    pid_t pid;

    /* The limit must not be what allows it. */
    if (!nfv_setup_init(&s) || !nfv_test_drop_nice(0)) {
        return;
    }
    errors = g_strconcat(s.root, "/stderr", NULL);
    command =
        g_strdup_printf("exec %s -M nfv,x-host-root=%s,rt=on,vcpu-cpus=%s "
                        "-nodefaults -display none "
                        "-accel qtest -S 2> %s",
                        getenv("QTEST_QEMU_BINARY"), s.root, s.first, errors);
    /*
     * Not fork(): libqemuutil has it start a thread in the child, and a
     * namespace is for processes with just one.
     */
    pid = syscall(SYS_clone, SIGCHLD, NULL, NULL, NULL, NULL);
    if (pid == 0) {
        exec_in_namespace(command);
    }
    nfv_test_restore_nice();
    g_assert_cmpint(waitpid(pid, &status, 0), ==, pid);
    if (WIFEXITED(status) && WEXITSTATUS(status) == NO_NAMESPACE) {
        g_test_skip("only root can map itself into a user namespace, and not "
                    "on every host");
        return;
    }
    g_assert(WIFEXITED(status) && WEXITSTATUS(status) == 1);
    g_assert(g_file_get_contents(errors, &text, NULL, NULL));
    g_test_message("%s", text);
    g_assert(strstr(text, "rt=on: "));
    g_assert(strstr(text, "CAP_SYS_NICE"));
}

/* A limit that suffices needs no capability. */
static void test_sufficient_limit(void)
{
    g_auto(NfvSetup) s = { 0 };
    QTestState *qts;

    if (!nfv_setup_init(&s) || !nfv_test_has_fifo() ||
        !nfv_test_drop_nice(50)) {
        return;
    }
    qts = nfv_setup_start(&s, "qtest", "rt=on,vcpu-priority=50", "");
    nfv_test_restore_nice();
    nfv_setup_expect(&s, qts, (NfvPriorities) { .vcpu = 50 }, NULL);
    qtest_quit(qts);
}

#ifdef CONFIG_SECCOMP
#define SANDBOX "-sandbox on,resourcecontrol=deny"

static void test_sandbox(void)
{
    g_auto(NfvSetup) s = { 0 };
    g_autofree char *properties = NULL, *all = nfv_test_cpus_but(0);

    if (!nfv_setup_init(&s)) {
        return;
    }
    properties = g_strdup_printf("rt=on,vcpu-cpus=%s", s.first);
    nfv_test_refused(
        s.root, properties, SANDBOX,
        (NfvWords) { "rt=on: the sandbox (resourcecontrol=deny) forbids",
                            "start QEMU without -sandbox", "<cputune>" });
    check_degrades(&s, "rt=auto", SANDBOX,
                   "the sandbox (resourcecontrol=deny) forbids", all, all);
}
#endif

int main(int argc, char **argv)
{
    nfv_test_init(&argc, &argv);

    qtest_add_func("nfv/refusal/throttled", test_throttled);
    qtest_add_func("nfv/refusal/no-capability", test_no_capability);
    qtest_add_func("nfv/refusal/low-limit", test_low_limit);
    qtest_add_func("nfv/refusal/low-limit-for-iothread",
                   test_low_limit_for_iothread);
    qtest_add_func("nfv/refusal/sufficient-limit", test_sufficient_limit);
#ifdef CONFIG_SECCOMP
    qtest_add_func("nfv/refusal/sandbox", test_sandbox);
#endif
    qtest_add_func("nfv/refusal/user-namespace", test_user_namespace);

    return g_test_run();
}
