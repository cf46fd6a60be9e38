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

/* How many dirty pages behind an urgent one go before others. */
#define FOLLOW 64

static struct {
    RAMBlock *rb;
    unsigned long page; /* where to look for the next */
    unsigned left;      /* pages to go */
} urgent;

void nfv_urgent_reset(void)
{
    urgent.rb = NULL;
    urgent.left = 0;
}

void nfv_urgent_sent(RAMBlock *rb, ram_addr_t start, uint64_t length)
{
    if (nfv_migration_settings()->hot_push &&
        rb->page_size == qemu_target_page_size()) {
        urgent.rb = rb;
        urgent.page = (start + length) >> qemu_target_page_bits();
        urgent.left = FOLLOW;
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
