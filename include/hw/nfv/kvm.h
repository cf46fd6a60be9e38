/*
 * KVM under an nfv machine: what the user asks for, and what became of it
 *
 * Copyright (c) 2026 the kvm4nfv authors
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#ifndef HW_NFV_KVM_H
#define HW_NFV_KVM_H

#include "qapi/qapi-types-nfv.h"
#include "qom/object.h"

typedef struct NfvKvmConfig {
    bool has_halt_poll; /* else the kernel's own value counts */
    uint32_t halt_poll_ns;
    bool cpu_pm; /* the machine's property is on */
} NfvKvmConfig;

/*
 * Add halt-poll-ns and cpu-pm to a machine class whose instances have an
 * NfvKvmConfig at @offset.  Both can be set until the accelerator starts.
 */
void nfv_kvm_add_properties(ObjectClass *oc, size_t offset);

/*
 * @value: "auto", or nanoseconds from 0 to UINT32_MAX.  False and @errp set,
 * and @config as it was, if it is neither.  Pure.
 */
bool nfv_kvm_set_halt_poll(NfvKvmConfig *config, const char *value,
                           Error **errp);

/* As nfv_kvm_set_halt_poll() takes it; the caller frees it.  Pure. */
char *nfv_kvm_get_halt_poll(const NfvKvmConfig *config);

/*
 * False and @errp set if @config asks for what only KVM has, and @accel, the
 * accelerator's name, is another one.  Pure.
 */
bool nfv_kvm_check(const NfvKvmConfig *config, const char *accel, bool is_kvm,
                   Error **errp);

/*
 * BQL, once, after the accelerator started and before there are vCPUs: check
 * @config and give it to KVM.  What the kernel refuses is only reported; false
 * and @errp set as from nfv_kvm_check().
 */
bool nfv_kvm_start(const NfvKvmConfig *config, Error **errp);

/*
 * What became of each setting of KVM, and what KVM can do.  BQL, after the
 * machine is made.  NULL if the accelerator is not KVM.
 */
NfvTuningList *nfv_kvm_tuning(void);
NfvKvmFeatures *nfv_kvm_features(void);

#endif
