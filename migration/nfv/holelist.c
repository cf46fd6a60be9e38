/*
 * The list of holes on the wire
 *
 * Copyright (c) 2026 the kvm4nfv authors
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "qemu/osdep.h"
#include <zlib.h>
#include "qapi/error.h"
#include "qemu/bitmap.h"
#include "qemu/bswap.h"
#include "holelist.h"

#define MAGIC 0x4e465648 /* "NFVH" */

static void put32(GByteArray *list, uint32_t value)
{
    uint8_t bytes[4];

    stl_be_p(bytes, value);
    g_byte_array_append(list, bytes, sizeof(bytes));
}

static void put64(GByteArray *list, uint64_t value)
{
    uint8_t bytes[8];

    stq_be_p(bytes, value);
    g_byte_array_append(list, bytes, sizeof(bytes));
}

GByteArray *nfv_holelist_new(void)
{
    GByteArray *list = g_byte_array_new();

    put32(list, MAGIC);
    put32(list, NFV_HOLELIST_VERSION);
    put64(list, 0); /* length and CRC */
    return list;
}

void nfv_holelist_add(GByteArray *list, const char *id,
                      const unsigned long *holes, uint64_t pages,
                      unsigned page_bits, uint64_t min_run)
{
    uint8_t length = strlen(id);
    uint32_t runs = 0;
    guint count_at;

    g_byte_array_append(list, &length, 1);
    g_byte_array_append(list, (const uint8_t *)id, length);
    count_at = list->len;
    put32(list, 0);
    for (uint64_t end, first = find_first_bit(holes, pages); first < pages;
         first = find_next_bit(holes, pages, end)) {
        end = find_next_zero_bit(holes, pages, first);
        if (end - first >= min_run) {
            put64(list, first << page_bits);
            put64(list, (end - first) << page_bits);
            runs++;
        }
    }
    stl_be_p(list->data + count_at, runs);
}

void nfv_holelist_finish(GByteArray *list)
{
    uint32_t length = list->len - NFV_HOLELIST_HEADER;

    stl_be_p(list->data + 8, length);
    stl_be_p(list->data + 12,
             crc32(0, list->data + NFV_HOLELIST_HEADER, length));
}

bool nfv_holelist_parse_header(const uint8_t *header, uint32_t *length,
                               Error **errp)
{
    uint32_t version = ldl_be_p(header + 4);

    *length = ldl_be_p(header + 8);
    if (ldl_be_p(header) != MAGIC) {
        error_setg(errp, "list of holes: magic 0x%08x is not 0x%08x",
                   ldl_be_p(header), MAGIC);
    } else if (version != NFV_HOLELIST_VERSION) {
        error_setg(errp,
                   "list of holes: version %u is not %u; both ends of the "
                   "migration need a QEMU that knows it",
                   version, NFV_HOLELIST_VERSION);
    } else if (*length > NFV_HOLELIST_MAX) {
        error_setg(errp, "list of holes: %u bytes are more than %u", *length,
                   NFV_HOLELIST_MAX);
    } else {
        return true;
    }
    return false;
}

/* What is left to read. */
typedef struct Rest {
    const uint8_t *at;
    uint32_t length;
} Rest;

/* NULL if there is not so much. */
static const uint8_t *take(Rest *rest, uint32_t length)
{
    const uint8_t *taken = rest->at;

    if (length > rest->length) {
        return NULL;
    }
    rest->at += length;
    rest->length -= length;
    return taken;
}

/* "id" and its runs; the caller frees *@id.  False if it is cut off. */
static bool take_block(Rest *rest, char **id, uint32_t *runs)
{
    const uint8_t *length = take(rest, 1);
    const uint8_t *name = length ? take(rest, *length) : NULL;
    const uint8_t *count = name ? take(rest, 4) : NULL;

    if (!count) {
        return false;
    }
    *id = g_strndup((const char *)name, *length);
    *runs = ldl_be_p(count);
    return true;
}

static bool parse_runs(Rest *rest, const char *id, uint32_t runs,
                       NfvHoleRun *run, void *opaque, Error **errp)
{
    uint64_t last = 0;

    for (; runs; runs--) {
        const uint8_t *bytes = take(rest, 16);
        uint64_t start, length;

        if (!bytes) {
            error_setg(errp, "list of holes: cut off in '%s'", id);
            return false;
        }
        start = ldq_be_p(bytes);
        length = ldq_be_p(bytes + 8);
        if (start < last || !length || length > UINT64_MAX - start) {
            error_setg(errp,
                       "list of holes: '%s' has 0x%" PRIx64 " bytes at "
                       "0x%" PRIx64 " after 0x%" PRIx64,
                       id, length, start, last);
            return false;
        }
        if (!run(opaque, id, start, length, errp)) {
            return false;
        }
        last = start + length;
    }
    return true;
}

bool nfv_holelist_parse(const uint8_t *header, const uint8_t *payload,
                        uint32_t length, NfvHoleRun *run, void *opaque,
                        Error **errp)
{
    uint32_t crc = crc32(0, payload, length);
    Rest rest = { payload, length };

    if (crc != ldl_be_p(header + 12)) {
        error_setg(errp, "list of holes: checksum 0x%08x is not 0x%08x", crc,
                   ldl_be_p(header + 12));
        return false;
    }
    while (rest.length) {
        g_autofree char *id = NULL;
        uint32_t runs;

        if (!take_block(&rest, &id, &runs)) {
            error_setg(errp, "list of holes: cut off");
            return false;
        }
        if (!parse_runs(&rest, id, runs, run, opaque, errp)) {
            return false;
        }
    }
    return true;
}
