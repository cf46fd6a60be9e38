/*
 * Unit tests: the list of holes on the wire
 *
 * Copyright (c) 2026 the kvm4nfv authors
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "qemu/osdep.h"
#include "qapi/error.h"
#include "qemu/bitmap.h"
#include "qemu/bswap.h"
#include "migration/nfv/holelist.h"

#define PAGE_BITS 12

/* What was read */

typedef struct Seen {
    GString *text; /* "name start+length" in bytes, a line each */
    unsigned left; /* runs until it is refused */
    char *id;
    uint64_t end;
} Seen;

static bool see(void *opaque, const char *id, uint64_t start, uint64_t length,
                Error **errp)
{
    Seen *seen = opaque;

    if (!seen->left--) {
        error_setg(errp, "enough");
        return false;
    }
    g_assert_cmpuint(length, >, 0);
    g_assert_cmpuint(start + length, >, start);
    g_string_append_printf(seen->text, "%s %" PRIx64 "+%" PRIx64 "\n", id,
                           start, length);
    return true;
}

/*
 * As a destination does: the header first, then so many bytes as it says.  The
 * runs, or NULL and *@error, which the caller frees.
 */
static char *parse_limited(const uint8_t *bytes, size_t size, unsigned left,
                           char **error)
{
    Seen seen = { g_string_new(NULL), left };
    Error *err = NULL;
    uint32_t length;
    bool ok;

    g_assert_cmpuint(size, >=, NFV_RECORD_HEADER);
    ok = nfv_record_parse_header(&nfv_holelist_kind, bytes, &length, &err);
    if (ok && length > size - NFV_RECORD_HEADER) {
        error_setg(&err, "stream cut off");
        ok = false;
    }
    if (ok) {
        /* A copy, so that a read beyond its end shows. */
        g_autofree uint8_t *payload =
            g_memdup2(bytes + NFV_RECORD_HEADER, length);

        ok = nfv_record_check(&nfv_holelist_kind, bytes, payload, length,
                              &err) &&
             nfv_holelist_parse(payload, length, see, &seen, &err);
    }
    g_assert_cmpint(ok, ==, !err);
    *error = err ? g_strdup(error_get_pretty(err)) : NULL;
    error_free(err);
    return g_string_free(seen.text, !ok);
}

static char *parse(const GByteArray *list, char **error)
{
    return parse_limited(list->data, list->len, UINT_MAX, error);
}

static void check_accepted(const GByteArray *list, const char *expected)
{
    g_autofree char *error = NULL;
    g_autofree char *runs = parse(list, &error);

    g_assert_cmpstr(error, ==, NULL);
    g_assert_cmpstr(runs, ==, expected);
}

static void check_refused(const GByteArray *list, const char *words)
{
    g_autofree char *error = NULL;
    g_autofree char *runs = parse(list, &error);

    g_assert_null(runs);
    g_assert_nonnull(strstr(error, words));
}

/* What is written */

static GByteArray *make_sample(void)
{
    GByteArray *list = nfv_record_new(&nfv_holelist_kind);
    g_autofree unsigned long *holes = bitmap_new(200);
    g_autofree char *name = g_strnfill(255, 'n');

    bitmap_set(holes, 0, 1);
    bitmap_set(holes, 63, 2);
    bitmap_set(holes, 128, 72);
    nfv_holelist_add(list, "pc.ram", holes, 200, PAGE_BITS, 1);
    nfv_holelist_add(list, "/rom@etc/acpi/tables", holes, 65, PAGE_BITS, 1);
    bitmap_clear(holes, 0, 200);
    nfv_holelist_add(list, "full", holes, 200, PAGE_BITS, 1);
    bitmap_set(holes, 0, 200);
    nfv_holelist_add(list, name, holes, 199, PAGE_BITS, 1);
    nfv_record_finish(list);
    return list;
}

static char *sample_text(void)
{
    g_autofree char *name = g_strnfill(255, 'n');

    return g_strdup_printf("pc.ram 0+1000\n"
                           "pc.ram 3f000+2000\n"
                           "pc.ram 80000+48000\n"
                           "/rom@etc/acpi/tables 0+1000\n"
                           "/rom@etc/acpi/tables 3f000+2000\n"
                           "%s 0+c7000\n",
                           name);
}

static void test_round_trip(void)
{
    g_autoptr(GByteArray) list = make_sample();
    g_autofree char *text = sample_text();

    check_accepted(list, text);
}

static void test_empty(void)
{
    g_autoptr(GByteArray) list = nfv_record_new(&nfv_holelist_kind);

    nfv_record_finish(list);
    g_assert_cmpuint(list->len, ==, NFV_RECORD_HEADER);
    check_accepted(list, "");
}

/* The wire is what it was: another release reads it. */
static void test_bytes(void)
{
    static const uint8_t expected[] = {
        'N', 'F', 'V', 'H', 0, 0, 0, 1, 0, 0, 0, 22, 0x76, 0x7e, 0x50, 0x9e,
        1, 'a', 0, 0, 0, 1,
        0, 0, 0, 0, 0, 0, 0x10, 0, 0, 0, 0, 0, 0, 0, 0x20, 0,
    };
    g_autoptr(GByteArray) list = nfv_record_new(&nfv_holelist_kind);
    unsigned long holes = 0x6;

    nfv_holelist_add(list, "a", &holes, 8, PAGE_BITS, 1);
    nfv_record_finish(list);
    g_assert_cmpmem(list->data, list->len, expected, sizeof(expected));
}

static void test_min_run(void)
{
    g_autoptr(GByteArray) list = nfv_record_new(&nfv_holelist_kind);
    unsigned long holes = 0x0f7b; /* runs of 2, 4 and 4 */

    nfv_holelist_add(list, "a", &holes, 16, PAGE_BITS, 3);
    nfv_holelist_add(list, "b", &holes, 16, PAGE_BITS, 5);
    nfv_record_finish(list);
    check_accepted(list, "a 3000+4000\na 8000+4000\n");
}

/* More than 32 bits. */
static void test_large_pages(void)
{
    g_autoptr(GByteArray) list = nfv_record_new(&nfv_holelist_kind);
    unsigned long holes = 0x6;

    nfv_holelist_add(list, "a", &holes, 8, 40, 1);
    nfv_record_finish(list);
    check_accepted(list, "a 10000000000+20000000000\n");
}

/* Hostile input, with a checksum that is right */

static void put(GByteArray *list, uint64_t value, unsigned bytes)
{
    uint8_t be[8];

    stq_be_p(be, value);
    g_byte_array_append(list, be + 8 - bytes, bytes);
}

static GByteArray *start_block(const char *name, uint32_t runs)
{
    GByteArray *list = nfv_record_new(&nfv_holelist_kind);

    put(list, strlen(name), 1);
    g_byte_array_append(list, (const uint8_t *)name, strlen(name));
    put(list, runs, 4);
    return list;
}

static void test_runs(void)
{
    static const struct {
        uint64_t runs[4]; /* start and length of two */
        bool good;
    } cases[] = {
        { { 0, 0x1000, 0x1000, 0x1000 }, true }, /* one in two parts */
        { { 0, 0x1000, 0x2000, 0x1000 }, true },
        { { 0, 0x2000, 0x1000, 0x1000 } },       /* overlap */
        { { 0x1000, 0x1000, 0x1000, 0x1000 } },  /* twice */
        { { 0x5000, 0x1000, 0x1000, 0x1000 } },  /* descend */
        { { 0, 0x1000, 0x2000, 0 } },            /* empty */
        { { 0, 0, 0x2000, 0x1000 } },            /* empty */
        { { 0, 0x1000, 0x2000, UINT64_MAX } },   /* beyond 2^64 */
        { { 0, 0x1000, UINT64_MAX, 1 } },        /* to 2^64 */
        { { 0, 0x1000, 0x1000, -0x1000ULL } },   /* to 2^64 */
        { { 0x1000, UINT64_MAX, 0x1000, 0x1000 } },
    };

    for (int i = 0; i < ARRAY_SIZE(cases); i++) {
        g_autoptr(GByteArray) list = start_block("a", 2);
        g_autofree char *text = g_strdup_printf(
            "a %" PRIx64 "+%" PRIx64 "\na %" PRIx64 "+%" PRIx64 "\n",
            cases[i].runs[0], cases[i].runs[1], cases[i].runs[2],
            cases[i].runs[3]);

        for (int j = 0; j < 4; j++) {
            put(list, cases[i].runs[j], 8);
        }
        nfv_record_finish(list);
        if (cases[i].good) {
            check_accepted(list, text);
        } else {
            check_refused(list, "'a'");
        }
    }
}

static void test_count(void)
{
    static const uint32_t counts[] = { 2, 3, 0x10000000, UINT32_MAX };

    for (int i = 0; i < ARRAY_SIZE(counts); i++) {
        g_autoptr(GByteArray) list = start_block("a", counts[i]);

        put(list, 0x1000, 8);
        put(list, 0x1000, 8);
        nfv_record_finish(list);
        check_refused(list, "cut off in 'a'");
    }
}

/* With the length and the checksum of what is left of it. */
static void test_truncated(void)
{
    g_autoptr(GByteArray) sample = make_sample();
    g_autofree char *text = sample_text();
    unsigned whole = 0;

    for (guint cut = NFV_RECORD_HEADER; cut < sample->len; cut++) {
        g_autoptr(GByteArray) list = g_byte_array_new();
        g_autofree char *error = NULL;
        g_autofree char *runs = NULL;

        g_byte_array_append(list, sample->data, cut);
        nfv_record_finish(list);
        runs = parse(list, &error);
        if (runs) {
            g_assert_true(g_str_has_prefix(text, runs));
            whole++;
        } else {
            g_assert_nonnull(strstr(error, "cut off"));
        }
    }
    g_assert_cmpuint(whole, ==, 4); /* ends of blocks, and the start */
}

/* Without: the stream ends, or the rest of it is something else. */
static void test_truncated_stream(void)
{
    g_autoptr(GByteArray) sample = make_sample();

    for (guint cut = NFV_RECORD_HEADER; cut < sample->len; cut++) {
        g_autoptr(GByteArray) list = g_byte_array_new();
        g_autofree char *zeroes = g_malloc0(sample->len - cut);

        g_byte_array_append(list, sample->data, cut);
        check_refused(list, "stream cut off");
        g_byte_array_append(list, (uint8_t *)zeroes, sample->len - cut);
        if (memcmp(list->data, sample->data, sample->len)) {
            check_refused(list, "checksum");
        }
    }
}

static void test_flipped(void)
{
    g_autoptr(GByteArray) list = make_sample();

    for (guint bit = 0; bit < list->len * 8; bit++) {
        g_autofree char *error = NULL;
        g_autofree char *runs = NULL;

        list->data[bit / 8] ^= 1 << bit % 8;
        runs = parse(list, &error);
        g_assert_null(runs);
        g_assert_nonnull(error);
        list->data[bit / 8] ^= 1 << bit % 8;
    }
}

static void test_header(void)
{
    static const struct {
        unsigned at;
        uint32_t value;
        const char *words; /* NULL: a good one */
    } cases[] = {
        { 0, 0, "magic" },
        { 0, 0x4856464e, "magic" }, /* of the other endianness */
        { 4, 0, "version 0 is not 1" },
        { 4, 2, "version 2 is not 1" },
        { 4, UINT32_MAX, "version 4294967295 is not 1" },
        { 8, 16777217, "16777217 bytes are more than 16777216" },
        { 8, UINT32_MAX, "bytes are more than" },
        { 8, 16777216, NULL },
        { 8, 0, NULL },
    };

    for (int i = 0; i < ARRAY_SIZE(cases); i++) {
        g_autoptr(GByteArray) list = make_sample();
        Error *err = NULL;
        uint32_t length;
        bool ok;

        stl_be_p(list->data + cases[i].at, cases[i].value);
        ok = nfv_record_parse_header(&nfv_holelist_kind, list->data, &length,
                                     &err);
        g_assert_cmpint(ok, ==, !cases[i].words);
        if (ok) {
            g_assert_cmpuint(length, ==, cases[i].value);
        } else {
            g_assert_nonnull(strstr(error_get_pretty(err), cases[i].words));
        }
        error_free(err);
    }
}

/* Whoever takes the runs may refuse any. */
static void test_stopped(void)
{
    g_autoptr(GByteArray) list = make_sample();

    for (unsigned left = 0; left < 6; left++) {
        g_autofree char *error = NULL;
        g_autofree char *runs =
            parse_limited(list->data, list->len, left, &error);

        g_assert_null(runs);
        g_assert_cmpstr(error, ==, "enough");
    }
}

/* Random changes behind a right checksum: no more than an error. */
static void test_fuzz(void)
{
    g_autoptr(GRand) rand = g_rand_new_with_seed(4);
    g_autoptr(GByteArray) sample = make_sample();
    unsigned good = 0;

    for (int i = 0; i < 50000; i++) {
        g_autoptr(GByteArray) list = g_byte_array_new();
        g_autofree char *error = NULL;
        g_autofree char *runs = NULL;
        int changes = g_rand_int_range(rand, 1, 8);
        guint length = g_rand_int_range(rand, NFV_RECORD_HEADER + 1,
                                        sample->len + 1);

        g_byte_array_append(list, sample->data, length);
        while (changes--) {
            guint at = g_rand_int_range(rand, NFV_RECORD_HEADER, length);

            list->data[at] = g_rand_int(rand);
        }
        nfv_record_finish(list);
        runs = parse(list, &error);
        good += !!runs;
    }
    g_test_message("%u of 50000 were lists", good);
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    g_test_add_func("/nfv/holelist/round-trip", test_round_trip);
    g_test_add_func("/nfv/holelist/empty", test_empty);
    g_test_add_func("/nfv/holelist/bytes", test_bytes);
    g_test_add_func("/nfv/holelist/min-run", test_min_run);
    g_test_add_func("/nfv/holelist/large-pages", test_large_pages);
    g_test_add_func("/nfv/holelist/runs", test_runs);
    g_test_add_func("/nfv/holelist/count", test_count);
    g_test_add_func("/nfv/holelist/truncated", test_truncated);
    g_test_add_func("/nfv/holelist/truncated-stream", test_truncated_stream);
    g_test_add_func("/nfv/holelist/flipped", test_flipped);
    g_test_add_func("/nfv/holelist/header", test_header);
    g_test_add_func("/nfv/holelist/stopped", test_stopped);
    g_test_add_func("/nfv/holelist/fuzz", test_fuzz);
    return g_test_run();
}
