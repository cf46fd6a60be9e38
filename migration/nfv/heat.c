/*
 * Heat: the order in which dirty memory is sent
 *
 * Dirty bits stay where they are, so what stays back is pending; only the
 * search for the next page passes it by.  In post-copy the order is the other
 * way round.
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
#include "system/kvm.h"
#include "system/runstate.h"
#include "system/system.h"
#include "heat.h"
#include "order.h"
#include "urgent.h"
#include "trace.h"

/* KVM holds its MMU lock while it clears the log of so much, or less. */
#define CLEAR_MOST (64 * MiB)
/*
 * In post-copy, who answers the guest waits for the mutex of the bitmap that is
 * held meanwhile.  One page in so many may go before its turn.
 */
#define LOOK_MOST (16 * 1024)
/* Pages on a lower level will be written to before the next sync. */
#define SOON 2
/* Pages that lie together go together, so that huge pages stay whole. */
#define CHUNK_LEAST (2 * MiB)

/* Microseconds from one sync to the next. */
#define INTERVAL_MOST 100000
#define INTERVAL_LEAST 10000
/* So many while all that is dirty after the first round is sent. */
#define SYNCS 8

typedef struct HotBlock {
    RAMBlock *rb;
    NfvOrder order;
    int64_t interval; /* us: the syncs that it counts */
    unsigned long *holes; /* go first, while holes_first; or NULL */
} HotBlock;

/*
 * Of HotBlock, or NULL.  Replaced by the migration thread before its first
 * round; freed with the BQL, which auto-converge holds where it synchronises.
 */
static GArray *blocks;
/* By the migration thread only; others read @low and @high. */
static unsigned low;   /* pages on a lower level stay back */
static unsigned high = NFV_ORDER_TOP; /* and on a higher one */
static unsigned floor_level; /* the lowest before the last round */
static bool pushing;   /* in post-copy */
static uint64_t counts[NFV_ORDER_LEVELS]; /* at the last sync */
static bool holes_first; /* only holes go */
static bool first_round;
static int64_t interval = INTERVAL_MOST; /* us; others read it */
static bool interval_chosen;
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

static uint64_t clear_step(const RAMBlock *rb)
{
    return MIN(CLEAR_MOST, (uint64_t)qemu_target_page_size() <<
                               rb->clear_bmap_shift);
}

/* KVM clears its log for so much at once, which costs vCPUs a pause. */
static uint64_t chunk_of(const RAMBlock *rb)
{
    uint64_t chunk = MAX(CHUNK_LEAST, rb->page_size);

    return kvm_enabled() ? MAX(chunk, clear_step(rb)) : chunk;
}

void nfv_heat_clear_log(RAMBlock *rb)
{
    uint64_t step = clear_step(rb);

    for (uint64_t at = 0; at < rb->used_length; at += step) {
        memory_region_clear_dirty_bitmap(rb->mr, at,
                                         MIN(step, rb->used_length - at));
    }
}

static void free_blocks(void)
{
    GArray *old = qatomic_xchg(&blocks, NULL);

    if (!old) {
        return;
    }
    for (guint i = 0; i < old->len; i++) {
        HotBlock *b = &g_array_index(old, HotBlock, i);

        nfv_order_destroy(&b->order);
        g_free(b->holes);
    }
    g_array_unref(old);
}

static void set_levels(unsigned from, unsigned to)
{
    qatomic_set(&low, from);
    qatomic_set(&high, to);
}

void nfv_heat_start(void)
{
    GArray *found;
    RAMBlock *rb;

    qatomic_set(&deferred, 0);
    qatomic_set(&interval, INTERVAL_MOST);
    if (!nfv_migration_settings()->heat || !nfv_migration_settings()->policy ||
        migrate_background_snapshot() || migrate_colo() ||
        migrate_mapped_ram() ||
        !migrate_get_current()->migration_thread_running) {
        return; /* savevm has no policy that would release it */
    }
    found = g_array_new(false, false, sizeof(HotBlock));
    RCU_READ_LOCK_GUARD();
    RAMBLOCK_FOREACH_NOT_IGNORED(rb) {
        HotBlock b = { .rb = rb, .interval = INTERVAL_MOST };

        nfv_order_init(&b.order, rb->used_length >> qemu_target_page_bits(),
                       chunk_of(rb) >> qemu_target_page_bits());
        nfv_heat_clear_log(rb);
        g_array_append_val(found, b);
    }
    holes_first = false;
    first_round = true;
    interval_chosen = false;
    floor_level = 0;
    pushing = false;
    set_levels(NFV_ORDER_TOP, NFV_ORDER_TOP);
    qatomic_store_release(&blocks, found);
}

void nfv_heat_release(void)
{
    holes_first = false;
    pushing = false;
    floor_level = 0;
    set_levels(0, NFV_ORDER_TOP);
}

void nfv_heat_holes_first(RAMBlock *rb, const unsigned long *holes,
                          uint64_t pages)
{
    HotBlock *b = blocks ? find(rb) : NULL;

    if (b) {
        b->holes = bitmap_new(b->order.pages);
        bitmap_copy(b->holes, holes, MIN(pages, b->order.pages));
        holes_first = true;
    }
}

bool nfv_heat_may_sync(void)
{
    return !holes_first;
}

static void count(void)
{
    memset(counts, 0, sizeof(counts));
    RCU_READ_LOCK_GUARD();
    for (guint i = 0; i < blocks->len; i++) {
        HotBlock *b = &g_array_index(blocks, HotBlock, i);

        if (b->rb->bmap) {
            nfv_order_count(&b->order, b->rb->bmap, counts);
        }
    }
}

static void take_turns(void)
{
    for (guint i = 0; first_round && i < blocks->len; i++) {
        nfv_order_take_turns(&g_array_index(blocks, HotBlock, i).order);
    }
}

/* Of @counts, on levels from @first to before @end. */
static uint64_t sum(unsigned first, unsigned end)
{
    uint64_t pages = 0;

    for (unsigned i = first; i < end; i++) {
        pages += counts[i];
    }
    return pages;
}

/* All from level @above upwards has been sent. */
static void descend(unsigned above)
{
    unsigned level = nfv_order_descend(counts, above);

    if (first_round && level < NFV_ORDER_COLD) {
        uint64_t pages = sum(0, NFV_ORDER_COLD);

        first_round = false;
        qatomic_set(&deferred, pages << qemu_target_page_bits());
        trace_nfv_heat_first_round(pages);
    }
    set_levels(MAX(level, floor_level), NFV_ORDER_TOP);
}

bool nfv_heat_is_first_round(void)
{
    return blocks && first_round;
}

bool nfv_heat_exhausted(void)
{
    if (!blocks || (low == floor_level && high == NFV_ORDER_TOP)) {
        return false;
    }
    if (pushing) {
        set_levels(0, nfv_order_ascend(counts, high));
        return true;
    }
    if (holes_first) {
        holes_first = false;
        return true;
    }
    if (first_round) {
        count();
    }
    descend(low);
    return true;
}

int64_t nfv_heat_interval(void)
{
    return interval;
}

void nfv_heat_choose_interval(int64_t round)
{
    int64_t us = MAX(round / SYNCS, INTERVAL_LEAST);

    if (!blocks || first_round || interval_chosen) {
        return;
    }
    interval_chosen = true;
    if (us <= INTERVAL_MOST / 2) {
        qatomic_set(&interval, us);
        trace_nfv_heat_interval(us);
    }
}

uint64_t nfv_heat_synced(void)
{
    holes_first = false;
    if (!blocks) {
        return 0;
    }
    take_turns();
    count();
    return sum(0, SOON) << qemu_target_page_bits();
}

void nfv_heat_begin(uint64_t may_stay)
{
    if (blocks) {
        floor_level =
            sum(0, SOON) <= may_stay >> qemu_target_page_bits() ? SOON : 0;
        descend(NFV_ORDER_LEVELS);
    }
}

void nfv_heat_push(void)
{
    floor_level = 0;
    if (blocks && nfv_migration_settings()->hot_push) {
        count();
        pushing = true;
        set_levels(0, nfv_order_ascend(counts, -1));
        trace_nfv_heat_push(sum(NFV_ORDER_COLD, NFV_ORDER_LEVELS));
    }
}

/* Words of the global log of dirty memory, which RAM blocks share. */
static unsigned long log_word(DirtyMemoryBlocks *log, unsigned long page)
{
    unsigned long *words = log->blocks[page / DIRTY_MEMORY_BLOCK_SIZE];

    return qatomic_read(&words[BIT_WORD(page % DIRTY_MEMORY_BLOCK_SIZE)]);
}

/*
 * Whether the log has only what was written since the last sync.  KVM's goes on
 * to report a page until its log is cleared, which is done by chunks, when the
 * first page of one is sent.
 */
static bool log_is_exact(const RAMBlock *rb, uint64_t page)
{
    return !kvm_enabled() || kvm_dirty_ring_enabled() || !rb->clear_bmap ||
           !test_bit(page >> rb->clear_bmap_shift, rb->clear_bmap);
}

/* From the next sync on, if those come more often now. */
static void refine(HotBlock *b)
{
    int64_t now = qatomic_read(&interval);

    if (now < b->interval) {
        nfv_order_refine(&b->order, b->interval / now);
        b->interval = now;
    }
}

void nfv_heat_sync(RAMBlock *rb)
{
    unsigned long first = rb->offset >> qemu_target_page_bits();
    HotBlock *b = qatomic_load_acquire(&blocks) ? find(rb) : NULL;
    DirtyMemoryBlocks *log;

    /* Words of both bitmaps must match; small blocks are not worth more. */
    if (!b || !runstate_is_running() || first % BITS_PER_LONG ||
        b->order.pages % BITS_PER_LONG) {
        return;
    }
    log = qatomic_rcu_read(&ram_list.dirty_memory[DIRTY_MEMORY_MIGRATION]);
    for (uint64_t page = 0; page < b->order.pages; page += BITS_PER_LONG) {
        nfv_order_note(&b->order, BIT_WORD(page), log_word(log, first + page),
                       log_is_exact(rb, page));
    }
    refine(b);
}

unsigned long nfv_heat_next(RAMBlock *rb, unsigned long page,
                            unsigned long size)
{
    unsigned from = qatomic_read(&low), to = qatomic_read(&high);
    HotBlock *b;

    if (!from && to == NFV_ORDER_TOP) {
        return page;
    }
    /*
     * Once the guest stands still at the end of pre-copy, all must go; and in
     * post-copy the destination takes whole host pages.
     */
    if (pushing ? rb->page_size != qemu_target_page_size() ||
                      nfv_urgent_is_next(rb, page) :
                  !runstate_is_running()) {
        return page;
    }
    b = find(rb);
    if (!b) {
        return page;
    }
    if (holes_first) {
        return b->holes ? nfv_order_next_of(b->holes, b->order.pages, rb->bmap,
                                            page, size) : size;
    }
    return nfv_order_next(&b->order, from, to, rb->bmap, page, size,
                          pushing ? LOOK_MOST : ULONG_MAX);
}

/* The last round takes all. */
static int heat_notify(NotifierWithReturn *notifier, void *data, Error **errp)
{
    PrecopyNotifyData *notify = data;

    if (notify->reason == PRECOPY_NOTIFY_COMPLETE) {
        nfv_heat_release();
    } else if (notify->reason == PRECOPY_NOTIFY_CLEANUP) {
        nfv_heat_release();
        free_blocks();
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
