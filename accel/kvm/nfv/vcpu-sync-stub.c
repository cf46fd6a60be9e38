/*
 * The state of all vCPUs one after the other, without KVM or an nfv machine
 *
 * Copyright (c) 2026 the kvm4nfv authors
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "qemu/osdep.h"
#include "hw/nfv/vcpu-sync.h"

void nfv_vcpu_sync_get(void)
{
}

bool nfv_vcpu_sync_put(void)
{
    return false;
}
