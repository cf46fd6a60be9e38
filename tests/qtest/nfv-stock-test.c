/*
 * Migration to and from stock QEMU, with each switch that it does not know
 *
 * The guest runs, and stands still at the destination, so that all that both
 * ends have can be compared.
 *
 * Copyright (c) 2026 the kvm4nfv authors
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "qemu/osdep.h"
#include "libqtest.h"
#include "migration/bootfile.h"
#include "migration/migration-qmp.h"
#include "migration/migration-util.h"
#include "nfv/ends.h"
#include "nfv/process.h"
#include "nfv/stock.h"
#include "qobject/qdict.h"

#define MIB (1024 * 1024)
#define RAM_MIB 128
#define SLOW (16 * MIB) /* bytes a second */
#define WHENEVER 60000  /* ms that a stop of the busy guest fits */
#define LAST_PAGE (X86_TEST_MEM_END - TEST_MEM_PAGE_SIZE)

static const char *ended[] = { "failed", "completed", NULL };

/*
 * Devices that firmware maps: on the root bus, and behind a port.  The clock of
 * the host must not show in their state.
 */
#define MACHINE                                                         \
    "-M q35 -smp 2 -m 128 -nodefaults -rtc clock=vm -serial null "      \
    "-device virtio-blk-pci,drive=d,secs=1,cyls=1,heads=1 "             \
    "-device virtio-rng-pci,addr=5 -device qemu-xhci,addr=6 "           \
    "-device pcie-root-port,id=rp,chassis=1,addr=7 "                    \
    "-device virtio-net-pci,romfile=,bus=rp "

/* Switches of our end */

#define VMSTATE "-global migration.vmstate=on "
#define VMDESC VMSTATE "-global migration.vmdesc=off "
#define NET "-global migration.net=on "
#define SYNC "-global migration.vcpu-sync=on "
#define PCIMAP "-global migration.pcimap=on "
#define ALL                                                            \
    VMDESC NET SYNC PCIMAP                                             \
    "-global migration.popmap=on -global migration.policy=on "         \
    "-global migration.heat=on -global migration.postcopy=on "         \
    "-global migration.early-discard=on -global migration.hot-push=on " \
    "-global migration.prefetch=on "

typedef struct Module {
    const char *name, *options;
    const char *events; /* pattern of what it could say in its trace */
    /* What it says at either end; NULL: nothing, stock would not know it. */
    const char *as_source, *as_destination;
    bool tcp, kvm; /* only then */
} Module;

static const Module modules[] = {
    { "vmstate", VMSTATE, "nfv_vmstate_*", "nfv_vmstate_save env.regs:",
      "nfv_vmstate_load vqs:" },
    { "vmdesc", VMDESC, "nfv_vmdesc_*", "nfv_vmdesc_left_out", NULL },
    { "net", NET, "nfv_net_nodelay", "nfv_net_nodelay", "nfv_net_nodelay",
      .tcp = true },
    { "vcpu-sync", SYNC, "nfv_vcpu_sync", "nfv_vcpu_sync get: 2 vCPUs, 1",
      "nfv_vcpu_sync put: 2 vCPUs, 1", .kvm = true },
    { "pcimap", PCIMAP, "nfv_pcimap_*", NULL, NULL },
    { "all", ALL, "nfv_vm*", "nfv_vmstate_save vqs:", "nfv_vmstate_load vqs:" },
};

typedef struct Channel {
    const char *name, *listen; /* %s: directory */
    const char *capability;
    bool tcp, postcopy;
} Channel;

static const Channel channels[] = {
    { "tcp", "tcp:127.0.0.1:0", "return-path", .tcp = true },
    { "unix", "unix:%s/socket", "return-path" },
    { "multifd", "tcp:127.0.0.1:0", "multifd", .tcp = true },
    { "postcopy", "unix:%s/socket", "postcopy-ram", .postcopy = true },
};

typedef struct Case {
    const Module *module;
    const Channel *channel;
    bool to_stock; /* from stock otherwise */
} Case;

/* Both ends */

static const char *accel(void)
{
    return nfv_test_has_accel("kvm") ? "kvm" : "tcg";
}

static QTestState *start(NfvEnds *ends, const Case *c, const char *disk,
                         bool stock, const char *more)
{
    g_autofree char *trace = nfv_ends_path(ends, "trace");
    g_autofree char *ours = g_strdup_printf(
        "%s -trace %s -D %s", c->module->options, c->module->events, trace);
    g_autofree char *arguments = g_strdup_printf(
        "-accel %s " MACHINE
        "-drive if=none,id=d,format=raw,readonly=on,file=%s %s %s",
        accel(), disk, stock ? "" : ours, more);
    QTestState *qts = qtest_init_with_env(stock ? NFV_STOCK_ENV : NULL,
                                          arguments, true);

    migrate_set_capability(qts, "return-path", true);
    migrate_set_capability(qts, c->channel->capability, true);
    return qts;
}

/* The guest counts: wait for it. */
static void wait_for_guest(QTestState *qts)
{
    uint8_t before = qtest_readb(qts, LAST_PAGE);

    while (qtest_readb(qts, LAST_PAGE) == before) {
        g_usleep(10 * 1000);
    }
}

static void start_both(NfvEnds *ends, const Case *c)
{
    char *disk = bootfile_create("x86_64", ends->directory, false);

    ends->from = start(ends, c, disk, !c->to_stock, "");
    ends->to = start(ends, c, disk, c->to_stock, "-S -incoming defer");
    wait_for_guest(ends->from);
}

/* Pre-copy, of which some has gone before post-copy. */
static void migrate(NfvEnds *ends, const Channel *channel)
{
    g_autofree char *uri = nfv_ends_expand(ends, channel->listen);

    migrate_set_parameter_int(ends->from, "max-bandwidth", SLOW);
    migrate_set_parameter_int(ends->from, "downtime-limit", 1);
    migrate_incoming_qmp(ends->to, uri, NULL, "{}");
    migrate_qmp(ends->from, ends->to, NULL, NULL, "{}");
    wait_for_migration_status(ends->from, "active", ended);
    while (read_ram_property_int(ends->from, "transferred") < 4 * MIB) {
        g_usleep(10 * 1000);
    }
    if (channel->postcopy) {
        qtest_qmp_assert_success(ends->from, "{ 'execute': "
                                             "'migrate-start-postcopy' }");
        wait_for_migration_status(ends->from, "postcopy-active", ended);
        wait_for_migration_status(ends->to, "postcopy-active", ended);
        /* It has yet to come. */
        g_assert_cmphex(qtest_readb(ends->to, LAST_PAGE), ==,
                        qtest_readb(ends->from, LAST_PAGE));
    }
    migrate_set_parameter_int(ends->from, "max-bandwidth", 0);
    migrate_set_parameter_int(ends->from, "downtime-limit", WHENEVER);
    wait_for_migration_complete(ends->from);
    wait_for_migration_complete(ends->to);
}

/* What came */

static void compare_text(NfvEnds *ends, const char *command)
{
    g_autofree char *from = qtest_hmp(ends->from, "%s", command);
    g_autofree char *to = qtest_hmp(ends->to, "%s", command);

    g_assert_cmpstr(from, ==, to);
}

static void compare_devices(NfvEnds *ends)
{
    g_autoptr(GBytes) from = nfv_ends_save_devices(ends, ends->from);
    g_autoptr(GBytes) to = nfv_ends_save_devices(ends, ends->to);
    size_t from_size, to_size;
    const void *from_state = g_bytes_get_data(from, &from_size);
    const void *to_state = g_bytes_get_data(to, &to_size);

    g_assert_cmpmem(from_state, from_size, to_state, to_size);
}

static void compare(NfvEnds *ends)
{
    nfv_ends_compare(ends, 0, RAM_MIB * MIB);
    compare_text(ends, "info registers -a");
    compare_text(ends, "info lapic 0");
    compare_text(ends, "info lapic 1");
    compare_text(ends, "info pci");
    /* The kernel's own clocks go on. */
    if (!strcmp(accel(), "tcg")) {
        compare_devices(ends);
    }
}

/* The switch was at work, or had nothing to do. */
static void check_trace(NfvEnds *ends, const Case *c)
{
    g_autofree char *path = nfv_ends_path(ends, "trace");
    const char *words =
        c->to_stock ? c->module->as_source : c->module->as_destination;
    g_autofree char *text = NULL;

    if ((c->module->tcp && !c->channel->tcp) ||
        (c->module->kvm && strcmp(accel(), "kvm"))) {
        words = NULL;
    }
    g_file_get_contents(path, &text, NULL, NULL);
    if (words) {
        g_assert_nonnull(text);
        g_assert_nonnull(strstr(text, words));
    } else {
        g_assert_cmpstr(text ?: "", ==, "");
    }
}

static void check_peer(QTestState *qts)
{
    QDict *info = qtest_qmp_assert_success_ref(
        qts, "{ 'execute': 'query-nfv-migration' }");

    g_assert_cmpstr(qdict_get_str(info, "peer"), !=, "nfv");
    qobject_unref(info);
}

static void test_migrate(const void *opaque)
{
    const Case *c = opaque;
    g_autoptr(NfvEnds) ends = NULL;

    if (!nfv_has_stock()) {
        return;
    }
    if (c->channel->postcopy && !ufd_version_check(NULL)) {
        g_test_skip("userfaultfd is not available");
        return;
    }
    ends = nfv_ends_new();
    start_both(ends, c);
    migrate(ends, c->channel);
    check_trace(ends, c);
    compare(ends);
    if (c->to_stock) {
        check_peer(ends->from);
    }
    qtest_qmp_assert_success(ends->to, "{ 'execute': 'cont' }");
    wait_for_guest(ends->to);
    bootfile_delete();
}

/* Each pair of values of two columns; the rest of the matrix if slow. */
static void add_matrix(void)
{
    static Case cases[ARRAY_SIZE(modules) * ARRAY_SIZE(channels) * 2];

    for (int i = 0; i < ARRAY_SIZE(cases); i++) {
        int m = i / 2 / ARRAY_SIZE(channels), n = i / 2 % ARRAY_SIZE(channels);
        g_autofree char *path = NULL;

        cases[i] = (Case) { &modules[m], &channels[n], i % 2 };
        path = g_strdup_printf("nfv/stock/%s/%s/%s", modules[m].name,
                               channels[n].name, i % 2 ? "to" : "from");
        if (g_test_slow() || (m + n) % 2 == i % 2) {
            qtest_add_data_func(path, &cases[i], test_migrate);
        }
    }
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    add_matrix();
    return g_test_run();
}
