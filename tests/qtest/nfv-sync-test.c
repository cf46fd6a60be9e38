/*
 * vCPU state that is fetched and put in parallel, through a migration
 *
 * Copyright (c) 2026 the kvm4nfv authors
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "qemu/osdep.h"
#include "libqtest.h"
#include "migration/bootfile.h"
#include "migration/migration-qmp.h"
#include "migration/migration-util.h"
#include "nfv/process.h"
#include "qobject/qdict.h"

#define PAGE 4096

typedef struct Variant {
    const char *name, *accel;
    int vcpus;
    bool on;
    const char *listen; /* %s is a directory */
    const char *capabilities[2];
    const char *options;
    bool parallel, postcopy;
} Variant;

#define TCP "tcp:127.0.0.1:0"
#define UNIX "unix:%s/socket"

static const Variant variants[] = {
    { "kvm/1", "kvm", 1, true, TCP },
    { "kvm/2", "kvm", 2, true, TCP, .parallel = true },
    { "kvm/4", "kvm", 4, true, UNIX, .parallel = true },
    { "kvm/4-multifd", "kvm", 4, true, TCP, { "multifd" }, .parallel = true },
    { "kvm/4-postcopy", "kvm", 4, true, UNIX, { "postcopy-ram" },
      .parallel = true, .postcopy = true },
    { "kvm/4-preempt", "kvm", 4, true, TCP,
      { "postcopy-ram", "postcopy-preempt" },
      .parallel = true, .postcopy = true },
    { "kvm/4-split-irqchip", "kvm", 4, true, TCP,
      .options = ",kernel-irqchip=split", .parallel = true },
    { "kvm/4-hyperv", "kvm", 4, true, TCP,
      .options = " -cpu qemu64,hv-relaxed" },
    { "kvm/4-off", "kvm", 4, false, TCP },
    { "tcg/2", "tcg", 2, true, TCP },
    { "tcg/2-multifd", "tcg", 2, true, UNIX, { "multifd" } },
    { "tcg/2-preempt", "tcg", 2, true, TCP,
      { "postcopy-ram", "postcopy-preempt" }, .postcopy = true },
    { "tcg/2-off", "tcg", 2, false, TCP },
};

/* Both ends */

typedef struct Ends {
    char *directory, *disk;
    QTestState *from, *to;
} Ends;

static char *log_of(const Ends *ends, const char *end)
{
    return g_strdup_printf("%s/log-%s", ends->directory, end);
}

/* The guest is that of QEMU's migration tests: vCPU 0 counts in its memory. */
static QTestState *start(const Ends *ends, const Variant *v, const char *end,
                         const char *options)
{
    g_autofree char *log = log_of(ends, end);
    QTestState *qts = qtest_initf(
        "-M nfv,hugepages=off,migration-vcpu-sync=%s -accel %s%s -smp %d "
        "-m 128 -nodefaults "
        "-drive if=none,id=disk,format=raw,readonly=on,file=%s "
        "-device virtio-blk-pci,drive=disk,secs=1,cyls=1,heads=1 -serial file:%s/serial-%s "
        "-trace nfv_vcpu_sync -D %s %s",
        v->on ? "on" : "off", v->accel, v->options ?: "", v->vcpus, ends->disk,
        ends->directory, end, log, options);

    for (int i = 0; i < ARRAY_SIZE(v->capabilities) && v->capabilities[i];
         i++) {
        migrate_set_capability(qts, v->capabilities[i], true);
    }
    return qts;
}

static void start_both(Ends *ends, const Variant *v)
{
    ends->directory = g_dir_make_tmp("nfv-sync-XXXXXX", NULL);
    ends->disk = bootfile_create(qtest_get_arch(), ends->directory, false);
    ends->from = start(ends, v, "from", "");
    ends->to = start(ends, v, "to", "-S -incoming defer");
}

static void remove_file(const Ends *ends, const char *name)
{
    g_autofree char *path = g_strdup_printf("%s/%s", ends->directory, name);

    unlink(path);
}

static void stop_both(Ends *ends)
{
    static const char *const files[] = { "log-from", "log-to", "serial-from",
                                         "serial-to", "socket" };

    for (int i = 0; i < ARRAY_SIZE(files); i++) {
        remove_file(ends, files[i]);
    }
    bootfile_delete();
    g_assert_cmpint(rmdir(ends->directory), ==, 0);
    g_free(ends->directory);
}

/* The guest counts: wait for it. */
static void wait_for_guest(QTestState *qts)
{
    uint8_t before = qtest_readb(qts, X86_TEST_MEM_START);

    for (int tries = 0; tries < 1200; tries++) {
        if (qtest_readb(qts, X86_TEST_MEM_START) != before) {
            return;
        }
        g_usleep(50 * 1000);
    }
    g_error("the guest does not run");
}

/* Each page counts as the one before it, or, after one place, one less. */
static void check_memory(QTestState *qts)
{
    uint8_t first = qtest_readb(qts, X86_TEST_MEM_START), last = first;
    int steps = 0;

    for (uint64_t at = X86_TEST_MEM_START + PAGE; at < X86_TEST_MEM_END;
         at += PAGE) {
        uint8_t now = qtest_readb(qts, at);

        if (now != last) {
            g_assert_cmpuint((uint8_t)(now + 1), ==, last);
            steps++;
            last = now;
        }
    }
    g_assert_cmpint(steps, <=, 1);
}

/* How often all vCPUs went in parallel so far, in the direction @what. */
static int count_parallel(const Ends *ends, const Variant *v, const char *end,
                          const char *what)
{
    g_autofree char *log = log_of(ends, end);
    g_autofree char *event =
        g_strdup_printf("nfv_vcpu_sync %s: %d vCPUs, 1\n", what, v->vcpus);
    g_autofree char *text = NULL;
    int count = 0;

    if (g_file_get_contents(log, &text, NULL, NULL)) {
        for (char *at = text; (at = strstr(at, event)); at++) {
            count++;
        }
    }
    return count;
}

/* All vCPUs, as both ends have them while the guest stands still. */
static void compare_registers(const Ends *ends)
{
    static const char *const commands[] = { "info registers -a",
                                            "info lapic 0" };

    for (int i = 0; i < ARRAY_SIZE(commands); i++) {
        g_autofree char *from = qtest_hmp(ends->from, "%s", commands[i]);
        g_autofree char *to = qtest_hmp(ends->to, "%s", commands[i]);

        g_assert_cmpstr(from, ==, to);
    }
}

static void test_migrate(const void *opaque)
{
    const Variant *v = opaque;
    g_autofree char *uri = NULL;
    int gets, puts;
    Ends ends;

    if (!nfv_test_has_accel(v->accel)) {
        g_test_skip("this host cannot make a guest with this accelerator");
        return;
    }
    if (v->postcopy && !ufd_version_check(NULL)) {
        g_test_skip("userfaultfd is not available");
        return;
    }
    start_both(&ends, v);
    uri = g_strdup_printf(v->listen, ends.directory);
    wait_for_guest(ends.from);
    gets = count_parallel(&ends, v, "from", "get");
    puts = count_parallel(&ends, v, "to", "put");
    migrate_set_parameter_int(ends.from, "max-bandwidth", 0);
    migrate_set_parameter_int(ends.from, "downtime-limit", 5000);
    migrate_incoming_qmp(ends.to, uri, NULL, "{}");
    migrate_qmp(ends.from, ends.to, NULL, NULL, "{}");
    if (v->postcopy) {
        qtest_qmp_assert_success(ends.from, "{ 'execute': "
                                            "'migrate-start-postcopy' }");
    }
    wait_for_migration_complete(ends.from);
    wait_for_migration_complete(ends.to);
    gets = count_parallel(&ends, v, "from", "get") - gets;
    puts = count_parallel(&ends, v, "to", "put") - puts;
    g_assert_cmpint(gets, ==, v->parallel);
    g_assert_cmpint(puts, ==, v->parallel);
    compare_registers(&ends);
    check_memory(ends.to);
    qtest_qmp_assert_success(ends.to, "{ 'execute': 'cont' }");
    wait_for_guest(ends.to);
    qtest_qmp_assert_success(ends.to, "{ 'execute': 'stop' }");
    check_memory(ends.to);
    qtest_quit(ends.from);
    qtest_quit(ends.to);
    stop_both(&ends);
}

/*
 * A guest that is reset while its state is fetched: both want all vCPUs, from
 * two threads.  Neither waits for ever, and the vCPUs of both ends still work.
 */
static void test_reset(void)
{
    static const Variant v = { .accel = "kvm", .vcpus = 4, .on = true };
    g_autofree char *uri = NULL;
    Ends ends;

    if (!nfv_test_has_accel(v.accel)) {
        g_test_skip("this host cannot make a guest with KVM");
        return;
    }
    start_both(&ends, &v);
    uri = g_strdup_printf(UNIX, ends.directory);
    wait_for_guest(ends.from);
    migrate_set_parameter_int(ends.from, "max-bandwidth", 0);
    migrate_set_parameter_int(ends.from, "downtime-limit", 5000);
    migrate_incoming_qmp(ends.to, uri, NULL, "{}");
    migrate_qmp(ends.from, ends.to, NULL, NULL, "{}");
    while (true) {
        QDict *status = migrate_query_not_failed(ends.from);
        bool completed =
            !strcmp(qdict_get_str(status, "status"), "completed");

        qobject_unref(status);
        if (completed) {
            break;
        }
        qtest_qmp_assert_success(ends.from, "{ 'execute': 'system_reset' }");
    }
    wait_for_migration_complete(ends.to);
    /* From its firmware on: not each KVM goes on in the middle of that. */
    qtest_qmp_assert_success(ends.to, "{ 'execute': 'system_reset' }");
    qtest_qmp_assert_success(ends.to, "{ 'execute': 'cont' }");
    wait_for_guest(ends.to);
    g_free(qtest_hmp(ends.from, "info registers -a"));
    qtest_quit(ends.from);
    qtest_quit(ends.to);
    stop_both(&ends);
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    for (int i = 0; i < ARRAY_SIZE(variants); i++) {
        g_autofree char *path =
            g_strdup_printf("nfv/sync/%s", variants[i].name);

        qtest_add_data_func(path, &variants[i], test_migrate);
    }
    qtest_add_func("nfv/sync/kvm/reset", test_reset);
    return g_test_run();
}
