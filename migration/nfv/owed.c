/*
 * Owed: pages that the destination has discarded and the source will send
 *
 * Copyright (c) 2026 the kvm4nfv authors
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "qemu/osdep.h"
#include "qemu/atomic.h"
#include "qemu/bitmap.h"
#include "qemu/error-report.h"
#include "qemu/rcu.h"
#include "exec/ramblock.h"
#include "exec/target_page.h"
#include "migration/migration.h"
#include "migration/nfv.h"
#include "migration/postcopy-ram.h"
#include "migration/qemu-file.h"
#include "migration/ram.h"
#include "owed.h"

#define LOOK_US 500
#define TIMEOUT_US (30 * 1000 * 1000)

typedef struct Debt {
    RAMBlock *rb;
    uint64_t count;
    unsigned long *pages;
} Debt;

static GArray *debts; /* of Debt */
static bool settled;  /* the source has ended, and nothing is owed; atomic */

void nfv_owed_reset(void)
{
    qatomic_set(&settled, false);
    for (guint i = 0; debts && i < debts->len; i++) {
        g_free(g_array_index(debts, Debt, i).pages);
    }
    g_clear_pointer(&debts, g_array_unref);
}

static Debt *debt_of(RAMBlock *rb)
{
    Debt new;

    for (guint i = 0; debts && i < debts->len; i++) {
        if (g_array_index(debts, Debt, i).rb == rb) {
            return &g_array_index(debts, Debt, i);
        }
    }
    if (!debts) {
        debts = g_array_new(false, false, sizeof(Debt));
    }
    new = (Debt) { rb, rb->max_length >> qemu_target_page_bits() };
    new.pages = bitmap_new(new.count);
    g_array_append_val(debts, new);
    return &g_array_index(debts, Debt, debts->len - 1);
}

void nfv_owed_add(RAMBlock *rb, ram_addr_t start, uint64_t length)
{
    uint64_t page = start >> qemu_target_page_bits();
    uint64_t pages = length >> qemu_target_page_bits();
    Debt *debt;

    if (nfv_migration_settings()->postcopy) {
        debt = debt_of(rb);
        if (page < debt->count) {
            bitmap_set(debt->pages, page, MIN(pages, debt->count - page));
        }
    }
}

/* What has come is no debt any more. */
static bool is_paid(Debt *debt)
{
    unsigned bits = qemu_target_page_bits();

    for (uint64_t page = find_first_bit(debt->pages, debt->count);
         page < debt->count;
         page = find_next_bit(debt->pages, debt->count, page)) {
        if (!ramblock_recv_bitmap_test_byte_offset(debt->rb, page << bits)) {
            return false;
        }
        clear_bit(page, debt->pages);
    }
    return true;
}

static bool all_are_paid(void)
{
    RCU_READ_LOCK_GUARD();
    for (guint i = 0; debts && i < debts->len; i++) {
        if (!is_paid(&g_array_index(debts, Debt, i))) {
            return false;
        }
    }
    return true;
}

static bool wait_until_paid(MigrationIncomingState *mis)
{
    for (int waited = 0; !all_are_paid(); waited += LOOK_US) {
        if (mis->state != MIGRATION_STATUS_POSTCOPY_ACTIVE ||
            qemu_file_get_error_obj_any(mis->from_src_file,
                                        mis->postcopy_qemufile_dst, NULL)) {
            return false;
        }
        if (waited >= TIMEOUT_US) {
            error_report("post-copy: the source has ended, but pages that it "
                         "owes have not come; recover with migrate-recover");
            return false;
        }
        g_usleep(LOOK_US);
    }
    return true;
}

bool nfv_owed_wait(void)
{
    MigrationIncomingState *mis = migration_incoming_get_current();

    if (!wait_until_paid(mis)) {
        qemu_file_set_error(mis->from_src_file, -EIO);
        return false;
    }
    qatomic_set(&settled,
                nfv_migration_settings()->postcopy &&
                    (postcopy_state_get() == POSTCOPY_INCOMING_LISTENING ||
                     postcopy_state_get() == POSTCOPY_INCOMING_RUNNING));
    return true;
}

bool nfv_owed_is_settled(void)
{
    return qatomic_read(&settled);
}
