/*
 * Interrupts: a handler for each vector, and the local APIC that brings them.
 *
 * Copyright (c) 2026 the kvm4nfv authors
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#ifndef PROBE_INTERRUPT_H
#define PROBE_INTERRUPT_H

#include <stdint.h>

struct InterruptFrame;

/* An __attribute__((interrupt)) function; it calls interrupt_end(). */
typedef void InterruptHandler(struct InterruptFrame *frame);

enum {
    VECTOR_TIMER = 0x40,
    VECTOR_PULSE = 0x41,
};

/* No interrupt but those that get a handler; they stay off until then. */
void interrupt_init(void);
void interrupt_handle(uint8_t vector, InterruptHandler *handler);
void interrupt_end(void);

/* Registers of the local APIC by their offset. */
uint32_t apic_read(unsigned int offset);
void apic_write(unsigned int offset, uint32_t value);

#endif
