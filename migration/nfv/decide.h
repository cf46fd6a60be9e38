/*
 * When to switch over: decided from what was measured, nothing else
 *
 * Copyright (c) 2026 the kvm4nfv authors
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#ifndef MIGRATION_NFV_DECIDE_H
#define MIGRATION_NFV_DECIDE_H

#include "qapi/qapi-types-nfv.h"

/* Times in microseconds, sizes in bytes. */
typedef struct NfvSituation {
    int64_t limit;       /* the longest stop that is allowed */
    int64_t left;        /* until the deadline; negative: past; none: MAX */
    int64_t device_time; /* what devices and vCPUs take of the stop */
    int64_t sync_interval; /* until the next decision */
    uint64_t pending;    /* dirty memory, just synchronised */
    uint64_t bandwidth;  /* bytes a second; 0: not known yet */
    uint64_t dirty_rate; /* bytes a second that become dirty */
    uint64_t soon;       /* of what is pending: written again by the next look */
    uint64_t sent;       /* so far */
    uint64_t shortened;  /* of that, what went into shortening the stop */
    unsigned rounds;     /* that sent what was pending when they began */
    int64_t shrink_rate; /* bytes a second of pending memory in the last one */
    bool may_postcopy;   /* if the deadline would be missed otherwise */
    bool can_drain;      /* there is a return path to prove it by */
    uint64_t unproven;   /* bytes sent, not known to have been read */
    int64_t round_trip;  /* until an answer comes, if nothing is in flight */
    int64_t longest;     /* that an answer took: full buffers; 0: none came */
    bool may_switch;     /* the destination is ready */
} NfvSituation;

typedef struct NfvDecision {
    NfvMigrationStep step;
    NfvMigrationReason reason;
    int64_t stop; /* predicted, if it switched now; -1: not known */
    uint64_t costs; /* bytes that are sent only to shorten the stop */
    uint64_t may_stay; /* bytes, of what is written all the time, for the stop */
} NfvDecision;

/*
 * An estimate of the stop without memory for @vcpus vCPUs.  From runs with
 * 4 vCPUs and 4 virtio devices, where 2 to 4 ms of 4 to 9 ms were neither
 * memory nor virtio's state (nested KVM); nfv-bench migrate measures it.
 */
int64_t nfv_decide_device_time(unsigned vcpus);

NfvDecision nfv_decide(const NfvSituation *s);

#endif
