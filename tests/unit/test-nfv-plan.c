/*
 * Unit tests: plans, on hosts that are made up
 *
 * Copyright (c) 2026 the kvm4nfv authors
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "qemu/osdep.h"
#include "nfv/cpus.h"
#include "hw/nfv/plan.h"

/* Hosts */

typedef struct HostText {
    const char *online, *granted, *inherited, *isolated;
    /* CPUs of node 0, 1, 2… separated by '/'; NULL: all are node 0 */
    const char *nodes;
} HostText;

static NfvHost *make_host(const HostText *text)
{
    NfvHost *host = g_new0(NfvHost, 1);
    g_auto(GStrv) nodes = g_strsplit(text->nodes ?: "", "/", -1);

    cpu_set(&host->online, text->online);
    cpu_set(&host->granted, text->granted);
    cpu_set(&host->inherited, text->inherited);
    cpu_set(&host->isolated, text->isolated);
    for (int n = 0; nodes[n]; n++) {
        g_autoptr(GArray) list = cpu_list(nodes[n]);

        for (unsigned i = 0; i < list->len; i++) {
            host->node[g_array_index(list, unsigned, i)] = n;
        }
    }
    return host;
}

static void config_clear(NfvConfig *config)
{
    g_clear_pointer(&config->vcpu_cpus, g_array_unref);
    g_clear_pointer(&config->rt_vcpus, g_array_unref);
    g_clear_pointer(&config->iothread_cpus, g_array_unref);
    g_clear_pointer(&config->housekeeping_cpus, g_array_unref);
}

G_DEFINE_AUTO_CLEANUP_CLEAR_FUNC(NfvConfig, config_clear)

#define DEFAULT_CONFIG                             \
    {                                              \
        .rt = ON_OFF_AUTO_AUTO, .vcpu_priority = 1 \
    }

/* Plans and errors, one test each */

typedef struct PlanCase {
    const char *name;
    HostText host;
    /* as the user gave them */
    const char *vcpu_cpus, *housekeeping_cpus, *iothread_cpus, *rt_vcpus;
    NfvTopology topology;
    const char *housekeeping, *iothread; /* as the plan has them */
    const char *error;                   /* or why there is none */
} PlanCase;

/*
 * Every CPU is granted and the kernel isolates some, on which nothing starts.
 */
#define HOST(all, isolated_, others)                        \
    {                                                       \
        .online = all, .granted = all, .inherited = others, \
        .isolated = isolated_                               \
    }
#define PLAIN(all) HOST(all, "none", all)
#define VCPUS(n)                 \
    {                            \
        .cpus = n, .max_cpus = n \
    }

static const PlanCase plan_cases[] = {
    /*
     * Housekeeping by default: CPUs without a vCPU, of those that QEMU was
     * started on.
     */
    { "2-cpus", PLAIN("0-1"), "1", .topology = VCPUS(1), .housekeeping = "0",
      .iothread = "0" },
    { "2-cpus-first", PLAIN("0-1"), "0", .topology = VCPUS(1),
      .housekeeping = "1", .iothread = "1" },
    { "2-cpus-isolated", HOST("0-1", "1", "0"), "1", .topology = VCPUS(1),
      .housekeeping = "0", .iothread = "0" },
    { "4-cpus", PLAIN("0-3"), "2-3", .topology = VCPUS(2),
      .housekeeping = "0-1", .iothread = "0-1" },
    { "4-cpus-isolated", HOST("0-3", "2-3", "0-1"), "2-3", .topology = VCPUS(2),
      .housekeeping = "0-1", .iothread = "0-1" },
    { "isolated-left-alone", HOST("0-3", "2-3", "0-1"), "2",
      .topology = VCPUS(1), .housekeeping = "0-1", .iothread = "0-1" },
    { "64-cpus", HOST("0-63", "8-63", "0-7"), "8-23", .topology = VCPUS(16),
      .housekeeping = "0-7", .iothread = "0-7" },
    { "512-cpus", HOST("0-511", "2-255,258-511", "0-1,256-257"),
      "2-255:258-511", .topology = VCPUS(508), .housekeeping = "0-1,256-257",
      .iothread = "0-1,256-257" },
    { "8192-cpus", PLAIN("0-8191"), "8191", .topology = VCPUS(1),
      .housekeeping = "0-8190", .iothread = "0-8190" },
    { "numa-2",
      { "0-15", "0-15", "0-1,8-9", "2-7,10-15", "0-7/8-15" },
      "10-13",
      .topology = VCPUS(4),
      .housekeeping = "0-1,8-9",
      .iothread = "0-1,8-9" },
    { "numa-8",
      { "0-63", "0-63", "0-63", "none",
        "0-7/8-15/16-23/24-31/32-39/40-47/48-55/56-63" },
      "56-63",
      .topology = VCPUS(8),
      .housekeeping = "0-55",
      .iothread = "0-55" },

    /* A cpuset smaller than the host, and CPUs that are offline. */
    { "cpuset",
      { "0-63", "8-15", "8-15", "none" },
      "10-12",
      .topology = VCPUS(3),
      .housekeeping = "8-9,13-15",
      .iothread = "8-9,13-15" },
    { "cpuset-isolated",
      { "0-63", "8-15", "8-9", "10-63" },
      "12-13",
      .topology = VCPUS(2),
      .housekeeping = "8-9",
      .iothread = "8-9" },
    { "inherited-beyond-cpuset",
      { "0-63", "8-15", "0-9", "none" },
      "8",
      .topology = VCPUS(1),
      .housekeeping = "9",
      .iothread = "9" },
    { "inherited-outside-cpuset",
      { "0-63", "8-15", "0-3", "none" },
      "8",
      .topology = VCPUS(1),
      .housekeeping = "9-15",
      .iothread = "9-15" },
    { "some-offline",
      { "0-2,5-7", "0-2,5-7", "0-2,5-7", "none" },
      "5:2",
      .topology = VCPUS(2),
      .housekeeping = "0-1,6-7",
      .iothread = "0-1,6-7" },

    /*
     * vCPUs take all that was inherited: others that are not isolated, then
     * isolated ones.
     */
    { "inherited-used-up", HOST("0-5", "4-5", "0-1"), "0-1",
      .topology = VCPUS(2), .housekeeping = "2-3", .iothread = "2-3" },
    { "only-isolated-left", HOST("0-5", "2-5", "0-1"), "0-2",
      .topology = VCPUS(3), .housekeeping = "3-5", .iothread = "3-5" },
    { "all-isolated", HOST("0-1", "0-1", "0-1"), "0", .topology = VCPUS(1),
      .housekeeping = "1", .iothread = "1" },
    { "started-on-isolated", HOST("0-63", "32-63", "40-47"), "40-46",
      .topology = VCPUS(7), .housekeeping = "47", .iothread = "47" },
    { "started-on-isolated-used-up", HOST("0-63", "32-63", "40-47"), "40-47",
      .topology = VCPUS(8), .housekeeping = "0-31", .iothread = "0-31" },

    /* The order of the list is that of the vCPUs. */
    { "order", PLAIN("0-7"), "7:3:5:4", .topology = VCPUS(4),
      .housekeeping = "0-2,6", .iothread = "0-2,6" },

    /* What the user says comes first. */
    { "housekeeping-given", PLAIN("0-7"), "4-7", "1", .topology = VCPUS(4),
      .housekeeping = "1", .iothread = "1" },
    { "iothread-given", PLAIN("0-7"), "4-7", NULL, "3", .topology = VCPUS(4),
      .housekeeping = "0-3", .iothread = "3" },
    { "both-given", PLAIN("0-7"), "4-5", "0:2", "6-7", .topology = VCPUS(2),
      .housekeeping = "0,2", .iothread = "6-7" },
    { "given-isolated", HOST("0-7", "4-7", "0-3"), "4-5", "7", "6",
      .topology = VCPUS(2), .housekeeping = "7", .iothread = "6" },
    { "given-not-inherited", HOST("0-7", "none", "0-1"), "4-5", "2", "3",
      .topology = VCPUS(2), .housekeeping = "2", .iothread = "3" },

    /* Hot-plug and one thread for all. */
    { "for-hotplug", PLAIN("0-7"), "4-7", .topology = { 2, 4 },
      .housekeeping = "0-3", .iothread = "0-3" },
    { "not-for-hotplug", PLAIN("0-7"), "4-5", .topology = { 2, 4 },
      .housekeeping = "0-3,6-7", .iothread = "0-3,6-7" },
    { "single-thread", PLAIN("0-1"), "1", .topology = { 8, 8, true },
      .housekeeping = "0", .iothread = "0" },
    { "single-thread-list", PLAIN("0-7"), "4-7", .topology = { 4, 4, true },
      .housekeeping = "0-3", .iothread = "0-3" },
    { "rt-vcpus", PLAIN("0-7"), "4-5", .rt_vcpus = "3:1", .topology = { 2, 4 },
      .housekeeping = "0-3,6-7", .iothread = "0-3,6-7" },

    /* Nothing left */
    { "error/1-cpu", PLAIN("0"), "0", .topology = VCPUS(1),
      .error = "vcpu-cpus takes every host CPU that is granted to QEMU (0): "
               "none is left for housekeeping" },
    { "error/all", PLAIN("0-3"), "3:0-2", .topology = VCPUS(4),
      .error = "vcpu-cpus takes every host CPU that is granted to QEMU (0-3): "
               "none is left for housekeeping" },
    { "error/whole-cpuset",
      { "0-63", "8-9", "8-9", "none" },
      "8-9",
      .topology = VCPUS(2),
      .error = "vcpu-cpus takes every host CPU that is granted to QEMU (8-9): "
               "none is left for housekeeping" },
    { "error/nothing-left-but-iothread-cpus", PLAIN("0-1"), "0-1", NULL, "0",
      .topology = VCPUS(2),
      .error = "vcpu-cpus takes every host CPU that is granted to QEMU (0-1): "
               "none is left for housekeeping" },

    /* CPUs that are not there */
    { "error/vcpu-offline",
      { "0-2,4", "0-2,4", "0-2,4", "none" },
      "2-4",
      .topology = VCPUS(3),
      .error = "vcpu-cpus: host CPU 3 is offline or does not exist; online are "
               "0-2,4" },
    { "error/vcpu-absent", PLAIN("0-3"), "8191", .topology = VCPUS(1),
      .error = "vcpu-cpus: host CPU 8191 is offline or does not exist; online "
               "are 0-3" },
    { "error/vcpu-not-granted",
      { "0-63", "8-15", "8-15", "none" },
      "15-16",
      .topology = VCPUS(2),
      .error = "vcpu-cpus: host CPU 16 is not granted to QEMU; its cpuset has "
               "8-15" },
    { "error/housekeeping-offline", PLAIN("0-3"), "2-3", "0:4",
      .topology = VCPUS(2),
      .error = "housekeeping-cpus: host CPU 4 is offline or does not exist; "
               "online are 0-3" },
    { "error/housekeeping-not-granted",
      { "0-63", "8-15", "8-15", "none" },
      "15",
      "0",
      .topology = VCPUS(1),
      .error = "housekeeping-cpus: host CPU 0 is not granted to QEMU; its "
               "cpuset has 8-15" },
    { "error/iothread-offline", PLAIN("0-3"), "2-3", NULL, "64",
      .topology = VCPUS(2),
      .error = "iothread-cpus: host CPU 64 is offline or does not exist; "
               "online are 0-3" },
    { "error/iothread-not-granted",
      { "0-63", "8-15", "8-15", "none" },
      "15",
      NULL,
      "7",
      .topology = VCPUS(1),
      .error = "iothread-cpus: host CPU 7 is not granted to QEMU; its cpuset "
               "has 8-15" },

    /* Too few, too many */
    { "error/too-few", PLAIN("0-7"), "4-6", .topology = VCPUS(4),
      .error = "vcpu-cpus: too few host CPUs (4-6) for 4 vCPUs" },
    { "error/too-few-for-hotplug", PLAIN("0-7"), "5", .topology = { 2, 4 },
      .error = "vcpu-cpus: too few host CPUs (5) for 2 vCPUs" },
    { "error/too-many", PLAIN("0-7"), "7:2-5", .topology = { 2, 4 },
      .error = "vcpu-cpus: too many host CPUs (7,2-5): maxcpus is 4" },
    { "error/too-many-single-thread", PLAIN("0-7"), "2-3",
      .topology = { 1, 1, true },
      .error = "vcpu-cpus: too many host CPUs (2-3): maxcpus is 1" },

    /* Shared with a vCPU */
    { "error/housekeeping-shared", PLAIN("0-7"), "4-7", "3-4",
      .topology = VCPUS(4),
      .error = "housekeeping-cpus: overlaps vcpu-cpus in 4; a vCPU shares its "
               "host CPU with no other thread" },
    { "error/iothread-shared", PLAIN("0-7"), "4-7", NULL, "3-6",
      .topology = VCPUS(4),
      .error = "iothread-cpus: overlaps vcpu-cpus in 4-6; a vCPU shares its "
               "host CPU with no other thread" },
    { "error/hotplug-shared", PLAIN("0-7"), "4-7", "7", .topology = { 2, 4 },
      .error = "housekeeping-cpus: overlaps vcpu-cpus in 7; a vCPU shares its "
               "host CPU with no other thread" },

    { "error/rt-vcpus", PLAIN("0-7"), "4-7", .rt_vcpus = "0:4",
      .topology = VCPUS(4),
      .error = "rt-vcpus: there is no vCPU 4; the machine can have vCPUs 0 to "
               "3" },
    { "error/rt-vcpus-largest", PLAIN("0-7"), "4-7", .rt_vcpus = "8191",
      .topology = VCPUS(4),
      .error = "rt-vcpus: there is no vCPU 8191; the machine can have vCPUs 0 "
               "to 3" },
};

static void assert_rt_vcpus(const NfvPlan *plan, const GArray *expected)
{
    NfvCpuSet all;

    if (expected) {
        nfv_cpuset_from_list(&all, expected);
    }
    for (unsigned i = 0; i < plan->max_cpus; i++) {
        g_assert_cmpint(test_bit(i, plan->rt_vcpus), ==,
                        expected ? NFV_CPUSET_HAS(&all, i) : true);
    }
}

static void test_plan(gconstpointer opaque)
{
    const PlanCase *c = opaque;
    g_autofree NfvHost *host = make_host(&c->host);
    g_auto(NfvConfig) config = DEFAULT_CONFIG;
    g_autoptr(NfvPlan) plan = NULL;
    Error *err = NULL;

    config.vcpu_cpus = cpu_list(c->vcpu_cpus);
    config.housekeeping_cpus = cpu_list(c->housekeeping_cpus);
    config.iothread_cpus = cpu_list(c->iothread_cpus);
    config.rt_vcpus = cpu_list(c->rt_vcpus);
    plan = nfv_plan_make(&config, config.vcpu_cpus, host, &c->topology, &err);
    if (c->error) {
        g_assert_null(plan);
        assert_error(err, c->error);
        return;
    }
    assert_no_error(err);
    g_assert_nonnull(plan);
    g_assert_cmpmem(
        plan->vcpu_cpus->data, plan->vcpu_cpus->len * sizeof(unsigned),
        config.vcpu_cpus->data, config.vcpu_cpus->len * sizeof(unsigned));
    assert_cpu_set(&plan->housekeeping, c->housekeeping);
    assert_cpu_set(&plan->iothread, c->iothread);
    g_assert_cmpuint(plan->max_cpus, ==, c->topology.max_cpus);
    g_assert_cmpint(plan->single_thread, ==, c->topology.single_thread);
    assert_rt_vcpus(plan, config.rt_vcpus);
}

/*
 * The list that was claimed for vcpu-cpus=auto is the one that counts, and the
 * plan has its own.
 */
static void test_claimed(void)
{
    g_autofree NfvHost *host = make_host(&(HostText)HOST("0-7", "4-7", "0-3"));
    g_auto(NfvConfig) config = DEFAULT_CONFIG;
    g_autoptr(GArray) claimed = cpu_list("6:5");
    NfvTopology topology = VCPUS(2);
    g_autoptr(NfvPlan) plan = NULL;

    config.vcpu_auto = true;
    plan = nfv_plan_make(&config, claimed, host, &topology, &error_abort);
    g_array_index(claimed, unsigned, 0) = 0;
    assert_cpu_list(plan->vcpu_cpus, "6,5");
    assert_cpu_set(&plan->housekeeping, "0-3");
}

/* A plan lives as long as one who uses it. */
static void test_ref(void)
{
    g_autofree NfvHost *host = make_host(&(HostText)PLAIN("0-7"));
    g_auto(NfvConfig) config = DEFAULT_CONFIG;
    NfvTopology topology = VCPUS(2);
    NfvPlan *plan;

    host->fifo = NFV_REFUSAL_CAPABILITY;
    config.vcpu_cpus = cpu_list("6:5");
    plan =
        nfv_plan_make(&config, config.vcpu_cpus, host, &topology, &error_abort);
    for (int i = 0; i < 3; i++) {
        g_assert_true(nfv_plan_ref(plan) == plan);
    }
    for (int i = 0; i < 3; i++) {
        nfv_plan_unref(plan);
        assert_cpu_list(plan->vcpu_cpus, "6,5");
        assert_contains(plan->refusal_what, "CAP_SYS_NICE");
    }
    nfv_plan_unref(plan);
    nfv_plan_unref(NULL);
}

static void test_cpus_needed(void)
{
    g_assert_cmpuint(nfv_plan_cpus_needed(&(NfvTopology){ 1, 1 }), ==, 1);
    g_assert_cmpuint(nfv_plan_cpus_needed(&(NfvTopology){ 2, 8 }), ==, 2);
    g_assert_cmpuint(nfv_plan_cpus_needed(&(NfvTopology){ 8, 8, true }), ==, 1);
    g_assert_cmpuint(nfv_plan_cpus_needed(&(NfvTopology){ 1, 1, true }), ==, 1);
}

/* Real-time: what was asked for against what the host refuses */

/* The words are those for @plan's refusal, with the highest @priority. */
static void assert_refusal_words(const NfvPlan *plan, const NfvHost *host,
                                 int priority)
{
    g_autofree char *what = NULL;
    g_autofree char *remedy = NULL;

    if (plan->refusal) {
        what = nfv_refusal_describe(host, plan->refusal, priority, &remedy);
        g_assert_nonnull(what);
        g_assert_nonnull(remedy);
    }
    g_assert_cmpstr(plan->refusal_what, ==, what);
    g_assert_cmpstr(plan->refusal_remedy, ==, remedy);
}

/* They say the highest priority, whoever has it: that is what is refused. */
static void test_rt_words(void)
{
    static const uint8_t priorities[][3] = { { 42, 0, 0 },
                                             { 1, 42, 2 },
                                             { 7, 41, 42 } };

    for (int i = 0; i < ARRAY_SIZE(priorities); i++) {
        g_autofree NfvHost *host = make_host(&(HostText)PLAIN("0-3"));
        g_auto(NfvConfig) config = DEFAULT_CONFIG;
        NfvTopology topology = VCPUS(1);
        g_autoptr(NfvPlan) plan = NULL;

        g_test_message("case %d", i);
        host->fifo = NFV_REFUSAL_RLIMIT;
        host->rtprio_limit = 5;
        config.vcpu_priority = priorities[i][0];
        config.iothread_priority = priorities[i][1];
        config.emulator_priority = priorities[i][2];
        config.vcpu_cpus = cpu_list("1");
        plan = nfv_plan_make(&config, config.vcpu_cpus, host, &topology,
                             &error_abort);
        assert_refusal_words(plan, host, 42);
        assert_contains(plan->refusal_remedy, "ulimit -r 42");
    }
}

static void check_rt(OnOffAuto rt, NfvRefusal affinity, NfvRefusal fifo)
{
    g_autofree NfvHost *host = make_host(&(HostText)PLAIN("0-3"));
    g_auto(NfvConfig) config = DEFAULT_CONFIG;
    NfvTopology topology = VCPUS(1);
    NfvRefusal refusal = affinity ?: fifo;
    g_autoptr(NfvPlan) plan = NULL;
    Error *err = NULL;

    g_test_message("rt %d, affinity %d, SCHED_FIFO %d", rt, affinity, fifo);
    host->affinity = affinity;
    host->fifo = fifo;
    host->fifo_errno = fifo == NFV_REFUSAL_OTHER ? EINVAL : 0;
    host->rtprio_limit = 3;
    config.rt = rt;
    config.vcpu_priority = 42;
    config.vcpu_cpus = cpu_list("1");
    plan = nfv_plan_make(&config, config.vcpu_cpus, host, &topology, &err);
    if (rt == ON_OFF_AUTO_ON && refusal) {
        g_autofree char *what = nfv_refusal_describe(host, refusal, 42, NULL);
        g_autofree char *message = g_strdup_printf("rt=on: %s", what);

        g_assert_null(plan);
        assert_error(err, message);
        return;
    }
    assert_no_error(err);
    g_assert_nonnull(plan);
    g_assert_cmpint(plan->rt_asked, ==, rt);
    g_assert_cmpint(plan->rt, ==, rt != ON_OFF_AUTO_OFF && !refusal);
    /*
     * Who wants no real-time is not told that it is refused; that no thread can
     * be placed concerns everybody.
     */
    g_assert_cmpint(plan->refusal, ==,
                    rt == ON_OFF_AUTO_OFF ? affinity : refusal);
    assert_refusal_words(plan, host, 42);
    assert_cpu_set(&plan->housekeeping, "0,2-3");
}

static void test_rt(void)
{
    for (OnOffAuto rt = 0; rt < ON_OFF_AUTO__MAX; rt++) {
        for (NfvRefusal fifo = NFV_REFUSAL_NONE; fifo <= NFV_REFUSAL_OTHER;
             fifo++) {
            check_rt(rt, NFV_REFUSAL_NONE, fifo);
            check_rt(rt, NFV_REFUSAL_SANDBOX, fifo);
        }
    }
}

/*
 * A configuration that is wrong is refused for that, whatever the host refuses.
 */
static void test_rt_error_order(void)
{
    g_autofree NfvHost *host = make_host(&(HostText)PLAIN("0-3"));
    g_auto(NfvConfig) config = DEFAULT_CONFIG;
    NfvTopology topology = VCPUS(1);
    Error *err = NULL;

    host->fifo = NFV_REFUSAL_THROTTLED;
    config.rt = ON_OFF_AUTO_ON;
    config.vcpu_cpus = cpu_list("4");
    g_assert_null(
        nfv_plan_make(&config, config.vcpu_cpus, host, &topology, &err));
    assert_error(err, "vcpu-cpus: host CPU 4 is offline or does not exist; "
                      "online are 0-3");
}

/* Candidates for vcpu-cpus=auto */

static void test_candidates(void)
{
    static const struct {
        HostText host;
        unsigned needed;
        const char *expected;
    } cases[] = {
        { PLAIN("0-3"), 1, "none" },
        { HOST("0", "0", "0"), 1, "0" },
        { HOST("0-3", "2-3", "0-1"), 1, "2-3" },
        { HOST("0-3", "2-3", "0-1"), 8, "2-3" },
        { HOST("0-511", "2-511", "0-1"), 64, "2-511" },
        /* Isolated, but offline or not ours. */
        { { "0-3,6", "0-3,6", "0-1", "2-7" }, 1, "2-3,6" },
        { { "0-15", "0-5", "0-1", "2-15" }, 1, "2-5" },
        { { "0-15", "0-1", "0-1", "2-15" }, 1, "none" },
        { { "0-3", "0-7", "0-1", "2-7" }, 1, "2-3" },
        /* Two nodes: the first that can take all, then the other. */
        { { "0-15", "0-15", "0,8", "1-7,9-15", "0-7/8-15" }, 7, "1-7,9-15" },
        { { "0-15", "0-15", "0-5,8", "6-7,9-15", "0-7/8-15" }, 2, "6-7,9-15" },
        { { "0-15", "0-15", "0-5,8", "6-7,9-15", "0-7/8-15" }, 3, "9-15,6-7" },
        { { "0-15", "0-15", "0-5,8", "6-7,9-15", "0-7/8-15" }, 7, "9-15,6-7" },
        /* None can. */
        { { "0-15", "0-15", "0-5,8", "6-7,9-15", "0-7/8-15" }, 8, "6-7,9-15" },
        /*
         * Nodes that take turns in the numbering, as hyperthreads or firmware
         * have it.
         */
        { { "0-7", "0-7", "0-1", "2-7", "0,2,4,6/1,3,5,7" }, 3, "2,4,6,3,5,7" },
        { { "0-7", "0-7", "0-2", "3-7", "0,2,4,6/1,3,5,7" }, 3, "3,5,7,4,6" },
        { { "0-15", "0-15", "0,4", "1-3,5-15", "0-3,8-11/4-7,12-15" },
          7,
          "1-3,8-11,5-7,12-15" },
        /* Eight nodes of which two can take all. */
        { { "0-31", "0-31", "0", "1,5-6,9,13,16-19,20-22,25,28-29",
            "0-3/4-7/8-11/12-15/16-19/20-23/24-27/28-31" },
          3,
          "16-22,1,5-6,9,13,25,28-29" },
        { { "0-31", "0-31", "0", "1,5-6,9,13,16-19,20-22,25,28-29",
            "0-3/4-7/8-11/12-15/16-19/20-23/24-27/28-31" },
          2,
          "5-6,16-22,28-29,1,9,13,25" },
        /* What counts is what is granted of a node. */
        { { "0-15", "0-3,8-15", "0,8", "1-7,9-15", "0-7/8-15" },
          4,
          "9-15,1-3" },
    };

    for (int i = 0; i < ARRAY_SIZE(cases); i++) {
        g_autofree NfvHost *host = make_host(&cases[i].host);
        g_autoptr(GArray) list = nfv_plan_candidates(host, cases[i].needed);

        g_test_message("case %d", i);
        assert_cpu_list(list, cases[i].expected);
    }
}

static void test_candidates_extreme(void)
{
    g_autofree NfvHost *host =
        make_host(&(HostText)HOST("0-8191", "0-8191", "0"));
    g_autoptr(GArray) list = NULL;

    /* The node with the largest number can take two, all others one. */
    for (unsigned cpu = 0; cpu < NFV_CPUS; cpu++) {
        host->node[cpu] = MIN(cpu, NFV_CPUS - 2) + INT16_MAX - (NFV_CPUS - 2);
    }
    list = nfv_plan_candidates(host, 2);
    assert_cpu_list(list, "8190-8191,0-8189");
}

/* Lookup */

typedef struct LookupCase {
    bool rt, single_thread;
    uint8_t vcpu_priority, iothread_priority, emulator_priority;
    const char *rt_vcpus;
} LookupCase;

static void check_wanted(const NfvPlan *plan, NfvRole role, int vcpu,
                         const char *cpus, int priority)
{
    NfvWanted wanted;

    memset(&wanted, 0xa5, sizeof(wanted));
    g_test_message("role %s, vCPU %d", NfvRole_str(role), vcpu);
    g_assert_true(nfv_plan_lookup(plan, role, vcpu, &wanted));
    assert_cpu_set(&wanted.cpus, cpus);
    g_assert_cmpint(wanted.policy, ==, plan->rt);
    if (plan->rt) {
        g_assert_cmpint(wanted.priority, ==, priority);
    }
}

static void check_lookup(const LookupCase *c)
{
    static const char *const vcpu_cpus[] = { "7", "4", "6" };
    g_autofree NfvHost *host = make_host(&(HostText)PLAIN("0-7"));
    g_auto(NfvConfig) config = DEFAULT_CONFIG;
    NfvTopology topology = { .cpus = 2,
                             .max_cpus = 4,
                             .single_thread = c->single_thread };
    g_autoptr(NfvPlan) plan = NULL;
    NfvWanted wanted;

    config.rt = c->rt ? ON_OFF_AUTO_ON : ON_OFF_AUTO_OFF;
    config.vcpu_priority = c->vcpu_priority;
    config.iothread_priority = c->iothread_priority;
    config.emulator_priority = c->emulator_priority;
    config.vcpu_cpus = cpu_list("7:4:6");
    config.housekeeping_cpus = cpu_list("0-1");
    config.iothread_cpus = cpu_list("2");
    config.rt_vcpus = cpu_list(c->rt_vcpus);
    plan =
        nfv_plan_make(&config, config.vcpu_cpus, host, &topology, &error_abort);

    if (c->single_thread) {
        /* It is real-time if one of the vCPUs is: every list here has one. */
        check_wanted(plan, NFV_ROLE_VCPU, -1, "7", c->vcpu_priority);
    } else {
        for (int i = 0; i < ARRAY_SIZE(vcpu_cpus); i++) {
            bool rt = !c->rt_vcpus || strchr(c->rt_vcpus, '0' + i);

            check_wanted(plan, NFV_ROLE_VCPU, i, vcpu_cpus[i],
                         rt ? c->vcpu_priority : 0);
        }
        g_assert_false(nfv_plan_lookup(plan, NFV_ROLE_VCPU, 3, &wanted));
        g_assert_false(nfv_plan_lookup(plan, NFV_ROLE_VCPU, INT_MAX, &wanted));
    }
    check_wanted(plan, NFV_ROLE_IOTHREAD, -1, "2", c->iothread_priority);
    check_wanted(plan, NFV_ROLE_EMULATOR, -1, "0-1", c->emulator_priority);
    check_wanted(plan, NFV_ROLE_FAULT, -1, "0-1", c->vcpu_priority);
    check_wanted(plan, NFV_ROLE_MIGRATION, -1, "0-1", 0);
    check_wanted(plan, NFV_ROLE_VHOST, -1, "0-1", 0);
    check_wanted(plan, NFV_ROLE_WORKER, -1, "0-1", 0);
    g_assert_false(nfv_plan_lookup(plan, NFV_ROLE_MEMORY, -1, &wanted));
    /* A role that is added to the schema needs a line here. */
    QEMU_BUILD_BUG_ON(NFV_ROLE__MAX != 8);
}

static void test_lookup(void)
{
    static const uint8_t priorities[][3] = {
        { 1, 0, 0 },    { 98, 0, 0 }, { 1, 98, 98 }, { 50, 40, 30 },
        { 50, 60, 70 }, { 1, 1, 1 },  { 2, 0, 1 },   { 2, 1, 0 },
    };
    static const char *const rt_vcpus[] = { NULL, "0", "1:2",
                                            "2",  "3", "0:1:2:3" };

    for (int i = 0; i < ARRAY_SIZE(priorities) * ARRAY_SIZE(rt_vcpus) * 4;
         i++) {
        const uint8_t *p = priorities[i / 4 % ARRAY_SIZE(priorities)];
        LookupCase c = {
            .rt = i & 1,
            .single_thread = i & 2,
            .vcpu_priority = p[0],
            .iothread_priority = p[1],
            .emulator_priority = p[2],
            .rt_vcpus = rt_vcpus[i / 4 / ARRAY_SIZE(priorities)],
        };

        g_test_message("rt %d, single thread %d, priorities %d %d %d, rt-vcpus "
                       "%s",
                       c.rt, c.single_thread, p[0], p[1], p[2],
                       c.rt_vcpus ?: "none");
        check_lookup(&c);
    }
}

/* Anything at all */

static void random_set(GRand *rand, const NfvCpuSet *of, double share,
                       NfvCpuSet *set)
{
    unsigned cpu;

    bitmap_zero(set->bits, NFV_CPUS);
    NFV_CPUSET_FOREACH(cpu, of) {
        if (g_rand_double(rand) < share) {
            set_bit(cpu, set->bits);
        }
    }
}

static double random_share(GRand *rand)
{
    static const double shares[] = { 0.1, 0.5, 0.9, 1 };

    return shares[g_rand_int_range(rand, 0, ARRAY_SIZE(shares))];
}

static NfvHost *random_host(GRand *rand)
{
    static const unsigned sizes[] = { 1, 2, 3, 4, 8, 16, 64, 65, 512 };
    unsigned n = sizes[g_rand_int_range(rand, 0, ARRAY_SIZE(sizes))];
    NfvHost *host = g_new0(NfvHost, 1);
    NfvCpuSet all;

    bitmap_zero(all.bits, NFV_CPUS);
    bitmap_set(all.bits, g_rand_int_range(rand, 0, 20) ? 0 : NFV_CPUS - n, n);
    random_set(rand, &all, g_rand_int_range(rand, 0, 4) ? 1 : 0.8,
               &host->online);
    random_set(rand, &host->online, random_share(rand), &host->granted);
    random_set(rand, &host->online, random_share(rand), &host->inherited);
    random_set(rand, &all, g_rand_boolean(rand) ? 0 : random_share(rand),
               &host->isolated);
    if (g_rand_boolean(rand)) {
        host->fifo =
            g_rand_int_range(rand, NFV_REFUSAL_NONE, NFV_REFUSAL_OTHER + 1);
        host->affinity = host->fifo == NFV_REFUSAL_SANDBOX ?
                             NFV_REFUSAL_SANDBOX :
                             NFV_REFUSAL_NONE;
        host->fifo_errno = host->fifo == NFV_REFUSAL_OTHER ? EINVAL : 0;
    }
    return host;
}

/* At most @max of @of, in random order; sometimes one that is not in it. */
static GArray *random_list(GRand *rand, const NfvCpuSet *of, unsigned max)
{
    GArray *list = g_array_new(false, false, sizeof(unsigned));
    unsigned cpu;

    NFV_CPUSET_FOREACH(cpu, of) {
        g_array_append_val(list, cpu);
    }
    for (unsigned i = list->len; i > 1; i--) {
        unsigned *a = &g_array_index(list, unsigned, i - 1);
        unsigned *b =
            &g_array_index(list, unsigned, g_rand_int_range(rand, 0, i));

        cpu = *a;
        *a = *b;
        *b = cpu;
    }
    g_array_set_size(list, MIN(list->len, max));
    cpu = g_rand_int_range(rand, 0, NFV_CPUS);
    if (!list->len ||
        (!g_rand_int_range(rand, 0, 20) && !NFV_CPUSET_HAS(of, cpu))) {
        g_array_append_val(list, cpu);
    }
    return list;
}

static void random_config(GRand *rand, const NfvHost *host, NfvConfig *config,
                          NfvTopology *topology)
{
    long granted = bitmap_count_one(host->granted.bits, NFV_CPUS);
    NfvCpuSet vcpus, rest, indices;

    topology->cpus = g_rand_int_range(rand, 1, MAX(2, MIN(granted, 40)));
    topology->max_cpus = topology->cpus + g_rand_int_range(rand, 0, 4);
    topology->single_thread = !g_rand_int_range(rand, 0, 4);
    config->rt = g_rand_int_range(rand, 0, ON_OFF_AUTO__MAX);
    config->vcpu_priority = g_rand_int_range(rand, 1, 99);
    config->iothread_priority = g_rand_int_range(rand, 0, 99);
    config->emulator_priority = g_rand_int_range(rand, 0, 99);
    config->vcpu_cpus =
        random_list(rand, &host->granted,
                    topology->max_cpus + g_rand_int_range(rand, -1, 2));

    nfv_cpuset_from_list(&vcpus, config->vcpu_cpus);
    NFV_CPUSET_ANDNOT(&rest, &host->granted, &vcpus);
    if (!g_rand_int_range(rand, 0, 3)) {
        bool wrong = !g_rand_int_range(rand, 0, 10);

        config->housekeeping_cpus = random_list(
            rand, wrong ? &host->online : &rest, g_rand_int_range(rand, 1, 5));
    }
    if (!g_rand_int_range(rand, 0, 3)) {
        bool wrong = !g_rand_int_range(rand, 0, 10);

        config->iothread_cpus = random_list(rand, wrong ? &host->online : &rest,
                                            g_rand_int_range(rand, 1, 5));
    }
    if (!g_rand_int_range(rand, 0, 3)) {
        bitmap_zero(indices.bits, NFV_CPUS);
        bitmap_set(indices.bits, 0, topology->max_cpus);
        config->rt_vcpus =
            random_list(rand, &indices, g_rand_int_range(rand, 1, 5));
    }
}

static bool is_within(const GArray *list, const NfvCpuSet *set,
                      const NfvCpuSet *but)
{
    for (unsigned i = 0; list && i < list->len; i++) {
        unsigned n = g_array_index(list, unsigned, i);

        if (!NFV_CPUSET_HAS(set, n) || (but && NFV_CPUSET_HAS(but, n))) {
            return false;
        }
    }
    return true;
}

/* Whether there must be a plan. */
static bool is_possible(const NfvConfig *config, const NfvHost *host,
                        const NfvTopology *topology)
{
    unsigned needed = topology->single_thread ? 1 : topology->cpus;
    NfvCpuSet vcpus, rest, indices;

    nfv_cpuset_from_list(&vcpus, config->vcpu_cpus);
    NFV_CPUSET_ANDNOT(&rest, &host->granted, &vcpus);
    bitmap_zero(indices.bits, NFV_CPUS);
    bitmap_set(indices.bits, 0, topology->max_cpus);
    return is_within(config->vcpu_cpus, &host->granted, NULL) &&
           config->vcpu_cpus->len >= needed &&
           config->vcpu_cpus->len <= topology->max_cpus &&
           !NFV_CPUSET_EMPTY(&rest) &&
           is_within(config->housekeeping_cpus, &host->granted, &vcpus) &&
           is_within(config->iothread_cpus, &host->granted, &vcpus) &&
           is_within(config->rt_vcpus, &indices, NULL) &&
           !(config->rt == ON_OFF_AUTO_ON && (host->affinity || host->fifo));
}

static void assert_apart(const NfvCpuSet *set, const NfvCpuSet *vcpus,
                         const NfvHost *host)
{
    NfvCpuSet part;

    g_assert_false(NFV_CPUSET_EMPTY(set));
    NFV_CPUSET_AND(&part, set, vcpus);
    g_assert_true(NFV_CPUSET_EMPTY(&part));
    NFV_CPUSET_ANDNOT(&part, set, &host->granted);
    g_assert_true(NFV_CPUSET_EMPTY(&part));
}

/*
 * No other thread on a vCPU's CPU, nobody without a CPU, no policy unless it
 * was asked for and is allowed.
 */
static void assert_sound(const NfvPlan *plan, const NfvConfig *config,
                         const NfvHost *host)
{
    NfvCpuSet vcpus;
    NfvWanted wanted;

    nfv_cpuset_from_list(&vcpus, config->vcpu_cpus);
    assert_apart(&plan->housekeeping, &vcpus, host);
    assert_apart(&plan->iothread, &vcpus, host);
    g_assert_cmpint(
        plan->rt, ==,
        config->rt != ON_OFF_AUTO_OFF && !host->affinity && !host->fifo);

    for (unsigned i = 0; i < config->vcpu_cpus->len; i++) {
        g_assert_true(nfv_plan_lookup(plan, NFV_ROLE_VCPU, i, &wanted));
        g_assert_cmpuint(find_first_bit(wanted.cpus.bits, NFV_CPUS), ==,
                         g_array_index(config->vcpu_cpus, unsigned, i));
        g_assert_cmpint(bitmap_count_one(wanted.cpus.bits, NFV_CPUS), ==, 1);
        g_assert_cmpint(wanted.policy, ==, plan->rt);
        g_assert_true(wanted.priority == 0 ||
                      wanted.priority == config->vcpu_priority);
    }
    g_assert_false(
        nfv_plan_lookup(plan, NFV_ROLE_VCPU, config->vcpu_cpus->len, &wanted));
    for (NfvRole role = 0; role < NFV_ROLE__MAX; role++) {
        if (role != NFV_ROLE_VCPU && nfv_plan_lookup(plan, role, -1, &wanted)) {
            assert_apart(&wanted.cpus, &vcpus, host);
            g_assert_cmpint(wanted.policy, ==, plan->rt);
            g_assert_cmpint(wanted.priority, >=, 0);
            g_assert_cmpint(wanted.priority, <=, 98);
        }
    }
}

static void assert_names_property(const char *message)
{
    static const char *const properties[] = { "vcpu-cpus", "housekeeping-cpus",
                                              "iothread-cpus", "rt-vcpus",
                                              "rt=on" };
    bool named = false;

    for (int i = 0; i < ARRAY_SIZE(properties); i++) {
        named |= g_str_has_prefix(message, properties[i]);
    }
    g_assert_true(named);
}

static void test_random(void)
{
    g_autoptr(GRand) rand = g_rand_new_with_seed(20260102);
    int made = 0, refused = 0;

    for (int i = 0; i < 10000; i++) {
        g_autofree NfvHost *host = random_host(rand);
        g_autofree NfvHost *copy = g_memdup2(host, sizeof(*host));
        g_auto(NfvConfig) config = { 0 };
        NfvTopology topology;
        g_autoptr(NfvPlan) plan = NULL;
        Error *err = NULL;

        random_config(rand, host, &config, &topology);
        plan = nfv_plan_make(&config, config.vcpu_cpus, host, &topology, &err);
        g_assert_cmpmem(host, sizeof(*host), copy, sizeof(*copy));
        g_assert_cmpint(plan != NULL, ==,
                        is_possible(&config, host, &topology));
        g_assert_cmpint(plan != NULL, ==, err == NULL);
        if (plan) {
            assert_sound(plan, &config, host);
            made++;
        } else {
            assert_names_property(error_get_pretty(err));
            error_free(err);
            refused++;
        }
    }
    g_test_message("%d plans, %d refused", made, refused);
    /* Else it would have tested little. */
    g_assert_cmpint(made, >, 2000);
    g_assert_cmpint(refused, >, 2000);
}

static void assert_grouped(const GArray *list, const NfvHost *host)
{
    uint32_t left = 0; /* nodes: bits */

    for (unsigned i = 1; i < list->len; i++) {
        unsigned a = g_array_index(list, unsigned, i - 1),
                 b = g_array_index(list, unsigned, i);

        if (host->node[a] == host->node[b]) {
            g_assert_cmpuint(a, <, b);
        } else {
            left |= 1u << host->node[a];
            g_assert_false(left & (1u << host->node[b]));
        }
    }
}

/*
 * All CPUs that can be had, each once, ascending within a node, and a node is
 * not left before its end.
 */
static void test_random_candidates(void)
{
    g_autoptr(GRand) rand = g_rand_new_with_seed(20260103);

    for (int i = 0; i < 1000; i++) {
        g_autofree NfvHost *host = random_host(rand);
        unsigned needed = g_rand_int_range(rand, 1, 10);
        unsigned nodes = g_rand_int_range(rand, 1, 9);
        g_autoptr(GArray) list = NULL;
        NfvCpuSet expected, set;

        for (unsigned cpu = 0; cpu < NFV_CPUS; cpu++) {
            host->node[cpu] = g_rand_int_range(rand, 0, nodes);
        }
        list = nfv_plan_candidates(host, needed);
        nfv_cpuset_from_list(&set, list);
        NFV_CPUSET_AND(&expected, &host->isolated, &host->granted);
        g_assert_true(NFV_CPUSET_EQUAL(&set, &expected));
        g_assert_cmpint(list->len, ==,
                        bitmap_count_one(expected.bits, NFV_CPUS));
        assert_grouped(list, host);
    }
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    for (int i = 0; i < ARRAY_SIZE(plan_cases); i++) {
        g_autofree char *path =
            g_strconcat("/nfv/plan/make/", plan_cases[i].name, NULL);

        g_test_add_data_func(path, &plan_cases[i], test_plan);
    }
    g_test_add_func("/nfv/plan/claimed", test_claimed);
    g_test_add_func("/nfv/plan/ref", test_ref);
    g_test_add_func("/nfv/plan/cpus-needed", test_cpus_needed);
    g_test_add_func("/nfv/plan/rt", test_rt);
    g_test_add_func("/nfv/plan/rt/words", test_rt_words);
    g_test_add_func("/nfv/plan/rt/error-order", test_rt_error_order);
    g_test_add_func("/nfv/plan/candidates", test_candidates);
    g_test_add_func("/nfv/plan/candidates/extreme", test_candidates_extreme);
    g_test_add_func("/nfv/plan/candidates/random", test_random_candidates);
    g_test_add_func("/nfv/plan/lookup", test_lookup);
    g_test_add_func("/nfv/plan/random", test_random);
    return g_test_run();
}
