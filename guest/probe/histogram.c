/*
 * Counters of latencies by bucket.
 *
 * Copyright (c) 2026 the kvm4nfv authors
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "histogram.h"
#include "latency.h"
#include "serial.h"

enum {
    PAIRS_PER_LINE = 16,
};

static uint64_t buckets[BUCKETS];
static uint64_t samples, min, max, sum, overflows;

void histogram_reset(void)
{
    for (unsigned int i = 0; i < BUCKETS; i++) {
        buckets[i] = 0;
    }
    samples = max = sum = overflows = 0;
    min = UINT64_MAX;
}

void histogram_add(uint64_t ns)
{
    samples++;
    sum += ns;
    min = ns < min ? ns : min;
    max = ns > max ? ns : max;
    if (ns >> TOP_BIT) {
        overflows++;
    } else {
        buckets[bucket_of(ns)]++;
    }
}

void histogram_report(const char *name)
{
    unsigned int pairs = 0;

    for (unsigned int i = 0; i < BUCKETS; i++) {
        if (!buckets[i]) {
            continue;
        }
        if (pairs % PAIRS_PER_LINE == 0) {
            serial_text(pairs ? "\n" : "");
            serial_text("nfv-guest: hist ");
            serial_text(name);
        }
        pairs++;
        serial_pair(bucket_end(i), buckets[i]);
    }
    serial_text(pairs ? "\n" : "");
    serial_text("nfv-guest: done ");
    serial_text(name);
    serial_number("samples", samples);
    serial_number("min", samples ? min : 0);
    serial_number("avg", samples ? sum / samples : 0);
    serial_number("max", max);
    serial_number("overflows", overflows);
    serial_text("\n");
}
