/*
 * Machine properties that only KVM knows
 *
 * Copyright (c) 2026 the kvm4nfv authors
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "qemu/osdep.h"
#include "qapi/error.h"
#include "qapi/visitor.h"
#include "hw/nfv/kvm.h"
#include "hw/qdev-core.h"
#include "system/system.h"

static NfvKvmConfig *config_of(Object *obj, void *offset)
{
    return (void *)obj + (size_t)offset;
}

/* cpu-pm is read when KVM starts, and CPUID depends on it. */
static bool check_settable(const char *name, Error **errp)
{
    if (phase_check(PHASE_ACCEL_CREATED)) {
        error_setg(errp,
                   "%s cannot be changed after the accelerator started; give "
                   "it with -M",
                   name);
        return false;
    }
    return true;
}

static void halt_poll_get(Object *obj, Visitor *v, const char *name,
                          void *opaque, Error **errp)
{
    g_autofree char *value = nfv_kvm_get_halt_poll(config_of(obj, opaque));

    visit_type_str(v, name, &value, errp);
}

static void halt_poll_set(Object *obj, Visitor *v, const char *name,
                          void *opaque, Error **errp)
{
    g_autofree char *value = NULL;

    if (check_settable(name, errp) && visit_type_str(v, name, &value, errp)) {
        nfv_kvm_set_halt_poll(config_of(obj, opaque), value, errp);
    }
}

static void cpu_pm_get(Object *obj, Visitor *v, const char *name, void *opaque,
                       Error **errp)
{
    bool value = enable_cpu_pm;

    visit_type_bool(v, name, &value, errp);
}

static void cpu_pm_set(Object *obj, Visitor *v, const char *name, void *opaque,
                       Error **errp)
{
    bool value;

    if (check_settable(name, errp) && visit_type_bool(v, name, &value, errp)) {
        config_of(obj, opaque)->cpu_pm = value;
        /* Of -overcommit, which was parsed before. */
        enable_cpu_pm = value;
    }
}

void nfv_kvm_add_properties(ObjectClass *oc, size_t offset)
{
    object_class_property_add(oc, "halt-poll-ns", "str", halt_poll_get,
                              halt_poll_set, NULL, (void *)offset);
    object_class_property_set_description(oc, "halt-poll-ns",
                                          "KVM: ns that the host polls before "
                                          "a halted vCPU gives up its host "
                                          "CPU, 0 for never, or auto for the "
                                          "kernel's own (default: auto)");
    object_class_property_add(oc, "cpu-pm", "bool", cpu_pm_get, cpu_pm_set,
                              NULL, (void *)offset);
    object_class_property_set_description(oc, "cpu-pm",
                                          "KVM: the guest halts on its host "
                                          "CPU without leaving it; changes its "
                                          "CPUID (default: as -overcommit "
                                          "cpu-pm, which is off)");
}
