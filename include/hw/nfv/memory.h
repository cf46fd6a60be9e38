/*
 * Which memory the guest gets: size of its pages, where they are, populated and
 * locked or not
 *
 * Copyright (c) 2026 the kvm4nfv authors
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#ifndef HW_NFV_MEMORY_H
#define HW_NFV_MEMORY_H

#include "hw/nfv/memhost.h"
#include "qapi/qapi-types-common.h"
#include "qapi/qapi-types-nfv.h"

/* What the user asked for: the machine's properties. */
typedef struct NfvMemoryConfig {
    OnOffAuto hugepages;
    uint64_t page_size; /* hugepages=2M or 1G, in bytes; 0: any */
    OnOffAuto prealloc, lock;
} NfvMemoryConfig;

/* What the guest needs. */
typedef struct NfvMemoryNeed {
    uint64_t size;    /* bytes */
    NfvNodeSet nodes; /* those of the vCPUs' host CPUs; empty: any */
    bool pinned;      /* vCPUs have host CPUs of their own */
} NfvMemoryNeed;

/* One way to allocate the guest's memory. */
typedef struct NfvMemoryTry {
    uint64_t page_size; /* of hugetlb; 0: transparent huge pages */
    bool bind;          /* to NfvMemoryNeed.nodes */
    bool prealloc;
} NfvMemoryTry;

/* What was not done though the user would want it, and how to have it. */
typedef struct NfvShortfall {
    char *why, *remedy; /* both NULL: nothing */
} NfvShortfall;

typedef struct NfvMemoryPlan {
    NfvMemoryTry tries[7]; /* the best first; one of them may still fail */
    unsigned count;        /* at least 1 */
    NfvShortfall hugepages, prealloc;
} NfvMemoryPlan;

/* "auto", "on", "off" or a size; the caller frees it. */
char *nfv_memory_format_hugepages(const NfvMemoryConfig *config);

/* False and @errp set, and @config as it was, if @value is not valid. */
bool nfv_memory_parse_hugepages(NfvMemoryConfig *config, const char *value,
                                Error **errp);

/*
 * Pure.  NULL and @errp set if what is "on" cannot be met on this host.
 */
NfvMemoryPlan *nfv_memory_plan(const NfvMemoryConfig *config,
                               const NfvMemoryNeed *need,
                               const NfvMemoryHost *host, Error **errp);
void nfv_memory_plan_free(NfvMemoryPlan *plan);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(NfvMemoryPlan, nfv_memory_plan_free)

/*
 * Whether to lock QEMU's memory.  Pure.  With mem-lock=auto a finite limit is
 * a reason not to: all that is mapped later counts, too, and a thread that is
 * started would fail.  @unplugs: a device of the guest takes memory away while
 * it runs (virtio-mem), which locked memory forbids.
 * NFV_TUNING_STATE_UNAVAILABLE and @shortfall set if it cannot be had.
 */
NfvTuningState nfv_memory_lock(const NfvMemoryConfig *config,
                               const NfvMemoryNeed *need,
                               const NfvMemoryHost *host, bool unplugs,
                               NfvShortfall *shortfall);

/* A memory backend of the user's. */
typedef struct NfvMemoryGiven {
    const char *id;
    uint64_t page_size; /* bytes */
    bool prealloc;
} NfvMemoryGiven;

/* False and @errp set if it contradicts a property.  Pure. */
bool nfv_memory_check(const NfvMemoryConfig *config,
                      const NfvMemoryGiven *given, Error **errp);

#endif
