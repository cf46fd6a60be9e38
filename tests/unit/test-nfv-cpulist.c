/*
 * Unit tests: host CPU lists and sets
 *
 * Copyright (c) 2026 the kvm4nfv authors
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "qemu/osdep.h"
#include "nfv/cpus.h"

#define END (-1)

/* Texts that are lists, and the numbers in them. */
static const struct {
    const char *text;
    int numbers[12];
} good[] = {
    { "0", { 0, END } },
    { "8191", { 8191, END } },
    { "2-5", { 2, 3, 4, 5, END } },
    { "3-3", { 3, END } },
    { "8190-8191", { 8190, 8191, END } },
    { "2-5:7", { 2, 3, 4, 5, 7, END } },
    { "2-5,7", { 2, 3, 4, 5, 7, END } },
    { "1:2,3", { 1, 2, 3, END } },
    /* The order is the vCPUs' and must stay. */
    { "7:2-5", { 7, 2, 3, 4, 5, END } },
    { "5:4:3", { 5, 4, 3, END } },
    { "4-5:0-1:2", { 4, 5, 0, 1, 2, END } },
    /* Decimal, whatever it begins with. */
    { "010:08", { 10, 8, END } },
};

static void test_good(void)
{
    for (int i = 0; i < ARRAY_SIZE(good); i++) {
        g_autoptr(GArray) list = nfv_cpulist_parse("vcpu-cpus", good[i].text,
                                                   NFV_CPUS, &error_abort);
        unsigned n;

        g_test_message("%s", good[i].text);
        for (n = 0; good[i].numbers[n] != END; n++) {
            g_assert_cmpuint(n, <, list->len);
            g_assert_cmpint(g_array_index(list, unsigned, n), ==,
                            good[i].numbers[n]);
        }
        g_assert_cmpuint(list->len, ==, n);
    }
}

static void test_whole(void)
{
    g_autoptr(GArray) list =
        nfv_cpulist_parse("vcpu-cpus", "0-8191", NFV_CPUS, &error_abort);

    g_assert_cmpuint(list->len, ==, NFV_CPUS);
    for (unsigned i = 0; i < NFV_CPUS; i++) {
        g_assert_cmpuint(g_array_index(list, unsigned, i), ==, i);
    }
}

#define NO_NUMBER(part) \
    "'" part "' is neither a number nor a range of numbers from 0 to 8191"

/*
 * Texts that are not, and what the message says after the property and its
 * value.
 */
static const struct {
    const char *text, *why;
} bad[] = {
    { "", "the list is empty" },
    { "a", NO_NUMBER("a") },
    { "1a", NO_NUMBER("1a") },
    { "auto", NO_NUMBER("auto") },
    { "all", NO_NUMBER("all") },
    { "-", NO_NUMBER("-") },
    { "1-", NO_NUMBER("1-") },
    { "-1", NO_NUMBER("-1") },
    { "1--2", NO_NUMBER("1--2") },
    { "1-2-3", NO_NUMBER("1-2-3") },
    { "1-a", NO_NUMBER("1-a") },
    { " 1", NO_NUMBER(" 1") },
    { "1 ", NO_NUMBER("1 ") },
    { "1\n", NO_NUMBER("1\n") },
    { "1\t-2", NO_NUMBER("1\t-2") },
    { "1- 2", NO_NUMBER("1- 2") },
    { "1: 2", NO_NUMBER(" 2") },
    { "+1", NO_NUMBER("+1") },
    { "1-+2", NO_NUMBER("1-+2") },
    { "0x1", NO_NUMBER("0x1") },
    { "1.5", NO_NUMBER("1.5") },
    { "1e3", NO_NUMBER("1e3") },
    { "1;2", NO_NUMBER("1;2") },
    { "\xef\xbc\x91", NO_NUMBER("\xef\xbc\x91") }, /* FULLWIDTH DIGIT ONE */
    { "8192", NO_NUMBER("8192") },
    { "8191-8192", NO_NUMBER("8191-8192") },
    { "0-4294967295", NO_NUMBER("0-4294967295") },
    { "4294967297", NO_NUMBER("4294967297") }, /* 1, in 32 bits */
    { "18446744073709551617", NO_NUMBER("18446744073709551617") },
    { "99999999999999999999999999999999", NO_NUMBER("99999999999999999999999999"
                                                    "999999") },
    { ":", NO_NUMBER("") },
    { ",", NO_NUMBER("") },
    { "1:", NO_NUMBER("") },
    { "1,", NO_NUMBER("") },
    { ":1", NO_NUMBER("") },
    { "1,,2", NO_NUMBER("") },
    { "1::2", NO_NUMBER("") },
    { "2-1", "the range '2-1' is reversed; write 1-2" },
    { "0:8191-0", "the range '8191-0' is reversed; write 0-8191" },
    { "1:1", "1 is in the list twice" },
    { "1-3:2", "2 is in the list twice" },
    { "2:1-3", "2 is in the list twice" },
    { "1-3,3-5", "3 is in the list twice" },
    { "7:07", "7 is in the list twice" },
};

static void test_bad(void)
{
    static const char *properties[] = { "vcpu-cpus", "housekeeping-cpus" };

    for (int i = 0; i < ARRAY_SIZE(bad) * ARRAY_SIZE(properties); i++) {
        const char *property = properties[i % ARRAY_SIZE(properties)];
        const char *text = bad[i / ARRAY_SIZE(properties)].text;
        g_autofree char *message = g_strdup_printf(
            "%s='%s': %s", property, text, bad[i / ARRAY_SIZE(properties)].why);
        Error *err = NULL;

        g_assert_null(nfv_cpulist_parse(property, text, NFV_CPUS, &err));
        assert_error(err, message);
        g_assert_null(nfv_cpulist_parse(property, text, NFV_CPUS, NULL));
    }
}

static void test_limit(void)
{
    Error *err = NULL;
    g_autoptr(GArray) list =
        nfv_cpulist_parse("rt-vcpus", "3:0", 4, &error_abort);

    assert_cpu_list(list, "3,0");
    g_assert_null(nfv_cpulist_parse("rt-vcpus", "2-4", 4, &err));
    assert_error(err, "rt-vcpus='2-4': '2-4' is neither a number nor a range "
                      "of numbers from 0 to 3");
}

static void test_format(void)
{
    /* As a list, in its order; as a set, ascending. */
    static const struct {
        const char *text, *list, *set;
    } cases[] = {
        { "none", "none", "none" },
        { "0", "0", "0" },
        { "8191", "8191", "8191" },
        { "0:1", "0-1", "0-1" },
        { "0:2", "0,2", "0,2" },
        { "2-5:7", "2-5,7", "2-5,7" },
        { "7:2-5", "7,2-5", "2-5,7" },
        { "3:2:1", "3,2,1", "1-3" },
        { "2-3:4-5", "2-5", "2-5" },
        { "1:3:2", "1,3,2", "1-3" },
        { "63-64:127", "63-64,127", "63-64,127" },
        { "0:8191", "0,8191", "0,8191" },
        { "0-8191", "0-8191", "0-8191" },
    };

    for (int i = 0; i < ARRAY_SIZE(cases); i++) {
        g_autoptr(GArray) list = cpu_list(cases[i].text);
        NfvCpuSet set;

        nfv_cpuset_from_list(&set, list);
        assert_cpu_list(list, cases[i].list);
        assert_cpu_set(&set, cases[i].set);
    }
}

static void test_from_list_replaces(void)
{
    NfvCpuSet set;

    cpu_set(&set, "0-8191");
    cpu_set(&set, "3,5");
    assert_cpu_set(&set, "3,5");
}

static void test_set_operations(void)
{
    NfvCpuSet a, b, c;

    cpu_set(&a, "0-5,8191");
    cpu_set(&b, "4-8,8191");
    NFV_CPUSET_AND(&c, &a, &b);
    assert_cpu_set(&c, "4-5,8191");
    NFV_CPUSET_ANDNOT(&c, &a, &b);
    assert_cpu_set(&c, "0-3");
    g_assert_true(NFV_CPUSET_HAS(&a, 8191));
    g_assert_false(NFV_CPUSET_HAS(&a, 6));
    g_assert_false(NFV_CPUSET_EQUAL(&a, &b));
    g_assert_false(NFV_CPUSET_EMPTY(&a));
    NFV_CPUSET_ANDNOT(&c, &a, &a);
    g_assert_true(NFV_CPUSET_EMPTY(&c));
}

/*
 * A list of numbers that are all different, in random order, with ascending
 * runs of random length.
 */
static GArray *random_list(GRand *rand)
{
    g_autofree unsigned long *seen = bitmap_new(NFV_CPUS);
    GArray *list = g_array_new(false, false, sizeof(unsigned));
    unsigned limit = g_rand_boolean(rand) ? NFV_CPUS : 70;

    for (int runs = g_rand_int_range(rand, 1, 20); runs; runs--) {
        unsigned n = g_rand_int_range(rand, 0, limit);

        for (int length = g_rand_int_range(rand, 1, 9); length && n < limit;
             length--, n++) {
            if (!test_and_set_bit(n, seen)) {
                g_array_append_val(list, n);
            }
        }
    }
    return list;
}

static gint ascending(gconstpointer a, gconstpointer b)
{
    return *(const unsigned *)a - *(const unsigned *)b;
}

static void assert_same_lists(const GArray *a, const GArray *b)
{
    g_assert_cmpmem(a->data, a->len * sizeof(unsigned), b->data,
                    b->len * sizeof(unsigned));
}

static void test_round_trip(void)
{
    g_autoptr(GRand) rand = g_rand_new_with_seed(20260101);

    for (int i = 0; i < 2000; i++) {
        g_autoptr(GArray) list = random_list(rand);
        g_autoptr(GArray) walked = g_array_new(false, false, sizeof(unsigned));
        g_autofree char *text = nfv_cpulist_format(list);
        g_autoptr(GArray) again =
            nfv_cpulist_parse("test", text, NFV_CPUS, &error_abort);
        g_autoptr(GArray) colons = nfv_cpulist_parse(
            "test", g_strdelimit(text, ",", ':'), NFV_CPUS, &error_abort);
        g_autofree char *set_text = NULL;
        NfvCpuSet set, set_again;
        unsigned cpu;

        assert_same_lists(list, again);
        assert_same_lists(list, colons);

        nfv_cpuset_from_list(&set, list);
        set_text = nfv_cpuset_format(&set);
        cpu_set(&set_again, set_text);
        g_assert_true(NFV_CPUSET_EQUAL(&set, &set_again));

        NFV_CPUSET_FOREACH(cpu, &set) {
            g_array_append_val(walked, cpu);
        }
        g_array_sort(list, ascending);
        assert_same_lists(list, walked);
    }
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    g_test_add_func("/nfv/cpulist/parse/good", test_good);
    g_test_add_func("/nfv/cpulist/parse/whole", test_whole);
    g_test_add_func("/nfv/cpulist/parse/bad", test_bad);
    g_test_add_func("/nfv/cpulist/parse/limit", test_limit);
    g_test_add_func("/nfv/cpulist/format", test_format);
    g_test_add_func("/nfv/cpulist/from-list-replaces", test_from_list_replaces);
    g_test_add_func("/nfv/cpulist/set-operations", test_set_operations);
    g_test_add_func("/nfv/cpulist/round-trip", test_round_trip);
    return g_test_run();
}
