/*
 * The list of holes on the wire
 *
 * A record, whose payload has for each RAM block that has any:
 *     u8 length of its name, name, be32 number of runs
 *     runs, ascending: be64 first byte, be64 bytes
 *
 * Copyright (c) 2026 the kvm4nfv authors
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#ifndef MIGRATION_NFV_HOLELIST_H
#define MIGRATION_NFV_HOLELIST_H

#include "record.h"

extern const NfvRecordKind nfv_holelist_kind;

/*
 * Append the runs of at least @min_run set bits of @holes, one bit a page of 1 <<
 * @page_bits bytes.  @id: up to 255 bytes.
 */
void nfv_holelist_add(GByteArray *list, const char *id,
                      const unsigned long *holes, uint64_t pages,
                      unsigned page_bits, uint64_t min_run);

/* A run of holes in bytes.  False and @errp set to stop. */
typedef bool NfvHoleRun(void *opaque, const char *id, uint64_t start,
                        uint64_t length, Error **errp);

/* Call @run for each run; it may have been called if the rest is malformed. */
bool nfv_holelist_parse(const uint8_t *payload, uint32_t length,
                        NfvHoleRun *run, void *opaque, Error **errp);

#endif
