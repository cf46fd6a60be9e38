/*
 * Channels: which of them have come in, with multifd and post-copy
 *
 * The main channel and multifd's come first, in any order.  The preempt channel
 * comes when post-copy begins, and tells by nothing but that what it is; after a
 * broken link the main channel comes once more, and then a new one of it.
 *
 * Copyright (c) 2026 the kvm4nfv authors
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "qemu/osdep.h"
#include "qemu/error-report.h"
#include "io/channel.h"
#include "migration/migration.h"
#include "migration/multifd.h"
#include "migration/nfv.h"
#include "migration/options.h"
#include "migration/postcopy-ram.h"

bool nfv_channels_are_complete(QIOChannel *ioc)
{
    if (!migrate_multifd() || !migrate_postcopy_preempt() ||
        !multifd_recv_all_channels_created()) {
        return false;
    }
    if (postcopy_state_get() == POSTCOPY_INCOMING_NONE) {
        /*
         * One more of multifd's than was agreed on.  Stock listens no more then,
         * and has no room for it; closed, it fails the migration.
         */
        error_report("the source has more than the %d channels of "
                     "multifd-channels", migrate_multifd_channels());
        qio_channel_close(ioc, NULL);
        return false;
    }
    return true;
}

bool nfv_channels_may_start(bool main_channel)
{
    MigrationIncomingState *mis = migration_incoming_get_current();

    return mis->from_src_file && multifd_recv_all_channels_created() &&
           (main_channel || !mis->postcopy_qemufile_dst);
}

bool nfv_channels_lack_preempt(void)
{
    return migrate_multifd() && migrate_postcopy_preempt() &&
           !migration_incoming_get_current()->postcopy_qemufile_dst;
}
