/*
 * Holes: pages of memory that hold nothing, and so read as zero
 *
 * Copyright (c) 2026 the kvm4nfv authors
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#ifndef MIGRATION_NFV_HOLES_H
#define MIGRATION_NFV_HOLES_H

/* How the kernel tells which pages of a mapping hold nothing. */
typedef enum NfvHoleSource {
    NFV_HOLES_UNKNOWN, /* not at all: any page may hold something */
    NFV_HOLES_PAGEMAP, /* the page table: nobody else has the memory */
    NFV_HOLES_WORDS,   /* the same, as Linux before 6.7 tells it */
    NFV_HOLES_FILE,    /* the file: on tmpfs, whoever wrote to it */
} NfvHoleSource;

/*
 * Never NFV_HOLES_WORDS, which NFV_HOLES_PAGEMAP falls back to by itself.
 * @fd: of the file that is mapped, or negative; @shared: MAP_SHARED.  A private
 * mapping of a file is unknown: what is absent from the page table is in the
 * file, and what is absent from the file may be in the page table.  So are huge
 * pages: another process may have put one into the file, which neither tells.
 */
NfvHoleSource nfv_holes_source(int fd, bool shared);

/*
 * Set the bits in @holes of the pages, 1 << @page_bits bytes each, that hold
 * nothing, and clear all others.  The page at @host is the one at
 * @fd_offset of the file.  @host is aligned to pages, and so is @size in bytes.
 * Pages that are written meanwhile may be seen or not; what was written before
 * the call is never a hole.  Takes milliseconds per GiB that is populated with
 * small pages; any thread.  False if the kernel refuses to tell; @holes is then
 * empty.
 */
bool nfv_holes_find(NfvHoleSource source, const void *host, uint64_t size,
                    int fd, uint64_t fd_offset, unsigned page_bits,
                    unsigned long *holes);

#endif
