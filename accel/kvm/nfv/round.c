/*
 * A round: several threads do a piece of work each, at the same time, for one
 * that waits for them
 *
 * Copyright (c) 2026 the kvm4nfv authors
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "qemu/osdep.h"
#include "qemu/atomic.h"
#include "qemu/thread.h"
#include "round.h"

struct NfvRound {
    unsigned absent, busy; /* members; atomic */
    unsigned users;        /* members and the one who waits; atomic */
    bool failed;           /* atomic; only ever set */
    QemuEvent gathered, started, finished;
};

static void release(NfvRound *round)
{
    if (qatomic_fetch_dec(&round->users) > 1) {
        return;
    }
    qemu_event_destroy(&round->gathered);
    qemu_event_destroy(&round->started);
    qemu_event_destroy(&round->finished);
    g_free(round);
}

NfvRound *nfv_round_new(unsigned members)
{
    NfvRound *round = g_new0(NfvRound, 1);

    round->absent = round->busy = members;
    round->users = members + 1;
    qemu_event_init(&round->gathered, false);
    qemu_event_init(&round->started, false);
    qemu_event_init(&round->finished, false);
    return round;
}

void nfv_round_enter(NfvRound *round)
{
    if (qatomic_fetch_dec(&round->absent) == 1) {
        qemu_event_set(&round->gathered);
    }
    qemu_event_wait(&round->started);
}

void nfv_round_leave(NfvRound *round, bool ok)
{
    if (!ok) {
        qatomic_set(&round->failed, true);
    }
    if (qatomic_fetch_dec(&round->busy) == 1) {
        qemu_event_set(&round->finished);
    }
    release(round);
}

void nfv_round_gather(NfvRound *round)
{
    qemu_event_wait(&round->gathered);
}

void nfv_round_start(NfvRound *round)
{
    qemu_event_set(&round->started);
}

bool nfv_round_finish(NfvRound *round)
{
    bool ok;

    qemu_event_wait(&round->finished);
    ok = !qatomic_read(&round->failed);
    release(round);
    return ok;
}
