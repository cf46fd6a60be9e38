/*
 * The guest's clock: its time stamp counter, which stands still while the
 * guest is stopped under TCG. So it paces the work; gaps are for the host.
 *
 * Copyright (c) 2026 the kvm4nfv authors
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#ifndef PROBE_CLOCK_H
#define PROBE_CLOCK_H

#include <stdint.h>

/* Takes 20 ms: measures the counter by the ACPI timer. */
void clock_init(void);

uint64_t clock_hz(void);

/* `ticks` of it in nanoseconds. */
uint64_t clock_ns(uint64_t ticks);

/*
 * Another counter's value, and when it was read: the best of several readings,
 * as the host may not run the vCPU between any two instructions.
 */
typedef struct ClockPair {
    uint64_t tsc;
    uint32_t value;
} ClockPair;

ClockPair clock_pair(uint32_t (*read)(void));

/* Microseconds since clock_init(). */
uint64_t clock_us(void);

#endif
