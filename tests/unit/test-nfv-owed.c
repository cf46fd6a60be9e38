/*
 * Unit tests: pages that the destination has discarded and waits for
 *
 * Copyright (c) 2026 the kvm4nfv authors
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "qemu/osdep.h"
#include "qemu/bitmap.h"
#include "exec/ramblock.h"
#include "exec/target_page.h"
#include "migration/migration.h"
#include "migration/nfv.h"
#include "migration/postcopy-ram.h"
#include "migration/qemu-file.h"
#include "migration/ram.h"
#include "migration/nfv/owed.h"

#define BITS 12
#define PAGES 256ull
#define LONG_MS 60000

/* What owed.c asks of QEMU: one page comes whenever it sleeps. */

const TargetPageBits target_page = { true, BITS, -1ull << BITS };

static struct {
    RAMBlock blocks[2];
    DECLARE_BITMAP(received[2], PAGES);
    struct {
        int block, page;
    } coming[16];
    unsigned n, came;      /* of coming */
    unsigned breaks_after; /* so many pages the link breaks; or */
    unsigned preempt_breaks_after; /* only the preempt channel; or */
    unsigned pauses_after; /* QEMU sees that, and pauses */
    MigrationIncomingState mis;
    PostcopyState state;
    uint64_t slept; /* us */
    int error, preempt_error, set_error;
} vm;

/* Not to be looked into. */
#define MAIN ((QEMUFile *)&vm.error)
#define PREEMPT ((QEMUFile *)&vm.preempt_error)

MigrationIncomingState *migration_incoming_get_current(void)
{
    return &vm.mis;
}

PostcopyState postcopy_state_get(void)
{
    return vm.state;
}

int qemu_file_get_error_obj_any(QEMUFile *f, QEMUFile *other, Error **errp)
{
    g_assert(f == MAIN && other == PREEMPT);
    return vm.error ?: vm.preempt_error;
}

void qemu_file_set_error(QEMUFile *f, int ret)
{
    g_assert(f == MAIN);
    vm.set_error = ret;
}

bool ramblock_recv_bitmap_test_byte_offset(RAMBlock *rb, uint64_t offset)
{
    g_assert_cmpuint(offset >> BITS, <, PAGES);
    return test_bit(offset >> BITS, vm.received[rb - vm.blocks]);
}

void g_usleep(gulong us)
{
    vm.slept += us;
    if (vm.came < vm.n) {
        set_bit(vm.coming[vm.came].page,
                vm.received[vm.coming[vm.came].block]);
        vm.came++;
    }
    if (vm.came == vm.breaks_after) {
        vm.error = -EIO;
    }
    if (vm.came == vm.preempt_breaks_after) {
        vm.preempt_error = -EIO;
    }
    if (vm.came == vm.pauses_after) {
        vm.mis.state = MIGRATION_STATUS_POSTCOPY_PAUSED;
    }
    g_assert_cmpuint(vm.slept, <, LONG_MS * 1000); /* it ends some time */
}

static void recover(void)
{
    vm.error = vm.preempt_error = vm.set_error = 0;
    vm.breaks_after = vm.preempt_breaks_after = vm.pauses_after = -1;
    vm.mis.from_src_file = MAIN;
    vm.mis.postcopy_qemufile_dst = PREEMPT;
    vm.mis.state = MIGRATION_STATUS_POSTCOPY_ACTIVE;
}

static void start(bool postcopy)
{
    NfvMigrationSettings settings = *nfv_migration_settings();

    settings.postcopy = postcopy;
    nfv_migration_settings_set(&settings);
    nfv_owed_reset();
    memset(&vm, 0, sizeof(vm));
    for (int i = 0; i < ARRAY_SIZE(vm.blocks); i++) {
        vm.blocks[i].max_length = PAGES << BITS;
    }
    vm.state = POSTCOPY_INCOMING_RUNNING;
    recover();
}

static void discard(int block, uint64_t page, uint64_t pages)
{
    nfv_owed_add(&vm.blocks[block], page << BITS, pages << BITS);
}

static void will_come(int block, int page)
{
    g_assert_cmpuint(vm.n, <, ARRAY_SIZE(vm.coming));
    vm.coming[vm.n].block = block;
    vm.coming[vm.n++].page = page;
}

/* It ends in peace when that many pages have come. */
static void check_wait(unsigned came)
{
    g_assert_true(nfv_owed_wait());
    g_assert_cmpuint(vm.came, ==, came);
    g_assert_cmpint(vm.set_error, ==, 0);
}

static void check_paid(void)
{
    uint64_t slept = vm.slept;

    check_wait(vm.came);
    g_assert_cmpuint(vm.slept, ==, slept);
}

static void test_nothing(void)
{
    start(true);
    check_paid();
    start(false);
    discard(0, 1, 2); /* switched off: QEMU's own end of post-copy */
    check_paid();
}

static void test_all(void)
{
    start(true);
    discard(0, 3, 2);
    discard(1, 3, 1);
    discard(0, PAGES - 1, 1);
    will_come(1, 3);
    will_come(0, PAGES - 1);
    will_come(0, 4);
    will_come(1, 4); /* is not owed */
    will_come(0, 3);
    will_come(0, 5);
    check_wait(5);
    check_paid();
}

/* Before LAST most have come, and some were discarded twice. */
static void test_received(void)
{
    start(true);
    discard(0, 0, PAGES);
    discard(0, 7, 1);
    bitmap_set(vm.received[0], 0, PAGES);
    clear_bit(100, vm.received[0]);
    will_come(0, 100);
    check_wait(1);
}

/* The source asks for more than there is. */
static void test_bounds(void)
{
    start(true);
    discard(0, PAGES, 1);
    nfv_owed_add(&vm.blocks[0], -1ull << BITS, 1 << BITS);
    check_paid();
    discard(1, PAGES - 1, PAGES);
    nfv_owed_add(&vm.blocks[0], (PAGES - 1) << BITS, -1ull);
    will_come(1, PAGES - 1);
    will_come(0, PAGES - 1);
    check_wait(2);
}

/* It ends in an error, so that the source is not answered, and recovers. */
static void check_broken_wait(unsigned came)
{
    g_assert_false(nfv_owed_wait());
    g_assert_cmpuint(vm.came, ==, came);
    g_assert_cmpint(vm.set_error, ==, -EIO);
    g_assert_false(nfv_owed_is_settled());
}

/* What is owed outlives the link. */
static void check_broken(unsigned *after)
{
    start(true);
    discard(0, 10, 3);
    will_come(0, 11);
    will_come(0, 12);
    will_come(0, 10);
    *after = 1;
    check_broken_wait(1);
    recover();
    check_wait(3);
    g_assert_true(nfv_owed_is_settled());
}

/* A stream is not whole because somebody says so. */
static void test_settled(void)
{
    static const PostcopyState early[] = { POSTCOPY_INCOMING_NONE,
                                           POSTCOPY_INCOMING_ADVISE,
                                           POSTCOPY_INCOMING_DISCARD };

    start(true);
    for (int i = 0; i < ARRAY_SIZE(early); i++) {
        vm.state = early[i];
        check_paid();
        g_assert_false(nfv_owed_is_settled());
    }
    vm.state = POSTCOPY_INCOMING_LISTENING;
    check_paid();
    g_assert_true(nfv_owed_is_settled());
    start(false);
    check_paid();
    g_assert_false(nfv_owed_is_settled());
}

static void test_broken(void)
{
    check_broken(&vm.breaks_after);
    check_broken(&vm.preempt_breaks_after);
    check_broken(&vm.pauses_after);
}

/* A source that says LAST and sends no more breaks its word: like a cut. */
static void test_never(void)
{
    start(true);
    discard(0, 10, 2);
    will_come(0, 10);
    check_broken_wait(1);
    recover();
    will_come(0, 11);
    check_wait(2);
}

static void test_reset(void)
{
    start(true);
    discard(0, 10, 2);
    nfv_owed_reset();
    check_paid();
    nfv_owed_reset();
    discard(0, 20, 1);
    will_come(0, 20);
    check_wait(1);
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    g_test_add_func("/nfv/owed/nothing", test_nothing);
    g_test_add_func("/nfv/owed/all", test_all);
    g_test_add_func("/nfv/owed/received", test_received);
    g_test_add_func("/nfv/owed/bounds", test_bounds);
    g_test_add_func("/nfv/owed/settled", test_settled);
    g_test_add_func("/nfv/owed/broken", test_broken);
    g_test_add_func("/nfv/owed/never", test_never);
    g_test_add_func("/nfv/owed/reset", test_reset);
    return g_test_run();
}
