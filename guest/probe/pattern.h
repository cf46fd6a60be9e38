/*
 * What a cell holds: a function of its address and generation.
 *
 * Copyright (c) 2026 the kvm4nfv authors
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#ifndef PROBE_PATTERN_H
#define PROBE_PATTERN_H

#include <stdint.h>

/* Odd, without visible structure: words of a cell differ in every byte. */
#define PATTERN_STEP 0x9e3779b97f4a7c15

/* The output function of SplitMix64: a bijection. */
static inline uint64_t mix(uint64_t x)
{
    x = (x ^ (x >> 30)) * 0xbf58476d1ce4e5b9;
    x = (x ^ (x >> 27)) * 0x94d049bb133111eb;
    return x ^ (x >> 31);
}

/*
 * Word i of the cell is the seed + i * PATTERN_STEP. Different for each
 * address below 1 TiB and generation below 2^24.
 */
static inline uint64_t pattern_seed(const void *cell, uint32_t generation)
{
    return mix((uintptr_t)cell ^ (uint64_t)generation << 40);
}

#endif
