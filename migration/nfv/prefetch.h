/*
 * Prefetch: how many pages to ask for where the guest waits for one
 *
 * Copyright (c) 2026 the kvm4nfv authors
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#ifndef MIGRATION_NFV_PREFETCH_H
#define MIGRATION_NFV_PREFETCH_H

#define NFV_PREFETCH_MAX 16 /* pages of one request */
#define NFV_PREFETCH_STREAMS 8

/* Somebody who reads on: each vCPU may have some of them. */
typedef struct NfvPrefetchStream {
    const void *block; /* to compare with; NULL: not used yet */
    uint64_t next;     /* page after the last request */
    unsigned length;   /* of the last request, pages */
    uint64_t used;     /* when it was used last */
} NfvPrefetchStream;

typedef struct NfvPrefetch {
    NfvPrefetchStream streams[NFV_PREFETCH_STREAMS];
    uint64_t clock;
} NfvPrefetch;

/*
 * The guest waits for @page of a block of @pages: how many pages to ask for,
 * that one first.  More than one if it goes on where a stream ended or a little
 * behind, twice as many each time; random accesses get one page each.  Pure.
 */
unsigned nfv_prefetch_next(NfvPrefetch *p, const void *block, uint64_t page,
                           uint64_t pages);

#endif
