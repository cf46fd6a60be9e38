/*
 * Small files of /sys and /proc/sys
 *
 * Copyright (c) 2026 the kvm4nfv authors
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "qemu/osdep.h"
#include "qemu/cutils.h"
#include "hw/nfv/sysfile.h"

char *nfv_sysfile_text(const char *root, const char *path)
{
    g_autofree char *full = g_strconcat(root, path, NULL);
    char *text;

    if (!g_file_get_contents(full, &text, NULL, NULL)) {
        return NULL;
    }
    return g_strchomp(text);
}

int64_t nfv_sysfile_number(const char *root, const char *path,
                           int64_t otherwise)
{
    g_autofree char *text = nfv_sysfile_text(root, path);
    int64_t value;

    if (!text || qemu_strtoi64(text, NULL, 10, &value)) {
        return otherwise;
    }
    return value;
}

bool nfv_sysfile_cpuset(const char *root, const char *path, NfvCpuSet *set)
{
    g_autofree char *text = nfv_sysfile_text(root, path);
    g_autoptr(GArray) list = NULL;

    bitmap_zero(set->bits, NFV_CPUS);
    /* An empty set is an empty line, or "(null)" in some kernels. */
    if (text && g_ascii_isdigit(*text)) {
        list = nfv_cpulist_parse(path, text, NFV_CPUS, NULL);
    }
    if (list) {
        nfv_cpuset_from_list(set, list);
    }
    return list != NULL;
}
