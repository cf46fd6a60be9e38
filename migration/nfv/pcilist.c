/*
 * The list of PCI devices on the wire
 *
 * Copyright (c) 2026 the kvm4nfv authors
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "qemu/osdep.h"
#include "qapi/error.h"
#include "qemu/units.h"
#include "pcilist.h"

const NfvRecordKind nfv_pcilist_kind = {
    .name = "list of PCI devices",
    .magic = 0x4e465650, /* "NFVP" */
    .version = 1,
    .max = MiB,
};

void nfv_pcilist_add(GByteArray *list, const char *path,
                     const uint8_t config[NFV_PCILIST_CONFIG])
{
    uint8_t length = strlen(path);

    g_byte_array_append(list, &length, 1);
    g_byte_array_append(list, (const uint8_t *)path, length);
    g_byte_array_append(list, config, NFV_PCILIST_CONFIG);
}

bool nfv_pcilist_parse(const uint8_t *payload, uint32_t length,
                       NfvPcilistDevice *device, void *opaque, Error **errp)
{
    NfvRecordRest rest = { payload, length };

    while (rest.length) {
        g_autofree char *path = nfv_record_take_string(&rest);
        const uint8_t *config =
            path ? nfv_record_take(&rest, NFV_PCILIST_CONFIG) : NULL;

        if (!config) {
            error_setg(errp, "%s: cut off", nfv_pcilist_kind.name);
            return false;
        }
        if (!device(opaque, path, config, errp)) {
            return false;
        }
    }
    return true;
}
