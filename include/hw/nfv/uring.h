/*
 * Host CPUs of io_uring's workers
 *
 * Copyright (c) 2026 the kvm4nfv authors
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#ifndef HW_NFV_URING_H
#define HW_NFV_URING_H

#include "hw/nfv/cpulist.h"

/*
 * Have all workers that io_uring makes for this process from now on run on
 * @cpus (copied).  The kernel keeps that for each thread that submits, and
 * only the thread itself may set it: the main thread and all I/O threads do so
 * a moment after this returns.  Any thread, without the BQL; looks through
 * /proc/self/fd.
 */
void nfv_uring_confine(const NfvCpuSet *cpus);

#endif
