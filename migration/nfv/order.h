/*
 * Order: which of the dirty pages of a block go next
 *
 * A page that is sent shortly before the guest writes to it is sent in vain, so
 * those go first that will be left alone longest.  When a page is written next
 * is guessed from when it was written last, and how long it had been left alone
 * before that: a ring of buffers comes back after one cycle, so its oldest page
 * is next; what is written at random comes back sooner the more often it did.
 * What was never found dirty again goes before all others, in turns.  What the
 * guest writes to is often in one place, and would go in vain if it came first.
 * Until such a place is known, each turn takes a share from all over the block;
 * then the farthest from it goes first.
 *
 * Copyright (c) 2026 the kvm4nfv authors
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#ifndef MIGRATION_NFV_ORDER_H
#define MIGRATION_NFV_ORDER_H

/*
 * Levels are syncs until the guess that the page is written, so the highest
 * goes first; from NFV_ORDER_COLD upwards are pages that were never found dirty
 * again, by turns.
 */
#define NFV_ORDER_COLD 127
#define NFV_ORDER_TURNS 16
#define NFV_ORDER_LEVELS (NFV_ORDER_COLD + NFV_ORDER_TURNS)
#define NFV_ORDER_TOP (NFV_ORDER_LEVELS - 1)

/* Of a block of @pages pages. */
typedef struct NfvOrder {
    uint64_t pages;
    uint64_t chunk;        /* pages that have the same turn */
    uint8_t *age;          /* syncs since the page was found dirty, if it was */
    uint8_t *interval;     /* between the last two of those; or as below */
    uint8_t longest;       /* of all intervals that are known */
    unsigned long *before; /* found dirty by the last sync; one bit a page */
    uint64_t chunks;
    uint64_t *written;     /* pages of each that were found dirty */
    uint8_t *turn;         /* of each; 0 goes first */
} NfvOrder;

/* Instead of an interval: the page was found dirty never, or once. */
#define NFV_ORDER_NEVER 0
#define NFV_ORDER_ONCE 127
/* With an interval: it was about the same as the one before. */
#define NFV_ORDER_PERIODIC 128

void nfv_order_init(NfvOrder *order, uint64_t pages, uint64_t chunk);
void nfv_order_destroy(NfvOrder *order);

/*
 * A sync found the pages of word @k that are set in @bits to be dirty.  @exact:
 * they were written since the last sync.  Otherwise those that the last sync
 * found as well say nothing: the log was not cleared meanwhile.
 */
void nfv_order_note(NfvOrder *order, unsigned long k, unsigned long bits,
                    bool exact);

/*
 * Syncs come @parts times as often from now on.  Intervals, which were counted
 * in few of the old ones, begin anew.
 */
void nfv_order_refine(NfvOrder *order, unsigned parts);

/* Choose the turns anew: after a sync. */
void nfv_order_take_turns(NfvOrder *order);

/* Where the page stands: 0 to NFV_ORDER_TOP. */
unsigned nfv_order_level(const NfvOrder *order, uint64_t page);

/* Add to @counts how many of the @dirty pages stand on each level. */
void nfv_order_count(const NfvOrder *order, const unsigned long *dirty,
                     uint64_t counts[NFV_ORDER_LEVELS]);

/*
 * The level down to which pages go next, when all from level @above upwards have
 * been sent: so that it is a share of what is dirty, for which a pass over all
 * pages pays.  0 if that is all.  Each turn of cold pages goes alone.
 */
unsigned nfv_order_descend(const uint64_t counts[NFV_ORDER_LEVELS],
                           unsigned above);

/*
 * The other way round, for post-copy, where the guest waits for what it will
 * need first: the level up to which pages go next, when all up to level @below
 * have been sent; -1: none have.  NFV_ORDER_TOP if that is all.
 */
unsigned nfv_order_ascend(const uint64_t counts[NFV_ORDER_LEVELS], int below);

/*
 * The first page that is in @dirty, at or after the dirty page @page and
 * before @size, and stands on a level from @low to @high; @size or more if there
 * is none.  Pages that the block did not have when it was made do not stay back.
 * Passes @most pages by, and then returns any: somebody waits for the lock.
 */
unsigned long nfv_order_next(const NfvOrder *order, unsigned low, unsigned high,
                             const unsigned long *dirty, unsigned long page,
                             unsigned long size, unsigned long most);

/* The same, but those of the first @pages that are in @some go. */
unsigned long nfv_order_next_of(const unsigned long *some, uint64_t pages,
                                const unsigned long *dirty, unsigned long page,
                                unsigned long size);

#endif
