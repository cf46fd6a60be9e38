/*
 * When to switch over: decided from what was measured, nothing else
 *
 * Copyright (c) 2026 the kvm4nfv authors
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "qemu/osdep.h"
#include "qemu/units.h"
#include "decide.h"

#define US_PER_S 1000000
/* A round that takes less of the stop than this is not worth making. */
#define WORTH_US 500
/* So much of the stop may be memory that would be sent in vain before it. */
#define STAY_US 1000
/* What is sent only to shorten a stop that is allowed: a share of all, or ... */
#define SHORTEN_SHARE 16
#define SHORTEN_LEAST (4 * MiB)
/* So many rounds tell where they lead. */
#define ROUNDS_KNOWN 2
/*
 * What the switch to post-copy takes before the stop: it is announced, and the
 * destination discards.  Tens of ms for 2 GiB were seen; the rest is a margin.
 */
#define POSTCOPY_US 100000
#define NOT_KNOWN (INT64_MAX / 4) /* of a time: or very long */

int64_t nfv_decide_device_time(unsigned vcpus)
{
    return 1500 + 400 * (int64_t)vcpus;
}

static int64_t time_to_send(uint64_t bytes, uint64_t bandwidth)
{
    double us = (double)bytes * US_PER_S / bandwidth;

    return us < NOT_KNOWN ? us : NOT_KNOWN;
}

static NfvDecision decision(NfvMigrationStep step, NfvMigrationReason reason,
                            int64_t stop)
{
    return (NfvDecision) { .step = step, .reason = reason, .stop = stop };
}

/* Memory has a part also where devices take it all: the rest is not ours. */
static int64_t budget(const NfvSituation *s)
{
    return MAX(s->limit - s->device_time, s->limit / 4);
}

/*
 * A round while the guest runs sends the pending memory, and what becomes dirty
 * until the next look is sent once more.  Returns how much that is, if it is
 * worth it.
 */
static uint64_t costs_of_shorter(const NfvSituation *s, int64_t memory)
{
    uint64_t again = s->dirty_rate * (MAX(memory, s->round_trip) /
                                      (double)US_PER_S);

    if (memory <= WORTH_US || s->left <= 2 * memory ||
        again > s->pending / 2 || s->soon > s->pending / 4 * 3 ||
        s->shortened + again > MAX(s->sent / SHORTEN_SHARE, SHORTEN_LEAST)) {
        return 0;
    }
    return MAX(again, 1);
}

/* Microseconds of further rounds until the stop would fit. */
static int64_t until_it_fits(const NfvSituation *s, int64_t memory)
{
    if (memory <= budget(s)) {
        return 0;
    }
    if (s->shrink_rate <= 0) {
        return NOT_KNOWN;
    }
    return time_to_send(s->pending - s->bandwidth * (budget(s) /
                                                     (double)US_PER_S),
                        s->shrink_rate);
}

/* Post-copy, if pre-copy would miss the deadline, and while there is time. */
static bool must_postcopy(const NfvSituation *s, int64_t memory,
                          NfvMigrationReason *reason)
{
    int64_t left;

    if (!s->may_postcopy || s->left == INT64_MAX || memory <= budget(s)) {
        return false;
    }
    left = s->left - s->device_time - POSTCOPY_US;
    if (left <= s->sync_interval) {
        *reason = NFV_MIGRATION_REASON_DEADLINE_NEAR;
        return true;
    }
    if (s->rounds >= ROUNDS_KNOWN && until_it_fits(s, memory) > left) {
        *reason = NFV_MIGRATION_REASON_NO_CONVERGENCE;
        return true;
    }
    return false;
}

/* What the destination has still to read; NOT_KNOWN: it never answered. */
static int64_t time_in_flight(const NfvSituation *s)
{
    if (!s->can_drain || !s->unproven) {
        return 0;
    }
    return s->bandwidth ? time_to_send(s->unproven, s->bandwidth) : NOT_KNOWN;
}

/*
 * Then the guest writes as much until an answer is there as waiting for it takes
 * off what is in flight, or nearly so.
 */
static bool link_is_busy(const NfvSituation *s)
{
    return s->pending && s->dirty_rate >= s->bandwidth / 2;
}

/* Whether enough of what was sent is known to have been read. */
static bool is_proven(const NfvSituation *s, int64_t memory, int64_t flight)
{
    return !s->can_drain || !flight ||
           (link_is_busy(s) && memory + flight <= budget(s));
}

/*
 * Whether the stop still fits when an answer that is waited for is there.  Of a
 * long round most has been read by now, though nothing proves it.
 */
static bool may_wait(const NfvSituation *s, int64_t memory, int64_t flight)
{
    double share = s->dirty_rate / (double)s->bandwidth;
    int64_t answer = flight + s->round_trip;

    if (s->longest) {
        answer = MIN(answer, s->longest);
    }
    return !link_is_busy(s) || memory + answer * share <= budget(s);
}

/* The pending memory fits. */
static NfvDecision switch_if_proven(const NfvSituation *s, int64_t memory)
{
    int64_t flight = time_in_flight(s);
    int64_t stop = memory + s->device_time + (flight < NOT_KNOWN ? flight : 0);
    NfvMigrationStep step = NFV_MIGRATION_STEP_SEND;

    if (is_proven(s, memory, flight)) {
        return decision(NFV_MIGRATION_STEP_SWITCH,
                        NFV_MIGRATION_REASON_STOP_FITS, stop);
    }
    if (may_wait(s, memory, flight)) {
        step = NFV_MIGRATION_STEP_DRAIN;
    }
    return decision(step, NFV_MIGRATION_REASON_DRAIN_UNPROVEN, stop);
}

static NfvDecision next_step(const NfvSituation *s)
{
    NfvMigrationReason reason;
    int64_t memory, stop;
    uint64_t costs;

    if (!s->may_switch) {
        return decision(NFV_MIGRATION_STEP_SEND,
                        NFV_MIGRATION_REASON_DESTINATION_NOT_READY, -1);
    }
    if (s->pending && !s->bandwidth) {
        return decision(NFV_MIGRATION_STEP_SEND,
                        NFV_MIGRATION_REASON_BANDWIDTH_UNKNOWN, -1);
    }
    memory = s->pending ? time_to_send(s->pending, s->bandwidth) : 0;
    stop = memory + s->device_time;
    if (must_postcopy(s, memory, &reason)) {
        return decision(NFV_MIGRATION_STEP_POSTCOPY, reason, s->device_time);
    }
    if (memory > budget(s)) {
        return decision(NFV_MIGRATION_STEP_SEND,
                        NFV_MIGRATION_REASON_STOP_TOO_LONG, stop);
    }
    costs = costs_of_shorter(s, memory);
    if (costs) {
        NfvDecision d = decision(NFV_MIGRATION_STEP_SEND,
                                 NFV_MIGRATION_REASON_NEXT_STOP_SHORTER, stop);

        d.costs = costs;
        return d;
    }
    return switch_if_proven(s, memory);
}

static uint64_t may_stay(const NfvSituation *s)
{
    return s->bandwidth * (MIN(budget(s) / 4, STAY_US) / (double)US_PER_S);
}

NfvDecision nfv_decide(const NfvSituation *s)
{
    NfvDecision d = next_step(s);

    d.may_stay = d.costs ? 0 : may_stay(s);
    return d;
}
