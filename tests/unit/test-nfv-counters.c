/*
 * Unit tests: the kernel's counts of a thread
 *
 * Copyright (c) 2026 the kvm4nfv authors
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "qemu/osdep.h"
#include <sys/mman.h>
#include <sys/resource.h>
#include "hw/nfv/counters.h"

#define SCHEDSTAT "5012345678 4711 99\n"
#define STATUS                          \
    "Name:\tCPU 0/KVM\n"                \
    "State:\tS (sleeping)\n"            \
    "voluntary_ctxt_switches:\t1234\n"  \
    "nonvoluntary_ctxt_switches:\t56\n" \
    "x86_Thread_features:\t\n"
#define STAT_OF(name)                                              \
    "4711 (" name ") S 1 2 3 0 -1 4194368 120 340 7 8 15 6 17 18 " \
    "20 0 5 0 12345 1000000 2000 18446744073709551615 1 1 0 0 0\n"
#define STAT STAT_OF("CPU 0/KVM")

static void assert_counts(const NfvCounts *counts, const NfvCounts *expected)
{
    g_assert_cmpuint(counts->run_ns, ==, expected->run_ns);
    g_assert_cmpuint(counts->wait_ns, ==, expected->wait_ns);
    g_assert_cmpuint(counts->involuntary, ==, expected->involuntary);
    g_assert_cmpuint(counts->minor_faults, ==, expected->minor_faults);
    g_assert_cmpuint(counts->major_faults, ==, expected->major_faults);
}

static void test_parse(void)
{
    static const NfvCounts expected = { .run_ns = 5012345678,
                                        .wait_ns = 4711,
                                        .involuntary = 56,
                                        .minor_faults = 120,
                                        .major_faults = 7 };
    /* A thread is called what its maker likes. */
    static const char *const stats[] = {
        STAT,
        STAT_OF(""),
        STAT_OF("a b c"),
        STAT_OF(") S 9 9 9 9 9 9"),
        STAT_OF("(((("),
        STAT_OF("))))"),
        STAT_OF("%d\n%s"),
    };

    for (int i = 0; i < ARRAY_SIZE(stats); i++) {
        NfvCounts counts;

        g_test_message("'%s'", stats[i]);
        memset(&counts, 0xa5, sizeof(counts));
        g_assert_true(nfv_counts_parse(SCHEDSTAT, STATUS, stats[i], &counts));
        assert_counts(&counts, &expected);
    }
}

static void test_parse_largest(void)
{
    static const NfvCounts expected = { UINT64_MAX, UINT64_MAX - 1,
                                        UINT64_MAX - 2, UINT64_MAX - 3,
                                        UINT64_MAX - 4 };
    NfvCounts counts = { 0 };

    g_assert_true(nfv_counts_parse("18446744073709551615 18446744073709551614 "
                                   "0\n",
                                   "Name:\tx\nnonvoluntary_ctxt_switches:"
                                   "\t18446744073709551613\n",
                                   "1 (x) R 1 2 3 0 -1 0 18446744073709551612 "
                                   "0 18446744073709551611 0\n",
                                   &counts));
    assert_counts(&counts, &expected);
}

/* A name that looks like the line that is looked for is not taken for it. */
static void test_parse_name(void)
{
    NfvCounts counts = { 0 };

    g_assert_true(nfv_counts_parse(SCHEDSTAT,
                                   "Name:\tnonvoluntary_ctxt_switches:\t9\n"
                                   "nonvoluntary_ctxt_switches:\t8\n",
                                   STAT, &counts));
    g_assert_cmpuint(counts.involuntary, ==, 8);
}

static void test_parse_garbage(void)
{
    static const struct {
        const char *schedstat, *status, *stat;
    } cases[] = {
        { "", STATUS, STAT },
        { "\n", STATUS, STAT },
        { "1\n", STATUS, STAT },
        { "1 x\n", STATUS, STAT },
        { "garbage", STATUS, STAT },
        { SCHEDSTAT, "", STAT },
        { SCHEDSTAT, "Name:\tx\nvoluntary_ctxt_switches:\t1\n", STAT },
        { SCHEDSTAT, "Name:\tx\nnonvoluntary_ctxt_switches:\tx\n", STAT },
        { SCHEDSTAT, "Name:\tx\nnonvoluntary_ctxt_switches:", STAT },
        { SCHEDSTAT, STATUS, "" },
        { SCHEDSTAT, STATUS, "4711 (x" },
        { SCHEDSTAT, STATUS, "4711 (x)" },
        { SCHEDSTAT, STATUS, "4711 (x) S 1 2 3 0 -1 4194368 120 340" },
        { SCHEDSTAT, STATUS, "4711 (x) S 1 2 3 0 -1 4194368 120 340 x 8" },
    };
    static const NfvCounts before = { 1, 2, 3, 4, 5 };

    for (int i = 0; i < ARRAY_SIZE(cases); i++) {
        NfvCounts counts = before;

        g_test_message("case %d", i);
        g_assert_false(nfv_counts_parse(cases[i].schedstat, cases[i].status,
                                        cases[i].stat, &counts));
        assert_counts(&counts, &before);
    }
}

static void test_since(void)
{
    static const NfvCounts before = { 1, 20, 300, 4000, 50000 };
    static const NfvCounts now = { 11, 20, 301, UINT64_MAX, 50007 };
    static const NfvCounts expected = { 10, 0, 1, UINT64_MAX - 4000, 7 };
    static const NfvCounts zero = { 0 };
    NfvCounts since = nfv_counts_since(&now, &before);

    assert_counts(&since, &expected);
    since = nfv_counts_since(&now, &now);
    assert_counts(&since, &zero);
    since = nfv_counts_since(&now, &zero);
    assert_counts(&since, &now);
}

/* The text of this kernel, of a thread that is known to have faults. */
static void test_read(void)
{
    NfvCounts before, after;
    struct rusage usage;
    size_t size = 64 * qemu_real_host_page_size();
    char *memory;

    if (!nfv_counts_read(qemu_get_thread_id(), &before)) {
        g_test_skip("the kernel does not count here");
        return;
    }
    memory = mmap(NULL, size, PROT_READ | PROT_WRITE,
                  MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    g_assert_true(memory != MAP_FAILED);
    madvise(memory, size, MADV_NOHUGEPAGE);
    memset(memory, 1, size);
    g_assert_true(nfv_counts_read(qemu_get_thread_id(), &after));
    munmap(memory, size);

    g_assert_cmpuint(after.run_ns, >=, before.run_ns);
    g_assert_cmpuint(after.wait_ns, >=, before.wait_ns);
    g_assert_cmpuint(after.involuntary, >=, before.involuntary);
    g_assert_cmpint(getrusage(RUSAGE_THREAD, &usage), ==, 0);
    g_assert_cmpuint(after.minor_faults, <=, usage.ru_minflt);
    g_assert_cmpuint(after.major_faults, <=, usage.ru_majflt);
    if (usage.ru_minflt) { /* else it is a kernel that counts none */
        g_assert_cmpuint(after.minor_faults, >, before.minor_faults);
    }
}

static void test_read_nobody(void)
{
    static const NfvCounts before = { 1, 2, 3, 4, 5 };
    NfvCounts counts = before;

    g_assert_false(nfv_counts_read(INT_MAX, &counts));
    assert_counts(&counts, &before);
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    g_test_add_func("/nfv/counters/parse", test_parse);
    g_test_add_func("/nfv/counters/parse/largest", test_parse_largest);
    g_test_add_func("/nfv/counters/parse/name", test_parse_name);
    g_test_add_func("/nfv/counters/parse/garbage", test_parse_garbage);
    g_test_add_func("/nfv/counters/since", test_since);
    g_test_add_func("/nfv/counters/read", test_read);
    g_test_add_func("/nfv/counters/read/nobody", test_read_nobody);
    return g_test_run();
}
