/*
 * Guest memory mapped for the vCPUs before they run
 *
 * Copyright (c) 2026 the kvm4nfv authors
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#ifndef ACCEL_KVM_NFV_PREFAULT_H
#define ACCEL_KVM_NFV_PREFAULT_H

/* Guest physical addresses, in bytes. */
typedef struct NfvRange {
    uint64_t start, size;
} NfvRange;

/* What was done; bytes. */
typedef struct NfvPrefault {
    const char *skipped; /* why there was nothing to do, or NULL; static */
    uint64_t wanted, done;
    int err; /* errno of the first failure, or 0 */
} NfvPrefault;

/* All whole pages of @page bytes, a power of two, in @range. */
NfvRange nfv_range_pages(NfvRange range, uint64_t page);

/*
 * The part of @range for the vCPU @index of @count.  The parts of all are the
 * whole, and no large page of 2 MiB is in two of them.
 */
NfvRange nfv_range_share(NfvRange range, unsigned index, unsigned count);

/*
 * Map the start of *@range, and move *@range past what was mapped.  0, or a
 * negative errno, for example -EINTR and -EAGAIN: ask again.
 */
typedef int NfvMapFn(void *opaque, NfvRange *range);

/*
 * Have @map called until @range is mapped, @map fails, or it makes no progress
 * for long.  Adds to @result's done, and sets its err if that is 0.
 */
void nfv_prefault_range(NfvRange range, NfvMapFn *map, void *opaque,
                        NfvPrefault *result);

/*
 * BQL, when the machine is made, before a vCPU runs.  Map all preallocated
 * guest memory, each vCPU's thread a part; drops the BQL.  KVM must have
 * KVM_CAP_PRE_FAULT_MEMORY.
 */
void nfv_prefault_ram(NfvPrefault *result);

#endif
