/*
 * Claims on host CPUs, so that two guests do not take the same
 *
 * Copyright (c) 2026 the kvm4nfv authors
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#ifndef HW_NFV_CLAIM_H
#define HW_NFV_CLAIM_H

/*
 * A claim is a lock on the file kvm4nfv-cpuN.lock in /run/lock, held until the
 * process ends; a crash releases it, too. Files are never removed: they are
 * empty, and a removed file could be locked twice.
 * @root: as in nfv_host_read().
 */

/*
 * Claim @cpu.  1: claimed, or was before; 0: another process has it; negative
 * errno: the file cannot be had, and *@path, which the caller frees, says
 * which.  Any one thread at a time.
 */
int nfv_claim(const char *root, unsigned cpu, char **path);

/* Give back the claims on all CPUs that are not in @list (of unsigned). */
void nfv_claim_keep(const GArray *list);

/*
 * Claim the first @wanted of @candidates (of unsigned) that are free, but at
 * least @needed.  NULL and @errp set if that fails; the claims that this call
 * made are then given back.
 */
GArray *nfv_claim_some(const char *root, const GArray *candidates,
                       unsigned needed, unsigned wanted, Error **errp);

#endif
