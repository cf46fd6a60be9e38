/*
 * Promise: the contract while a migration runs
 *
 * Copyright (c) 2026 the kvm4nfv authors
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#ifndef MIGRATION_NFV_PROMISE_H
#define MIGRATION_NFV_PROMISE_H

/* Microseconds that the guest may stand still: contract and downtime-limit. */
int64_t nfv_promise_limit(void);

/* Microseconds since the migration started.  Any thread. */
int64_t nfv_promise_elapsed(const struct MigrationState *s);

/* Microseconds until the deadline; negative: past; INT64_MAX: there is none. */
int64_t nfv_promise_left(const struct MigrationState *s);

/* The source is about to stop the guest, and predicts so many microseconds. */
void nfv_promise_predicted(int64_t stop);

/* True if the PONG says that the guest runs.  Return path thread. */
bool nfv_promise_pong(uint32_t pong);

#endif
