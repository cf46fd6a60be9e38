/*
 * The nfv machine types: q35 for network functions
 *
 * Each is a QOM child of the pc-q35 machine of the same version, with other
 * defaults and with the properties that say where its threads run.
 *
 * Copyright (c) 2026 the kvm4nfv authors
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "qemu/osdep.h"
#include "qapi/error.h"
#include "qapi/qapi-visit-common.h"
#include "qapi/visitor.h"
#include "qemu/error-report.h"
#include "hw/core/cpu.h"
#include "hw/i386/pc.h"
#include "hw/nfv/machine.h"
#include "hw/nfv/placement.h"
#include "hw/qdev-core.h"
#include "system/tcg.h"

typedef struct NfvMachine {
    PCMachineState parent;

    NfvConfig config;
    char *host_root;
    /* The lists as the user wrote them; NULL where there is none. */
    char *vcpu_cpus, *rt_vcpus, *iothread_cpus, *housekeeping_cpus;
} NfvMachine;

typedef struct NfvMachineClass {
    PCMachineClass parent;

    void (*parent_init)(MachineState *ms);
    void (*parent_pre_plug)(HotplugHandler *handler, DeviceState *dev,
                            Error **errp);
} NfvMachineClass;

/*
 * Not QOM casts: the types of different versions have no common parent that has
 * these structures.
 */
static NfvMachine *nfv_of(void *obj)
{
    g_assert(object_dynamic_cast(obj, TYPE_NFV_MACHINE));
    return obj;
}

static NfvMachineClass *nfv_class_of(void *obj)
{
    return (NfvMachineClass *)object_get_class(OBJECT(nfv_of(obj)));
}

/* Properties take effect when the machine is made. */
static bool check_settable(const char *name, Error **errp)
{
    if (phase_check(PHASE_MACHINE_INITIALIZED)) {
        error_setg(errp,
                   "%s cannot be changed after the machine was made; give it "
                   "with -M",
                   name);
        return false;
    }
    return true;
}

/* CPU lists */

typedef struct ListProperty {
    const char *name, *description;
    /* offsets of char * and GArray * in NfvMachine */
    size_t text, list;
    unsigned limit;
} ListProperty;

#define LIST(property, field, max, about)                         \
    {                                                             \
        .name = property, .text = offsetof(NfvMachine, field),    \
        .list = offsetof(NfvMachine, config.field), .limit = max, \
        .description = about,                                     \
    }

static ListProperty list_properties[] = {
    LIST("vcpu-cpus", vcpu_cpus, NFV_CPUS,
         "Host CPU of each vCPU in order, as in 2-5:7, or auto for isolated "
         "ones (default: threads are not placed)"),
    LIST("rt-vcpus", rt_vcpus, NFV_CPUS,
         "vCPUs that are real-time, as in 1-3 (default: all)"),
    LIST("iothread-cpus", iothread_cpus, NFV_CPUS,
         "Host CPUs of I/O threads (default: those of housekeeping-cpus)"),
    LIST("housekeeping-cpus", housekeeping_cpus, NFV_CPUS,
         "Host CPUs of all other threads (default: those that QEMU was started "
         "on and that run no vCPU)"),
};

static void list_get(Object *obj, Visitor *v, const char *name, void *opaque,
                     Error **errp)
{
    const ListProperty *p = opaque;
    char **text = (void *)nfv_of(obj) + p->text;
    char *value = *text ?: (char *)"";

    visit_type_str(v, name, &value, errp);
}

static void list_set(Object *obj, Visitor *v, const char *name, void *opaque,
                     Error **errp)
{
    const ListProperty *p = opaque;
    NfvMachine *m = nfv_of(obj);
    char **text = (void *)m + p->text;
    GArray **list = (void *)m + p->list;
    g_autofree char *value = NULL;
    bool is_vcpu_cpus = list == &m->config.vcpu_cpus;
    bool is_auto;
    GArray *parsed = NULL;

    if (!check_settable(name, errp) || !visit_type_str(v, name, &value, errp)) {
        return;
    }
    is_auto = is_vcpu_cpus && !strcmp(value, "auto");
    if (!is_auto) {
        parsed = nfv_cpulist_parse(name, value, p->limit, errp);
        if (!parsed) {
            return;
        }
    }
    g_clear_pointer(list, g_array_unref);
    *list = parsed;
    g_free(*text);
    *text = g_steal_pointer(&value);
    if (is_vcpu_cpus) {
        m->config.vcpu_auto = is_auto;
    } else {
        m->config.needs_plan = p->name;
    }
}

/* Priorities */

typedef struct PriorityProperty {
    const char *name, *description;
    size_t value; /* offset of uint8_t in NfvMachine */
    uint8_t min;
} PriorityProperty;

/* 99 is the kernel's: its own migration threads and watchdogs. */
#define NFV_PRIORITY_MAX 98

static PriorityProperty priority_properties[] = {
    { "vcpu-priority",
      "SCHED_FIFO priority of real-time vCPUs, 1 to 98 (default: 1)",
      offsetof(NfvMachine, config.vcpu_priority), 1 },
    { "iothread-priority",
      "SCHED_FIFO priority of I/O threads, 1 to 98, or 0 for none (default: 0)",
      offsetof(NfvMachine, config.iothread_priority), 0 },
    { "emulator-priority",
      "SCHED_FIFO priority of the main thread, 1 to 98, or 0 for none "
      "(default: 0)",
      offsetof(NfvMachine, config.emulator_priority), 0 },
};

static void priority_get(Object *obj, Visitor *v, const char *name,
                         void *opaque, Error **errp)
{
    const PriorityProperty *p = opaque;
    uint8_t *value = (void *)nfv_of(obj) + p->value;

    visit_type_uint8(v, name, value, errp);
}

static void priority_set(Object *obj, Visitor *v, const char *name,
                         void *opaque, Error **errp)
{
    const PriorityProperty *p = opaque;
    NfvMachine *m = nfv_of(obj);
    int64_t value;

    if (!check_settable(name, errp) ||
        !visit_type_int64(v, name, &value, errp)) {
        return;
    }
    if (value < p->min || value > NFV_PRIORITY_MAX) {
        error_setg(errp, "%s=%" PRId64 " is out of range; valid are %u to %u",
                   name, value, p->min, NFV_PRIORITY_MAX);
        return;
    }
    *(uint8_t *)((void *)m + p->value) = value;
    m->config.needs_plan = p->name;
}

/* Others */

static void rt_get(Object *obj, Visitor *v, const char *name, void *opaque,
                   Error **errp)
{
    visit_type_OnOffAuto(v, name, &nfv_of(obj)->config.rt, errp);
}

static void rt_set(Object *obj, Visitor *v, const char *name, void *opaque,
                   Error **errp)
{
    NfvMachine *m = nfv_of(obj);

    if (check_settable(name, errp) &&
        visit_type_OnOffAuto(v, name, &m->config.rt, errp) &&
        m->config.rt == ON_OFF_AUTO_ON) {
        m->config.needs_plan = "rt";
    }
}

static char *host_root_get(Object *obj, Error **errp)
{
    return g_strdup(nfv_of(obj)->host_root);
}

static void host_root_set(Object *obj, const char *value, Error **errp)
{
    NfvMachine *m = nfv_of(obj);

    if (check_settable("x-host-root", errp)) {
        g_free(m->host_root);
        m->host_root = g_strdup(value);
    }
}

/* Machine */

static void nfv_machine_init(MachineState *ms)
{
    NfvMachine *m = nfv_of(ms);
    const NfvConfig *config = &m->config;
    NfvTopology topology = {
        .cpus = ms->smp.cpus,
        .max_cpus = ms->smp.max_cpus,
        .single_thread = tcg_enabled() && !qemu_tcg_mttcg_enabled(),
    };

    if (config->vcpu_cpus || config->vcpu_auto) {
        nfv_placement_start(config, &topology, m->host_root, &error_fatal);
    } else if (config->needs_plan) {
        error_report("%s has no effect without vcpu-cpus", config->needs_plan);
        error_printf("Say where the vCPUs run, for example vcpu-cpus=2-5, or "
                     "vcpu-cpus=auto.\n");
        exit(1);
    }
    nfv_class_of(ms)->parent_init(ms);
}

static void nfv_machine_pre_plug(HotplugHandler *handler, DeviceState *dev,
                                 Error **errp)
{
    ERRP_GUARD();

    nfv_class_of(handler)->parent_pre_plug(handler, dev, errp);
    /* The parent gave the vCPU its index; its thread starts before plug(). */
    if (!*errp && object_dynamic_cast(OBJECT(dev), TYPE_CPU)) {
        nfv_placement_check_vcpu(CPU(dev)->cpu_index, errp);
    }
}

static void nfv_machine_instance_init(Object *obj)
{
    NfvMachine *m = nfv_of(obj);
    PCMachineState *pcms = PC_MACHINE(obj);
    X86MachineState *x86ms = X86_MACHINE(obj);

    /*
     * What interrupts a guest or QEMU without need.  The PIT stays: Linux
     * checks its IO-APIC with the PIT or the HPET, and panics under TCG when it
     * has neither.
     */
    pcms->hpet_enabled = false;
    pcms->smbus_enabled = false;
    pcms->sata_enabled = false;
    pcms->i8042_enabled = false;
    pcms->vmport = ON_OFF_AUTO_OFF;
    pcms->fd_bootchk = false;
    x86ms->smm = ON_OFF_AUTO_OFF;

    m->config.rt = ON_OFF_AUTO_AUTO;
    m->config.vcpu_priority = 1;
    m->host_root = g_strdup("");
}

static void nfv_machine_instance_finalize(Object *obj)
{
    NfvMachine *m = nfv_of(obj);

    for (int i = 0; i < ARRAY_SIZE(list_properties); i++) {
        GArray **list = (void *)m + list_properties[i].list;

        g_free(*(char **)((void *)m + list_properties[i].text));
        g_clear_pointer(list, g_array_unref);
    }
    g_free(m->host_root);
}

static void add_properties(ObjectClass *oc)
{
    for (int i = 0; i < ARRAY_SIZE(list_properties); i++) {
        ListProperty *p = &list_properties[i];

        object_class_property_add(oc, p->name, "str", list_get, list_set, NULL,
                                  p);
        object_class_property_set_description(oc, p->name, p->description);
    }
    for (int i = 0; i < ARRAY_SIZE(priority_properties); i++) {
        PriorityProperty *p = &priority_properties[i];

        object_class_property_add(oc, p->name, "uint8", priority_get,
                                  priority_set, NULL, p);
        object_class_property_set_description(oc, p->name, p->description);
    }
    object_class_property_add(oc, "rt", "OnOffAuto", rt_get, rt_set, NULL,
                              NULL);
    object_class_property_set_description(oc, "rt",
        "Real-time vCPU threads: auto does what the host allows and reports "
        "the rest, on fails where it does not, off only pins (default: auto)");
    object_class_property_add_str(oc, "x-host-root", host_root_get,
                                  host_root_set);
    object_class_property_set_description(oc, "x-host-root",
        "For tests: prefix of /sys, /proc/sys and /run/lock");
}

static void nfv_machine_class_init(ObjectClass *oc, void *data)
{
    MachineClass *mc = MACHINE_CLASS(oc);
    MachineClass *parent = MACHINE_CLASS(object_class_get_parent(oc));
    HotplugHandlerClass *hc = HOTPLUG_HANDLER_CLASS(oc);
    NfvMachineClass *nmc = (NfvMachineClass *)oc;

    mc->desc = "Network functions (Q35 + ICH9, real-time vCPUs)";
    mc->alias = data; /* not the parent's, which would make it ambiguous */
    mc->is_default = false;
    mc->default_display = "none";
    mc->default_nic = "virtio-net-pci";
    /* Each machine class starts with an empty array. */
    g_ptr_array_extend(mc->compat_props, parent->compat_props, NULL, NULL);

    nmc->parent_init = mc->init;
    mc->init = nfv_machine_init;
    nmc->parent_pre_plug = hc->pre_plug;
    hc->pre_plug = nfv_machine_pre_plug;

    add_properties(oc);
}

static const TypeInfo nfv_interface = {
    .name = TYPE_NFV_MACHINE,
    .parent = TYPE_INTERFACE,
};

/* The latest version has the alias. */
static const TypeInfo nfv_10_0 = {
    .name = MACHINE_TYPE_NAME("pc-q35-nfv-10.0"),
    .parent = MACHINE_TYPE_NAME("pc-q35-10.0"),
    .instance_size = sizeof(NfvMachine),
    .instance_init = nfv_machine_instance_init,
    .instance_finalize = nfv_machine_instance_finalize,
    .class_size = sizeof(NfvMachineClass),
    .class_init = nfv_machine_class_init,
    .class_data = (void *)"nfv",
    .interfaces = (InterfaceInfo[]){ { TYPE_NFV_MACHINE }, {} },
};

static void nfv_machine_register(void)
{
    type_register_static(&nfv_interface);
    type_register_static(&nfv_10_0);
}
type_init(nfv_machine_register);
