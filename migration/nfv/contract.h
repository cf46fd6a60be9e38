/*
 * Contract: what a migration promised, and whether it was kept
 *
 * Copyright (c) 2026 the kvm4nfv authors
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#ifndef MIGRATION_NFV_CONTRACT_H
#define MIGRATION_NFV_CONTRACT_H

#include "qapi/qapi-types-nfv.h"

#define NFV_UNKNOWN -1

/* How a migration ended.  Times in microseconds, or NFV_UNKNOWN. */
typedef struct NfvOutcome {
    MigrationStatus status;
    const char *error;    /* if it failed; or NULL */
    bool deadline_passed; /* before the guest ran at the destination */
    bool postcopy;
    const char *obstacle; /* to post-copy, if it was wanted; or NULL */
    int64_t downtime;     /* from the stop to the guest's start there */
    int64_t total;        /* from the start of the migration to that */
    int64_t predicted;    /* stop, when it was decided */
    uint64_t max_downtime, deadline; /* ms, as promised; 0: nothing */
} NfvOutcome;

/* Pure.  The caller frees it. */
NfvContractResult *nfv_contract_judge(const NfvOutcome *outcome);

#endif
