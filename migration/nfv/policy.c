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
#include "qapi/error.h"
#include "qapi/qapi-commands-nfv.h"
#include "qemu/main-loop.h"
#include "qemu/module.h"
#include "qemu/timer.h"
#include "hw/boards.h"
#include "migration/migration.h"
#include "migration/migration-stats.h"
#include "migration/misc.h"
#include "migration/nfv.h"
#include "migration/options.h"
#include "migration/qemu-file.h"
#include "migration/savevm.h"
#include "decide.h"
#include "heat.h"
#include "policy.h"
#include "trace.h"

/* A PING of ours; the low bits count them. */
#define DRAIN 0x6e666400u
#define DRAIN_MASK 0xffffff00u

#define SYNC_INTERVAL_US 100000
/* At most this share of the time goes into synchronising. */
#define SYNC_SHARE 20
#define WINDOW_US 50000
#define WINDOW_LEAST_US 1000 /* below it says nothing */
#define WINDOW_BYTES (64 * 1024)
#define WINDOWS 8
#define ROUNDS_KEPT 64
/* So long nothing is asked of the dirty log while the destination is busy. */
#define NOT_READY_US 1000

/* The migration that is under way, or the last one. */
static struct {
    /* Migration thread. */
    int64_t last_sync, sync_cost; /* us */
    int64_t window_start;
    uint64_t window_bytes;
    uint64_t windows[WINDOWS]; /* bytes a second, the latest ones */
    unsigned window_count;
    uint64_t best; /* of all windows, those with few bytes included */
    uint64_t dirty_rate;
    unsigned extra;
    bool round_ended;    /* the last step found no more to send */
    uint8_t drain;       /* number of the last PING */
    int64_t drain_start; /* 0: none is under way */
    bool drained;

    /* Return path thread posts it. */
    QemuSemaphore pong;
    uint8_t ponged;

    /* Main thread. */
    QEMUTimer *timer;

    /* Lock held. */
    QemuMutex lock;
    NfvPeer peer;
    NfvMigrationRound rounds[ROUNDS_KEPT];
    uint64_t decisions;
    int64_t drain_time; /* -1: none */
    bool deadline_passed;
} policy;

static int64_t now_us(void)
{
    return qemu_clock_get_ns(QEMU_CLOCK_REALTIME) / 1000;
}

/* The smaller of the contract and downtime-limit, which libvirt sets. */
static int64_t limit_us(void)
{
    uint64_t contract = nfv_migration_settings()->max_downtime;
    uint64_t limit = migrate_downtime_limit();

    return (contract ? MIN(contract, limit) : limit) * 1000;
}

static int64_t elapsed_us(const MigrationState *s)
{
    return now_us() - s->start_time * 1000;
}

static int64_t left_us(const MigrationState *s)
{
    uint64_t deadline = nfv_migration_settings()->deadline;

    return deadline ? (int64_t)deadline * 1000 - elapsed_us(s) : INT64_MAX;
}

/* Bandwidth */

static void measure_bandwidth(void)
{
    uint64_t bytes = migration_transferred_bytes();
    int64_t now = now_us(), spent = now - policy.window_start;

    if (!policy.window_start) {
        policy.window_start = now;
        policy.window_bytes = bytes;
    } else if (spent >= WINDOW_US) {
        uint64_t sent = bytes - policy.window_bytes;
        uint64_t rate = sent * 1000000 / spent;

        if (sent >= WINDOW_BYTES) {
            policy.windows[policy.window_count++ % WINDOWS] = rate;
        }
        policy.best = MAX(policy.best, rate);
        policy.window_start = now;
        policy.window_bytes = bytes;
    }
}

static int compare_u64(const void *a, const void *b)
{
    uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;

    return x < y ? -1 : x > y;
}

/* Of the window that is open; too low if little was dirty in it. */
static uint64_t first_bandwidth(void)
{
    uint64_t sent = migration_transferred_bytes() - policy.window_bytes;
    int64_t spent = now_us() - policy.window_start;

    return spent >= WINDOW_LEAST_US ? sent * 1000000 / spent : 0;
}

/* The lower half is windows in which little was dirty, or others sent. */
static uint64_t bandwidth(void)
{
    unsigned n = MIN(policy.window_count, WINDOWS);
    uint64_t sorted[WINDOWS];

    if (migrate_avail_switchover_bandwidth()) {
        return migrate_avail_switchover_bandwidth();
    }
    if (!n) {
        /* Little to send, or a very slow link; or the first window is open. */
        return policy.best ?: first_bandwidth();
    }
    memcpy(sorted, policy.windows, n * sizeof(*sorted));
    qsort(sorted, n, sizeof(*sorted), compare_u64);
    return sorted[n / 2];
}

/* Rounds */

static uint64_t pending_estimate(void)
{
    uint64_t must, can;

    qemu_savevm_state_pending_estimate(&must, &can);
    return must + can;
}

static bool wants_sync(uint64_t pending)
{
    int64_t since = now_us() - policy.last_sync;

    return !pending ||
           (nfv_heat_may_sync() &&
            since >= MAX(SYNC_INTERVAL_US, policy.sync_cost * SYNC_SHARE));
}

static uint64_t synchronise(uint64_t before)
{
    int64_t start = now_us(), since = start - policy.last_sync;
    uint64_t must, can, pending;

    qemu_savevm_state_pending_exact(&must, &can);
    pending = must + can;
    policy.sync_cost = now_us() - start;
    if (since > 0 && pending >= before) {
        policy.dirty_rate = (pending - before) * 1000000 / since;
    }
    policy.last_sync = start;
    return pending;
}

static void record(const MigrationState *s, const NfvSituation *situation,
                   const NfvDecision *d)
{
    uint32_t features;

    QEMU_LOCK_GUARD(&policy.lock);
    policy.peer = nfv_migration_peer(&features, 0);
    policy.rounds[policy.decisions++ % ROUNDS_KEPT] = (NfvMigrationRound) {
        .time = elapsed_us(s),
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

/* Without one QEMU switches over as well, and then finds what is wrong. */
static bool return_path_works(MigrationState *s)
{
    return s->rp_state.rp_thread_created &&
           !qemu_file_get_error(s->rp_state.from_dst_file) &&
           !migrate_has_error(s);
}

static NfvDecision decide(MigrationState *s, uint64_t pending, bool may_switch)
{
    NfvSituation situation = {
        .limit = limit_us(),
        .left = left_us(s),
        .device_time = nfv_decide_device_time(current_machine->smp.cpus),
        .pending = pending,
        .bandwidth = bandwidth(),
        .dirty_rate = policy.dirty_rate,
        .can_drain = return_path_works(s),
        /* At its end a round is flushed through the multifd channels. */
        .flushed = !migrate_multifd() || policy.round_ended,
        .drained = policy.drained,
        .may_switch = may_switch,
        .extra = policy.extra,
    };
    NfvDecision d = nfv_decide(&situation);

    policy.drained = false;
    policy.extra += d.reason == NFV_MIGRATION_REASON_NEXT_STOP_SHORTER;
    record(s, &situation, &d);
    return d;
}

/* The drain */

static void start_drain(MigrationState *s)
{
    while (!qemu_sem_timedwait(&policy.pong, 0)) {
        /* An answer that came too late for the one before. */
    }
    policy.drain_start = now_us();
    qemu_savevm_send_ping(s->to_dst_file, DRAIN | ++policy.drain);
}

bool nfv_policy_pong(uint32_t pong)
{
    if ((pong & DRAIN_MASK) != DRAIN) {
        return false;
    }
    qatomic_set(&policy.ponged, pong & ~DRAIN_MASK);
    qemu_sem_post(&policy.pong);
    return true;
}

/* False: not yet; the caller looks at errors and comes again. */
static bool finish_drain(MigrationState *s)
{
    if (!return_path_works(s)) {
        policy.drain_start = 0;
        return true; /* there will be no answer */
    }
    if (qemu_sem_timedwait(&policy.pong, 10) ||
        qatomic_read(&policy.ponged) != policy.drain) {
        return false;
    }
    WITH_QEMU_LOCK_GUARD(&policy.lock)
    {
        policy.drain_time = now_us() - policy.drain_start;
    }
    trace_nfv_policy_drained(policy.drain_time);
    policy.drain_start = 0;
    policy.drained = true;
    return true;
}

/* One step */

static bool applies(const MigrationState *s)
{
    return nfv_migration_settings()->policy &&
           s->state == MIGRATION_STATUS_ACTIVE &&
           migrate_mode() == MIG_MODE_NORMAL && !migrate_colo() &&
           !qatomic_read(&s->start_postcopy) && !migrate_mapped_ram();
}

NfvPolicyStep nfv_policy_step(MigrationState *s, bool may_switch)
{
    uint64_t pending;

    if (!applies(s)) {
        nfv_heat_release();
        return NFV_POLICY_STOCK;
    }
    measure_bandwidth();
    if (policy.drain_start && !finish_drain(s)) {
        return NFV_POLICY_RESUME;
    }
    pending = pending_estimate();
    if (policy.drained || wants_sync(pending)) {
        NfvDecision d;

        pending = synchronise(pending);
        nfv_heat_synced();
        d = decide(s, pending, may_switch);
        if (d.step == NFV_MIGRATION_STEP_SWITCH) {
            nfv_heat_release();
            return NFV_POLICY_COMPLETE;
        }
        if (d.step == NFV_MIGRATION_STEP_DRAIN) {
            start_drain(s);
            return NFV_POLICY_RESUME;
        }
        if (d.reason == NFV_MIGRATION_REASON_DESTINATION_NOT_READY) {
            g_usleep(NOT_READY_US);
        }
    }
    policy.round_ended = qemu_savevm_state_iterate(s->to_dst_file, false) > 0;
    if (policy.round_ended) {
        nfv_heat_exhausted();
    }
    return NFV_POLICY_RESUME;
}

/* The deadline: in the main thread, because a send may hang. */
static void deadline_reached(void *opaque)
{
    MigrationState *s = migrate_get_current();
    NfvOnDeadline action = nfv_migration_settings()->on_deadline;

    if (!migration_is_running() || s->state == MIGRATION_STATUS_CANCELLING) {
        return; /* it ends anyway */
    }
    trace_nfv_policy_deadline(NfvOnDeadline_str(action));
    WITH_QEMU_LOCK_GUARD(&policy.lock)
    {
        policy.deadline_passed = true;
    }
    if (s->state == MIGRATION_STATUS_DEVICE) {
        return; /* the destination may run the guest at any moment */
    }
    if (action == NFV_ON_DEADLINE_CANCEL) {
        Error *err = NULL;

        error_setg(&err,
                   "the migration has not ended by its deadline of %" PRIu64
                   " ms, and on-deadline=cancel",
                   nfv_migration_settings()->deadline);
        migrate_set_error(s, err);
        error_free(err);
        migration_cancel();
    } else if (action == NFV_ON_DEADLINE_POSTCOPY && migrate_postcopy_ram()) {
        qatomic_set(&s->start_postcopy, true);
    }
}

/* Main thread with the BQL: the migration's channel is there. */
static void reset(MigMode mode)
{
    const MigrationState *s = migrate_get_current();
    uint64_t deadline = nfv_migration_settings()->deadline;

    policy.last_sync = now_us();
    policy.sync_cost = 0;
    policy.window_start = 0;
    policy.window_count = 0;
    policy.best = 0;
    policy.dirty_rate = 0;
    policy.extra = 0;
    policy.round_ended = false;
    policy.drain_start = 0;
    policy.drained = false;
    WITH_QEMU_LOCK_GUARD(&policy.lock)
    {
        policy.peer = NFV_PEER_UNKNOWN;
        policy.decisions = 0;
        policy.drain_time = -1;
        policy.deadline_passed = false;
    }
    if (!policy.timer) { /* the clocks came after migration_init() */
        policy.timer =
            timer_new_ms(QEMU_CLOCK_REALTIME, deadline_reached, NULL);
    }
    timer_del(policy.timer);
    if (nfv_migration_settings()->policy && deadline &&
        mode == MIG_MODE_NORMAL) {
        timer_mod(policy.timer, s->start_time + deadline);
    }
}

/* After PRECOPY_DONE the guest runs on the destination, or may: in time. */
static int policy_notify(NotifierWithReturn *notifier, MigrationEvent *e,
                         Error **errp)
{
    if (e->type == MIG_EVENT_PRECOPY_SETUP) {
        reset(migrate_mode());
    } else if (policy.timer) {
        timer_del(policy.timer);
    }
    return 0;
}

static void policy_register(void)
{
    static NotifierWithReturn notifiers[MIG_MODE__MAX];

    qemu_mutex_init(&policy.lock);
    qemu_sem_init(&policy.pong, 0);
    policy.drain_time = -1;
    for (int mode = 0; mode < MIG_MODE__MAX; mode++) {
        migration_add_notifier_mode(&notifiers[mode], policy_notify, mode);
    }
}
migration_init(policy_register);

/* Report */

static NfvMigrationRoundList *list_rounds(void)
{
    NfvMigrationRoundList *head = NULL, **tail = &head;
    uint64_t first = policy.decisions - MIN(policy.decisions, ROUNDS_KEPT);

    for (uint64_t i = first; i < policy.decisions; i++) {
        NfvMigrationRound *r = g_new(NfvMigrationRound, 1);

        *r = policy.rounds[i % ROUNDS_KEPT];
        QAPI_LIST_APPEND(tail, r);
    }
    return head;
}

NfvMigrationInfo *qmp_query_nfv_migration(Error **errp)
{
    NfvMigrationInfo *info = g_new0(NfvMigrationInfo, 1);

    info->holes = nfv_popmap_holes(&info->holes_left_out);
    info->deferred = nfv_heat_deferred();
    info->limit = limit_us();
    info->deadline = nfv_migration_settings()->deadline;
    info->on_deadline = nfv_migration_settings()->on_deadline;
    QEMU_LOCK_GUARD(&policy.lock);
    info->peer = policy.peer == NFV_PEER_NFV   ? NFV_MIGRATION_PEER_NFV :
                 policy.peer == NFV_PEER_STOCK ? NFV_MIGRATION_PEER_STOCK :
                                                 NFV_MIGRATION_PEER_UNKNOWN;
    info->deadline_passed = policy.deadline_passed;
    info->has_drain_time = policy.drain_time >= 0;
    info->drain_time = MAX(policy.drain_time, 0);
    info->decisions = policy.decisions;
    info->rounds = list_rounds();
    return info;
}
