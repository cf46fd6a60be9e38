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
    READINGS = 16,
};

static uint64_t hz, start;

static uint32_t acpi_timer(void)
{
    return inl(ACPI_TIMER);
}

ClockPair clock_pair(uint32_t (*read)(void))
{
    uint64_t shortest = UINT64_MAX;
    ClockPair best = { 0 };

    for (int i = 0; i < READINGS; i++) {
        uint64_t before = rdtsc();
        uint32_t value = read();
        uint64_t took = rdtsc() - before;

        if (took < shortest) {
            shortest = took;
            best = (ClockPair) { before + took / 2, value };
        }
    }
    return best;
}

void clock_init(void)
{
    ClockPair first = clock_pair(acpi_timer), last;
    uint32_t ticks;

    start = first.tsc;
    do {
        ticks = (acpi_timer() - first.value) & ACPI_TIMER_MASK;
    } while (ticks < MEASURE_TICKS);
    last = clock_pair(acpi_timer);
    ticks = (last.value - first.value) & ACPI_TIMER_MASK;
    hz = (last.tsc - first.tsc) * ACPI_TIMER_HZ / ticks;
}

uint64_t clock_hz(void)
{
    return hz;
}

uint64_t clock_ns(uint64_t ticks)
{
    return ticks / hz * 1000000000 + ticks % hz * 1000000000 / hz;
}

uint64_t clock_us(void)
{
    uint64_t ticks = rdtsc() - start;

    /* In two steps: ticks * 1000000 overflows after an hour or so. */
    return ticks / hz * 1000000 + ticks % hz * 1000000 / hz;
}
