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

typedef struct Fixture {
    NfvOrder order;
    unsigned long *dirty;
} Fixture;

static void setup(Fixture *f, gconstpointer unused)
{
    nfv_order_init(&f->order, PAGES, PAGES);
    f->dirty = bitmap_new(PAGES);
}

static void teardown(Fixture *f, gconstpointer unused)
{
    nfv_order_destroy(&f->order);
    g_free(f->dirty);
}

/* A sync that finds these pages, which end with -1, and makes them dirty. */
static void sync_pages(Fixture *f, bool exact, const int *pages)
{
    DECLARE_BITMAP(log, PAGES) = {};

    for (; *pages >= 0; pages++) {
        set_bit(*pages, log);
        set_bit(*pages, f->dirty);
    }
    for (int k = 0; k < BITS_TO_LONGS(PAGES); k++) {
        nfv_order_note(&f->order, k, log[k], exact);
    }
}

#define SYNC(f, ...) sync_pages(f, true, (const int[]){ __VA_ARGS__, -1 })
#define SYNC_NONE(f) sync_pages(f, true, (const int[]){ -1 })
#define SYNC_INEXACT(f, ...) \
    sync_pages(f, false, (const int[]){ __VA_ARGS__, -1 })

static void assert_level(const Fixture *f, int page, unsigned level)
{
    g_assert_cmpuint(nfv_order_level(&f->order, page), ==, level);
}

static unsigned long next(const Fixture *f, unsigned level, unsigned long from,
                          unsigned long size)
{
    unsigned long page = find_next_bit(f->dirty, size, from);

    return nfv_order_next(&f->order, level, NFV_ORDER_TOP, f->dirty, page, size,
                          PAGES);
}

/* Send all that this level allows; it must be these, which end with -1. */
static void send_pages(Fixture *f, unsigned level, const int *pages)
{
    unsigned long at = 0;

    while ((at = next(f, level, at, PAGES)) < PAGES) {
        g_assert_cmpint(at, ==, *pages);
        g_assert(test_and_clear_bit(at, f->dirty));
        pages++;
    }
    g_assert_cmpint(*pages, ==, -1);
}

#define SEND(f, level, ...) \
    send_pages(f, level, (const int[]){ __VA_ARGS__, -1 })

static void test_all(Fixture *f, gconstpointer unused)
{
    SYNC(f, 0, 63, 64, 200, 255);
    SEND(f, 0, 0, 63, 64, 200, 255);
    SEND(f, 0, -1);
}

/* What is found dirty again stays back from the first round. */
static void test_cold(Fixture *f, gconstpointer unused)
{
    bitmap_set(f->dirty, 0, PAGES);
    SYNC(f, 0, 1, 2, 70, 255);
    for (int i = 0; i < PAGES; i++) {
        bool back = i <= 2 || i == 70 || i == 255;

        assert_level(f, i, back ? NFV_ORDER_COLD - 1 : NFV_ORDER_TOP);
        g_assert_cmpuint(next(f, NFV_ORDER_COLD, i, i + 1), ==, i + back);
        if (!back) {
            clear_bit(i, f->dirty);
        }
    }
    SYNC(f, 70, 71);
    SEND(f, NFV_ORDER_COLD, -1);
    SEND(f, 0, 0, 1, 2, 70, 71, 255);
}

/* A turn takes its share from all over the block, and whole chunks. */
static void test_turns(Fixture *f, gconstpointer unused)
{
    NfvOrder order;
    int sent = 0;

    nfv_order_init(&order, PAGES, 4);
    bitmap_set(f->dirty, 0, PAGES);
    nfv_order_note(&order, 0, 1 << 5 | 1 << 6, true);
    g_assert_cmpuint(nfv_order_level(&order, 3), ==, NFV_ORDER_TOP);
    g_assert_cmpuint(nfv_order_level(&order, 4), ==, NFV_ORDER_TOP - 1);
    g_assert_cmpuint(nfv_order_level(&order, 5), ==, NFV_ORDER_COLD - 1);
    g_assert_cmpuint(nfv_order_level(&order, 4 * NFV_ORDER_TURNS - 1), ==,
                     NFV_ORDER_COLD);
    g_assert_cmpuint(nfv_order_level(&order, 4 * NFV_ORDER_TURNS), ==,
                     NFV_ORDER_TOP);
    for (unsigned turn = 0; turn < NFV_ORDER_TURNS; turn++) {
        for (unsigned page = 0; page < PAGES; sent++) {
            page = find_next_bit(f->dirty, PAGES, page);
            page = nfv_order_next(&order, NFV_ORDER_TOP - turn, NFV_ORDER_TOP,
                                  f->dirty, page, PAGES, PAGES);
            if (page >= PAGES) {
                break;
            }
            g_assert_cmpuint(page / 4 % NFV_ORDER_TURNS, ==, turn);
            g_assert(test_and_clear_bit(page, f->dirty));
        }
    }
    g_assert_cmpint(sent, ==, PAGES - 2);
    g_assert(test_bit(5, f->dirty) && test_bit(6, f->dirty));
    nfv_order_destroy(&order);
}

/* Once it is known where the guest writes, the farthest from there goes first. */
static void test_farthest(Fixture *f, gconstpointer unused)
{
    NfvOrder order;

    nfv_order_init(&order, PAGES, 16);
    for (unsigned at = 0; at < PAGES; at += BITS_PER_LONG) {
        nfv_order_note(&order, BIT_WORD(at), 1, true); /* says nothing */
    }
    nfv_order_take_turns(&order);
    g_assert_cmpuint(nfv_order_level(&order, 33), ==, NFV_ORDER_TOP - 2);
    nfv_order_note(&order, 1, 6, true); /* pages 65 and 66 */
    g_assert_cmpuint(nfv_order_level(&order, 33), ==, NFV_ORDER_TOP - 2);
    nfv_order_take_turns(&order);
    g_assert_cmpuint(nfv_order_level(&order, 67), ==, NFV_ORDER_COLD);
    g_assert_cmpuint(nfv_order_level(&order, 255), ==, NFV_ORDER_TOP);
    for (unsigned at = 67; at < PAGES; at++) {
        if (at % BITS_PER_LONG) {
            g_assert_cmpuint(nfv_order_level(&order, at), >=,
                             nfv_order_level(&order, 67));
        }
        if (at % BITS_PER_LONG > 1) {
            g_assert_cmpuint(nfv_order_level(&order, at), >=,
                             nfv_order_level(&order, at - 1));
        }
    }
    /* From both sides, and no chunk is farther than the farthest. */
    g_assert_cmpuint(nfv_order_level(&order, 50), ==,
                     nfv_order_level(&order, 81));
    g_assert_cmpuint(nfv_order_level(&order, 1), <, NFV_ORDER_TOP);
    /* Everywhere: nothing is farther than the rest. */
    for (unsigned k = 0; k < BITS_TO_LONGS(PAGES); k++) {
        nfv_order_note(&order, k, 0x000e000e000e000eul, true);
    }
    nfv_order_take_turns(&order);
    for (unsigned at = 8; at < PAGES; at += 16) {
        g_assert_cmpuint(nfv_order_level(&order, at), ==, NFV_ORDER_TOP);
    }
    nfv_order_destroy(&order);
}

/* What comes back regularly is expected back then. */
static void test_periodic(Fixture *f, gconstpointer unused)
{
    SYNC(f, 7);
    for (int i = 0; i < 9; i++) {
        SYNC_NONE(f);
    }
    SYNC(f, 7);
    for (int left = 10; left > 0; left--) {
        assert_level(f, 7, left);
        SYNC_NONE(f);
    }
    /* Overdue, until it seems to have stopped. */
    for (int late = 0; late <= 11; late++) {
        assert_level(f, 7, 0);
        SYNC_NONE(f);
    }
    assert_level(f, 7, 22);
    for (int i = 0; i < 1000; i++) {
        SYNC_NONE(f);
    }
    assert_level(f, 7, NFV_ORDER_COLD - 1);
}

/* Without a period it is expected by how often it came back so far. */
static void test_irregular(Fixture *f, gconstpointer unused)
{
    SYNC(f, 7, 8);
    SYNC(f, 7);
    for (int i = 0; i < 8; i++) {
        SYNC_NONE(f);
    }
    SYNC(f, 7);          /* 1, then 9 syncs */
    assert_level(f, 7, 3);
    SYNC_NONE(f);
    SYNC_NONE(f);
    assert_level(f, 7, 3);
    SYNC_NONE(f);
    SYNC_NONE(f);
    assert_level(f, 7, 4); /* has been left alone for so long already */
    SYNC(f, 7);
    assert_level(f, 7, 3);
}

/* What was found once is guessed to come back as late as any other. */
static void test_once(Fixture *f, gconstpointer unused)
{
    SYNC(f, 1, 2);
    assert_level(f, 1, NFV_ORDER_COLD - 1);
    SYNC_NONE(f);
    SYNC_NONE(f);
    SYNC(f, 1, 3);
    assert_level(f, 1, 3);
    assert_level(f, 2, 0);
    assert_level(f, 3, 3);
    SYNC(f, 3);
    assert_level(f, 3, 1); /* a counter */
    assert_level(f, 1, 2);
}

/* Of what was known of the old syncs, only what was written last is. */
static void test_refine(Fixture *f, gconstpointer unused)
{
    SYNC(f, 1, 2);
    SYNC(f, 1);
    SYNC(f, 1);
    nfv_order_refine(&f->order, 4);
    assert_level(f, 0, NFV_ORDER_TOP);
    assert_level(f, 1, NFV_ORDER_COLD - 1);
    assert_level(f, 2, NFV_ORDER_COLD - 1 - 8);
    for (int i = 0; i < 9; i++) {
        SYNC_NONE(f);
    }
    SYNC(f, 1);
    assert_level(f, 1, 10);
    nfv_order_refine(&f->order, 100);
    assert_level(f, 2, 0);
}

/* KVM reports a page until its log is cleared, which says nothing new. */
static void test_inexact(Fixture *f, gconstpointer unused)
{
    SYNC(f, 5);
    SYNC_INEXACT(f, 5, 6);
    SYNC_INEXACT(f, 5, 6);
    assert_level(f, 5, NFV_ORDER_COLD - 3);
    assert_level(f, 6, NFV_ORDER_COLD - 2);
    SYNC_INEXACT(f, 6); /* was cleared */
    SYNC_INEXACT(f, 5, 6);
    assert_level(f, 5, 4);
    SYNC(f, 5);
    assert_level(f, 5, 3); /* 4, then 1 */
}

/* Within a huge page the search has an end before that of the block. */
static void test_host_page(Fixture *f, gconstpointer unused)
{
    bitmap_set(f->dirty, 0, PAGES);
    SYNC(f, 60, 61, 62, 63);
    g_assert_cmpuint(next(f, NFV_ORDER_COLD, 59, 64), ==, 59);
    g_assert_cmpuint(next(f, NFV_ORDER_COLD, 60, 64), ==, 64);
    g_assert_cmpuint(next(f, NFV_ORDER_COLD, 60, 62), ==, 62);
    g_assert_cmpuint(next(f, NFV_ORDER_COLD, 60, PAGES), ==, 64);
}

/* Pages beyond those that the block had do not stay back. */
static void test_grown(Fixture *f, gconstpointer unused)
{
    NfvOrder small;

    nfv_order_init(&small, 64, 64);
    nfv_order_note(&small, 0, ~0ul, true);
    bitmap_set(f->dirty, 0, PAGES);
    g_assert_cmpuint(nfv_order_next(&small, NFV_ORDER_COLD, NFV_ORDER_TOP,
                                    f->dirty, 0, PAGES, PAGES), ==, 64);
    g_assert_cmpuint(nfv_order_next(&small, NFV_ORDER_COLD, NFV_ORDER_TOP,
                                    f->dirty, 100, PAGES, PAGES), ==, 100);
    nfv_order_destroy(&small);
}

static void test_some(Fixture *f, gconstpointer unused)
{
    DECLARE_BITMAP(some, PAGES) = {};

    bitmap_set(some, 100, 20);
    bitmap_set(f->dirty, 110, 40);
    g_assert_cmpuint(nfv_order_next_of(some, 200, f->dirty, 110, PAGES), ==,
                     110);
    clear_bit(110, some);
    g_assert_cmpuint(nfv_order_next_of(some, 200, f->dirty, 110, PAGES), ==,
                     111);
    g_assert_cmpuint(nfv_order_next_of(some, 200, f->dirty, 120, PAGES), >=,
                     150);
    g_assert_cmpuint(nfv_order_next_of(some, 120, f->dirty, 120, PAGES), ==,
                     120);
}

static void test_descend(Fixture *f, gconstpointer unused)
{
    uint64_t counts[NFV_ORDER_LEVELS] = {};

    g_assert_cmpuint(nfv_order_descend(counts, NFV_ORDER_LEVELS), ==, 0);
    counts[NFV_ORDER_COLD] = 1;
    counts[100] = 3;
    counts[99] = 8;
    counts[20] = 1000;
    counts[1] = 10;
    g_assert_cmpuint(nfv_order_descend(counts, NFV_ORDER_LEVELS), ==,
                     NFV_ORDER_COLD);
    /* Few pages are no pass of their own. */
    g_assert_cmpuint(nfv_order_descend(counts, NFV_ORDER_COLD), ==, 20);
    g_assert_cmpuint(nfv_order_descend(counts, 20), ==, 0);
    counts[99] = 80;
    g_assert_cmpuint(nfv_order_descend(counts, NFV_ORDER_COLD), ==, 99);
    g_assert_cmpuint(nfv_order_descend(counts, 99), ==, 20);
    counts[NFV_ORDER_TOP] = counts[NFV_ORDER_COLD + 2] = 1;
    g_assert_cmpuint(nfv_order_descend(counts, NFV_ORDER_LEVELS), ==,
                     NFV_ORDER_TOP);
    g_assert_cmpuint(nfv_order_descend(counts, NFV_ORDER_TOP), ==,
                     NFV_ORDER_COLD + 2);
    g_assert_cmpuint(nfv_order_descend(counts, NFV_ORDER_COLD + 2), ==,
                     NFV_ORDER_COLD);
    counts[NFV_ORDER_COLD] = 0;
    g_assert_cmpuint(nfv_order_descend(counts, NFV_ORDER_COLD + 2), ==, 99);
}

/* In post-copy the other way round: what is needed first goes first. */
static void test_ascend(Fixture *f, gconstpointer unused)
{
    uint64_t counts[NFV_ORDER_LEVELS] = {};

    g_assert_cmpuint(nfv_order_ascend(counts, -1), ==, NFV_ORDER_TOP);
    counts[NFV_ORDER_COLD] = 100000;
    counts[100] = 3;
    counts[20] = 1000;
    counts[1] = 10;
    counts[0] = 100;
    g_assert_cmpuint(nfv_order_ascend(counts, -1), ==, 0);
    g_assert_cmpuint(nfv_order_ascend(counts, 0), ==, 20);
    g_assert_cmpuint(nfv_order_ascend(counts, 20), ==, NFV_ORDER_TOP);

    bitmap_set(f->dirty, 0, 8);
    SYNC(f, 3, 4);
    SYNC(f, 4);
    g_assert_cmpuint(nfv_order_next(&f->order, 0, 1, f->dirty, 0, PAGES,
                                    PAGES), ==, 3);
    g_assert_cmpuint(nfv_order_next(&f->order, 1, 1, f->dirty, 0, PAGES,
                                    PAGES), ==, 4);
    g_assert_cmpuint(nfv_order_next(&f->order, 0, NFV_ORDER_TOP, f->dirty, 0,
                                    PAGES, PAGES), ==, 0);
}

/* The lock is not held for longer than it takes to look at so many pages. */
static void test_bounded(Fixture *f, gconstpointer unused)
{
    bitmap_set(f->dirty, 0, PAGES);
    clear_bit(2, f->dirty);
    SYNC(f, 40);
    for (unsigned long most = 0; most < PAGES; most++) {
        g_assert_cmpuint(nfv_order_next(&f->order, 0, NFV_ORDER_COLD - 1,
                                        f->dirty, 1, PAGES, most), ==,
                         MIN(most ? most + 2 : 1, 40));
    }
    g_assert_cmpuint(nfv_order_next(&f->order, 0, NFV_ORDER_COLD - 1, f->dirty,
                                    41, PAGES, PAGES - 41), ==, PAGES);
}

static void test_count(Fixture *f, gconstpointer unused)
{
    uint64_t counts[NFV_ORDER_LEVELS] = {};

    bitmap_set(f->dirty, 0, 10);
    SYNC(f, 3, 4, 11);
    SYNC(f, 4);
    clear_bit(9, f->dirty);
    nfv_order_count(&f->order, f->dirty, counts);
    g_assert_cmpuint(counts[NFV_ORDER_TOP], ==, 7);
    g_assert_cmpuint(counts[1], ==, 1); /* 4 */
    g_assert_cmpuint(counts[0], ==, 2); /* 3 and 11 */
}

/* Nothing that stays back is lost: in the end every page has gone. */
static void test_nothing_lost(Fixture *f, gconstpointer unused)
{
    GRand *rand = g_rand_new_with_seed(1);

    bitmap_set(f->dirty, 0, PAGES);
    for (int round = 0; round < 2000; round++) {
        uint64_t counts[NFV_ORDER_LEVELS] = {};
        int written[65], n = g_rand_int_range(rand, 0, 64), budget;
        unsigned level = NFV_ORDER_LEVELS;

        for (int i = 0; i < n; i++) {
            written[i] = g_rand_int_range(rand, 0, PAGES);
        }
        written[n] = -1;
        sync_pages(f, g_rand_boolean(rand), written);
        nfv_order_count(&f->order, f->dirty, counts);
        budget = g_rand_int_range(rand, 1, PAGES);
        do {
            unsigned long at = 0;

            level = nfv_order_descend(counts, level);
            while (budget && (at = next(f, level, at, PAGES)) < PAGES) {
                g_assert(test_and_clear_bit(at, f->dirty));
                budget--;
            }
        } while (budget && level);
        g_assert(!budget || find_first_bit(f->dirty, PAGES) == PAGES);
    }
    g_rand_free(rand);
}

/* Send pages of this level from where the last one was, once around. */
static void send_some(Fixture *f, unsigned level, unsigned long *at,
                      int *budget)
{
    for (int lap = 0; lap < 2; lap++) {
        while (*budget && (*at = next(f, level, *at, PAGES)) < PAGES) {
            g_assert(test_and_clear_bit(*at, f->dirty));
            (*budget)--;
        }
        if (*budget) {
            *at = 0;
        }
    }
}

/*
 * A guest that writes @written pages between two syncs while @sent go, and in
 * the first round @parts times as many.  Returns how many went in vain until
 * @few are dirty.
 */
static int simulate(int (*writes)(int i, GRand *rand), int parts, int written,
                    int sent, int few, bool ordered)
{
    GRand *rand = g_rand_new_with_seed(7);
    unsigned long at = 0;
    int total = 0, i = 0;
    Fixture f;

    setup(&f, NULL);
    for (int round = 0;; round++) {
        uint64_t counts[NFV_ORDER_LEVELS] = {};
        unsigned level = NFV_ORDER_LEVELS;
        int log[PAGES + 1], budget = sent;
        int count = round < 40 ? parts * written : written;

        for (int k = 0; k < count; k++) {
            log[k] = writes(i++, rand);
        }
        log[count] = -1;
        sync_pages(&f, true, log);
        if (round == 39 && parts > 1) {
            nfv_order_refine(&f.order, parts);
        }
        if (round < 40) { /* the first round, in which it all stays back */
            bitmap_set(f.dirty, 0, PAGES);
            continue;
        }
        if (bitmap_count_one(f.dirty, PAGES) <= few) {
            break;
        }
        nfv_order_count(&f.order, f.dirty, counts);
        do {
            level = ordered ? nfv_order_descend(counts, level) : 0;
            send_some(&f, level, &at, &budget);
        } while (budget && level);
        total += sent - budget;
        g_assert_cmpint(total, <, 100 * PAGES);
    }
    total += bitmap_count_one(f.dirty, PAGES);
    teardown(&f, NULL);
    g_rand_free(rand);
    return total - PAGES;
}

/* 40 syncs are two and a half cycles: the writer is amidst of them. */
static int cycle(int i, GRand *rand)
{
    return i % PAGES;
}

/* Some pages are much hotter than others, and nowhere in particular. */
static int skewed(int i, GRand *rand)
{
    double x = g_rand_double(rand);

    return (int)(x * x * x * PAGES) * 37 % PAGES;
}

static void test_saves(Fixture *f, gconstpointer unused)
{
    /* A cycle at nearly the speed of the link costs nothing in vain. */
    g_assert_cmpint(simulate(cycle, 1, 16, 18, 20, true), <=, 16);
    g_assert_cmpint(simulate(cycle, 1, 16, 18, 20, false), >, 100);
    g_assert_cmpint(simulate(cycle, 1, 16, 32, 20, true), <=, 16);
    /* Nor, but for a part, one that was synchronised too seldom to know it. */
    g_assert_cmpint(simulate(cycle, 10, 16, 18, 20, true), <=, PAGES);
    g_assert_cmpint(simulate(cycle, 8, 16, 18, 20, true), <=, PAGES / 4);
    g_assert_cmpint(simulate(cycle, 6, 16, 18, 20, true), <=, PAGES / 4);
    /* Skewed writes cost no more than without. */
    g_assert_cmpint(simulate(skewed, 1, 16, 18, 20, true), <=,
                    simulate(skewed, 1, 16, 18, 20, false));
}

/* What a sync costs, of 64 GiB, where the guest writes to a share of it. */
static void test_cost(const void *opaque)
{
    uint64_t pages = 1 << 24, share = GPOINTER_TO_UINT(opaque);
    g_autofree unsigned long *dirty = bitmap_new(pages);
    uint64_t counts[NFV_ORDER_LEVELS] = { 0 };
    gint64 start, noted;
    NfvOrder order;

    nfv_order_init(&order, pages, 4096);
    for (uint64_t k = 0; k < pages / BITS_PER_LONG * share / 100; k++) {
        nfv_order_note(&order, k, ULONG_MAX, true);
    }
    start = g_get_monotonic_time();
    for (uint64_t k = 0; k < pages / BITS_PER_LONG; k++) {
        nfv_order_note(&order, k, 0, true);
    }
    noted = g_get_monotonic_time();
    bitmap_set(dirty, 0, pages);
    nfv_order_take_turns(&order);
    nfv_order_count(&order, dirty, counts);
    g_test_minimized_result(g_get_monotonic_time() - start,
                            "64 GiB, %u %% written: %" PRId64
                            " us to note, %" PRId64 " us to count",
                            (unsigned)share, noted - start,
                            g_get_monotonic_time() - noted);
    nfv_order_destroy(&order);
}

static void add(const char *path, void (*test)(Fixture *, gconstpointer))
{
    g_test_add(path, Fixture, NULL, setup, test, teardown);
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    add("/nfv/heat/all", test_all);
    add("/nfv/heat/cold", test_cold);
    add("/nfv/heat/turns", test_turns);
    add("/nfv/heat/farthest", test_farthest);
    add("/nfv/heat/periodic", test_periodic);
    add("/nfv/heat/irregular", test_irregular);
    add("/nfv/heat/once", test_once);
    add("/nfv/heat/refine", test_refine);
    add("/nfv/heat/inexact", test_inexact);
    add("/nfv/heat/host-page", test_host_page);
    add("/nfv/heat/grown", test_grown);
    add("/nfv/heat/some", test_some);
    add("/nfv/heat/descend", test_descend);
    add("/nfv/heat/ascend", test_ascend);
    add("/nfv/heat/bounded", test_bounded);
    add("/nfv/heat/count", test_count);
    add("/nfv/heat/nothing-lost", test_nothing_lost);
    add("/nfv/heat/saves", test_saves);
    if (g_test_perf()) {
        g_test_add_data_func("/nfv/heat/cost/0", GUINT_TO_POINTER(0),
                             test_cost);
        g_test_add_data_func("/nfv/heat/cost/10", GUINT_TO_POINTER(10),
                             test_cost);
        g_test_add_data_func("/nfv/heat/cost/100", GUINT_TO_POINTER(100),
                             test_cost);
    }
    return g_test_run();
}
