/*
 * The placement that the user asked for, as properties and in QMP
 *
 * Copyright (c) 2026 the kvm4nfv authors
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#ifndef HW_NFV_SETTINGS_H
#define HW_NFV_SETTINGS_H

#include "hw/nfv/plan.h"

typedef struct NfvSettings {
    NfvConfig config; /* owns its lists */
    /* The lists as the user wrote them; NULL where there is none. */
    char *vcpu_cpus, *rt_vcpus, *iothread_cpus, *housekeeping_cpus;
} NfvSettings;

/* The offsets are those of the value's places in NfvSettings, NfvPlacement. */

typedef struct NfvListSetting {
    const char *name, *description;
    size_t text, list; /* of char * and GArray * in NfvSettings */
    size_t arg;        /* of char * in NfvPlacement */
} NfvListSetting;

typedef struct NfvPrioritySetting {
    const char *name, *description;
    size_t value;    /* of uint8_t in NfvSettings */
    size_t has, arg; /* of bool and uint8_t in NfvPlacement */
    uint8_t min;
} NfvPrioritySetting;

/* Each ends with an entry whose name is NULL. */
extern const NfvListSetting nfv_list_settings[];
extern const NfvPrioritySetting nfv_priority_settings[];

void nfv_settings_init(NfvSettings *settings);
void nfv_settings_clear(NfvSettings *settings);

/* @to was cleared, or is not initialised. */
void nfv_settings_copy(NfvSettings *to, const NfvSettings *from);

/* "" where there is none.  Owned by @settings. */
const char *nfv_settings_get_list(const NfvSettings *settings,
                                  const NfvListSetting *which);
uint8_t nfv_settings_get_priority(const NfvSettings *settings,
                                  const NfvPrioritySetting *which);

/* False and @errp set, and @settings as it was, if the value is not valid. */
bool nfv_settings_set_list(NfvSettings *settings, const NfvListSetting *which,
                           const char *value, Error **errp);
bool nfv_settings_set_priority(NfvSettings *settings,
                               const NfvPrioritySetting *which, int64_t value,
                               Error **errp);
void nfv_settings_set_rt(NfvSettings *settings, OnOffAuto value);

/*
 * All that @change has.  False and @errp set if a value is not valid; those
 * before it are then in @settings.
 */
bool nfv_settings_update(NfvSettings *settings, const NfvPlacement *change,
                         Error **errp);

#endif
