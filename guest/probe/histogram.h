/*
 * A histogram of times, in memory; what a time costs does not depend on it.
 *
 * Copyright (c) 2026 the kvm4nfv authors
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#ifndef PROBE_HISTOGRAM_H
#define PROBE_HISTOGRAM_H

#include <stdint.h>

void histogram_reset(void);

/* May be called by an interrupt's handler. */
void histogram_add(uint64_t ns);

/* Answers "hist NAME NS:COUNT ..." as often as needed, then "done NAME ...".
 * NS is the longest time of a bucket, which is at most 1/32 wide. */
void histogram_report(const char *name);

#endif
