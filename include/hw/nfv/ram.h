/*
 * The memory backends of the guest: made, checked, locked, shown
 *
 * Copyright (c) 2026 the kvm4nfv authors
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#ifndef HW_NFV_RAM_H
#define HW_NFV_RAM_H

#include "hw/nfv/maps.h"
#include "hw/nfv/memory.h"
#include "hw/nfv/plan.h"

/*
 * Make the machine's default RAM, in the best way that @config allows on this
 * @host.  @plan: of the threads, whose vCPU host CPUs populate it; NULL if none
 * is in force.  Main thread with the BQL, before the vCPUs are made.  False and
 * @errp set if it cannot be had.
 */
bool nfv_ram_create(MachineState *ms, const NfvMemoryConfig *config,
                    const NfvMemoryNeed *need, const NfvMemoryHost *host,
                    const NfvPlan *plan, Error **errp);

/*
 * False and @errp set if @device's memory backend, if it has one, or any that
 * the machine uses already, contradicts @config.  Main thread with the BQL.
 */
bool nfv_ram_check_device(const NfvMemoryConfig *config, DeviceState *device,
                          Error **errp);
bool nfv_ram_check_all(const NfvMemoryConfig *config, Error **errp);

/*
 * Lock QEMU's memory, pages as they are populated.  Main thread with the BQL,
 * when all devices are there.  False and @errp set if it is to be had and
 * cannot.
 */
bool nfv_ram_lock(const NfvMemoryConfig *config, const NfvMemoryNeed *need,
                  const NfvMemoryHost *host, Error **errp);

/* One memory backend that the guest uses. */
typedef struct NfvRam {
    char *id;
    uint64_t page_size;
    bool share, prealloc;
    bool ours;        /* made by nfv_ram_create() */
    NfvNodeSet bound; /* empty: to none */
    NfvRange range;
} NfvRam;

typedef struct NfvRamList {
    unsigned count;
    NfvRam ram[];
} NfvRamList;

/* All of them; what NfvRange finds is not looked up yet.  BQL. */
NfvRamList *nfv_ram_list(void);
void nfv_ram_list_free(NfvRamList *list);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(NfvRamList, nfv_ram_list_free)

/* nfv_maps_read() for all.  Never with the BQL. */
void nfv_ram_read(NfvRamList *list);

/* What became of hugepages, prealloc and mem-lock. BQL; @list was read. */
NfvTuningList *nfv_ram_tuning(const NfvRamList *list);

#endif
