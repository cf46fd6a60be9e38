/*
 * What became of the frames: sent, received, lost, late, phase by phase and
 * over time.
 *
 * Copyright (c) 2026 the kvm4nfv authors
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#ifndef PACKET_LEDGER_H
#define PACKET_LEDGER_H

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include "histogram.h"

#define LEDGER_PHASES 8
#define LEDGER_SPANS 64

typedef struct LedgerPhase {
    uint64_t sent, refused, received, duplicates, reordered, ns;
    Histogram latency;
} LedgerPhase;

typedef struct LedgerSlice {
    uint32_t sent, received;
    uint64_t max;
} LedgerSlice;

/*
 * Frame `number` of a phase is in the last span that begins with it or before
 * it.
 */
typedef struct LedgerSpan {
    uint32_t first;
    unsigned phase;
    uint64_t began;
} LedgerSpan;

typedef struct Ledger {
    uint32_t capacity, sent, highest;
    uint8_t *seen; /* a bit for each frame */
    unsigned spans;
    LedgerSpan span[LEDGER_SPANS];
    LedgerPhase phase[LEDGER_PHASES];
    uint64_t began, slice_ns, slices;
    LedgerSlice *slice;
} Ledger;

/*
 * Room for that many frames, and for a time line of so many slices; ends the
 * program if there is no memory.
 */
void ledger_init(Ledger *l, uint32_t capacity, uint64_t slice_ns,
                 uint64_t slices);
bool ledger_full(const Ledger *l);
/*
 * From now on frames belong to this phase; false if it is none, or there were
 * too many changes. now: ns.
 */
bool ledger_enter(Ledger *l, unsigned phase, uint64_t now);
/*
 * The number that the next frame has. refused: the interface did not take it.
 *
 */
void ledger_sent(Ledger *l, uint64_t stamp, bool refused);
void ledger_received(Ledger *l, uint32_t number, uint64_t stamp,
                     uint64_t arrived);
/* No more frames are sent. */
void ledger_close(Ledger *l, uint64_t now);
void ledger_print(const Ledger *l, FILE *out);

#endif
