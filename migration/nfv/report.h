/*
 * What the modules report of the last migration
 *
 * All from any thread; the caller frees what it gets.
 *
 * Copyright (c) 2026 the kvm4nfv authors
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#ifndef MIGRATION_NFV_REPORT_H
#define MIGRATION_NFV_REPORT_H

#include "qapi/qapi-types-nfv.h"

/*
 * Bytes that never held data in the last migration that left this QEMU, and
 * whether they were not even sent.
 */
uint64_t nfv_popmap_holes(bool *left_out);

/* Of the last post-copy that came into this QEMU; NULL if there was none. */
NfvStallInfo *nfv_stall_report(void);

/* Of the last migration that left and ended; NULL if there was none. */
NfvContractResult *nfv_promise_result(void);

/* Whether its deadline passed before the guest ran at the destination. */
bool nfv_promise_deadline_passed(void);

/*
 * Microseconds that the guest, all loaded, waited for a command to start it;
 * -1: it did not, or still does.
 */
int64_t nfv_promise_waited(void);

/* The decisions of the policy, and their number. */
NfvMigrationRoundList *nfv_policy_rounds(uint64_t *decisions);

/* Bytes a second of the link, 0: not known.  Migration thread. */
uint64_t nfv_policy_bandwidth(void);

#endif
