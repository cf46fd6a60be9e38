/*
 * Records in the stream of RAM
 *
 * Copyright (c) 2026 the kvm4nfv authors
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "qemu/osdep.h"
#include "qapi/error.h"
#include "qemu/error-report.h"
#include "migration/nfv.h"
#include "migration/qemu-file.h"
#include "repeats.h"
#include "stream.h"
#include "trace.h"

static struct {
    const NfvRecordKind *kind;
    NfvStreamLoad *load;
} handlers[4];
static unsigned handler_count;

void nfv_stream_register(const NfvRecordKind *kind, NfvStreamLoad *load)
{
    assert(handler_count < ARRAY_SIZE(handlers));
    handlers[handler_count].kind = kind;
    handlers[handler_count++].load = load;
}

void nfv_stream_send(QEMUFile *f, const GByteArray *record)
{
    qemu_put_be64(f, NFV_RAM_SAVE_FLAG_RECORD);
    qemu_put_buffer(f, record->data, record->len);
}

void nfv_stream_start(QEMUFile *f)
{
    nfv_repeats_start(f);
    nfv_pcimap_save(f);
    nfv_popmap_save(f);
}

void nfv_stream_load_setup(void)
{
    nfv_repeats_set_loading(false);
    nfv_popmap_load_setup();
}

static bool load_record(QEMUFile *f, const NfvRecordKind *kind,
                        const uint8_t *header, NfvStreamLoad *load,
                        Error **errp)
{
    g_autofree uint8_t *payload = NULL;
    uint32_t length;

    if (!nfv_record_parse_header(kind, header, &length, errp)) {
        return false;
    }
    payload = g_malloc(length);
    if (qemu_get_buffer(f, payload, length) != length) {
        error_setg(errp, "%s: cut off after its header", kind->name);
        return false;
    }
    trace_nfv_stream_load(kind->name, length);
    return nfv_record_check(kind, header, payload, length, errp) &&
           load(payload, length, errp);
}

static bool load_any(QEMUFile *f, Error **errp)
{
    uint8_t header[NFV_RECORD_HEADER];

    if (qemu_get_buffer(f, header, sizeof(header)) != sizeof(header)) {
        error_setg(errp, "a record is cut off in its header");
        return false;
    }
    for (unsigned i = 0; i < handler_count; i++) {
        const NfvRecordKind *kind = handlers[i].kind;

        if (kind->magic == nfv_record_magic(header)) {
            return load_record(f, kind, header, handlers[i].load, errp);
        }
    }
    error_setg(errp,
               "a record with magic 0x%08x came, which this QEMU does not know",
               nfv_record_magic(header));
    return false;
}

int nfv_stream_load(QEMUFile *f)
{
    Error *err = NULL;

    if (!load_any(f, &err)) {
        error_report_err(err);
        return -EINVAL;
    }
    return 0;
}
