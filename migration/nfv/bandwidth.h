/*
 * Bandwidth of a migration, from what was sent when
 *
 * Times in microseconds, sizes in bytes, rates in bytes a second; @sent is all
 * that was sent so far.
 *
 * Copyright (c) 2026 the kvm4nfv authors
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#ifndef MIGRATION_NFV_BANDWIDTH_H
#define MIGRATION_NFV_BANDWIDTH_H

#define NFV_BANDWIDTH_WINDOWS 8

/* All zero at first. */
typedef struct NfvBandwidth {
    int64_t start;  /* of the window that is open; 0: none is */
    uint64_t bytes; /* sent when it began */
    bool waited;    /* in it */
    uint64_t windows[NFV_BANDWIDTH_WINDOWS]; /* the latest ones */
    unsigned count;                          /* that were ever kept */
    uint64_t best;  /* of all windows, those with few bytes included */
} NfvBandwidth;

/* To be called often. */
void nfv_bandwidth_note(NfvBandwidth *b, int64_t now, uint64_t sent);

/* Nothing is sent now, though there might be something to send. */
void nfv_bandwidth_wait(NfvBandwidth *b);

/* 0: not known yet. */
uint64_t nfv_bandwidth_get(const NfvBandwidth *b, int64_t now, uint64_t sent);

#endif
