/*
 * Records in the stream of RAM
 *
 * Copyright (c) 2026 the kvm4nfv authors
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#ifndef MIGRATION_NFV_STREAM_H
#define MIGRATION_NFV_STREAM_H

#include "record.h"

/* Send a finished record, within a section of RAM.  Migration thread. */
void nfv_stream_send(QEMUFile *f, const GByteArray *record);

/*
 * Destination: such a record has come; its checksum is right, the payload has
 * yet to be believed.  False and @errp set ends the migration.  Thread that
 * loads.
 */
typedef bool NfvStreamLoad(const uint8_t *payload, uint32_t length,
                           Error **errp);

/* The records that nfv_stream_start() sends, where both ends can do with them. */

/* Where the guest has mapped its PCI devices. */
void nfv_pcimap_save(QEMUFile *f);

/*
 * Find the holes, and leave them out, or remember them to be sent as zero
 * without being read.
 */
void nfv_popmap_save(QEMUFile *f);

/* None of them has come. */
void nfv_popmap_load_setup(void);

/* Before the first migration. */
void nfv_stream_register(const NfvRecordKind *kind, NfvStreamLoad *load);

#endif
