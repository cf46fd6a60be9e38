/*
 * Ranges of guest memory, and how to have them mapped
 *
 * Copyright (c) 2026 the kvm4nfv authors
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "qemu/osdep.h"
#include "qemu/units.h"
#include "accel/kvm/nfv/prefault.h"

#define LARGE_PAGE (2 * MiB)

/* Calls in a row that mapped nothing; the kernel looks for signals itself. */
#define MAX_TRIES 1000

NfvRange nfv_range_pages(NfvRange range, uint64_t page)
{
    uint64_t start = ROUND_UP(range.start, page);
    uint64_t end = ROUND_DOWN(range.start + range.size, page);

    return (NfvRange) { start, end > start ? end - start : 0 };
}

static uint64_t boundary(NfvRange range, unsigned index, unsigned count)
{
    uint64_t end = range.start + range.size;

    if (index == 0 || index == count) {
        return index ? end : range.start;
    }
    return MIN(end,
               ROUND_UP(range.start + range.size / count * index, LARGE_PAGE));
}

NfvRange nfv_range_share(NfvRange range, unsigned index, unsigned count)
{
    uint64_t start = boundary(range, index, count);

    return (NfvRange) { start, boundary(range, index + 1, count) - start };
}

void nfv_prefault_range(NfvRange range, NfvMapFn *map, void *opaque,
                        NfvPrefault *result)
{
    int err = 0;

    for (int tries = 0; range.size && !err; tries++) {
        uint64_t before = range.size;
        int ret = map(opaque, &range);

        if (range.size < before) {
            result->done += before - range.size;
            tries = 0;
        } else if (range.size > before || tries == MAX_TRIES) {
            err = EIO;
        }
        if (ret < 0 && ret != -EINTR && ret != -EAGAIN) {
            err = -ret;
        }
    }
    if (!result->err) {
        result->err = err;
    }
}
