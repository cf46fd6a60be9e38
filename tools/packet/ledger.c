/*
 * What became of the frames: sent, received, lost, late, phase by phase and
 * over time.
 *
 * Copyright (c) 2026 the kvm4nfv authors
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include <err.h>
#include <inttypes.h>
#include <stdlib.h>
#include "ledger.h"

void ledger_init(Ledger *l, uint32_t capacity, uint64_t slice_ns,
                 uint64_t slices)
{
    *l = (Ledger) { .capacity = capacity,
                    .slice_ns = slice_ns,
                    .slices = slices };
    l->seen = calloc(capacity / 8 + 1, 1);
    l->slice = calloc(slices, sizeof(*l->slice));
    if (!l->seen || !l->slice) {
        errx(1, "no memory for the numbers of %" PRIu32 " frames", capacity);
    }
}

bool ledger_full(const Ledger *l)
{
    return l->sent >= l->capacity;
}

static void leave(Ledger *l, uint64_t now)
{
    if (l->spans) {
        LedgerSpan *last = &l->span[l->spans - 1];

        l->phase[last->phase].ns += now - last->began;
    }
}

bool ledger_enter(Ledger *l, unsigned phase, uint64_t now)
{
    if (phase >= LEDGER_PHASES || l->spans >= LEDGER_SPANS) {
        return false;
    }
    if (l->spans) {
        leave(l, now);
    } else {
        l->began = now;
    }
    l->span[l->spans++] =
        (LedgerSpan) { .first = l->sent, .phase = phase, .began = now };
    return true;
}

void ledger_close(Ledger *l, uint64_t now)
{
    leave(l, now);
}

static unsigned span_of(const Ledger *l, uint32_t number)
{
    unsigned i = l->spans - 1;

    while (i && l->span[i].first > number) {
        i--;
    }
    return i;
}

static LedgerSlice *slice_of(Ledger *l, uint64_t stamp)
{
    uint64_t i = stamp > l->began ? (stamp - l->began) / l->slice_ns : 0;

    return &l->slice[i < l->slices ? i : l->slices - 1];
}

void ledger_sent(Ledger *l, uint64_t stamp, bool refused)
{
    LedgerPhase *phase = &l->phase[l->span[l->spans - 1].phase];

    l->sent++;
    phase->sent++;
    phase->refused += refused;
    slice_of(l, stamp)->sent++;
}

void ledger_received(Ledger *l, uint32_t number, uint64_t stamp,
                     uint64_t arrived)
{
    LedgerPhase *phase;
    LedgerSlice *slice;
    uint64_t ns = arrived > stamp ? arrived - stamp : 0;

    if (number >= l->sent) {
        return;
    }
    phase = &l->phase[l->span[span_of(l, number)].phase];
    if (l->seen[number / 8] & 1 << number % 8) {
        phase->duplicates++;
        return;
    }
    l->seen[number / 8] |= 1 << number % 8;
    if (number < l->highest) {
        phase->reordered++;
    } else {
        l->highest = number;
    }
    phase->received++;
    histogram_add(&phase->latency, ns);
    slice = slice_of(l, stamp);
    slice->received++;
    slice->max = ns > slice->max ? ns : slice->max;
}

/* The longest run of frames of a phase that were lost one after the other. */
static uint32_t longest_loss(const Ledger *l, unsigned phase)
{
    uint32_t longest = 0, run = 0;
    unsigned i;

    for (i = 0; i < l->spans; i++) {
        uint32_t number,
            end = i + 1 < l->spans ? l->span[i + 1].first : l->sent;

        if (l->span[i].phase != phase) {
            continue;
        }
        for (run = 0, number = l->span[i].first; number < end; number++) {
            run = l->seen[number / 8] & 1 << number % 8 ? 0 : run + 1;
            longest = run > longest ? run : longest;
        }
    }
    return longest;
}

void ledger_print(const Ledger *l, FILE *out)
{
    uint64_t i, used = l->slices;
    const char *comma = "";

    fprintf(out, "\"phases\": {");
    for (i = 0; i < LEDGER_PHASES; i++) {
        const LedgerPhase *p = &l->phase[i];

        if (!p->sent) {
            continue;
        }
        fprintf(out,
                "%s\"%" PRIu64 "\": {\"sent\": %" PRIu64 ", \"refused\": "
                "%" PRIu64 ", \"received\": %" PRIu64 ", \"duplicates\": "
                                                      "%" PRIu64 ", "
                                                                 "\"reordered\""
                                                                 ": %" PRIu64
                ", \"longest_loss\": %" PRIu32 ", \"ns\": %" PRIu64 ", "
                                                                    "\"latency"
                                                                    "\": {",
                comma, i, p->sent, p->refused, p->received, p->duplicates,
                p->reordered, longest_loss(l, i), p->ns);
        histogram_print(&p->latency, out);
        fprintf(out, "}}");
        comma = ", ";
    }
    while (used && !l->slice[used - 1].sent) {
        used--;
    }
    fprintf(out, "}, \"slice_ns\": %" PRIu64 ", \"slices\": [", l->slice_ns);
    for (i = 0; i < used; i++) {
        fprintf(out, "%s[%" PRIu32 ", %" PRIu32 ", %" PRIu64 "]", i ? ", " : "",
                l->slice[i].sent, l->slice[i].received, l->slice[i].max);
    }
    fprintf(out, "]");
}
