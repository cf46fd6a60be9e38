/*
 * What memory the host has for the guest
 *
 * Copyright (c) 2026 the kvm4nfv authors
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#ifndef HW_NFV_MEMHOST_H
#define HW_NFV_MEMHOST_H

#include "qemu/bitmap.h"

#define NFV_NODES 128 /* as many as memory backends know */
#define NFV_POOLS 2

typedef struct NfvNodeSet {
    DECLARE_BITMAP(bits, NFV_NODES);
} NfvNodeSet;

#define NFV_NODESET_FOREACH(node, set)                                        \
    for ((node) = find_first_bit((set)->bits, NFV_NODES); (node) < NFV_NODES; \
         (node) = find_next_bit((set)->bits, NFV_NODES, (node) + 1))
#define NFV_NODESET_EMPTY(set) bitmap_empty((set)->bits, NFV_NODES)

/* Huge pages of one size, in pages. */
typedef struct NfvPool {
    uint64_t page_size; /* bytes */
    bool present;       /* the kernel has this size */
    uint64_t total, free;
    uint64_t reserved; /* free, but promised to a mapping that exists */
    uint64_t node_total[NFV_NODES], node_free[NFV_NODES];
} NfvPool;

typedef struct NfvMemoryHost {
    NfvPool pools[NFV_POOLS]; /* 2 MiB, 1 GiB */
    NfvNodeSet nodes;         /* empty where the kernel does not say */
    /* bytes that can be allocated before something is paged out or killed */
    uint64_t available;
    bool may_lock;       /* CAP_IPC_LOCK is in force */
    uint64_t lock_limit; /* RLIMIT_MEMLOCK, bytes; UINT64_MAX: none */
} NfvMemoryHost;

/*
 * Read it.  @root: as in nfv_host_read(); the limits are this process's.  The
 * caller frees the result with g_free().
 */
NfvMemoryHost *nfv_memory_host_read(const char *root);

/* "0-1", for a message; the caller frees it. */
char *nfv_nodeset_format(const NfvNodeSet *set);

#endif
