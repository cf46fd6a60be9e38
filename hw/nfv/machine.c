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
#include "qapi/qapi-commands-nfv.h"
#include "qapi/qapi-visit-common.h"
#include "qapi/visitor.h"
#include "qemu/coroutine.h"
#include "qemu/error-report.h"
#include "block/thread-pool.h"
#include "hw/core/cpu.h"
#include "hw/i386/pc.h"
#include "hw/nfv/kvm.h"
#include "hw/nfv/machine.h"
#include "hw/nfv/placement.h"
#include "hw/nfv/ram.h"
#include "hw/nfv/settings.h"
#include "hw/qdev-core.h"
#include "hw/timer/i8254.h"
#include "migration/nfv.h"
#include "system/system.h"
#include "system/tcg.h"

typedef struct NfvMachine {
    PCMachineState parent;

    NfvSettings settings;
    NfvMemoryConfig memory;
    NfvKvmConfig kvm;
    NfvMemoryNeed need;
    NfvMemoryHost *memory_host;
    bool started; /* see start() */
    Notifier ready;
    CoMutex changing;    /* one nfv-set-placement at a time */
    NfvCpuSet inherited; /* host CPUs that QEMU was started on */
    char *host_root;
} NfvMachine;

typedef struct NfvMachineClass {
    PCMachineClass parent;

    void (*parent_init)(MachineState *ms);
    bool (*parent_create_memdev)(MachineState *ms, const char *path,
                                 Error **errp);
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

static void list_get(Object *obj, Visitor *v, const char *name, void *opaque,
                     Error **errp)
{
    char *value = (char *)nfv_settings_get_list(&nfv_of(obj)->settings, opaque);

    visit_type_str(v, name, &value, errp);
}

static void list_set(Object *obj, Visitor *v, const char *name, void *opaque,
                     Error **errp)
{
    g_autofree char *value = NULL;

    if (check_settable(name, errp) && visit_type_str(v, name, &value, errp)) {
        nfv_settings_set_list(&nfv_of(obj)->settings, opaque, value, errp);
    }
}

static void priority_get(Object *obj, Visitor *v, const char *name,
                         void *opaque, Error **errp)
{
    uint8_t value = nfv_settings_get_priority(&nfv_of(obj)->settings, opaque);

    visit_type_uint8(v, name, &value, errp);
}

static void priority_set(Object *obj, Visitor *v, const char *name,
                         void *opaque, Error **errp)
{
    int64_t value;

    if (check_settable(name, errp) && visit_type_int64(v, name, &value, errp)) {
        nfv_settings_set_priority(&nfv_of(obj)->settings, opaque, value, errp);
    }
}

static void rt_get(Object *obj, Visitor *v, const char *name, void *opaque,
                   Error **errp)
{
    visit_type_OnOffAuto(v, name, &nfv_of(obj)->settings.config.rt, errp);
}

static void rt_set(Object *obj, Visitor *v, const char *name, void *opaque,
                   Error **errp)
{
    OnOffAuto value;

    if (check_settable(name, errp) &&
        visit_type_OnOffAuto(v, name, &value, errp)) {
        nfv_settings_set_rt(&nfv_of(obj)->settings, value);
    }
}

static char *hugepages_get(Object *obj, Error **errp)
{
    return nfv_memory_format_hugepages(&nfv_of(obj)->memory);
}

static void hugepages_set(Object *obj, const char *value, Error **errp)
{
    if (check_settable("hugepages", errp)) {
        nfv_memory_parse_hugepages(&nfv_of(obj)->memory, value, errp);
    }
}

/* @opaque: offset of an OnOffAuto in NfvMemoryConfig */
static OnOffAuto *memory_switch(Object *obj, void *opaque)
{
    return (void *)&nfv_of(obj)->memory + GPOINTER_TO_UINT(opaque);
}

static void memory_switch_get(Object *obj, Visitor *v, const char *name,
                              void *opaque, Error **errp)
{
    visit_type_OnOffAuto(v, name, memory_switch(obj, opaque), errp);
}

static void memory_switch_set(Object *obj, Visitor *v, const char *name,
                              void *opaque, Error **errp)
{
    if (check_settable(name, errp)) {
        visit_type_OnOffAuto(v, name, memory_switch(obj, opaque), errp);
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

static NfvTopology topology_of(const MachineState *ms)
{
    NfvTopology topology = {
        .cpus = ms->smp.cpus,
        .max_cpus = ms->smp.max_cpus,
        .single_thread = tcg_enabled() && !qemu_tcg_mttcg_enabled(),
    };
    CPUState *cpu;

    /* Hot-plugged ones need a host CPU, too. */
    CPU_FOREACH(cpu) {
        topology.cpus = MAX(topology.cpus, cpu->cpu_index + 1);
    }
    return topology;
}

/* Where the vCPUs will run decides where the memory should be. */
static void find_need(NfvMachine *m, const NfvHost *host)
{
    g_autoptr(NfvPlan) plan = nfv_placement_plan();

    m->need.size = MACHINE(m)->ram_size;
    m->need.pinned = plan && plan->refusal != NFV_REFUSAL_SANDBOX;
    for (unsigned i = 0; m->need.pinned && i < plan->vcpu_cpus->len; i++) {
        unsigned cpu = g_array_index(plan->vcpu_cpus, unsigned, i);
        unsigned node = host->node[cpu];

        if (node < NFV_NODES && test_bit(node, m->memory_host->nodes.bits)) {
            set_bit(node, m->need.nodes.bits);
        }
    }
}

/* Before the memory is made, and for a machine without memory in its init. */
static bool start(NfvMachine *m, Error **errp)
{
    ERRP_GUARD();
    const NfvConfig *config = &m->settings.config;
    NfvTopology topology = topology_of(MACHINE(m));
    g_autofree NfvHost *host =
        nfv_host_read(m->host_root, nfv_config_priority(config));

    m->started = true;
    nfv_sched_get_cpus(0, &m->inherited);
    if (config->vcpu_cpus || config->vcpu_auto) {
        nfv_placement_prepare();
        if (!nfv_placement_start(config, host, &topology, m->host_root, errp)) {
            return false;
        }
    } else if (config->needs_plan) {
        error_setg(errp, "%s has no effect without vcpu-cpus",
                   config->needs_plan);
        error_append_hint(errp, "Say where the vCPUs run, for example "
                                "vcpu-cpus=2-5, or vcpu-cpus=auto.\n");
        return false;
    }
    m->memory_host = nfv_memory_host_read(m->host_root);
    find_need(m, host);
    return true;
}

static bool nfv_machine_create_memdev(MachineState *ms, const char *path,
                                      Error **errp)
{
    NfvMachine *m = nfv_of(ms);
    g_autoptr(NfvPlan) plan = NULL;

    if (!start(m, errp)) {
        return false;
    }
    if (path) {
        /* -mem-path: the user's, as any backend that he gives. */
        return nfv_class_of(ms)->parent_create_memdev(ms, path, errp);
    }
    plan = nfv_placement_plan();
    return nfv_ram_create(ms, &m->memory, &m->need, m->memory_host, plan, errp);
}

/* All devices are there: a virtio-mem forbids to lock. */
static void nfv_machine_ready(Notifier *notifier, void *data)
{
    NfvMachine *m = container_of(notifier, NfvMachine, ready);

    nfv_ram_lock(&m->memory, &m->need, m->memory_host, &error_fatal);
}

static void nfv_machine_init(MachineState *ms)
{
    NfvMachine *m = nfv_of(ms);

    if (!m->started) {
        start(m, &error_fatal);
    }
    nfv_kvm_start(&m->kvm, &error_fatal);
    nfv_class_of(ms)->parent_init(ms);
    nfv_ram_check_all(&m->memory, &error_fatal);
    m->ready.notify = nfv_machine_ready;
    qemu_add_machine_init_done_notifier(&m->ready);
}

/* Run time */

typedef struct HostRead {
    const char *root;
    int priority;
    NfvHost *host;
} HostRead;

static int read_host(void *opaque)
{
    HostRead *r = opaque;

    r->host = nfv_host_read(r->root, r->priority);
    nfv_placement_prepare();
    return 0;
}

/* @m->changing held. */
static void coroutine_fn change_placement(NfvMachine *m,
                                          const NfvPlacement *change,
                                          Error **errp)
{
    g_autofree NfvHost *host = NULL;
    NfvTopology topology;
    NfvSettings next;
    HostRead r = { .root = m->host_root };

    nfv_settings_copy(&next, &m->settings);
    if (!nfv_settings_update(&next, change, errp)) {
        goto out;
    }
    if (!next.config.vcpu_cpus && !next.config.vcpu_auto) {
        error_setg(errp, "nfv-set-placement: no vcpu-cpus is in force; give "
                         "one, for example 2-5");
        goto out;
    }
    /* In a thread of the pool, because it reads files of /sys. */
    r.priority = nfv_config_priority(&next.config);
    thread_pool_submit_co(read_host, &r);
    host = r.host;
    host->inherited = m->inherited; /* not that thread's */
    topology = topology_of(MACHINE(m));
    if (nfv_placement_start(&next.config, host, &topology, m->host_root,
                            errp)) {
        NfvSettings before = m->settings;

        m->settings = next;
        next = before;
    }
out:
    nfv_settings_clear(&next);
}

void coroutine_fn qmp_nfv_set_placement(NfvPlacement *arg, Error **errp)
{
    NfvMachine *m;

    if (!is_nfv_machine(current_machine)) {
        error_setg(errp,
                   "nfv-set-placement: '%s' is not an nfv machine; start "
                   "QEMU with -M nfv",
                   MACHINE_GET_CLASS(current_machine)->name);
        return;
    }
    m = nfv_of(current_machine);
    qemu_co_mutex_lock(&m->changing);
    change_placement(m, arg, errp);
    qemu_co_mutex_unlock(&m->changing);
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
    if (!*errp) {
        nfv_ram_check_device(&nfv_of(handler)->memory, dev, errp);
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

    MACHINE(obj)->mem_merge = false;

    nfv_settings_init(&m->settings);
    qemu_co_mutex_init(&m->changing);
    m->host_root = g_strdup("");
}

static void nfv_machine_instance_finalize(Object *obj)
{
    NfvMachine *m = nfv_of(obj);

    nfv_settings_clear(&m->settings);
    g_free(m->memory_host);
    g_free(m->host_root);
}

static void add_memory_switch(ObjectClass *oc, const char *name, size_t offset,
                              const char *description)
{
    object_class_property_add(oc, name, "OnOffAuto", memory_switch_get,
                              memory_switch_set, NULL,
                              GUINT_TO_POINTER(offset));
    object_class_property_set_description(oc, name, description);
}

static void add_memory_properties(ObjectClass *oc)
{
    object_class_property_add_str(oc, "hugepages", hugepages_get,
                                  hugepages_set);
    object_class_property_set_description(oc, "hugepages",
                                          "Huge pages of hugetlbfs: auto where "
                                          "enough are free, on fails where "
                                          "they are not, 2M or 1G of that "
                                          "size, off (default: auto)");
    add_memory_switch(oc, "prealloc", offsetof(NfvMemoryConfig, prealloc),
                      "Populate the guest's memory at start: auto with "
                      "vcpu-cpus or huge pages, on, off (default: auto)");
    add_memory_switch(oc, "mem-lock", offsetof(NfvMemoryConfig, lock),
                      "Lock populated memory: auto with vcpu-cpus where the "
                      "host allows it, on fails where it does not, off "
                      "(default: auto)");
}

static void add_properties(ObjectClass *oc)
{
    add_memory_properties(oc);
    for (const NfvListSetting *l = nfv_list_settings; l->name; l++) {
        object_class_property_add(oc, l->name, "str", list_get, list_set, NULL,
                                  (void *)l);
        object_class_property_set_description(oc, l->name, l->description);
    }
    for (const NfvPrioritySetting *p = nfv_priority_settings; p->name; p++) {
        object_class_property_add(oc, p->name, "uint8", priority_get,
                                  priority_set, NULL, (void *)p);
        object_class_property_set_description(oc, p->name, p->description);
    }
    object_class_property_add(oc, "rt", "OnOffAuto", rt_get, rt_set, NULL,
                              NULL);
    object_class_property_set_description(oc, "rt",
                                          "Real-time vCPU threads: auto does "
                                          "what the host allows and reports "
                                          "the rest, on fails where it does "
                                          "not, off only pins (default: auto)");
    object_class_property_add_str(oc, "x-host-root", host_root_get,
                                  host_root_set);
    object_class_property_set_description(oc, "x-host-root",
                                          "For tests: prefix of /sys, "
                                          "/proc/sys and /run/lock");
    nfv_migration_add_machine_properties(oc);
}

/* A later version may have others. */
static GlobalProperty nfv_defaults_10_0[] = {
    { "migration", "vmstate", "on" },
    { "migration", "vmdesc", "off" },
    { "migration", "popmap", "on" },
    { "migration", "pcimap", "on" },
    { "migration", "policy", "on" },
    { "migration", "heat", "on" },
    { "migration", "net", "on" },
    { "migration", "postcopy", "on" },
    { "migration", "early-discard", "on" },
    { "migration", "hot-push", "on" },
    { "migration", "prefetch", "on" },
    /*
     * KVM clears its dirty log in chunks of 2^12 pages, 16 MiB, and not of 1 GiB:
     * a vCPU that writes to a page meanwhile waits for the MMU lock.
     */
    { "migration", "x-clear-bitmap-shift", "12" },
    /* A burst of late ticks would interrupt the guest for nothing. */
    { TYPE_KVM_I8254, "lost_tick_policy", "discard" },
};

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
    compat_props_add(mc->compat_props, nfv_defaults_10_0,
                     ARRAY_SIZE(nfv_defaults_10_0));

    nmc->parent_init = mc->init;
    mc->init = nfv_machine_init;
    nmc->parent_create_memdev = mc->create_default_memdev;
    mc->create_default_memdev = nfv_machine_create_memdev;
    nmc->parent_pre_plug = hc->pre_plug;
    hc->pre_plug = nfv_machine_pre_plug;

    add_properties(oc);
    nfv_kvm_add_properties(oc, offsetof(NfvMachine, kvm));
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
    .interfaces = (InterfaceInfo[]) { { TYPE_NFV_MACHINE }, {} },
};

static void nfv_machine_register(void)
{
    type_register_static(&nfv_interface);
    type_register_static(&nfv_10_0);
}
type_init(nfv_machine_register);
