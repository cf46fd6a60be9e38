/*
 * The role of a thread, from its name
 *
 * Copyright (c) 2026 the kvm4nfv authors
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "qemu/osdep.h"
#include "qemu/cutils.h"
#include "hw/nfv/role.h"

/*
 * Names that QEMU gives to qemu_thread_create(): the first entry that the name
 * begins with decides.  Their places in QEMU: accel/<each>/<each>-accel-ops*.c,
 * iothread.c, migration/migration.h, util/oslib-posix.c, util/thread-context.c.
 */
static const struct {
    const char *prefix;
    NfvRole role;
} thread_names[] = {
    { "CPU ", NFV_ROLE_VCPU },
    { "ALL CPUs/", NFV_ROLE_VCPU },
    { "IO ", NFV_ROLE_IOTHREAD },
    { "mig/dst/fault", NFV_ROLE_FAULT },
    { "mig/dst/preempt", NFV_ROLE_FAULT },
    { "mig/src/return", NFV_ROLE_FAULT },
    { "mig/", NFV_ROLE_MIGRATION },
    { "touch_pages", NFV_ROLE_MEMORY },
    { "TC ", NFV_ROLE_MEMORY },
};

static const struct {
    const char *prefix;
    NfvRole role;
} kernel_names[] = {
    { "vhost-", NFV_ROLE_VHOST },
    { "kvm-pit/", NFV_ROLE_VHOST },
    { "iou-wrk-", NFV_ROLE_WORKER },
    { "iou-sqp-", NFV_ROLE_WORKER },
};

NfvRole nfv_role_of_thread(const char *name, int *vcpu)
{
    const char *rest;
    int index;

    *vcpu = -1;
    for (int i = 0; i < ARRAY_SIZE(thread_names); i++) {
        if (!strstart(name, thread_names[i].prefix, &rest)) {
            continue;
        }
        if (!strcmp(thread_names[i].prefix, "CPU ") &&
            !qemu_strtoi(rest, &rest, 10, &index) && *rest == '/' &&
            index >= 0) {
            *vcpu = index;
        }
        return thread_names[i].role;
    }
    return NFV_ROLE_WORKER;
}

bool nfv_role_of_kernel_thread(const char *comm, NfvRole *role, int *tid)
{
    const char *rest;

    for (int i = 0; i < ARRAY_SIZE(kernel_names); i++) {
        if (strstart(comm, kernel_names[i].prefix, &rest) &&
            !qemu_strtoi(rest, NULL, 10, tid) && *tid > 0) {
            *role = kernel_names[i].role;
            return true;
        }
    }
    return false;
}
