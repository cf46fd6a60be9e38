/*
 * Each interrupt has a deadline on the time stamp counter, a period after the
 * last one, however late that was; deadlines that have passed are left out.
 *
 * Copyright (c) 2026 the kvm4nfv authors
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "clock.h"
#include "cpu.h"
#include "histogram.h"
#include "interrupt.h"
#include "latency.h"
#include "serial.h"
#include "timer.h"

enum {
    APIC_LVT_TIMER = 0x320,
    APIC_INITIAL = 0x380,
    APIC_CURRENT = 0x390,
    APIC_DIVIDE = 0x3e0,

    DIVIDE_BY_1 = 0xb,
    LVT_MASKED = 0x10000,
    LVT_DEADLINE = 0x40000,
    MSR_DEADLINE = 0x6e0,
    CPUID_DEADLINE = 1 << 24,   /* leaf 1, ecx */

    MEASURE_US = 20000,
};

static uint64_t period, deadline, break_limit;
static uint64_t timer_hz;       /* of the APIC's count; 0: by MSR */
static volatile uint64_t count;
static volatile bool measuring;
static bool telling;

static uint32_t apic_elapsed(void)
{
    return UINT32_MAX - apic_read(APIC_CURRENT);
}

static void timer_calibrate(void)
{
    ClockPair first, last;

    apic_write(APIC_DIVIDE, DIVIDE_BY_1);
    apic_write(APIC_LVT_TIMER, LVT_MASKED | VECTOR_TIMER);
    apic_write(APIC_INITIAL, UINT32_MAX);
    first = clock_pair(apic_elapsed);
    while (rdtsc() - first.tsc < clock_hz() / 1000000 * MEASURE_US) {
        relax();
    }
    last = clock_pair(apic_elapsed);
    timer_hz = (uint64_t)(last.value - first.value) * clock_hz() /
               (last.tsc - first.tsc);
}

static void timer_set(uint64_t now)
{
    if (timer_hz) {
        uint64_t ticks = (deadline - now) * timer_hz / clock_hz() + 1;

        apic_write(APIC_INITIAL, ticks > UINT32_MAX ? UINT32_MAX : ticks);
    } else {
        wrmsr(MSR_DEADLINE, deadline);
    }
}

static void timer_broke(uint64_t ns)
{
    measuring = false;
    serial_text("nfv-guest: broke");
    serial_number("ns", ns);
    serial_text("\n");
}

__attribute__((interrupt)) static void expired(struct InterruptFrame *frame)
{
    uint64_t now = rdtsc();
    uint64_t ns = now > deadline ? clock_ns(now - deadline) : 0;

    (void)frame;
    count++;
    if (measuring) {
        histogram_add(ns);
        if (break_limit && ns > break_limit) {
            timer_broke(ns);
        }
    }
    do {
        deadline += period;
    } while (deadline <= now);
    timer_set(now);
    interrupt_end();
    if (telling) {
        latency_tell(ns, serial_beat);
    }
}

void timer_start(uint64_t period_us, uint64_t limit, bool tell)
{
    uint64_t now;

    break_limit = limit;
    telling = tell;
    period = clock_hz() / 1000000 * period_us;
    interrupt_handle(VECTOR_TIMER, expired);
    if (cpuid_ecx(1) & CPUID_DEADLINE) {
        apic_write(APIC_LVT_TIMER, LVT_DEADLINE | VECTOR_TIMER);
    } else {
        timer_calibrate();
        apic_write(APIC_LVT_TIMER, VECTOR_TIMER);
    }
    now = rdtsc();
    deadline = now + period;
    timer_set(now);
}

void timer_measure(bool on)
{
    measuring = on;
}

uint64_t timer_count(void)
{
    return count;
}
