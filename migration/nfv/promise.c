/*
 * Promise: the contract while a migration runs
 *
 * Copyright (c) 2026 the kvm4nfv authors
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "qemu/osdep.h"
#include "qapi/clone-visitor.h"
#include "qapi/error.h"
#include "qapi/qapi-events-nfv.h"
#include "qapi/qapi-commands-yank.h"
#include "qapi/qapi-visit-nfv.h"
#include "qapi/qapi-visit-yank.h"
#include "qemu/lockable.h"
#include "qemu/module.h"
#include "qemu/timer.h"
#include "migration/migration.h"
#include "migration/misc.h"
#include "migration/nfv.h"
#include "migration/options.h"
#include "qemu/yank.h"
#include "system/runstate.h"
#include "contract.h"
#include "postcopy.h"
#include "promise.h"
#include "report.h"
#include "trace.h"

#define US_PER_MS 1000

/* "nf" and "s\0": the guest has started.  Unasked, so not a PING's answer. */
#define STARTED 0x6e667300u

/* Times in microseconds of the real-time clock; 0: not yet. */
static struct {
    /* Source; atomic, but for the timer. */
    int64_t stopped, started, predicted;
    bool postcopy, deadline_passed;
    QEMUTimer *timer;
    int64_t begin; /* of the one whose channel is to come, ms; main thread */
    bool ended;    /* main thread */

    /* Source, lock held. */
    QemuMutex lock;
    NfvContractResult *result;

    /* Destination, main thread. */
    int64_t loaded;
    int64_t waited; /* atomic */
} promise = { .waited = -1 };

static int64_t now_us(void)
{
    return qemu_clock_get_ns(QEMU_CLOCK_REALTIME) / 1000;
}

int64_t nfv_promise_limit(void)
{
    uint64_t contract = nfv_migration_settings()->max_downtime;
    uint64_t limit = migrate_downtime_limit();

    return (contract ? MIN(contract, limit) : limit) * US_PER_MS;
}

int64_t nfv_promise_elapsed(const MigrationState *s)
{
    return now_us() - s->start_time * US_PER_MS;
}

int64_t nfv_promise_left(const MigrationState *s)
{
    uint64_t deadline = nfv_migration_settings()->deadline;

    return deadline ? (int64_t)deadline * US_PER_MS - nfv_promise_elapsed(s) :
                      INT64_MAX;
}

void nfv_promise_predicted(int64_t stop)
{
    qatomic_set(&promise.predicted, stop);
}

bool nfv_promise_pong(uint32_t pong)
{
    int state = migrate_get_current()->state;

    if (pong != STARTED) {
        return false;
    }
    /* Else it lies: it has not got all that it needs. */
    if (qatomic_read(&promise.stopped) && state != MIGRATION_STATUS_ACTIVE &&
        state != MIGRATION_STATUS_PRE_SWITCHOVER) {
        qatomic_cmpxchg(&promise.started, 0, now_us());
    }
    return true;
}

/* Source: the deadline, in the main thread, because a send may hang. */

static bool applies(void)
{
    return nfv_migration_settings()->policy &&
           migrate_mode() == MIG_MODE_NORMAL;
}

static void end(const MigrationState *s);

/* A send may hang in any channel, but migration_cancel() knows the main one. */
static void shut_down_channels(void)
{
    YankInstanceList *migration = NULL;

    QAPI_LIST_PREPEND(migration,
                      QAPI_CLONE(YankInstance, MIGRATION_YANK_INSTANCE));
    qmp_yank(migration, NULL); /* unless there are none */
    qapi_free_YankInstanceList(migration);
}

/* Before it has a channel it is cancelled at once, and nobody is told. */
static void cancel(MigrationState *s)
{
    Error *err = NULL;

    error_setg(&err,
               "the migration has not ended by its deadline of %" PRIu64
               " ms, and on-deadline=cancel",
               nfv_migration_settings()->deadline);
    migrate_set_error(s, err);
    error_free(err);
    /* It shuts the return path down first, which would look like a failure. */
    migrate_set_state(&s->state, MIGRATION_STATUS_ACTIVE,
                      MIGRATION_STATUS_CANCELLING);
    migration_cancel();
    shut_down_channels();
    if (s->state == MIGRATION_STATUS_CANCELLED) {
        end(s);
    }
}

static void deadline_reached(void *opaque)
{
    MigrationState *s = migrate_get_current();
    NfvOnDeadline action = nfv_migration_settings()->on_deadline;

    if (!migration_is_running() || s->state == MIGRATION_STATUS_CANCELLING ||
        qatomic_read(&promise.started)) {
        return; /* it ends anyway, or the guest runs there */
    }
    trace_nfv_promise_deadline(NfvOnDeadline_str(action));
    qatomic_set(&promise.deadline_passed, true);
    if (s->state == MIGRATION_STATUS_DEVICE || migration_in_postcopy()) {
        return; /* the destination may run the guest at any moment */
    }
    if (action == NFV_ON_DEADLINE_CANCEL) {
        cancel(s);
    } else if (action == NFV_ON_DEADLINE_POSTCOPY &&
               s->to_dst_file && !nfv_postcopy_obstacle()) {
        qatomic_set(&s->start_postcopy, true);
    }
}

static void arm_deadline(const MigrationState *s)
{
    uint64_t deadline = nfv_migration_settings()->deadline;

    if (!promise.timer) { /* the clocks came after migration_init() */
        promise.timer =
            timer_new_ms(QEMU_CLOCK_REALTIME, deadline_reached, NULL);
    }
    timer_del(promise.timer);
    if (applies() && deadline) {
        timer_mod(promise.timer, s->start_time + deadline);
    }
}

void nfv_promise_begin(void)
{
    qatomic_set(&promise.stopped, 0);
    qatomic_set(&promise.started, 0);
    qatomic_set(&promise.predicted, NFV_UNKNOWN);
    qatomic_set(&promise.postcopy, false);
    qatomic_set(&promise.deadline_passed, false);
    promise.begin = migrate_get_current()->start_time;
    promise.ended = false;
    arm_deadline(migrate_get_current());
}

void nfv_promise_changed(void)
{
    MigrationState *s = migrate_get_current();

    if (migration_is_running() && !qatomic_read(&promise.started)) {
        qatomic_set(&promise.deadline_passed, false);
        arm_deadline(s);
    }
}

/* Source: the end */

static void judge(const MigrationState *s)
{
    int64_t stopped = qatomic_read(&promise.stopped);
    int64_t started = qatomic_read(&promise.started);
    int64_t start = s->start_time * US_PER_MS;
    bool known = stopped && started;
    NfvOutcome outcome = {
        .status = s->state,
        .error = s->error ? error_get_pretty(s->error) : NULL,
        .deadline_passed = qatomic_read(&promise.deadline_passed),
        .postcopy = qatomic_read(&promise.postcopy),
        .obstacle = nfv_migration_settings()->on_deadline ==
                            NFV_ON_DEADLINE_POSTCOPY ?
                        nfv_postcopy_obstacle() : NULL,
        .downtime = known ? MAX(started - stopped, 0) : NFV_UNKNOWN,
        .total = known ? MAX(started - start, 0) : NFV_UNKNOWN,
        .predicted = qatomic_read(&promise.predicted),
        .max_downtime = nfv_migration_settings()->max_downtime,
        .deadline = nfv_migration_settings()->deadline,
    };
    NfvContractResult *result = nfv_contract_judge(&outcome);

    trace_nfv_promise_result(NfvContractVerdict_str(result->verdict),
                             result->why);
    qapi_event_send_nfv_migration_ended(result);
    QEMU_LOCK_GUARD(&promise.lock);
    qapi_free_NfvContractResult(promise.result);
    promise.result = result;
}

/* Once: the channel of one that was cancelled before it had one may come yet. */
static void end(const MigrationState *s)
{
    if (promise.timer) {
        timer_del(promise.timer);
    }
    if (nfv_migration_settings()->policy && !promise.ended) {
        judge(s);
    }
    promise.ended = true;
}

static bool has_ended(const MigrationState *s)
{
    return s->state == MIGRATION_STATUS_COMPLETED ||
           s->state == MIGRATION_STATUS_FAILED ||
           s->state == MIGRATION_STATUS_CANCELLED;
}

/*
 * A connect may outlive its migration.  Where that was cancelled, a thread would
 * begin that does not count as running, so the next migration would begin beside
 * it.  And a "migrate" that is refused because of it looks like one that goes on,
 * and would with that channel: to a destination that nobody wants any more.
 */
static bool is_wanted(const MigrationState *s, Error **errp)
{
    if (s->state == MIGRATION_STATUS_SETUP && s->start_time == promise.begin) {
        return true;
    }
    error_setg(errp, "this is the channel of a migration that was cancelled; "
                     "'migrate' can be tried again now");
    return false;
}

/* Main thread with the BQL, but for the begin of post-copy. */
static int notify(NotifierWithReturn *notifier, MigrationEvent *e, Error **errp)
{
    MigrationState *s = migrate_get_current();

    if (e->type == MIG_EVENT_PRECOPY_SETUP) {
        if (nfv_migration_settings()->policy && !is_wanted(s, errp)) {
            return -EINVAL;
        }
        arm_deadline(s); /* it may be past: now there is what to do about it */
    } else if (has_ended(s) && s->migration_thread_running) {
        /* The begin of post-copy failed; its end will come here again. */
    } else if (has_ended(s)) {
        end(s);
    } else if (e->type == MIG_EVENT_PRECOPY_DONE) {
        qatomic_set(&promise.postcopy, true);
    }
    return 0;
}

/* Both ends */

/*
 * Main thread, in which a recovery begins, too.  Until that has succeeded, the
 * thread that loads has the return path: its bitmaps are not a message in one
 * piece.
 */
static bool may_tell(const MigrationIncomingState *mis)
{
    return mis->to_src_file && mis->state != MIGRATION_STATUS_POSTCOPY_RECOVER &&
           nfv_handshake_was_asked();
}

static void started_at_destination(void)
{
    MigrationIncomingState *mis = migration_incoming_get_current();

    if (may_tell(mis)) {
        migrate_send_rp_pong(mis, STARTED);
    }
    if (promise.loaded) {
        qatomic_set(&promise.waited, now_us() - promise.loaded);
        promise.loaded = 0;
    }
}

void nfv_promise_loaded(void)
{
    promise.loaded = now_us();
}

static void vm_changed(void *opaque, bool running, RunState state)
{
    if (running) {
        started_at_destination();
    } else if (state == RUN_STATE_FINISH_MIGRATE) {
        qatomic_set(&promise.stopped, now_us());
    }
}

/* Report */

NfvContractResult *nfv_promise_result(void)
{
    QEMU_LOCK_GUARD(&promise.lock);
    return promise.result ? QAPI_CLONE(NfvContractResult, promise.result) :
                            NULL;
}

bool nfv_promise_deadline_passed(void)
{
    return qatomic_read(&promise.deadline_passed);
}

int64_t nfv_promise_waited(void)
{
    return qatomic_read(&promise.waited);
}

static void promise_register(void)
{
    static NotifierWithReturn notifiers[MIG_MODE__MAX];

    qemu_mutex_init(&promise.lock);
    for (int mode = 0; mode < MIG_MODE__MAX; mode++) {
        migration_add_notifier_mode(&notifiers[mode], notify, mode);
    }
    qemu_add_vm_change_state_handler(vm_changed, NULL);
}
migration_init(promise_register);
