/*
 * The settings of accelerated migration, and the handshake
 *
 * Copyright (c) 2026 the kvm4nfv authors
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "qemu/osdep.h"
#include "libqtest.h"
#include "migration/migration-qmp.h"
#include "migration/migration-util.h"
#include "nfv/process.h"
#include "nfv/stock.h"
#include "qobject/qdict.h"

#define MIB (1024 * 1024)

/* Who decides: the machine type, -M, -global, in rising order */

typedef struct OrderCase {
    const char *name, *options;
    bool vmstate, vmdesc;
} OrderCase;

static const OrderCase order_cases[] = {
    { "machine-type", "-M nfv", true, false },
    { "machine", "-M nfv,migration-vmstate=off,migration-vmdesc=on", false,
      true },
    { "last-machine", "-M nfv,migration-vmstate=off -M migration-vmstate=on",
      true, false },
    { "global", "-M nfv -global migration.vmstate=off", false, false },
    { "global-first", "-global migration.vmdesc=on -M nfv", true, true },
    { "global-wins",
      "-M nfv,migration-vmstate=off,migration-vmdesc=on "
      "-global migration.vmstate=on",
      true, true },
    { "global-wins-first",
      "-global migration.vmdesc=off "
      "-M nfv,migration-vmdesc=on,migration-vmstate=off",
      false, false },
};

static bool get_bool(QTestState *qts, const char *name)
{
    return qtest_qom_get_bool(qts, "/machine", name);
}

static void set_bool(QTestState *qts, const char *name, bool value)
{
    qtest_qom_set_bool(qts, "/machine", name, value);
    g_assert(get_bool(qts, name) == value);
}

static void test_order(const void *opaque)
{
    const OrderCase *c = opaque;
    QTestState *qts = qtest_initf("-nodefaults %s", c->options);

    g_assert(get_bool(qts, "migration-vmstate") == c->vmstate);
    g_assert(get_bool(qts, "migration-vmdesc") == c->vmdesc);
    qtest_quit(qts);
}

/* Each wrong value, and what QEMU says of it. */
static const struct {
    const char *name, *options, *error;
} error_cases[] = {
    { "machine", "-M nfv,migration-vmstate=maybe", "migration-vmstate" },
    { "global", "-M q35 -global migration.vmstate=maybe", "vmstate" },
    { "name", "-M nfv,migration-teleport=on", "migration-teleport" },
};

static void test_errors(void)
{
    for (int i = 0; i < ARRAY_SIZE(error_cases); i++) {
        g_autofree char *output = NULL;
        int status =
            nfv_test_run(&output, "-display none -accel qtest -nodefaults %s",
                         error_cases[i].options);

        g_assert_cmpint(status, ==, 1);
        g_assert(strstr(output, error_cases[i].error));
    }
}

static void test_help(void)
{
    g_autofree char *object = NULL;
    g_autofree char *machine = NULL;

    nfv_test_run(&object, "-device migration,help");
    g_assert(strstr(object, "  vmstate=<bool>"));
    g_assert(strstr(object, "  vmdesc=<bool>"));
    g_assert(strstr(object, "  net=<bool>"));
    g_assert(strstr(object, "  vcpu-sync=<bool>"));
    nfv_test_run(&machine, "-M nfv,help");
    g_assert(strstr(machine, "  migration-vmstate=<bool>"));
    g_assert(strstr(machine, "  migration-vmdesc=<bool>"));
    g_assert(strstr(machine, "  migration-net=<bool>"));
    g_assert(strstr(machine, "  migration-vcpu-sync=<bool>"));
}

/* While the machine runs */

/* An object that was made to be looked at must not bring -global back. */
static void test_introspection(void)
{
    QTestState *qts = qtest_init("-M nfv -nodefaults -global "
                                 "migration.vmdesc=on");

    set_bool(qts, "migration-vmdesc", false);
    set_bool(qts, "migration-vmstate", false);
    qtest_qmp_assert_success(qts, "{ 'execute': 'device-list-properties',"
                                  " 'arguments': { 'typename': 'migration' } "
                                  "}");
    g_assert(!get_bool(qts, "migration-vmdesc"));
    g_assert(!get_bool(qts, "migration-vmstate"));
    qtest_quit(qts);
}

static void expect_refusal(QTestState *qts)
{
    QDict *response = qtest_qmp(qts, "{ 'execute': 'qom-set', 'arguments': {"
                                     " 'path': '/machine', 'property': "
                                     "'migration-vmstate',"
                                     " 'value': false } }");
    const char *words = qdict_get_str(qdict_get_qdict(response, "error"), "des"
                                                                          "c");

    g_assert(strstr(words, "cannot be changed while a migration runs"));
    qobject_unref(response);
    g_assert(get_bool(qts, "migration-vmstate"));
}

static void test_running(void)
{
    g_autofree char *directory = g_dir_make_tmp("nfv-migsettings-XXXXXX", NULL);
    g_autofree char *socket = g_strdup_printf("%s/socket", directory);
    g_autofree char *uri = g_strdup_printf("unix:%s", socket);
    QTestState *from = qtest_init("-M nfv -nodefaults -m 64");
    QTestState *to = qtest_init("-M nfv -nodefaults -m 64 -incoming defer");

    for (size_t page = 16 * MIB; page < 48 * MIB; page += 4096) {
        qtest_writeq(from, page, page);
    }
    set_bool(to, "migration-vmstate", false);
    set_bool(to, "migration-vmstate", true);
    migrate_set_parameter_int(from, "max-bandwidth", MIB);
    migrate_incoming_qmp(to, uri, NULL, "{}");
    set_bool(to, "migration-vmstate", false); /* nothing has come yet */
    set_bool(to, "migration-vmstate", true);
    migrate_qmp(from, to, NULL, NULL, "{}");
    wait_for_migration_status(from, "active", NULL);
    expect_refusal(from);
    wait_for_migration_status(to, "active", NULL);
    expect_refusal(to);

    migrate_set_parameter_int(from, "max-bandwidth", 0);
    wait_for_migration_complete(from);
    wait_for_migration_complete(to);
    set_bool(from, "migration-vmstate", false);
    set_bool(to, "migration-vmstate", false);
    qtest_quit(from);
    qtest_quit(to);
    unlink(socket);
    rmdir(directory);
}

/* The handshake; the guests are q35 so that stock can take part */

typedef enum End { OFF, ON, STOCK } End;

typedef struct PeerCase {
    const char *name;
    End from, to;
    bool return_path;
    const char *source, *destination; /* what each traces */
} PeerCase;

#define ASKS "nfv_handshake_start own features 0x41\n"
#define SEES_NFV ASKS "nfv_handshake_peer_nfv its features 0x41\n"
#define SEES_STOCK ASKS "nfv_handshake_peer_stock\n"
#define ANSWERS "nfv_handshake_answer own features 0x41\n"

static const PeerCase peer_cases[] = {
    { "on-on", ON, ON, true, SEES_NFV, ANSWERS },
    { "on-off", ON, OFF, true, SEES_STOCK, "" },
    { "off-on", OFF, ON, true, "", "" },
    { "off-off", OFF, OFF, true, "", "" },
    { "on-stock", ON, STOCK, true, SEES_STOCK, "" },
    { "stock-on", STOCK, ON, true, "", "" },
    { "on-on-one-way", ON, ON, false, "", "" },
    { "on-stock-one-way", ON, STOCK, false, "", "" },
    { "stock-on-one-way", STOCK, ON, false, "", "" },
};

static QTestState *start_end(End end, const char *log, const char *options)
{
    g_autofree char *ours =
        g_strdup_printf("-trace nfv_handshake_* -D %s %s", log,
                        end == ON ? "-global migration.vmstate=on" : "");
    g_autofree char *args = g_strdup_printf("-M q35 -nodefaults -m 64 %s %s",
                                            end == STOCK ? "" : ours, options);

    return qtest_init_with_env(end == STOCK ? NFV_STOCK_ENV : NULL, args, true);
}

/* What was traced, without time and thread. */
static void expect_trace(const char *log, const char *want)
{
    g_autofree char *text = NULL;
    g_autoptr(GString) events = g_string_new(NULL);
    g_auto(GStrv) lines = NULL;

    if (g_file_get_contents(log, &text, NULL, NULL)) {
        lines = g_strsplit(text, "\n", -1);
        for (int i = 0; lines[i]; i++) {
            char *event = strstr(lines[i], "nfv_handshake_");

            if (event) {
                g_string_append_printf(events, "%s\n", g_strchomp(event));
            }
        }
        unlink(log);
    }
    g_assert_cmpstr(events->str, ==, want);
}

static void test_peer(const void *opaque)
{
    const PeerCase *c = opaque;
    g_autofree char *directory = NULL;
    g_autofree char *from_log = NULL;
    g_autofree char *to_log = NULL;
    g_autofree char *socket = NULL;
    g_autofree char *uri = NULL;
    QTestState *from, *to;

    if ((c->from == STOCK || c->to == STOCK) && !nfv_has_stock()) {
        return;
    }
    directory = g_dir_make_tmp("nfv-migsettings-XXXXXX", NULL);
    from_log = g_strdup_printf("%s/from", directory);
    to_log = g_strdup_printf("%s/to", directory);
    socket = g_strdup_printf("%s/socket", directory);
    uri = g_strdup_printf("unix:%s", socket);
    from = start_end(c->from, from_log, "");
    to = start_end(c->to, to_log, "-incoming defer");
    migrate_set_capability(from, "return-path", c->return_path);
    migrate_set_capability(to, "return-path", c->return_path);
    migrate_incoming_qmp(to, uri, NULL, "{}");
    migrate_qmp(from, to, NULL, NULL, "{}");
    wait_for_migration_complete(from);
    wait_for_migration_complete(to);
    qtest_quit(from);
    qtest_quit(to);
    expect_trace(from_log, c->source);
    expect_trace(to_log, c->destination);
    unlink(socket);
    g_assert_cmpint(rmdir(directory), ==, 0);
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    for (int i = 0; i < ARRAY_SIZE(order_cases); i++) {
        g_autofree char *path =
            g_strdup_printf("nfv/migsettings/order/%s", order_cases[i].name);

        qtest_add_data_func(path, &order_cases[i], test_order);
    }
    qtest_add_func("nfv/migsettings/errors", test_errors);
    qtest_add_func("nfv/migsettings/help", test_help);
    qtest_add_func("nfv/migsettings/introspection", test_introspection);
    qtest_add_func("nfv/migsettings/running", test_running);
    for (int i = 0; i < ARRAY_SIZE(peer_cases); i++) {
        g_autofree char *path =
            g_strdup_printf("nfv/migsettings/peer/%s", peer_cases[i].name);

        qtest_add_data_func(path, &peer_cases[i], test_peer);
    }
    return g_test_run();
}
