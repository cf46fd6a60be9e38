/*
 * Ranges of dirty pages that post-copy discards
 *
 * Copyright (c) 2026 the kvm4nfv authors
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#ifndef MIGRATION_NFV_RANGES_H
#define MIGRATION_NFV_RANGES_H

/*
 * Make each host page of @ratio of the @pages dirty as a whole if any of it is:
 * the destination can discard and place whole ones only.  @pages is a multiple
 * of @ratio.  Returns how many bits it set.
 */
uint64_t nfv_ranges_round(unsigned long *dirty, uint64_t pages, unsigned ratio);

/*
 * Close gaps of clean pages between runs, so that there are fewer to discard:
 * those of up to NFV_RANGES_GAP pages, which are an eighth of the runs around
 * them at most, because they are sent again.  Returns how many bits it set.
 */
#define NFV_RANGES_GAP 8
uint64_t nfv_ranges_close(unsigned long *dirty, uint64_t pages);

#endif
