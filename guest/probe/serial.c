/*
 * A 16550 at COM1, polled.
 *
 * Copyright (c) 2026 the kvm4nfv authors
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include <stddef.h>
#include "cpu.h"
#include "serial.h"

enum {
    DATA = 0x3f8,
    INTERRUPTS = 0x3f9,
    FIFO = 0x3fa,
    LINE = 0x3fb,
    STATUS = 0x3fd,
    SCRATCH = 0x3ff,

    RECEIVED = 0x01,            /* in STATUS */
    WRITABLE = 0x20,
};

static char line[64];
static unsigned int line_length;

void serial_init(void)
{
    outb(INTERRUPTS, 0);
    outb(FIFO, 0x07);           /* on and empty */
    outb(LINE, 0x03);           /* 8 bits, no parity */
}

static void serial_char(char c)
{
    while (!(inb(STATUS) & WRITABLE)) {
        relax();
    }
    outb(DATA, c);
}

void serial_text(const char *text)
{
    while (*text) {
        serial_char(*text++);
    }
}

static void serial_digits(uint64_t value)
{
    char digits[24];
    int at = sizeof(digits) - 1;

    digits[at] = '\0';
    do {
        digits[--at] = '0' + value % 10;
        value /= 10;
    } while (value);
    serial_text(digits + at);
}

void serial_number(const char *name, uint64_t value)
{
    serial_text(" ");
    serial_text(name);
    serial_text("=");
    serial_digits(value);
}

void serial_pair(uint64_t key, uint64_t value)
{
    serial_text(" ");
    serial_digits(key);
    serial_text(":");
    serial_digits(value);
}

void serial_hex(const char *name, uint64_t value)
{
    serial_text(" ");
    serial_text(name);
    serial_text("=");
    for (int shift = 60; shift >= 0; shift -= 4) {
        serial_char("0123456789abcdef"[value >> shift & 15]);
    }
}

const char *serial_line(void)
{
    while (inb(STATUS) & RECEIVED) {
        char c = inb(DATA);

        if (c == '\n') {
            line[line_length] = '\0';
            line_length = 0;
            return line;
        }
        /* What is too long for a command is none: drop its middle. */
        if (line_length < sizeof(line) - 1) {
            line[line_length++] = c;
        }
    }
    return NULL;
}

void serial_beat(uint8_t number)
{
    outb(SCRATCH, number);
}
