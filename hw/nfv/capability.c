/*
 * Capabilities of this process, as the kernel counts them
 *
 * Copyright (c) 2026 the kvm4nfv authors
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "qemu/osdep.h"
#include "qemu/bitops.h"
#include "qemu/cutils.h"
#include "hw/nfv/capability.h"
#include "hw/nfv/sysfile.h"

#define USER_INIT_INO 0xeffffffd /* of its user namespace, in every kernel */

static bool in_initial_user_namespace(void)
{
    struct stat st;

    return stat("/proc/self/ns/user", &st) == 0 && st.st_ino == USER_INIT_INO;
}

bool nfv_capable(unsigned capability)
{
    g_autofree char *status = nfv_sysfile_text("", "/proc/thread-self/status");
    const char *line = status ? strstr(status, "\nCapEff:") : NULL;
    const char *end;
    uint64_t caps;

    return line && in_initial_user_namespace() &&
           !qemu_strtou64(line + strlen("\nCapEff:\t"), &end, 16, &caps) &&
           (caps & BIT_ULL(capability));
}
