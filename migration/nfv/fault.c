/*
 * Faults: what the destination asks for in post-copy
 *
 * Copyright (c) 2026 the kvm4nfv authors
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "qemu/osdep.h"
#include "qemu/lockable.h"
#include "qemu/module.h"
#include "exec/ramblock.h"
#include "exec/target_page.h"
#include "migration/nfv.h"
#include "prefetch.h"
#include "trace.h"

static struct {
    QemuMutex lock; /* a recovery asks in another thread */
    NfvPrefetch prefetch;
} fault;

size_t nfv_prefetch_length(RAMBlock *rb, ram_addr_t start, size_t page_size)
{
    unsigned bits = qemu_target_page_bits(), pages;

    /*
     * A huge page is long enough.  Stock at the source looks for the next dirty
     * pages also behind the end of the block.
     */
    if (!nfv_migration_settings()->prefetch || page_size != 1ULL << bits ||
        !nfv_handshake_may_postcopy()) {
        return page_size;
    }
    WITH_QEMU_LOCK_GUARD(&fault.lock)
    {
        pages = nfv_prefetch_next(&fault.prefetch, rb, start >> bits,
                                  rb->postcopy_length >> bits);
    }
    if (pages > 1) {
        trace_nfv_prefetch(rb->idstr, start, pages);
    }
    return (size_t)pages << bits;
}

static void fault_register(void)
{
    qemu_mutex_init(&fault.lock);
}
migration_init(fault_register);
