/*
 * QEMU's own test of device state, with arrays saved and loaded in bulk
 *
 * Copyright (c) 2026 the kvm4nfv authors
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "test-vmstate.c"
#include "migration/nfv.h"

/* Before its main(). */
static void __attribute__((constructor)) switch_on(void)
{
    nfv_migration_settings_set(&(NfvMigrationSettings) { .vmstate = true });
}
