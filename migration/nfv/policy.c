/*
 * Policy: switch over when the stop is known to be short, by the contract
 *
 * Drives the iterations of a pre-copy migration in place of QEMU's own rule.
 * Dirty memory is synchronised often, because what is found dirty before it is
 * sent need not be sent twice.
 *
 * Copyright (c) 2026 the kvm4nfv authors
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "qemu/osdep.h"
#include "qemu/main-loop.h"
#include "qemu/module.h"
#include "qemu/timer.h"
#include "hw/boards.h"
#include "migration/migration.h"
#include "migration/migration-stats.h"
#include "migration/misc.h"
#include "migration/multifd.h"
#include "migration/nfv.h"
#include "migration/options.h"
#include "migration/qemu-file.h"
#include "migration/savevm.h"
#include "bandwidth.h"
#include "decide.h"
#include "drain.h"
#include "heat.h"
#include "postcopy.h"
#include "promise.h"
#include "proof.h"
#include "report.h"
#include "trace.h"

#define US_PER_S 1000000
/* At most this share of the time goes into synchronising. */
#define SYNC_SHARE 20
/* QEMU may send for so long, or sleep for its limit, before the next one. */
#define DECISION_US 100000
#define DIRTY_LEAST_US 1000 /* what became dirty in less says nothing */
#define ROUNDS_KEPT 64
#define PAGES_A_LOOK 64 /* MAX_WAIT of ram.c */
/* After so long it is looked whether there can be an answer to a drain. */
#define DRAIN_MS 10
/* So long nothing is asked of the dirty log while the destination is busy. */
#define NOT_READY_US 1000

/* The migration that is under way, or the last one. */
static struct {
    /* Migration thread. */
    int64_t last_sync, sync_cost; /* us */
    NfvBandwidth bandwidth;
    uint64_t dirty_rate;
    uint64_t soon;       /* of what is pending, bytes; see heat.h */
    int64_t dirty_start; /* us, of what is measured now */
    uint64_t dirty_bytes;
    uint64_t shortened;  /* bytes that went into shortening the stop */
    /* Where that is under way: what it shall cost, and where it began. */
    uint64_t costs, costs_sent, costs_pending;
    NfvProof proof;
    bool flushed;        /* all multifd channels, since the last step */
    bool round_ended;    /* the last step found no more to send */
    bool sent_all;       /* but what stays back to the end */
    bool rest_is_hot;    /* since the last look; it may go in the stop */
    /* Of the round that is made: what was pending when it began, and when. */
    unsigned rounds;     /* that were made */
    uint64_t round_pending, round_bytes;
    int64_t round_start;
    int64_t shrink_rate; /* of the last whole round */
    uint64_t stays;      /* bytes at most, of what is pending, to the end */

    /* Lock held. */
    QemuMutex lock;
    NfvMigrationRound rounds_kept[ROUNDS_KEPT];
    uint64_t decisions;
} policy;

static int64_t now_us(void)
{
    return qemu_clock_get_ns(QEMU_CLOCK_REALTIME) / 1000;
}

/* Bandwidth */

static uint64_t bandwidth(void)
{
    return migrate_avail_switchover_bandwidth() ?:
               nfv_bandwidth_get(&policy.bandwidth, now_us(),
                                 migration_transferred_bytes());
}

/* Rounds */

static uint64_t pending_estimate(void)
{
    uint64_t must, can;

    qemu_savevm_state_pending_estimate(&must, &can);
    return must + can;
}

static int64_t sync_interval(void)
{
    return MAX(nfv_heat_interval(), policy.sync_cost * SYNC_SHARE);
}

static int64_t decision_interval(void)
{
    return MAX(MAX(sync_interval(), DECISION_US), nfv_drain_round_trip());
}

static bool wants_sync(uint64_t pending)
{
    return !pending || policy.sent_all || policy.rest_is_hot ||
           (nfv_heat_may_sync() &&
            now_us() - policy.last_sync >= sync_interval());
}

/* @found: what became dirty since the last sync. */
static void measure_dirty_rate(uint64_t found, int64_t now)
{
    int64_t spent = now - policy.dirty_start;
    uint64_t rate;

    policy.dirty_bytes += found;
    if (spent < DIRTY_LEAST_US) {
        return;
    }
    rate = policy.dirty_bytes * US_PER_S / spent;
    /* Less was sent meanwhile, or nothing: what is dirty cannot become it. */
    policy.dirty_rate =
        policy.proof.answered ? MAX(policy.dirty_rate, rate) : rate;
    policy.dirty_start = now;
    policy.dirty_bytes = 0;
}

static uint64_t synchronise(uint64_t before)
{
    uint64_t must, can, pending;
    uint64_t speed = bandwidth();
    int64_t start = now_us();

    if (speed) {
        nfv_heat_choose_interval(MIN(before / (double)speed * US_PER_S,
                                     INT32_MAX));
    }
    qemu_savevm_state_pending_exact(&must, &can);
    pending = must + can;
    measure_dirty_rate(pending - MIN(before, pending), start);
    policy.last_sync = start;
    policy.rest_is_hot = false;
    policy.soon = nfv_heat_synced();
    return pending;
}

/*
 * A round sends what was pending when it began.  By how much the pending memory
 * shrank meanwhile tells whether they lead to an end.
 */
static void count_round(uint64_t pending)
{
    int64_t now = now_us(), took = now - policy.round_start;
    uint64_t bytes = migration_transferred_bytes();

    if (!policy.round_start) {
        /* The first one begins. */
    } else if (bytes - policy.round_bytes + policy.stays >=
                   policy.round_pending && took > 0) {
        policy.rounds++;
        policy.shrink_rate =
            ((int64_t)policy.round_pending - (int64_t)pending) * US_PER_S /
            took;
    } else {
        return;
    }
    policy.round_start = now;
    policy.round_bytes = bytes;
    policy.round_pending = pending;
}

static void record(const MigrationState *s, const NfvSituation *situation,
                   const NfvDecision *d)
{
    QEMU_LOCK_GUARD(&policy.lock);
    policy.rounds_kept[policy.decisions++ % ROUNDS_KEPT] =
        (NfvMigrationRound) {
            .time = nfv_promise_elapsed(s),
            .pending = situation->pending,
            .bandwidth = situation->bandwidth,
            .dirty_rate = situation->dirty_rate,
            .has_predicted_stop = d->stop >= 0,
            .predicted_stop = MAX(d->stop, 0),
            .step = d->step,
            .reason = d->reason,
        };
    trace_nfv_policy_decide(NfvMigrationStep_str(d->step),
                            NfvMigrationReason_str(d->reason),
                            situation->pending, situation->bandwidth,
                            situation->dirty_rate, d->stop);
}

/*
 * Bytes that did not make the pending memory less went into shortening the stop
 * only; those that were expected are counted.
 */
static void count_shortened(uint64_t pending)
{
    uint64_t sent = migration_transferred_bytes() - policy.costs_sent;
    uint64_t gone = policy.costs_pending - MIN(pending, policy.costs_pending);

    if (policy.costs && sent > gone + policy.costs) {
        policy.shortened += sent - gone - policy.costs;
    }
    policy.costs = 0;
}

static void expect_costs(uint64_t costs, uint64_t pending)
{
    policy.costs = costs;
    policy.costs_sent = migration_transferred_bytes();
    policy.costs_pending = pending;
    policy.shortened += costs;
}

static bool is_flushed(void)
{
    return !migrate_multifd() || policy.flushed;
}

/* Bytes at most that channels are given, but did not send: a packet each. */
static uint64_t queued(void)
{
    return is_flushed() ? 0 :
               (migrate_multifd_channels() + 1) * MULTIFD_PACKET_SIZE;
}

static NfvDecision decide(MigrationState *s, uint64_t pending, bool may_switch)
{
    const NfvMigrationSettings *settings = nfv_migration_settings();
    NfvSituation situation = {
        .limit = nfv_promise_limit(),
        .left = nfv_promise_left(s),
        .device_time = nfv_decide_device_time(current_machine->smp.cpus),
        .pending = pending,
        .bandwidth = bandwidth(),
        .dirty_rate = policy.dirty_rate,
        .soon = policy.soon,
        .sent = migration_transferred_bytes(),
        .shortened = policy.shortened,
        .rounds = policy.rounds,
        .shrink_rate = policy.shrink_rate,
        .sync_interval = decision_interval(),
        .may_postcopy = settings->postcopy && !nfv_postcopy_obstacle() &&
                        settings->on_deadline == NFV_ON_DEADLINE_POSTCOPY,
        .can_drain = nfv_drain_possible(s),
        .unproven = nfv_proof_unproven(&policy.proof,
                                       migration_transferred_bytes(), queued()),
        .round_trip = nfv_drain_round_trip(),
        .longest = nfv_drain_longest(),
        .may_switch = may_switch,
    };
    NfvDecision d;

    d = nfv_decide(&situation);
    expect_costs(d.costs, pending);
    record(s, &situation, &d);
    return d;
}

/* One step */

/* Where post-copy is stock's, so is the way to it. */
static bool applies(const MigrationState *s)
{
    return nfv_migration_settings()->policy &&
           (nfv_migration_settings()->postcopy ||
            !qatomic_read(&s->start_postcopy)) &&
           s->state == MIGRATION_STATUS_ACTIVE &&
           migrate_mode() == MIG_MODE_NORMAL && !migrate_colo() &&
           !migrate_mapped_ram();
}

/* Whether what was sent so far has been read, if that is not asked already. */
static void ask(MigrationState *s)
{
    if (!policy.proof.asks && nfv_drain_possible(s)) {
        nfv_drain_start(s);
        nfv_proof_ask(&policy.proof, migration_transferred_bytes());
    }
}

/* True if the answer is waited for, and not there yet. */
static bool waits_for_answer(MigrationState *s, uint64_t pending)
{
    bool waits = nfv_proof_waits(&policy.proof, !pending || policy.sent_all);
    NfvDrain drain;

    if (!policy.proof.asks) {
        return false;
    }
    drain = nfv_drain_wait(s, 0);
    if (drain == NFV_DRAIN_PENDING && waits) {
        nfv_bandwidth_wait(&policy.bandwidth);
        drain = nfv_drain_wait(s, DRAIN_MS);
    }
    switch (drain) {
    case NFV_DRAIN_PENDING:
        return waits;
    case NFV_DRAIN_DONE:
        nfv_proof_answer(&policy.proof);
        break;
    case NFV_DRAIN_NO_ANSWER:
        nfv_proof_no_answer(&policy.proof);
        break;
    }
    return false;
}

/* Ask now, or when the multifd channels are flushed, by the next step. */
static void prove(MigrationState *s)
{
    if (is_flushed()) {
        ask(s);
    } else if (!policy.proof.asks) {
        nfv_drain_flush();
    }
}

static NfvPolicyStep take(MigrationState *s, NfvDecision d)
{
    switch (d.step) {
    case NFV_MIGRATION_STEP_SWITCH:
        nfv_promise_predicted(d.stop);
        nfv_heat_release();
        return NFV_POLICY_COMPLETE;
    case NFV_MIGRATION_STEP_POSTCOPY:
        nfv_promise_predicted(d.stop);
        qatomic_set(&s->start_postcopy, true);
        return NFV_POLICY_RESUME;
    case NFV_MIGRATION_STEP_DRAIN:
    case NFV_MIGRATION_STEP_SEND:
    default:
        if (d.reason == NFV_MIGRATION_REASON_DESTINATION_NOT_READY) {
            g_usleep(NOT_READY_US);
        }
        if (policy.proof.looks) {
            prove(s);
        }
        return nfv_proof_waits(&policy.proof, false) ? NFV_POLICY_RESUME :
                                                       NFV_POLICY_STOCK;
    }
}

/*
 * Synchronise where it is time to, and do what is decided then.  STOCK: and
 * send.
 */
static NfvPolicyStep look(MigrationState *s, bool may_switch)
{
    uint64_t pending = pending_estimate();
    NfvDecision d;

    if (waits_for_answer(s, pending)) {
        return NFV_POLICY_RESUME;
    }
    if (!policy.proof.answered && !wants_sync(pending)) {
        return NFV_POLICY_STOCK;
    }
    if (policy.round_ended && !policy.proof.answered) {
        ask(s);
    }
    pending = synchronise(pending);
    count_round(pending);
    count_shortened(pending);
    d = decide(s, pending, may_switch);
    policy.stays = d.may_stay;
    nfv_heat_begin(d.may_stay);
    policy.sync_cost = now_us() - policy.last_sync;
    nfv_proof_decided(&policy.proof, &d, policy.round_ended);
    return take(s, d);
}

static void send_more(MigrationState *s)
{
    bool flushes = nfv_drain_flushes();
    bool first_round = nfv_heat_is_first_round();

    policy.round_ended = qemu_savevm_state_iterate(s->to_dst_file, false) > 0;
    policy.sent_all = policy.round_ended && !nfv_heat_exhausted();
    policy.rest_is_hot = first_round && !nfv_heat_is_first_round();
    /* At its end a round is flushed, too. */
    policy.flushed = policy.round_ended || (flushes && !nfv_drain_flushes());
    if (policy.flushed && policy.proof.looks) {
        ask(s);
    }
}

static NfvPolicyStep precopy_step(MigrationState *s, bool may_switch)
{
    NfvPolicyStep step;

    nfv_bandwidth_note(&policy.bandwidth, now_us(),
                       migration_transferred_bytes());
    step = look(s, may_switch);
    if (step != NFV_POLICY_STOCK) {
        return step;
    }
    send_more(s);
    return NFV_POLICY_RESUME;
}

NfvPolicyStep nfv_policy_step(MigrationState *s, bool may_switch)
{
    if (s->state == MIGRATION_STATUS_POSTCOPY_ACTIVE) {
        return nfv_postcopy_step(s);
    }
    if (nfv_postcopy_is_wanted(s)) {
        return nfv_postcopy_switch(s, may_switch);
    }
    if (!applies(s)) {
        nfv_heat_release();
        return NFV_POLICY_STOCK;
    }
    return precopy_step(s, may_switch);
}

int nfv_policy_count(int i, int pages)
{
    return pages > 1 && nfv_migration_settings()->policy ?
               ROUND_UP(i, PAGES_A_LOOK) : i;
}

/* Main thread with the BQL: the migration's channel is there. */
static void reset(void)
{
    policy.last_sync = now_us();
    policy.sync_cost = 0;
    policy.bandwidth = (NfvBandwidth) { 0 };
    policy.dirty_rate = 0;
    policy.dirty_start = now_us();
    policy.dirty_bytes = 0;
    policy.shortened = 0;
    policy.costs = 0;
    policy.proof = (NfvProof) { 0 };
    policy.flushed = false;
    policy.round_ended = false;
    policy.sent_all = false;
    policy.rest_is_hot = false;
    policy.rounds = 0;
    policy.round_start = 0;
    policy.shrink_rate = 0;
    policy.stays = 0;
    nfv_drain_reset();
    QEMU_LOCK_GUARD(&policy.lock);
    policy.decisions = 0;
}

static int policy_notify(NotifierWithReturn *notifier, MigrationEvent *e,
                         Error **errp)
{
    if (e->type == MIG_EVENT_PRECOPY_SETUP) {
        reset();
        return nfv_throttle_check(errp) ? 0 : -EINVAL;
    }
    return 0;
}

static void policy_register(void)
{
    static NotifierWithReturn notifiers[MIG_MODE__MAX];

    qemu_mutex_init(&policy.lock);
    for (int mode = 0; mode < MIG_MODE__MAX; mode++) {
        migration_add_notifier_mode(&notifiers[mode], policy_notify, mode);
    }
}
migration_init(policy_register);

/* Report */

uint64_t nfv_policy_bandwidth(void)
{
    return policy.bandwidth.start ? bandwidth() : 0;
}

NfvMigrationRoundList *nfv_policy_rounds(uint64_t *decisions)
{
    NfvMigrationRoundList *head = NULL, **tail = &head;
    uint64_t first;

    QEMU_LOCK_GUARD(&policy.lock);
    *decisions = policy.decisions;
    first = policy.decisions - MIN(policy.decisions, ROUNDS_KEPT);
    for (uint64_t i = first; i < policy.decisions; i++) {
        NfvMigrationRound *r = g_new(NfvMigrationRound, 1);

        *r = policy.rounds_kept[i % ROUNDS_KEPT];
        QAPI_LIST_APPEND(tail, r);
    }
    return head;
}
