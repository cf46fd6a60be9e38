/*
 * The role of a thread, from its name
 *
 * Copyright (c) 2026 the kvm4nfv authors
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#ifndef HW_NFV_ROLE_H
#define HW_NFV_ROLE_H

#include "qapi/qapi-types-nfv.h"

/*
 * The role of the thread that QEMU named @name when it made it.  *@vcpu becomes
 * the index of its vCPU, or -1 if it runs none or, with a single TCG thread,
 * all.
 */
NfvRole nfv_role_of_thread(const char *name, int *vcpu);

/*
 * Whether a kernel thread or io_uring worker called @comm (15 characters at
 * most, as in /proc/PID/comm) belongs to the task @tid: "vhost-TID",
 * "kvm-pit/TID", "iou-wrk-TID".  *@role becomes its role.
 */
bool nfv_role_of_kernel_thread(const char *comm, NfvRole *role, int *tid);

#endif
