/*
 * Histogram of times with a relative error below 1 %: linear buckets within
 * each power of two.
 *
 * Copyright (c) 2026 the kvm4nfv authors
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#ifndef PACKET_HISTOGRAM_H
#define PACKET_HISTOGRAM_H

#include <stdint.h>
#include <stdio.h>

#define HISTOGRAM_BITS 7
/* Times up to 2^40 ns, 18 minutes; what is longer counts in the last bucket. */
#define HISTOGRAM_BUCKETS ((40 - HISTOGRAM_BITS + 1) << HISTOGRAM_BITS)

typedef struct Histogram {
    uint64_t count, sum, min, max;
    uint64_t bucket[HISTOGRAM_BUCKETS];
} Histogram;

unsigned histogram_index(uint64_t ns);
/* The longest time that counts in a bucket. */
uint64_t histogram_top(unsigned index);
void histogram_add(Histogram *h, uint64_t ns);
/*
 * As members of a JSON object; no bucket's time is above the longest that was
 * counted.
 */
void histogram_print(const Histogram *h, FILE *out);

#endif
