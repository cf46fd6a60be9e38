/*
 * What the kernel says of a range of this process's memory
 *
 * Copyright (c) 2026 the kvm4nfv authors
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#ifndef HW_NFV_MAPS_H
#define HW_NFV_MAPS_H

#include "hw/nfv/memhost.h"

typedef struct NfvRange {
    /* given */
    uintptr_t start;
    uint64_t size; /* bytes */

    /* found; bytes */
    uint64_t populated; /* has a page */
    uint64_t huge;      /* of these, in huge pages of any kind */
    uint64_t locked;    /* the kernel must not page it out */
    uint64_t on_node[NFV_NODES];
    bool bound; /* has a NUMA policy other than the default */
} NfvRange;

/*
 * Look them up in /proc/self.  Walks the page tables: milliseconds per GiB of
 * small pages, so never with the BQL; from any thread.
 */
void nfv_maps_read(NfvRange *ranges, unsigned count);

/*
 * The same from the text of smaps and of numa_maps; either may be NULL.  Pure.
 */
void nfv_maps_parse_smaps(NfvRange *ranges, unsigned count, const char *text);
void nfv_maps_parse_numa(NfvRange *ranges, unsigned count, const char *text);

#endif
