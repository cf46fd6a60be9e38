/*
 * Urgent: where the guest waited last, and what lies behind it
 *
 * With a preempt channel, urgent pages do not pass through the migration thread,
 * and stock goes on there with what it was about to send.  The guest needs what
 * follows a page that it waited for sooner than that.
 *
 * All with the mutex of the dirty bitmap.
 *
 * Copyright (c) 2026 the kvm4nfv authors
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "qemu/osdep.h"
#include "qemu/bitmap.h"
#include "exec/ramblock.h"
#include "exec/target_page.h"
#include "migration/nfv.h"
#include "urgent.h"

/*
 * How many dirty pages behind an urgent one go before others: at first, and twice
 * as many each time that the guest goes on there.  The first of them go at once
 * and by the same channel if it did so before: as often as it did, doubled.
 */
#define FOLLOW_LEAST 64
#define FOLLOW_MOST (64 * 1024)
#define AT_ONCE_MOST 16

static struct {
    RAMBlock *rb;
    unsigned long first; /* behind the urgent page */
    unsigned long page;  /* where to look for the next */
    unsigned window;     /* pages that go */
    unsigned left;       /* of these */
    unsigned at_once;
} urgent;

void nfv_urgent_reset(void)
{
    urgent.rb = NULL;
    urgent.left = 0;
    urgent.at_once = 0;
}

/* Whether the guest went on from the last urgent page to @page. */
static bool goes_on(const RAMBlock *rb, unsigned long page)
{
    return rb == urgent.rb && page >= urgent.first &&
           page <= urgent.page + FOLLOW_LEAST;
}

static void expand(bool further)
{
    urgent.window = further ? MIN(urgent.window * 2, FOLLOW_MOST) :
                              FOLLOW_LEAST;
    /* Stock drops from that channel what nobody waits for when the end comes. */
    urgent.at_once = further && nfv_postcopy_is_late() ?
                         MIN(MAX(urgent.at_once * 2, 1), AT_ONCE_MOST) : 0;
}

uint64_t nfv_urgent_sent(RAMBlock *rb, ram_addr_t start, uint64_t length)
{
    if (!nfv_migration_settings()->hot_push ||
        rb->page_size != qemu_target_page_size()) {
        return length;
    }
    expand(goes_on(rb, start >> qemu_target_page_bits()));
    urgent.rb = rb;
    urgent.first = (start + length) >> qemu_target_page_bits();
    urgent.page = urgent.first;
    urgent.left = urgent.window;
    return length + urgent.at_once * rb->page_size;
}

unsigned long nfv_urgent_next(RAMBlock *rb, unsigned long page)
{
    if (!nfv_migration_settings()->hot_push ||
        rb->page_size != qemu_target_page_size()) {
        return page;
    }
    urgent.page = find_next_bit(
        rb->bmap, rb->used_length >> qemu_target_page_bits(), page);
    return urgent.page;
}

void nfv_urgent_queued(RAMBlock *rb, ram_addr_t start)
{
    if (nfv_migration_settings()->hot_push &&
        rb->page_size == qemu_target_page_size()) {
        urgent.rb = rb;
        urgent.first = (start >> qemu_target_page_bits()) + 1;
        urgent.page = urgent.first;
        urgent.window = FOLLOW_LEAST;
        urgent.left = urgent.window;
    }
}

bool nfv_urgent_follow(RAMBlock **rb, unsigned long *page)
{
    unsigned long pages;

    if (!urgent.left) {
        return false;
    }
    pages = urgent.rb->used_length >> qemu_target_page_bits();
    urgent.page = find_next_bit(urgent.rb->bmap, pages, urgent.page);
    if (urgent.page >= pages) {
        urgent.left = 0;
        return false;
    }
    urgent.left--;
    *rb = urgent.rb;
    *page = urgent.page;
    return true;
}

bool nfv_urgent_is_next(const RAMBlock *rb, unsigned long page)
{
    return rb == urgent.rb && page == urgent.page;
}
