/*
 * The local APIC's timer: how late its interrupts come.
 *
 * Copyright (c) 2026 the kvm4nfv authors
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#ifndef PROBE_TIMER_H
#define PROBE_TIMER_H

#include <stdbool.h>
#include <stdint.h>

/*
 * Measures the timer's speed, 20 ms, and starts it. Each interrupt goes into
 * the histogram while timer_measure() is on; after a latency above `limit`
 * nanoseconds, unless it is 0, the guest says "broke ns=N" and ends that.
 * tell: each latency, from now on, is told to the host as in latency.h.
 */
void timer_start(uint64_t period_us, uint64_t limit, bool tell);
void timer_measure(bool on);

/* Interrupts so far. */
uint64_t timer_count(void);

#endif
