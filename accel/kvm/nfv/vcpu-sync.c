/*
 * The state of all vCPUs between KVM and QEMU, in parallel
 *
 * One vCPU takes tens of microseconds, and stock does one after the other while
 * the guest stands still.  Each has its thread, its file descriptor and its
 * structure, so they can do it at once.  What they must be protected from is
 * everybody else: a reset, a device that raises an interrupt, QMP.  Nobody of
 * them runs, because the caller has the BQL and lends it to all vCPUs.
 *
 * What the vCPUs share meanwhile: kvm_state, and what was found out about KVM
 * at its start (has_*, the CPUID that it supports), which they only read.
 * Left to stock are MSRs of Hyper-V, which the first vCPU sets for all, Xen's
 * timers and event channels, and confidential guests.
 *
 * The LAPIC is loaded one by one as well: it must be there before the devices
 * that interrupt it.
 *
 * Copyright (c) 2026 the kvm4nfv authors
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "qemu/osdep.h"
#include "qemu/main-loop.h"
#include "cpu.h"
#include "hw/core/cpu.h"
#include "hw/nfv/vcpu-sync.h"
#include "hw/xen/xen.h"
#include "migration/nfv.h"
#include "system/kvm.h"
#include "system/kvm_int.h"
#include "system/runstate.h"
#include "round.h"
#include "trace.h"

typedef struct Work {
    NfvRound *round;
    bool (*run)(CPUState *cpu);
} Work;

/* In the vCPU's thread, with the BQL. */
static void work_on_vcpu(CPUState *cpu, run_on_cpu_data data)
{
    const Work *work = data.host_ptr; /* gone when we left the round */
    bool ok;

    bql_unlock();
    nfv_round_enter(work->round);
    nfv_bql_lend(true);
    ok = work->run(cpu);
    nfv_bql_lend(false);
    nfv_round_leave(work->round, ok);
    bql_lock();
}

static bool can_be_parallel(void)
{
    X86CPU *cpu = first_cpu ? X86_CPU(first_cpu) : NULL;

    return nfv_migration_settings()->vcpu_sync && kvm_enabled() && cpu &&
           !current_cpu && !runstate_is_running() &&
           !kvm_state->guest_state_protected && !cpu->hyperv_features &&
           !cpu->hyperv_passthrough && xen_mode == XEN_DISABLED;
}

/* Those that @wanted is true of.  False if there are less than two of them. */
static bool run_parallel(bool (*wanted)(CPUState *cpu), Work *work,
                         const char *what)
{
    g_autoptr(GPtrArray) vcpus = g_ptr_array_new();
    CPUState *cpu;
    bool ok;

    CPU_FOREACH(cpu) {
        if (wanted(cpu)) {
            g_ptr_array_add(vcpus, cpu);
        }
    }
    if (vcpus->len < 2) {
        return false;
    }
    work->round = nfv_round_new(vcpus->len);
    for (unsigned i = 0; i < vcpus->len; i++) {
        async_run_on_cpu(vcpus->pdata[i], work_on_vcpu,
                         RUN_ON_CPU_HOST_PTR(work));
    }
    bql_unlock();
    nfv_round_gather(work->round);
    bql_lock();
    nfv_round_start(work->round);
    ok = nfv_round_finish(work->round);
    trace_nfv_vcpu_sync(what, vcpus->len, ok);
    return ok;
}

static bool is_not_here(CPUState *cpu)
{
    return !cpu->vcpu_dirty;
}

static bool get_registers(CPUState *cpu)
{
    if (!cpu->vcpu_dirty) {
        cpu->vcpu_dirty = !kvm_arch_get_registers(cpu, NULL);
    }
    return cpu->vcpu_dirty;
}

void nfv_vcpu_sync_get(void)
{
    Work work = { .run = get_registers };

    if (can_be_parallel()) {
        run_parallel(is_not_here, &work, "get");
    }
}

static bool is_any(CPUState *cpu)
{
    return true;
}

static bool put_registers(CPUState *cpu)
{
    if (kvm_arch_put_registers(cpu, KVM_PUT_FULL_STATE, NULL)) {
        return false;
    }
    cpu->vcpu_dirty = false;
    return true;
}

bool nfv_vcpu_sync_put(void)
{
    Work work = { .run = put_registers };

    return can_be_parallel() && run_parallel(is_any, &work, "put");
}
