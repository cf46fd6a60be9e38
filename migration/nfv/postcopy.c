/*
 * Post-copy: when and how the source switches to it
 *
 * Stock tells the destination at the beginning that post-copy may follow, for
 * which that throws away all of its memory, and discards what is dirty while the
 * guest stands still.  Ours tells it when it is to begin, and discards before
 * the stop what was dirty then: the destination has the time of a round trip to
 * do it, and only what became dirty meanwhile is left.
 *
 * Copyright (c) 2026 the kvm4nfv authors
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "qemu/osdep.h"
#include "qemu/bitmap.h"
#include "qemu/error-report.h"
#include "qemu/main-loop.h"
#include "qemu/module.h"
#include "qemu/rcu.h"
#include "qemu/units.h"
#include "exec/ramblock.h"
#include "exec/target_page.h"
#include "io/channel.h"
#include "migration/migration.h"
#include "migration/misc.h"
#include "migration/nfv.h"
#include "migration/options.h"
#include "migration/postcopy-ram.h"
#include "migration/qemu-file.h"
#include "migration/ram.h"
#include "migration/savevm.h"
#include "system/runstate.h"
#include "system/system.h"
#include "drain.h"
#include "heat.h"
#include "owed.h"
#include "postcopy.h"
#include "ranges.h"
#include "report.h"
#include "stall.h"
#include "trace.h"
#include "urgent.h"

#define NOT_YET_US 1000
/* After so long it is looked whether there can be an answer. */
#define DRAIN_MS 10
/* What may wait in the source's socket: so much time of the link, or bytes. */
#define QUEUE_US 500
#define QUEUE_LEAST (64 * KiB)

typedef enum Stage {
    STAGE_NONE,
    STAGE_FLUSH,   /* the multifd channels */
    STAGE_DISCARD, /* and tell the destination, if it was not told */
    STAGE_DRAIN,
    STAGE_READY,
    STAGE_ACTIVE, /* the guest runs at the destination */
} Stage;

/* What the destination was told to discard before the stop. */
typedef struct Discarded {
    const RAMBlock *rb; /* to compare with */
    uint64_t count;
    unsigned long *pages;
} Discarded;

static struct {
    bool late;      /* the destination is told when post-copy begins */
    bool telling;   /* it is told now */
    Stage stage;
    const char *obstacle;    /* atomic */
    const char *must_be_asked; /* why it does not begin by itself; atomic */
    bool told;         /* that it was asked for in vain */
    GArray *discarded; /* of Discarded, or NULL */
    unsigned long *copy; /* of the block that is discarded now */
    QIOChannel *shortened; /* whose queue was cut; or NULL */
} source;

/* Source: what is possible */

/* What the destination said. */
static const char *find_obstacle(uint32_t features)
{
    if (!(features & NFV_FEATURE_POSTCOPY_RAM)) {
        return "the capability postcopy-ram is off at the destination";
    }
    if (!(features & NFV_FEATURE_SAME_PAGES)) {
        return "the RAM of the destination has other page sizes";
    }
    return NULL;
}

/* Whether the deadline may bring it about. */
static bool may_come_by_itself(void)
{
    const NfvMigrationSettings *settings = nfv_migration_settings();

    return settings->policy && settings->deadline &&
           settings->on_deadline == NFV_ON_DEADLINE_POSTCOPY;
}

/* @why: a static string, or NULL. */
static void set_obstacle(const char **where, const char *why)
{
    qatomic_set(where, why);
    trace_nfv_postcopy_obstacle(why ?: "");
    if (why && may_come_by_itself()) {
        warn_report("on-deadline=postcopy: post-copy is not possible, because "
                    "%s; the migration goes on as with on-deadline=continue",
                    why);
    }
}

static bool has_gib_pages(void)
{
    RAMBlock *rb;

    RCU_READ_LOCK_GUARD();
    RAMBLOCK_FOREACH_NOT_IGNORED(rb) {
        if (rb->page_size >= GiB) {
            return true;
        }
    }
    return false;
}

/* What is known at once; the rest follows with the handshake. */
static void check_at_start(void)
{
    set_obstacle(&source.obstacle,
                 migrate_postcopy_ram() ? NULL :
                     "the capability postcopy-ram is off");
    set_obstacle(&source.must_be_asked,
                 has_gib_pages() ?
                     "RAM has pages of 1 GiB, each of which would stall the "
                     "guest for its whole transfer" : NULL);
}

bool nfv_postcopy_defers_advise(void)
{
    uint32_t features = 0;

    if (source.telling || !nfv_migration_settings()->postcopy ||
        !migrate_postcopy_ram() || migrate_dirty_bitmaps() ||
        nfv_migration_peer(&features, true) != NFV_PEER_NFV ||
        !(features & NFV_FEATURE_POSTCOPY)) {
        return false; /* as stock: who cannot do it fails early */
    }
    qatomic_set(&source.late, true);
    set_obstacle(&source.obstacle, find_obstacle(features));
    return true;
}

bool nfv_postcopy_is_late(void)
{
    return qatomic_read(&source.late);
}

const char *nfv_postcopy_obstacle(void)
{
    return qatomic_read(&source.obstacle) ?:
               qatomic_read(&source.must_be_asked);
}

bool nfv_postcopy_is_wanted(MigrationState *s)
{
    if (!qatomic_read(&s->start_postcopy) ||
        !nfv_migration_settings()->postcopy || !migrate_postcopy_ram()) {
        return false;
    }
    if (source.obstacle) {
        if (!source.told) {
            warn_report("post-copy is not possible: %s; the migration goes on "
                        "without", source.obstacle);
            source.told = true;
        }
        return false;
    }
    return true;
}

/* Source: discards before the stop */

/* With the mutex of the dirty bitmap. */
static uint64_t close_ranges(RAMBlock *rb)
{
    uint64_t pages = rb->used_length >> qemu_target_page_bits();
    unsigned ratio = rb->page_size >> qemu_target_page_bits();
    uint64_t set = nfv_ranges_round(rb->bmap, pages, ratio);

    set += ratio > 1 ? 0 : nfv_ranges_close(rb->bmap, pages);
    bitmap_copy(source.copy, rb->bmap, pages);
    return set;
}

static void discard_block(MigrationState *s, RAMBlock *rb)
{
    uint64_t pages = rb->used_length >> qemu_target_page_bits();
    Discarded d = { rb, pages, bitmap_new(pages) };

    source.copy = d.pages;
    ram_add_dirty_pages(rb, close_ranges);
    g_array_append_val(source.discarded, d);
    postcopy_discard_send_init(s, rb->idstr);
    for (uint64_t end, first = find_first_bit(d.pages, pages); first < pages;
         first = find_next_bit(d.pages, pages, end)) {
        end = find_next_zero_bit(d.pages, pages, first);
        postcopy_discard_send_range(s, first, end - first);
    }
    postcopy_discard_send_finish(s);
    trace_nfv_postcopy_discard(rb->idstr, bitmap_count_one(d.pages, pages));
}

static void discard_early(MigrationState *s)
{
    uint64_t must, can;
    RAMBlock *rb;

    qemu_savevm_state_pending_exact(&must, &can);
    source.discarded = g_array_new(false, false, sizeof(Discarded));
    RCU_READ_LOCK_GUARD();
    RAMBLOCK_FOREACH_NOT_IGNORED(rb) {
        discard_block(s, rb);
    }
}

static void forget_discarded(void)
{
    for (guint i = 0; source.discarded && i < source.discarded->len; i++) {
        g_free(g_array_index(source.discarded, Discarded, i).pages);
    }
    g_clear_pointer(&source.discarded, g_array_unref);
}

unsigned long *nfv_postcopy_undiscarded(RAMBlock *rb)
{
    uint64_t pages = rb->used_length >> qemu_target_page_bits();

    for (guint i = 0; source.discarded && i < source.discarded->len; i++) {
        const Discarded *d = &g_array_index(source.discarded, Discarded, i);

        if (d->rb == rb && d->count == pages) {
            unsigned long *left = bitmap_new(pages);

            bitmap_andnot(left, rb->bmap, d->pages, pages);
            return left;
        }
    }
    return NULL;
}

/* Source: steps */

static bool iterables_fit(MigrationState *s)
{
    uint64_t must, can;

    qemu_savevm_state_pending_estimate(&must, &can);
    return must <= s->threshold_size;
}

static Stage flush_channels(MigrationState *s)
{
    if (!migrate_multifd()) {
        return STAGE_DISCARD;
    }
    /*
     * What is in a channel could overtake the discard of its page, so nothing
     * is sent between this and the stop.
     */
    nfv_drain_flush();
    qemu_savevm_state_iterate(s->to_dst_file, false);
    return nfv_drain_flushes() ? STAGE_FLUSH : STAGE_DISCARD;
}

/*
 * The way back is gone, without which nobody could answer the guest there.  In
 * post-copy it pauses then, and can be recovered.
 */
static void fail(MigrationState *s)
{
    /* Who cancels shuts it down, too, and has the BQL until the state says so. */
    BQL_LOCK_GUARD();
    if (s->state != MIGRATION_STATUS_CANCELLING) {
        qemu_file_set_error(s->to_dst_file, -EIO);
    }
}

static Stage tell_and_discard(MigrationState *s)
{
    if (source.late) {
        source.telling = true;
        qemu_savevm_send_postcopy_advise(s->to_dst_file);
        source.telling = false;
    }
    if (nfv_migration_settings()->early_discard) {
        discard_early(s);
    }
    nfv_drain_start(s);
    return STAGE_DRAIN;
}

static void wait_until_it_may(MigrationState *s)
{
    uint64_t must, can;

    if (qemu_savevm_state_iterate(s->to_dst_file, false) > 0) {
        g_usleep(NOT_YET_US);
        qemu_savevm_state_pending_exact(&must, &can);
    }
}

NfvPolicyStep nfv_postcopy_switch(MigrationState *s, bool may_switch)
{
    switch (source.stage) {
    case STAGE_NONE:
        if (!nfv_drain_possible(s)) {
            fail(s);
            break;
        }
        if (!may_switch || !iterables_fit(s)) {
            wait_until_it_may(s);
            break;
        }
        nfv_heat_release();
        source.stage = STAGE_FLUSH;
        trace_nfv_postcopy_switch();
        break;
    case STAGE_FLUSH:
        source.stage = flush_channels(s);
        break;
    case STAGE_DISCARD:
        source.stage = tell_and_discard(s);
        break;
    case STAGE_DRAIN:
        switch (nfv_drain_wait(s, DRAIN_MS)) {
        case NFV_DRAIN_PENDING:
            break;
        case NFV_DRAIN_DONE:
            source.stage = STAGE_READY;
            break;
        case NFV_DRAIN_NO_ANSWER:
            fail(s);
            break;
        }
        break;
    case STAGE_READY:
    case STAGE_ACTIVE:
        return NFV_POLICY_POSTCOPY;
    }
    return NFV_POLICY_RESUME;
}

static void forget_shortened(void)
{
    g_clear_pointer(&source.shortened, object_unref);
}

/*
 * A page that the guest waits for may be on the way already, behind all that is
 * in the buffers of the socket: TCP lets these grow to many milliseconds.  A
 * recovery comes with another socket.  The preempt channel has nothing that the
 * guest does not wait for.
 */
static void shorten_queue(MigrationState *s)
{
    QIOChannel *ioc = qemu_file_get_ioc(s->to_dst_file);
    uint64_t bytes = nfv_policy_bandwidth() * (QUEUE_US / 1e6);

    if (bytes && ioc != source.shortened) {
        nfv_net_shorten_queue(ioc, MAX(bytes, QUEUE_LEAST));
        forget_shortened();
        source.shortened = QIO_CHANNEL(object_ref(OBJECT(ioc)));
    }
}

/*
 * Not before the destination says that it has all: what is lost on the way then
 * can be sent again, and it may close the preempt channel.
 */
static NfvPolicyStep complete(MigrationState *s)
{
    uint32_t features = 0;
    NfvDrain drain;

    /* It may have prefetched also if post-copy was announced early. */
    if (nfv_migration_peer(&features, false) != NFV_PEER_NFV ||
        !(features & NFV_FEATURE_POSTCOPY)) {
        return NFV_POLICY_COMPLETE;
    }
    nfv_drain_start_with(s, NFV_OWED_LAST);
    trace_nfv_postcopy_last();
    do {
        drain = nfv_drain_wait(s, DRAIN_MS);
    } while (drain == NFV_DRAIN_PENDING &&
             !qemu_file_get_error(s->to_dst_file));
    if (drain == NFV_DRAIN_DONE) {
        return NFV_POLICY_COMPLETE;
    }
    fail(s);
    return NFV_POLICY_RESUME;
}

NfvPolicyStep nfv_postcopy_step(MigrationState *s)
{
    uint64_t must, can;

    if (!nfv_migration_settings()->postcopy) {
        return NFV_POLICY_STOCK;
    }
    if (source.stage != STAGE_ACTIVE) {
        source.stage = STAGE_ACTIVE;
        /* Whatever fails from now on, the guest is not started here again. */
        s->vm_old_state = RUN_STATE_POSTMIGRATE;
        nfv_heat_push();
    }
    shorten_queue(s);
    if (!nfv_drain_possible(s)) {
        /* Nobody hears what the guest asks for; QEMU would see that at the end */
        fail(s);
        return NFV_POLICY_RESUME;
    }
    /*
     * Not before there is nothing left, as stock: the rest would go in one
     * piece, which a broken link could not interrupt.
     */
    qemu_savevm_state_pending_estimate(&must, &can);
    if (!must && !can) {
        return complete(s);
    }
    if (qemu_savevm_state_iterate(s->to_dst_file, true) > 0 &&
        !nfv_heat_exhausted()) {
        return complete(s);
    }
    return NFV_POLICY_RESUME;
}

bool nfv_postcopy_keeps_log(void)
{
    return nfv_migration_settings()->postcopy && migration_in_postcopy();
}

/* Main thread, before the migration's threads are made. */
static int source_start(NotifierWithReturn *notifier, MigrationEvent *e,
                        Error **errp)
{
    if (e->type == MIG_EVENT_PRECOPY_SETUP) {
        qatomic_set(&source.late, false);
        source.telling = false;
        source.stage = STAGE_NONE;
        source.told = false;
        forget_discarded();
        forget_shortened();
        nfv_urgent_reset();
        check_at_start();
    }
    return 0;
}

/* The migration's threads have ended. */
static int source_end(NotifierWithReturn *notifier, void *data, Error **errp)
{
    PrecopyNotifyData *notify = data;

    if (notify->reason == PRECOPY_NOTIFY_CLEANUP) {
        forget_discarded();
        forget_shortened();
    }
    return 0;
}

/* Destination */

bool nfv_postcopy_keeps_ram(void)
{
    return nfv_migration_settings()->postcopy;
}

bool nfv_postcopy_needs_zeroes(void)
{
    return nfv_migration_settings()->postcopy && migrate_postcopy_ram();
}

static int destination_notify(NotifierWithReturn *notifier, void *data,
                              Error **errp)
{
    struct PostcopyNotifyData *notify = data;

    if (!nfv_migration_settings()->postcopy) {
        return 0;
    }
    if (notify->reason == POSTCOPY_NOTIFY_INBOUND_LISTEN) {
        nfv_stall_start();
    } else if (notify->reason == POSTCOPY_NOTIFY_INBOUND_END) {
        nfv_stall_stop();
    }
    return 0;
}

/* The lists of both are emptied after migration_init(). */
static void postcopy_ready(Notifier *notifier, void *data)
{
    static NotifierWithReturn outgoing = { .notify = source_end };
    static NotifierWithReturn incoming = { .notify = destination_notify };

    precopy_add_notifier(&outgoing);
    postcopy_add_notifier(&incoming);
}

static void postcopy_register(void)
{
    static NotifierWithReturn notifiers[MIG_MODE__MAX];
    static Notifier ready = { .notify = postcopy_ready };

    for (int mode = 0; mode < MIG_MODE__MAX; mode++) {
        migration_add_notifier_mode(&notifiers[mode], source_start, mode);
    }
    qemu_add_machine_init_done_notifier(&ready);
}
migration_init(postcopy_register);
