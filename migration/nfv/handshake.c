/*
 * Handshake: what can the destination of this migration do?
 *
 * The source sends a PING whose value is a question.  Every QEMU answers a PING
 * with a PONG: stock with the same value, ours with its features.  So a stock
 * destination receives nothing that it does not know.
 *
 * Copyright (c) 2026 the kvm4nfv authors
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "qemu/osdep.h"
#include <zlib.h>
#include "qemu-version.h"
#include "qemu/atomic.h"
#include "qemu/bswap.h"
#include "qemu/module.h"
#include "qemu/rcu.h"
#include "qemu/thread.h"
#include "exec/ramblock.h"
#include "exec/target_page.h"
#include "migration/misc.h"
#include "migration/nfv.h"
#include "migration/options.h"
#include "migration/ram.h"
#include "migration/savevm.h"
#include "system/system.h"
#include "drain.h"
#include "owed.h"
#include "promise.h"
#include "trace.h"

/*
 * "nfv" and the version of the handshake: another version is another question,
 * to which a QEMU that does not know it answers as stock.  QEMU's own PINGs are
 * small numbers.
 */
#define QUESTION 0x6e667601u

/* "NF" and the features. */
#define ANSWER 0x4e460000u

#define ANSWER_TIMEOUT_MS 1000

/*
 * Sent before the question, without the need for an answer: a checksum of which
 * blocks of RAM have huge pages, and of what size.
 */
#define PAGES 0x4e500000u
#define PAGES_MASK 0xfffffu
#define PAGES_BITS 20

/*
 * Sent in the same way: a checksum of what decides which arrays can be sent
 * without their repeats, QEMU's devices and our own plan of them.
 */
#define LAYOUT 0x4e600000u
#define LAYOUT_OF QEMU_FULL_VERSION " 1"

/*
 * About the last migration that left this QEMU.  @asked, @waited: only the
 * migration thread.  @peer is published by the return path thread after @features; then
 * it is not changed until the next migration, which has other threads.
 */
static bool asked, waited;
static NfvPeer peer;
static uint32_t peer_features;
static QemuSemaphore answered;

/* About the migration that comes in.  Thread that loads; @was_asked: atomic. */
static uint32_t source_pages, source_layout;
static bool was_asked;

static uint32_t own_pages(void)
{
    uint32_t sum = 0;
    RAMBlock *rb;

    RCU_READ_LOCK_GUARD();
    RAMBLOCK_FOREACH_NOT_IGNORED(rb) {
        if (rb->page_size > qemu_target_page_size()) {
            uint64_t size = cpu_to_be64(rb->page_size);
            uint32_t name = crc32(0, (const Bytef *)rb->idstr,
                                  strlen(rb->idstr));

            sum ^= crc32(name, (const Bytef *)&size, sizeof(size));
        }
    }
    return PAGES | ((sum ^ sum >> PAGES_BITS) & PAGES_MASK);
}

static uint32_t own_layout(void)
{
    return LAYOUT | (crc32(0, (const Bytef *)LAYOUT_OF, strlen(LAYOUT_OF)) &
                     PAGES_MASK);
}

void nfv_handshake_start(QEMUFile *f)
{
    uint32_t features = nfv_migration_features();

    if (nfv_migration_settings()->postcopy && migrate_postcopy_ram()) {
        qemu_savevm_send_ping(f, own_pages());
    }
    if (features) {
        trace_nfv_handshake_start(features);
        asked = true;
        qemu_savevm_send_ping(f, own_layout());
        qemu_savevm_send_ping(f, QUESTION);
    }
}

bool nfv_handshake_receive(uint32_t pong)
{
    bool is_answer = (pong & ~NFV_FEATURE_MASK) == ANSWER;

    if (nfv_drain_pong(pong) || nfv_promise_pong(pong) ||
        (pong & ~PAGES_MASK) == PAGES || (pong & ~PAGES_MASK) == LAYOUT ||
        pong == NFV_OWED_LAST) {
        return true;
    }
    if (!is_answer && pong != QUESTION) {
        return false;
    }
    if (qatomic_read(&peer) != NFV_PEER_UNKNOWN) {
        return true; /* only a broken destination answers twice */
    }
    if (is_answer) {
        peer_features = pong & NFV_FEATURE_MASK;
        trace_nfv_handshake_peer_nfv(peer_features);
    } else {
        trace_nfv_handshake_peer_stock();
    }
    qatomic_store_release(&peer, is_answer ? NFV_PEER_NFV : NFV_PEER_STOCK);
    qemu_sem_post(&answered);
    return true;
}

uint32_t nfv_handshake_answer(uint32_t ping)
{
    uint32_t features = nfv_migration_features();

    if ((ping & ~PAGES_MASK) == PAGES) {
        source_pages = ping;
    }
    if ((ping & ~PAGES_MASK) == LAYOUT) {
        source_layout = ping;
    }
    if (ping == NFV_OWED_LAST && !nfv_owed_wait()) {
        return 0; /* which nobody waits for */
    }
    if (ping != QUESTION || !features) {
        return ping;
    }
    qatomic_set(&was_asked, true);
    if (migrate_postcopy_ram()) {
        features |= NFV_FEATURE_POSTCOPY_RAM;
    }
    if (source_pages == own_pages()) {
        features |= NFV_FEATURE_SAME_PAGES;
    }
    if (source_layout != own_layout()) {
        features &= ~NFV_FEATURE_REPEATS;
    }
    trace_nfv_handshake_answer(features);
    return ANSWER | features;
}

bool nfv_handshake_may_postcopy(void)
{
    return nfv_handshake_was_asked() && source_pages;
}

bool nfv_handshake_was_asked(void)
{
    return qatomic_read(&was_asked);
}

NfvPeer nfv_migration_peer(uint32_t *features, bool wait)
{
    NfvPeer known;

    if (!asked) {
        return NFV_PEER_UNKNOWN;
    }
    if (wait && !waited) {
        waited = true;
        qemu_sem_timedwait(&answered, ANSWER_TIMEOUT_MS);
    }
    known = qatomic_load_acquire(&peer);
    if (known == NFV_PEER_NFV) {
        *features = peer_features;
    }
    return known;
}

NfvPeer nfv_migration_last_peer(void)
{
    return qatomic_read(&peer);
}

/* Main thread, before the migration's threads are made. */
static int handshake_reset(NotifierWithReturn *notifier, MigrationEvent *e,
                           Error **errp)
{
    if (e->type == MIG_EVENT_PRECOPY_SETUP) {
        asked = waited = false;
        qatomic_set(&peer, NFV_PEER_UNKNOWN);
        while (!qemu_sem_timedwait(&answered, 0)) {
            /* Nobody waited for the answer to an earlier migration. */
        }
    }
    return 0;
}

/*
 * The peer is gone: what is saved next, to a snapshot for example, is not for
 * it.  Main thread, after the migration thread asked for the last time.
 */
static int handshake_forget(NotifierWithReturn *notifier, void *data,
                            Error **errp)
{
    PrecopyNotifyData *notify = data;

    if (notify->reason == PRECOPY_NOTIFY_CLEANUP) {
        asked = false;
    }
    return 0;
}

/* The list is emptied after migration_init(). */
static void handshake_ready(Notifier *notifier, void *data)
{
    static NotifierWithReturn cleanup = { .notify = handshake_forget };

    precopy_add_notifier(&cleanup);
}

static void handshake_register(void)
{
    static NotifierWithReturn notifiers[MIG_MODE__MAX];
    static Notifier ready = { .notify = handshake_ready };

    qemu_sem_init(&answered, 0);
    for (int mode = 0; mode < MIG_MODE__MAX; mode++) {
        migration_add_notifier_mode(&notifiers[mode], handshake_reset, mode);
    }
    qemu_add_machine_init_done_notifier(&ready);
}
migration_init(handshake_register);
