/*
 * A destination that answers what nobody asked: the source does not believe it
 *
 * Copyright (c) 2026 the kvm4nfv authors
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "qemu/osdep.h"
#include "libqtest.h"
#include "migration/migration-qmp.h"
#include "migration/migration-util.h"
#include "nfv/ends.h"
#include "nfv/relay.h"
#include "qobject/qdict.h"

#define ON                                                   \
    "-global migration.policy=on -global migration.popmap=on" \
    " -global migration.vmstate=on -global migration.vmdesc=off"
#define STARTED 0x6e667300

static bool leave(GByteArray *record)
{
    return true;
}

typedef struct Ends {
    NfvEnds *ends;
    NfvRelay *relay;
    char *near_uri;
} Ends;

static void start(Ends *e, const char *options)
{
    g_autofree char *from = g_strconcat(ON, options, NULL);
    g_autofree char *near = NULL;
    g_autofree char *far = NULL;
    g_autofree char *far_uri = NULL;

    e->ends = nfv_ends_new();
    near = nfv_ends_path(e->ends, "near");
    far = nfv_ends_path(e->ends, "far");
    far_uri = g_strdup_printf("unix:%s", far);
    e->near_uri = g_strdup_printf("unix:%s", near);
    e->ends->from = nfv_ends_start(e->ends, "from", false, NULL, from);
    e->ends->to = nfv_ends_start(e->ends, "to", false, NULL,
                                 ON " -incoming defer");
    nfv_ends_write(e->ends->from, 4096, 256, 3, 1);
    migrate_set_capability(e->ends->from, "return-path", true);
    migrate_set_capability(e->ends->to, "return-path", true);
    migrate_incoming_qmp(e->ends->to, far_uri, NULL, "{}");
    e->relay = nfv_relay_new(near, far, leave, false);
}

static void end(Ends *e)
{
    nfv_ends_free(e->ends);
    nfv_relay_free(e->relay);
    g_free(e->near_uri);
}

/* What the source takes the destination for. */
static void check_peer(QTestState *from, const char *peer)
{
    QDict *said = qtest_qmp_assert_success_ref(
        from, "{ 'execute': 'query-nfv-migration' }");

    g_assert_cmpstr(qdict_get_str(said, "peer"), ==, peer);
    qobject_unref(said);
}

/* From @first to @last in steps, @times each. */
typedef struct Lie {
    const char *name;
    uint32_t first, last, step;
    unsigned times;
    const char *peer; /* the first answer counts; NULL: no lie is one */
} Lie;

static const Lie lies[] = {
    { "drain", 0x6e666400, 0x6e6664ff, 1, 20 },
    { "started", STARTED, STARTED, 1, 1000 },
    { "answer", 0x4e460000, 0x4e46ffff, 0x1111, 20, "nfv" },
    { "stock", 0x6e667601, 0x6e667601, 1, 1000, "stock" },
    { "pages", 0x4e500000, 0x4e5fffff, 0x1111, 20 },
    { "last", 0x6e666c00, 0x6e666c00, 1, 1000 },
    { "other", 0, 0xffffffff, 0x1000001, 1 },
};

static void test_lie(const void *opaque)
{
    const Lie *lie = opaque;
    Ends e;

    start(&e, "");
    for (unsigned i = 0; i < lie->times; i++) {
        for (uint64_t pong = lie->first; pong <= lie->last; pong += lie->step) {
            nfv_relay_lie(e.relay, pong);
        }
    }
    migrate_qmp(e.ends->from, e.ends->to, e.near_uri, NULL, "{}");
    wait_for_migration_complete(e.ends->from);
    wait_for_migration_complete(e.ends->to);
    nfv_ends_compare(e.ends, 0, NFV_ENDS_BYTES);
    check_peer(e.ends->from, lie->peer ?: "nfv");
    g_assert_cmpuint(nfv_relay_told(e.relay), >, 0);
    end(&e);
}

/* That the guest runs there is no reason not to cancel while it cannot. */
static void test_deadline(void)
{
    QDict *status;
    Ends e;

    start(&e, " -global migration.deadline=3000"
              " -global migration.on-deadline=cancel");
    nfv_relay_lie(e.relay, STARTED);
    migrate_set_capability(e.ends->from, "pause-before-switchover", true);
    qtest_set_expected_status(e.ends->to, EXIT_FAILURE);
    migrate_qmp(e.ends->from, e.ends->to, e.near_uri, NULL, "{}");
    wait_for_migration_status(e.ends->from, "pre-switchover", NULL);
    wait_for_migration_status(e.ends->from, "cancelled", NULL);
    status = qtest_qmp_assert_success_ref(e.ends->from,
                                          "{ 'execute': 'query-status' }");
    g_assert_true(qdict_get_bool(status, "running"));
    qobject_unref(status);
    nfv_ends_check(e.ends->from, 4096, 256, 3, 1);
    g_assert_cmpuint(nfv_relay_told(e.relay), >, 0);
    end(&e);
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    for (int i = 0; i < ARRAY_SIZE(lies); i++) {
        g_autofree char *path = g_strdup_printf("nfv/lies/%s", lies[i].name);

        qtest_add_data_func(path, &lies[i], test_lie);
    }
    qtest_add_func("nfv/lies/deadline", test_deadline);
    return g_test_run();
}
