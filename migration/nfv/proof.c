/*
 * Proof: what the destination is known to have read, and when to ask for more
 *
 * Copyright (c) 2026 the kvm4nfv authors
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "qemu/osdep.h"
#include "proof.h"

/*
 * Where the guest writes all of it again before it was sent, a round has no end.
 * Then it is asked in the midst of one, and looked when the answer is there:
 * least is in flight then.  Not because of an answer, or it would ask forever.
 */
static bool needs_answer(const NfvProof *proof, const NfvDecision *decision,
                         bool round_ended)
{
    return decision->step == NFV_MIGRATION_STEP_DRAIN ||
           (decision->reason == NFV_MIGRATION_REASON_DRAIN_UNPROVEN &&
            !proof->answered && !round_ended);
}

void nfv_proof_decided(NfvProof *proof, const NfvDecision *decision,
                       bool round_ended)
{
    proof->waits = decision->step == NFV_MIGRATION_STEP_DRAIN;
    proof->looks = needs_answer(proof, decision, round_ended);
    proof->answered = false;
}

void nfv_proof_ask(NfvProof *proof, uint64_t sent)
{
    proof->asks = true;
    proof->asked = sent;
}

void nfv_proof_answer(NfvProof *proof)
{
    proof->proven = proof->asked;
    proof->answered = proof->looks;
    nfv_proof_no_answer(proof);
}

void nfv_proof_no_answer(NfvProof *proof)
{
    proof->asks = false;
    proof->waits = false;
    proof->looks = false;
}

bool nfv_proof_waits(const NfvProof *proof, bool idle)
{
    return proof->asks && (proof->waits || idle);
}

uint64_t nfv_proof_unproven(const NfvProof *proof, uint64_t sent,
                            uint64_t queued)
{
    return proof->proven ? sent - proof->proven + queued : UINT64_MAX;
}
