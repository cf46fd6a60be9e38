/*
 * Ranges of dirty pages that post-copy discards
 *
 * Copyright (c) 2026 the kvm4nfv authors
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "qemu/osdep.h"
#include "qemu/bitmap.h"
#include "ranges.h"

#define SHARE 8 /* of the runs around it that a gap may have */

uint64_t nfv_ranges_round(unsigned long *dirty, uint64_t pages, unsigned ratio)
{
    uint64_t set = 0;

    if (ratio <= 1) {
        return 0;
    }
    for (uint64_t page = find_first_bit(dirty, pages); page < pages;
         page = find_next_bit(dirty, pages, page)) {
        uint64_t first = QEMU_ALIGN_DOWN(page, ratio), end = first + ratio;

        for (page = first; page < end; page++) {
            set += !test_and_set_bit(page, dirty);
        }
    }
    return set;
}

uint64_t nfv_ranges_close(unsigned long *dirty, uint64_t pages)
{
    uint64_t set = 0, start = find_first_bit(dirty, pages);
    uint64_t end = start < pages ? find_next_zero_bit(dirty, pages, start) :
                                   pages;

    while (end < pages) {
        uint64_t next = find_next_bit(dirty, pages, end), gap = next - end;
        uint64_t next_end =
            next < pages ? find_next_zero_bit(dirty, pages, next) : pages;

        if (next < pages && gap <= NFV_RANGES_GAP &&
            gap * SHARE <= end - start + (next_end - next)) {
            bitmap_set(dirty, end, gap);
            set += gap; /* and on with both as one run */
        } else {
            start = next;
        }
        end = next_end;
    }
    return set;
}
