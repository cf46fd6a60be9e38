/*
 * Policy: what the other modules tell it
 *
 * Copyright (c) 2026 the kvm4nfv authors
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#ifndef MIGRATION_NFV_POLICY_H
#define MIGRATION_NFV_POLICY_H

/* True if the PONG answers a PING of the policy's.  Return path thread. */
bool nfv_policy_pong(uint32_t pong);

/*
 * Bytes that never held data in the last migration that left this QEMU, and
 * whether they were not even sent.  Any thread.
 */
uint64_t nfv_popmap_holes(bool *left_out);

#endif
