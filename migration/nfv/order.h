/*
 * Order: which of the dirty pages of a block go next
 *
 * Copyright (c) 2026 the kvm4nfv authors
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#ifndef MIGRATION_NFV_ORDER_H
#define MIGRATION_NFV_ORDER_H

typedef enum NfvPhase {
    NFV_PHASE_ALL,   /* all, from the first to the last */
    NFV_PHASE_FIRST, /* those that were not found dirty again */
    NFV_PHASE_FRESH, /* those that became dirty since the last sync but one */
} NfvPhase;

/* Of a block of @pages pages; one bit a page. */
typedef struct NfvOrder {
    uint64_t pages;
    unsigned long *marked; /* found dirty again in the first round; fresh */
    unsigned long *before; /* dirtied before the last sync */
} NfvOrder;

void nfv_order_init(NfvOrder *order, uint64_t pages);
void nfv_order_destroy(NfvOrder *order);

/* A sync found the pages of word @k that are set in @bits to be dirtied. */
void nfv_order_note(NfvOrder *order, NfvPhase phase, unsigned long k,
                    unsigned long bits);

/* The first round ends.  Returns how many pages stayed back. */
uint64_t nfv_order_end_first(NfvOrder *order);

/*
 * The first page that is in @dirty, at or after the dirty page @page and
 * before @size, and does not stay back; @size or more if there is none.  Pages
 * that the block did not have do not stay back.
 */
unsigned long nfv_order_next(const NfvOrder *order, NfvPhase phase,
                             const unsigned long *dirty, unsigned long page,
                             unsigned long size);

#endif
