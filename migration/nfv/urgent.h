/*
 * Urgent: where the guest waited last, and what lies behind it
 *
 * Copyright (c) 2026 the kvm4nfv authors
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#ifndef MIGRATION_NFV_URGENT_H
#define MIGRATION_NFV_URGENT_H

/* A migration begins.  Main thread, before its threads are made. */
void nfv_urgent_reset(void);

/*
 * Whether the background goes on with this page because it follows one that was
 * urgent.  Migration thread, with the mutex of the dirty bitmap.
 */
bool nfv_urgent_is_next(const RAMBlock *rb, unsigned long page);

#endif
