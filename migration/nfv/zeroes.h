/*
 * Pages that are populated and hold zeroes, found by several threads
 *
 * Copyright (c) 2026 the kvm4nfv authors
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#ifndef MIGRATION_NFV_ZEROES_H
#define MIGRATION_NFV_ZEROES_H

/* How many threads this process can use for it: of its host CPUs, up to 4. */
unsigned nfv_zeroes_threads(void);

/*
 * Set the bits in @zeroes of those of the @pages at @host, 1 << @page_bits
 * bytes each, whose bit in @look is set and that are zero; clear all others.
 * Pages that are written meanwhile may be seen or not.  Some are not looked at
 * once @goes_on() is false, which each thread asks every few MiB.  Returns when
 * all threads have ended; any thread.
 */
void nfv_zeroes_find(const void *host, uint64_t pages, unsigned page_bits,
                     const unsigned long *look, unsigned long *zeroes,
                     unsigned threads, bool (*goes_on)(void));

#endif
