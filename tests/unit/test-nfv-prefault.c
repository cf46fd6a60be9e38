/*
 * Unit tests: guest memory mapped for the vCPUs before they run
 *
 * Copyright (c) 2026 the kvm4nfv authors
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "qemu/osdep.h"
#include "qemu/units.h"
#include "accel/kvm/nfv/prefault.h"

/* Ranges */

static void test_pages(void)
{
    static const struct {
        NfvRange range, pages;
    } cases[] = {
        { { 0, 0 }, { 0, 0 } },
        { { 0, 4 * KiB }, { 0, 4 * KiB } },
        { { 1, 4 * KiB }, { 4 * KiB, 0 } },
        { { 1, 8 * KiB }, { 4 * KiB, 4 * KiB } },
        { { 4 * KiB, 8 * KiB - 1 }, { 4 * KiB, 4 * KiB } },
        { { 4 * GiB, 64 * GiB }, { 4 * GiB, 64 * GiB } },
        { { 100, 200 }, { 4 * KiB, 0 } },
    };

    for (int i = 0; i < ARRAY_SIZE(cases); i++) {
        NfvRange pages = nfv_range_pages(cases[i].range, 4 * KiB);

        g_assert_cmphex(pages.start, ==, cases[i].pages.start);
        g_assert_cmphex(pages.size, ==, cases[i].pages.size);
    }
}

static void check_shares(NfvRange range, unsigned count)
{
    uint64_t at = range.start;

    for (unsigned i = 0; i < count; i++) {
        NfvRange share = nfv_range_share(range, i, count);

        g_assert_cmphex(share.start, ==, at);
        at += share.size;
        g_assert_cmphex(at, <=, range.start + range.size);
        if (at != range.start && at != range.start + range.size) {
            g_assert_true(QEMU_IS_ALIGNED(at, 2 * MiB));
        }
    }
    g_assert_cmphex(at, ==, range.start + range.size);
}

/* No gap, no overlap, and no large page in two parts. */
static void test_shares(void)
{
    static const NfvRange ranges[] = {
        { 0, 4 * KiB },
        { 0, 640 * KiB },
        { 1 * MiB, 2 * GiB - 1 * MiB },
        { 4 * GiB, 62 * GiB },
        { 4 * GiB + 4 * KiB, 3 * MiB },
        { 4 * KiB, 2 * MiB },
        { 1ULL << 51, 1ULL << 51 },
    };
    static const unsigned counts[] = { 1, 2, 3, 7, 64, 1024, 4096 };

    for (int i = 0; i < ARRAY_SIZE(ranges); i++) {
        for (int j = 0; j < ARRAY_SIZE(counts); j++) {
            g_test_message("range %d, %u vCPUs", i, counts[j]);
            check_shares(ranges[i], counts[j]);
        }
    }
}

/* All vCPUs have work. */
static void test_shares_even(void)
{
    NfvRange range = { 4 * GiB, 64 * GiB };

    for (unsigned i = 0; i < 8; i++) {
        g_assert_cmphex(nfv_range_share(range, i, 8).size, ==, 8 * GiB);
    }
}

/* A kernel that does what it is told to */

typedef struct Step {
    uint64_t mapped;
    int ret;
    unsigned times;
} Step;

typedef struct Kernel {
    const Step *step; /* the last one counts for ever */
    unsigned calls, of_step;
    uint64_t at; /* where the next call must start */
} Kernel;

static int kernel_map(void *opaque, NfvRange *range)
{
    Kernel *k = opaque;
    const Step *s = k->step;
    uint64_t mapped = MIN(s->mapped, range->size);

    g_assert_cmphex(range->start, ==, k->at);
    g_assert_cmpuint(range->size, >, 0);
    k->calls++;
    if (++k->of_step == s->times) {
        k->step++;
        k->of_step = 0;
    }
    range->start += mapped;
    range->size -= mapped;
    k->at = range->start;
    return s->ret;
}

#define SIZE (64 * MiB)

static unsigned run(const Step *steps, NfvPrefault *result)
{
    Kernel k = { .step = steps, .at = 1 * MiB };

    *result = (NfvPrefault) { .wanted = SIZE };
    nfv_prefault_range((NfvRange) { 1 * MiB, SIZE }, kernel_map, &k, result);
    return k.calls;
}

static void test_at_once(void)
{
    const Step steps[] = { { SIZE, 0 } };
    NfvPrefault r;

    g_assert_cmpuint(run(steps, &r), ==, 1);
    g_assert_cmpuint(r.done, ==, SIZE);
    g_assert_cmpint(r.err, ==, 0);
}

static void test_nothing(void)
{
    Kernel k = { 0 };
    NfvPrefault r = { 0 };

    nfv_prefault_range((NfvRange) { 4096, 0 }, kernel_map, &k, &r);
    g_assert_cmpuint(k.calls, ==, 0);
    g_assert_cmpuint(r.done, ==, 0);
    g_assert_cmpint(r.err, ==, 0);
}

static void test_in_parts(void)
{
    const Step steps[] = { { 4 * KiB, 0 } };
    NfvPrefault r;

    g_assert_cmpuint(run(steps, &r), ==, SIZE / (4 * KiB));
    g_assert_cmpuint(r.done, ==, SIZE);
    g_assert_cmpint(r.err, ==, 0);
}

/* A signal, or a memory slot that changes; with and without progress. */
static void test_interrupted(void)
{
    const Step steps[] = {
        { 0, -EINTR, 1 },       { 0, -EAGAIN, 900 }, { 4 * KiB, 0, 1 },
        { 8 * KiB, -EINTR, 1 }, { 0, -EAGAIN, 900 }, { SIZE, 0 },
    };
    NfvPrefault r;

    g_assert_cmpuint(run(steps, &r), ==, 1804);
    g_assert_cmpuint(r.done, ==, SIZE);
    g_assert_cmpint(r.err, ==, 0);
}

static void test_refused(void)
{
    static const int errors[] = { EOPNOTSUPP, EINVAL, ENOENT, EFAULT, EIO };

    for (int i = 0; i < ARRAY_SIZE(errors); i++) {
        const Step steps[] = { { 4 * KiB, 0, 3 }, { 0, -errors[i] } };
        NfvPrefault r;

        g_assert_cmpuint(run(steps, &r), ==, 4);
        g_assert_cmpuint(r.done, ==, 12 * KiB);
        g_assert_cmpint(r.err, ==, errors[i]);
    }
}

/* Whatever the kernel says, it comes to an end. */
static void test_no_progress(void)
{
    static const int returned[] = { 0, -EINTR, -EAGAIN };

    for (int i = 0; i < ARRAY_SIZE(returned); i++) {
        const Step steps[] = { { 0, returned[i] } };
        NfvPrefault r;

        g_assert_cmpuint(run(steps, &r), <, 10000);
        g_assert_cmpuint(r.done, ==, 0);
        g_assert_cmpint(r.err, ==, EIO);
    }
}

static int map_backwards(void *opaque, NfvRange *range)
{
    (*(unsigned *)opaque)++;
    range->size += 4096;
    return 0;
}

static void test_backwards(void)
{
    unsigned calls = 0;
    NfvPrefault r = { 0 };

    nfv_prefault_range((NfvRange) { 0, SIZE }, map_backwards, &calls, &r);
    g_assert_cmpuint(calls, ==, 1);
    g_assert_cmpuint(r.done, ==, 0);
    g_assert_cmpint(r.err, ==, EIO);
}

/* Of several ranges, all are tried, and the first failure is kept. */
static void test_several(void)
{
    const Step refused[] = { { 0, -ENOENT } }, fine[] = { { SIZE, 0 } },
               other[] = { { 0, -EFAULT } };
    const Step *const all[] = { fine, refused, fine, other };
    NfvPrefault r = { 0 };

    for (int i = 0; i < ARRAY_SIZE(all); i++) {
        Kernel k = { .step = all[i] };

        nfv_prefault_range((NfvRange) { 0, SIZE }, kernel_map, &k, &r);
    }
    g_assert_cmpuint(r.done, ==, 2 * SIZE);
    g_assert_cmpint(r.err, ==, ENOENT);
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    g_test_add_func("/nfv/prefault/pages", test_pages);
    g_test_add_func("/nfv/prefault/shares", test_shares);
    g_test_add_func("/nfv/prefault/shares/even", test_shares_even);
    g_test_add_func("/nfv/prefault/at-once", test_at_once);
    g_test_add_func("/nfv/prefault/nothing", test_nothing);
    g_test_add_func("/nfv/prefault/in-parts", test_in_parts);
    g_test_add_func("/nfv/prefault/interrupted", test_interrupted);
    g_test_add_func("/nfv/prefault/refused", test_refused);
    g_test_add_func("/nfv/prefault/no-progress", test_no_progress);
    g_test_add_func("/nfv/prefault/backwards", test_backwards);
    g_test_add_func("/nfv/prefault/several", test_several);
    return g_test_run();
}
