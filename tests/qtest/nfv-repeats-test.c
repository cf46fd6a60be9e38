/*
 * Arrays of device state without their repeats: only where both ends said so
 *
 * That the state is right is in nfv-vmstate-test.
 *
 * Copyright (c) 2026 the kvm4nfv authors
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "qemu/osdep.h"
#include "qemu/bswap.h"
#include "libqtest.h"
#include "migration/migration-qmp.h"
#include "migration/migration-util.h"
#include "nfv/ends.h"
#include "nfv/relay.h"
#include "qobject/qdict.h"

#define ON "-global migration.vmstate=on"
#define UNDESCRIBED " -global migration.vmdesc=off"
#define DEVICE " -device virtio-rng-pci,addr=5"

/* Where things are in the record with its flag before it. */
enum { MAGIC = 8, VERSION = 12, LENGTH = 16, CHECKSUM = 20, END = 24 };

static void start_ends(NfvEnds *ends, const char *from, const char *to)
{
    g_autofree char *trace = nfv_ends_expand(ends,
                                             " -trace nfv_repeats_* -D %s/");
    g_autofree char *from_options =
        g_strconcat(from, DEVICE, trace, "from.trace", NULL);
    g_autofree char *to_options =
        g_strconcat(to, DEVICE, trace, "to.trace -incoming defer", NULL);

    ends->from = nfv_ends_start(ends, "from", false, NULL, from_options);
    ends->to = nfv_ends_start(ends, "to", false, NULL, to_options);
    migrate_set_capability(ends->from, "return-path", true);
    migrate_set_capability(ends->to, "return-path", true);
    nfv_ends_write(ends->from, 4096, 256, 3, 1);
}

static bool is_in_trace(NfvEnds *ends, const char *end, const char *event)
{
    g_autofree char *path = nfv_ends_path(ends, end);
    g_autofree char *text = NULL;

    return g_file_get_contents(path, &text, NULL, NULL) && strstr(text, event);
}

/* All devices as stock saves them.  The guest is stopped. */
static GBytes *save_devices(NfvEnds *ends, QTestState *qts)
{
    g_autofree char *path = nfv_ends_path(ends, "state");
    char *state;
    size_t size;

    qtest_qmp_assert_success(qts,
                             "{ 'execute': 'xen-save-devices-state',"
                             " 'arguments': { 'filename': %s } }",
                             path);
    g_assert(g_file_get_contents(path, &state, &size, NULL));
    unlink(path);
    return g_bytes_new_take(state, size);
}

typedef struct Case {
    const char *name;
    const char *from, *to; /* options */
    bool counted;
} Case;

static const Case cases[] = {
    { "both", ON UNDESCRIBED, ON UNDESCRIBED, true },
    { "described", ON, ON UNDESCRIBED, false },
    { "source-only", ON UNDESCRIBED, UNDESCRIBED, false },
    { "destination-only", UNDESCRIBED, ON UNDESCRIBED, false },
};

static void test_case(const void *opaque)
{
    const Case *c = opaque;
    g_autoptr(NfvEnds) ends = nfv_ends_new();
    g_autofree char *path = nfv_ends_path(ends, "socket");
    g_autofree char *uri = g_strdup_printf("unix:%s", path);
    g_autoptr(GBytes) from = NULL;
    g_autoptr(GBytes) to = NULL;

    start_ends(ends, c->from, c->to);
    migrate_incoming_qmp(ends->to, uri, NULL, "{}");
    migrate_qmp(ends->from, ends->to, uri, NULL, "{}");
    wait_for_migration_complete(ends->from);
    wait_for_migration_complete(ends->to);
    nfv_ends_compare(ends, 0, NFV_ENDS_BYTES);
    g_assert(is_in_trace(ends, "from.trace",
                         "nfv_repeats_save 1 of 1023 elements") == c->counted);
    g_assert(is_in_trace(ends, "to.trace",
                         "nfv_repeats_load 1 of 1023 elements") == c->counted);

    /* What is saved for somebody else later is whole. */
    qtest_qmp_assert_success(ends->to, "{ 'execute': 'stop' }");
    from = save_devices(ends, ends->from);
    to = save_devices(ends, ends->to);
    g_assert_cmpuint(g_bytes_get_size(from), >, 2 * 28 * 1023);
    g_assert_cmpuint(g_bytes_get_size(from), ==, g_bytes_get_size(to));
}

/* Hostile announcements */

static bool leave(GByteArray *record)
{
    g_assert_cmphex(ldl_be_p(record->data + MAGIC), ==, 0x4e465652);
    g_assert_cmpuint(record->len, ==, END);
    return true;
}

static bool flip(GByteArray *record)
{
    record->data[CHECKSUM] ^= 1;
    return true;
}

static bool newer(GByteArray *record)
{
    stl_be_p(record->data + VERSION, 2);
    return true;
}

static bool too_long(GByteArray *record)
{
    stl_be_p(record->data + LENGTH, 1);
    return true;
}

static bool truncate_record(GByteArray *record)
{
    g_byte_array_set_size(record, END - 1);
    return false;
}

static bool twice(GByteArray *record)
{
    g_autofree uint8_t *copy = g_memdup2(record->data, record->len);

    g_byte_array_append(record, copy, record->len);
    return true;
}

/* Nothing was announced, but what follows is without repeats. */
static bool swallow(GByteArray *record)
{
    g_byte_array_set_size(record, 0);
    return true;
}

typedef struct Hostile {
    const char *name;
    NfvRelayTamper *tamper;
    const char *words; /* of the destination; NULL: it is content */
    bool off;          /* on the destination */
} Hostile;

static const Hostile hostiles[] = {
    { "good", leave },
    { "flipped", flip, "announcement of repeats: checksum" },
    { "newer", newer, "announcement of repeats: version 2 is not 1" },
    { "too-long", too_long, "announcement of repeats: 1 bytes are more than" },
    { "truncated", truncate_record, "a record is cut off in its header" },
    { "twice", twice, "announcement of repeats: it came twice" },
    { "unasked", leave, "announcement of repeats: it came though vmstate is off",
      true },
    { "swallowed", swallow, "load of migration failed" },
};

static void test_hostile(const void *opaque)
{
    const Hostile *c = opaque;
    g_autoptr(NfvEnds) ends = nfv_ends_new();
    g_autofree char *near = nfv_ends_path(ends, "near");
    g_autofree char *far = nfv_ends_path(ends, "far");
    g_autofree char *near_uri = g_strdup_printf("unix:%s", near);
    g_autofree char *far_uri = g_strdup_printf("unix:%s", far);
    NfvRelay *relay;

    start_ends(ends, ON UNDESCRIBED,
               c->off ? "-global migration.popmap=on" : ON UNDESCRIBED);
    migrate_incoming_qmp(ends->to, far_uri, NULL, "{}");
    relay = nfv_relay_new(near, far, c->tamper, c->off);
    migrate_qmp(ends->from, ends->to, near_uri, NULL, "{}");
    if (c->words) {
        QDict *status;

        nfv_ends_expect_refusal(ends, c->words);
        wait_for_migration_fail(ends->from, true);
        status = qtest_qmp_assert_success_ref(ends->from,
                                              "{ 'execute': 'query-status' }");
        g_assert_true(qdict_get_bool(status, "running"));
        qobject_unref(status);
        nfv_ends_check(ends->from, 4096, 256, 3, 1);
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
            g_strdup_printf("nfv/repeats/%s", cases[i].name);

        qtest_add_data_func(path, &cases[i], test_case);
    }
    for (int i = 0; i < ARRAY_SIZE(hostiles); i++) {
        g_autofree char *path =
            g_strdup_printf("nfv/repeats/hostile/%s", hostiles[i].name);

        qtest_add_data_func(path, &hostiles[i], test_hostile);
    }
    return g_test_run();
}
