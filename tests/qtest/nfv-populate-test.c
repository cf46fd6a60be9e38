/*
 * A vCPU takes no page fault on guest RAM that was populated at start
 *
 * Copyright (c) 2026 the kvm4nfv authors
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "qemu/osdep.h"
#include "libqtest.h"
#include "migration/bootfile.h"
#include "nfv/faults.h"
#include "nfv/memory.h"
#include "nfv/process.h"
#include "nfv/setup.h"
#include "nfv/thread.h"
#include "qobject/qdict.h"

#define MIB (1024 * 1024)
#define RAM_MIB 128
#define LAST_PAGE (X86_TEST_MEM_END - 4096)

/*
 * A guest that increments a byte in each page from 1 to 100 MiB, over and over,
 * and does not run yet.
 */
typedef struct Guest {
    NfvSetup setup;
    char *directory;
    QTestState *qts;
    NfvGuestRam ram;
} Guest;

static bool start(Guest *g, const char *properties)
{
    g_autofree char *options = NULL;

    if (!nfv_setup_has_accel("tcg") || !nfv_setup_init(&g->setup)) {
        return false;
    }
    g->directory = g_dir_make_tmp("nfv-populate-XXXXXX", NULL);
    options = g_strdup_printf("-m %u -nodefaults -drive if=none,id=d0,"
                              "format=raw,file=%s -device "
                              "virtio-blk-pci,drive=d0,secs=1,cyls=1,heads=1",
                              RAM_MIB,
                              bootfile_create("x86_64", g->directory, false));
    g->qts = nfv_setup_start(&g->setup, "tcg", properties, options);
    nfv_guest_ram_read(g->qts, 0, (uint64_t)RAM_MIB * MIB, &g->ram);
    return true;
}

static void stop(Guest *g)
{
    qtest_quit(g->qts);
    bootfile_delete();
    rmdir(g->directory);
    g_free(g->directory);
    nfv_setup_clear(&g->setup);
}

static int vcpu_tid(QTestState *qts)
{
    QDict *info = nfv_test_query(qts);
    const QDict *thread = nfv_test_thread(info, "*CPU*/TCG");
    int tid;

    g_assert_nonnull(thread);
    tid = qdict_get_int(thread, "thread-id");
    qobject_unref(info);
    return tid;
}

/* Until it has written all of its pages. */
static void wait_for_round(QTestState *qts)
{
    uint8_t before = qtest_readb(qts, LAST_PAGE);

    while (qtest_readb(qts, LAST_PAGE) == before) {
        g_usleep(10 * 1000);
    }
}

/* @faults: whether there should be some in guest RAM. */
static void run_guest(Guest *g, bool faults)
{
    NfvFaults f;
    unsigned found;
    bool complete;

    if (!nfv_faults_watch(&f, vcpu_tid(g->qts))) {
        return;
    }
    qtest_qmp_assert_success(g->qts, "{ 'execute': 'cont' }");
    wait_for_round(g->qts);
    found = nfv_faults_inside(&f, g->ram.start, g->ram.size, &complete);
    g_test_message("%u page faults in guest RAM", found);
    if (faults) {
        g_assert_cmpuint(found, >, 0);
    } else {
        uint64_t major = nfv_faults_major(&f);

        g_assert_true(complete);
        g_assert_cmpuint(found, ==, 0);
        /* All of QEMU that it needs is there by now, and stays. */
        wait_for_round(g->qts);
        wait_for_round(g->qts);
        g_assert_cmpuint(nfv_faults_major(&f), ==, major);
    }
    nfv_faults_clear(&f);
}

static void test_populated(void)
{
    Guest g;

    if (start(&g, "rt=off,hugepages=off,prealloc=on")) {
        g_assert_cmpuint(g.ram.populated, ==, g.ram.size);
        run_guest(&g, false);
        stop(&g);
    }
}

/* The same by default: pinned vCPUs have their memory populated. */
static void test_default(void)
{
    Guest g;

    if (start(&g, "rt=off")) {
        g_assert_cmpuint(g.ram.populated, ==, g.ram.size);
        run_guest(&g, false);
        stop(&g);
    }
}

/* And without, there are such faults, and this test sees them. */
static void test_unpopulated(void)
{
    Guest g;

    if (start(&g, "rt=off,hugepages=off,prealloc=off,mem-lock=off")) {
        g_assert_cmpuint(g.ram.populated, <, g.ram.size);
        run_guest(&g, true);
        stop(&g);
    }
}

int main(int argc, char **argv)
{
    nfv_test_init(&argc, &argv);
    qtest_add_func("nfv/populate/populated", test_populated);
    qtest_add_func("nfv/populate/default", test_default);
    qtest_add_func("nfv/populate/unpopulated", test_unpopulated);
    return g_test_run();
}
