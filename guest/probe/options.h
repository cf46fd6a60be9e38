/*
 * What the command line asks for.
 *
 * Copyright (c) 2026 the kvm4nfv authors
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#ifndef PROBE_OPTIONS_H
#define PROBE_OPTIONS_H

#include <stdbool.h>
#include <stdint.h>

typedef enum Order {
    ORDER_SEQUENTIAL,           /* page after page */
    ORDER_RANDOM,               /* a random page of adjacent ones */
    ORDER_SCATTERED,            /* sequential, and the set is spread */
    ORDER_SKEWED,               /* half of them on an eighth of the pages */
} Order;

typedef struct Options {
    uint64_t fill;      /* fill=MIB: memory that holds data, default all */
    uint64_t set;       /* set=MIB: working set; 0, the default: none */
    uint64_t rings;     /* rings=N: descriptor rings of 1024, default none */
    uint64_t rate;      /* rate=KIB: KiB to write in a second, default 0 */
    uint64_t beat;      /* beat=US: length of a quantum, default 500 */
    uint64_t timer;     /* timer=US: period of the timer, default none */
    uint64_t pulse;     /* pulse=1: answer nfv-pulse, default 0 */
    uint64_t halt;      /* halt=1: halt between two interrupts, default 0 */
    uint64_t tell;      /* tell=1: each latency by a heartbeat, default 0 */
    uint64_t break_us;  /* break=US: end at a longer latency, default never */
    Order order;        /* see above, in small letters */
} Options;

/* Returns the first word that is not an option of ours, or NULL. */
const char *options_parse(Options *options, const char *line);

#endif
