/*
 * Records: what both ends know of, amid the stream of RAM
 *
 * Copyright (c) 2026 the kvm4nfv authors
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "qemu/osdep.h"
#include <zlib.h>
#include "qapi/error.h"
#include "qemu/bswap.h"
#include "record.h"

/* Where things are in a header. */
enum { MAGIC = 0, VERSION = 4, LENGTH = 8, CRC = 12 };

uint32_t nfv_record_magic(const uint8_t *header)
{
    return ldl_be_p(header + MAGIC);
}

void nfv_record_put32(GByteArray *record, uint32_t value)
{
    uint8_t bytes[4];

    stl_be_p(bytes, value);
    g_byte_array_append(record, bytes, sizeof(bytes));
}

void nfv_record_put64(GByteArray *record, uint64_t value)
{
    uint8_t bytes[8];

    stq_be_p(bytes, value);
    g_byte_array_append(record, bytes, sizeof(bytes));
}

GByteArray *nfv_record_new(const NfvRecordKind *kind)
{
    GByteArray *record = g_byte_array_new();

    nfv_record_put32(record, kind->magic);
    nfv_record_put32(record, kind->version);
    nfv_record_put64(record, 0); /* length and CRC */
    return record;
}

void nfv_record_finish(GByteArray *record)
{
    uint32_t length = record->len - NFV_RECORD_HEADER;

    stl_be_p(record->data + LENGTH, length);
    stl_be_p(record->data + CRC,
             crc32(0, record->data + NFV_RECORD_HEADER, length));
}

bool nfv_record_parse_header(const NfvRecordKind *kind, const uint8_t *header,
                             uint32_t *length, Error **errp)
{
    uint32_t version = ldl_be_p(header + VERSION);

    *length = ldl_be_p(header + LENGTH);
    if (nfv_record_magic(header) != kind->magic) {
        error_setg(errp, "%s: magic 0x%08x is not 0x%08x", kind->name,
                   nfv_record_magic(header), kind->magic);
    } else if (version != kind->version) {
        error_setg(errp,
                   "%s: version %u is not %u; both ends of the migration need "
                   "a QEMU that knows it",
                   kind->name, version, kind->version);
    } else if (*length > kind->max) {
        error_setg(errp, "%s: %u bytes are more than %u", kind->name, *length,
                   kind->max);
    } else {
        return true;
    }
    return false;
}

bool nfv_record_check(const NfvRecordKind *kind, const uint8_t *header,
                      const uint8_t *payload, uint32_t length, Error **errp)
{
    uint32_t crc = crc32(0, payload, length);

    if (crc != ldl_be_p(header + CRC)) {
        error_setg(errp, "%s: checksum 0x%08x is not 0x%08x", kind->name, crc,
                   ldl_be_p(header + CRC));
        return false;
    }
    return true;
}

const uint8_t *nfv_record_take(NfvRecordRest *rest, uint32_t length)
{
    const uint8_t *taken = rest->at;

    if (length > rest->length) {
        return NULL;
    }
    rest->at += length;
    rest->length -= length;
    return taken;
}

char *nfv_record_take_string(NfvRecordRest *rest)
{
    const uint8_t *length = nfv_record_take(rest, 1);
    const uint8_t *text = length ? nfv_record_take(rest, *length) : NULL;

    return text ? g_strndup((const char *)text, *length) : NULL;
}
