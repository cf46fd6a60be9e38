/*
 * A destination refuses a list of holes that is none, and the source lives on
 *
 * Copyright (c) 2026 the kvm4nfv authors
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "qemu/osdep.h"
#include "qemu/bitmap.h"
#include "qemu/bswap.h"
#include "libqtest.h"
#include "migration/migration-qmp.h"
#include "migration/migration-util.h"
#include "migration/nfv/holelist.h"
#include "nfv/ends.h"
#include "nfv/relay.h"
#include "qobject/qdict.h"

#define ON "-global migration.popmap=on"
#define FIRST 4096 /* page */
#define PAGES 256

/* Where things are in a list with its flag before it */
enum { MAGIC = 8, VERSION = 12, LENGTH = 16, PAYLOAD = 24 };

static bool leave(GByteArray *list)
{
    return true;
}

static bool flip(GByteArray *list)
{
    list->data[PAYLOAD + 20] ^= 1;
    return true;
}

static bool newer(GByteArray *list)
{
    stl_be_p(list->data + VERSION, nfv_holelist_kind.version + 1);
    return true;
}

static bool too_long(GByteArray *list)
{
    stl_be_p(list->data + LENGTH, nfv_holelist_kind.max + 1);
    return true;
}

static bool truncate_list(GByteArray *list)
{
    g_byte_array_set_size(list, list->len - 1);
    return false;
}

static bool truncate_header(GByteArray *list)
{
    g_byte_array_set_size(list, PAYLOAD - 2);
    return false;
}

static bool twice(GByteArray *list)
{
    g_autofree uint8_t *copy = g_memdup2(list->data, list->len);

    g_byte_array_append(list, copy, list->len);
    return true;
}

/* A list that is right but for what it says. */
static bool replace(GByteArray *list, const char *block, unsigned page_bits,
                    uint64_t first)
{
    g_autoptr(GByteArray) other = nfv_record_new(&nfv_holelist_kind);
    g_autofree unsigned long *holes = bitmap_new(first + 1);

    set_bit(first, holes);
    nfv_holelist_add(other, block, holes, first + 1, page_bits, 1);
    nfv_record_finish(other);
    g_byte_array_set_size(list, MAGIC);
    g_byte_array_append(list, other->data, other->len);
    return true;
}

static bool no_block(GByteArray *list)
{
    return replace(list, "nothing", 12, 0);
}

static bool no_page(GByteArray *list)
{
    return replace(list, "m", 11, 1);
}

static bool beyond(GByteArray *list)
{
    return replace(list, "m", 12, NFV_ENDS_BYTES / NFV_ENDS_PAGE);
}

static bool far_beyond(GByteArray *list)
{
    return replace(list, "m", 62, 2);
}

typedef struct Case {
    const char *name;
    NfvRelayTamper *tamper;
    const char *words; /* of the destination; NULL: it is content */
    bool off;          /* popmap, on the destination */
} Case;

static const Case cases[] = {
    { "good", leave },
    { "flipped", flip, "list of holes: checksum" },
    { "newer", newer, "list of holes: version 2 is not 1" },
    { "too-long", too_long, "list of holes: 16777217 bytes are more than" },
    { "truncated", truncate_list, "list of holes: cut off after its header" },
    { "header", truncate_header, "a record is cut off in its header" },
    { "twice", twice, "list of holes: it came twice" },
    { "block", no_block, "list of holes: no RAM block 'nothing'" },
    { "page", no_page, "which are no pages of its 0x4000000" },
    { "beyond", beyond, "which are no pages of its 0x4000000" },
    { "far-beyond", far_beyond, "which are no pages of its 0x4000000" },
    { "unasked", leave, "list of holes: it came though popmap is off", true },
};

static void check_running(QTestState *qts)
{
    QDict *status =
        qtest_qmp_assert_success_ref(qts, "{ 'execute': 'query-status' }");

    g_assert_true(qdict_get_bool(status, "running"));
    qobject_unref(status);
}

static void test_case(const void *opaque)
{
    const Case *c = opaque;
    g_autoptr(NfvEnds) ends = nfv_ends_new();
    g_autofree char *near = nfv_ends_path(ends, "near");
    g_autofree char *far = nfv_ends_path(ends, "far");
    g_autofree char *near_uri = g_strdup_printf("unix:%s", near);
    g_autofree char *far_uri = g_strdup_printf("unix:%s", far);
    g_autofree char *options =
        g_strconcat(c->off ? "" : ON, " -global migration.vmstate=on"
                                      " -incoming defer", NULL);
    const char *memory = "memory-backend-memfd";
    NfvRelay *relay;

    ends->from = nfv_ends_start(ends, "from", false, memory, ON);
    ends->to = nfv_ends_start(ends, "to", false, memory, options);
    nfv_ends_write(ends->from, FIRST, PAGES, 3, 1);
    migrate_set_capability(ends->from, "return-path", true);
    migrate_set_capability(ends->to, "return-path", true);
    migrate_incoming_qmp(ends->to, far_uri, NULL, "{}");
    relay = nfv_relay_new(near, far, c->tamper, c->off);
    migrate_qmp(ends->from, ends->to, near_uri, NULL, "{}");
    if (c->words) {
        nfv_ends_expect_refusal(ends, c->words);
        wait_for_migration_fail(ends->from, true);
        check_running(ends->from);
        nfv_ends_check(ends->from, FIRST, PAGES, 3, 1);
        nfv_ends_write(ends->from, FIRST, PAGES, 1, 2);
    } else {
        wait_for_migration_complete(ends->from);
        wait_for_migration_complete(ends->to);
        nfv_ends_compare(ends, 0, NFV_ENDS_BYTES);
    }
    g_assert_cmpuint(nfv_relay_free(relay), ==, 1);
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    for (int i = 0; i < ARRAY_SIZE(cases); i++) {
        g_autofree char *path =
            g_strdup_printf("nfv/holelist/%s", cases[i].name);

        qtest_add_data_func(path, &cases[i], test_case);
    }
    return g_test_run();
}
