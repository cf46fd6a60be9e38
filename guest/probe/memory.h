/*
 * The guest's RAM as numbered pages, and what each holds.
 *
 * Pages are numbered from 0 over all usable RAM behind the image. A page
 * holds data or was never touched; data is a function of where it lies and of
 * a generation: 1, or for a cell of an area what the area's table says. So
 * every byte can be verified, untouched pages (zero) included.
 *
 * Copyright (c) 2026 the kvm4nfv authors
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#ifndef PROBE_MEMORY_H
#define PROBE_MEMORY_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include "layout.h"

/* Memory that is rewritten, in cells; page i of it is first + i * step. */
typedef struct Area {
    size_t first;
    size_t step;
    size_t pages;
    size_t cells_per_page;      /* 1, 2 or 256 */
    size_t cells;
    uint32_t *generation;       /* of each cell */
    uint32_t *check;            /* the same, each bit inverted */
} Area;

typedef struct Found {
    size_t wrong;               /* pages, and cells lost before */
    size_t table;               /* entries, and the image's constants */
    size_t first;               /* bad page, or SIZE_MAX */
    uint64_t digest;
} Found;

/*
 * Takes the memory map of PVH's start info at `info`. Fails, with the reason,
 * if there is none, or more RAM than is mapped.
 */
const char *memory_init(uint64_t info);

/* The command line of the start info at `info`; copied, cut at 511. */
const char *memory_command_line(uint64_t info);

size_t memory_pages(void);

/*
 * Before memory_fill() only; the caller sets what comes before `cells`. Takes
 * the area's table from the end of RAM. False: there is not enough.
 */
bool memory_add_area(Area *area);

/* Writes the first `pages` and all areas; clears what firmware has used. */
void memory_fill(size_t pages);

/*
 * Rewrites a cell with its next generation; counts it as lost if it did not
 * hold what was written last.
 */
void memory_rewrite(Area *area, size_t cell);

uint64_t memory_writes(void);

void memory_verify(Found *found);

#endif
