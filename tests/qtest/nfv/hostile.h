/*
 * A record that was tampered with: the destination refuses it by name, and the
 * source's guest runs on
 *
 * Copyright (c) 2026 the kvm4nfv authors
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#ifndef TESTS_QTEST_NFV_HOSTILE_H
#define TESTS_QTEST_NFV_HOSTILE_H

#include "ends.h"
#include "relay.h"

/* Where things are in a record with its flag before it. */
enum {
    NFV_HOSTILE_MAGIC = 8,
    NFV_HOSTILE_VERSION = 12,
    NFV_HOSTILE_LENGTH = 16,
    NFV_HOSTILE_PAYLOAD = 24,
};

typedef struct NfvHostile {
    const char *name;
    NfvRelayTamper *tamper;
    const char *words; /* of the destination; NULL: it is content */
    bool off;          /* the switch, on the destination */
} NfvHostile;

/*
 * Migrate once through a relay which tampers with the record, and see what
 * @hostile says of it.  What the source's memory is then, is the caller's.
 */
void nfv_hostile_migrate(NfvEnds *ends, const NfvHostile *hostile);

/* Tests "@prefix/NAME" of each of @n; their data is the NfvHostile. */
void nfv_hostile_add(const char *prefix, const NfvHostile *hostiles, unsigned n,
                     GTestDataFunc test);

/* NfvRelayTamper for any record. */
bool nfv_hostile_leave(GByteArray *record);
bool nfv_hostile_flip(GByteArray *record); /* one bit at its end */
bool nfv_hostile_newer(GByteArray *record);
bool nfv_hostile_truncate(GByteArray *record); /* its last byte */
bool nfv_hostile_twice(GByteArray *record);

#endif
