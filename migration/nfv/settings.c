/*
 * Settings of accelerated migration
 *
 * Copyright (c) 2026 the kvm4nfv authors
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "qemu/osdep.h"
#include "migration/nfv.h"

/* Stock. */
static NfvMigrationSettings in_force = {
    .vmdesc = true,
};

const NfvMigrationSettings *nfv_migration_settings(void)
{
    return &in_force;
}

void nfv_migration_settings_set(const NfvMigrationSettings *settings)
{
    in_force = *settings;
}
