/*
 * Unit tests: how many pages to ask for
 *
 * Copyright (c) 2026 the kvm4nfv authors
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "qemu/osdep.h"
#include "migration/nfv/prefetch.h"

#define PAGES 100000

static const char block[1], other[1];

static void expect(NfvPrefetch *p, uint64_t page, unsigned length)
{
    g_assert_cmpuint(nfv_prefetch_next(p, block, page, PAGES), ==, length);
}

static void test_sequential(void)
{
    NfvPrefetch p = {};

    expect(&p, 100, 1);
    expect(&p, 101, 2);
    expect(&p, 103, 4);
    expect(&p, 107, 8);
    expect(&p, 115, 16);
    expect(&p, 131, 16);
    /* Some of what follows came by itself. */
    expect(&p, 150, 16);
    /* It goes on elsewhere. */
    expect(&p, 5000, 1);
    expect(&p, 5001, 2);
}

/* Each 8th page: what lies between is asked for, too. */
static void test_stride(void)
{
    NfvPrefetch p = {};

    expect(&p, 0, 1);
    expect(&p, 8, 2);
    expect(&p, 16, 4);
    expect(&p, 24, 8);
    expect(&p, 32, 16);
    expect(&p, 48, 16);
}

static void test_backwards(void)
{
    NfvPrefetch p = {};

    for (int page = 1000; page > 900; page--) {
        expect(&p, page, 1);
    }
}

/* As many vCPUs as there are streams, each in its own sequence. */
static void test_streams(void)
{
    NfvPrefetch p = {};
    uint64_t next[NFV_PREFETCH_STREAMS];

    for (int i = 0; i < NFV_PREFETCH_STREAMS; i++) {
        next[i] = i * 1000;
    }
    for (unsigned length = 1; length <= NFV_PREFETCH_MAX; length *= 2) {
        for (int i = 0; i < NFV_PREFETCH_STREAMS; i++) {
            expect(&p, next[i], length);
            next[i] += length;
        }
    }
}

static void test_random(void)
{
    g_autoptr(GRand) rand = g_rand_new_with_seed(2);
    NfvPrefetch p = {};
    unsigned asked = 0;

    for (int i = 0; i < 10000; i++) {
        asked += nfv_prefetch_next(&p, block,
                                   g_rand_int_range(rand, 0, PAGES), PAGES);
    }
    g_assert_cmpuint(asked, <, 10500);
}

static void test_end(void)
{
    NfvPrefetch p = {};

    expect(&p, PAGES - 10, 1);
    expect(&p, PAGES - 9, 2);
    expect(&p, PAGES - 7, 4);
    expect(&p, PAGES - 3, 3);
    expect(&p, PAGES - 1, 1);
    /* The block shrank meanwhile. */
    g_assert_cmpuint(nfv_prefetch_next(&p, block, 500, 400), ==, 1);
}

static void test_blocks(void)
{
    NfvPrefetch p = {};

    expect(&p, 10, 1);
    g_assert_cmpuint(nfv_prefetch_next(&p, other, 11, PAGES), ==, 1);
    expect(&p, 11, 2);
    g_assert_cmpuint(nfv_prefetch_next(&p, other, 12, PAGES), ==, 2);
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    g_test_add_func("/nfv/prefetch/sequential", test_sequential);
    g_test_add_func("/nfv/prefetch/stride", test_stride);
    g_test_add_func("/nfv/prefetch/backwards", test_backwards);
    g_test_add_func("/nfv/prefetch/streams", test_streams);
    g_test_add_func("/nfv/prefetch/random", test_random);
    g_test_add_func("/nfv/prefetch/end", test_end);
    g_test_add_func("/nfv/prefetch/blocks", test_blocks);
    return g_test_run();
}
