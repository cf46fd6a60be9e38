/*
 * NfvInfo for people
 *
 * Copyright (c) 2026 the kvm4nfv authors
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#ifndef HW_NFV_TABLE_H
#define HW_NFV_TABLE_H

#include "qapi/qapi-types-nfv.h"

/* What a person reads in ten seconds, problems first.  Pure. */
char *nfv_table(const NfvInfo *info);

#endif
