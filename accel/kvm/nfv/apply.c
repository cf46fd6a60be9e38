/*
 * Give KVM what the user asked for, and read what it has
 *
 * Copyright (c) 2026 the kvm4nfv authors
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "qemu/osdep.h"
#include "qapi/error.h"
#include "qapi/qapi-types-machine.h"
#include "qapi/util.h"
#include "qemu/error-report.h"
#include "accel/kvm/nfv/tuning.h"
#include "hw/i386/x86.h"
#include "hw/timer/i8254.h"
#include "system/kvm.h"
#include "system/kvm_int.h"
#include "system/reset.h"
#include "system/runstate.h"
#include "system/system.h"
#include "trace.h"

/* BQL.  Only what cannot be read later. */
static NfvKvmState started;

static void set_halt_poll(void)
{
    uint32_t ns = started.config.halt_poll_ns;
    int ret = -ENOTSUP;

    if (kvm_vm_check_extension(kvm_state, KVM_CAP_HALT_POLL)) {
        ret = kvm_vm_enable_cap(kvm_state, KVM_CAP_HALT_POLL, 0, ns);
    }
    trace_nfv_kvm_halt_poll(ns, ret);
    if (ret < 0) {
        started.halt_poll_errno = -ret;
        warn_report("halt-poll-ns=%" PRIu32 " is not in force: %s", ns,
                    strerror(-ret));
    }
}

static void prefault(void)
{
    NfvPrefault *p = &started.prefault;

    if (runstate_check(RUN_STATE_INMIGRATE)) {
        p->skipped = "the memory came in by a migration";
    } else if (current_machine->cgs) {
        p->skipped = "the memory is encrypted";
    } else if (kvm_vm_check_extension(kvm_state, KVM_CAP_PRE_FAULT_MEMORY)) {
        nfv_prefault_ram(p);
    }
    if (p->err) {
        warn_report("guest memory is not mapped ahead as a whole: %s",
                    strerror(p->err));
    }
}

/*
 * The first reset, when the machine is made: its vCPUs wait, and the devices
 * that were reset before it have put the memory where it will be.  KVM forgets
 * what is mapped when a slot of memory goes.
 */
static void first_reset(void *unused)
{
    static bool done;

    if (!done) {
        done = true;
        prefault();
    }
}

/* Resets follow the order in which they are registered: all devices are. */
static void machine_done(Notifier *notifier, void *unused)
{
    qemu_register_reset(first_reset, NULL);
}

bool nfv_kvm_start(const NfvKvmConfig *config, Error **errp)
{
    static Notifier done = { .notify = machine_done };

    if (!nfv_kvm_check(config, current_accel_name(), kvm_enabled(), errp)) {
        return false;
    }
    if (kvm_enabled()) {
        started.config = *config;
        if (config->has_halt_poll) {
            set_halt_poll();
        }
        qemu_add_machine_init_done_notifier(&done);
    }
    return true;
}

static NfvHaltExitList *halt_exits(void)
{
    static const struct {
        NfvHaltExit exit;
        int flag;
    } all[] = {
        { NFV_HALT_EXIT_MWAIT, KVM_X86_DISABLE_EXITS_MWAIT },
        { NFV_HALT_EXIT_HLT, KVM_X86_DISABLE_EXITS_HLT },
        { NFV_HALT_EXIT_PAUSE, KVM_X86_DISABLE_EXITS_PAUSE },
        { NFV_HALT_EXIT_CSTATE, KVM_X86_DISABLE_EXITS_CSTATE },
    };
    int flags = kvm_check_extension(kvm_state, KVM_CAP_X86_DISABLE_EXITS);
    NfvHaltExitList *head = NULL, **tail = &head;

    for (int i = 0; i < ARRAY_SIZE(all); i++) {
        if (flags & all[i].flag) {
            QAPI_LIST_APPEND(tail, all[i].exit);
        }
    }
    return head;
}

static bool can(unsigned capability)
{
    return kvm_vm_check_extension(kvm_state, capability) > 0;
}

/* As the vCPU has it, after what KVM cannot do was taken out. */
static bool cpu_has(const char *feature)
{
    return first_cpu &&
           object_property_get_bool(OBJECT(first_cpu), feature, NULL);
}

NfvKvmFeatures *nfv_kvm_features(void)
{
    NfvKvmFeatures *f;

    if (!kvm_enabled()) {
        return NULL;
    }
    f = g_new0(NfvKvmFeatures, 1);
    f->halt_poll = can(KVM_CAP_HALT_POLL);
    f->halt_exits = halt_exits();
    f->bus_lock_exit =
        kvm_check_extension(kvm_state, KVM_CAP_X86_BUS_LOCK_EXIT) &
        KVM_BUS_LOCK_DETECTION_EXIT;
    f->notify_exit = can(KVM_CAP_X86_NOTIFY_VMEXIT);
    f->pre_fault = can(KVM_CAP_PRE_FAULT_MEMORY);
    f->tsc_scaling = can(KVM_CAP_TSC_CONTROL);
    if (kvm_irqchip_in_kernel()) {
        f->irqchip =
            kvm_irqchip_is_split() ? NFV_IRQCHIP_SPLIT : NFV_IRQCHIP_ON;
    }
    f->dirty_ring = kvm_dirty_ring_size();
    f->dirty_log_manual = kvm_state->manual_dirty_log_protect;
    f->kvm_hint_dedicated = cpu_has("kvm-hint-dedicated");
    f->kvm_poll_control = cpu_has("kvm-poll-control");
    f->x2apic = cpu_has("x2apic");
    return f;
}

static NfvPitTicks pit_ticks(void)
{
    Object *pit = object_resolve_path_type("", TYPE_KVM_I8254, NULL);
    g_autofree char *policy = NULL;

    if (!pit) {
        return NFV_PIT_NONE;
    }
    policy = object_property_get_str(pit, "lost_tick_policy", &error_abort);
    return !strcmp(policy, LostTickPolicy_str(LOST_TICK_POLICY_DISCARD)) ?
               NFV_PIT_DISCARD :
               NFV_PIT_DELAY;
}

NfvTuningList *nfv_kvm_tuning(void)
{
    g_autoptr(NfvKvmFeatures) features = nfv_kvm_features();
    NfvKvmState state = started;

    if (!features) {
        return NULL;
    }
    state.cpu_pm = enable_cpu_pm;
    state.bus_lock_ratelimit = X86_MACHINE(current_machine)->bus_lock_ratelimit;
    state.notify = kvm_state->notify_vmexit != NOTIFY_VMEXIT_OPTION_DISABLE;
    state.notify_window = kvm_state->notify_window;
    state.pit = pit_ticks();
    state.can_discard = can(KVM_CAP_REINJECT_CONTROL);
    return nfv_tuning(&state, features);
}
