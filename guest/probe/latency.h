/*
 * Latencies as the numbers of buckets, and how a guest tells one to the host.
 *
 * Copyright (c) 2026 the kvm4nfv authors
 * SPDX-License-Identifier: GPL-2.0-or-later
 *
 * 32 buckets for each power of two nanoseconds, up to more than a minute.
 * tools/nfv/phases.py reads what latency_tell() writes.
 */
#ifndef PROBE_LATENCY_H
#define PROBE_LATENCY_H

#include <stdint.h>

enum {
    FINE_BITS = 5,
    FINE = 1 << FINE_BITS,
    TOP_BIT = 36,
    BUCKETS = (TOP_BIT - FINE_BITS + 1) * FINE,

    TOLD_FIRST = 0x80,          /* of the two bytes of a latency */
    TOLD_BITS = 7,
};

/* Of a latency of less than 1 << TOP_BIT nanoseconds. */
static inline unsigned int bucket_of(uint64_t ns)
{
    unsigned int shift;

    if (ns < FINE) {
        return ns;
    }
    shift = 63 - __builtin_clzll(ns) - FINE_BITS;
    return (shift + 1) * FINE + (ns >> shift) - FINE;
}

/* The longest latency of a bucket. */
static inline uint64_t bucket_end(unsigned int bucket)
{
    unsigned int shift = bucket / FINE;

    if (!shift) {
        return bucket;
    }
    return ((uint64_t)(FINE + bucket % FINE + 1) << (shift - 1)) - 1;
}

/*
 * Two bytes for the serial port's scratch register, whose writes QEMU stamps
 * on the host's clock; what is too long is told as the longest.
 */
static inline void latency_tell(uint64_t ns, void (*write)(uint8_t))
{
    unsigned int bucket = ns >> TOP_BIT ? BUCKETS - 1 : bucket_of(ns);

    write(TOLD_FIRST | bucket >> TOLD_BITS);
    write(bucket & (TOLD_FIRST - 1));
}

#endif
