/*
 * Live migration between nfv machines whose threads are placed
 *
 * Copyright (c) 2026 the kvm4nfv authors
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "qemu/osdep.h"
#include <sched.h>
#include "libqtest.h"
#include "migration/migration-qmp.h"
#include "migration/migration-util.h"
#include "nfv/host.h"
#include "nfv/thread.h"
#include "qobject/qdict.h"

#define MIB (1024 * 1024)
#define RAM_MIB 64
#define PATTERN_START (16 * MIB)
#define PATTERN_SIZE (16 * MIB)
#define SLOW MIB /* bytes a second: the pattern takes 16 s */

typedef struct Variant {
    const char *name;
    const char *listen; /* where the destination does; %s is a directory */
    const char *capabilities[3];
    bool postcopy;
    bool rt;
    const char *source_thread, *destination_thread; /* seen in flight */
} Variant;

static const Variant variants[] = {
    { .name = "tcp", .listen = "tcp:127.0.0.1:0" },
    { .name = "unix", .listen = "unix:%s/socket" },
    { .name = "multifd",
      .listen = "tcp:127.0.0.1:0",
      .capabilities = { "multifd" },
      .source_thread = "mig/src/send_*",
      .destination_thread = "mig/dst/recv_*" },
    { .name = "postcopy",
      .listen = "unix:%s/socket",
      .capabilities = { "postcopy-ram" },
      .postcopy = true,
      .source_thread = "mig/src/return",
      .destination_thread = "mig/dst/fault" },
    { .name = "postcopy-preempt",
      .listen = "unix:%s/socket",
      .capabilities = { "postcopy-ram", "postcopy-preempt" },
      .postcopy = true,
      .source_thread = "mig/src/return",
      .destination_thread = "mig/dst/preempt" },
    { .name = "postcopy-rt",
      .listen = "unix:%s/socket",
      .capabilities = { "postcopy-ram" },
      .postcopy = true,
      .rt = true,
      .source_thread = "mig/src/return",
      .destination_thread = "mig/dst/fault" },
};

/* Guest memory */

/* Neither zero nor the same in any two pages. */
static uint8_t *make_pattern(void)
{
    uint32_t *words = g_malloc(PATTERN_SIZE);

    for (uint32_t i = 0; i < PATTERN_SIZE / sizeof(*words); i++) {
        words[i] = i * 2654435761u + 1;
    }
    return (uint8_t *)words;
}

static void write_pattern(QTestState *qts)
{
    g_autofree uint8_t *pattern = make_pattern();

    for (size_t done = 0; done < PATTERN_SIZE; done += MIB) {
        qtest_bufwrite(qts, PATTERN_START + done, pattern + done, MIB);
    }
}

static void check_pattern(QTestState *qts)
{
    g_autofree uint8_t *pattern = make_pattern();
    g_autofree uint8_t *found = g_malloc(PATTERN_SIZE);

    for (size_t done = 0; done < PATTERN_SIZE; done += MIB) {
        qtest_bufread(qts, PATTERN_START + done, found + done, MIB);
    }
    g_assert_cmpmem(found, PATTERN_SIZE, pattern, PATTERN_SIZE);
}

/* Both ends */

typedef struct Ends {
    char *directory;
    NfvTestRoot root;
    QTestState *from, *to;
    unsigned from_cpu, to_cpu; /* host CPUs of the vCPUs */
} Ends;

static QTestState *start(const Ends *ends, const Variant *v, unsigned cpu,
                         const char *options)
{
    return qtest_initf("-M nfv,x-host-root=%s,rt=%s,vcpu-cpus=%u -m %u "
                       "-nodefaults %s",
                       ends->root, v->rt ? "on" : "off", cpu, RAM_MIB, options);
}

static void start_both(Ends *ends, const Variant *v)
{
    ends->directory = g_dir_make_tmp("nfv-migration-XXXXXX", NULL);
    ends->root = nfv_test_root_new();
    ends->from_cpu = nfv_test_cpu(0);
    /* Another one, where one is left for housekeeping then. */
    ends->to_cpu = nfv_test_cpu(nfv_test_cpus() > 2 ? 1 : 0);
    ends->from = start(ends, v, ends->from_cpu, "");
    ends->to = start(ends, v, ends->to_cpu, "-incoming defer");
}

static void stop_both(Ends *ends)
{
    g_autofree char *socket = g_strdup_printf("%s/socket", ends->directory);

    qtest_quit(ends->from);
    qtest_quit(ends->to);
    unlink(socket);
    rmdir(ends->directory);
    g_free(ends->directory);
    nfv_test_root_free(ends->root);
}

static void migrate_slowly(Ends *ends, const Variant *v)
{
    g_autofree char *uri = g_strdup_printf(v->listen, ends->directory);

    for (int i = 0; i < ARRAY_SIZE(v->capabilities) && v->capabilities[i];
         i++) {
        migrate_set_capability(ends->from, v->capabilities[i], true);
        migrate_set_capability(ends->to, v->capabilities[i], true);
    }
    migrate_set_parameter_int(ends->from, "max-bandwidth", SLOW);
    migrate_set_parameter_int(ends->from, "max-postcopy-bandwidth", SLOW);
    migrate_incoming_qmp(ends->to, uri, NULL, "{}");
    migrate_qmp(ends->from, ends->to, NULL, NULL, "{}");
    wait_for_migration_status(ends->from, "active", NULL);
}

static void finish(Ends *ends)
{
    migrate_set_parameter_int(ends->from, "max-bandwidth", 0);
    migrate_set_parameter_int(ends->from, "max-postcopy-bandwidth", 0);
    wait_for_migration_complete(ends->from);
    wait_for_migration_complete(ends->to);
}

/* Threads */

/* A thread of a migration starts when its channel does; wait for it. */
static void wait_for_thread(QTestState *qts, const char *pattern)
{
    for (int tries = 0; tries < 600; tries++) {
        QDict *info = nfv_test_query(qts);
        bool found = nfv_test_thread(info, pattern);

        qobject_unref(info);
        if (found) {
            return;
        }
        g_usleep(50 * 1000);
    }
    g_error("no thread has a name like '%s'", pattern);
}

/* All threads are where they should be as the kernel says, @pattern's too. */
static void check_threads(QTestState *qts, const Variant *v, unsigned cpu,
                          const char *pattern)
{
    g_autofree char *vcpu = g_strdup_printf("%u", cpu);
    g_autofree char *all = nfv_test_cpus_but(0);
    g_autoptr(GString) rest = g_string_new(NULL);
    g_auto(GStrv) cpus = g_strsplit(all, ",", -1);
    int policy = v->rt ? SCHED_FIFO : SCHED_OTHER;
    int priority = v->rt ? 1 : 0;

    for (char **c = cpus; *c; c++) {
        if (strcmp(*c, vcpu)) {
            g_string_append_printf(rest, "%s%s", rest->len ? "," : "", *c);
        }
    }
    const NfvExpect expect[] = {
        { "CPU 0/*", "vcpu", vcpu, policy, priority },
        { "main", "emulator", rest->str },
        { "IO *", "iothread", rest->str, .optional = true },
        { "mig/dst/fault", "fault", rest->str, policy, priority, true },
        { "mig/dst/preempt", "fault", rest->str, policy, priority, true },
        { "mig/src/return", "fault", rest->str, policy, priority, true },
        { "mig/*", "migration", rest->str, .optional = true },
        { "*", "worker", rest->str, .optional = true },
        { NULL },
    };

    if (pattern) {
        wait_for_thread(qts, pattern);
    }
    nfv_test_expect(qts, expect);
}

/* Tests */

static void test_migrate(const void *opaque)
{
    const Variant *v = opaque;
    Ends ends;

    if (!nfv_test_has_cpus(2) || (v->rt && !nfv_test_has_fifo())) {
        return;
    }
    if (v->postcopy && !ufd_version_check(NULL)) {
        g_test_skip("userfaultfd is not available");
        return;
    }
    start_both(&ends, v);
    write_pattern(ends.from);
    migrate_slowly(&ends, v);
    check_threads(ends.from, v, ends.from_cpu, "mig/src/main");
    if (v->postcopy) {
        qtest_qmp_assert_success(ends.from, "{ 'execute': "
                                            "'migrate-start-postcopy' }");
        wait_for_migration_status(ends.from, "postcopy-active", NULL);
        check_threads(ends.to, v, ends.to_cpu, "mig/dst/listen");
    }
    check_threads(ends.from, v, ends.from_cpu, v->source_thread);
    check_threads(ends.to, v, ends.to_cpu, v->destination_thread);
    finish(&ends);
    check_threads(ends.to, v, ends.to_cpu, NULL);
    check_pattern(ends.to);
    stop_both(&ends);
}

/*
 * After a cancelled migration no thread of it is left, and a second one works.
 */
static void test_cancel(void)
{
    const Variant *v = &variants[0];
    QDict *info;
    Ends ends;

    if (!nfv_test_has_cpus(2)) {
        return;
    }
    start_both(&ends, v);
    write_pattern(ends.from);
    migrate_slowly(&ends, v);
    wait_for_thread(ends.from, "mig/src/main");
    qtest_set_expected_status(ends.to, EXIT_FAILURE);
    qtest_qmp_assert_success(ends.from, "{ 'execute': 'migrate_cancel' }");
    wait_for_migration_status(ends.from, "cancelled", NULL);
    qtest_wait_qemu(ends.to);
    qtest_quit(ends.to);
    info = nfv_test_query(ends.from);
    g_assert(!nfv_test_thread(info, "mig/*"));
    qobject_unref(info);

    ends.to = start(&ends, v, ends.to_cpu, "-incoming defer");
    migrate_slowly(&ends, v);
    finish(&ends);
    check_pattern(ends.to);
    stop_both(&ends);
}

/* QEMU's own check of the machine's name; the source's guest lives on. */
static void refused(const char *from_machine, const char *to_machine,
                    const char *words)
{
    g_autofree char *directory = g_dir_make_tmp("nfv-migration-XXXXXX", NULL);
    g_autofree char *log = g_strdup_printf("%s/log", directory);
    g_autofree char *uri = g_strdup_printf("unix:%s/socket", directory);
    g_autofree char *path = g_strdup_printf("%s/socket", directory);
    g_autofree char *output = NULL;
    QTestState *from, *to;

    from = qtest_initf("-M %s -m %u -nodefaults", from_machine, RAM_MIB);
    to = qtest_initf("-M %s -m %u -nodefaults -incoming %s 2> %s", to_machine,
                     RAM_MIB, uri, log);
    write_pattern(from);
    qtest_set_expected_status(to, EXIT_FAILURE);
    migrate_qmp(from, to, uri, NULL, "{}");
    qtest_wait_qemu(to);
    qtest_quit(to);
    g_assert(g_file_get_contents(log, &output, NULL, NULL));
    g_test_message("%s", output);
    g_assert(strstr(output, words));
    wait_for_migration_fail(from, true);
    check_pattern(from);
    qtest_quit(from);
    unlink(log);
    unlink(path);
    rmdir(directory);
}

static void test_refuse_q35(void)
{
    refused("q35", "nfv",
            "Machine type received is 'pc-q35-10.0' and local "
            "is 'pc-q35-nfv-10.0'");
}

static void test_refuse_nfv(void)
{
    refused("nfv", "q35",
            "Machine type received is 'pc-q35-nfv-10.0' and "
            "local is 'pc-q35-10.0'");
}

int main(int argc, char **argv)
{
    nfv_test_init(&argc, &argv);
    for (int i = 0; i < ARRAY_SIZE(variants); i++) {
        g_autofree char *path =
            g_strdup_printf("nfv/migration/%s", variants[i].name);

        qtest_add_data_func(path, &variants[i], test_migrate);
    }
    qtest_add_func("nfv/migration/cancel", test_cancel);
    qtest_add_func("nfv/migration/from-q35", test_refuse_q35);
    qtest_add_func("nfv/migration/to-q35", test_refuse_nfv);
    return g_test_run();
}
