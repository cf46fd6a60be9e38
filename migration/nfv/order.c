/*
 * Order: which of the dirty pages of a block go next
 *
 * Copyright (c) 2026 the kvm4nfv authors
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "qemu/osdep.h"
#include "qemu/bitmap.h"
#include "order.h"

void nfv_order_init(NfvOrder *order, uint64_t pages)
{
    order->pages = pages;
    order->marked = bitmap_new(pages);
    order->before = bitmap_new(pages);
}

void nfv_order_destroy(NfvOrder *order)
{
    g_free(order->marked);
    g_free(order->before);
}

void nfv_order_note(NfvOrder *order, NfvPhase phase, unsigned long k,
                    unsigned long bits)
{
    if (phase == NFV_PHASE_FIRST) {
        order->marked[k] |= bits;
    } else {
        /* What is written all the time is not fresh. */
        order->marked[k] = bits & ~order->before[k];
        order->before[k] = bits;
    }
}

uint64_t nfv_order_end_first(NfvOrder *order)
{
    uint64_t back = bitmap_count_one(order->marked, order->pages);

    bitmap_zero(order->marked, order->pages);
    return back;
}

unsigned long nfv_order_next(const NfvOrder *order, NfvPhase phase,
                             const unsigned long *dirty, unsigned long page,
                             unsigned long size)
{
    unsigned long end = MIN(size, order->pages);

    if (phase == NFV_PHASE_ALL) {
        return page;
    }
    while (page < end &&
           test_bit(page, order->marked) == (phase == NFV_PHASE_FIRST)) {
        page = phase == NFV_PHASE_FIRST ?
                   find_next_zero_bit(order->marked, end, page + 1) :
                   find_next_bit(order->marked, end, page + 1);
        page = find_next_bit(dirty, size, page);
    }
    return page;
}
