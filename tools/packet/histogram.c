/*
 * Histogram of times with a relative error below 1 %.
 *
 * Copyright (c) 2026 the kvm4nfv authors
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include <inttypes.h>
#include "histogram.h"

#define SUB (1u << HISTOGRAM_BITS)

unsigned histogram_index(uint64_t ns)
{
    unsigned shift, index;

    if (ns < 2 * SUB) {
        return ns;
    }
    shift = 63 - __builtin_clzll(ns) - HISTOGRAM_BITS;
    index = (shift << HISTOGRAM_BITS) + (ns >> shift);
    return index < HISTOGRAM_BUCKETS ? index : HISTOGRAM_BUCKETS - 1;
}

uint64_t histogram_top(unsigned index)
{
    unsigned shift;

    if (index < 2 * SUB) {
        return index;
    }
    shift = (index >> HISTOGRAM_BITS) - 1;
    return ((uint64_t)(index - (shift << HISTOGRAM_BITS) + 1) << shift) - 1;
}

void histogram_add(Histogram *h, uint64_t ns)
{
    if (!h->count || ns < h->min) {
        h->min = ns;
    }
    if (ns > h->max) {
        h->max = ns;
    }
    h->count++;
    h->sum += ns;
    h->bucket[histogram_index(ns)]++;
}

void histogram_print(const Histogram *h, FILE *out)
{
    const char *comma = "";
    unsigned i;

    fprintf(out,
            "\"count\": %" PRIu64 ", \"min\": %" PRIu64 ", \"avg\": %" PRIu64
            ", \"max\": %" PRIu64 ", \"buckets\": [",
            h->count, h->min, h->count ? h->sum / h->count : 0, h->max);
    for (i = 0; i < HISTOGRAM_BUCKETS; i++) {
        if (h->bucket[i]) {
            uint64_t top = histogram_top(i);

            fprintf(out, "%s[%" PRIu64 ", %" PRIu64 "]", comma,
                    top < h->max && i < HISTOGRAM_BUCKETS - 1 ? top : h->max,
                    h->bucket[i]);
            comma = ", ";
        }
    }
    fprintf(out, "]");
}
