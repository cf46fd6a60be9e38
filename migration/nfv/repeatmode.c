/*
 * Whether repeats are counted: the source says it to a destination that knows
 *
 * Not where the device state is described in JSON: that is for a stream that is
 * kept, whose bytes stay those of stock.
 *
 * Copyright (c) 2026 the kvm4nfv authors
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "qemu/osdep.h"
#include "qapi/error.h"
#include "qemu/module.h"
#include "migration/migration.h"
#include "migration/misc.h"
#include "migration/nfv.h"
#include "migration/options.h"
#include "system/runstate.h"
#include "repeats.h"
#include "stream.h"

static const NfvRecordKind repeats_kind = {
    .name = "announcement of repeats",
    .magic = 0x4e465652, /* "NFVR" */
    .version = 1,
    .max = 0,
};

static bool can_count(void)
{
    uint32_t features = 0;

    return nfv_migration_settings()->vmstate &&
           !migrate_get_current()->vmdesc && !migrate_colo() &&
           nfv_migration_peer(&features, true) == NFV_PEER_NFV &&
           (features & NFV_FEATURE_REPEATS);
}

void nfv_repeats_start(QEMUFile *f)
{
    if (can_count()) {
        g_autoptr(GByteArray) record = nfv_record_new(&repeats_kind);

        nfv_record_finish(record);
        nfv_stream_send(f, record);
        nfv_repeats_set_saving(true);
    }
}

static bool load_announcement(const uint8_t *payload, uint32_t length,
                              Error **errp)
{
    if (!nfv_migration_settings()->vmstate) {
        error_setg(errp, "%s: it came though vmstate is off here",
                   repeats_kind.name);
        return false;
    }
    if (!runstate_check(RUN_STATE_INMIGRATE) || nfv_repeats_loads()) {
        error_setg(errp, "%s: it came twice, or too late", repeats_kind.name);
        return false;
    }
    nfv_repeats_set_loading(true);
    return true;
}

static void repeats_register(void)
{
    nfv_stream_register(&repeats_kind, load_announcement);
}
migration_init(repeats_register);
