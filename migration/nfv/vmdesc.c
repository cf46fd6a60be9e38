/*
 * Leave the JSON description of the device state out of the stop
 *
 * It is for people and scripts that read a stream which was kept.  A
 * destination reads it to throw it away.
 *
 * Copyright (c) 2026 the kvm4nfv authors
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "qemu/osdep.h"
#include "qemu/module.h"
#include "qobject/json-writer.h"
#include "migration/migration.h"
#include "migration/misc.h"
#include "migration/nfv.h"
#include "migration/options.h"
#include "migration/qemu-file.h"
#include "migration/savevm.h"
#include "trace.h"

/*
 * Of the migration that runs.  The main thread sets it before the migration
 * thread is made, and clears it after that ended.
 */
static bool left_out;

/* Files and commands keep what they get; a snapshot is no migration at all. */
static bool may_be_kept(QIOChannel *ioc)
{
    return !nfv_net_socket(ioc) || migrate_background_snapshot();
}

static int vmdesc_notify(NotifierWithReturn *notifier, MigrationEvent *e,
                         Error **errp)
{
    MigrationState *s = migrate_get_current();

    left_out = e->type == MIG_EVENT_PRECOPY_SETUP && s->vmdesc &&
               !nfv_migration_settings()->vmdesc &&
               !may_be_kept(qemu_file_get_ioc(s->to_dst_file));
    if (left_out) {
        g_clear_pointer(&s->vmdesc, json_writer_free);
        trace_nfv_vmdesc_left_out();
    }
    return 0;
}

void nfv_vmdesc_save(QEMUFile *f)
{
    static const char nothing[] = "{}";

    if (left_out) {
        qemu_put_byte(f, QEMU_VM_VMDESCRIPTION);
        qemu_put_be32(f, strlen(nothing));
        qemu_put_buffer(f, (const uint8_t *)nothing, strlen(nothing));
    }
}

static void vmdesc_register(void)
{
    static NotifierWithReturn notifiers[MIG_MODE__MAX];

    for (int mode = 0; mode < MIG_MODE__MAX; mode++) {
        migration_add_notifier_mode(&notifiers[mode], vmdesc_notify, mode);
    }
}
migration_init(vmdesc_register);
