/*
 * Populated map: pages that never held data are not read, and not sent to a
 * destination that can do without
 *
 * A page is a hole if it held nothing, or zeroes, after its dirty log was
 * cleared: what is written to it later is logged, and sent by a later round.
 *
 * Copyright (c) 2026 the kvm4nfv authors
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "qemu/osdep.h"
#include "qapi/error.h"
#include "qemu/module.h"
#include "qemu/rcu.h"
#include "exec/memory.h"
#include "exec/ramblock.h"
#include "exec/target_page.h"
#include "migration/migration.h"
#include "migration/misc.h"
#include "migration/nfv.h"
#include "migration/options.h"
#include "migration/postcopy-ram.h"
#include "migration/qemu-file.h"
#include "migration/ram.h"
#include "system/balloon.h"
#include "system/runstate.h"
#include "system/system.h"
#include "heat.h"
#include "holelist.h"
#include "holes.h"
#include "owed.h"
#include "promise.h"
#include "report.h"
#include "stream.h"
#include "trace.h"
#include "zeroes.h"

/*
 * Runs in all blocks together; the shorter ones are left out to stay below.  A
 * list of them is 12 of its 16 MiB: the rest is for the names of the
 * blocks, and for runs that the guest breaks up before they are verified.
 */
#define RUNS_MAX 786432

typedef struct HoleBlock {
    RAMBlock *rb; /* to compare with: a guest may eject its memory */
    uint64_t pages;
    unsigned long *holes; /* one bit a target page */
} HoleBlock;

typedef struct HoleMap {
    struct rcu_head rcu;
    GArray *blocks; /* of HoleBlock */
} HoleMap;

/*
 * Source: the pages that need not be read (@sent_as_zero: they are sent), and
 * in post-copy those that the destination does without.  Written by the
 * migration thread.
 */
static HoleMap *source;
static bool sent_as_zero;
/* For the report. */
static uint64_t holes_found; /* bytes */
static bool holes_left_out;

/*
 * Destination, where post-copy may follow: what the source will never send.
 * Bits are cleared when the source says that a page is dirty.
 */
static HoleMap *destination;
static bool loaded;
static unsigned loads; /* how many migrations have come in */

static HoleMap *map_new(void)
{
    HoleMap *map = g_new0(HoleMap, 1);

    map->blocks = g_array_new(false, false, sizeof(HoleBlock));
    return map;
}

static void map_free(HoleMap *map)
{
    for (guint i = 0; i < map->blocks->len; i++) {
        g_free(g_array_index(map->blocks, HoleBlock, i).holes);
    }
    g_array_unref(map->blocks);
    g_free(map);
}

/* Readers may still be in the old one. */
static void map_publish(HoleMap **where, HoleMap *map)
{
    HoleMap *old = qatomic_read(where);

    qatomic_rcu_set(where, map);
    if (old) {
        call_rcu(old, map_free, rcu);
    }
}

static HoleBlock *map_find(HoleMap *map, const RAMBlock *rb)
{
    for (guint i = 0; map && i < map->blocks->len; i++) {
        HoleBlock *b = &g_array_index(map->blocks, HoleBlock, i);

        if (b->rb == rb) {
            return b;
        }
    }
    return NULL;
}

static bool map_test(HoleMap **where, const RAMBlock *rb, ram_addr_t offset)
{
    RCU_READ_LOCK_GUARD();
    HoleBlock *b = map_find(qatomic_rcu_read(where), rb);
    uint64_t page = offset >> qemu_target_page_bits();

    return b && page < b->pages && test_bit(page, b->holes);
}

/* The same memory may be known under other names, or not be QEMU's at all. */
static NfvHoleSource source_of(RAMBlock *rb)
{
    if ((rb->flags & (RAM_PREALLOC | RAM_GUEST_MEMFD)) ||
        rb->page_size != qemu_real_host_page_size()) {
        return NFV_HOLES_UNKNOWN;
    }
    return nfv_holes_source(rb->fd, qemu_ram_is_shared(rb));
}

/* What is used of the block; a guest may resize one at any time. */
static uint64_t count_pages(const RAMBlock *rb)
{
    return qatomic_read(&rb->used_length) >> qemu_target_page_bits();
}

/* Of the first @pages; NULL where they are unknown. */
static unsigned long *find_holes(RAMBlock *rb, uint64_t pages)
{
    g_autofree unsigned long *holes = bitmap_new(pages);

    if (!nfv_holes_find(source_of(rb), rb->host,
                        pages << qemu_target_page_bits(), rb->fd,
                        rb->fd_offset, qemu_target_page_bits(), holes)) {
        return NULL;
    }
    return g_steal_pointer(&holes);
}

/* Source */

typedef void ForRun(HoleBlock *b, uint64_t start, uint64_t length);

/* In bytes. */
static void for_each_run(HoleBlock *b, const unsigned long *bits, ForRun *run)
{
    unsigned page_bits = qemu_target_page_bits();

    for (uint64_t end, first = find_first_bit(bits, b->pages); first < b->pages;
         first = find_next_bit(bits, b->pages, end)) {
        end = find_next_zero_bit(bits, b->pages, first);
        run(b, first << page_bits, (end - first) << page_bits);
    }
}

static uint64_t count_runs(const HoleBlock *b, uint64_t min_run)
{
    uint64_t count = 0;

    for (uint64_t end, first = find_first_bit(b->holes, b->pages);
         first < b->pages; first = find_next_bit(b->holes, b->pages, end)) {
        end = find_next_zero_bit(b->holes, b->pages, first);
        count += end - first >= min_run;
    }
    return count;
}

static void drop_short_runs(HoleBlock *b, uint64_t min_run)
{
    for (uint64_t end, first = find_first_bit(b->holes, b->pages);
         first < b->pages; first = find_next_bit(b->holes, b->pages, end)) {
        end = find_next_zero_bit(b->holes, b->pages, first);
        if (end - first < min_run) {
            bitmap_clear(b->holes, first, end - first);
        }
    }
}

/* Clear the dirty log, and the dirty bits: the run is not to be sent. */
static void skip_run(HoleBlock *b, uint64_t start, uint64_t length)
{
    qemu_guest_free_page_hint(b->rb->host + start, length);
}

/*
 * A search of all memory takes a while, which nothing may wait for: what was not
 * looked at goes as it does in stock's way.
 */
static bool search_goes_on(void)
{
    const MigrationState *s = migrate_get_current();

    return migration_is_running() &&
           qatomic_read(&s->state) != MIGRATION_STATUS_CANCELLING &&
           !qatomic_read(&s->start_postcopy) &&
           nfv_promise_elapsed(s) < nfv_promise_left(s);
}

/* Add populated pages that hold zeroes: they may be most of what is huge. */
static void add_zeroes(HoleBlock *b)
{
    g_autofree unsigned long *look = bitmap_new(b->pages);
    g_autofree unsigned long *zeroes = bitmap_new(b->pages);

    if (migrate_zero_page_detection() == ZERO_PAGE_DETECTION_NONE) {
        return;
    }
    bitmap_andnot(look, b->rb->bmap, b->holes, b->pages);
    nfv_zeroes_find(b->rb->host, b->pages, qemu_target_page_bits(), look,
                    zeroes, nfv_zeroes_threads(), search_goes_on);
    bitmap_or(b->holes, b->holes, zeroes, b->pages);
}

/* At most @max_runs; returns how many there are. */
static uint64_t limit_runs(HoleBlock *b, uint64_t max_runs)
{
    uint64_t min_run = 1, runs;

    while ((runs = count_runs(b, min_run)) > max_runs) {
        min_run *= 2;
    }
    drop_short_runs(b, min_run);
    return runs;
}

/* Add it, with at most @max_runs; returns how many it has. */
static uint64_t add_source_block(HoleMap *map, RAMBlock *rb, bool skip,
                                 uint64_t max_runs)
{
    HoleBlock b = { .rb = rb, .pages = count_pages(rb) };
    uint64_t runs, found;

    /* What is written from now on is logged, and a second time does no harm. */
    nfv_heat_clear_log(rb);
    b.holes = find_holes(rb, b.pages);
    if (!b.holes) {
        trace_nfv_popmap_unknown(rb->idstr);
        b.holes = bitmap_new(b.pages);
    }
    /* virtio-mem's unplugged memory is not migrated. */
    bitmap_and(b.holes, b.holes, rb->bmap, b.pages);
    add_zeroes(&b);
    runs = limit_runs(&b, max_runs);
    if (skip) {
        for_each_run(&b, b.holes, skip_run);
    } else {
        nfv_heat_holes_first(rb, b.holes, b.pages);
    }
    found = bitmap_count_one(b.holes, b.pages);
    trace_nfv_popmap_found(rb->idstr, found, b.pages);
    qatomic_set(&holes_found, holes_found + (found << qemu_target_page_bits()));
    g_array_append_val(map->blocks, b);
    return runs;
}

/* The blocks are those of an RCU read section that has not ended. */
static GByteArray *make_list(const HoleMap *map)
{
    GByteArray *list = nfv_record_new(&nfv_holelist_kind);

    for (guint i = 0; i < map->blocks->len; i++) {
        const HoleBlock *b = &g_array_index(map->blocks, HoleBlock, i);

        nfv_holelist_add(list, b->rb->idstr, b->holes, b->pages,
                         qemu_target_page_bits(), 1);
    }
    nfv_record_finish(list);
    return list;
}

static bool can_skip(void)
{
    uint32_t features = 0;

    return !migrate_mapped_ram() &&
           nfv_migration_peer(&features, true) == NFV_PEER_NFV &&
           (features & NFV_FEATURE_POPMAP);
}

void nfv_popmap_save(QEMUFile *f)
{
    g_autoptr(GByteArray) list = NULL;
    uint64_t runs = 0;
    HoleMap *map;
    RAMBlock *rb;
    bool skip;

    qatomic_set(&holes_found, 0);
    qatomic_set(&holes_left_out, false);
    if (!nfv_migration_settings()->popmap || migrate_background_snapshot() ||
        migrate_colo() || migrate_rdma()) {
        return;
    }
    skip = can_skip();
    map = map_new();
    WITH_RCU_READ_LOCK_GUARD() {
        RAMBLOCK_FOREACH_NOT_IGNORED(rb) {
            runs += add_source_block(map, rb, skip, RUNS_MAX - runs);
        }
        if (skip) {
            list = make_list(map);
        }
    }
    if (list) {
        nfv_stream_send(f, list);
    }
    qatomic_set(&sent_as_zero, !skip);
    qatomic_set(&holes_left_out, skip);
    map_publish(&source, map);
    trace_nfv_popmap_save(skip);
}

uint64_t nfv_popmap_holes(bool *left_out)
{
    *left_out = qatomic_read(&holes_left_out);
    return qatomic_read(&holes_found);
}

bool nfv_popmap_is_zero(RAMBlock *rb, ram_addr_t offset)
{
    return qatomic_read(&sent_as_zero) && map_test(&source, rb, offset);
}

void nfv_popmap_postcopy(void)
{
    RAMBlock *rb;

    RCU_READ_LOCK_GUARD();
    RAMBLOCK_FOREACH_NOT_IGNORED(rb) {
        HoleBlock *b = map_find(qatomic_rcu_read(&source), rb);

        if (b) {
            bitmap_andnot(b->holes, b->holes, rb->bmap, b->pages);
        }
    }
}

void nfv_popmap_recover(RAMBlock *rb)
{
    HoleBlock *b;

    RCU_READ_LOCK_GUARD();
    b = map_find(qatomic_rcu_read(&source), rb);
    if (b && !qatomic_read(&sent_as_zero)) {
        bitmap_andnot(rb->bmap, rb->bmap, b->holes, b->pages);
    }
}

/*
 * A page that was dirtied is no hole; those that are sent as zero have nearly
 * all been sent by the time of a second sync.
 */
static int source_notify(NotifierWithReturn *notifier, void *data, Error **errp)
{
    PrecopyNotifyData *notify = data;
    bool ends =
        notify->reason == PRECOPY_NOTIFY_CLEANUP ||
        (notify->reason == PRECOPY_NOTIFY_AFTER_BITMAP_SYNC && sent_as_zero);

    if (ends && source) {
        qatomic_set(&sent_as_zero, false);
        map_publish(&source, NULL);
    }
    return 0;
}

/* Destination */

typedef struct Load {
    HoleMap *map;       /* where post-copy may follow, else NULL */
    RAMBlock *rb;       /* of the last run */
    unsigned long *own; /* its holes here; NULL: unknown */
    uint64_t zeroed;    /* pages that had something */
} Load;

static bool check_run(void *opaque, const char *id, uint64_t start,
                      uint64_t length, Error **errp)
{
    RAMBlock *rb = qemu_ram_block_by_name(id);
    uint64_t page = qemu_target_page_size();

    if (!rb || !rb->host || migrate_ram_is_ignored(rb)) {
        error_setg(errp, "list of holes: no RAM block '%s' is migrated", id);
    } else if (!QEMU_IS_ALIGNED(start | length, page) ||
               start + length > rb->used_length) {
        error_setg(errp,
                   "list of holes: '%s' has 0x%" PRIx64 " bytes at 0x%" PRIx64
                   ", which are no pages of its 0x%" PRIx64,
                   id, length, start, (uint64_t)rb->used_length);
    } else {
        return true;
    }
    return false;
}

/*
 * In a directory QEMU makes a file that nobody else can open; and where no page of
 * hugetlbfs is allocated, nobody wrote to any.
 */
static bool is_new_file(const RAMBlock *rb)
{
    Object *backend = memory_region_owner(rb->mr);
    g_autofree char *path =
        backend ? object_property_get_str(backend, "mem-path", NULL) : NULL;
    struct stat file;

    if (!path || fstat(rb->fd, &file)) {
        return false;
    }
    return (!file.st_nlink && g_file_test(path, G_FILE_TEST_IS_DIR)) ||
           (!file.st_blocks && rb->page_size != qemu_real_host_page_size());
}

/*
 * Memory that this QEMU has allocated, and that nobody has written to: while a
 * migration comes in, vCPUs and devices stand still, and ROMs are not copied.
 */
static bool is_fresh(const RAMBlock *rb)
{
    return loads == 1 && runstate_check(RUN_STATE_INMIGRATE) &&
           migrate_mode() == MIG_MODE_NORMAL && !(rb->flags & RAM_PREALLOC) &&
           (!(rb->flags & RAM_NAMED_FILE) || is_new_file(rb));
}

/* Its holes, or all of it if it is fresh; NULL: unknown. */
static unsigned long *find_zeroes(RAMBlock *rb)
{
    uint64_t pages = count_pages(rb);
    unsigned long *holes = find_holes(rb, pages);

    if (!holes && is_fresh(rb)) {
        holes = bitmap_new(pages);
        bitmap_set(holes, 0, pages);
    }
    return holes;
}

/*
 * A multifd channel takes a page that it has not seen before for zero.  That is
 * so for holes only.
 */
static void expect_content(RAMBlock *rb)
{
    uint64_t pages = count_pages(rb);
    g_autofree unsigned long *zeroes = find_zeroes(rb);

    if (zeroes) {
        bitmap_complement(rb->receivedmap, zeroes, pages);
    } else {
        bitmap_set(rb->receivedmap, 0, pages);
    }
}

static void enter_block(Load *load, RAMBlock *rb)
{
    load->rb = rb;
    g_free(load->own);
    load->own = find_zeroes(rb);
    if (load->map && !map_find(load->map, rb)) {
        uint64_t pages = count_pages(rb);
        HoleBlock b = { .rb = rb, .pages = pages, .holes = bitmap_new(pages) };

        g_array_append_val(load->map->blocks, b);
    }
}

/* What is a hole here, too, is not touched. */
static bool apply_run(void *opaque, const char *id, uint64_t start,
                      uint64_t length, Error **errp)
{
    Load *load = opaque;
    RAMBlock *rb = qemu_ram_block_by_name(id);
    unsigned page_bits = qemu_target_page_bits();
    uint64_t page = start >> page_bits, end = (start + length) >> page_bits;

    if (rb != load->rb) {
        enter_block(load, rb);
    }
    if (load->map) {
        bitmap_set(map_find(load->map, rb)->holes, page, end - page);
    }
    for (; page < end; page++) {
        if (load->own) {
            page = find_next_zero_bit(load->own, end, page);
        }
        if (page < end) {
            ram_handle_zero(rb->host + (page << page_bits), 1 << page_bits);
            load->zeroed++;
        }
    }
    return true;
}

static bool load_list(const uint8_t *payload, uint32_t length, Error **errp)
{
    Load load = { 0 };

    if (!nfv_migration_settings()->popmap || loaded) {
        error_setg(
            errp, "list of holes: %s",
            loaded ? "it came twice" : "it came though popmap is off here");
        return false;
    }
    loaded = true;
    RCU_READ_LOCK_GUARD();
    /* All of it, before anything is changed. */
    if (!nfv_holelist_parse(payload, length, check_run, NULL, errp)) {
        return false;
    }
    if (migrate_postcopy_ram()) {
        load.map = map_new();
    }
    nfv_holelist_parse(payload, length, apply_run, &load, &error_abort);
    g_free(load.own);
    map_publish(&destination, load.map);
    trace_nfv_popmap_load(length, load.zeroed);
    return true;
}

void nfv_popmap_load_setup(void)
{
    RAMBlock *rb;

    loaded = false;
    loads++;
    nfv_owed_reset();
    map_publish(&destination, NULL);
    /* If post-copy was announced, all memory was discarded. */
    if (!nfv_migration_settings()->popmap || !migrate_multifd() ||
        migration_incoming_postcopy_advised()) {
        return;
    }
    RCU_READ_LOCK_GUARD();
    RAMBLOCK_FOREACH_NOT_IGNORED(rb) {
        expect_content(rb);
    }
}

bool nfv_popmap_is_absent(RAMBlock *rb, ram_addr_t offset)
{
    return map_test(&destination, rb, offset);
}

int nfv_popmap_place(RAMBlock *rb, ram_addr_t offset)
{
    /* By its address here: the fault may be another process's. */
    return ramblock_recv_bitmap_test_byte_offset(rb, offset) ?
               0 :
               postcopy_place_page_zero(migration_incoming_get_current(),
                                        rb->host + offset, rb);
}

void nfv_popmap_discard(RAMBlock *rb, ram_addr_t start, uint64_t length)
{
    HoleBlock *b;
    uint64_t page = start >> qemu_target_page_bits();
    uint64_t pages = length >> qemu_target_page_bits();

    nfv_owed_add(rb, start, length);
    RCU_READ_LOCK_GUARD();
    b = map_find(qatomic_rcu_read(&destination), rb);
    if (b && page < b->pages) {
        bitmap_test_and_clear_atomic(b->holes, page,
                                     MIN(pages, b->pages - page));
    }
}

static int destination_notify(NotifierWithReturn *notifier, void *data,
                              Error **errp)
{
    struct PostcopyNotifyData *notify = data;

    if (notify->reason == POSTCOPY_NOTIFY_INBOUND_END) {
        map_publish(&destination, NULL);
    }
    return 0;
}

/* The lists of both are emptied after migration_init(). */
static void popmap_ready(Notifier *notifier, void *data)
{
    static NotifierWithReturn outgoing = { .notify = source_notify };
    static NotifierWithReturn incoming = { .notify = destination_notify };

    precopy_add_notifier(&outgoing);
    postcopy_add_notifier(&incoming);
}

static void popmap_register(void)
{
    static Notifier ready = { .notify = popmap_ready };

    nfv_stream_register(&nfv_holelist_kind, load_list);
    qemu_add_machine_init_done_notifier(&ready);
}
migration_init(popmap_register);
