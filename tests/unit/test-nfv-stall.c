/*
 * Unit tests: who waits for which page, and how long it took
 *
 * Copyright (c) 2026 the kvm4nfv authors
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "qemu/osdep.h"
#include "migration/nfv/stall.h"

#define US 1000ull

static void check(const NfvStallCount *count, uint64_t faults, uint64_t sum,
                  uint64_t longest)
{
    g_assert_cmpuint(count->faults, ==, faults);
    g_assert_cmpuint(count->sum, ==, sum);
    g_assert_cmpuint(count->longest, ==, longest);
}

static void test_count(void)
{
    NfvStallTable *t = nfv_stall_table_new(2);

    nfv_stall_table_begin(t, 0x1000, 0, 100);
    nfv_stall_table_begin(t, 0x2000, 1, 200);
    nfv_stall_table_end(t, 0x1000, 600, NULL);
    nfv_stall_table_end(t, 0x2000, 1200, NULL);
    nfv_stall_table_begin(t, 0x3000, 1, 2000);
    nfv_stall_table_end(t, 0x3000, 2100, NULL);
    check(&t->count[0], 1, 500, 500);
    check(&t->count[1], 2, 1100, 1000);
    check(&t->count[2], 0, 0, 0);
    check(&t->all, 3, 1600, 1000);
    nfv_stall_table_free(t);
}

/* Pages that nobody waits for come all the time. */
static void test_unasked(void)
{
    NfvStallTable *t = nfv_stall_table_new(1);

    nfv_stall_table_end(t, 0x1000, 600, NULL);
    nfv_stall_table_begin(t, 0x1000, 0, 700);
    nfv_stall_table_end(t, 0x1000, 800, NULL);
    nfv_stall_table_end(t, 0x1000, 900, NULL);
    check(&t->all, 1, 100, 100);
    nfv_stall_table_free(t);
}

static void test_shared(void)
{
    NfvStallTable *t = nfv_stall_table_new(2);

    nfv_stall_table_begin(t, 0x1000, 0, 100);
    nfv_stall_table_begin(t, 0x1000, 1, 200);
    nfv_stall_table_begin(t, 0x1000, 0, 300); /* woken, and waits again */
    nfv_stall_table_begin(t, 0x1000, NFV_STALL_OTHER, 400);
    nfv_stall_table_begin(t, 0x1000, NFV_STALL_OTHER, 500);
    nfv_stall_table_begin(t, 0x1000, 17, 500); /* no vCPU that we know */
    nfv_stall_table_end(t, 0x1000, 600, NULL);
    check(&t->count[0], 1, 500, 500);
    check(&t->count[1], 1, 400, 400);
    check(&t->count[2], 3, 400, 200);
    check(&t->all, 5, 1300, 500);
    g_assert_cmpuint(g_hash_table_size(t->waiting), ==, 0);
    nfv_stall_table_free(t);
}

static void test_buckets(void)
{
    static const struct {
        int64_t ns;
        unsigned bucket;
    } cases[] = {
        { -5, 0 }, { 0, 0 }, { 999, 0 }, { 1 * US, 0 }, { 2 * US - 1, 0 },
        { 2 * US, 1 }, { 4 * US - 1, 1 }, { 4 * US, 2 }, { 1000 * US, 9 },
        { 1024 * US, 10 }, { 8388608 * US, 23 }, { INT64_MAX, 23 },
    };

    for (int i = 0; i < ARRAY_SIZE(cases); i++) {
        g_assert_cmpuint(nfv_stall_bucket(cases[i].ns), ==, cases[i].bucket);
    }
}

static void test_histogram(void)
{
    NfvStallTable *t = nfv_stall_table_new(1);
    uint64_t all = 0;

    for (int i = 0; i < 100; i++) {
        nfv_stall_table_begin(t, i, 0, 0);
        nfv_stall_table_end(t, i, i * 100 * US, NULL);
    }
    for (int i = 0; i < NFV_STALL_BUCKETS; i++) {
        all += t->histogram[i];
    }
    g_assert_cmpuint(all, ==, 100);
    g_assert_cmpuint(t->histogram[0], ==, 1);
    g_assert_cmpuint(t->histogram[6], ==, 1);  /* 100 us */
    g_assert_cmpuint(t->histogram[13], ==, 18); /* 8192 us to 9900 */
    nfv_stall_table_free(t);
}

static int64_t told;

static void tell(int who, uint64_t page, int64_t ns)
{
    g_assert_cmpint(who, ==, 0);
    g_assert_cmpuint(page, ==, 0x5000);
    told += ns;
}

static void test_tell(void)
{
    NfvStallTable *t = nfv_stall_table_new(1);

    nfv_stall_table_begin(t, 0x5000, 0, 10);
    nfv_stall_table_end(t, 0x5000, 30, tell);
    nfv_stall_table_end(t, 0x6000, 30, tell);
    g_assert_cmpint(told, ==, 20);
    nfv_stall_table_free(t);
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    g_test_add_func("/nfv/stall/count", test_count);
    g_test_add_func("/nfv/stall/unasked", test_unasked);
    g_test_add_func("/nfv/stall/shared", test_shared);
    g_test_add_func("/nfv/stall/buckets", test_buckets);
    g_test_add_func("/nfv/stall/histogram", test_histogram);
    g_test_add_func("/nfv/stall/tell", test_tell);
    return g_test_run();
}
