/*
 * Heat: the order in which dirty memory is sent
 *
 * In the first round, memory that the guest is writing to stays back: it would
 * be sent in vain.  Afterwards what it will leave alone longest goes first, as
 * order.h guesses.
 *
 * All in the migration thread, if nothing else is said.
 *
 * Copyright (c) 2026 the kvm4nfv authors
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#ifndef MIGRATION_NFV_HEAT_H
#define MIGRATION_NFV_HEAT_H

/*
 * What is written to @rb is logged from now on.  KVM's log begins with all pages
 * dirty, which says nothing of the guest; a second time does nothing to what was
 * logged after the first.
 */
void nfv_heat_clear_log(RAMBlock *rb);

/*
 * The first round begins with these pages, which popmap knows to be zero until
 * dirty memory is synchronised.  One bit a page.
 */
void nfv_heat_holes_first(RAMBlock *rb, const unsigned long *holes,
                          uint64_t pages);

/* Whether dirty memory can be synchronised without loss of that. */
bool nfv_heat_may_sync(void);

/*
 * Dirty memory was synchronised.  Returns how many bytes of it the guest is
 * expected to write to again before the next sync; 0 with heat off.
 */
uint64_t nfv_heat_synced(void);

/*
 * Then the order begins anew.  Those bytes stay back until the last round, if
 * they are at most @may_stay.
 */
void nfv_heat_begin(uint64_t may_stay);

/* Microseconds that are best from one sync to the next. */
int64_t nfv_heat_interval(void);

/*
 * Before a sync: what is dirty can be sent in @round microseconds.  What is when
 * the first round has ended is what the guest writes to, and tells how soon it
 * may come back to where it was: then the interval is chosen, once.
 */
void nfv_heat_choose_interval(int64_t round);

/* Whether memory that the guest does not write to is still being sent. */
bool nfv_heat_is_first_round(void);

/*
 * All that could be sent was: some of what stayed back comes next.  False if
 * there is nothing that shall go before the last round.
 */
bool nfv_heat_exhausted(void);

/*
 * Post-copy has begun: what the guest will need first goes first, if that is
 * switched on.
 */
void nfv_heat_push(void);

/* The order is QEMU's again; what stayed back is still dirty. */
void nfv_heat_release(void);

/*
 * Bytes that stayed back from the first round of the last migration.  Any
 * thread.
 */
uint64_t nfv_heat_deferred(void);

#endif
