/*
 * Holes: pages of memory that hold nothing, and so read as zero
 *
 * Copyright (c) 2026 the kvm4nfv authors
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "qemu/osdep.h"
#include "qemu/bitmap.h"
#include "holes.h"

#ifdef CONFIG_LINUX
#include <linux/magic.h>
#include <sys/ioctl.h>
#include <sys/vfs.h>

NfvHoleSource nfv_holes_source(int fd, bool shared)
{
    struct statfs fs;

    if (fd < 0) {
        return shared ? NFV_HOLES_UNKNOWN : NFV_HOLES_PAGEMAP;
    }
    return shared && !fstatfs(fd, &fs) && fs.f_type == TMPFS_MAGIC ?
               NFV_HOLES_FILE :
               NFV_HOLES_UNKNOWN;
}

/* [@start, @end) in bytes from the first page holds something. */
static void mark_populated(unsigned long *holes, unsigned page_bits,
                           uint64_t start, uint64_t end)
{
    uint64_t first = start >> page_bits;
    uint64_t last = (end + (1ULL << page_bits) - 1) >> page_bits;

    bitmap_clear(holes, first, last - first);
}

/*
 * PAGEMAP_SCAN, Linux 6.7: ranges of pages by category.  The kernel's ABI,
 * which the headers of older systems do not have.
 */

typedef struct ScanRange {
    uint64_t start, end, categories;
} ScanRange;

typedef struct ScanArgs {
    uint64_t size, flags, start, end, walk_end, vec, vec_len, max_pages;
    uint64_t category_inverted, category_mask, category_anyof_mask, return_mask;
} ScanArgs;

#define SCAN_IOCTL _IOWR('f', 16, ScanArgs)
#define SCAN_PRESENT (1 << 3)
#define SCAN_SWAPPED (1 << 4)
#define SCAN_ZERO (1 << 5) /* the kernel's page of zeroes: was only read */

/* -ENOTTY: the kernel is older. */
static int scan_ranges(int pagemap, uint64_t host, uint64_t size,
                       unsigned page_bits, unsigned long *holes)
{
    g_autofree ScanRange *ranges = g_new(ScanRange, 512);
    ScanArgs args = {
        .size = sizeof(args),
        .start = host,
        .end = host + size,
        .vec = (uintptr_t)ranges,
        .vec_len = 512,
        .category_anyof_mask = SCAN_PRESENT | SCAN_SWAPPED,
        .return_mask = SCAN_PRESENT | SCAN_SWAPPED | SCAN_ZERO,
    };

    while (args.start < args.end) {
        int n = ioctl(pagemap, SCAN_IOCTL, &args);

        if (n < 0) {
            return -errno;
        }
        for (int i = 0; i < n; i++) {
            if (!(ranges[i].categories & SCAN_ZERO)) {
                mark_populated(holes, page_bits, ranges[i].start - host,
                               ranges[i].end - host);
            }
        }
        if (args.walk_end <= args.start) {
            return -EIO;
        }
        args.start = args.walk_end;
    }
    return 0;
}

/* /proc/self/pagemap: one word a page, of the host's size. */
#define PAGEMAP_PRESENT (1ULL << 63)
#define PAGEMAP_SWAPPED (1ULL << 62)

static int scan_words(int pagemap, uint64_t host, uint64_t size,
                      unsigned page_bits, unsigned long *holes)
{
    const size_t batch = 8192;
    g_autofree uint64_t *words = g_new(uint64_t, batch);
    uint64_t page_size = qemu_real_host_page_size();
    uint64_t pages = size / page_size;

    for (uint64_t first = 0; first < pages; first += batch) {
        size_t n = MIN(batch, pages - first);
        ssize_t bytes = n * sizeof(*words);

        if (pread(pagemap, words, bytes,
                  (host / page_size + first) * sizeof(*words)) != bytes) {
            return -EIO;
        }
        for (size_t i = 0; i < n; i++) {
            if (words[i] & (PAGEMAP_PRESENT | PAGEMAP_SWAPPED)) {
                mark_populated(holes, page_bits, (first + i) * page_size,
                               (first + i + 1) * page_size);
            }
        }
    }
    return 0;
}

static int scan_pagemap(NfvHoleSource source, uint64_t host, uint64_t size,
                        unsigned page_bits, unsigned long *holes)
{
    int pagemap = open("/proc/self/pagemap", O_RDONLY | O_CLOEXEC);
    int ret = -ENOTTY;

    if (pagemap < 0) {
        return -errno;
    }
    if (source == NFV_HOLES_PAGEMAP) {
        ret = scan_ranges(pagemap, host, size, page_bits, holes);
    }
    if (ret < 0) {
        /* What it has cleared so far is right, too. */
        ret = scan_words(pagemap, host, size, page_bits, holes);
    }
    close(pagemap);
    return ret;
}

static int scan_file(int fd, uint64_t offset, uint64_t size, unsigned page_bits,
                     unsigned long *holes)
{
    uint64_t end = offset + size;

    for (uint64_t at = offset; at < end;) {
        off_t data = lseek(fd, at, SEEK_DATA), hole;

        if (data < 0) {
            return errno == ENXIO ? 0 : -errno; /* no more data */
        }
        if (data >= end) {
            return 0;
        }
        hole = lseek(fd, data, SEEK_HOLE);
        if (hole < 0) {
            return -errno;
        }
        mark_populated(holes, page_bits, data - offset,
                       MIN(hole, end) - offset);
        at = hole;
    }
    return 0;
}

bool nfv_holes_find(NfvHoleSource source, const void *host, uint64_t size,
                    int fd, uint64_t fd_offset, unsigned page_bits,
                    unsigned long *holes)
{
    uint64_t pages = size >> page_bits;
    int ret = -ENOTSUP;

    bitmap_set(holes, 0, pages);
    switch (source) {
    case NFV_HOLES_PAGEMAP:
    case NFV_HOLES_WORDS:
        ret = scan_pagemap(source, (uintptr_t)host, size, page_bits,
                           holes);
        break;
    case NFV_HOLES_FILE:
        ret = scan_file(fd, fd_offset, size, page_bits, holes);
        break;
    case NFV_HOLES_UNKNOWN:
        break;
    }
    if (ret) {
        bitmap_zero(holes, pages);
    }
    return ret == 0;
}

#else

NfvHoleSource nfv_holes_source(int fd, bool shared)
{
    return NFV_HOLES_UNKNOWN;
}

bool nfv_holes_find(NfvHoleSource source, const void *host, uint64_t size,
                    int fd, uint64_t fd_offset, unsigned page_bits,
                    unsigned long *holes)
{
    bitmap_zero(holes, size >> page_bits);
    return false;
}

#endif
