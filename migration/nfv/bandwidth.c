/*
 * Bandwidth of a migration, from what was sent when
 *
 * Copyright (c) 2026 the kvm4nfv authors
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "qemu/osdep.h"
#include "bandwidth.h"

#define US_PER_S 1000000
#define WINDOW_US 50000
#define WINDOW_LEAST_US 1000 /* below it says nothing */
#define WINDOW_BYTES (64 * 1024)

void nfv_bandwidth_note(NfvBandwidth *b, int64_t now, uint64_t sent)
{
    int64_t spent = now - b->start;

    if (b->start && spent < WINDOW_US) {
        return;
    }
    /* One with waits tells how fast the guest writes, not what the link takes. */
    if (b->start && !(b->waited && b->count)) {
        uint64_t rate = (sent - b->bytes) * US_PER_S / spent;

        if (sent - b->bytes >= WINDOW_BYTES) {
            b->windows[b->count++ % NFV_BANDWIDTH_WINDOWS] = rate;
        }
        b->best = MAX(b->best, rate);
    }
    b->start = now;
    b->bytes = sent;
    b->waited = false;
}

void nfv_bandwidth_wait(NfvBandwidth *b)
{
    b->waited = true;
}

static int compare_u64(const void *a, const void *b)
{
    uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;

    return x < y ? -1 : x > y;
}

/* Of the window that is open; too low if little was dirty in it. */
static uint64_t first_bandwidth(const NfvBandwidth *b, int64_t now,
                                uint64_t sent)
{
    int64_t spent = now - b->start;

    return b->start && spent >= WINDOW_LEAST_US ?
               (sent - b->bytes) * US_PER_S / spent : 0;
}

/* The lower half is windows in which little was dirty, or others sent. */
uint64_t nfv_bandwidth_get(const NfvBandwidth *b, int64_t now, uint64_t sent)
{
    unsigned n = MIN(b->count, NFV_BANDWIDTH_WINDOWS);
    uint64_t sorted[NFV_BANDWIDTH_WINDOWS];

    if (!n) {
        /* Little to send, or a very slow link; or the first window is open. */
        return b->best ?: first_bandwidth(b, now, sent);
    }
    memcpy(sorted, b->windows, n * sizeof(*sorted));
    qsort(sorted, n, sizeof(*sorted), compare_u64);
    return sorted[n / 2];
}
