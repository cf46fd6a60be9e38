/*
 * KVM under an nfv machine where QEMU is built without it
 *
 * Copyright (c) 2026 the kvm4nfv authors
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "qemu/osdep.h"
#include "qemu/accel.h"
#include "hw/nfv/kvm.h"

bool nfv_kvm_start(const NfvKvmConfig *config, Error **errp)
{
    return nfv_kvm_check(config, current_accel_name(), false, errp);
}

NfvTuningList *nfv_kvm_tuning(void)
{
    return NULL;
}

NfvKvmFeatures *nfv_kvm_features(void)
{
    return NULL;
}
