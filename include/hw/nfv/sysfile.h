/*
 * Small files of /sys and /proc/sys
 *
 * Copyright (c) 2026 the kvm4nfv authors
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#ifndef HW_NFV_SYSFILE_H
#define HW_NFV_SYSFILE_H

#include "hw/nfv/cpulist.h"

/* All: @root is "" but in tests, which prefix @path with it.  Any thread. */

/* The text without the line's end; the caller frees it.  NULL if unreadable. */
char *nfv_sysfile_text(const char *root, const char *path);

/* The number in the file, or @otherwise. */
int64_t nfv_sysfile_number(const char *root, const char *path,
                           int64_t otherwise);

/* The CPU list in the file.  False, and @set empty, if there is none. */
bool nfv_sysfile_cpuset(const char *root, const char *path, NfvCpuSet *set);

#endif
