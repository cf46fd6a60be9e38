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

/* Microseconds since clock_init(). */
uint64_t clock_us(void);

#endif
