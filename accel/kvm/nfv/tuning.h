/*
 * What became of each setting of KVM
 *
 * Copyright (c) 2026 the kvm4nfv authors
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#ifndef ACCEL_KVM_NFV_TUNING_H
#define ACCEL_KVM_NFV_TUNING_H

#include "accel/kvm/nfv/prefault.h"
#include "hw/nfv/kvm.h"

/* How the PIT makes up for ticks that the guest got too late. */
typedef enum NfvPitTicks {
    NFV_PIT_NONE, /* KVM emulates no PIT */
    NFV_PIT_DELAY,
    NFV_PIT_DISCARD,
} NfvPitTicks;

typedef struct NfvKvmState {
    NfvKvmConfig config;
    int halt_poll_errno; /* of the kernel's refusal; 0 if there was none */
    bool cpu_pm;         /* asked for, by the machine or -overcommit */
    uint64_t bus_lock_ratelimit; /* bus locks a second; 0: no exits */
    bool notify;                 /* -accel kvm,notify-vmexit= is not disable */
    uint32_t notify_window;      /* clock cycles beyond the processor's own */
    NfvPitTicks pit;
    bool can_discard; /* KVM has the control for it */
    NfvPrefault prefault;
} NfvKvmState;

/*
 * An entry for each of halt-poll-ns, cpu-pm, bus-lock-exit, notify-exit,
 * pit-discard and pre-fault, in this order.  Pure; the caller frees the list.
 */
NfvTuningList *nfv_tuning(const NfvKvmState *state,
                          const NfvKvmFeatures *features);

#endif
