/*
 * Owed: pages that the destination has discarded and the source will send
 *
 * Copyright (c) 2026 the kvm4nfv authors
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#ifndef MIGRATION_NFV_OWED_H
#define MIGRATION_NFV_OWED_H

#include "exec/cpu-common.h"

/*
 * A PING with which a source ends post-copy, by the main channel: "nfl\0".  The
 * destination answers when it has all that it is owed.  Until then a broken link
 * can be recovered; where the source completes, it cannot.
 */
#define NFV_OWED_LAST 0x6e666c00u

/* All in the thread that loads RAM. */

void nfv_owed_reset(void);
void nfv_owed_add(RAMBlock *rb, ram_addr_t start, uint64_t length);

/*
 * Wait until all has come by the preempt channel, too: QEMU waits for pages that
 * were asked for, and closes that channel then, with what else is in it.  False,
 * with an error on the main channel, so that it can be recovered, if either channel
 * breaks or it takes too long: the source must not be answered.
 */
bool nfv_owed_wait(void);

/* Whether that has been asked for, in post-copy, and all has come.  Any thread. */
bool nfv_owed_is_settled(void);

#endif
