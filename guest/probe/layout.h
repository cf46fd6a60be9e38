/*
 * The probe guest's address space, for C and assembly.
 *
 * Copyright (c) 2026 the kvm4nfv authors
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#ifndef PROBE_LAYOUT_H
#define PROBE_LAYOUT_H

#define PAGE_BYTES 4096
#define STACK_BYTES 16384

/* Physical memory from 0 that is mapped, one to one; at most 512. */
#define MAPPED_GIB 64

#define LARGE_BYTES 0x200000
#define PTE_TABLE 0x3           /* present, writable */
#define PTE_LARGE 0x83          /* the same, and 2 MiB large */

#ifndef __ASSEMBLER__
#include <stdint.h>

/* Of probe.ld: code and constants, and then what changes. */
extern char __image_start[], __constant_end[], __image_end[];

/* Of boot.S: an entry for each GiB, of which the first is in use. */
extern uint64_t directory_table[];

/* Called by boot.S with the address of PVH's start info; never returns. */
void probe_main(uint64_t info);
#endif

#endif
