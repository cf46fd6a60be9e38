/*
 * Elements of an array of device state that repeat the one before are counted,
 * not sent
 *
 * A virtio device has 1024 queues, of which guests use a few; the rest are in
 * their reset state, and were nine tenths of what was sent in the stop.
 *
 * In the stream an array whose elements are plain, and of which the first was
 * sent as stock does, goes on with chunks of NFV_REPEATS_CHUNK bytes of elements:
 *
 *     be32 count, 1 to the number of elements of the chunk; that many elements
 *
 * and those after them are each as the last of them is.  So it is for every such
 * array, from a record without payload on that the source sends where the
 * destination has NFV_FEATURE_REPEATS.
 *
 * Copyright (c) 2026 the kvm4nfv authors
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#ifndef MIGRATION_NFV_REPEATS_H
#define MIGRATION_NFV_REPEATS_H

#include "vmstate.h"

#define NFV_REPEATS_CHUNK 65536 /* rounded down to whole elements */

/*
 * Source: say so, if the destination can do it.  Within the first section of
 * RAM; for the device state that this thread, of the migration, saves from then
 * on.  Without the BQL.
 */
void nfv_repeats_start(QEMUFile *f);

/* Source: whether this thread saves arrays like this. */
bool nfv_repeats_saves(void);

/* Send the rest of one, @n elements. */
void nfv_repeats_save(QEMUFile *f, const NfvVmstatePlan *plan,
                      const void *elements, int n);

/*
 * Destination: whether arrays are received like this.  Thread that loads; not
 * for what loads a snapshot after the migration.
 */
bool nfv_repeats_loads(void);

/* Receive the rest of one.  False after an error was reported and set in @f. */
bool coroutine_mixed_fn nfv_repeats_load(QEMUFile *f,
                                         const NfvVmstatePlan *plan,
                                         void *elements, int n);

/* Set those two.  They begin as false. */
void nfv_repeats_set_saving(bool on);
void nfv_repeats_set_loading(bool on);

#endif
