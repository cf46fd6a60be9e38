/*
 * The settings as properties of the migration object and of a machine
 *
 * Copyright (c) 2026 the kvm4nfv authors
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "qemu/osdep.h"
#include "qapi/error.h"
#include "qapi/qapi-visit-migration.h"
#include "qapi/qapi-visit-nfv.h"
#include "qapi/string-output-visitor.h"
#include "qapi/visitor.h"
#include "hw/qdev-core.h"
#include "migration/migration.h"
#include "migration/nfv.h"
#include "trace.h"

#define MACHINE_PREFIX "migration-"

typedef struct Setting {
    const char *name, *type, *description;
    size_t offset; /* in NfvMigrationSettings */
    bool (*visit)(Visitor *v, const char *name, void *value, Error **errp);
    uint32_t feature; /* that it stands for while it is on, or 0 */
    bool contract;    /* may change while a migration runs */
} Setting;

static bool visit_switch(Visitor *v, const char *name, void *value,
                         Error **errp)
{
    return visit_type_bool(v, name, value, errp);
}

/* A contract of more than this is a mistake of units. */
#define MS_MAX (24 * 3600 * 1000)

static bool visit_ms(Visitor *v, const char *name, void *value, Error **errp)
{
    uint64_t ms = *(uint64_t *)value;

    if (!visit_type_uint64(v, name, &ms, errp)) {
        return false;
    }
    if (ms > MS_MAX) {
        error_setg(errp,
                   "%s=%" PRIu64 " is out of range; valid are 0 (none) to %d "
                   "milliseconds",
                   name, ms, MS_MAX);
        return false;
    }
    *(uint64_t *)value = ms;
    return true;
}

static bool visit_on_deadline(Visitor *v, const char *name, void *value,
                              Error **errp)
{
    NfvOnDeadline *action = value;
    g_autofree char *word =
        visit_is_input(v) ? NULL : g_strdup(NfvOnDeadline_str(*action));
    int parsed;

    if (!visit_type_str(v, name, &word, errp)) {
        return false;
    }
    parsed = qapi_enum_parse(&NfvOnDeadline_lookup, word, -1, NULL);
    if (parsed < 0) {
        /* In one line, because QMP does not show hints. */
        error_setg(errp,
                   "%s='%s' is not valid; valid are continue, postcopy, cancel",
                   name, word);
        return false;
    }
    *action = parsed;
    return true;
}

#define SWITCH(property, field, bit, about)                     \
    {                                                           \
        .name = property, .type = "bool", .description = about, \
        .offset = offsetof(NfvMigrationSettings, field),        \
        .visit = visit_switch, .feature = bit,                  \
    }

static const Setting table[] = {
    SWITCH("vmstate", vmstate, NFV_FEATURE_VMSTATE | NFV_FEATURE_REPEATS,
           "Save and load arrays of device state in bulk, and do not send "
           "what repeats in them where the destination has this on, too "
           "(default: off)"),
    SWITCH("vmdesc", vmdesc, 0,
           "Describe the device state in JSON at the end of the stream; off "
           "leaves it out, where the stream is not kept (default: on)"),
    SWITCH("popmap", popmap, NFV_FEATURE_POPMAP,
           "Do not read pages that never held data, and do not send them "
           "where the destination has this on, too (default: off)"),
    SWITCH("pcimap", pcimap, NFV_FEATURE_PCIMAP,
           "Map the guest's PCI devices at the destination before the stop, "
           "where both ends have this on (default: off)"),
    SWITCH("policy", policy, 0,
           "Switch over when the predicted stop fits the smaller of "
           "max-downtime and downtime-limit, and keep the deadline (default: "
           "off)"),
    SWITCH("heat", heat, 0,
           "Hold memory back from the first round that the guest is writing "
           "to; needs policy (default: off)"),
    SWITCH("net", net, 0,
           "Set TCP_NODELAY on every channel of a migration (default: off)"),
    SWITCH("vcpu-sync", vcpu_sync, 0,
           "With KVM, get and put the state of all vCPUs in parallel "
           "(default: off)"),
    SWITCH("postcopy", postcopy, NFV_FEATURE_POSTCOPY,
           "Allow multifd before post-copy, announce post-copy to the "
           "destination when it begins, and measure its stalls (default: off)"),
    SWITCH("early-discard", early_discard, 0,
           "Discard at the destination before the stop what post-copy will "
           "fetch; needs postcopy (default: off)"),
    SWITCH("hot-push", hot_push, 0,
           "In post-copy, send first what the guest will need first; needs "
           "postcopy and heat (default: off)"),
    SWITCH("prefetch", prefetch, 0,
           "In post-copy, ask for the pages behind one that a sequence of "
           "accesses waits for (default: off)"),
    { .name = "max-downtime",
      .contract = true,
      .type = "uint64",
      .description = "Milliseconds that the guest may stand still, or 0: "
                     "downtime-limit alone counts (default: 0)",
      .offset = offsetof(NfvMigrationSettings, max_downtime),
      .visit = visit_ms },
    { .name = "deadline",
      .contract = true,
      .type = "uint64",
      .description = "Milliseconds from the start of a migration until the "
                     "guest runs on the destination, or 0 for none (default: "
                     "0)",
      .offset = offsetof(NfvMigrationSettings, deadline),
      .visit = visit_ms },
    { .name = "on-deadline",
      .contract = true,
      .type = "NfvOnDeadline",
      .description = "What to do at the deadline: continue, postcopy (if that "
                     "capability is on), cancel (default: continue)",
      .offset = offsetof(NfvMigrationSettings, on_deadline),
      .visit = visit_on_deadline },
};

uint32_t nfv_migration_features(void)
{
    const NfvMigrationSettings *settings = nfv_migration_settings();
    uint32_t features = 0;

    for (const Setting *s = table; s < table + ARRAY_SIZE(table); s++) {
        if (s->feature && *(bool *)((char *)settings + s->offset)) {
            features |= s->feature;
        }
    }
    return features;
}

static bool get(const Setting *s, Visitor *v, const char *name,
                const NfvMigrationSettings *from, Error **errp)
{
    NfvMigrationSettings copy = *from;

    return s->visit(v, name, (char *)&copy + s->offset, errp);
}

/* The migration objects exist. */
static bool check_may_change(const Setting *s, const char *name, Error **errp)
{
    MigrationStatus incoming = migration_incoming_get_current()->state;

    if (s->contract) {
        return true;
    }
    if (migration_is_running() || (incoming != MIGRATION_STATUS_NONE &&
                                   incoming != MIGRATION_STATUS_SETUP &&
                                   incoming != MIGRATION_STATUS_COMPLETED &&
                                   incoming != MIGRATION_STATUS_FAILED)) {
        error_setg(errp,
                   "%s cannot be changed while a migration runs; set it before "
                   "or after",
                   name);
        return false;
    }
    return true;
}

static void put(const NfvMigrationSettings *next, const char *name)
{
    nfv_migration_settings_set(next);
    trace_nfv_migration_set(name);
    if (phase_check(PHASE_MACHINE_READY)) {
        nfv_promise_changed();
    }
}

/* The migration object */

static void object_get_setting(Object *obj, Visitor *v, const char *name,
                               void *opaque, Error **errp)
{
    get(opaque, v, name, nfv_migration_settings(), errp);
}

static void object_set_setting(Object *obj, Visitor *v, const char *name,
                               void *opaque, Error **errp)
{
    const Setting *s = opaque;
    NfvMigrationSettings next = *nfv_migration_settings();

    if (!s->visit(v, name, (char *)&next + s->offset, errp)) {
        return;
    }
    if (phase_check(PHASE_MACHINE_INITIALIZED)) {
        /* Introspection makes other objects, with -global's values in them. */
        if (obj != OBJECT(migrate_get_current()) ||
            !check_may_change(s, name, errp)) {
            return;
        }
    }
    put(&next, name);
}

void nfv_migration_class_init(ObjectClass *oc)
{
    for (const Setting *s = table; s < table + ARRAY_SIZE(table); s++) {
        object_class_property_add(oc, s->name, s->type, object_get_setting,
                                  object_set_setting, NULL, (void *)s);
        object_class_property_set_description(oc, s->name, s->description);
    }
}

/* The machine */

static void machine_set_setting(Object *obj, Visitor *v, const char *name,
                                void *opaque, Error **errp)
{
    const Setting *s = opaque;
    NfvMigrationSettings next = *nfv_migration_settings();

    if (!s->visit(v, name, (char *)&next + s->offset, errp)) {
        return;
    }
    if (phase_check(PHASE_LATE_BACKENDS_CREATED)) {
        if (check_may_change(s, name, errp)) {
            put(&next, name);
        }
    } else {
        /* The object is made later: above compat_props, below -global. */
        g_autofree char *value = NULL;
        Visitor *text = string_output_visitor_new(false, &value);

        if (get(s, text, name, &next, errp)) {
            visit_complete(text, &value);
            object_register_sugar_prop(TYPE_MIGRATION, s->name, value, false);
        }
        visit_free(text);
    }
}

void nfv_migration_add_machine_properties(ObjectClass *oc)
{
    for (const Setting *s = table; s < table + ARRAY_SIZE(table); s++) {
        g_autofree char *name = g_strconcat(MACHINE_PREFIX, s->name, NULL);

        object_class_property_add(oc, name, s->type, object_get_setting,
                                  machine_set_setting, NULL, (void *)s);
        object_class_property_set_description(oc, name, s->description);
    }
}
