/*
 * Heat: memory that the guest is writing to stays back from the first round,
 * which would send it in vain
 *
 * All in the migration thread, if nothing else is said.
 *
 * Copyright (c) 2026 the kvm4nfv authors
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#ifndef MIGRATION_NFV_HEAT_H
#define MIGRATION_NFV_HEAT_H

/* Whether pages may stay back now. */
bool nfv_heat_active(void);

/* Nothing stays back any more; what did is still dirty. */
void nfv_heat_release(void);

/* Bytes that stayed back in the last migration.  Any thread. */
uint64_t nfv_heat_deferred(void);

#endif
