/*
 * What still disturbs a placed vCPU
 *
 * Copyright (c) 2026 the kvm4nfv authors
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#ifndef HW_NFV_DISTURB_H
#define HW_NFV_DISTURB_H

#include "hw/nfv/facts.h"
#include "hw/nfv/placement.h"

/*
 * What disturbs the vCPUs of @threads (of NfvThreadState) on a host with
 * @facts, and what to do about it: first what was measured since the last
 * query (or start), then what of @tuning could not be had, then what the host's
 * settings allow.  @vcpus: the host CPUs that vCPU threads may run on.  Pure;
 * the caller frees the list.
 */
NfvProblemList *nfv_disturbances(const NfvFacts *facts, const NfvCpuSet *vcpus,
                                 const GPtrArray *threads,
                                 const NfvTuningList *tuning);

#endif
