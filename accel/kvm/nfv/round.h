/*
 * A round: several threads do a piece of work each, at the same time, for one
 * that waits for them
 *
 * The work starts when all have come, so that the one who waits can first let
 * go of a lock that they need to come, and then hold it for them while they
 * work.
 *
 * Copyright (c) 2026 the kvm4nfv authors
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#ifndef ACCEL_KVM_NFV_ROUND_H
#define ACCEL_KVM_NFV_ROUND_H

typedef struct NfvRound NfvRound;

/*
 * For @members threads, 1 or more, each of which comes once.  The round is gone
 * when all have left and nfv_round_finish() has returned.
 */
NfvRound *nfv_round_new(unsigned members);

/* Member: come, and wait until the work may start. */
void nfv_round_enter(NfvRound *round);

/* Member: the work is done, and @ok or not. */
void nfv_round_leave(NfvRound *round, bool ok);

/* The one who waits, in this order: all have come, they work, they are done. */
void nfv_round_gather(NfvRound *round);
void nfv_round_start(NfvRound *round);

/* Whether it was ok for all. */
bool nfv_round_finish(NfvRound *round);

#endif
