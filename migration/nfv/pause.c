/*
 * Pause: a link that breaks while the destination loads the devices, or at the
 * end
 *
 * The package with their state has come whole then, and the source has given the
 * guest away, so the destination must not end.  Stock pauses only where the guest
 * runs.  Where all has come there is nothing to recover.
 *
 * Copyright (c) 2026 the kvm4nfv authors
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "qemu/osdep.h"
#include "qemu/atomic.h"
#include "qemu/coroutine.h"
#include "migration/migration.h"
#include "migration/nfv.h"
#include "migration/postcopy-ram.h"
#include "migration/qemu-file.h"
#include "owed.h"
#include "trace.h"

#define LOOK_US 1000
/* What the preempt channel still holds comes in less. */
#define STUCK_LOOKS 200

/* Not the package of the devices. */
static bool is_main_channel(const QEMUFile *f)
{
    return f == migration_incoming_get_current()->from_src_file;
}

/* In the coroutine of the incoming migration; another thread loads RAM then. */
bool nfv_pause_loads_devices(void)
{
    return nfv_migration_settings()->postcopy && qemu_in_coroutine() &&
           postcopy_state_get() == POSTCOPY_INCOMING_LISTENING;
}

int nfv_pause_load_error(QEMUFile *f)
{
    MigrationIncomingState *mis = migration_incoming_get_current();

    if (nfv_migration_settings()->postcopy && !is_main_channel(f)) {
        return qemu_file_get_error(f);
    }
    /* What breaks then is the end, and was read as 0, which is QEMU_VM_EOF. */
    if (nfv_owed_is_settled()) {
        return 0;
    }
    return qemu_file_get_error_obj_any(f, mis->postcopy_qemufile_dst, NULL);
}

/*
 * The thread that loads the devices answers by the return path, which a pause
 * closes.  So it goes on to its end, unless it needs a page: that comes after the
 * recovery, with another return path.  If it failed, it is about to end QEMU.
 */
static void wait_for_devices(const MigrationIncomingState *mis)
{
    for (unsigned stuck = 0;
         postcopy_state_get() == POSTCOPY_INCOMING_LISTENING &&
         stuck < STUCK_LOOKS;) {
        g_usleep(LOOK_US);
        stuck = qatomic_read(&mis->page_requested_count) &&
                        mis->state != MIGRATION_STATUS_FAILED ?
                    stuck + 1 : 0;
    }
}

bool nfv_pause_is_possible(QEMUFile *f, int *error)
{
    MigrationIncomingState *mis = migration_incoming_get_current();

    if (nfv_pause_loads_devices()) {
        /* @f may be the main channel, which a pause has closed. */
        migrate_set_state(&mis->state, mis->state, MIGRATION_STATUS_FAILED);
        return false;
    }
    qemu_file_set_error(f, *error);
    if (nfv_owed_is_settled() && is_main_channel(f)) {
        *error = 0; /* as above, in the last section */
        return false;
    }
    if (nfv_migration_settings()->postcopy &&
        postcopy_state_get() == POSTCOPY_INCOMING_LISTENING) {
        trace_nfv_pause_early();
        wait_for_devices(mis);
        return true;
    }
    return postcopy_state_get() == POSTCOPY_INCOMING_RUNNING;
}
