/*
 * When to switch over: decided from what was measured, nothing else
 *
 * Copyright (c) 2026 the kvm4nfv authors
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "qemu/osdep.h"
#include "decide.h"

#define US_PER_S 1000000
/* A round that takes less of the stop than this is not worth making. */
#define WORTH_US 500
/* How many rounds may be made only to shorten a stop that is allowed. */
#define EXTRA_MAX 4

int64_t nfv_decide_device_time(unsigned vcpus)
{
    return 1500 + 400 * (int64_t)vcpus;
}

static int64_t time_to_send(uint64_t bytes, uint64_t bandwidth)
{
    double us = (double)bytes * US_PER_S / bandwidth;

    return us < INT64_MAX / 4 ? us : INT64_MAX / 4;
}

static NfvDecision decision(NfvMigrationStep step, NfvMigrationReason reason,
                            int64_t stop)
{
    return (NfvDecision) { .step = step, .reason = reason, .stop = stop };
}

NfvDecision nfv_decide(const NfvSituation *s)
{
    /* Devices that take it all leave memory a part: the rest is not ours. */
    int64_t budget = MAX(s->limit - s->device_time, s->limit / 4);
    int64_t memory, stop;

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
    if (memory > budget) {
        return decision(NFV_MIGRATION_STEP_SEND,
                        NFV_MIGRATION_REASON_STOP_TOO_LONG, stop);
    }
    /* What becomes dirty while the pending memory is sent. */
    if (memory > WORTH_US && s->extra < EXTRA_MAX && s->left > 2 * memory &&
        s->dirty_rate <= s->bandwidth / 2) {
        return decision(NFV_MIGRATION_STEP_SEND,
                        NFV_MIGRATION_REASON_NEXT_STOP_SHORTER, stop);
    }
    if (s->can_drain && !s->drained) {
        return decision(s->flushed ? NFV_MIGRATION_STEP_DRAIN :
                                     NFV_MIGRATION_STEP_SEND,
                        NFV_MIGRATION_REASON_DRAIN_UNPROVEN, stop);
    }
    return decision(NFV_MIGRATION_STEP_SWITCH, NFV_MIGRATION_REASON_STOP_FITS,
                    stop);
}
