/*
 * Unit tests: the list of PCI devices on the wire
 *
 * Copyright (c) 2026 the kvm4nfv authors
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "qemu/osdep.h"
#include "qapi/error.h"
#include "migration/nfv/pcilist.h"

static bool see(void *opaque, const char *path, const uint8_t *config,
                Error **errp)
{
    unsigned sum = 0;

    if (!strcmp(path, "refuse")) {
        error_setg(errp, "enough");
        return false;
    }
    for (int i = 0; i < NFV_PCILIST_CONFIG; i++) {
        sum += config[i];
    }
    g_string_append_printf(opaque, "%s %u\n", path, sum);
    return true;
}

/*
 * As a destination does.  What it saw, or NULL and *@error, which the caller
 * frees.
 */
static char *parse(const GByteArray *list, char **error)
{
    GString *seen = g_string_new(NULL);
    /* A copy, so that a read beyond its end shows. */
    uint32_t length = list->len - NFV_RECORD_HEADER;
    g_autofree uint8_t *payload =
        g_memdup2(list->data + NFV_RECORD_HEADER, length);
    Error *err = NULL;
    bool ok = nfv_record_parse_header(&nfv_pcilist_kind, list->data, &length,
                                      &err);

    if (ok && length != list->len - NFV_RECORD_HEADER) {
        error_setg(&err, "stream cut off");
        ok = false;
    }
    ok = ok &&
         nfv_record_check(&nfv_pcilist_kind, list->data, payload, length,
                          &err) &&
         nfv_pcilist_parse(payload, length, see, seen, &err);
    g_assert_cmpint(ok, ==, !err);
    *error = err ? g_strdup(error_get_pretty(err)) : NULL;
    error_free(err);
    return g_string_free(seen, !ok);
}

static GByteArray *make_sample(void)
{
    GByteArray *list = nfv_record_new(&nfv_pcilist_kind);
    uint8_t config[NFV_PCILIST_CONFIG] = {};
    g_autofree char *longest = g_strnfill(255, 'x');

    config[0] = 1;
    nfv_pcilist_add(list, "0000:00:01.0", config);
    config[NFV_PCILIST_CONFIG - 1] = 2;
    nfv_pcilist_add(list, "0000:00:02.0:00.0", config);
    nfv_pcilist_add(list, longest, config);
    nfv_record_finish(list);
    return list;
}

static void test_round_trip(void)
{
    g_autoptr(GByteArray) list = make_sample();
    g_autofree char *longest = g_strnfill(255, 'x');
    g_autofree char *expected = g_strdup_printf(
        "0000:00:01.0 1\n0000:00:02.0:00.0 3\n%s 3\n", longest);
    g_autofree char *error = NULL;
    g_autofree char *seen = parse(list, &error);

    g_assert_cmpstr(error, ==, NULL);
    g_assert_cmpstr(seen, ==, expected);
}

/* The wire is what it was: another release reads it. */
static void test_bytes(void)
{
    static const uint8_t expected[] = {
        'N', 'F', 'V', 'P', 0, 0, 0, 1, 0, 0, 1, 2, 0xcf, 0x28, 0xa3, 0xf7,
        1, 'a', 0x86, 0x80,
    };
    g_autoptr(GByteArray) list = nfv_record_new(&nfv_pcilist_kind);
    uint8_t config[NFV_PCILIST_CONFIG] = { 0x86, 0x80 };

    nfv_pcilist_add(list, "a", config);
    nfv_record_finish(list);
    g_assert_cmpuint(list->len, ==, NFV_RECORD_HEADER + 2 + sizeof(config));
    g_assert_cmpmem(list->data, sizeof(expected), expected, sizeof(expected));
}

/* With the length and the checksum of what is left of it. */
static void test_truncated(void)
{
    g_autoptr(GByteArray) sample = make_sample();
    unsigned whole = 0;

    for (guint cut = NFV_RECORD_HEADER; cut < sample->len; cut++) {
        g_autoptr(GByteArray) list = g_byte_array_new();
        g_autofree char *error = NULL;
        g_autofree char *seen = NULL;

        g_byte_array_append(list, sample->data, cut);
        nfv_record_finish(list);
        seen = parse(list, &error);
        whole += !!seen;
        g_assert_true(seen || strstr(error, "cut off"));
    }
    g_assert_cmpuint(whole, ==, 3); /* ends of devices, and the start */
}

static void test_flipped(void)
{
    g_autoptr(GByteArray) list = make_sample();

    for (guint bit = 0; bit < list->len * 8; bit++) {
        g_autofree char *error = NULL;
        g_autofree char *seen = NULL;

        list->data[bit / 8] ^= 1 << bit % 8;
        seen = parse(list, &error);
        g_assert_null(seen);
        list->data[bit / 8] ^= 1 << bit % 8;
    }
}

static void test_stopped(void)
{
    g_autoptr(GByteArray) list = nfv_record_new(&nfv_pcilist_kind);
    uint8_t config[NFV_PCILIST_CONFIG] = {};
    g_autofree char *error = NULL;
    g_autofree char *seen = NULL;

    nfv_pcilist_add(list, "a", config);
    nfv_pcilist_add(list, "refuse", config);
    nfv_record_finish(list);
    seen = parse(list, &error);
    g_assert_null(seen);
    g_assert_cmpstr(error, ==, "enough");
}

/* Random changes behind a right checksum: no more than an error. */
static void test_fuzz(void)
{
    g_autoptr(GRand) rand = g_rand_new_with_seed(5);
    g_autoptr(GByteArray) sample = make_sample();

    for (int i = 0; i < 20000; i++) {
        g_autoptr(GByteArray) list = g_byte_array_new();
        g_autofree char *error = NULL;
        g_autofree char *seen = NULL;
        guint length = g_rand_int_range(rand, NFV_RECORD_HEADER + 1,
                                        sample->len + 1);

        g_byte_array_append(list, sample->data, length);
        for (int n = g_rand_int_range(rand, 1, 8); n; n--) {
            list->data[g_rand_int_range(rand, NFV_RECORD_HEADER, length)] =
                g_rand_int(rand);
        }
        nfv_record_finish(list);
        seen = parse(list, &error);
    }
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    g_test_add_func("/nfv/pcilist/round-trip", test_round_trip);
    g_test_add_func("/nfv/pcilist/bytes", test_bytes);
    g_test_add_func("/nfv/pcilist/truncated", test_truncated);
    g_test_add_func("/nfv/pcilist/flipped", test_flipped);
    g_test_add_func("/nfv/pcilist/stopped", test_stopped);
    g_test_add_func("/nfv/pcilist/fuzz", test_fuzz);
    return g_test_run();
}
