/*
 * PCI devices are mapped before the stop, where the guest has mapped them
 *
 * Copyright (c) 2026 the kvm4nfv authors
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "qemu/osdep.h"
#include "qemu/bswap.h"
#include "hw/pci/pci_regs.h"
#include "libqtest.h"
#include "migration/migration-qmp.h"
#include "migration/migration-util.h"
#include "migration/nfv/pcilist.h"
#include "nfv/hostile.h"

#define ON "-global migration.pcimap=on"
/* A virtio device on the root bus, others behind a root port and a bridge. */
#define DEVICES                                                      \
    " -device virtio-rng-pci,addr=5"                                 \
    " -device pcie-root-port,id=rp,chassis=1,addr=6"               \
    " -device virtio-rng-pci,bus=rp"                                 \
    " -device pcie-pci-bridge,id=bridge,addr=7"                      \
    " -device virtio-rng-pci,bus=bridge,addr=1"                      \
    " -device e1000e,romfile=,addr=8"

/* What firmware does. */

static void select_register(QTestState *qts, unsigned bus, unsigned slot,
                            unsigned at)
{
    qtest_outl(qts, 0xcf8, 0x80000000 | bus << 16 | slot << 11 | (at & ~3));
}

static void put_config(QTestState *qts, unsigned bus, unsigned slot,
                       unsigned at, uint32_t value)
{
    select_register(qts, bus, slot, at);
    qtest_outl(qts, 0xcfc, value);
}

static uint32_t get_config(QTestState *qts, unsigned bus, unsigned slot,
                           unsigned at)
{
    select_register(qts, bus, slot, at);
    return qtest_inl(qts, 0xcfc);
}

static void map_virtio(QTestState *qts, unsigned bus, unsigned slot,
                       uint32_t address)
{
    put_config(qts, bus, slot, PCI_BASE_ADDRESS_1, address);
    put_config(qts, bus, slot, PCI_BASE_ADDRESS_4, address + 0x4000);
    put_config(qts, bus, slot, PCI_BASE_ADDRESS_5, 0);
    put_config(qts, bus, slot, PCI_COMMAND,
               PCI_COMMAND_MEMORY | PCI_COMMAND_MASTER);
}

static void map_bridge(QTestState *qts, unsigned slot, unsigned bus,
                       uint32_t address)
{
    put_config(qts, 0, slot, PCI_PRIMARY_BUS, bus << 16 | bus << 8);
    put_config(qts, 0, slot, PCI_MEMORY_BASE, address >> 16 | address);
    put_config(qts, 0, slot, PCI_PREF_MEMORY_BASE,
               (address + 0x100000) >> 16 | (address + 0x100000));
    put_config(qts, 0, slot, PCI_COMMAND,
               PCI_COMMAND_MEMORY | PCI_COMMAND_MASTER);
}

static void map_all(QTestState *qts)
{
    map_virtio(qts, 0, 5, 0xe0000000);
    map_bridge(qts, 6, 1, 0xe1000000);
    map_virtio(qts, 1, 0, 0xe1000000);
    map_bridge(qts, 7, 2, 0xe2000000);
    map_virtio(qts, 2, 1, 0xe2000000);
    put_config(qts, 0, 8, PCI_BASE_ADDRESS_0, 0xe3000000);
    put_config(qts, 0, 8, PCI_COMMAND, PCI_COMMAND_MEMORY);
    put_config(qts, 0, 0, 0x90, 0x33333330); /* PAM */
    put_config(qts, 0, 0x1f, 0x40, 0x601);   /* PMBASE */
    put_config(qts, 0, 0x1f, 0x44, 0x80);
}

/* The ranges of the view that "memory" has. */
static char *memory_ranges(QTestState *qts)
{
    g_autofree char *map = qtest_hmp(qts, "info mtree -f");
    g_auto(GStrv) views = g_strsplit(map, "FlatView #", -1);

    for (char **view = views; *view; view++) {
        if (strstr(*view, "AS \"memory\", root: system")) {
            char *ranges = strchr(strstr(*view, "Root memory region"), '\n');

            g_assert_nonnull(ranges);
            return g_strdup(ranges);
        }
    }
    g_assert_not_reached();
}

/* How many regions of virtio devices the map has. */
static unsigned count_virtio(const char *ranges)
{
    unsigned count = 0;

    while ((ranges = strstr(ranges, "virtio-pci-common"))) {
        ranges++;
        count++;
    }
    return count;
}

static void check_same(NfvEnds *ends)
{
    g_autofree char *from = memory_ranges(ends->from);
    g_autofree char *to = memory_ranges(ends->to);

    g_assert_cmpstr(from, ==, to);
    for (unsigned at = 0; at < 64; at += 4) {
        g_assert_cmphex(get_config(ends->from, 0, 5, at), ==,
                        get_config(ends->to, 0, 5, at));
        g_assert_cmphex(get_config(ends->from, 1, 0, at), ==,
                        get_config(ends->to, 1, 0, at));
        g_assert_cmphex(get_config(ends->from, 0, 7, at), ==,
                        get_config(ends->to, 0, 7, at));
    }
}

/* What the guest does between the list and the stop. */
typedef void Change(QTestState *qts);

typedef struct Case {
    const char *name;
    bool from, to;  /* the switch */
    bool mapped;    /* before the stop */
    Change *change;
} Case;

static void move_devices(QTestState *qts)
{
    map_virtio(qts, 0, 5, 0xe4000000);
    map_bridge(qts, 6, 1, 0xe5000000);
    map_virtio(qts, 1, 0, 0xe5000000);
    put_config(qts, 0, 0, 0x90, 0x11111110);
    put_config(qts, 0, 0x1f, 0x40, 0x701);
}

static void unmap_devices(QTestState *qts)
{
    put_config(qts, 0, 5, PCI_COMMAND, 0);
    put_config(qts, 0, 6, PCI_COMMAND, 0);
    put_config(qts, 0, 0x1f, 0x44, 0);
}

static const Case cases[] = {
    { "both", true, true, true },
    { "moved", true, true, true, move_devices },
    { "unmapped", true, true, true, unmap_devices },
    { "source-only", true, false, false },
    { "destination-only", false, true, false },
    { "off", false, false, false },
};

static void start_ends(NfvEnds *ends, const char *from, const char *to)
{
    g_autofree char *from_options = g_strconcat(from, DEVICES, NULL);
    g_autofree char *to_options =
        g_strconcat(to, DEVICES " -incoming defer", NULL);

    ends->from = nfv_ends_start(ends, "from", false, NULL, from_options);
    ends->to = nfv_ends_start(ends, "to", false, NULL, to_options);
    migrate_set_capability(ends->from, "return-path", true);
    migrate_set_capability(ends->to, "return-path", true);
    map_all(ends->from);
}

static void test_case(const void *opaque)
{
    const Case *c = opaque;
    g_autoptr(NfvEnds) ends = nfv_ends_new();
    g_autofree char *path = nfv_ends_path(ends, "socket");
    g_autofree char *uri = g_strdup_printf("unix:%s", path);
    const char *on = ON " -global migration.vmstate=on";
    g_autofree char *before = NULL;

    start_ends(ends, c->from ? on : "", c->to ? on : "");
    /* Until the guest may stop there is time to look, and to move. */
    migrate_set_capability(ends->from, "pause-before-switchover", true);
    migrate_incoming_qmp(ends->to, uri, NULL, "{}");
    migrate_set_parameter_int(ends->from, "max-bandwidth", 1 * 1000 * 1000);
    migrate_set_parameter_int(ends->from, "downtime-limit", 1);
    nfv_ends_write(ends->from, 4096, 4096, 1, 1);
    migrate_qmp(ends->from, ends->to, uri, NULL, "{}");
    wait_for_migration_status(ends->to, "active", NULL);
    for (int i = 0; i < 200 && c->mapped; i++) {
        g_free(before);
        before = memory_ranges(ends->to);
        if (count_virtio(before) == 3) {
            break;
        }
        g_usleep(10000);
    }
    if (c->mapped) {
        g_assert_cmpuint(count_virtio(before), ==, 3);
    }
    if (c->change) {
        c->change(ends->from);
    }
    migrate_set_parameter_int(ends->from, "max-bandwidth", 0);
    wait_for_migration_status(ends->from, "pre-switchover", NULL);
    if (!c->mapped) {
        before = memory_ranges(ends->to);
        g_assert_cmpuint(count_virtio(before), ==, 0);
    }
    migrate_continue(ends->from, "pre-switchover");
    wait_for_migration_complete(ends->from);
    wait_for_migration_complete(ends->to);
    check_same(ends);
}

/* Hostile lists */

static bool unknown(GByteArray *list)
{
    list->data[NFV_HOSTILE_MAGIC + 3] = '?';
    return true;
}

/* Devices that are not there, and addresses that make no sense. */
static bool nonsense(GByteArray *list)
{
    g_autoptr(GByteArray) other = nfv_record_new(&nfv_pcilist_kind);
    uint8_t config[NFV_PCILIST_CONFIG];

    memset(config, 0xff, sizeof(config));
    nfv_pcilist_add(other, "0000:00:1e.7", config);
    nfv_pcilist_add(other, "", config);
    for (unsigned slot = 0; slot < 9; slot++) {
        g_autofree char *path = g_strdup_printf("0000:00:%02x.0", slot);

        /* The right kind of device, then nothing that is right. */
        stl_le_p(config, slot == 0 ? 0x29c08086 :
                         slot == 6 ? 0x000c1b36 :
                         slot == 7 ? 0x000e1b36 : 0x10051af4);
        nfv_pcilist_add(other, path, config);
    }
    nfv_record_finish(other);
    g_byte_array_set_size(list, NFV_HOSTILE_MAGIC);
    g_byte_array_append(list, other->data, other->len);
    return true;
}

static const NfvHostile hostiles[] = {
    { "good", nfv_hostile_leave },
    { "nonsense", nonsense },
    { "flipped", nfv_hostile_flip, "list of PCI devices: checksum" },
    { "newer", nfv_hostile_newer, "list of PCI devices: version 2 is not 1" },
    { "unknown", unknown, "a record with magic 0x4e46563f came" },
    { "truncated", nfv_hostile_truncate, "list of PCI devices: cut off" },
    { "twice", nfv_hostile_twice, "list of PCI devices: it came twice" },
    { "unasked", nfv_hostile_leave,
      "list of PCI devices: it came though pcimap is off", true },
};

static void test_hostile(const void *opaque)
{
    const NfvHostile *c = opaque;
    g_autoptr(NfvEnds) ends = nfv_ends_new();

    start_ends(ends, ON, c->off ? "-global migration.vmstate=on" : ON);
    nfv_hostile_migrate(ends, c);
    if (!c->words) {
        check_same(ends);
    }
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    for (int i = 0; i < ARRAY_SIZE(cases); i++) {
        g_autofree char *path = g_strdup_printf("nfv/pcimap/%s", cases[i].name);

        qtest_add_data_func(path, &cases[i], test_case);
    }
    nfv_hostile_add("nfv/pcimap/hostile", hostiles, ARRAY_SIZE(hostiles),
                    test_hostile);
    return g_test_run();
}
