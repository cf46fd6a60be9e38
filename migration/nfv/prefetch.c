/*
 * Prefetch: how many pages to ask for where the guest waits for one
 *
 * Copyright (c) 2026 the kvm4nfv authors
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "qemu/osdep.h"
#include "prefetch.h"

/* The one that went on to @page, or the one that was not used for longest. */
static NfvPrefetchStream *find(NfvPrefetch *p, const void *block, uint64_t page,
                               bool *continues)
{
    NfvPrefetchStream *oldest = p->streams;

    for (NfvPrefetchStream *s = p->streams;
         s < p->streams + NFV_PREFETCH_STREAMS; s++) {
        /*
         * Pages behind the last request came by themselves, or the guest
         * leaves some out.
         */
        if (s->block == block && page >= s->next &&
            page - s->next < NFV_PREFETCH_MAX) {
            *continues = true;
            return s;
        }
        if (s->used < oldest->used) {
            oldest = s;
        }
    }
    *continues = false;
    return oldest;
}

unsigned nfv_prefetch_next(NfvPrefetch *p, const void *block, uint64_t page,
                           uint64_t pages)
{
    bool continues;
    NfvPrefetchStream *s = find(p, block, page, &continues);
    unsigned length = continues ? MIN(2 * s->length, NFV_PREFETCH_MAX) : 1;

    if (page < pages) {
        length = MIN(length, pages - page);
    }
    *s = (NfvPrefetchStream) {
        .block = block,
        .next = page + length,
        .length = length,
        .used = ++p->clock,
    };
    return length;
}
