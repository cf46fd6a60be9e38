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
#include "nfv/hostile.h"

#define ON "-global migration.vmstate=on"
#define UNDESCRIBED " -global migration.vmdesc=off"
/* The upper bits of the PING with the checksum of the build. */
#define LAYOUT 0x4e6
#define DEVICE " -device virtio-rng-pci,addr=5"

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
    from = nfv_ends_save_devices(ends, ends->from);
    to = nfv_ends_save_devices(ends, ends->to);
    g_assert_cmpuint(g_bytes_get_size(from), >, 2 * 28 * 1023);
    g_assert_cmpuint(g_bytes_get_size(from), ==, g_bytes_get_size(to));
}

/* The arrays of another build may be other arrays. */
static void test_other_build(void)
{
    g_autoptr(NfvEnds) ends = nfv_ends_new();
    g_autofree char *near = nfv_ends_path(ends, "near");
    g_autofree char *far = nfv_ends_path(ends, "far");
    g_autofree char *near_uri = g_strdup_printf("unix:%s", near);
    g_autofree char *far_uri = g_strdup_printf("unix:%s", far);
    NfvRelay *relay;

    start_ends(ends, ON UNDESCRIBED, ON UNDESCRIBED);
    migrate_incoming_qmp(ends->to, far_uri, NULL, "{}");
    relay = nfv_relay_new(near, far, nfv_hostile_leave, false);
    nfv_relay_alter_ping(relay, LAYOUT);
    migrate_qmp(ends->from, ends->to, near_uri, NULL, "{}");
    wait_for_migration_complete(ends->from);
    wait_for_migration_complete(ends->to);
    nfv_ends_compare(ends, 0, NFV_ENDS_BYTES);
    g_assert_false(is_in_trace(ends, "from.trace", "nfv_repeats_save"));
    g_assert_false(is_in_trace(ends, "to.trace", "nfv_repeats_load"));
    g_assert_cmpuint(nfv_relay_altered(relay), ==, 1);
    g_assert_cmpuint(nfv_relay_free(relay), ==, 0);
}

/* Hostile announcements */

/* It has no payload. */
static bool leave(GByteArray *record)
{
    g_assert_cmphex(ldl_be_p(record->data + NFV_HOSTILE_MAGIC), ==, 0x4e465652);
    g_assert_cmpuint(record->len, ==, NFV_HOSTILE_PAYLOAD);
    return true;
}

static bool too_long(GByteArray *record)
{
    stl_be_p(record->data + NFV_HOSTILE_LENGTH, 1);
    return true;
}

/* Nothing was announced, but what follows is without repeats. */
static bool swallow(GByteArray *record)
{
    g_byte_array_set_size(record, 0);
    return true;
}

static const NfvHostile hostiles[] = {
    { "good", leave },
    { "flipped", nfv_hostile_flip, "announcement of repeats: checksum" },
    { "newer", nfv_hostile_newer,
      "announcement of repeats: version 2 is not 1" },
    { "too-long", too_long, "announcement of repeats: 1 bytes are more than" },
    { "truncated", nfv_hostile_truncate, "a record is cut off in its header" },
    { "twice", nfv_hostile_twice, "announcement of repeats: it came twice" },
    { "unasked", leave, "announcement of repeats: it came though vmstate is off",
      true },
    { "swallowed", swallow, "load of migration failed" },
};

static void test_hostile(const void *opaque)
{
    const NfvHostile *c = opaque;
    g_autoptr(NfvEnds) ends = nfv_ends_new();

    start_ends(ends, ON UNDESCRIBED,
               c->off ? "-global migration.popmap=on" : ON UNDESCRIBED);
    nfv_hostile_migrate(ends, c);
    if (c->words) {
        nfv_ends_check(ends->from, 4096, 256, 3, 1);
    } else {
        nfv_ends_compare(ends, 0, NFV_ENDS_BYTES);
    }
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    for (int i = 0; i < ARRAY_SIZE(cases); i++) {
        g_autofree char *path =
            g_strdup_printf("nfv/repeats/%s", cases[i].name);

        qtest_add_data_func(path, &cases[i], test_case);
    }
    qtest_add_func("nfv/repeats/other-build", test_other_build);
    nfv_hostile_add("nfv/repeats/hostile", hostiles, ARRAY_SIZE(hostiles),
                    test_hostile);
    return g_test_run();
}
