/*
 * Memory of the guest: huge, bound, populated and locked as it was asked for
 *
 * Copyright (c) 2026 the kvm4nfv authors
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "qemu/osdep.h"
#include <glib/gstdio.h>
#include "libqtest.h"
#include "nfv/host.h"
#include "nfv/hugepages.h"
#include "nfv/memory.h"
#include "nfv/process.h"
#include "nfv/setup.h"
#include "nfv/thread.h"
#include "qobject/qdict.h"

#define MIB (1024 * 1024)
#define RAM_MIB 64 /* 32 huge pages */

/* Without a guest that runs; -m is the caller's. */
static QTestState *start(const char *root, const char *properties,
                         const char *options)
{
    return qtest_initf("-M nfv,x-host-root=%s,%s -nodefaults -S %s", root,
                       properties, options);
}

/* Huge pages */

/*
 * The guest has @ram_mib in pages of @kib, all populated and locked, by
 * @properties and by none.
 */
static void check_huge(unsigned kib, unsigned ram_mib, const char *properties)
{
    g_autofree char *options = g_strdup_printf("-nodefaults -m %u", ram_mib);
    g_auto(NfvSetup) s = { NULL };
    NfvGuestRam ram;
    QTestState *qts;

    if (!nfv_setup_init(&s)) {
        return;
    }
    g_test_message("%s", properties);
    /* The real host's huge pages. */
    qts = qtest_initf("-M nfv,vcpu-cpus=%s,rt=off%s -S %s", s.first, properties,
                      options);
    nfv_guest_ram_check(qts, "pc.ram", 0, &ram);
    g_assert_cmpuint(ram.page_kib, ==, kib);
    g_assert_cmpuint(ram.populated, ==, ram.size);
    g_assert_cmpuint(ram.locked, ==, ram.size);
    if (*ram.policy) {
        g_assert_cmpstr(ram.policy, ==, "bind:0");
        g_assert_cmpuint(ram.on_node0, ==, ram.size);
    }
    nfv_test_tuning(qts, "hugepages", "applied", NULL);
    nfv_test_tuning(qts, "mem-bind", "applied", NULL);
    nfv_test_tuning(qts, "prealloc", "applied", NULL);
    nfv_test_tuning(qts, "mem-lock", "applied", NULL);
    qtest_quit(qts);
}

/* Expectations of the binding are for such hosts. */
static bool has_one_node(void)
{
    if (g_file_test("/sys/devices/system/node/node1", G_FILE_TEST_EXISTS)) {
        g_test_skip("this host has several NUMA nodes");
        return false;
    }
    return true;
}

static void test_huge_2m(void)
{
    if (has_one_node() && nfv_huge_reserve(2048, RAM_MIB / 2)) {
        check_huge(2048, RAM_MIB, "");
        check_huge(2048, RAM_MIB, ",hugepages=2M");
        check_huge(2048, RAM_MIB, ",hugepages=on,prealloc=on");
    }
    nfv_huge_release();
}

static void test_huge_1g(void)
{
    if (has_one_node() && nfv_huge_reserve(1048576, 1)) {
        check_huge(1048576, 1024, ",hugepages=1G");
    }
    nfv_huge_release();
}

/* Huge pages are populated without pinned vCPUs, too; and not with "off". */
static void test_huge_unpinned(void)
{
    static const struct {
        const char *properties;
        bool populated;
    } rows[] = {
        { "hugepages=2M", true },
        { "hugepages=2M,prealloc=off", false },
    };

    for (int i = 0; i < ARRAY_SIZE(rows); i++) {
        NfvGuestRam ram;
        const char *state = rows[i].populated ? "applied" : "off";
        QTestState *qts;

        if (!nfv_huge_reserve(2048, RAM_MIB / 2)) {
            return;
        }
        qts = qtest_initf("-M nfv,%s -nodefaults -S -m %u", rows[i].properties,
                          RAM_MIB);
        nfv_guest_ram_check(qts, "pc.ram", 0, &ram);
        g_assert_cmpuint(ram.page_kib, ==, 2048);
        if (rows[i].populated) {
            g_assert_cmpuint(ram.populated, ==, ram.size);
        } else {
            g_assert_cmpuint(ram.populated, <, ram.size);
        }
        nfv_test_tuning(qts, "prealloc", state, NULL);
        qtest_quit(qts);
        nfv_huge_release();
    }
}

/* Small pages */

static void test_small(void)
{
    static const struct {
        const char *properties;
        bool populated;
        const char *hugepages, *prealloc, *lock;
    } rows[] = {
        { "hugepages=off,mem-lock=off", true, "off", "applied", "off" },
        { "hugepages=off,mem-lock=off,prealloc=on", true, "off", "applied",
          "off" },
        { "hugepages=off,mem-lock=off,prealloc=off", false, "off", "off",
          "off" },
    };
    g_auto(NfvSetup) s = { NULL };

    if (!has_one_node() || !nfv_setup_init(&s)) {
        return;
    }
    for (int i = 0; i < ARRAY_SIZE(rows); i++) {
        g_autofree char *properties =
            g_strdup_printf("rt=off,%s", rows[i].properties);
        NfvGuestRam ram;
        QTestState *qts =
            nfv_setup_start(&s, "qtest", properties, "-nodefaults -m 64");

        nfv_guest_ram_check(qts, "pc.ram", 0, &ram);
        g_assert_cmpuint(ram.page_kib, ==, qemu_real_host_page_size() / 1024);
        g_assert_cmpuint(ram.locked, ==, 0);
        if (rows[i].populated) {
            g_assert_cmpuint(ram.populated, ==, ram.size);
        } else {
            g_assert_cmpuint(ram.populated, <, ram.size);
        }
        nfv_test_tuning(qts, "hugepages", rows[i].hugepages, NULL);
        nfv_test_tuning(qts, "prealloc", rows[i].prealloc, NULL);
        nfv_test_tuning(qts, "mem-lock", rows[i].lock, NULL);
        qtest_quit(qts);
    }
}

/*
 * Without pinned vCPUs nothing is populated, locked or bound, unless asked for.
 */
static void test_unpinned(void)
{
    g_auto(NfvTestRoot) root = nfv_test_root_new();
    QTestState *qts = start(root, "hugepages=off", "-m 64");
    NfvGuestRam ram;

    nfv_guest_ram_check(qts, "pc.ram", 0, &ram);
    g_assert_cmpuint(ram.populated, <, ram.size);
    g_assert_cmpuint(ram.locked, ==, 0);
    g_assert_cmpstr(ram.policy, !=, "bind:0");
    nfv_test_tuning(qts, "prealloc", "off", NULL);
    nfv_test_tuning(qts, "mem-lock", "off", NULL);
    qtest_quit(qts);

    qts = start(root, "hugepages=off,prealloc=on", "-m 64");
    nfv_guest_ram_check(qts, "pc.ram", 0, &ram);
    g_assert_cmpuint(ram.populated, ==, ram.size);
    nfv_test_tuning(qts, "prealloc", "applied", NULL);
    qtest_quit(qts);
}

static void test_lock(void)
{
    static const char *const locks[] = { "-M nfv,hugepages=off,prealloc=on,"
                                         "mem-lock=on",
                                         "-M nfv,hugepages=off "
                                         "-overcommit mem-lock=on",
                                         "-M nfv,hugepages=off,mem-lock=off,"
                                         "prealloc=on "
                                         "-overcommit mem-lock=on-fault" };

    if (!nfv_test_may_lock(2 * RAM_MIB * MIB)) {
        return;
    }
    for (int i = 0; i < ARRAY_SIZE(locks); i++) {
        QTestState *qts = qtest_initf("%s -nodefaults -S -m 64", locks[i]);
        NfvGuestRam ram;

        nfv_guest_ram_check(qts, "pc.ram", 0, &ram);
        g_assert_cmpuint(ram.populated, ==, ram.size);
        g_assert_cmpuint(ram.locked, ==, ram.size);
        nfv_test_tuning(qts, "mem-lock", "applied", NULL);
        qtest_quit(qts);
    }
}

/*
 * Threads can start after QEMU gave up the privilege to lock: with
 * mem-lock=auto nothing is locked where a limit would then stop them.
 */
static void test_lock_user(void)
{
    g_auto(NfvSetup) s = { NULL };
    QTestState *qts;

    if (geteuid()) {
        g_test_skip("-run-with user= needs root");
        return;
    }
    if (!nfv_setup_init(&s)) {
        return;
    }
    qts = nfv_setup_start(&s, "qtest", "rt=off,hugepages=off",
                          "-nodefaults -m 64 -run-with user=nobody");
    for (int i = 0; i < 4; i++) {
        g_autofree char *id = g_strdup_printf("io%d", i);

        qtest_qmp_assert_success(qts,
                                 "{ 'execute': 'object-add', 'arguments': {"
                                 " 'qom-type': 'iothread', 'id': %s } }",
                                 id);
    }
    qtest_quit(qts);
}

/* Refusals */

#define HUGE "/sys/kernel/mm/hugepages/hugepages-"
#define NODE(n) "/sys/devices/system/node/node" n
#define ONLINE_NODES "/sys/devices/system/node/online"

/* Free pages of one size on each of two nodes. */
static void write_pools(const char *root, const char *size, unsigned free0,
                        unsigned free1)
{
    const unsigned pages[] = { free0 + free1, free0, free1 };
    const char *const dirs[] = { "/sys/kernel/mm", NODE("0"), NODE("1") };

    nfv_test_root_write(root, ONLINE_NODES, "0-1\n");
    for (int i = 0; i < ARRAY_SIZE(dirs); i++) {
        g_autofree char *text = g_strdup_printf("%u\n", pages[i]);
        g_autofree char *nr = g_strdup_printf(
            "%s/hugepages/hugepages-%s/nr_hugepages", dirs[i], size);
        g_autofree char *free_file = g_strdup_printf(
            "%s/hugepages/hugepages-%s/free_hugepages", dirs[i], size);

        nfv_test_root_write(root, nr, text);
        nfv_test_root_write(root, free_file, text);
    }
}

static void test_refused_pages(void)
{
    static const struct {
        const char *properties, *options;
        NfvWords words;
    } rows[] = {
        { "hugepages=2M",
          "-m 64",
          { "hugepages=2M: the guest needs 32 huge pages of 2M; free are 10 on "
            "node 0, 5 on node 1",
            "echo 32 > " HUGE "2048kB/nr_hugepages", "hugepages=auto" } },
        { "hugepages=on",
          "-m 64",
          { "hugepages=on: the guest needs 32 huge pages of 2M", "free are 10 "
                                                                 "on node 0, 5 "
                                                                 "on node "
                                                                 "1" } },
        { "hugepages=1G",
          "-m 2G",
          { "hugepages=1G: the guest needs 2 huge pages of 1G; free are 1 on "
            "node 0, 0 on node 1",
            "echo 2 > " HUGE "1048576kB/nr_hugepages" } },
        { "hugepages=2M",
          "-m 63",
          { "the guest's memory of 63 MiB is not a multiple of 2M", "-m "
                                                                    "64M" } },
        { "hugepages=1G",
          "-m 1536",
          { "the guest's memory of 1536 MiB is not a multiple of 1G", "-m "
                                                                      "2048"
                                                                      "M" } },
    };
    g_auto(NfvTestRoot) root = nfv_test_root_new();

    write_pools(root, "2048kB", 10, 5);
    write_pools(root, "1048576kB", 1, 0);
    for (int i = 0; i < ARRAY_SIZE(rows); i++) {
        nfv_test_refused(root, rows[i].properties, rows[i].options,
                         rows[i].words);
    }
}

/* Enough pages, but on the other node than the vCPU. */
static void test_refused_node(void)
{
    static const NfvWords words = { "the guest needs 32 huge pages of 2M on "
                                    "host NUMA node 1; free are 40 "
                                    "on node 0, 31 on node 1",
                                    "echo 32 > "
                                    "/sys/devices/system/node/node1/hugepages/"
                                    "hugepages-2048kB/"
                                    "nr_hugepages" };
    g_auto(NfvSetup) s = { NULL };
    g_autofree char *properties = NULL, *cpus = NULL;

    if (!nfv_setup_init(&s)) {
        return;
    }
    properties = g_strdup_printf("vcpu-cpus=%s,rt=off,hugepages=2M", s.first);
    cpus = g_strdup_printf("%s\n", s.first);
    write_pools(s.root, "2048kB", 40, 31);
    nfv_test_root_write(s.root, NODE("0/cpulist"), s.rest);
    nfv_test_root_write(s.root, NODE("1/cpulist"), cpus);
    nfv_test_refused(s.root, properties, "-m 64", words);
}

static void test_refused_kernel(void)
{
    static const NfvWords words = { "hugepages=2M: this host's kernel has no "
                                    "huge pages of 2M" };
    g_auto(NfvTestRoot) root = nfv_test_root_new();

    nfv_test_refused(root, "hugepages=2M", "-m 64", words);
}

static void test_refused_available(void)
{
    static const NfvWords words = { "prealloc=on: the guest's memory of 64 MiB "
                                    "is more than the 63 MiB",
                                    "prealloc=auto" };
    g_auto(NfvTestRoot) root = nfv_test_root_new();

    nfv_test_root_write(root, "/proc/meminfo", "MemAvailable: 64512 kB\n");
    nfv_test_refused(root, "prealloc=on", "-m 64", words);
}

/* The files say that there are pages, and the kernel has none. */
static void test_refused_late(void)
{
    static const NfvWords words = { "guest memory in 1 GiB huge pages" };
    g_auto(NfvTestRoot) root = nfv_test_root_new();

    write_pools(root, "1048576kB", 4096, 0);
    nfv_test_refused(root, "hugepages=1G", "-m 4096G", words);
}

static void test_refused_values(void)
{
    static const struct {
        const char *properties;
        NfvWords words;
    } rows[] = {
        { "hugepages=4M",
          { "hugepages=4M is not valid", "auto, on, off, 2M and 1G" } },
        { "hugepages=", { "hugepages= is not valid" } },
        { "hugepages=yes", { "hugepages=yes is not valid" } },
        { "prealloc=maybe", { "prealloc", "maybe" } },
        { "prealloc=", { "prealloc" } },
        { "mem-lock=2M", { "mem-lock", "2M" } },
        { "mem-merge=auto", { "mem-merge" } },
    };
    g_auto(NfvTestRoot) root = nfv_test_root_new();

    for (int i = 0; i < ARRAY_SIZE(rows); i++) {
        nfv_test_refused(root, rows[i].properties, NULL, rows[i].words);
    }
}

static void test_refused_lock(void)
{
    static const NfvWords words = { "mem-lock=on: QEMU may lock 64 KiB "
                                    "(RLIMIT_MEMLOCK) and has no "
                                    "CAP_IPC_LOCK; the guest has 65536 KiB",
                                    "ulimit -l unlimited", "mem-lock=auto" };
    g_auto(NfvTestRoot) root = nfv_test_root_new();

    if (nfv_test_drop_lock(64 * 1024)) {
        nfv_test_refused(root, "mem-lock=on", "-m 64", words);
        nfv_test_restore_lock();
    }
}

#define VIRTIO_MEM                                                 \
    "-m 64M,maxmem=1G -object memory-backend-ram,id=vm,size=128M," \
    "reserve=off -device virtio-mem-pci,memdev=vm,requested-size=64M"

static void test_refused_virtio_mem(void)
{
    static const NfvWords words = { "mem-lock=on: ", "virtio-mem" };
    g_auto(NfvTestRoot) root = nfv_test_root_new();

    nfv_test_refused(root, "mem-lock=on", VIRTIO_MEM, words);
}

/* Backends that contradict a property */
static void test_refused_backends(void)
{
    static const struct {
        const char *properties, *options;
        NfvWords words;
    } rows[] = {
        { "hugepages=2M,memory-backend=m",
          "-m 64 -object memory-backend-ram,id=m,size=64M",
          { "hugepages=2M contradicts memory backend 'm', whose pages have 4 "
            "KiB",
            "hugetlbsize=2M" } },
        { "prealloc=on,memory-backend=m",
          "-m 64 -object memory-backend-ram,id=m,size=64M",
          { "prealloc=on contradicts memory backend 'm', which has "
            "prealloc=off" } },
        { "prealloc=off,memory-backend=m",
          "-m 64 -object memory-backend-ram,id=m,size=64M,prealloc=on",
          { "prealloc=off contradicts memory backend 'm', which has "
            "prealloc=on" } },
        { "prealloc=on",
          "-m 64 -smp 2 -object memory-backend-ram,id=a,size=32M,prealloc=on "
          "-object memory-backend-ram,id=b,size=32M -numa node,memdev=a "
          "-numa node,memdev=b",
          { "prealloc=on contradicts memory backend 'b'" } },
        { "hugepages=1G",
          "-m 64 -mem-path /dev/shm",
          { "hugepages=1G contradicts memory backend 'pc.ram'" } },
    };
    g_auto(NfvTestRoot) root = nfv_test_root_new();

    for (int i = 0; i < ARRAY_SIZE(rows); i++) {
        nfv_test_refused(root, rows[i].properties, rows[i].options,
                         rows[i].words);
    }
}

/* What auto does where these are refused: less, and it says so. */

static void check_degraded(const char *root, const char *properties,
                           const char *options, const char *tuning,
                           const char *why)
{
    QTestState *qts = start(root, properties, options);

    nfv_test_tuning(qts, tuning, "unavailable", why);
    /* The guest has its memory. */
    qtest_writeq(qts, 32 * MIB, 0x0123456789abcdefull);
    g_assert_cmphex(qtest_readq(qts, 32 * MIB), ==, 0x0123456789abcdefull);
    qtest_quit(qts);
}

static void test_auto_pages(void)
{
    g_auto(NfvTestRoot) root = nfv_test_root_new();

    check_degraded(root, "hugepages=auto", "-m 64", "hugepages",
                   "this host's kernel has no huge pages of 2M");
    write_pools(root, "2048kB", 10, 5);
    write_pools(root, "1048576kB", 1, 0);
    check_degraded(root, "hugepages=auto", "-m 64", "hugepages",
                   "the guest needs 32 huge pages of 2M; free are 10 on node "
                   "0, 5 on node 1");
    check_degraded(root, "hugepages=auto", "-m 63", "hugepages",
                   "not a multiple of 2M");
}

/* The files say that there is a page, and the kernel has none. */
static void test_auto_late(void)
{
    g_auto(NfvTestRoot) root = nfv_test_root_new();

    if (nfv_huge_free(1048576)) {
        g_test_skip("this host has free huge pages of 1 GiB");
        return;
    }
    write_pools(root, "1048576kB", 1, 0);
    check_degraded(root, "hugepages=auto", "-m 1G", "hugepages", "");
}

static void test_auto_available(void)
{
    g_auto(NfvSetup) s = { NULL };
    QTestState *qts;

    if (!nfv_setup_init(&s)) {
        return;
    }
    nfv_test_root_write(s.root, "/proc/meminfo", "MemAvailable: 64512 kB\n");
    qts = nfv_setup_start(&s, "qtest", "rt=off", "-nodefaults -m 64");
    nfv_test_tuning(qts, "prealloc", "unavailable",
                    "64 MiB is more than the 63 MiB");
    qtest_quit(qts);
}

/* A node that the kernel does not have */
static void test_auto_bind(void)
{
    g_auto(NfvSetup) s = { NULL };
    NfvGuestRam ram;
    QTestState *qts;

    if (!nfv_setup_init(&s)) {
        return;
    }
    nfv_test_root_write(s.root, ONLINE_NODES, "0,126\n");
    nfv_test_root_write(s.root, NODE("0/cpulist"), s.rest);
    nfv_test_root_write(s.root, NODE("126/cpulist"), s.first);
    qts = nfv_setup_start(&s, "qtest", "rt=off,hugepages=off",
                          "-nodefaults -m 64");
    nfv_test_tuning(qts, "mem-bind", "unavailable", "");
    nfv_guest_ram_check(qts, "pc.ram", 0, &ram);
    g_assert_cmpuint(ram.populated, ==, ram.size);
    qtest_quit(qts);
}

static void test_auto_lock(void)
{
    g_auto(NfvSetup) s = { NULL };
    NfvGuestRam ram;
    QTestState *qts;

    if (!nfv_setup_init(&s) || !nfv_test_drop_lock(64 * 1024)) {
        return;
    }
    qts = nfv_setup_start(&s, "qtest", "rt=off,hugepages=off",
                          "-nodefaults -m 64");
    nfv_test_restore_lock();
    nfv_test_tuning(qts, "mem-lock", "unavailable",
                    "QEMU may lock 64 KiB (RLIMIT_MEMLOCK)");
    nfv_guest_ram_check(qts, "pc.ram", 0, &ram);
    g_assert_cmpuint(ram.locked, ==, 0);
    qtest_quit(qts);
}

static void test_auto_virtio_mem(void)
{
    g_auto(NfvSetup) s = { NULL };
    NfvGuestRam ram;
    QTestState *qts;

    if (!nfv_setup_init(&s)) {
        return;
    }
    qts = nfv_setup_start(&s, "qtest", "rt=off,hugepages=off",
                          "-nodefaults " VIRTIO_MEM);
    nfv_test_tuning(qts, "mem-lock", "unavailable", "virtio-mem");
    nfv_guest_ram_check(qts, "pc.ram", 0, &ram);
    g_assert_cmpuint(ram.locked, ==, 0);
    qtest_quit(qts);
}

/* Memory that is plugged */

static void add_backend(QTestState *qts, const char *id, bool prealloc)
{
    qtest_qmp_assert_success(qts,
                             "{ 'execute': 'object-add', 'arguments': {"
                             " 'qom-type': 'memory-backend-ram', 'id': %s, "
                             "'size': 134217728,"
                             " 'prealloc': %i } }",
                             id, prealloc);
}

static void plug_refused(QTestState *qts, const char *id, const char *words)
{
    QDict *error = qtest_qmp_assert_failure_ref(qts,
                                                "{ 'execute': 'device_add', "
                                                "'arguments': {"
                                                " 'driver': 'pc-dimm', 'id': "
                                                "'dimm', 'memdev': %s } }",
                                                id);

    g_test_message("%s", qdict_get_str(error, "desc"));
    g_assert_nonnull(strstr(qdict_get_str(error, "desc"), words));
    qobject_unref(error);
}

static void test_plug(void)
{
    g_auto(NfvTestRoot) root = nfv_test_root_new();
    QTestState *qts =
        start(root, "hugepages=off,prealloc=on", "-m 64M,slots=2,maxmem=1G");
    const QDict *memory;
    QDict *info;

    add_backend(qts, "unpopulated", false);
    plug_refused(qts, "unpopulated",
                 "prealloc=on contradicts memory backend 'unpopulated'");
    info = nfv_test_query(qts);
    g_assert_null(nfv_test_memory(info, "unpopulated"));
    qobject_unref(info);

    add_backend(qts, "fits", true);
    qtest_qmp_assert_success(qts, "{ 'execute': 'device_add', 'arguments': {"
                                  " 'driver': 'pc-dimm', 'id': 'dimm',"
                                  " 'memdev': 'fits' } }");
    info = nfv_test_query(qts);
    memory = nfv_test_memory(info, "fits");
    g_assert_nonnull(memory);
    g_assert_cmpint(qdict_get_int(memory, "size"), ==, 128 * MIB);
    g_assert_cmpint(qdict_get_int(memory, "populated"), ==, 128 * MIB);
    qobject_unref(info);
    qtest_quit(qts);
}

/* A backend in huge pages for a machine that should have none, and so on. */
static void test_plug_huge(void)
{
    g_auto(NfvTestRoot) root = nfv_test_root_new();
    QTestState *qts;

    if (!nfv_huge_reserve(2048, RAM_MIB / 2)) {
        return;
    }
    qts = qtest_init("-M nfv,hugepages=2M -nodefaults -S "
                     "-m 64M,slots=2,maxmem=1G");
    add_backend(qts, "small", true);
    plug_refused(qts, "small",
                 "hugepages=2M contradicts memory backend 'small'");
    qtest_quit(qts);
    nfv_huge_release();
}

/* What the user says in other ways */

static void test_mem_path(void)
{
    g_auto(NfvTestRoot) root = nfv_test_root_new();
    QTestState *qts = start(root, "mem-lock=off", "-m 64 -mem-path /dev/shm");
    NfvGuestRam ram;

    nfv_guest_ram_check(qts, "pc.ram", 0, &ram);
    g_assert_cmpuint(ram.populated, <, ram.size);
    nfv_test_tuning(qts, "prealloc", "off", NULL);
    qtest_quit(qts);
}

static void test_mem_prealloc(void)
{
    static const char *const options[] = { "-m 64 -mem-prealloc", "-m 64 "
                                                                  "-mem-"
                                                                  "prealloc "
                                                                  "-mem-path "
                                                                  "/dev/shm" };
    g_auto(NfvTestRoot) root = nfv_test_root_new();

    for (int i = 0; i < ARRAY_SIZE(options); i++) {
        QTestState *qts = start(root, "hugepages=auto", options[i]);
        NfvGuestRam ram;

        nfv_guest_ram_check(qts, "pc.ram", 0, &ram);
        g_assert_cmpuint(ram.populated, ==, ram.size);
        nfv_test_tuning(qts, "prealloc", "applied", NULL);
        qtest_quit(qts);
    }
}

static void test_numa(void)
{
    g_auto(NfvTestRoot) root = nfv_test_root_new();
    QTestState *qts = start(root, "prealloc=auto",
                            "-m 64 -smp 2 "
                            "-object "
                            "memory-backend-ram,id=a,size=32M,prealloc=on "
                            "-object memory-backend-ram,id=b,size=32M "
                            "-numa node,memdev=a -numa node,memdev=b");
    NfvGuestRam ram;

    nfv_guest_ram_check(qts, "a", 0, &ram);
    g_assert_cmpuint(ram.size, ==, 32 * MIB);
    g_assert_cmpuint(ram.populated, ==, ram.size);
    nfv_guest_ram_check(qts, "b", 32 * MIB, &ram);
    g_assert_cmpuint(ram.size, ==, 32 * MIB);
    g_assert_cmpuint(ram.populated, <, ram.size);
    qtest_quit(qts);
}

static void test_merge(void)
{
    static const struct {
        const char *machine;
        bool merge;
    } rows[] = {
        { "nfv,hugepages=off", false },
        { "nfv,hugepages=off,mem-merge=off", false },
        { "nfv,hugepages=off,mem-merge=on", true },
        { "q35", true },
    };

    if (!g_file_test("/sys/kernel/mm/ksm", G_FILE_TEST_EXISTS)) {
        g_test_skip("this host's kernel has no KSM");
        return;
    }
    for (int i = 0; i < ARRAY_SIZE(rows); i++) {
        QTestState *qts =
            qtest_initf("-M %s -nodefaults -S -m 64", rows[i].machine);
        NfvGuestRam ram;

        g_test_message("%s", rows[i].machine);
        nfv_guest_ram_read(qts, 0, 64 * MIB, &ram);
        g_assert_cmpint(ram.mergeable, ==, rows[i].merge);
        qtest_quit(qts);
    }
}

int main(int argc, char **argv)
{
    nfv_test_init(&argc, &argv);
    qtest_add_func("nfv/memory/huge/2m", test_huge_2m);
    qtest_add_func("nfv/memory/huge/1g", test_huge_1g);
    qtest_add_func("nfv/memory/huge/unpinned", test_huge_unpinned);
    qtest_add_func("nfv/memory/small", test_small);
    qtest_add_func("nfv/memory/unpinned", test_unpinned);
    qtest_add_func("nfv/memory/lock", test_lock);
    qtest_add_func("nfv/memory/lock/user", test_lock_user);
    qtest_add_func("nfv/memory/refused/pages", test_refused_pages);
    qtest_add_func("nfv/memory/refused/node", test_refused_node);
    qtest_add_func("nfv/memory/refused/kernel", test_refused_kernel);
    qtest_add_func("nfv/memory/refused/available", test_refused_available);
    qtest_add_func("nfv/memory/refused/late", test_refused_late);
    qtest_add_func("nfv/memory/refused/values", test_refused_values);
    qtest_add_func("nfv/memory/refused/lock", test_refused_lock);
    qtest_add_func("nfv/memory/refused/virtio-mem", test_refused_virtio_mem);
    qtest_add_func("nfv/memory/refused/backends", test_refused_backends);
    qtest_add_func("nfv/memory/auto/pages", test_auto_pages);
    qtest_add_func("nfv/memory/auto/late", test_auto_late);
    qtest_add_func("nfv/memory/auto/available", test_auto_available);
    qtest_add_func("nfv/memory/auto/bind", test_auto_bind);
    qtest_add_func("nfv/memory/auto/lock", test_auto_lock);
    qtest_add_func("nfv/memory/auto/virtio-mem", test_auto_virtio_mem);
    qtest_add_func("nfv/memory/plug", test_plug);
    qtest_add_func("nfv/memory/plug/huge", test_plug_huge);
    qtest_add_func("nfv/memory/mem-path", test_mem_path);
    qtest_add_func("nfv/memory/mem-prealloc", test_mem_prealloc);
    qtest_add_func("nfv/memory/numa", test_numa);
    qtest_add_func("nfv/memory/merge", test_merge);
    return g_test_run();
}
