/*
 * Capabilities of this process, as the kernel counts them
 *
 * Copyright (c) 2026 the kvm4nfv authors
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#ifndef HW_NFV_CAPABILITY_H
#define HW_NFV_CAPABILITY_H

/*
 * Whether the calling thread has the capability with this number, see
 * capabilities(7), in the initial user namespace, which is where scheduling and
 * locking ask for it.  Reads /proc.
 */
bool nfv_capable(unsigned capability);

#endif
