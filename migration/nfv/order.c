/*
 * Order: which of the dirty pages of a block go next
 *
 * Copyright (c) 2026 the kvm4nfv authors
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "qemu/osdep.h"
#include "qemu/bitmap.h"
#include "order.h"

#define SYNCS_MAX 126 /* of an age or an interval */
/* A pass over all pages is made for at least this share of the dirty ones. */
#define SHARE 16
/* The guest writes to a place if it wrote to this share of a chunk. */
#define WRITTEN_SHARE 8

void nfv_order_init(NfvOrder *order, uint64_t pages, uint64_t chunk)
{
    *order = (NfvOrder) {
        .pages = pages,
        .chunk = chunk,
        .age = g_new0(uint8_t, pages),
        .interval = g_new0(uint8_t, pages),
        .before = bitmap_new(pages),
        .chunks = DIV_ROUND_UP(pages, chunk),
    };
    order->written = g_new0(uint64_t, order->chunks);
    order->turn = g_new(uint8_t, order->chunks);
    nfv_order_take_turns(order);
}

void nfv_order_destroy(NfvOrder *order)
{
    g_free(order->age);
    g_free(order->interval);
    g_free(order->before);
    g_free(order->written);
    g_free(order->turn);
}

static bool is_written(const NfvOrder *order, uint64_t chunk)
{
    return order->written[chunk] >= MAX(1, order->chunk / WRITTEN_SHARE);
}

/*
 * How many chunks each is from the nearest that the guest writes to; UINT64_MAX
 * if there is none.  @farthest: the most.
 */
static uint64_t *distances(const NfvOrder *order, uint64_t *farthest)
{
    uint64_t *distance = g_new(uint64_t, order->chunks);
    uint64_t last = UINT64_MAX;

    for (uint64_t i = 0; i < order->chunks; i++) {
        last = is_written(order, i) ? 0 : last + (last < UINT64_MAX);
        distance[i] = last;
    }
    *farthest = 0;
    for (uint64_t i = order->chunks; i-- > 0;) {
        last = MIN(distance[i], last + (last < UINT64_MAX));
        distance[i] = last;
        *farthest = MAX(*farthest, last);
    }
    return distance;
}

static uint8_t turn_of(uint64_t chunk, uint64_t distance, uint64_t farthest)
{
    if (farthest == UINT64_MAX) {
        return chunk % NFV_ORDER_TURNS;
    }
    return farthest ?
               (farthest - distance) * (NFV_ORDER_TURNS - 1) / farthest : 0;
}

void nfv_order_take_turns(NfvOrder *order)
{
    uint64_t farthest;
    g_autofree uint64_t *distance = distances(order, &farthest);

    for (uint64_t i = 0; i < order->chunks; i++) {
        order->turn[i] = turn_of(i, distance[i], farthest);
    }
}

/* @old: as in NfvOrder.  A jitter of an eighth is none. */
static uint8_t next_interval(uint8_t old, unsigned found, unsigned longest)
{
    unsigned known = old & ~NFV_ORDER_PERIODIC;
    bool periodic = old == NFV_ORDER_ONCE ?
                        found * 8 >= longest * 7 :
                        abs((int)found - (int)known) <= 1 + known / 8;

    if (periodic) {
        return found | NFV_ORDER_PERIODIC;
    }
    return old == NFV_ORDER_ONCE ? found : (3 * known + found) / 4;
}

static void note_page(NfvOrder *order, uint64_t page)
{
    uint8_t *interval = &order->interval[page];
    unsigned found = MAX(1, order->age[page]);

    if (*interval == NFV_ORDER_NEVER) {
        *interval = NFV_ORDER_ONCE;
        order->written[page / order->chunk]++;
    } else {
        *interval = next_interval(*interval, found, order->longest);
        order->longest = MAX(order->longest, *interval & ~NFV_ORDER_PERIODIC);
    }
    order->age[page] = 0;
}

/* Nobody asks for the age of what was never written, which is most memory. */
static bool has_ages(const NfvOrder *order, uint64_t first, uint64_t end)
{
    for (uint64_t c = first / order->chunk; c * order->chunk < end; c++) {
        if (order->written[c]) {
            return true;
        }
    }
    return false;
}

void nfv_order_note(NfvOrder *order, unsigned long k, unsigned long bits,
                    bool exact)
{
    uint64_t first = (uint64_t)k * BITS_PER_LONG;
    uint64_t end = MIN(first + BITS_PER_LONG, order->pages);
    unsigned long written = exact ? bits : bits & ~order->before[k];

    if (has_ages(order, first, end)) {
        for (uint64_t page = first; page < end; page++) {
            order->age[page] += order->age[page] < SYNCS_MAX;
        }
    }
    for (; written; written &= written - 1) {
        note_page(order, first + ctzl(written));
    }
    order->before[k] = bits;
}

static void refine_page(NfvOrder *order, uint64_t page, unsigned parts)
{
    order->age[page] = MIN(order->age[page] * parts, SYNCS_MAX);
    if (order->interval[page] != NFV_ORDER_NEVER) {
        order->interval[page] = NFV_ORDER_ONCE;
    }
}

void nfv_order_refine(NfvOrder *order, unsigned parts)
{
    order->longest = 0;
    for (uint64_t c = 0; c < order->chunks; c++) {
        uint64_t end = MIN((c + 1) * order->chunk, order->pages);

        for (uint64_t page = c * order->chunk;
             order->written[c] && page < end; page++) {
            refine_page(order, page, parts);
        }
    }
}

static unsigned turn_level(const NfvOrder *order, uint64_t page)
{
    return NFV_ORDER_TOP - order->turn[page / order->chunk];
}

unsigned nfv_order_level(const NfvOrder *order, uint64_t page)
{
    unsigned age = order->age[page], interval = order->interval[page];

    if (interval == NFV_ORDER_NEVER) {
        return turn_level(order, page);
    }
    if (interval == NFV_ORDER_ONCE) {
        interval = order->longest ?: SYNCS_MAX;
    } else if (interval & NFV_ORDER_PERIODIC) {
        interval &= ~NFV_ORDER_PERIODIC;
    } else {
        return MAX(interval, age);
    }
    if (age < interval) {
        return interval - age;
    }
    /* Overdue: at any moment; or for so long that it will not be soon. */
    return age > 2 * interval + 1 ? age : 0;
}

/* Of the chunk from @first to @end, which the guest has written to. */
static void count_chunk(const NfvOrder *order, const unsigned long *dirty,
                        uint64_t first, uint64_t end,
                        uint64_t counts[NFV_ORDER_LEVELS])
{
    for (uint64_t page = find_next_bit(dirty, end, first); page < end;
         page = find_next_bit(dirty, end, page + 1)) {
        counts[nfv_order_level(order, page)]++;
    }
}

void nfv_order_count(const NfvOrder *order, const unsigned long *dirty,
                     uint64_t counts[NFV_ORDER_LEVELS])
{
    for (uint64_t c = 0; c < order->chunks; c++) {
        uint64_t first = c * order->chunk;
        uint64_t end = MIN(first + order->chunk, order->pages);

        if (order->written[c]) {
            count_chunk(order, dirty, first, end, counts);
        } else {
            counts[turn_level(order, first)] +=
                bitmap_count_one_with_offset(dirty, first, end - first);
        }
    }
}

/* How many stand below the cold ones. */
static uint64_t count_warm(const uint64_t counts[NFV_ORDER_LEVELS])
{
    uint64_t all = 0;

    for (unsigned level = 0; level < NFV_ORDER_COLD; level++) {
        all += counts[level];
    }
    return all;
}

unsigned nfv_order_descend(const uint64_t counts[NFV_ORDER_LEVELS],
                           unsigned above)
{
    uint64_t all = count_warm(counts), taken = 0;

    while (above > NFV_ORDER_COLD) {
        if (counts[--above]) {
            return above;
        }
    }
    for (unsigned level = above; level-- > 0;) {
        taken += counts[level];
        if (taken && taken >= all / SHARE) {
            return level;
        }
    }
    return 0;
}

unsigned nfv_order_ascend(const uint64_t counts[NFV_ORDER_LEVELS], int below)
{
    uint64_t all = count_warm(counts), taken = 0;

    for (int level = below + 1; level < NFV_ORDER_COLD; level++) {
        taken += counts[level];
        if (taken && taken >= all / SHARE) {
            return level;
        }
    }
    return NFV_ORDER_TOP;
}

/* The page to look at after @page, which is not wanted. */
static uint64_t pass_by(const NfvOrder *order, unsigned low, uint64_t page)
{
    /* All of a chunk is below a turn that is after its own. */
    if (low > turn_level(order, page)) {
        return ROUND_DOWN(page, order->chunk) + order->chunk;
    }
    return page + 1;
}

unsigned long nfv_order_next(const NfvOrder *order, unsigned low, unsigned high,
                             const unsigned long *dirty, unsigned long page,
                             unsigned long size, unsigned long most)
{
    unsigned long end = MIN(size, order->pages);

    if (low == 0 && high == NFV_ORDER_TOP) {
        return page;
    }
    for (; page < end && most; most--) {
        unsigned level = nfv_order_level(order, page);

        if (low <= level && level <= high) {
            break;
        }
        page = find_next_bit(dirty, size, pass_by(order, low, page));
    }
    return page;
}

unsigned long nfv_order_next_of(const unsigned long *some, uint64_t pages,
                                const unsigned long *dirty, unsigned long page,
                                unsigned long size)
{
    unsigned long end = MIN(size, pages);

    while (page < end && !test_bit(page, some)) {
        page = find_next_bit(some, end, page + 1);
        page = find_next_bit(dirty, size, page);
    }
    return page;
}
