/*
 * Stalls: how long the guest waited for pages that post-copy had to fetch
 *
 * Copyright (c) 2026 the kvm4nfv authors
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#ifndef MIGRATION_NFV_STALL_H
#define MIGRATION_NFV_STALL_H

/*
 * Bucket i of a histogram has stalls of at least 2^i microseconds and less than
 * twice that; the first those that are shorter, the last those that are longer.
 */
#define NFV_STALL_BUCKETS 24

/* Times in nanoseconds. */
typedef struct NfvStallCount {
    uint64_t faults, sum, longest;
} NfvStallCount;

/* Who waits: a vCPU's index, or everybody else. */
#define NFV_STALL_OTHER -1

typedef struct NfvStallTable {
    GHashTable *waiting; /* page: GArray of who waits for it since when */
    unsigned vcpus;
    NfvStallCount *count; /* of each vCPU, then of the others */
    NfvStallCount all;
    uint64_t histogram[NFV_STALL_BUCKETS];
} NfvStallTable;

/* Those of the table are pure; the caller locks. */

NfvStallTable *nfv_stall_table_new(unsigned vcpus);
void nfv_stall_table_free(NfvStallTable *table);

/* @who waits for @page since @now. */
void nfv_stall_table_begin(NfvStallTable *table, uint64_t page, int who,
                           int64_t now);

/*
 * @page is there: nobody waits for it any more.  Calls @each with each stall,
 * if that is given.
 */
typedef void NfvStallEach(int who, uint64_t page, int64_t ns);
void nfv_stall_table_end(NfvStallTable *table, uint64_t page, int64_t now,
                         NfvStallEach *each);

unsigned nfv_stall_bucket(int64_t ns);

/* Post-copy begins or ends at this destination.  Any thread. */
void nfv_stall_start(void);
void nfv_stall_stop(void);

#endif
