/*
 * The list of PCI devices on the wire
 *
 * A record, whose payload has for each device:
 *     u8 length of its path, path, NFV_PCILIST_CONFIG bytes of its
 *     configuration space
 *
 * Copyright (c) 2026 the kvm4nfv authors
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#ifndef MIGRATION_NFV_PCILIST_H
#define MIGRATION_NFV_PCILIST_H

#include "record.h"

#define NFV_PCILIST_CONFIG 256

extern const NfvRecordKind nfv_pcilist_kind;

/* @path: up to 255 bytes. */
void nfv_pcilist_add(GByteArray *list, const char *path,
                     const uint8_t config[NFV_PCILIST_CONFIG]);

/* False and @errp set to stop. */
typedef bool NfvPcilistDevice(void *opaque, const char *path,
                              const uint8_t *config, Error **errp);

/* Call @device for each; it may have been called if the rest is malformed. */
bool nfv_pcilist_parse(const uint8_t *payload, uint32_t length,
                       NfvPcilistDevice *device, void *opaque, Error **errp);

#endif
