/*
 * The interrupt table, and a local APIC by its memory-mapped registers.
 *
 * Copyright (c) 2026 the kvm4nfv authors
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "cpu.h"
#include "interrupt.h"

#define APIC ((volatile uint32_t *)0xfee00000)

enum {
    APIC_EOI = 0xb0,
    APIC_SPURIOUS = 0xf0,
    APIC_LINT0 = 0x350,
    APIC_LINT1 = 0x360,

    SPURIOUS_ON = 0x100,
    LVT_MASKED = 0x10000,
    VECTOR_SPURIOUS = 0xff,

    CODE = 8,                   /* segment of boot.S */
    GATE_PRESENT = 0x8e00,      /* an interrupt gate */

    PIC_1_DATA = 0x21,
    PIC_2_DATA = 0xa1,
};

typedef struct Gate {
    uint16_t low;
    uint16_t segment;
    uint16_t flags;
    uint16_t middle;
    uint32_t high;
    uint32_t reserved;
} Gate;

static Gate gates[256];

uint32_t apic_read(unsigned int offset)
{
    return APIC[offset / 4];
}

void apic_write(unsigned int offset, uint32_t value)
{
    APIC[offset / 4] = value;
}

void interrupt_end(void)
{
    apic_write(APIC_EOI, 0);
}

__attribute__((interrupt)) static void spurious(struct InterruptFrame *frame)
{
    (void)frame;                /* has no end */
}

void interrupt_handle(uint8_t vector, InterruptHandler *handler)
{
    uint64_t address = (uint64_t)handler;

    gates[vector] = (Gate) {
        .low = address,
        .segment = CODE,
        .flags = GATE_PRESENT,
        .middle = address >> 16,
        .high = address >> 32,
    };
}

void interrupt_init(void)
{
    struct {
        uint16_t limit;
        uint64_t base;
    } __attribute__((packed)) table = { sizeof(gates) - 1, (uint64_t)gates };

    /* Firmware leaves the PIT ticking through the PIC. */
    outb(PIC_1_DATA, 0xff);
    outb(PIC_2_DATA, 0xff);
    apic_write(APIC_LINT0, LVT_MASKED);
    apic_write(APIC_LINT1, LVT_MASKED);
    apic_write(APIC_SPURIOUS, SPURIOUS_ON | VECTOR_SPURIOUS);
    interrupt_handle(VECTOR_SPURIOUS, spurious);
    asm volatile("lidt %0" : : "m"(table));
}
