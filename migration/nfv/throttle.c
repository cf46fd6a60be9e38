/*
 * Throttle: auto-converge and dirty-limit leave real-time vCPUs alone
 *
 * Copyright (c) 2026 the kvm4nfv authors
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "qemu/osdep.h"
#include <sched.h>
#include "qemu/error-report.h"
#include "qapi/error.h"
#include "hw/core/cpu.h"
#include "migration/misc.h"
#include "migration/nfv.h"
#include "migration/options.h"

/* As the kernel says: libvirt or chrt may have made it so. */
static bool is_real_time(const CPUState *cpu)
{
    int policy = sched_getscheduler(cpu->thread_id) & ~SCHED_RESET_ON_FORK;

    return policy == SCHED_FIFO || policy == SCHED_RR;
}

bool nfv_throttle_spares(const CPUState *cpu)
{
    if (!nfv_migration_settings()->policy || !is_real_time(cpu)) {
        return false;
    }
    warn_report_once("auto-converge does not throttle real-time vCPUs; a "
                     "deadline bounds a migration, too");
    return true;
}

/* It gives all vCPUs one quota, and spares none. */
bool nfv_throttle_check(Error **errp)
{
    ERRP_GUARD();
    CPUState *cpu;

    if (!nfv_migration_settings()->policy || !migrate_dirty_limit()) {
        return true;
    }
    CPU_FOREACH(cpu) {
        if (is_real_time(cpu)) {
            error_setg(errp,
                       "migration capability dirty-limit is on, and vCPU %d is "
                       "real-time: it would be put to sleep; must be off, or "
                       "no vCPU real-time",
                       cpu->cpu_index);
            error_append_hint(errp, "A deadline bounds a migration, too: see "
                                    "migration-deadline.\n");
            return false;
        }
    }
    return true;
}
