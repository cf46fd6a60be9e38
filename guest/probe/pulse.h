/*
 * A driver of nfv-pulse (hw/nfv/pulse.c), which measures on the host's clock
 * how soon each of its interrupts is answered.
 *
 * Copyright (c) 2026 the kvm4nfv authors
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#ifndef PROBE_PULSE_H
#define PROBE_PULSE_H

#include <stdbool.h>
#include <stdint.h>

/* False: there is no such device on PCI bus 0. */
bool pulse_start(void);

/* Interrupts so far. */
uint64_t pulse_count(void);

#endif
