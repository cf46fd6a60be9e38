/*
 * Heat: the order in which dirty memory is sent
 *
 * Dirty bits stay where they are, so what stays back is pending; only the
 * search for the next page passes it by.
 *
 * Copyright (c) 2026 the kvm4nfv authors
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "qemu/osdep.h"
#include "qemu/bitmap.h"
#include "qemu/module.h"
#include "qemu/rcu.h"
#include "qemu/units.h"
#include "exec/memory.h"
#include "exec/ram_addr.h"
#include "exec/ramblock.h"
#include "exec/target_page.h"
#include "migration/migration.h"
#include "migration/misc.h"
#include "migration/nfv.h"
#include "migration/options.h"
#include "migration/ram.h"
#include "system/runstate.h"
#include "system/system.h"
#include "heat.h"
#include "trace.h"

/* KVM holds its MMU lock while it clears the log of so much. */
#define CLEAR_STEP (64 * MiB)

typedef enum HeatPhase {
    HEAT_HOLES,       /* only pages that are sent as zero without a look */
    HEAT_FIRST_ROUND, /* what was found dirty again stays back */
    HEAT_FRESH,       /* only what became dirty since the last sync but one */
    HEAT_REST,        /* all */
} HeatPhase;

typedef struct HotBlock {
    RAMBlock *rb;
    uint64_t pages;
    /*
     * One bit a target page.  @marked: found dirty again in the first round,
     * later fresh; @before: dirtied before the last sync.
     */
    unsigned long *marked, *before;
} HotBlock;

static GArray *blocks; /* of HotBlock; NULL: QEMU's order */
static HeatPhase phase;
static uint64_t deferred;

uint64_t nfv_heat_deferred(void)
{
    return qatomic_read(&deferred);
}

static HotBlock *find(const RAMBlock *rb)
{
    for (guint i = 0; i < blocks->len; i++) {
        HotBlock *b = &g_array_index(blocks, HotBlock, i);

        if (b->rb == rb) {
            return b;
        }
    }
    return NULL;
}

/* KVM's log begins with all pages dirty, which says nothing of the guest. */
static void clear_log(RAMBlock *rb)
{
    for (uint64_t at = 0; at < rb->used_length; at += CLEAR_STEP) {
        memory_region_clear_dirty_bitmap(rb->mr, at,
                                         MIN(CLEAR_STEP, rb->used_length - at));
    }
}

void nfv_heat_start(void)
{
    RAMBlock *rb;

    nfv_heat_release();
    qatomic_set(&deferred, 0);
    if (!nfv_migration_settings()->heat || !nfv_migration_settings()->policy ||
        migrate_background_snapshot() || migrate_colo() ||
        migrate_mapped_ram() ||
        !migrate_get_current()->migration_thread_running) {
        return; /* savevm has no policy that would release it */
    }
    blocks = g_array_new(false, false, sizeof(HotBlock));
    phase = HEAT_FIRST_ROUND;
    RCU_READ_LOCK_GUARD();
    RAMBLOCK_FOREACH_NOT_IGNORED(rb) {
        HotBlock b = {
            .rb = rb,
            .pages = rb->used_length >> qemu_target_page_bits(),
        };

        b.marked = bitmap_new(b.pages);
        b.before = bitmap_new(b.pages);
        clear_log(rb);
        g_array_append_val(blocks, b);
    }
}

void nfv_heat_release(void)
{
    if (!blocks) {
        return;
    }
    for (guint i = 0; i < blocks->len; i++) {
        HotBlock *b = &g_array_index(blocks, HotBlock, i);

        g_free(b->marked);
        g_free(b->before);
    }
    g_array_unref(blocks);
    blocks = NULL;
}

static void end_first_round(void)
{
    uint64_t pages = 0;

    for (guint i = 0; i < blocks->len; i++) {
        HotBlock *b = &g_array_index(blocks, HotBlock, i);

        pages += bitmap_count_one(b->marked, b->pages);
        bitmap_zero(b->marked, b->pages);
    }
    qatomic_set(&deferred, pages << qemu_target_page_bits());
    trace_nfv_heat_first_round(pages);
}

void nfv_heat_holes_first(void)
{
    if (blocks) {
        phase = HEAT_HOLES;
    }
}

bool nfv_heat_may_sync(void)
{
    return !blocks || phase != HEAT_HOLES;
}

void nfv_heat_exhausted(void)
{
    if (blocks && phase == HEAT_HOLES) {
        phase = HEAT_FIRST_ROUND;
        return;
    }
    if (blocks && phase == HEAT_FIRST_ROUND) {
        end_first_round();
    }
    phase = HEAT_REST;
}

void nfv_heat_synced(void)
{
    if (phase == HEAT_HOLES) {
        phase = HEAT_FIRST_ROUND;
    } else if (phase == HEAT_REST) {
        phase = HEAT_FRESH;
    }
}

/* Words of the global log of dirty memory, which RAM blocks share. */
static unsigned long log_word(DirtyMemoryBlocks *log, unsigned long page)
{
    unsigned long *words = log->blocks[page / DIRTY_MEMORY_BLOCK_SIZE];

    return qatomic_read(&words[BIT_WORD(page % DIRTY_MEMORY_BLOCK_SIZE)]);
}

void nfv_heat_sync(RAMBlock *rb)
{
    unsigned long first = rb->offset >> qemu_target_page_bits();
    DirtyMemoryBlocks *log;
    HotBlock *b = blocks ? find(rb) : NULL;

    /* Words of both bitmaps must match; small blocks are not worth more. */
    if (!b || first % BITS_PER_LONG || b->pages % BITS_PER_LONG) {
        return;
    }
    log = qatomic_rcu_read(&ram_list.dirty_memory[DIRTY_MEMORY_MIGRATION]);
    for (uint64_t page = 0; page < b->pages; page += BITS_PER_LONG) {
        unsigned long bits = log_word(log, first + page);
        unsigned long k = BIT_WORD(page);

        if (phase <= HEAT_FIRST_ROUND) {
            b->marked[k] |= bits;
        } else {
            /* What is written all the time is not fresh. */
            b->marked[k] = bits & ~b->before[k];
            b->before[k] = bits;
        }
    }
}

/* The next page, dirty or not, that does not stay back. */
static unsigned long next_marked(const HotBlock *b, unsigned long page,
                                 unsigned long end)
{
    unsigned bits = qemu_target_page_bits();

    switch (phase) {
    case HEAT_HOLES:
        while (page < end &&
               !nfv_popmap_is_zero(b->rb, (ram_addr_t)page << bits)) {
            page++;
        }
        return page;
    case HEAT_FIRST_ROUND:
        return find_next_zero_bit(b->marked, end, page);
    case HEAT_FRESH:
        return find_next_bit(b->marked, end, page);
    case HEAT_REST:
        break;
    }
    return page;
}

unsigned long nfv_heat_next(RAMBlock *rb, unsigned long page,
                            unsigned long size)
{
    HotBlock *b;
    unsigned long end, next;

    /* Once the guest stands still, all must go. */
    if (!blocks || phase == HEAT_REST || !runstate_is_running()) {
        return page;
    }
    b = find(rb);
    end = b ? MIN(size, b->pages) : 0;
    while (page < end && (next = next_marked(b, page, end)) != page) {
        page = find_next_bit(rb->bmap, size, next);
    }
    return page;
}

/* The last round takes all. */
static int heat_notify(NotifierWithReturn *notifier, void *data, Error **errp)
{
    PrecopyNotifyData *notify = data;

    if (notify->reason == PRECOPY_NOTIFY_COMPLETE ||
        notify->reason == PRECOPY_NOTIFY_CLEANUP) {
        nfv_heat_release();
    }
    return 0;
}

/* The list is emptied after migration_init(). */
static void heat_ready(Notifier *notifier, void *data)
{
    static NotifierWithReturn precopy = { .notify = heat_notify };

    precopy_add_notifier(&precopy);
}

static void heat_register(void)
{
    static Notifier ready = { .notify = heat_ready };

    qemu_add_machine_init_done_notifier(&ready);
}
migration_init(heat_register);
