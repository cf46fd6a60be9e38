/*
 * The nfv machine types
 *
 * Copyright (c) 2026 the kvm4nfv authors
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#ifndef HW_NFV_MACHINE_H
#define HW_NFV_MACHINE_H

#include "hw/boards.h"

/*
 * An interface without methods: each versioned nfv machine has it, whatever its
 * QOM parent.
 */
#define TYPE_NFV_MACHINE "nfv-machine-interface"

static inline bool is_nfv_machine(MachineState *ms)
{
    return object_dynamic_cast(OBJECT(ms), TYPE_NFV_MACHINE) != NULL;
}

#endif
