/*
 * Unit tests: which memory the guest gets, on hosts that are made up
 *
 * Copyright (c) 2026 the kvm4nfv authors
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "qemu/osdep.h"
#include "qemu/units.h"
#include "nfv/cpus.h"
#include "hw/nfv/memory.h"

/* The property's text */

static void test_parse_valid(void)
{
    static const struct {
        const char *text;
        OnOffAuto hugepages;
        uint64_t page_size;
        const char *format;
    } rows[] = {
        { "auto", ON_OFF_AUTO_AUTO, 0, "auto" },
        { "on", ON_OFF_AUTO_ON, 0, "on" },
        { "off", ON_OFF_AUTO_OFF, 0, "off" },
        { "2M", ON_OFF_AUTO_ON, 2 * MiB, "2M" },
        { "2m", ON_OFF_AUTO_ON, 2 * MiB, "2M" },
        { "2048K", ON_OFF_AUTO_ON, 2 * MiB, "2M" },
        { "2097152", ON_OFF_AUTO_ON, 2 * MiB, "2M" },
        { "1G", ON_OFF_AUTO_ON, GiB, "1G" },
        { "1024M", ON_OFF_AUTO_ON, GiB, "1G" },
    };

    for (int i = 0; i < ARRAY_SIZE(rows); i++) {
        /* What was there before does not show through. */
        NfvMemoryConfig config = { .hugepages = ON_OFF_AUTO_OFF,
                                   .page_size = 4096 };
        g_autofree char *text = NULL;

        g_test_message("%s", rows[i].text);
        g_assert_true(
            nfv_memory_parse_hugepages(&config, rows[i].text, &error_abort));
        g_assert_cmpint(config.hugepages, ==, rows[i].hugepages);
        g_assert_cmpuint(config.page_size, ==, rows[i].page_size);
        text = nfv_memory_format_hugepages(&config);
        g_assert_cmpstr(text, ==, rows[i].format);
    }
}

static void test_parse_invalid(void)
{
    static const char *const texts[] = { "",   "yes", "ON",  "4K",    "2",
                                         "4M", "2G",  "2MB", "2M,",   "-2M",
                                         "1T", "2M ", "0",   "auto ", "16E" };

    for (int i = 0; i < ARRAY_SIZE(texts); i++) {
        NfvMemoryConfig config = { .hugepages = ON_OFF_AUTO_ON,
                                   .page_size = GiB };
        g_autofree char *message = g_strdup_printf("hugepages=%s is not valid; "
                                                   "valid are auto, on, off, "
                                                   "2M and 1G",
                                                   texts[i]);
        Error *err = NULL;

        g_assert_false(nfv_memory_parse_hugepages(&config, texts[i], &err));
        assert_error(err, message);
        g_assert_cmpint(config.hugepages, ==, ON_OFF_AUTO_ON);
        g_assert_cmpuint(config.page_size, ==, GiB);
    }
}

/* Hosts */

#define NO_POOL -1

/* Huge pages of one size: free on node 0 and 1, and promised to others. */
typedef struct Free {
    int node[2], promised;
} Free;

static void set_pool(NfvPool *pool, uint64_t size, const Free *f)
{
    pool->page_size = size;
    pool->present = f->node[0] != NO_POOL;
    for (int n = 0; n < 2 && pool->present; n++) {
        /* One more is used. */
        pool->node_free[n] = f->node[n];
        pool->node_total[n] = f->node[n] + 1;
        pool->free += pool->node_free[n];
        pool->total += pool->node_total[n];
    }
    pool->reserved = f->promised;
}

static NfvMemoryHost *new_host(const Free *pages_2m, const Free *pages_1g)
{
    NfvMemoryHost *host = g_new0(NfvMemoryHost, 1);

    set_pool(&host->pools[0], 2 * MiB, pages_2m);
    set_pool(&host->pools[1], GiB, pages_1g);
    set_bit(0, host->nodes.bits);
    set_bit(1, host->nodes.bits);
    host->available = UINT64_MAX;
    host->lock_limit = UINT64_MAX;
    return host;
}

static void node_set(NfvNodeSet *set, const char *text)
{
    NfvCpuSet numbers;

    cpu_set(&numbers, text);
    bitmap_copy(set->bits, numbers.bits, NFV_NODES);
}

/*
 * "2M:bp 1G: T:p": size of the pages, T for transparent ones, bound and
 * populated.
 */
static char *describe(const NfvMemoryPlan *plan)
{
    GString *text = g_string_new(NULL);

    for (unsigned i = 0; i < plan->count; i++) {
        const NfvMemoryTry *t = &plan->tries[i];

        g_string_append_printf(text, "%s%s:%s%s", i ? " " : "",
                               t->page_size == 2 * MiB ? "2M" :
                               t->page_size == GiB     ? "1G" :
                               t->page_size            ? "?" :
                                                         "T",
                               t->bind ? "b" : "", t->prealloc ? "p" : "");
    }
    return g_string_free(text, false);
}

/* Plans */

#define NODE(n) "/sys/devices/system/node/node" n "/hugepages/"
#define SHORT(n, size, free) \
    "the guest needs " n " huge pages of " size "; free are " free
#define SHORT_ON(n, size, node, free)                                      \
    "the guest needs " n " huge pages of " size " on host NUMA node " node \
    "; free are " free

typedef struct PlanCase {
    const char *hugepages; /* NULL: auto */
    OnOffAuto prealloc;
    unsigned mib;      /* of the guest; 0: 2048 */
    const char *nodes; /* of the vCPUs, which are pinned; NULL: not pinned */
    Free pages_2m, pages_1g;
    unsigned available_mib; /* 0: no limit */

    const char *tries;
    /* what is kept as a shortfall, or refused if @tries is NULL */
    const char *huge_why, *huge_remedy, *prealloc_why;
} PlanCase;

static void check_shortfall(const NfvShortfall *s, const char *why,
                            const char *remedy)
{
    g_assert_cmpstr(s->why, ==, why);
    g_assert_cmpint(s->why != NULL, ==, s->remedy != NULL);
    if (remedy) {
        assert_contains(s->remedy, remedy);
    }
}

/* "property=value: " before what could not be had, and what to do about it */
static void check_refused(const PlanCase *c, Error *err)
{
    bool huge = c->huge_why;
    g_autofree char *message = g_strdup_printf(
        "%s=%s: %s", huge ? "hugepages" : "prealloc",
        huge ? c->hugepages : "on", huge ? c->huge_why : c->prealloc_why);

    assert_error(err, message);
}

static void check_plan(const PlanCase *c)
{
    g_autofree NfvMemoryHost *host = new_host(&c->pages_2m, &c->pages_1g);
    NfvMemoryConfig config = { .prealloc = c->prealloc };
    NfvMemoryNeed need = { .size = (c->mib ?: 2048) * MiB, .pinned = c->nodes };
    g_autoptr(NfvMemoryPlan) plan = NULL;
    g_autofree char *tries = NULL;
    Error *err = NULL;

    nfv_memory_parse_hugepages(&config, c->hugepages ?: "auto", &error_abort);
    node_set(&need.nodes, c->nodes ?: "none");
    if (c->available_mib) {
        host->available = c->available_mib * MiB;
    }
    plan = nfv_memory_plan(&config, &need, host, &err);
    if (!c->tries) {
        g_assert_null(plan);
        check_refused(c, err);
        return;
    }
    assert_no_error(err);
    tries = describe(plan);
    g_assert_cmpstr(tries, ==, c->tries);
    check_shortfall(&plan->hugepages, c->huge_why, c->huge_remedy);
    check_shortfall(&plan->prealloc, c->prealloc_why, NULL);
}

static void check_plans(const PlanCase *rows, unsigned count)
{
    for (unsigned i = 0; i < count; i++) {
        g_test_message("case %u: hugepages=%s", i,
                       rows[i].hugepages ?: "auto");
        check_plan(&rows[i]);
    }
}

#define AUTO ON_OFF_AUTO_AUTO
#define ON ON_OFF_AUTO_ON
#define OFF ON_OFF_AUTO_OFF

/* Which sizes are tried, where nothing is bound and all that is asked fits. */
static void test_plan_sizes(void)
{
    static const PlanCase rows[] = {
        { .pages_2m = { { 1024 } },
          .pages_1g = { { 2 } },
          .tries = "2M:p 1G:p T:" },
        { .pages_2m = { { 1024 } }, .tries = "2M:p T:" },
        { .pages_1g = { { 2 } }, .tries = "1G:p T:" },
        { .hugepages = "on",
          .pages_2m = { { 1024 } },
          .pages_1g = { { 2 } },
          .tries = "2M:p 1G:p" },
        { .hugepages = "on", .pages_1g = { { 2 } }, .tries = "1G:p" },
        { .hugepages = "2M",
          .pages_2m = { { 1024 } },
          .pages_1g = { { 2 } },
          .tries = "2M:p" },
        { .hugepages = "1G",
          .pages_2m = { { 1024 } },
          .pages_1g = { { 2 } },
          .tries = "1G:p" },
        { .hugepages = "off",
          .pages_2m = { { 1024 } },
          .pages_1g = { { 2 } },
          .tries = "T:" },
        /* Pages of all nodes count, and a size that is there on none not. */
        { .hugepages = "2M",
          .pages_2m = { { 512, 512 } },
          .pages_1g = { { NO_POOL } },
          .tries = "2M:p" },
    };

    check_plans(rows, ARRAY_SIZE(rows));
}

/* With pinned vCPUs: first bound to their nodes. */
static void test_plan_pinned(void)
{
    static const PlanCase rows[] = {
        { .nodes = "0",
          .pages_2m = { { 1024 } },
          .pages_1g = { { 2 } },
          .tries = "2M:bp 1G:bp T:bp 2M:p 1G:p T:p T:" },
        { .nodes = "0",
          .hugepages = "on",
          .pages_2m = { { 1024 } },
          .pages_1g = { { 2 } },
          .tries = "2M:bp 1G:bp 2M:p 1G:p" },
        { .nodes = "1",
          .hugepages = "2M",
          .pages_2m = { { 0, 1024 } },
          .tries = "2M:bp 2M:p" },
        { .nodes = "0-1",
          .hugepages = "2M",
          .pages_2m = { { 500, 524 } },
          .tries = "2M:bp 2M:p" },
        { .nodes = "0", .hugepages = "off", .tries = "T:bp T:p T:" },
        /* On no node that is known */
        { .nodes = "none", .hugepages = "off", .tries = "T:p T:" },
        { .nodes = "none",
          .hugepages = "1G",
          .pages_1g = { { 1, 1 } },
          .tries = "1G:p" },
    };

    check_plans(rows, ARRAY_SIZE(rows));
}

static void test_plan_prealloc(void)
{
    static const PlanCase rows[] = {
        { .prealloc = ON, .hugepages = "off", .tries = "T:p" },
        { .prealloc = OFF, .hugepages = "off", .tries = "T:" },
        { .prealloc = ON, .pages_2m = { { 1024 } }, .tries = "2M:p T:p" },
        { .prealloc = OFF, .pages_2m = { { 1024 } }, .tries = "2M: T:" },
        { .prealloc = OFF,
          .hugepages = "2M",
          .pages_2m = { { 1024 } },
          .tries = "2M:" },
        { .prealloc = ON,
          .nodes = "0",
          .hugepages = "off",
          .tries = "T:bp T:p" },
        { .prealloc = OFF,
          .nodes = "0",
          .hugepages = "off",
          .tries = "T:b T:" },
        { .prealloc = OFF,
          .nodes = "0",
          .pages_2m = { { 1024 } },
          .tries = "2M:b T:b 2M: T:" },
    };

    check_plans(rows, ARRAY_SIZE(rows));
}

/* The smallest size that was asked for has the word. */
static void test_plan_short_auto(void)
{
    static const PlanCase rows[] = {
        { .tries = "T:",
          .huge_why = SHORT("1024", "2M", "0 on node 0, 0 on node 1"),
          .huge_remedy = "echo 1026 > /sys/kernel/mm/hugepages/"
                         "hugepages-2048kB/nr_hugepages" },
        { .pages_2m = { { 600, 423 } },
          .pages_1g = { { 1 } },
          .tries = "T:",
          .huge_why = SHORT("1024", "2M", "600 on node 0, 423 on node 1"),
          .huge_remedy = "echo 1026 > " },
        /* Pages of another node do not count. */
        { .nodes = "0",
          .pages_2m = { { 1000, 1024 } },
          .tries = "T:bp T:p T:",
          .huge_why =
              SHORT_ON("1024", "2M", "0", "1000 on node 0, 1024 on node 1"),
          .huge_remedy = "echo 1025 > " NODE("0") "hugepages-2048kB/"
                                                  "nr_hugepages" },
        { .nodes = "1",
          .pages_2m = { { 1024, 10 } },
          .tries = "T:bp T:p T:",
          .huge_why =
              SHORT_ON("1024", "2M", "1", "1024 on node 0, 10 on node 1"),
          .huge_remedy = "echo 1025 > " NODE("1") "hugepages-2048kB/"
                                                  "nr_hugepages" },
        /* Nor do promised ones, wherever they are. */
        { .pages_2m = { { 1024 }, 1 },
          .tries = "T:",
          .huge_why = SHORT("1024", "2M",
                            "1024 on node 0, 0 on node 1, 1 of them promised "
                            "to others") },
        { .nodes = "0",
          .pages_2m = { { 1024, 100 }, 101 },
          .tries = "T:bp T:p T:",
          .huge_why = SHORT_ON("1024", "2M", "0",
                               "1024 on node 0, 100 on node 1, 101 of them "
                               "promised to others") },
        { .nodes = "0",
          .pages_2m = { { 1024, 100 }, 100 },
          .tries = "2M:bp T:bp 2M:p T:p T:" },
        /* More promised than free: as none free */
        { .pages_2m = { { 10, 10 }, 30 },
          .tries = "T:",
          .huge_why = SHORT("1024", "2M",
                            "10 on node 0, 10 on node 1, 30 of them promised "
                            "to others") },
        { .mib = 2049,
          .pages_2m = { { 5000 } },
          .tries = "T:",
          .huge_why = "the guest's memory of 2049 MiB is not a multiple of 2M",
          .huge_remedy = "-m 2050M" },
        { .pages_2m = { { NO_POOL } },
          .pages_1g = { { NO_POOL } },
          .tries = "T:",
          .huge_why = "this host's kernel has no huge pages of 2M",
          .huge_remedy = "hugetlbfs" },
        /* One of two sizes suffices; nothing is short then. */
        { .pages_2m = { { NO_POOL } },
          .pages_1g = { { 2 } },
          .tries = "1G:p T:" },
        { .mib = 1536,
          .pages_2m = { { 768 } },
          .pages_1g = { { 2 } },
          .tries = "2M:p T:" },
    };

    check_plans(rows, ARRAY_SIZE(rows));
}

static void test_plan_short_on(void)
{
    static const PlanCase rows[] = {
        { .hugepages = "on",
          .huge_why = SHORT("1024", "2M", "0 on node 0, 0 on node 1") },
        { .hugepages = "2M",
          .pages_1g = { { 2 } },
          .huge_why = SHORT("1024", "2M", "0 on node 0, 0 on node 1") },
        { .hugepages = "1G",
          .pages_2m = { { 1024 } },
          .pages_1g = { { 1 } },
          .huge_why = SHORT("2", "1G", "1 on node 0, 0 on node 1") },
        { .hugepages = "1G",
          .nodes = "1",
          .pages_1g = { { 2, 1 } },
          .huge_why = SHORT_ON("2", "1G", "1", "2 on node 0, 1 on node 1") },
        { .hugepages = "1G",
          .nodes = "0-1",
          .pages_1g = { { 1, 0 } },
          .huge_why = SHORT_ON("2", "1G", "0-1", "1 on node 0, 0 on node 1") },
        { .hugepages = "1G",
          .mib = 2050,
          .pages_1g = { { 8 } },
          .huge_why = "the guest's memory of 2050 MiB is not a multiple of "
                      "1G" },
        { .hugepages = "1G",
          .pages_2m = { { 1024 } },
          .pages_1g = { { NO_POOL } },
          .huge_why = "this host's kernel has no huge pages of 1G" },
        { .hugepages = "on",
          .prealloc = OFF,
          .nodes = "0",
          .pages_2m = { { 1023, 1 } },
          .pages_1g = { { 1, 1 } },
          .huge_why =
              SHORT_ON("1024", "2M", "0", "1023 on node 0, 1 on node 1") },
    };

    check_plans(rows, ARRAY_SIZE(rows));
}

#define TOO_LITTLE                                                        \
    "the guest's memory of 2048 MiB is more than the 2047 MiB that this " \
    "host has available"

static void test_plan_available(void)
{
    static const PlanCase rows[] = {
        { .hugepages = "off",
          .nodes = "0",
          .available_mib = 2048,
          .tries = "T:bp T:p T:" },
        { .hugepages = "off",
          .nodes = "0",
          .available_mib = 2047,
          .tries = "T:b T:",
          .prealloc_why = TOO_LITTLE },
        { .hugepages = "off",
          .prealloc = ON,
          .available_mib = 2047,
          .prealloc_why = TOO_LITTLE },
        /* It is not populated anyway. */
        { .hugepages = "off", .available_mib = 2047, .tries = "T:" },
        { .hugepages = "off",
          .nodes = "0",
          .prealloc = OFF,
          .available_mib = 2047,
          .tries = "T:b T:" },
        /* Huge pages are set aside; only what is tried after them is not. */
        { .hugepages = "2M",
          .nodes = "0",
          .pages_2m = { { 1024 } },
          .available_mib = 2047,
          .tries = "2M:bp 2M:p" },
        { .nodes = "0",
          .pages_2m = { { 1024 } },
          .available_mib = 2047,
          .tries = "2M:bp T:b 2M:p T:",
          .prealloc_why = TOO_LITTLE },
        { .prealloc = ON,
          .nodes = "0",
          .pages_2m = { { 1024 } },
          .available_mib = 2047,
          .tries = "2M:bp 2M:p",
          .prealloc_why = TOO_LITTLE },
    };

    check_plans(rows, ARRAY_SIZE(rows));
}

/* A host that does not tell its nodes */
static void test_plan_no_nodes(void)
{
    g_autofree NfvMemoryHost *host =
        new_host(&(Free) { { 31 } }, &(Free) { { NO_POOL } });
    NfvMemoryConfig config = { .hugepages = ON };
    NfvMemoryNeed need = { .size = 64 * MiB };
    g_autoptr(NfvMemoryPlan) plan = NULL;
    g_autofree char *tries = NULL;
    Error *err = NULL;

    bitmap_zero(host->nodes.bits, NFV_NODES);
    g_assert_null(nfv_memory_plan(&config, &need, host, &err));
    assert_error(err, "hugepages=on: the guest needs 32 huge pages of 2M; free "
                      "are 31");
    host->pools[0].free = 32;
    plan = nfv_memory_plan(&config, &need, host, &error_abort);
    tries = describe(plan);
    g_assert_cmpstr(tries, ==, "2M:p");
}

/* Locking */

static void test_lock(void)
{
    static const struct {
        OnOffAuto lock;
        bool pinned, may_lock;
        int limit_mib; /* the guest has 64; -1: no limit */
        bool unplugs;
        NfvTuningState state;
        const char *why;
    } rows[] = {
        { OFF, true, true, -1, false, NFV_TUNING_STATE_OFF },
        { OFF, true, true, -1, true, NFV_TUNING_STATE_OFF },
        { OFF, false, false, 0, true, NFV_TUNING_STATE_OFF },

        { AUTO, false, true, -1, false, NFV_TUNING_STATE_OFF },
        { AUTO, false, false, 0, true, NFV_TUNING_STATE_OFF },
        { AUTO, true, true, -1, false, NFV_TUNING_STATE_APPLIED },
        { AUTO, true, true, 0, false, NFV_TUNING_STATE_APPLIED },
        { AUTO, true, false, -1, false, NFV_TUNING_STATE_APPLIED },
        { AUTO, true, false, 63, false, NFV_TUNING_STATE_UNAVAILABLE,
          "QEMU may lock 64512 KiB (RLIMIT_MEMLOCK) and has no CAP_IPC_LOCK; "
          "the guest has 65536 KiB" },
        /* What is mapped later counts, too. */
        { AUTO, true, false, 64, false, NFV_TUNING_STATE_UNAVAILABLE,
          "QEMU may lock 65536 KiB" },
        { AUTO, true, false, 4096, false, NFV_TUNING_STATE_UNAVAILABLE,
          "QEMU may lock" },
        { AUTO, true, true, -1, true, NFV_TUNING_STATE_UNAVAILABLE,
          "virtio-mem" },

        { ON, false, true, -1, false, NFV_TUNING_STATE_APPLIED },
        { ON, false, true, 0, false, NFV_TUNING_STATE_APPLIED },
        { ON, true, false, -1, false, NFV_TUNING_STATE_APPLIED },
        { ON, true, false, 64, false, NFV_TUNING_STATE_APPLIED },
        { ON, true, false, 63, false, NFV_TUNING_STATE_UNAVAILABLE,
          "QEMU may lock 64512 KiB" },
        { ON, false, false, 0, false, NFV_TUNING_STATE_UNAVAILABLE,
          "QEMU may lock 0 KiB" },
        { ON, false, true, -1, true, NFV_TUNING_STATE_UNAVAILABLE,
          "virtio-mem" },
    };

    for (int i = 0; i < ARRAY_SIZE(rows); i++) {
        NfvMemoryConfig config = { .lock = rows[i].lock };
        NfvMemoryNeed need = { .size = 64 * MiB, .pinned = rows[i].pinned };
        g_autofree NfvMemoryHost *host = g_new0(NfvMemoryHost, 1);
        g_autofree char *why = NULL, *remedy = NULL;
        NfvShortfall s = { 0 };
        NfvTuningState state;

        g_test_message("case %d", i);
        host->may_lock = rows[i].may_lock;
        host->lock_limit =
            rows[i].limit_mib < 0 ? UINT64_MAX : rows[i].limit_mib * MiB;
        state = nfv_memory_lock(&config, &need, host, rows[i].unplugs, &s);
        why = s.why;
        remedy = s.remedy;
        g_assert_cmpstr(NfvTuningState_str(state), ==,
                        NfvTuningState_str(rows[i].state));
        if (rows[i].why) {
            assert_contains(why, rows[i].why);
            g_assert_nonnull(remedy);
        } else {
            g_assert_null(why);
            g_assert_null(remedy);
        }
    }
}

/* Backends of the user's */

static void test_check(void)
{
    static const char hugepages[] = "hugepages", prealloc[] = "prealloc";
    static const struct {
        const char *hugepages;
        OnOffAuto prealloc;
        uint64_t page_size;
        bool populated;
        const char *contradicts;
    } rows[] = {
        { "auto", AUTO, 4 * KiB, false },
        { "auto", AUTO, GiB, true },
        { "on", AUTO, 2 * MiB, false },
        { "on", AUTO, GiB, false },
        { "on", AUTO, 4 * KiB, false, hugepages },
        { "on", AUTO, 64 * KiB, true, hugepages },
        { "off", AUTO, 4 * KiB, true },
        { "off", AUTO, 2 * MiB, true, hugepages },
        { "off", AUTO, GiB, true, hugepages },
        { "2M", AUTO, 2 * MiB, true },
        { "2M", AUTO, GiB, true, hugepages },
        { "2M", AUTO, 4 * KiB, true, hugepages },
        { "1G", AUTO, GiB, true },
        { "1G", AUTO, 2 * MiB, true, hugepages },
        { "auto", ON, 4 * KiB, true },
        { "auto", ON, 4 * KiB, false, prealloc },
        { "auto", OFF, 4 * KiB, false },
        { "auto", OFF, 4 * KiB, true, prealloc },
        { "2M", ON, 2 * MiB, false, prealloc },
        { "2M", OFF, 2 * MiB, false },
        { "2M", OFF, GiB, true, hugepages },
    };

    for (int i = 0; i < ARRAY_SIZE(rows); i++) {
        NfvMemoryConfig config = { .prealloc = rows[i].prealloc };
        NfvMemoryGiven given = { "mem7", rows[i].page_size,
                                 rows[i].populated };
        g_autofree char *message = NULL;
        Error *err = NULL;
        bool ok;

        g_test_message("case %d", i);
        nfv_memory_parse_hugepages(&config, rows[i].hugepages, &error_abort);
        ok = nfv_memory_check(&config, &given, &err);
        g_assert_cmpint(ok, ==, !rows[i].contradicts);
        if (ok) {
            assert_no_error(err);
        } else if (rows[i].contradicts == hugepages) {
            message =
                g_strdup_printf("hugepages=%s contradicts memory backend "
                                "'mem7', whose pages "
                                "have %" PRIu64 " KiB",
                                rows[i].hugepages, rows[i].page_size / KiB);
            assert_error(err, message);
        } else {
            message = g_strdup_printf("prealloc=%s contradicts memory backend "
                                      "'mem7', which has "
                                      "prealloc=%s",
                                      OnOffAuto_str(rows[i].prealloc),
                                      rows[i].populated ? "on" : "off");
            assert_error(err, message);
        }
    }
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    g_test_add_func("/nfv/memory/parse/valid", test_parse_valid);
    g_test_add_func("/nfv/memory/parse/invalid", test_parse_invalid);
    g_test_add_func("/nfv/memory/plan/sizes", test_plan_sizes);
    g_test_add_func("/nfv/memory/plan/pinned", test_plan_pinned);
    g_test_add_func("/nfv/memory/plan/prealloc", test_plan_prealloc);
    g_test_add_func("/nfv/memory/plan/short/auto", test_plan_short_auto);
    g_test_add_func("/nfv/memory/plan/short/on", test_plan_short_on);
    g_test_add_func("/nfv/memory/plan/available", test_plan_available);
    g_test_add_func("/nfv/memory/plan/no-nodes", test_plan_no_nodes);
    g_test_add_func("/nfv/memory/lock", test_lock);
    g_test_add_func("/nfv/memory/check", test_check);
    return g_test_run();
}
