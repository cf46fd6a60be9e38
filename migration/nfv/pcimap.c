/*
 * PCI map: what the guest has mapped is mapped at the destination while the
 * guest still runs at the source
 *
 * To map a region QEMU renders all address spaces anew, of which each virtio
 * device has three, so that the time grows with the square of their number.
 * Guests hardly ever move their devices: what was mapped before the stop is
 * left as it is when the device itself is loaded.
 *
 * Copyright (c) 2026 the kvm4nfv authors
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "qemu/osdep.h"
#include "qapi/error.h"
#include "qemu/main-loop.h"
#include "qemu/module.h"
#include "exec/memory.h"
#include "hw/pci-host/q35.h"
#include "hw/pci/pci.h"
#include "hw/pci/pci_bridge.h"
#include "hw/southbridge/ich9.h"
#include "migration/misc.h"
#include "migration/nfv.h"
#include "migration/options.h"
#include "system/runstate.h"
#include "pcilist.h"
#include "stream.h"
#include "trace.h"

typedef void WriteConfig(PCIDevice *d, uint32_t address, uint32_t value,
                         int length);

/* Registers that map something, in the order in which they are written. */
typedef struct Register {
    uint8_t at, length;
} Register;

static const Register of_device[] = {
    { PCI_BASE_ADDRESS_0, 4 }, { PCI_BASE_ADDRESS_1, 4 },
    { PCI_BASE_ADDRESS_2, 4 }, { PCI_BASE_ADDRESS_3, 4 },
    { PCI_BASE_ADDRESS_4, 4 }, { PCI_BASE_ADDRESS_5, 4 },
    { PCI_ROM_ADDRESS, 4 },    { PCI_COMMAND, 2 },
    {},
};

static const Register of_bridge[] = {
    { PCI_BASE_ADDRESS_0, 4 },    { PCI_BASE_ADDRESS_1, 4 },
    { PCI_PRIMARY_BUS, 4 },       { PCI_IO_BASE, 2 },
    { PCI_MEMORY_BASE, 4 },       { PCI_PREF_MEMORY_BASE, 4 },
    { PCI_PREF_BASE_UPPER32, 4 }, { PCI_PREF_LIMIT_UPPER32, 4 },
    { PCI_IO_BASE_UPPER16, 4 },   { PCI_ROM_ADDRESS1, 4 },
    { PCI_COMMAND, 2 },           {},
};

static const Register of_mch[] = {
    { MCH_HOST_BRIDGE_PAM0, 4 },
    { MCH_HOST_BRIDGE_PAM0 + 4, 2 },
    { MCH_HOST_BRIDGE_PAM0 + 6, 1 },
    {},
};

static const Register of_lpc[] = {
    { ICH9_LPC_PMBASE, 4 },
    { ICH9_LPC_ACPI_CTRL, 1 },
    {},
};

/* Bridges that were mapped; they are compared only. */
static GHashTable *mapped_bridges;

/*
 * How this device can be mapped without any other effect; NULL if it cannot.
 * virtio's own function also starts and stops the device.
 */
static const Register *registers_of(PCIDevice *d, WriteConfig **write)
{
    *write = pci_default_write_config;
    if (IS_PCI_BRIDGE(d)) {
        *write = pci_bridge_write_config;
        return of_bridge;
    }
    if (object_dynamic_cast(OBJECT(d), "virtio-pci")) {
        return of_device;
    }
    *write = d->config_write;
    return object_dynamic_cast(OBJECT(d), TYPE_MCH_PCI_DEVICE)  ? of_mch :
           object_dynamic_cast(OBJECT(d), TYPE_ICH9_LPC_DEVICE) ? of_lpc :
                                                                  NULL;
}

typedef void ForDevice(PCIDevice *d, const char *path, void *opaque);

typedef struct Walk {
    ForDevice *visit;
    void *opaque;
} Walk;

static int walk_object(Object *obj, void *opaque)
{
    Walk *walk = opaque;
    PCIDevice *d = (PCIDevice *)object_dynamic_cast(obj, TYPE_PCI_DEVICE);

    if (d && DEVICE(d)->realized && pci_config_size(d) >= NFV_PCILIST_CONFIG) {
        g_autofree char *path = qdev_get_dev_path(DEVICE(d));

        if (path && strlen(path) < 256) {
            walk->visit(d, path, walk->opaque);
        }
    }
    return 0;
}

/* With the BQL. */
static void for_each_device(ForDevice *visit, void *opaque)
{
    Walk walk = { visit, opaque };

    object_child_foreach_recursive(object_get_root(), walk_object, &walk);
}

/* Source */

static void save_device(PCIDevice *d, const char *path, void *opaque)
{
    WriteConfig *unused;

    if (registers_of(d, &unused)) {
        nfv_pcilist_add(opaque, path, d->config);
    }
}

void nfv_pcimap_save(QEMUFile *f)
{
    g_autoptr(GByteArray) list = NULL;
    uint32_t features = 0;

    if (!nfv_migration_settings()->pcimap || migrate_mapped_ram() ||
        nfv_migration_peer(&features, true) != NFV_PEER_NFV ||
        !(features & NFV_FEATURE_PCIMAP)) {
        return;
    }
    list = nfv_record_new(&nfv_pcilist_kind);
    bql_lock();
    for_each_device(save_device, list);
    bql_unlock();
    nfv_record_finish(list);
    nfv_stream_send(f, list);
    trace_nfv_pcimap_save(list->len);
}

/* Destination */

static void map_device(PCIDevice *d, const uint8_t *config)
{
    WriteConfig *write;
    const Register *r = registers_of(d, &write);

    if (!r) {
        return;
    }
    for (; r->length; r++) {
        write(d, r->at, pci_get_long(config + r->at), r->length);
    }
    if (IS_PCI_BRIDGE(d)) {
        g_hash_table_add(mapped_bridges, d);
    }
}

static void enter_device(PCIDevice *d, const char *path, void *opaque)
{
    g_hash_table_insert(opaque, g_strdup(path), d);
}

static bool check_device(void *opaque, const char *path, const uint8_t *config,
                         Error **errp)
{
    PCIDevice *d = g_hash_table_lookup(opaque, path);

    /* Which differ, QEMU finds when it loads them, and says so. */
    if (d && pci_get_long(config) == pci_get_long(d->config)) {
        map_device(d, config);
    }
    return true;
}

static bool load_list(const uint8_t *payload, uint32_t length, Error **errp)
{
    g_autoptr(GHashTable) devices = NULL;
    bool ok;

    if (!nfv_migration_settings()->pcimap) {
        error_setg(errp, "%s: it came though pcimap is off here",
                   nfv_pcilist_kind.name);
        return false;
    }
    if (!runstate_check(RUN_STATE_INMIGRATE) || mapped_bridges) {
        error_setg(errp, "%s: it came twice, or too late",
                   nfv_pcilist_kind.name);
        return false;
    }
    mapped_bridges = g_hash_table_new(NULL, NULL);
    devices = g_hash_table_new_full(g_str_hash, g_str_equal, g_free, NULL);
    for_each_device(enter_device, devices);
    memory_region_transaction_begin();
    ok = nfv_pcilist_parse(payload, length, check_device, devices, errp);
    memory_region_transaction_commit();
    trace_nfv_pcimap_load(length);
    return ok;
}

bool nfv_pcimap_keeps(PCIDevice *d, const uint8_t *config)
{
    if (!mapped_bridges || !g_hash_table_contains(mapped_bridges, d)) {
        return false;
    }
    for (const Register *r = of_bridge; r->length; r++) {
        if (memcmp(d->config + r->at, config + r->at, r->length)) {
            return false;
        }
    }
    return true;
}

/* From here on the guest maps what it likes. */
static void forget_bridges(void *opaque, bool running, RunState state)
{
    if (running) {
        g_clear_pointer(&mapped_bridges, g_hash_table_unref);
    }
}

static void pcimap_register(void)
{
    nfv_stream_register(&nfv_pcilist_kind, load_list);
    qemu_add_vm_change_state_handler(forget_bridges, NULL);
}
migration_init(pcimap_register);
