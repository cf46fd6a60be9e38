/*
 * A record that was tampered with: the destination refuses it by name, and the
 * source's guest runs on
 *
 * Copyright (c) 2026 the kvm4nfv authors
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "qemu/osdep.h"
#include "qemu/bswap.h"
#include "migration/migration-qmp.h"
#include "migration/migration-util.h"
#include "qobject/qdict.h"
#include "hostile.h"

static void check_running(QTestState *qts)
{
    QDict *status =
        qtest_qmp_assert_success_ref(qts, "{ 'execute': 'query-status' }");

    g_assert_true(qdict_get_bool(status, "running"));
    qobject_unref(status);
}

void nfv_hostile_migrate(NfvEnds *ends, const NfvHostile *hostile)
{
    g_autofree char *near = nfv_ends_path(ends, "near");
    g_autofree char *far = nfv_ends_path(ends, "far");
    g_autofree char *near_uri = g_strdup_printf("unix:%s", near);
    g_autofree char *far_uri = g_strdup_printf("unix:%s", far);
    NfvRelay *relay;

    migrate_set_capability(ends->from, "return-path", true);
    migrate_set_capability(ends->to, "return-path", true);
    migrate_incoming_qmp(ends->to, far_uri, NULL, "{}");
    relay = nfv_relay_new(near, far, hostile->tamper, hostile->off);
    migrate_qmp(ends->from, ends->to, near_uri, NULL, "{}");
    if (hostile->words) {
        nfv_ends_expect_refusal(ends, hostile->words);
        wait_for_migration_fail(ends->from, true);
        check_running(ends->from);
    } else {
        wait_for_migration_complete(ends->from);
        wait_for_migration_complete(ends->to);
    }
    g_assert_cmpuint(nfv_relay_free(relay), ==, 1);
}

void nfv_hostile_add(const char *prefix, const NfvHostile *hostiles, unsigned n,
                     GTestDataFunc test)
{
    for (unsigned i = 0; i < n; i++) {
        g_autofree char *path =
            g_strdup_printf("%s/%s", prefix, hostiles[i].name);

        qtest_add_data_func(path, &hostiles[i], test);
    }
}

bool nfv_hostile_leave(GByteArray *record)
{
    return true;
}

bool nfv_hostile_flip(GByteArray *record)
{
    record->data[record->len - 1] ^= 1;
    return true;
}

bool nfv_hostile_newer(GByteArray *record)
{
    uint8_t *version = record->data + NFV_HOSTILE_VERSION;

    stl_be_p(version, ldl_be_p(version) + 1);
    return true;
}

bool nfv_hostile_truncate(GByteArray *record)
{
    g_byte_array_set_size(record, record->len - 1);
    return false;
}

bool nfv_hostile_twice(GByteArray *record)
{
    g_autofree uint8_t *copy = g_memdup2(record->data, record->len);

    g_byte_array_append(record, copy, record->len);
    return true;
}
