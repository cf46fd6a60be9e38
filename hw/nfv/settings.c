/*
 * The placement that the user asked for, as properties and in QMP
 *
 * Copyright (c) 2026 the kvm4nfv authors
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "qemu/osdep.h"
#include "qapi/error.h"
#include "hw/nfv/settings.h"

/* 99 is the kernel's: its own migration threads and watchdogs. */
#define PRIORITY_MAX 98

#define LIST(property, field, about)                                \
    {                                                               \
        .name = property, .text = offsetof(NfvSettings, field),     \
        .list = offsetof(NfvSettings, config.field),                \
        .arg = offsetof(NfvPlacement, field), .description = about, \
    }

const NfvListSetting nfv_list_settings[] = {
    LIST("vcpu-cpus", vcpu_cpus,
         "Host CPU of each vCPU in order, as in 2-5:7, or auto for isolated "
         "ones (default: threads are not placed)"),
    LIST("rt-vcpus", rt_vcpus,
         "vCPUs that are real-time, as in 1-3 (default: all)"),
    LIST("iothread-cpus", iothread_cpus,
         "Host CPUs of I/O threads (default: those of housekeeping-cpus)"),
    LIST("housekeeping-cpus", housekeeping_cpus,
         "Host CPUs of all other threads (default: those that QEMU was started "
         "on and that run no vCPU)"),
    { NULL },
};

#define PRIORITY(property, field, lowest, about)                        \
    {                                                                   \
        .name = property, .value = offsetof(NfvSettings, config.field), \
        .has = offsetof(NfvPlacement, has_##field),                     \
        .arg = offsetof(NfvPlacement, field), .min = lowest,            \
        .description = about,                                           \
    }

const NfvPrioritySetting nfv_priority_settings[] = {
    PRIORITY("vcpu-priority", vcpu_priority, 1,
             "SCHED_FIFO priority of real-time vCPUs, 1 to 98 (default: 1)"),
    PRIORITY("iothread-priority", iothread_priority, 0,
             "SCHED_FIFO priority of I/O threads, 1 to 98, or 0 for none "
             "(default: 0)"),
    PRIORITY("emulator-priority", emulator_priority, 0,
             "SCHED_FIFO priority of the main thread, 1 to 98, or 0 for none "
             "(default: 0)"),
    { NULL },
};

static char **text_of(const NfvSettings *settings, const NfvListSetting *which)
{
    return (void *)settings + which->text;
}

static GArray **list_of(const NfvSettings *settings,
                        const NfvListSetting *which)
{
    return (void *)settings + which->list;
}

void nfv_settings_init(NfvSettings *settings)
{
    *settings = (NfvSettings) {
        .config.rt = ON_OFF_AUTO_AUTO,
        .config.vcpu_priority = 1,
    };
}

void nfv_settings_clear(NfvSettings *settings)
{
    for (const NfvListSetting *l = nfv_list_settings; l->name; l++) {
        g_clear_pointer(text_of(settings, l), g_free);
        g_clear_pointer(list_of(settings, l), g_array_unref);
    }
}

void nfv_settings_copy(NfvSettings *to, const NfvSettings *from)
{
    *to = *from;
    for (const NfvListSetting *l = nfv_list_settings; l->name; l++) {
        *text_of(to, l) = g_strdup(*text_of(from, l));
        if (*list_of(from, l)) {
            g_array_ref(*list_of(from, l));
        }
    }
}

const char *nfv_settings_get_list(const NfvSettings *settings,
                                  const NfvListSetting *which)
{
    return *text_of(settings, which) ?: "";
}

uint8_t nfv_settings_get_priority(const NfvSettings *settings,
                                  const NfvPrioritySetting *which)
{
    return *(uint8_t *)((void *)settings + which->value);
}

bool nfv_settings_set_list(NfvSettings *settings, const NfvListSetting *which,
                           const char *value, Error **errp)
{
    NfvConfig *config = &settings->config;
    GArray **list = list_of(settings, which);
    char **text = text_of(settings, which);
    bool is_vcpu_cpus = list == &config->vcpu_cpus;
    bool is_auto = is_vcpu_cpus && !strcmp(value, "auto");
    GArray *parsed = NULL;

    if (!is_auto) {
        parsed = nfv_cpulist_parse(which->name, value, NFV_CPUS, errp);
        if (!parsed) {
            return false;
        }
    }
    g_clear_pointer(list, g_array_unref);
    *list = parsed;
    g_free(*text);
    *text = g_strdup(value);
    if (is_vcpu_cpus) {
        config->vcpu_auto = is_auto;
    } else {
        config->needs_plan = which->name;
    }
    return true;
}

bool nfv_settings_set_priority(NfvSettings *settings,
                               const NfvPrioritySetting *which, int64_t value,
                               Error **errp)
{
    if (value < which->min || value > PRIORITY_MAX) {
        error_setg(errp, "%s=%" PRId64 " is out of range; valid are %u to %u",
                   which->name, value, which->min, PRIORITY_MAX);
        return false;
    }
    *(uint8_t *)((void *)settings + which->value) = value;
    settings->config.needs_plan = which->name;
    return true;
}

void nfv_settings_set_rt(NfvSettings *settings, OnOffAuto value)
{
    settings->config.rt = value;
    if (value == ON_OFF_AUTO_ON) {
        settings->config.needs_plan = "rt";
    } else if (!g_strcmp0(settings->config.needs_plan, "rt")) {
        settings->config.needs_plan = NULL;
    }
}

bool nfv_settings_update(NfvSettings *settings, const NfvPlacement *change,
                         Error **errp)
{
    for (const NfvListSetting *l = nfv_list_settings; l->name; l++) {
        const char *value = *(char **)((void *)change + l->arg);

        /* An empty list is the way back to the default. */
        if (value && !*value &&
            l->list != offsetof(NfvSettings, config.vcpu_cpus)) {
            g_clear_pointer(text_of(settings, l), g_free);
            g_clear_pointer(list_of(settings, l), g_array_unref);
            continue;
        }
        if (value && !nfv_settings_set_list(settings, l, value, errp)) {
            return false;
        }
    }
    for (const NfvPrioritySetting *p = nfv_priority_settings; p->name; p++) {
        bool has = *(bool *)((void *)change + p->has);
        uint8_t value = *(uint8_t *)((void *)change + p->arg);

        if (has && !nfv_settings_set_priority(settings, p, value, errp)) {
            return false;
        }
    }
    if (change->has_rt) {
        nfv_settings_set_rt(settings, change->rt);
    }
    return true;
}
