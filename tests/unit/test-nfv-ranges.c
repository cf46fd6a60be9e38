/*
 * Unit tests: ranges of dirty pages that post-copy discards
 *
 * Copyright (c) 2026 the kvm4nfv authors
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "qemu/osdep.h"
#include "qemu/bitmap.h"
#include "migration/nfv/ranges.h"

#define PAGES 512

typedef uint64_t Change(unsigned long *dirty, uint64_t pages);

/* "first+length first+length ..." */
static void set_ranges(unsigned long *dirty, const char *text)
{
    g_auto(GStrv) ranges = g_strsplit(text, " ", -1);

    for (char **range = ranges; *range && **range; range++) {
        unsigned first, length;

        g_assert_cmpint(sscanf(*range, "%u+%u", &first, &length), ==, 2);
        bitmap_set(dirty, first, length);
    }
}

static void check(Change *change, const char *before, const char *after)
{
    DECLARE_BITMAP(dirty, PAGES) = {};
    DECLARE_BITMAP(expected, PAGES) = {};
    uint64_t had, set;

    set_ranges(dirty, before);
    set_ranges(expected, after);
    had = bitmap_count_one(dirty, PAGES);
    set = change(dirty, PAGES);
    g_assert_true(bitmap_equal(dirty, expected, PAGES));
    g_assert_cmpuint(had + set, ==, bitmap_count_one(expected, PAGES));
}

static uint64_t round_16(unsigned long *dirty, uint64_t pages)
{
    return nfv_ranges_round(dirty, pages, 16);
}

static uint64_t round_1(unsigned long *dirty, uint64_t pages)
{
    return nfv_ranges_round(dirty, pages, 1);
}

static void test_round(void)
{
    check(round_16, "", "");
    check(round_16, "0+16 32+16", "0+16 32+16");
    check(round_16, "0+1", "0+16");
    check(round_16, "15+2", "0+32");
    check(round_16, "511+1", "496+16");
    check(round_16, "17+1 19+1 40+100", "16+128");
    check(round_1, "1+1 3+1", "1+1 3+1");
}

static void test_close(void)
{
    check(nfv_ranges_close, "", "");
    check(nfv_ranges_close, "0+512", "0+512");
    check(nfv_ranges_close, "511+1", "511+1");
    /* An eighth of both runs. */
    check(nfv_ranges_close, "0+4 5+4", "0+9");
    check(nfv_ranges_close, "0+4 5+3", "0+4 5+3");
    check(nfv_ranges_close, "0+1 2+7", "0+9");
    check(nfv_ranges_close, "0+8 10+8", "0+18");
    check(nfv_ranges_close, "0+8 10+7", "0+8 10+7");
    /* And no more than 8 pages. */
    check(nfv_ranges_close, "0+100 108+100", "0+208");
    check(nfv_ranges_close, "0+100 109+100", "0+100 109+100");
    /* What was joined counts as one run. */
    check(nfv_ranges_close, "0+4 5+4 10+1 12+1", "0+13");
    /* Scattered pages stay what they are. */
    check(nfv_ranges_close, "0+1 2+1 4+1 6+1 8+1", "0+1 2+1 4+1 6+1 8+1");
    /* Nothing is done at the end. */
    check(nfv_ranges_close, "100+50 160+300", "100+50 160+300");
    check(nfv_ranges_close, "400+100", "400+100");
}

/* No dirty page is lost, and little is added. */
static void test_any(void)
{
    g_autoptr(GRand) rand = g_rand_new_with_seed(3);

    for (int i = 0; i < 2000; i++) {
        DECLARE_BITMAP(dirty, PAGES) = {};
        DECLARE_BITMAP(before, PAGES);
        uint64_t had, set;

        for (int n = g_rand_int_range(rand, 0, 40); n; n--) {
            unsigned first = g_rand_int_range(rand, 0, PAGES);

            bitmap_set(dirty, first,
                       g_rand_int_range(rand, 1, MIN(PAGES - first, 20) + 1));
        }
        bitmap_copy(before, dirty, PAGES);
        had = bitmap_count_one(dirty, PAGES);
        set = nfv_ranges_close(dirty, PAGES);
        g_assert_cmpuint(bitmap_count_one(dirty, PAGES), ==, had + set);
        g_assert_false(bitmap_andnot(before, before, dirty, PAGES));
        g_assert_cmpuint(set * 4, <=, had);
    }
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    g_test_add_func("/nfv/ranges/round", test_round);
    g_test_add_func("/nfv/ranges/close", test_close);
    g_test_add_func("/nfv/ranges/any", test_any);
    return g_test_run();
}
