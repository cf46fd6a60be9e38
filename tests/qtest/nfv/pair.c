/*
 * The two ends of a migration with a guest that writes to its memory
 *
 * Copyright (c) 2026 the kvm4nfv authors
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "qemu/osdep.h"
#include "migration/bootfile.h"
#include "migration/migration-qmp.h"
#include "migration/migration-util.h"
#include "pair.h"
#include "qobject/qlist.h"
#include "stock.h"

#define MIB (1024 * 1024)
#define SLOW (16 * MIB) /* bytes a second */
#define NEVER 1         /* ms that no stop of the busy guest fits */
#define WHENEVER 60000  /* ms that it does */
#define LAST_PAGE (X86_TEST_MEM_END - TEST_MEM_PAGE_SIZE)

static char *path(const NfvPair *p, const char *name)
{
    return g_strdup_printf("%s/%s", p->directory, name);
}

static bool count_event(QTestState *qts, const char *name, QDict *event,
                        void *opaque)
{
    NfvPair *p = opaque;

    p->events += !strcmp(name, "NFV_MIGRATION_ENDED");
    return false; /* others may wait for it */
}

/* What it says goes to a file of that name. */
static QTestState *start(NfvPair *p, const char *name, const char *options,
                         const char *more)
{
    g_autofree char *args = g_strdup_printf(
        "-accel %s -M %s -m 128 %s -nodefaults %s%s%s %s %s 2> %s/%s",
        p->accel, p->machine, p->memory,
        p->idle ? "" : "-drive if=none,id=d0,format=raw,read-only=on,file=",
        p->idle ? "" : p->boot,
        p->idle ? "" :
                  " -device virtio-blk-pci,drive=d0,secs=1,cyls=1,heads=1",
        options ?: "", more, p->directory, name);
    g_autoptr(QList) capabilities = qlist_new();
    QTestState *qts;

    qlist_append_str(capabilities, "oob"); /* for migrate-recover */
    qts = qtest_init_with_env_and_capabilities(options ? NULL : NFV_STOCK_ENV,
                                               args, capabilities, true);
    qtest_qmp_set_event_callback(qts, count_event, p);
    return qts;
}

void nfv_pair_start_to(NfvPair *p, const char *options)
{
    p->to = start(p, "to", options, "-incoming defer");
}

void nfv_pair_wait_for_write(QTestState *qts)
{
    uint8_t before = qtest_readb(qts, LAST_PAGE);

    while (qtest_readb(qts, LAST_PAGE) == before) {
        g_usleep(10 * 1000);
    }
}

void nfv_pair_start(NfvPair *p, const char *from_options,
                    const char *to_options)
{
    p->machine = p->machine ?: "q35";
    p->accel = p->accel ?: "tcg";
    p->memory = p->memory ?: "";
    p->directory = g_dir_make_tmp("nfv-pair-XXXXXX", NULL);
    p->boot = bootfile_create("x86_64", p->directory, false);
    p->from = start(p, "from", from_options, "");
    nfv_pair_start_to(p, to_options);
    if (!p->idle) {
        nfv_pair_wait_for_write(p->from);
    }
}

void nfv_pair_stop(NfvPair *p)
{
    static const char *const files[] = { "from", "to", "socket", "recover" };

    if (p->from) {
        qtest_quit(p->from);
    }
    if (p->to) {
        qtest_quit(p->to);
    }
    bootfile_delete();
    for (int i = 0; i < ARRAY_SIZE(files); i++) {
        g_autofree char *file = path(p, files[i]);

        unlink(file);
    }
    g_assert_cmpint(rmdir(p->directory), ==, 0);
    g_free(p->directory);
}

char *nfv_pair_log(const NfvPair *p, const char *name)
{
    g_autofree char *file = path(p, name);
    char *text = NULL;

    g_assert_true(g_file_get_contents(file, &text, NULL, NULL));
    return text;
}

/* All are equal, but for one step down to the pages whose turn is to come. */
void nfv_pair_check_guest(NfvPair *p, QTestState *qts)
{
    g_autofree char *file = path(p, "memory");
    GMappedFile *mapped;
    const char *memory;
    uint8_t last;
    gsize size;
    int steps = 0;

    if (p->idle) {
        qtest_qmp_assert_success(qts, "{ 'execute': 'query-status' }");
        return;
    }
    nfv_pair_wait_for_write(qts);
    qtest_qmp_assert_success(qts, "{ 'execute': 'stop' }");
    qtest_qmp_assert_success(qts,
                             "{ 'execute': 'pmemsave', 'arguments': { 'val': "
                             "%d, 'size': %d, 'filename': %s } }",
                             X86_TEST_MEM_START,
                             X86_TEST_MEM_END - X86_TEST_MEM_START, file);
    mapped = g_mapped_file_new(file, false, NULL);
    g_assert_nonnull(mapped);
    memory = g_mapped_file_get_contents(mapped);
    size = g_mapped_file_get_length(mapped);
    g_assert_cmpuint(size, ==, X86_TEST_MEM_END - X86_TEST_MEM_START);
    unlink(file);
    last = memory[0];
    for (gsize at = 0; at < size; at += TEST_MEM_PAGE_SIZE) {
        uint8_t found = memory[at];

        if (found != last) {
            g_assert_cmpuint(found, ==, (uint8_t)(last - 1));
            steps++;
            last = found;
        }
    }
    g_mapped_file_unref(mapped);
    g_assert_cmpint(steps, <=, 1);
    qtest_qmp_assert_success(qts, "{ 'execute': 'cont' }");
}

void nfv_pair_set_capability(NfvPair *p, const char *name)
{
    migrate_set_capability(p->from, name, true);
    migrate_set_capability(p->to, name, true);
}

void nfv_pair_begin(NfvPair *p, const char *listen)
{
    g_auto(GStrv) parts = g_strsplit(listen, "%s", 2);
    g_autofree char *uri = g_strjoinv(p->directory, parts);

    migrate_incoming_qmp(p->to, uri, NULL, "{}");
    migrate_qmp(p->from, p->to, NULL, NULL, "{}");
}

void nfv_pair_begin_slowly(NfvPair *p, const char *listen)
{
    migrate_set_parameter_int(p->from, "max-bandwidth", SLOW);
    migrate_set_parameter_int(p->from, "downtime-limit", NEVER);
    nfv_pair_begin(p, listen);
    wait_for_migration_status(p->from, "active", NULL);
}

void nfv_pair_let_go(NfvPair *p)
{
    migrate_set_parameter_int(p->from, "max-bandwidth", 0);
    migrate_set_parameter_int(p->from, "max-postcopy-bandwidth", 0);
    migrate_set_parameter_int(p->from, "downtime-limit", WHENEVER);
}

void nfv_pair_finish(NfvPair *p)
{
    nfv_pair_let_go(p);
    wait_for_migration_complete(p->from);
    wait_for_migration_complete(p->to);
    nfv_pair_check_guest(p, p->to);
}

void nfv_pair_cancel(NfvPair *p)
{
    char *status = NULL;

    qtest_qmp_assert_success(p->from, "{ 'execute': 'migrate_cancel' }");
    do {
        g_free(status);
        g_usleep(10 * 1000);
        status = migrate_query_status(p->from);
        g_assert_cmpstr(status, !=, "completed");
    } while (strcmp(status, "cancelled") && strcmp(status, "failed"));
    g_free(status);
}

void nfv_pair_kill(QTestState **end)
{
    kill(qtest_pid(*end), SIGKILL);
    while (qtest_probe_child(*end)) {
        g_usleep(10 * 1000);
    }
    *end = NULL; /* libqtest would take the signal for a failure */
}

void nfv_pair_check_running(QTestState *qts, bool running)
{
    QDict *status = qtest_qmp_assert_success_ref(
        qts, "{ 'execute': 'query-status' }");

    g_assert_cmpint(qdict_get_bool(status, "running"), ==, running);
    qobject_unref(status);
}

void nfv_pair_wait_for_events(NfvPair *p, unsigned n)
{
    do {
        qobject_unref(nfv_pair_query(p->from));
        g_usleep(10 * 1000);
    } while (p->events < n);
    g_assert_cmpuint(p->events, ==, n);
}

QDict *nfv_pair_query(QTestState *qts)
{
    return qtest_qmp_assert_success_ref(
        qts, "{ 'execute': 'query-nfv-migration' }");
}

int64_t nfv_pair_number(QTestState *qts, const char *name)
{
    QDict *info = nfv_pair_query(qts);
    int64_t value = qdict_get_int(info, name);

    qobject_unref(info);
    return value;
}

void nfv_pair_wait_for_decisions(QTestState *qts, int64_t n)
{
    while (nfv_pair_number(qts, "decisions") < n) {
        g_usleep(10 * 1000);
    }
}
