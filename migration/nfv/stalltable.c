/*
 * Stalls: who waits for which page, and how long it took
 *
 * Copyright (c) 2026 the kvm4nfv authors
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "qemu/osdep.h"
#include "qemu/host-utils.h"
#include "stall.h"

typedef struct Waiter {
    int who;
    int64_t since;
} Waiter;

NfvStallTable *nfv_stall_table_new(unsigned vcpus)
{
    NfvStallTable *table = g_new0(NfvStallTable, 1);

    table->waiting =
        g_hash_table_new_full(g_int64_hash, g_int64_equal, g_free,
                              (GDestroyNotify)g_array_unref);
    table->vcpus = vcpus;
    table->count = g_new0(NfvStallCount, vcpus + 1);
    return table;
}

void nfv_stall_table_free(NfvStallTable *table)
{
    if (table) {
        g_hash_table_unref(table->waiting);
        g_free(table->count);
        g_free(table);
    }
}

void nfv_stall_table_begin(NfvStallTable *table, uint64_t page, int who,
                           int64_t now)
{
    GArray *waiters = g_hash_table_lookup(table->waiting, &page);
    Waiter waiter = { who, now };

    if (!waiters) {
        waiters = g_array_new(false, false, sizeof(Waiter));
        g_hash_table_insert(table->waiting, g_memdup2(&page, sizeof(page)),
                            waiters);
    }
    /* The kernel reports a fault again if the thread was woken for nothing. */
    for (guint i = 0; who != NFV_STALL_OTHER && i < waiters->len; i++) {
        if (g_array_index(waiters, Waiter, i).who == who) {
            return;
        }
    }
    g_array_append_val(waiters, waiter);
}

unsigned nfv_stall_bucket(int64_t ns)
{
    uint64_t us = MAX(ns, 1000) / 1000;

    return MIN(63 - clz64(us), NFV_STALL_BUCKETS - 1);
}

static void add(NfvStallCount *count, int64_t ns)
{
    count->faults++;
    count->sum += ns;
    count->longest = MAX(count->longest, ns);
}

void nfv_stall_table_end(NfvStallTable *table, uint64_t page, int64_t now,
                         NfvStallEach *each)
{
    GArray *waiters = g_hash_table_lookup(table->waiting, &page);

    for (guint i = 0; waiters && i < waiters->len; i++) {
        const Waiter *w = &g_array_index(waiters, Waiter, i);
        bool is_vcpu = w->who >= 0 && w->who < table->vcpus;
        int64_t ns = MAX(now - w->since, 0);

        add(&table->count[is_vcpu ? w->who : table->vcpus], ns);
        add(&table->all, ns);
        table->histogram[nfv_stall_bucket(ns)]++;
        if (each) {
            each(w->who, page, ns);
        }
    }
    g_hash_table_remove(table->waiting, &page);
}
