/*
 * Proof: what the destination is known to have read, and when to ask for more
 *
 * A question goes behind all that was sent, and its answer proves that.
 *
 * Copyright (c) 2026 the kvm4nfv authors
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#ifndef MIGRATION_NFV_PROOF_H
#define MIGRATION_NFV_PROOF_H

#include "decide.h"

/* Nothing is known where all of it is 0.  Bytes are of all that was sent. */
typedef struct NfvProof {
    uint64_t asked;  /* before the question that is under way */
    uint64_t proven; /* 0: there was no answer yet */
    bool asks;       /* a question is under way */
    bool waits;      /* nothing is sent until its answer is there */
    bool looks;      /* when the answer is there, it is decided anew */
    bool answered;   /* just now, and that is why it is decided */
} NfvProof;

/*
 * It was decided.  @looks is set where an answer is needed: if none is under way,
 * the caller asks as soon as all channels are flushed.  @round_ended: there is
 * no more to send; such an end is asked about anyway.
 */
void nfv_proof_decided(NfvProof *proof, const NfvDecision *decision,
                       bool round_ended);

/* The question went, behind @sent bytes, all channels flushed. */
void nfv_proof_ask(NfvProof *proof, uint64_t sent);

/* Its answer came. */
void nfv_proof_answer(NfvProof *proof);

/* There will be no answer. */
void nfv_proof_no_answer(NfvProof *proof);

/*
 * Whether to wait for the answer before more is sent; @idle: there is no more to
 * send.  So at most two rounds are in flight.
 */
bool nfv_proof_waits(const NfvProof *proof, bool idle);

/*
 * Bytes not known to have been read, of @sent and of at most @queued that wait in
 * channels and are not counted there.  UINT64_MAX: nothing is known.
 */
uint64_t nfv_proof_unproven(const NfvProof *proof, uint64_t sent,
                            uint64_t queued);

#endif
