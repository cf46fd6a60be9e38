/*
 * Drain: proof that the destination has read all that was sent
 *
 * A PING is sent behind it, and answered when it was read.  What went through
 * multifd channels is proven only if they were flushed and synchronised before,
 * as the end of a round does.
 *
 * All in the migration thread, if nothing else is said.
 *
 * Copyright (c) 2026 the kvm4nfv authors
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#ifndef MIGRATION_NFV_DRAIN_H
#define MIGRATION_NFV_DRAIN_H

typedef enum NfvDrain {
    NFV_DRAIN_PENDING,   /* no answer yet: look for errors and come again */
    NFV_DRAIN_DONE,
    NFV_DRAIN_NO_ANSWER, /* there will be none: the return path is gone */
} NfvDrain;

/* A migration begins.  Main thread. */
void nfv_drain_reset(void);

/* Whether an answer can come back. */
bool nfv_drain_possible(struct MigrationState *s);

/* Flush and synchronise them at the end of the next section of RAM. */
void nfv_drain_flush(void);

/* Between that and the end of the section. */
bool nfv_drain_flushes(void);

void nfv_drain_start(struct MigrationState *s);

/* Another PING is the proof, not 0; the time that it takes is not kept. */
void nfv_drain_start_with(struct MigrationState *s, uint32_t ping);

/* Waits at most so many milliseconds. */
NfvDrain nfv_drain_wait(struct MigrationState *s, int ms);

/* True if the PONG is the proof, or is a drain's own.  Return path thread. */
bool nfv_drain_pong(uint32_t pong);

/* Microseconds that the last one of its own took, or -1.  Any thread. */
int64_t nfv_drain_time(void);

/* The shortest of this migration, which is about the link's; 0: none yet. */
int64_t nfv_drain_round_trip(void);

/* The longest of this migration; 0: none yet. */
int64_t nfv_drain_longest(void);

#endif
