/*
 * Unit tests: what the host grants, and why it refuses
 *
 * Copyright (c) 2026 the kvm4nfv authors
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "qemu/osdep.h"
#include <sched.h>
#include <sys/syscall.h>
#include "nfv/cpus.h"
#include "nfv/fakeroot.h"
#include "nfv/restrict.h"
#include "hw/nfv/host.h"
#include "hw/nfv/sched.h"

/* Refusals */

static const char *const refusal_names[] = {
    [NFV_REFUSAL_NONE] = "none",
    [NFV_REFUSAL_SANDBOX] = "sandbox",
    [NFV_REFUSAL_CAPABILITY] = "capability",
    [NFV_REFUSAL_RLIMIT] = "rlimit",
    [NFV_REFUSAL_CGROUP] = "cgroup",
    [NFV_REFUSAL_THROTTLED] = "throttled",
    [NFV_REFUSAL_OTHER] = "other",
};

static void assert_refusal(NfvRefusal refusal, NfvRefusal expected)
{
    g_assert_cmpuint(refusal, <, ARRAY_SIZE(refusal_names));
    g_assert_cmpstr(refusal_names[refusal], ==, refusal_names[expected]);
}

#define ANY (-1)

/* The first line that an input fits says what is expected. */
static const struct {
    /* enough: limit >= priority; some: limit > 0 */
    int err, sandboxed, capable, enough, some, throttled;
    NfvRefusal refusal;
} refusals[] = {
    { 0, ANY, ANY, ANY, ANY, 0, NFV_REFUSAL_NONE },
    { 0, ANY, ANY, ANY, ANY, 1, NFV_REFUSAL_THROTTLED },
    { ANY, 1, ANY, ANY, ANY, ANY, NFV_REFUSAL_SANDBOX },
    { EPERM, 0, 1, ANY, ANY, ANY, NFV_REFUSAL_CGROUP },
    { EPERM, 0, 0, 1, ANY, ANY, NFV_REFUSAL_CGROUP },
    { EPERM, 0, 0, 0, 1, ANY, NFV_REFUSAL_RLIMIT },
    { EPERM, 0, 0, 0, 0, ANY, NFV_REFUSAL_CAPABILITY },
    { ANY, 0, ANY, ANY, ANY, ANY, NFV_REFUSAL_OTHER },
};

static bool fits(int pattern, int value)
{
    return pattern == ANY || pattern == value;
}

static NfvRefusal expected_refusal(int err, bool sandboxed, bool capable,
                                   unsigned limit, int priority, bool throttled)
{
    for (int i = 0; i < ARRAY_SIZE(refusals); i++) {
        if (fits(refusals[i].err, err) &&
            fits(refusals[i].sandboxed, sandboxed) &&
            fits(refusals[i].capable, capable) &&
            fits(refusals[i].enough, (int)limit >= priority) &&
            fits(refusals[i].some, limit > 0) &&
            fits(refusals[i].throttled, throttled)) {
            return refusals[i].refusal;
        }
    }
    g_assert_not_reached();
}

static void test_refusal_of(void)
{
    static const int errors[] = { 0,      EPERM,  EINVAL, ESRCH,
                                  ENOSYS, EAGAIN, EACCES };
    static const unsigned limits[] = { 0, 1, 2, 50, 98, 99 };
    static const int priorities[] = { 1, 2, 50, 98 };

    for (int i = 0; i < ARRAY_SIZE(errors) * ARRAY_SIZE(limits) *
                            ARRAY_SIZE(priorities) * 8;
         i++) {
        bool sandboxed = i & 1, capable = i & 2, throttled = i & 4;
        int rest = i / 8;
        int err = errors[rest % ARRAY_SIZE(errors)];
        unsigned limit = limits[rest / ARRAY_SIZE(errors) % ARRAY_SIZE(limits)];
        int priority =
            priorities[rest / ARRAY_SIZE(errors) / ARRAY_SIZE(limits)];

        g_test_message("errno %d, sandboxed %d, capable %d, limit %u, priority "
                       "%d, throttled %d",
                       err, sandboxed, capable, limit, priority, throttled);
        assert_refusal(
            nfv_refusal_of(err, sandboxed, capable, limit, priority, throttled),
            expected_refusal(err, sandboxed, capable, limit, priority,
                             throttled));
    }
}

static void test_describe(void)
{
    /* What the user must find in the sentence and in the remedy. */
    static const struct {
        NfvRefusal refusal;
        const char *what, *remedy;
    } cases[] = {
        { NFV_REFUSAL_SANDBOX, "resourcecontrol=deny", "-sandbox" },
        { NFV_REFUSAL_CAPABILITY, "CAP_SYS_NICE", "CAP_SYS_NICE" },
        { NFV_REFUSAL_CAPABILITY, "RLIMIT_RTPRIO is 0", "at least 7" },
        { NFV_REFUSAL_RLIMIT, "7", "ulimit -r 7" },
        { NFV_REFUSAL_RLIMIT, "RLIMIT_RTPRIO of 5", "lower the priority to 5" },
        { NFV_REFUSAL_CGROUP, "cgroup", "cpu.rt_runtime_us" },
        { NFV_REFUSAL_CGROUP, "real-time budget", "RT_GROUP_SCHED" },
        { NFV_REFUSAL_THROTTLED, "throttling",
          "kernel.sched_rt_runtime_us=-1" },
        { NFV_REFUSAL_OTHER, "No child processes", "sched_setscheduler(2)" },
    };
    g_autofree NfvHost *host = g_new0(NfvHost, 1);

    host->rtprio_limit = 5;
    host->fifo_errno = ECHILD;
    for (int i = 0; i < ARRAY_SIZE(cases); i++) {
        g_autofree char *remedy = NULL;
        g_autofree char *what =
            nfv_refusal_describe(host, cases[i].refusal, 7, &remedy);
        g_autofree char *alone =
            nfv_refusal_describe(host, cases[i].refusal, 7, NULL);

        assert_contains(what, cases[i].what);
        assert_contains(remedy, cases[i].remedy);
        g_assert_cmpstr(alone, ==, what);
    }
}

/*
 * Each can be told from the others, and both texts fit in the middle of a
 * sentence.
 */
static void test_describe_distinct(void)
{
    g_autofree NfvHost *host = g_new0(NfvHost, 1);
    g_autoptr(GHashTable) whats =
        g_hash_table_new_full(g_str_hash, g_str_equal, g_free, NULL);
    g_autoptr(GHashTable) remedies =
        g_hash_table_new_full(g_str_hash, g_str_equal, g_free, NULL);

    host->rtprio_limit = 5;
    host->fifo_errno = EINVAL;
    for (NfvRefusal r = NFV_REFUSAL_NONE + 1; r <= NFV_REFUSAL_OTHER; r++) {
        char *remedy;
        char *what = nfv_refusal_describe(host, r, 7, &remedy);

        g_test_message("%s: %s; %s", refusal_names[r], what, remedy);
        g_assert_cmpuint(strlen(what), >, 0);
        g_assert_cmpuint(strlen(remedy), >, 0);
        g_assert_false(g_str_has_suffix(what, ".") ||
                       g_str_has_suffix(remedy, "."));
        g_assert_null(strchr(what, '\n'));
        g_assert_null(strchr(remedy, '\n'));
        g_assert_true(g_hash_table_add(whats, what));
        g_assert_true(g_hash_table_add(remedies, remedy));
    }
    g_assert_cmpuint(g_hash_table_size(whats), ==, NFV_REFUSAL_OTHER);
}

/* Files of a host that is made up */

#define ONLINE "/sys/devices/system/cpu/online"
#define ISOLATED "/sys/devices/system/cpu/isolated"
#define NODE(n) "/sys/devices/system/node/node" n "/cpulist"
#define RT_RUNTIME "/proc/sys/kernel/sched_rt_runtime_us"
#define RT_PERIOD "/proc/sys/kernel/sched_rt_period_us"

static void assert_node(const NfvHost *host, int first, int last, int node)
{
    for (int cpu = first; cpu <= last; cpu++) {
        g_assert_cmpint(host->node[cpu], ==, node);
    }
}

static void test_read(void)
{
    g_auto(Fake) fake = { NULL };
    g_autofree NfvHost *host = NULL;

    fake_new(&fake);
    fake_write(&fake, ONLINE, "0-11,13-15\n");
    fake_write(&fake, ISOLATED, "2-3,10-11\n");
    fake_write(&fake, NODE("0"), "0-3,8-11\n");
    fake_write(&fake, NODE("1"), "4-7,12-15\n");
    host = nfv_host_read(fake.root, 1);

    assert_cpu_set(&host->online, "0-11,13-15");
    assert_cpu_set(&host->isolated, "2-3,10-11");
    assert_node(host, 0, 3, 0);
    assert_node(host, 4, 7, 1);
    assert_node(host, 8, 11, 0);
    assert_node(host, 12, 15, 1);
    assert_node(host, 16, NFV_CPUS - 1, 0);
}

/*
 * Sparse nodes, one without CPUs, the last CPU, and what else is in that
 * directory.
 */
static void test_read_nodes(void)
{
    g_auto(Fake) fake = { NULL };
    g_autofree NfvHost *host = NULL;

    fake_new(&fake);
    fake_write(&fake, NODE("0"), "0-3\n");
    fake_write(&fake, NODE("2"), "\n");
    fake_write(&fake, NODE("8"), "4-7\n");
    fake_write(&fake, NODE("32767"), "8190-8191\n");
    fake_write(&fake, NODE("32768"), "8\n");
    fake_write(&fake, NODE("-1"), "9\n");
    fake_write(&fake, NODE("x"), "10\n");
    fake_write(&fake, NODE(""), "11\n");
    fake_write(&fake, NODE("1x"), "12\n");
    fake_write(&fake, "/sys/devices/system/node/possible", "0-8\n");
    fake_write(&fake, "/sys/devices/system/node/power/cpulist", "13\n");
    host = nfv_host_read(fake.root, 1);

    assert_node(host, 0, 3, 0);
    assert_node(host, 4, 7, 8);
    assert_node(host, 8, 8189, 0);
    assert_node(host, 8190, 8191, 32767);
}

static void test_read_nothing_isolated(void)
{
    g_auto(Fake) fake = { NULL };
    g_autofree NfvHost *host = NULL;

    fake_new(&fake);
    fake_write(&fake, ONLINE, "0\n");
    fake_write(&fake, ISOLATED, "\n");
    host = nfv_host_read(fake.root, 1);
    assert_cpu_set(&host->online, "0");
    assert_cpu_set(&host->isolated, "none");
}

static void assert_unknown(const char *root)
{
    g_autofree NfvHost *host = nfv_host_read(root, 1);

    /* Without word from the kernel, what it grants is what there is. */
    g_assert_false(NFV_CPUSET_EMPTY(&host->granted));
    g_assert_true(NFV_CPUSET_EQUAL(&host->online, &host->granted));
    assert_cpu_set(&host->isolated, "none");
    assert_node(host, 0, NFV_CPUS - 1, 0);
    g_assert_cmpint(host->fifo, !=, NFV_REFUSAL_THROTTLED);
}

static void test_read_missing(void)
{
    g_auto(Fake) fake = { NULL };
    g_autofree char *absent = NULL;

    fake_new(&fake);
    assert_unknown(fake.root);
    absent = g_strconcat(fake.root, "/absent", NULL);
    assert_unknown(absent);
}

static void test_read_garbage(void)
{
    static const char *const texts[] = {
        "",      "\n",       "garbage\n", "-1\n",   "0-\n",     "0x3\n",
        "3-1\n", "0-8192\n", "1 2 3\n",   "1\n2\n", "(null)\n", "\xff\xfe",
    };

    for (int i = 0; i < ARRAY_SIZE(texts); i++) {
        g_auto(Fake) fake = { NULL };
        g_autofree char *escaped = g_strescape(texts[i], NULL);

        g_test_message("'%s'", escaped);
        fake_new(&fake);
        fake_write(&fake, ONLINE, texts[i]);
        fake_write(&fake, ISOLATED, texts[i]);
        fake_write(&fake, NODE("1"), texts[i]);
        fake_write(&fake, RT_RUNTIME, "garbage\n");
        fake_write(&fake, RT_PERIOD, "garbage\n");
        assert_unknown(fake.root);
    }
}

/* Directories where files are expected. */
static void test_read_directories(void)
{
    g_auto(Fake) fake = { NULL };

    fake_new(&fake);
    fake_write(&fake, ONLINE "/x", "");
    fake_write(&fake, ISOLATED "/x", "");
    fake_write(&fake, NODE("1") "/x", "");
    fake_write(&fake, RT_RUNTIME "/x", "");
    assert_unknown(fake.root);
}

static void test_read_throttling(void)
{
    static const struct {
        const char *runtime, *period;
        NfvRefusal refusal;
    } cases[] = {
        { "950000\n", "1000000\n", NFV_REFUSAL_THROTTLED },
        { "950000\n", NULL, NFV_REFUSAL_THROTTLED },
        { "999999\n", "1000000\n", NFV_REFUSAL_THROTTLED },
        { "0\n", "1000000\n", NFV_REFUSAL_THROTTLED },
        { "1000000\n", "2000000\n", NFV_REFUSAL_THROTTLED },
        { "1000000\n", "1000000\n", NFV_REFUSAL_NONE },
        { "1000000\n", NULL, NFV_REFUSAL_NONE },
        { "950000\n", "950000\n", NFV_REFUSAL_NONE },
        { "-1\n", "1000000\n", NFV_REFUSAL_NONE },
        { "-1\n", NULL, NFV_REFUSAL_NONE },
        { NULL, "1000000\n", NFV_REFUSAL_NONE },
    };

    for (int i = 0; i < ARRAY_SIZE(cases); i++) {
        g_auto(Fake) fake = { NULL };
        g_autofree NfvHost *host = NULL;

        g_test_message("case %d", i);
        fake_new(&fake);
        if (cases[i].runtime) {
            fake_write(&fake, RT_RUNTIME, cases[i].runtime);
        }
        if (cases[i].period) {
            fake_write(&fake, RT_PERIOD, cases[i].period);
        }
        host = nfv_host_read(fake.root, 1);
        if (host->fifo_errno) {
            g_autofree char *why = g_strdup_printf(
                "SCHED_FIFO is refused here: %s", g_strerror(host->fifo_errno));

            g_test_skip(why);
            return;
        }
        assert_refusal(host->fifo, cases[i].refusal);
    }
}

static void test_read_own_host(void)
{
    g_autofree NfvHost *host = nfv_host_read("", 1);
    NfvCpuSet both;

    NFV_CPUSET_AND(&both, &host->granted, &host->inherited);
    g_assert_true(NFV_CPUSET_EQUAL(&both, &host->inherited));
    NFV_CPUSET_AND(&both, &host->granted, &host->online);
    g_assert_true(NFV_CPUSET_EQUAL(&both, &host->granted));
    g_assert_cmpuint(host->rtprio_limit, <=, 99);
}

/* On threads that have less than the test */

typedef struct Restricted {
    /* In: what is taken away from the thread. */
    bool no_sys_nice;
    bool one_cpu;
    /* what the calls shall fail with; 0: leave them */
    int affinity_errno, fifo_errno;
    int priority;
    const char *root;
    /* Out: */
    bool had; /* it could be taken away */
    NfvHost *host;
} Restricted;

static void *read_restricted(void *opaque)
{
    Restricted *r = opaque;
    NfvCpuSet cpus, after;
    int policy, priority;

    g_assert_cmpint(nfv_sched_get_cpus(0, &cpus), ==, 0);
    if (r->one_cpu) {
        unsigned first = find_first_bit(cpus.bits, NFV_CPUS);

        bitmap_zero(cpus.bits, NFV_CPUS);
        set_bit(first, cpus.bits);
        g_assert_cmpint(nfv_sched_set_cpus(0, &cpus), ==, 0);
    }
    if (r->no_sys_nice) {
        restrict_no_sys_nice();
    }
    r->had = (!r->affinity_errno ||
              restrict_syscall(SYS_sched_setaffinity, r->affinity_errno)) &&
             (!r->fifo_errno ||
              restrict_syscall(SYS_sched_setscheduler, r->fifo_errno));
    if (r->had) {
        r->host = nfv_host_read(r->root ?: "/nonexistent", r->priority);
    }

    g_assert_cmpint(nfv_sched_get_cpus(0, &after), ==, 0);
    g_assert_true(NFV_CPUSET_EQUAL(&after, &cpus));
    g_assert_cmpint(nfv_sched_get_policy(0, &policy, &priority), ==, 0);
    g_assert_cmpint(policy, ==, SCHED_OTHER);
    return NULL;
}

/* False, and the test skipped, if this host does not let us. */
static bool run_restricted(Restricted *r)
{
    GThread *thread = g_thread_new("restricted", read_restricted, r);

    g_thread_join(thread);
    if (!r->had) {
        g_test_skip("no seccomp filter can be had here");
    }
    return r->had;
}

/* The caller's placement is what the host says was inherited, and stays. */
static void test_read_leaves_caller(void)
{
    Restricted r = { .one_cpu = true, .priority = 1 };
    g_autofree NfvHost *host = nfv_host_read("/nonexistent", 1);
    NfvCpuSet mine, one;

    g_assert_cmpint(nfv_sched_get_cpus(0, &mine), ==, 0);
    g_assert_true(NFV_CPUSET_EQUAL(&host->inherited, &mine));

    g_assert_true(run_restricted(&r));
    bitmap_zero(one.bits, NFV_CPUS);
    set_bit(find_first_bit(mine.bits, NFV_CPUS), one.bits);
    g_assert_true(NFV_CPUSET_EQUAL(&r.host->inherited, &one));
    g_assert_true(NFV_CPUSET_EQUAL(&r.host->granted, &host->granted));
    g_free(r.host);
}

static void check_refused(Restricted r, NfvRefusal affinity, NfvRefusal fifo)
{
    if (run_restricted(&r)) {
        assert_refusal(r.host->affinity, affinity);
        assert_refusal(r.host->fifo, fifo);
        if (r.fifo_errno) {
            g_assert_cmpint(r.host->fifo_errno, ==, r.fifo_errno);
        }
    }
    g_free(r.host);
}

static void test_read_sandbox(void)
{
    check_refused((Restricted){ .priority = 1,
                                .affinity_errno = EPERM,
                                .fifo_errno = EPERM },
                  NFV_REFUSAL_SANDBOX, NFV_REFUSAL_SANDBOX);
}

static void test_read_sandbox_granted(void)
{
    Restricted r = { .priority = 1,
                     .one_cpu = true,
                     .affinity_errno = EPERM,
                     .fifo_errno = EPERM };

    /* Nothing more can be had than what was inherited. */
    if (run_restricted(&r)) {
        g_assert_true(NFV_CPUSET_EQUAL(&r.host->granted, &r.host->inherited));
    }
    g_free(r.host);
}

static void test_read_other_errno(void)
{
    check_refused((Restricted){ .priority = 1, .fifo_errno = ENOSYS },
                  NFV_REFUSAL_NONE, NFV_REFUSAL_OTHER);
}

/*
 * The kernel says EPERM to a cgroup without budget though there is nothing that
 * the thread lacks.
 */
static void test_read_cgroup_capable(void)
{
    if (!restrict_has_sys_nice()) {
        g_test_skip("without CAP_SYS_NICE");
        return;
    }
    check_refused((Restricted){ .priority = 1, .fifo_errno = EPERM },
                  NFV_REFUSAL_NONE, NFV_REFUSAL_CGROUP);
}

/* RLIMIT_RTPRIO, without the capability, against a priority. */
static void check_limit(rlim_t limit, int priority, int fifo_errno,
                        NfvRefusal fifo)
{
    Restricted r = { .priority = priority,
                     .no_sys_nice = true,
                     .fifo_errno = fifo_errno };
    struct rlimit before;

    if (!restrict_rtprio(limit, &before)) {
        g_test_skip("RLIMIT_RTPRIO cannot be set here");
        return;
    }
    if (run_restricted(&r)) {
        g_assert_cmpuint(r.host->rtprio_limit, ==, MIN(limit, 99));
        assert_refusal(r.host->fifo, fifo);
    }
    g_assert_cmpint(setrlimit(RLIMIT_RTPRIO, &before), ==, 0);
    g_free(r.host);
}

static void test_read_capability(void)
{
    check_limit(0, 1, 0, NFV_REFUSAL_CAPABILITY);
}

static void test_read_rlimit(void)
{
    check_limit(5, 6, 0, NFV_REFUSAL_RLIMIT);
}

static void test_read_cgroup_limit(void)
{
    check_limit(5, 5, EPERM, NFV_REFUSAL_CGROUP);
    check_limit(RLIM_INFINITY, 98, EPERM, NFV_REFUSAL_CGROUP);
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    g_test_add_func("/nfv/host/refusal-of", test_refusal_of);
    g_test_add_func("/nfv/host/describe", test_describe);
    g_test_add_func("/nfv/host/describe-distinct", test_describe_distinct);
    g_test_add_func("/nfv/host/read", test_read);
    g_test_add_func("/nfv/host/read/nodes", test_read_nodes);
    g_test_add_func("/nfv/host/read/nothing-isolated",
                    test_read_nothing_isolated);
    g_test_add_func("/nfv/host/read/missing", test_read_missing);
    g_test_add_func("/nfv/host/read/garbage", test_read_garbage);
    g_test_add_func("/nfv/host/read/directories", test_read_directories);
    g_test_add_func("/nfv/host/read/throttling", test_read_throttling);
    g_test_add_func("/nfv/host/read/own-host", test_read_own_host);
    g_test_add_func("/nfv/host/read/leaves-caller", test_read_leaves_caller);
    g_test_add_func("/nfv/host/read/sandbox", test_read_sandbox);
    g_test_add_func("/nfv/host/read/sandbox-granted",
                    test_read_sandbox_granted);
    g_test_add_func("/nfv/host/read/other-errno", test_read_other_errno);
    g_test_add_func("/nfv/host/read/capability", test_read_capability);
    g_test_add_func("/nfv/host/read/rlimit", test_read_rlimit);
    g_test_add_func("/nfv/host/read/cgroup-limit", test_read_cgroup_limit);
    g_test_add_func("/nfv/host/read/cgroup-capable", test_read_cgroup_capable);
    return g_test_run();
}
