/*
 * The list of holes on the wire
 *
 *     be32 magic "NFVH", be32 version, be32 length of the payload in bytes,
 *     be32 CRC32 (IEEE) of the payload
 *     payload, for each RAM block that has any:
 *         u8 length of its name, name, be32 number of runs
 *         runs, ascending: be64 first byte, be64 bytes
 *
 * Copyright (c) 2026 the kvm4nfv authors
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#ifndef MIGRATION_NFV_HOLELIST_H
#define MIGRATION_NFV_HOLELIST_H

#define NFV_HOLELIST_HEADER 16              /* bytes */
#define NFV_HOLELIST_MAX (16 * 1024 * 1024) /* bytes of payload */
#define NFV_HOLELIST_VERSION 1

/* A list without a block. */
GByteArray *nfv_holelist_new(void);

/*
 * Add the runs of at least @min_run set bits of @holes, one bit a page of 1 <<
 * @page_bits bytes.  @id: up to 255 bytes.
 */
void nfv_holelist_add(GByteArray *list, const char *id,
                      const unsigned long *holes, uint64_t pages,
                      unsigned page_bits, uint64_t min_run);

/* Complete the header; then the array is what goes on the wire. */
void nfv_holelist_finish(GByteArray *list);

/*
 * Length of the payload that follows this header.  False and @errp set if it is
 * none.
 */
bool nfv_holelist_parse_header(const uint8_t *header, uint32_t *length,
                               Error **errp);

/* A run of holes in bytes.  False and @errp set to stop. */
typedef bool NfvHoleRun(void *opaque, const char *id, uint64_t start,
                        uint64_t length, Error **errp);

/*
 * Call @run for each run.  It is not called at all if the payload does not
 * match @header's CRC; it may have been called if the payload is malformed.
 */
bool nfv_holelist_parse(const uint8_t *header, const uint8_t *payload,
                        uint32_t length, NfvHoleRun *run, void *opaque,
                        Error **errp);

#endif
