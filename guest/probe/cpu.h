/*
 * Instructions that C has no word for.
 *
 * Copyright (c) 2026 the kvm4nfv authors
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#ifndef PROBE_CPU_H
#define PROBE_CPU_H

#include <stdint.h>

static inline void outb(uint16_t port, uint8_t value)
{
    asm volatile("outb %0, %1" : : "a"(value), "Nd"(port));
}

static inline uint8_t inb(uint16_t port)
{
    uint8_t value;

    asm volatile("inb %1, %0" : "=a"(value) : "Nd"(port));
    return value;
}

static inline uint32_t inl(uint16_t port)
{
    uint32_t value;

    asm volatile("inl %1, %0" : "=a"(value) : "Nd"(port));
    return value;
}

static inline void outl(uint16_t port, uint32_t value)
{
    asm volatile("outl %0, %1" : : "a"(value), "Nd"(port));
}

static inline void wrmsr(uint32_t number, uint64_t value)
{
    asm volatile("wrmsr" : : "c"(number), "a"((uint32_t)value),
                 "d"((uint32_t)(value >> 32)) : "memory");
}

static inline uint32_t cpuid_ecx(uint32_t leaf)
{
    uint32_t a = leaf, b, c = 0, d;

    asm volatile("cpuid" : "+a"(a), "=b"(b), "+c"(c), "=d"(d));
    return c;
}

static inline void interrupts_on(void)
{
    asm volatile("sti" : : : "memory");
}

/* Interrupts are on until one has come, and off then. */
static inline void halt(void)
{
    asm volatile("sti; hlt; cli" : : : "memory");
}

static inline uint64_t rdtsc(void)
{
    uint32_t low, high;

    asm volatile("rdtsc" : "=a"(low), "=d"(high) : : "memory");
    return (uint64_t)high << 32 | low;
}

static inline void relax(void)
{
    asm volatile("pause" : : : "memory");
}

#endif
