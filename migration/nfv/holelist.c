/*
 * The list of holes on the wire
 *
 * Copyright (c) 2026 the kvm4nfv authors
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "qemu/osdep.h"
#include "qapi/error.h"
#include "qemu/bitmap.h"
#include "qemu/bswap.h"
#include "qemu/units.h"
#include "holelist.h"

const NfvRecordKind nfv_holelist_kind = {
    .name = "list of holes",
    .magic = 0x4e465648, /* "NFVH" */
    .version = 1,
    .max = 16 * MiB,
};

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
    nfv_record_put32(list, 0);
    for (uint64_t end, first = find_first_bit(holes, pages); first < pages;
         first = find_next_bit(holes, pages, end)) {
        end = find_next_zero_bit(holes, pages, first);
        if (end - first >= min_run) {
            nfv_record_put64(list, first << page_bits);
            nfv_record_put64(list, (end - first) << page_bits);
            runs++;
        }
    }
    stl_be_p(list->data + count_at, runs);
}

static bool parse_runs(NfvRecordRest *rest, const char *id, uint32_t runs,
                       NfvHoleRun *run, void *opaque, Error **errp)
{
    uint64_t last = 0;

    for (; runs; runs--) {
        const uint8_t *bytes = nfv_record_take(rest, 16);
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

bool nfv_holelist_parse(const uint8_t *payload, uint32_t length,
                        NfvHoleRun *run, void *opaque, Error **errp)
{
    NfvRecordRest rest = { payload, length };

    while (rest.length) {
        g_autofree char *id = nfv_record_take_string(&rest);
        const uint8_t *runs = id ? nfv_record_take(&rest, 4) : NULL;

        if (!runs) {
            error_setg(errp, "list of holes: cut off");
            return false;
        }
        if (!parse_runs(&rest, id, ldl_be_p(runs), run, opaque, errp)) {
            return false;
        }
    }
    return true;
}
