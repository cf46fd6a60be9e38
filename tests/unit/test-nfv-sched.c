/*
 * Unit tests: affinity and scheduling policy, on threads of the test
 *
 * Copyright (c) 2026 the kvm4nfv authors
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "qemu/osdep.h"
#include <sched.h>
#include <sys/syscall.h>
#include "qemu/thread.h"
#include "nfv/cpus.h"
#include "nfv/restrict.h"
#include "hw/nfv/sched.h"

/* A thread that waits to be played with. */
typedef struct Idler {
    QemuThread thread;
    QemuSemaphore started, stop;
    int tid;
} Idler;

static void *idle(void *opaque)
{
    Idler *idler = opaque;

    idler->tid = qemu_get_thread_id();
    qemu_sem_post(&idler->started);
    qemu_sem_wait(&idler->stop);
    return NULL;
}

static void idler_start(Idler *idler)
{
    qemu_sem_init(&idler->started, 0);
    qemu_sem_init(&idler->stop, 0);
    qemu_thread_create(&idler->thread, "idler", idle, idler,
                       QEMU_THREAD_JOINABLE);
    qemu_sem_wait(&idler->started);
}

static void idler_stop(Idler *idler)
{
    qemu_sem_post(&idler->stop);
    qemu_thread_join(&idler->thread);
    qemu_sem_destroy(&idler->started);
    qemu_sem_destroy(&idler->stop);
}

static void assert_policy(int tid, int policy, int priority)
{
    int now_policy = -1, now_priority = -1;

    g_assert_cmpint(nfv_sched_get_policy(tid, &now_policy, &now_priority), ==,
                    0);
    g_assert_cmpint(now_policy, ==, policy);
    g_assert_cmpint(now_priority, ==, priority);
}

static void set_policy(int tid, int policy, int priority)
{
    struct sched_param param = { .sched_priority = priority };

    g_assert_cmpint(sched_setscheduler(tid, policy, &param), ==, 0);
}

static void first_of(NfvCpuSet *one, const NfvCpuSet *set)
{
    bitmap_zero(one->bits, NFV_CPUS);
    set_bit(find_first_bit(set->bits, NFV_CPUS), one->bits);
}

static void test_cpus(void)
{
    NfvCpuSet mine, one, now;
    Idler idler;

    g_assert_cmpint(nfv_sched_get_cpus(0, &mine), ==, 0);
    g_assert_false(NFV_CPUSET_EMPTY(&mine));
    first_of(&one, &mine);

    idler_start(&idler);
    g_assert_cmpint(nfv_sched_get_cpus(idler.tid, &now), ==, 0);
    g_assert_true(NFV_CPUSET_EQUAL(&now, &mine));
    g_assert_cmpint(nfv_sched_set_cpus(idler.tid, &one), ==, 0);
    g_assert_cmpint(nfv_sched_get_cpus(idler.tid, &now), ==, 0);
    g_assert_true(NFV_CPUSET_EQUAL(&now, &one));
    /* The other thread's, not mine. */
    g_assert_cmpint(nfv_sched_get_cpus(0, &now), ==, 0);
    g_assert_true(NFV_CPUSET_EQUAL(&now, &mine));
    idler_stop(&idler);
}

static void test_cpus_refused(void)
{
    NfvCpuSet before, none, now;
    Idler idler;

    cpu_set(&none, "none");
    idler_start(&idler);
    g_assert_cmpint(nfv_sched_get_cpus(idler.tid, &before), ==, 0);
    g_assert_cmpint(nfv_sched_set_cpus(idler.tid, &none), ==, -EINVAL);
    g_assert_cmpint(nfv_sched_get_cpus(idler.tid, &now), ==, 0);
    g_assert_true(NFV_CPUSET_EQUAL(&now, &before));
    idler_stop(&idler);
}

/*
 * What asks for all CPUs gets those of the cpuset: how nfv_host_read() learns
 * which they are.
 */
static void test_all_cpus(void)
{
    NfvCpuSet all, mine, now, both;
    Idler idler;

    cpu_set(&all, "0-8191");
    g_assert_cmpint(nfv_sched_get_cpus(0, &mine), ==, 0);
    idler_start(&idler);
    g_assert_cmpint(nfv_sched_set_cpus(idler.tid, &all), ==, 0);
    g_assert_cmpint(nfv_sched_get_cpus(idler.tid, &now), ==, 0);
    NFV_CPUSET_AND(&both, &now, &mine);
    g_assert_true(NFV_CPUSET_EQUAL(&both, &mine));
    idler_stop(&idler);
}

/* A policy that the user gave a thread, and that disturbs nobody, stays. */
static void test_ordinary_leaves_others(void)
{
    static const int policies[] = { SCHED_OTHER, SCHED_BATCH, SCHED_IDLE };

    for (int i = 0; i < ARRAY_SIZE(policies); i++) {
        Idler idler;

        idler_start(&idler);
        set_policy(idler.tid, policies[i], 0);
        g_assert_cmpint(nfv_sched_set_ordinary(idler.tid), ==, 0);
        assert_policy(idler.tid, policies[i], 0);
        idler_stop(&idler);
    }
}

static bool skip_without_fifo(void)
{
    struct sched_param param = { .sched_priority = 3 };
    Idler idler;
    int err;

    idler_start(&idler);
    err = sched_setscheduler(idler.tid, SCHED_FIFO, &param) < 0 ? errno : 0;
    idler_stop(&idler);
    if (err) {
        g_autofree char *why =
            g_strdup_printf("SCHED_FIFO is refused here: %s", g_strerror(err));

        g_test_skip(why);
    }
    return err != 0;
}

static void test_fifo(void)
{
    Idler idler;

    if (skip_without_fifo()) {
        return;
    }
    idler_start(&idler);
    g_assert_cmpint(nfv_sched_set_fifo(idler.tid, 2), ==, 0);
    g_assert_cmpint(sched_getscheduler(idler.tid), ==,
                    SCHED_FIFO | SCHED_RESET_ON_FORK);
    assert_policy(idler.tid, SCHED_FIFO, 2);
    assert_policy(0, SCHED_OTHER, 0);

    g_assert_cmpint(nfv_sched_set_fifo(idler.tid, 3), ==, 0);
    assert_policy(idler.tid, SCHED_FIFO, 3);
    g_assert_cmpint(nfv_sched_set_fifo(idler.tid, 0), ==, -EINVAL);
    g_assert_cmpint(nfv_sched_set_fifo(idler.tid, 100), ==, -EINVAL);
    assert_policy(idler.tid, SCHED_FIFO, 3);
    idler_stop(&idler);
}

static void *fifo_parent(void *opaque)
{
    Idler child;

    g_assert_cmpint(nfv_sched_set_fifo(0, 2), ==, 0);
    idler_start(&child);
    assert_policy(0, SCHED_FIFO, 2);
    assert_policy(child.tid, SCHED_OTHER, 0);
    idler_stop(&child);
    return NULL;
}

static void test_fifo_children(void)
{
    QemuThread thread;

    if (skip_without_fifo()) {
        return;
    }
    qemu_thread_create(&thread, "parent", fifo_parent, NULL,
                       QEMU_THREAD_JOINABLE);
    qemu_thread_join(&thread);
}

static void test_ordinary(void)
{
    static const int policies[] = { SCHED_FIFO, SCHED_RR,
                                    SCHED_FIFO | SCHED_RESET_ON_FORK };

    if (skip_without_fifo()) {
        return;
    }
    for (int i = 0; i < ARRAY_SIZE(policies); i++) {
        Idler idler;

        idler_start(&idler);
        set_policy(idler.tid, policies[i], 2);
        assert_policy(idler.tid, policies[i] & ~SCHED_RESET_ON_FORK, 2);
        g_assert_cmpint(nfv_sched_set_ordinary(idler.tid), ==, 0);
        assert_policy(idler.tid, SCHED_OTHER, 0);
        idler_stop(&idler);
    }
}

static void *fifo_and_back(void *opaque)
{
    g_assert_cmpint(nfv_sched_set_fifo(0, 2), ==, 0);
    restrict_no_sys_nice();
    g_assert_cmpint(nfv_sched_set_ordinary(0), ==, 0);
    assert_policy(0, SCHED_OTHER, 0);
    return NULL;
}

/*
 * Without CAP_SYS_NICE, as after -runas or with RLIMIT_RTPRIO, a thread may
 * give up SCHED_FIFO, but the kernel lets it not take the reset-on-fork flag
 * off.
 */
static void test_ordinary_unprivileged(void)
{
    QemuThread thread;

    if (skip_without_fifo()) {
        return;
    }
    qemu_thread_create(&thread, "unprivileged", fifo_and_back, NULL,
                       QEMU_THREAD_JOINABLE);
    qemu_thread_join(&thread);
}

static void test_ended(void)
{
    NfvWanted wanted = { .policy = true };
    NfvSchedState state;
    NfvCpuSet cpus;
    Idler idler;
    int policy, priority;
    const char *what = NULL;

    g_assert_cmpint(nfv_sched_get_cpus(0, &wanted.cpus), ==, 0);
    idler_start(&idler);
    idler_stop(&idler);
    /*
     * The kernel wakes who joins a thread a moment before the thread is gone.
     */
    for (int i = 0;
         i < 10000 && syscall(SYS_tgkill, getpid(), idler.tid, 0) == 0; i++) {
        g_usleep(1000);
    }

    g_assert_cmpint(nfv_sched_get_cpus(idler.tid, &cpus), ==, -ESRCH);
    g_assert_cmpint(nfv_sched_set_cpus(idler.tid, &wanted.cpus), ==, -ESRCH);
    g_assert_cmpint(nfv_sched_get_policy(idler.tid, &policy, &priority), ==,
                    -ESRCH);
    g_assert_cmpint(nfv_sched_set_fifo(idler.tid, 1), ==, -ESRCH);
    g_assert_cmpint(nfv_sched_set_ordinary(idler.tid), ==, -ESRCH);
    g_assert_cmpint(nfv_sched_apply(idler.tid, &wanted, &what), ==, -ESRCH);
    g_assert_nonnull(what);
    g_assert_cmpint(nfv_sched_save(idler.tid, &state), ==, -ESRCH);
    g_assert_cmpint(nfv_sched_save(0, &state), ==, 0);
    g_assert_cmpint(nfv_sched_restore(idler.tid, &state), ==, -ESRCH);
}

static void assert_applied(int tid, const NfvWanted *wanted)
{
    NfvCpuSet cpus;
    int policy, priority;

    g_assert_cmpint(nfv_sched_get_cpus(tid, &cpus), ==, 0);
    g_assert_cmpint(nfv_sched_get_policy(tid, &policy, &priority), ==, 0);
    g_assert_true(nfv_sched_matches(wanted, &cpus, policy, priority));
}

static void test_apply(void)
{
    NfvWanted wanted = { .policy = false, .priority = 50 };
    NfvCpuSet mine;
    const char *what;
    Idler idler;

    g_assert_cmpint(nfv_sched_get_cpus(0, &mine), ==, 0);
    first_of(&wanted.cpus, &mine);
    idler_start(&idler);
    set_policy(idler.tid, SCHED_BATCH, 0);

    g_assert_cmpint(nfv_sched_apply(idler.tid, &wanted, &what), ==, 0);
    assert_applied(idler.tid, &wanted);
    assert_policy(idler.tid, SCHED_BATCH, 0);

    wanted.cpus = mine;
    wanted.policy = true;
    wanted.priority = 0;
    g_assert_cmpint(nfv_sched_apply(idler.tid, &wanted, &what), ==, 0);
    assert_applied(idler.tid, &wanted);
    assert_policy(idler.tid, SCHED_BATCH, 0);
    idler_stop(&idler);
}

static void test_apply_fifo(void)
{
    NfvWanted wanted = { .policy = true, .priority = 2 };
    const char *what;
    Idler idler;

    if (skip_without_fifo()) {
        return;
    }
    g_assert_cmpint(nfv_sched_get_cpus(0, &wanted.cpus), ==, 0);
    idler_start(&idler);
    g_assert_cmpint(nfv_sched_apply(idler.tid, &wanted, &what), ==, 0);
    assert_applied(idler.tid, &wanted);
    assert_policy(idler.tid, SCHED_FIFO, 2);

    wanted.priority = 0;
    g_assert_cmpint(nfv_sched_apply(idler.tid, &wanted, &what), ==, 0);
    assert_applied(idler.tid, &wanted);
    assert_policy(idler.tid, SCHED_OTHER, 0);
    idler_stop(&idler);
}

/*
 * What is refused is named, and the CPUs are given also if the policy is
 * refused.
 */
static void test_apply_refused(void)
{
    NfvWanted wanted = { .policy = true, .priority = 100 };
    NfvCpuSet mine, now;
    const char *what = NULL;
    Idler idler;

    g_assert_cmpint(nfv_sched_get_cpus(0, &mine), ==, 0);
    first_of(&wanted.cpus, &mine);
    idler_start(&idler);
    g_assert_cmpint(nfv_sched_apply(idler.tid, &wanted, &what), ==, -EINVAL);
    g_assert_cmpstr(what, ==, "scheduling policy");
    g_assert_cmpint(nfv_sched_get_cpus(idler.tid, &now), ==, 0);
    g_assert_true(NFV_CPUSET_EQUAL(&now, &wanted.cpus));

    cpu_set(&wanted.cpus, "none");
    g_assert_cmpint(nfv_sched_apply(idler.tid, &wanted, &what), ==, -EINVAL);
    g_assert_cmpstr(what, ==, "affinity");
    wanted.policy = false;
    g_assert_cmpint(nfv_sched_apply(idler.tid, &wanted, &what), ==, -EINVAL);
    g_assert_cmpstr(what, ==, "affinity");
    idler_stop(&idler);
}

static void test_apply_fifo_without_cpus(void)
{
    NfvWanted wanted = { .policy = true, .priority = 2 };
    const char *what = NULL;
    Idler idler;

    if (skip_without_fifo()) {
        return;
    }
    cpu_set(&wanted.cpus, "none");
    idler_start(&idler);
    g_assert_cmpint(nfv_sched_apply(idler.tid, &wanted, &what), ==, -EINVAL);
    g_assert_cmpstr(what, ==, "affinity");
    assert_policy(idler.tid, SCHED_FIFO, 2);
    idler_stop(&idler);
}

static void *apply_all_refused(void *opaque)
{
    NfvWanted wanted = { .policy = true, .priority = 2 };
    const char *what = NULL;
    bool *had = opaque;

    *had = restrict_syscall(SYS_sched_setscheduler, ENOSYS);
    if (*had) {
        cpu_set(&wanted.cpus, "none");
        g_assert_cmpint(nfv_sched_apply(0, &wanted, &what), ==, -EINVAL);
        g_assert_cmpstr(what, ==, "affinity");
        g_assert_cmpint(nfv_sched_get_cpus(0, &wanted.cpus), ==, 0);
        g_assert_cmpint(nfv_sched_apply(0, &wanted, &what), ==, -ENOSYS);
        g_assert_cmpstr(what, ==, "scheduling policy");
    }
    return NULL;
}

/*
 * If both are refused, the affinity's error is returned, and it is the affinity
 * that is named.
 */
static void test_apply_all_refused(void)
{
    QemuThread thread;
    bool had;

    qemu_thread_create(&thread, "refused", apply_all_refused, &had,
                       QEMU_THREAD_JOINABLE);
    qemu_thread_join(&thread);
    if (!had) {
        g_test_skip("no seccomp filter can be had here");
    }
}

/* That @tid has what is in @state, and the reset-on-fork flag, too. */
static void assert_state(int tid, const NfvSchedState *state)
{
    NfvSchedState now;

    memset(&now, 0xa5, sizeof(now));
    g_assert_cmpint(nfv_sched_save(tid, &now), ==, 0);
    g_assert_true(NFV_CPUSET_EQUAL(&now.cpus, &state->cpus));
    g_assert_cmpint(now.policy, ==, state->policy);
    g_assert_cmpint(now.priority, ==, state->priority);
    /* What the kernel says, not only what is saved. */
    g_assert_cmpint(sched_getscheduler(tid), ==, state->policy);
}

static void test_restore(void)
{
    static const int policies[] = { SCHED_OTHER, SCHED_BATCH, SCHED_IDLE };

    for (int i = 0; i < ARRAY_SIZE(policies); i++) {
        NfvSchedState before;
        NfvCpuSet one;
        Idler idler;

        idler_start(&idler);
        set_policy(idler.tid, policies[i], 0);
        g_assert_cmpint(nfv_sched_save(idler.tid, &before), ==, 0);
        g_assert_cmpint(before.policy, ==, policies[i]);
        g_assert_cmpint(before.priority, ==, 0);

        first_of(&one, &before.cpus);
        g_assert_cmpint(nfv_sched_set_cpus(idler.tid, &one), ==, 0);
        set_policy(idler.tid, policies[(i + 1) % 2], 0);
        g_assert_cmpint(nfv_sched_restore(idler.tid, &before), ==, 0);
        assert_state(idler.tid, &before);
        idler_stop(&idler);
    }
}

static void test_restore_fifo(void)
{
    static const struct {
        int policy, priority;
    } cases[] = {
        { SCHED_OTHER, 0 },
        { SCHED_FIFO, 3 },
        { SCHED_FIFO | SCHED_RESET_ON_FORK, 1 },
        { SCHED_RR, 2 },
        { SCHED_RR | SCHED_RESET_ON_FORK, 3 },
    };

    if (skip_without_fifo()) {
        return;
    }
    for (int i = 0; i < ARRAY_SIZE(cases); i++) {
        NfvWanted wanted = { .policy = true };
        NfvSchedState before;
        const char *what;
        Idler idler;

        g_test_message("case %d", i);
        idler_start(&idler);
        set_policy(idler.tid, cases[i].policy, cases[i].priority);
        g_assert_cmpint(nfv_sched_save(idler.tid, &before), ==, 0);
        g_assert_cmpint(before.policy, ==, cases[i].policy);
        g_assert_cmpint(before.priority, ==, cases[i].priority);

        /* Whatever a plan does to it. */
        first_of(&wanted.cpus, &before.cpus);
        for (wanted.priority = 0; wanted.priority <= 2; wanted.priority += 2) {
            g_assert_cmpint(nfv_sched_apply(idler.tid, &wanted, &what), ==, 0);
            g_assert_cmpint(nfv_sched_restore(idler.tid, &before), ==, 0);
            assert_state(idler.tid, &before);
        }
        idler_stop(&idler);
    }
}

/* What is refused does not keep the rest from being given back. */
static void test_restore_refused(void)
{
    NfvSchedState before, wrong;
    Idler idler;

    idler_start(&idler);
    g_assert_cmpint(nfv_sched_save(idler.tid, &before), ==, 0);

    set_policy(idler.tid, SCHED_BATCH, 0);
    wrong = before;
    cpu_set(&wrong.cpus, "none");
    g_assert_cmpint(nfv_sched_restore(idler.tid, &wrong), ==, -EINVAL);
    assert_state(idler.tid, &before);

    wrong = before;
    first_of(&wrong.cpus, &before.cpus);
    wrong.priority = 100;
    g_assert_cmpint(nfv_sched_restore(idler.tid, &wrong), ==, -EINVAL);
    wrong.priority = before.priority;
    assert_state(idler.tid, &wrong);
    idler_stop(&idler);
}

static void test_matches(void)
{
    static const struct {
        bool policy;
        int priority;         /* wanted */
        const char *now_cpus; /* of the wanted 2-3 */
        int now_policy, now_priority;
        bool matches;
    } cases[] = {
        /* The policy is left alone: any is right. */
        { false, 0, "2-3", SCHED_OTHER, 0, true },
        { false, 0, "2-3", SCHED_FIFO, 1, true },
        { false, 5, "2-3", SCHED_OTHER, 0, true },
        { false, 5, "2-3", SCHED_FIFO, 1, true },
        { false, 0, "2-3", SCHED_DEADLINE, 0, true },
        { false, 0, "2", SCHED_OTHER, 0, false },
        { false, 0, "2-4", SCHED_OTHER, 0, false },
        { false, 0, "3-4", SCHED_OTHER, 0, false },
        { false, 0, "none", SCHED_OTHER, 0, false },
        { false, 0, "2-3,8191", SCHED_OTHER, 0, false },
        /* Not real-time. */
        { true, 0, "2-3", SCHED_OTHER, 0, true },
        { true, 0, "2-3", SCHED_BATCH, 0, true },
        { true, 0, "2-3", SCHED_IDLE, 0, true },
        { true, 0, "2-3", SCHED_FIFO, 1, false },
        { true, 0, "2-3", SCHED_RR, 1, false },
        { true, 0, "2-3", SCHED_DEADLINE, 0, false },
        { true, 0, "2", SCHED_OTHER, 0, false },
        /* SCHED_FIFO of one priority. */
        { true, 5, "2-3", SCHED_FIFO, 5, true },
        { true, 5, "2-3", SCHED_FIFO, 4, false },
        { true, 5, "2-3", SCHED_FIFO, 6, false },
        { true, 5, "2-3", SCHED_RR, 5, false },
        { true, 5, "2-3", SCHED_OTHER, 0, false },
        { true, 5, "2-3", SCHED_BATCH, 0, false },
        { true, 5, "2-3", SCHED_DEADLINE, 0, false },
        { true, 5, "2", SCHED_FIFO, 5, false },
        { true, 5, "none", SCHED_FIFO, 5, false },
    };

    for (int i = 0; i < ARRAY_SIZE(cases); i++) {
        NfvWanted wanted = { .policy = cases[i].policy,
                             .priority = cases[i].priority };
        NfvCpuSet now;

        g_test_message("case %d", i);
        cpu_set(&wanted.cpus, "2-3");
        cpu_set(&now, cases[i].now_cpus);
        g_assert_cmpint(nfv_sched_matches(&wanted, &now, cases[i].now_policy,
                                          cases[i].now_priority),
                        ==, cases[i].matches);
    }
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    g_test_add_func("/nfv/sched/cpus", test_cpus);
    g_test_add_func("/nfv/sched/cpus-refused", test_cpus_refused);
    g_test_add_func("/nfv/sched/all-cpus", test_all_cpus);
    g_test_add_func("/nfv/sched/fifo", test_fifo);
    g_test_add_func("/nfv/sched/fifo-children", test_fifo_children);
    g_test_add_func("/nfv/sched/ordinary", test_ordinary);
    g_test_add_func("/nfv/sched/ordinary-leaves-others",
                    test_ordinary_leaves_others);
    g_test_add_func("/nfv/sched/ended", test_ended);
    g_test_add_func("/nfv/sched/apply", test_apply);
    g_test_add_func("/nfv/sched/apply-fifo", test_apply_fifo);
    g_test_add_func("/nfv/sched/apply-refused", test_apply_refused);
    g_test_add_func("/nfv/sched/apply-fifo-without-cpus",
                    test_apply_fifo_without_cpus);
    g_test_add_func("/nfv/sched/apply-all-refused", test_apply_all_refused);
    g_test_add_func("/nfv/sched/restore", test_restore);
    g_test_add_func("/nfv/sched/restore-fifo", test_restore_fifo);
    g_test_add_func("/nfv/sched/restore-refused", test_restore_refused);
    g_test_add_func("/nfv/sched/matches", test_matches);
    g_test_add_func("/nfv/sched/ordinary-unprivileged",
                    test_ordinary_unprivileged);
    return g_test_run();
}
