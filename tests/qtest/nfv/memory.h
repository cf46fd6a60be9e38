/*
 * Memory of a guest: what the kernel says about it, and what query-nfv does
 *
 * Copyright (c) 2026 the kvm4nfv authors
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#ifndef TESTS_QTEST_NFV_MEMORY_H
#define TESTS_QTEST_NFV_MEMORY_H

#include "libqtest.h"
#include "qobject/qdict.h"

/* Guest RAM as the kernel sees it; sizes in bytes. */
typedef struct NfvGuestRam {
    uint64_t start, size; /* in QEMU's address space */
    uint64_t populated, locked;
    uint64_t on_node0;
    unsigned page_kib;
    bool mergeable;  /* of the whole */
    char policy[64]; /* of the first mapping, as in numa_maps: "bind:0" */
} NfvGuestRam;

/* The @size bytes of guest RAM from @address on, which are in one block. */
void nfv_guest_ram_read(QTestState *qts, uint64_t address, uint64_t size,
                        NfvGuestRam *ram);

/*
 * Check that query-nfv says of the memory backend @id what the kernel says of
 * the RAM at @address, and return that in *@ram.
 */
void nfv_guest_ram_check(QTestState *qts, const char *id, uint64_t address,
                         NfvGuestRam *ram);

/* The entry of query-nfv's memory with this id; NULL if there is none. */
const QDict *nfv_test_memory(const QDict *info, const char *id);

/*
 * Check the state of a tuning, and that its reason has @why (NULL: any).
 * Queries.
 */
void nfv_test_tuning(QTestState *qts, const char *name, const char *state,
                     const char *why);

/* What tuning @name says; not owned by the caller. */
const QDict *nfv_test_find_tuning(const QDict *info, const char *name);

#endif
