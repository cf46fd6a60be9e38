/*
 * Arrays of device state in bulk: the codec
 *
 * QEMU's interpreter of VMStateDescription walks all fields of all elements of
 * an array.  Where the elements are plain data, they are the same few steps
 * over and over: those are made once, into a plan, and run over a buffer.  The
 * stream has the same bytes.
 *
 * Copyright (c) 2026 the kvm4nfv authors
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#ifndef MIGRATION_NFV_VMSTATE_H
#define MIGRATION_NFV_VMSTATE_H

#include "migration/vmstate.h"

typedef enum NfvVmstateKind {
    NFV_VMSTATE_BYTES,
    NFV_VMSTATE_BOOL,
    NFV_VMSTATE_16,
    NFV_VMSTATE_32,
    NFV_VMSTATE_64,
    NFV_VMSTATE_UNUSED, /* bytes that are only in the stream, zero */
    /* the end of a structure, where a subsection may follow in the stream */
    NFV_VMSTATE_END,
} NfvVmstateKind;

typedef struct NfvVmstateStep {
    NfvVmstateKind kind;
    uint32_t offset; /* in the element */
    uint32_t count;  /* of the kind */
} NfvVmstateStep;

/* Bytes of an element in the stream and steps of it; more is not planned. */
#define NFV_VMSTATE_WIRE_MAX 4096
#define NFV_VMSTATE_STEPS_MAX 48

typedef struct NfvVmstatePlan {
    uint32_t wire;   /* bytes of an element in the stream, never 0 */
    uint32_t stride; /* and in memory */
    bool has_end;    /* there is an NFV_VMSTATE_END */
    unsigned n_steps;
    NfvVmstateStep steps[NFV_VMSTATE_STEPS_MAX];
} NfvVmstatePlan;

/* All three are pure. */

/*
 * Plan the elements of the array @field.  False if they are not plain: if
 * anything must be called, decided or checked while they are saved or loaded,
 * or if they are not in one piece.  @plan is then undefined.
 */
bool nfv_vmstate_plan(NfvVmstatePlan *plan, const VMStateField *field);

/* Write @n elements to @out, which has room for @n * @plan->wire bytes. */
void nfv_vmstate_encode(const NfvVmstatePlan *plan, const void *elements, int n,
                        uint8_t *out);

/*
 * Read @n elements from @in, which has @n * @plan->wire bytes, and one more
 * with @plan->has_end.  Returns how many were read: less than @n if a structure
 * of the next one seems to be followed by a subsection; the rest of the
 * elements is then undefined.
 */
int nfv_vmstate_decode(const NfvVmstatePlan *plan, const uint8_t *in, int n,
                       void *elements);

#endif
