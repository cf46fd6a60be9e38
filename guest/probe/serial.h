/*
 * The first serial port: lines of text in both directions, and the heartbeat.
 *
 * Copyright (c) 2026 the kvm4nfv authors
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#ifndef PROBE_SERIAL_H
#define PROBE_SERIAL_H

#include <stdbool.h>
#include <stdint.h>

void serial_init(void);

void serial_text(const char *text);
void serial_number(const char *name, uint64_t value);   /* " name=value" */
void serial_pair(uint64_t key, uint64_t value);         /* " key:value" */
void serial_hex(const char *name, uint64_t value);      /* 16 digits */

/* A whole line without its end if one has arrived, or NULL; never waits. */
const char *serial_line(void);

/*
 * Tells the host that one more quantum of work is done. It is written to the
 * port's scratch register, where it has no effect; QEMU's trace event
 * serial_write stamps it on the host's clock.
 */
void serial_beat(uint8_t number);

#endif
