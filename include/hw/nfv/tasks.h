/*
 * Threads that no hook announces, as /proc has them
 *
 * Copyright (c) 2026 the kvm4nfv authors
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#ifndef HW_NFV_TASKS_H
#define HW_NFV_TASKS_H

#include "qapi/qapi-types-nfv.h"

typedef struct NfvTask {
    int tid;
    char *comm; /* "main" for the main thread */
    NfvRole role;
    int owner; /* whom a kernel thread works for; 0 for a task of ours */
} NfvTask;

/* All functions walk or read /proc: any thread, not with the BQL. */

/* An array (of NfvTask) that owns what it holds. */
GArray *nfv_tasks_new(void);

/*
 * Append all tasks of this process and, with @host, those of the kernel's own
 * that may work for it.  False if /proc cannot be read, as after -run-with
 * chroot: then some may be missing.
 */
bool nfv_tasks_find(GArray *tasks, bool host);

/* Whether @tid is still the task with this @comm and @owner. */
bool nfv_task_is(int tid, const char *comm, int owner);

#endif
