/*
 * Unit tests: memory of hosts that are made up
 *
 * Copyright (c) 2026 the kvm4nfv authors
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "qemu/osdep.h"
#include <sys/resource.h>
#include "qemu/units.h"
#include "nfv/cpus.h"
#include "nfv/fakeroot.h"
#include "hw/nfv/memhost.h"

#define KERNEL "/sys/kernel/mm/hugepages/"
#define NODE(n) "/sys/devices/system/node/node" n "/hugepages/"
#define ONLINE "/sys/devices/system/node/online"
#define SMALL "hugepages-2048kB/"
#define LARGE "hugepages-1048576kB/"
#define CGROUP "/sys/fs/cgroup"

static void assert_nodes(const NfvNodeSet *set, const char *expected)
{
    g_autofree char *text = nfv_nodeset_format(set);

    g_assert_cmpstr(text, ==, expected);
}

static void test_format(void)
{
    static const struct {
        const char *nodes, *text;
    } cases[] = {
        { "none", "none" }, { "0", "0" },     { "0-1", "0-1" },
        { "3:0", "0,3" },   { "127", "127" },
    };

    for (int i = 0; i < ARRAY_SIZE(cases); i++) {
        NfvNodeSet set;
        NfvCpuSet numbers;

        cpu_set(&numbers, cases[i].nodes);
        bitmap_copy(set.bits, numbers.bits, NFV_NODES);
        assert_nodes(&set, cases[i].text);
    }
}

static void test_two_nodes(void)
{
    g_auto(Fake) fake = { NULL };
    g_autofree NfvMemoryHost *host = NULL;
    const NfvPool *small, *large;

    fake_new(&fake);
    fake_write(&fake, ONLINE, "0-1\n");
    fake_write(&fake, KERNEL SMALL "nr_hugepages", "100\n");
    fake_write(&fake, KERNEL SMALL "free_hugepages", "90\n");
    fake_write(&fake, KERNEL SMALL "resv_hugepages", "7\n");
    fake_write(&fake, NODE("0") SMALL "nr_hugepages", "64\n");
    fake_write(&fake, NODE("0") SMALL "free_hugepages", "60\n");
    fake_write(&fake, NODE("1") SMALL "nr_hugepages", "36\n");
    fake_write(&fake, NODE("1") SMALL "free_hugepages", "30\n");
    fake_write(&fake, KERNEL LARGE "nr_hugepages", "5\n");
    fake_write(&fake, KERNEL LARGE "free_hugepages", "3\n");
    fake_write(&fake, KERNEL LARGE "resv_hugepages", "0\n");
    fake_write(&fake, NODE("0") LARGE "nr_hugepages", "1\n");
    fake_write(&fake, NODE("0") LARGE "free_hugepages", "0\n");
    fake_write(&fake, NODE("1") LARGE "nr_hugepages", "4\n");
    fake_write(&fake, NODE("1") LARGE "free_hugepages", "3\n");
    /* Not online */
    fake_write(&fake, NODE("2") SMALL "free_hugepages", "999\n");
    host = nfv_memory_host_read(fake.root);

    assert_nodes(&host->nodes, "0-1");
    small = &host->pools[0];
    g_assert_cmpuint(small->page_size, ==, 2 * MiB);
    g_assert_true(small->present);
    g_assert_cmpuint(small->total, ==, 100);
    g_assert_cmpuint(small->free, ==, 90);
    g_assert_cmpuint(small->reserved, ==, 7);
    g_assert_cmpuint(small->node_total[0], ==, 64);
    g_assert_cmpuint(small->node_free[0], ==, 60);
    g_assert_cmpuint(small->node_total[1], ==, 36);
    g_assert_cmpuint(small->node_free[1], ==, 30);
    g_assert_cmpuint(small->node_free[2], ==, 0);
    large = &host->pools[1];
    g_assert_cmpuint(large->page_size, ==, GiB);
    g_assert_true(large->present);
    g_assert_cmpuint(large->total, ==, 5);
    g_assert_cmpuint(large->free, ==, 3);
    g_assert_cmpuint(large->reserved, ==, 0);
    g_assert_cmpuint(large->node_total[0], ==, 1);
    g_assert_cmpuint(large->node_free[0], ==, 0);
    g_assert_cmpuint(large->node_total[1], ==, 4);
    g_assert_cmpuint(large->node_free[1], ==, 3);
}

/* A size that the kernel has, and of which there is no page */
static void test_none_free(void)
{
    g_auto(Fake) fake = { NULL };
    g_autofree NfvMemoryHost *host = NULL;

    fake_new(&fake);
    fake_write(&fake, KERNEL SMALL "free_hugepages", "0\n");
    host = nfv_memory_host_read(fake.root);
    assert_nodes(&host->nodes, "none");
    g_assert_true(host->pools[0].present);
    g_assert_cmpuint(host->pools[0].free, ==, 0);
    g_assert_false(host->pools[1].present);
}

static void assert_nothing(const Fake *fake)
{
    g_autofree NfvMemoryHost *host = nfv_memory_host_read(fake->root);

    assert_nodes(&host->nodes, "none");
    for (int i = 0; i < NFV_POOLS; i++) {
        g_assert_false(host->pools[i].present);
        g_assert_cmpuint(host->pools[i].total, ==, 0);
        g_assert_cmpuint(host->pools[i].free, ==, 0);
        g_assert_cmpuint(host->pools[i].reserved, ==, 0);
    }
    g_assert_cmpuint(host->available, ==, UINT64_MAX);
}

static void test_missing(void)
{
    g_auto(Fake) fake = { NULL };

    fake_new(&fake);
    assert_nothing(&fake);
}

static void test_garbage(void)
{
    static const char *const texts[] = { "", "\n", "x\n", "1x\n", "0-\n" };
    g_auto(Fake) fake = { NULL };

    fake_new(&fake);
    for (int i = 0; i < ARRAY_SIZE(texts); i++) {
        g_test_message("'%s'", texts[i]);
        fake_write(&fake, ONLINE, *texts[i] == '1' ? "x\n" : texts[i]);
        fake_write(&fake, KERNEL SMALL "nr_hugepages", texts[i]);
        fake_write(&fake, KERNEL SMALL "free_hugepages", texts[i]);
        fake_write(&fake, KERNEL SMALL "resv_hugepages", texts[i]);
        fake_write(&fake, "/proc/meminfo", texts[i]);
        fake_write(&fake, "/proc/self/cgroup", texts[i]);
        assert_nothing(&fake);
    }
}

#define MEMINFO                     \
    "MemTotal:       16000000 kB\n" \
    "MemFree:          500000 kB\n" \
    "MemAvailable:    8000000 kB\n" \
    "Buffers:          100000 kB\n"
#define MEMINFO_BYTES (8000000 * (uint64_t)KiB)

/* NULL: no such file. */
static void test_available(void)
{
    static const struct {
        const char *meminfo, *cgroup;
        const char *root_max, *outer_max, *outer_now, *inner_max, *inner_now;
        uint64_t available;
    } cases[] = {
        { MEMINFO, .available = MEMINFO_BYTES },
        { "MemFree: 5 kB\n", .available = UINT64_MAX },
        { "MemAvailable: 5 kB\n", .available = 5 * KiB },
        { "MemAvailable: x kB\n", .available = UINT64_MAX },

        /* No limit, or one that is larger */
        { MEMINFO, "0::/a/b\n", .available = MEMINFO_BYTES },
        { MEMINFO, "0::/a/b\n", .inner_max = "max\n", .inner_now = "5\n",
          .outer_max = "max\n", .available = MEMINFO_BYTES },
        { MEMINFO, "0::/a/b\n", .inner_max = "99999999999999\n",
          .available = MEMINFO_BYTES },

        /* Its own, that around it, and the root's in a namespace */
        { MEMINFO, "0::/a/b\n", .inner_max = "1000\n", .inner_now = "400\n",
          .available = 600 },
        { MEMINFO, "0::/a/b\n", .inner_max = "1000\n", .inner_now = "400\n",
          .outer_max = "max\n", .outer_now = "9999\n", .available = 600 },
        { MEMINFO, "0::/a/b\n", .inner_max = "max\n", .inner_now = "400\n",
          .outer_max = "1000\n", .outer_now = "700\n", .available = 300 },
        { MEMINFO, "0::/a/b\n", .inner_max = "1000\n", .inner_now = "400\n",
          .outer_max = "1000\n", .outer_now = "700\n", .available = 300 },
        { MEMINFO, "0::/a/b\n", .inner_max = "1000\n", .inner_now = "900\n",
          .outer_max = "1000\n", .outer_now = "700\n", .available = 100 },
        { MEMINFO, "0::/a/b\n", .root_max = "77\n", .inner_max = "1000\n",
          .available = 77 },
        { MEMINFO, "0::/\n", .root_max = "77\n", .inner_max = "5\n",
          .available = 77 },
        { "", "0::/a\n", .outer_max = "66\n", .inner_max = "5\n",
          .available = 66 },

        /* More used than allowed: nothing, not a wrapped number */
        { MEMINFO, "0::/a/b\n", .inner_max = "100\n", .inner_now = "101\n",
          .available = 0 },

        /* Lines of cgroup v1 beside it, and such that only look like it */
        { MEMINFO, "4:memory:/x\n1:cpu:/\n0::/a/b\n", .inner_max = "50\n",
          .available = 50 },
        { MEMINFO, "10::/a/b\n", .inner_max = "50\n",
          .available = MEMINFO_BYTES },
        { MEMINFO, "4:memory:/a/b\n", .inner_max = "50\n",
          .available = MEMINFO_BYTES },
    };

    for (int i = 0; i < ARRAY_SIZE(cases); i++) {
        g_auto(Fake) fake = { NULL };
        g_autofree NfvMemoryHost *host = NULL;
        const struct {
            const char *path, *text;
        } files[] = {
            { "/proc/meminfo", cases[i].meminfo },
            { "/proc/self/cgroup", cases[i].cgroup },
            { CGROUP "/memory.max", cases[i].root_max },
            { CGROUP "/a/memory.max", cases[i].outer_max },
            { CGROUP "/a/memory.current", cases[i].outer_now },
            { CGROUP "/a/b/memory.max", cases[i].inner_max },
            { CGROUP "/a/b/memory.current", cases[i].inner_now },
        };

        g_test_message("case %d", i);
        fake_new(&fake);
        for (int f = 0; f < ARRAY_SIZE(files); f++) {
            if (files[f].text) {
                fake_write(&fake, files[f].path, files[f].text);
            }
        }
        host = nfv_memory_host_read(fake.root);
        g_assert_cmpuint(host->available, ==, cases[i].available);
    }
}

/* The limit is the test's own; lowering it can be undone. */
static void test_lock_limit(void)
{
    g_auto(Fake) fake = { NULL };
    struct rlimit before, lowered;
    rlim_t limits[3] = { 0, 4096 };

    fake_new(&fake);
    g_assert_cmpint(getrlimit(RLIMIT_MEMLOCK, &before), ==, 0);
    limits[2] = before.rlim_max;
    lowered = before;
    for (int i = 0; i < ARRAY_SIZE(limits); i++) {
        g_autofree NfvMemoryHost *host = NULL;

        lowered.rlim_cur = MIN(limits[i], before.rlim_max);
        g_assert_cmpint(setrlimit(RLIMIT_MEMLOCK, &lowered), ==, 0);
        host = nfv_memory_host_read(fake.root);
        g_assert_cmpint(setrlimit(RLIMIT_MEMLOCK, &before), ==, 0);
        g_assert_cmpuint(
            host->lock_limit, ==,
            lowered.rlim_cur == RLIM_INFINITY ? UINT64_MAX : lowered.rlim_cur);
    }
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    g_test_add_func("/nfv/memhost/format", test_format);
    g_test_add_func("/nfv/memhost/two-nodes", test_two_nodes);
    g_test_add_func("/nfv/memhost/none-free", test_none_free);
    g_test_add_func("/nfv/memhost/missing", test_missing);
    g_test_add_func("/nfv/memhost/garbage", test_garbage);
    g_test_add_func("/nfv/memhost/available", test_available);
    g_test_add_func("/nfv/memhost/lock-limit", test_lock_limit);
    return g_test_run();
}
