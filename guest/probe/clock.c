/*
 * The time stamp counter, measured by the ACPI timer.
 *
 * Copyright (c) 2026 the kvm4nfv authors
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "clock.h"
#include "cpu.h"

enum {
    ACPI_TIMER = 0x608,         /* where q35's firmware puts it */
    ACPI_TIMER_HZ = 3579545,
    ACPI_TIMER_MASK = 0xffffff,
    MEASURE_TICKS = ACPI_TIMER_HZ / 50,
};

static uint64_t hz, start;

void clock_init(void)
{
    uint32_t first = inl(ACPI_TIMER);
    uint32_t ticks;

    start = rdtsc();
    do {
        ticks = (inl(ACPI_TIMER) - first) & ACPI_TIMER_MASK;
    } while (ticks < MEASURE_TICKS);
    hz = (rdtsc() - start) * ACPI_TIMER_HZ / ticks;
}

uint64_t clock_hz(void)
{
    return hz;
}

uint64_t clock_us(void)
{
    uint64_t ticks = rdtsc() - start;

    /* In two steps: ticks * 1000000 overflows after an hour or so. */
    return ticks / hz * 1000000 + ticks % hz * 1000000 / hz;
}
