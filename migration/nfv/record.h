/*
 * Records: what both ends know of, amid the stream of RAM
 *
 *     be32 magic, be32 version, be32 length of the payload in bytes,
 *     be32 CRC32 (IEEE) of the payload, payload
 *
 * Copyright (c) 2026 the kvm4nfv authors
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#ifndef MIGRATION_NFV_RECORD_H
#define MIGRATION_NFV_RECORD_H

#define NFV_RECORD_HEADER 16 /* bytes */

typedef struct NfvRecordKind {
    const char *name; /* in messages */
    uint32_t magic, version;
    uint32_t max; /* bytes of payload */
} NfvRecordKind;

uint32_t nfv_record_magic(const uint8_t *header);

/* A record without payload; append that to it. */
GByteArray *nfv_record_new(const NfvRecordKind *kind);

/* Big endian; for those who append. */
void nfv_record_put32(GByteArray *record, uint32_t value);
void nfv_record_put64(GByteArray *record, uint64_t value);

/* Complete the header; then the array is what goes on the wire. */
void nfv_record_finish(GByteArray *record);

/*
 * Length of the payload that follows this header.  False and @errp set if it is
 * not of this kind.
 */
bool nfv_record_parse_header(const NfvRecordKind *kind, const uint8_t *header,
                             uint32_t *length, Error **errp);

/* Whether the payload is as it was sent.  False and @errp set if not. */
bool nfv_record_check(const NfvRecordKind *kind, const uint8_t *header,
                      const uint8_t *payload, uint32_t length, Error **errp);

/* What is left to read of a payload. */
typedef struct NfvRecordRest {
    const uint8_t *at;
    uint32_t length;
} NfvRecordRest;

/* The next @length bytes; NULL if there are not so many. */
const uint8_t *nfv_record_take(NfvRecordRest *rest, uint32_t length);

/* A string with its length before it, for g_free(); NULL if it is cut off. */
char *nfv_record_take_string(NfvRecordRest *rest);

#endif
