/*
 * The state of all vCPUs between KVM and QEMU, in parallel
 *
 * Copyright (c) 2026 the kvm4nfv authors
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#ifndef HW_NFV_VCPU_SYNC_H
#define HW_NFV_VCPU_SYNC_H

/*
 * Both are for a thread with the BQL that is no vCPU's.  They let go of it, as
 * run_on_cpu() does, and hold it again while the vCPUs work.  What they do not
 * do, or fail to do, is the caller's, one vCPU after the other: it is then that
 * errors are reported.
 */

/* Fetch the state of the vCPUs whose state is not here. */
void nfv_vcpu_sync_get(void);

/* Put the full state of all vCPUs.  False: not done for all. */
bool nfv_vcpu_sync_put(void);

/*
 * While @lent, bql_locked() is true for this thread because another one holds
 * the BQL and waits for it: neither may let go of it.  Defined by system/.
 */
void nfv_bql_lend(bool lent);

#endif
