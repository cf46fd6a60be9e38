/*
 * Unit tests: which of the dirty pages go next
 *
 * Copyright (c) 2026 the kvm4nfv authors
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "qemu/osdep.h"
#include "qemu/bitmap.h"
#include "migration/nfv/order.h"

#define PAGES 256
#define NOTHING PAGES

typedef struct Fixture {
    NfvOrder order;
    unsigned long *dirty;
} Fixture;

static void setup(Fixture *f, gconstpointer unused)
{
    nfv_order_init(&f->order, PAGES);
    f->dirty = bitmap_new(PAGES);
}

static void teardown(Fixture *f, gconstpointer unused)
{
    nfv_order_destroy(&f->order);
    g_free(f->dirty);
}

/* A sync that finds these pages, which end with -1, and makes them dirty. */
static void sync_pages(Fixture *f, NfvPhase phase, const int *pages)
{
    DECLARE_BITMAP(log, PAGES) = {};

    for (; *pages >= 0; pages++) {
        set_bit(*pages, log);
        set_bit(*pages, f->dirty);
    }
    for (int k = 0; k < BITS_TO_LONGS(PAGES); k++) {
        nfv_order_note(&f->order, phase, k, log[k]);
    }
}

#define SYNC(f, phase, ...) \
    sync_pages(f, NFV_PHASE_##phase, (const int[]){ __VA_ARGS__, -1 })
#define SYNC_NONE(f, phase) \
    sync_pages(f, NFV_PHASE_##phase, (const int[]){ -1 })

static unsigned long next(const Fixture *f, NfvPhase phase, unsigned long from,
                          unsigned long size)
{
    unsigned long page = find_next_bit(f->dirty, size, from);

    return nfv_order_next(&f->order, phase, f->dirty, page, size);
}

/* Send all that this phase allows; it must be these, which end with -1. */
static void send_pages(Fixture *f, NfvPhase phase, const int *pages)
{
    unsigned long at = 0;

    while ((at = next(f, phase, at, PAGES)) < PAGES) {
        g_assert_cmpint(at, ==, *pages);
        g_assert(test_and_clear_bit(at, f->dirty));
        pages++;
    }
    g_assert_cmpint(*pages, ==, -1);
}

#define SEND(f, phase, ...) \
    send_pages(f, NFV_PHASE_##phase, (const int[]){ __VA_ARGS__, -1 })
#define SEND_NONE(f, phase) \
    send_pages(f, NFV_PHASE_##phase, (const int[]){ -1 })

static void test_all(Fixture *f, gconstpointer unused)
{
    SYNC(f, ALL, 0, 63, 64, 200, 255);
    SEND(f, ALL, 0, 63, 64, 200, 255);
    SEND_NONE(f, ALL);
}

/* What is found dirty again stays back, and stays dirty, until all go. */
static void test_first(Fixture *f, gconstpointer unused)
{
    bitmap_set(f->dirty, 0, PAGES);
    SYNC(f, FIRST, 0, 1, 2, 70, 255);
    for (int i = 0; i < PAGES; i++) {
        bool back = i <= 2 || i == 70 || i == 255;

        g_assert_cmpuint(next(f, NFV_PHASE_FIRST, i, i + 1), ==, i + back);
        if (!back) {
            clear_bit(i, f->dirty);
        }
    }
    SEND_NONE(f, FIRST);
    SYNC(f, FIRST, 70, 71);
    SEND_NONE(f, FIRST);
    g_assert_cmpuint(nfv_order_end_first(&f->order), ==, 6);
    SEND(f, ALL, 0, 1, 2, 70, 71, 255);
    g_assert_cmpuint(nfv_order_end_first(&f->order), ==, 0);
}

/* KVM reports the same again until the log is cleared: no harm here. */
static void test_reported_again(Fixture *f, gconstpointer unused)
{
    SYNC(f, FIRST, 5, 6);
    SYNC(f, FIRST, 5, 6);
    g_assert_cmpuint(nfv_order_end_first(&f->order), ==, 2);
    SYNC(f, FRESH, 5);
    SYNC(f, FRESH, 5); /* looks as if written all the time: goes last */
    SEND_NONE(f, FRESH);
    SEND(f, ALL, 5, 6);
}

static void test_fresh(Fixture *f, gconstpointer unused)
{
    SYNC(f, FRESH, 1, 2, 3);
    SEND(f, FRESH, 1, 2, 3);
    /* 3 is written all the time, 4 is new. */
    SYNC(f, FRESH, 3, 4);
    SEND(f, FRESH, 4);
    SEND(f, ALL, 3);
    /* Not for one sync: fresh again. */
    SYNC_NONE(f, FRESH);
    SYNC(f, FRESH, 3, 4);
    SEND(f, FRESH, 3, 4);
}

/* A guest that cycles through buffers: the newest go first. */
static void test_cycle(Fixture *f, gconstpointer unused)
{
    for (int at = 0; at < 200; at += 10) {
        const int written[] = { at, at + 1, at + 2, -1 };

        sync_pages(f, NFV_PHASE_FRESH, written);
        /* Only one of three is sent before the next sync. */
        g_assert_cmpuint(next(f, NFV_PHASE_FRESH, 0, PAGES), ==, at);
        clear_bit(at, f->dirty);
    }
    g_assert_cmpuint(next(f, NFV_PHASE_FRESH, 0, PAGES), ==, 191);
    g_assert_cmpuint(next(f, NFV_PHASE_ALL, 0, PAGES), ==, 1);
}

/* Within a huge page the search has an end before that of the block. */
static void test_host_page(Fixture *f, gconstpointer unused)
{
    bitmap_set(f->dirty, 0, PAGES);
    SYNC(f, FIRST, 60, 61, 62, 63);
    g_assert_cmpuint(next(f, NFV_PHASE_FIRST, 59, 64), ==, 59);
    g_assert_cmpuint(next(f, NFV_PHASE_FIRST, 60, 64), ==, 64);
    g_assert_cmpuint(next(f, NFV_PHASE_FIRST, 60, 62), ==, 62);
    g_assert_cmpuint(next(f, NFV_PHASE_FIRST, 60, PAGES), ==, 64);
}

/* Pages beyond those that the block had do not stay back. */
static void test_grown(Fixture *f, gconstpointer unused)
{
    NfvOrder small;

    nfv_order_init(&small, 64);
    nfv_order_note(&small, NFV_PHASE_FIRST, 0, ~0ul);
    bitmap_set(f->dirty, 0, PAGES);
    g_assert_cmpuint(nfv_order_next(&small, NFV_PHASE_FIRST, f->dirty, 0,
                                    PAGES), ==, 64);
    g_assert_cmpuint(nfv_order_next(&small, NFV_PHASE_FIRST, f->dirty, 100,
                                    PAGES), ==, 100);
    g_assert_cmpuint(nfv_order_next(&small, NFV_PHASE_FRESH, f->dirty, 200,
                                    PAGES), ==, 200);
    nfv_order_destroy(&small);
}

/* Nothing that stays back is lost: every phase's rest goes with ALL. */
static void test_nothing_lost(Fixture *f, gconstpointer unused)
{
    GRand *rand = g_rand_new_with_seed(1);
    NfvPhase phase = NFV_PHASE_FIRST;

    bitmap_set(f->dirty, 0, PAGES);
    for (int round = 0; round < 2000; round++) {
        unsigned long at = 0;
        int written[65], n = g_rand_int_range(rand, 0, 64), budget;

        for (int i = 0; i < n; i++) {
            written[i] = g_rand_int_range(rand, 0, PAGES);
        }
        written[n] = -1;
        sync_pages(f, phase, written);
        budget = g_rand_int_range(rand, 1, PAGES);
        while (budget-- && (at = next(f, phase, at, PAGES)) < PAGES) {
            g_assert(test_and_clear_bit(at, f->dirty));
        }
        if (at >= PAGES) {
            if (phase == NFV_PHASE_FIRST) {
                nfv_order_end_first(&f->order);
            }
            at = 0;
            while ((at = next(f, NFV_PHASE_ALL, at, PAGES)) < PAGES) {
                g_assert(test_and_clear_bit(at, f->dirty));
            }
            g_assert_cmpuint(find_first_bit(f->dirty, PAGES), ==, NOTHING);
            phase = NFV_PHASE_FRESH;
        }
    }
    g_assert_cmpint(phase, ==, NFV_PHASE_FRESH);
    g_rand_free(rand);
}

static void add(const char *path, void (*test)(Fixture *, gconstpointer))
{
    g_test_add(path, Fixture, NULL, setup, test, teardown);
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    add("/nfv/heat/all", test_all);
    add("/nfv/heat/first", test_first);
    add("/nfv/heat/reported-again", test_reported_again);
    add("/nfv/heat/fresh", test_fresh);
    add("/nfv/heat/cycle", test_cycle);
    add("/nfv/heat/host-page", test_host_page);
    add("/nfv/heat/grown", test_grown);
    add("/nfv/heat/nothing-lost", test_nothing_lost);
    return g_test_run();
}
