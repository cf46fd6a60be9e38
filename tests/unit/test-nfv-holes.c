/*
 * Unit tests: which pages of a mapping hold nothing
 *
 * Copyright (c) 2026 the kvm4nfv authors
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "qemu/osdep.h"
#include "qemu/bitmap.h"
#include "qemu/memfd.h"
#include <linux/magic.h>
#include <sys/ioctl.h>
#include <sys/vfs.h>
#include <sys/wait.h>
#include "migration/nfv/holes.h"

#ifndef MADV_PAGEOUT
#define MADV_PAGEOUT 21
#endif

/* Mappings */

typedef struct Kind {
    const char *name;
    const char *directory; /* of the file; NULL: none, or a memfd */
    bool memfd, shared;
    unsigned huge; /* a memfd of huge pages */
    NfvHoleSource source;
} Kind;

static const Kind kinds[] = {
    { "anonymous", .source = NFV_HOLES_PAGEMAP },
    { "anonymous-shared", .shared = true, .source = NFV_HOLES_UNKNOWN },
    { "memfd", .memfd = true, .shared = true, .source = NFV_HOLES_FILE },
    { "memfd-private", .memfd = true, .source = NFV_HOLES_UNKNOWN },
    { "hugetlb",
      .memfd = true,
      .shared = true,
      .huge = 2 * 1024 * 1024,
      .source = NFV_HOLES_UNKNOWN },
    { "tmpfs",
      .directory = "/dev/shm",
      .shared = true,
      .source = NFV_HOLES_FILE },
    { "tmpfs-private",
      .directory = "/dev/shm",
      .source = NFV_HOLES_UNKNOWN },
    { "file",
      .directory = "/var/tmp",
      .shared = true,
      .source = NFV_HOLES_UNKNOWN },
    { "file-private",
      .directory = "/var/tmp",
      .source = NFV_HOLES_UNKNOWN },
};

typedef struct Mapping {
    uint8_t *host;
    size_t bytes;
    int fd;
    uint64_t fd_offset; /* in bytes, of the first page */
} Mapping;

static size_t page_size(void)
{
    return qemu_real_host_page_size();
}

static bool is_tmpfs(int fd)
{
    struct statfs fs;

    return !fstatfs(fd, &fs) && fs.f_type == TMPFS_MAGIC;
}

/* -1: this kind has none; -2: it cannot be had here. */
static int open_file(const Kind *k)
{
    g_autofree char *path = NULL;
    int fd = -1;

    if (k->memfd) {
        fd = qemu_memfd_create("nfv", 0, k->huge, k->huge, 0, NULL);
        return fd < 0 ? -2 : fd;
    }
    if (k->directory) {
        path = g_strdup_printf("%s/test-nfv-holes-XXXXXX", k->directory);
        fd = mkstemp(path);
        if (fd < 0) {
            return -2;
        }
        unlink(path);
        if (is_tmpfs(fd) != !strcmp(k->directory, "/dev/shm")) {
            close(fd);
            return -2;
        }
    }
    return fd;
}

/* With small pages, so that each is populated by itself. */
static Mapping map_pages(const Kind *k, uint64_t pages, uint64_t before)
{
    Mapping m = {
        .bytes = pages * page_size(),
        .fd = open_file(k),
        .fd_offset = before * page_size(),
    };
    int flags = (k->shared ? MAP_SHARED : MAP_PRIVATE) |
                (m.fd < 0 ? MAP_ANONYMOUS : 0);

    g_assert_cmpint(m.fd, !=, -2);
    if (m.fd >= 0) {
        g_assert_cmpint(ftruncate(m.fd, m.fd_offset + m.bytes), ==, 0);
    }
    m.host = mmap(NULL, m.bytes, PROT_READ | PROT_WRITE, flags, m.fd,
                  m.fd < 0 ? 0 : m.fd_offset);
    g_assert(m.host != MAP_FAILED);
    madvise(m.host, m.bytes, MADV_NOHUGEPAGE);
    return m;
}

static void unmap(Mapping *m)
{
    munmap(m->host, m->bytes);
    if (m->fd >= 0) {
        close(m->fd);
    }
}

static unsigned long *find(const Mapping *m, NfvHoleSource source)
{
    unsigned long *holes = bitmap_new(m->bytes / page_size());

    g_assert_true(nfv_holes_find(source, m->host, m->bytes, m->fd,
                                 m->fd_offset, ctz64(page_size()), holes));
    return holes;
}

static bool is_hole(const Mapping *m, NfvHoleSource source, uint64_t page)
{
    g_autofree unsigned long *holes = find(m, source);

    return test_bit(page, holes);
}

/* Sources */

static void test_source(void)
{
    int ends[2];

    for (int i = 0; i < ARRAY_SIZE(kinds); i++) {
        int fd = open_file(&kinds[i]);

        if (fd == -2) {
            g_test_message("%s cannot be had here", kinds[i].name);
            continue;
        }
        g_test_message("%s", kinds[i].name);
        g_assert_cmpint(nfv_holes_source(fd, kinds[i].shared), ==,
                        kinds[i].source);
        if (fd >= 0) {
            close(fd);
        }
    }
    g_assert_cmpint(pipe(ends), ==, 0);
    g_assert_cmpint(nfv_holes_source(ends[0], true), ==, NFV_HOLES_UNKNOWN);
    close(ends[0]);
    close(ends[1]);
    /* No file at all. */
    g_assert_cmpint(nfv_holes_source(ends[0], true), ==, NFV_HOLES_UNKNOWN);
}

/* Each way to look, with the mapping that it is for */
static const struct Way {
    const char *name;
    NfvHoleSource source;
    Kind kind;
} ways[] = {
    { "pagemap", NFV_HOLES_PAGEMAP, { "anonymous" } },
    { "words", NFV_HOLES_WORDS, { "anonymous" } },
    { "memfd", NFV_HOLES_FILE, { "memfd", .memfd = true, .shared = true } },
    { "tmpfs",
      NFV_HOLES_FILE,
      { "tmpfs", .directory = "/dev/shm", .shared = true } },
};

/* Which pages are written */
static bool none(uint64_t page, uint64_t pages)
{
    return false;
}

static bool all(uint64_t page, uint64_t pages)
{
    return true;
}

static bool first(uint64_t page, uint64_t pages)
{
    return page == 0;
}

static bool last(uint64_t page, uint64_t pages)
{
    return page == pages - 1;
}

static bool odd(uint64_t page, uint64_t pages)
{
    return page & 1;
}

static bool middle(uint64_t page, uint64_t pages)
{
    return page >= pages / 3 && page < pages - pages / 3;
}

static bool scattered(uint64_t page, uint64_t pages)
{
    return (page * 2654435761u >> 7) % 5 == 0;
}

static void check(const struct Way *way, uint64_t pages, uint64_t before,
                  bool (*written)(uint64_t page, uint64_t pages))
{
    Mapping m = map_pages(&way->kind, pages, before);
    g_autofree unsigned long *holes = NULL;

    for (uint64_t i = 0; i < pages; i++) {
        if (written(i, pages)) {
            m.host[i * page_size() + i % page_size()] = 1;
        }
    }
    holes = find(&m, way->source);
    for (uint64_t i = 0; i < pages; i++) {
        g_assert_cmpint(test_bit(i, holes), ==, !written(i, pages));
    }
    unmap(&m);
}

static void test_find(const void *opaque)
{
    static bool (*const written[])(uint64_t page, uint64_t pages) = {
        none, all, first, last, odd, middle, scattered,
    };
    /* The last: more ranges and words than fit in a call. */
    static const uint64_t sizes[] = { 1, 2, 63, 64, 65, 511, 1000, 9001 };

    for (int i = 0; i < ARRAY_SIZE(sizes); i++) {
        for (int j = 0; j < ARRAY_SIZE(written); j++) {
            g_test_message("%" PRIu64 " pages, pattern %d", sizes[i], j);
            check(opaque, sizes[i], 0, written[j]);
            check(opaque, sizes[i], 7, written[j]);
        }
    }
}

/* A page is no hole if any part of it was written to. */
static void test_large_pages(const void *opaque)
{
    const struct Way *way = opaque;
    unsigned page_bits = ctz64(page_size()) + 2;
    g_autofree unsigned long *holes = bitmap_new(16);
    Mapping m = map_pages(&way->kind, 64, 4);

    m.host[0] = 1;
    m.host[7 * page_size()] = 1;
    m.host[63 * page_size()] = 1;
    g_assert_true(nfv_holes_find(way->source, m.host, m.bytes, m.fd,
                                 m.fd_offset, page_bits, holes));
    for (int i = 0; i < 16; i++) {
        g_assert_cmpint(test_bit(i, holes), ==, i != 0 && i != 1 && i != 15);
    }
    unmap(&m);
}

/* Thrown away again. */
static void test_discarded(const void *opaque)
{
    const struct Way *way = opaque;
    Mapping m = map_pages(&way->kind, 3, 1);

    memset(m.host, 1, m.bytes);
    g_assert_false(is_hole(&m, way->source, 1));
    if (m.fd < 0) {
        madvise(m.host + page_size(), page_size(), MADV_DONTNEED);
    } else {
        g_assert_cmpint(fallocate(m.fd,
                                  FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE,
                                  m.fd_offset + page_size(), page_size()),
                        ==, 0);
    }
    g_assert_false(is_hole(&m, way->source, 0));
    g_assert_true(is_hole(&m, way->source, 1));
    g_assert_false(is_hole(&m, way->source, 2));
    unmap(&m);
}

/* A page that nobody may access still holds what was written to it. */
static void test_protected(const void *opaque)
{
    const struct Way *way = opaque;
    Mapping m = map_pages(&way->kind, 2, 0);

    m.host[0] = 1;
    g_assert_cmpint(mprotect(m.host, m.bytes, PROT_NONE), ==, 0);
    g_assert_false(is_hole(&m, way->source, 0));
    g_assert_true(is_hole(&m, way->source, 1));
    unmap(&m);
}

/* Zeroes that were written count: to tell them apart takes reading them. */
static void test_zeroes(const void *opaque)
{
    const struct Way *way = opaque;
    Mapping m = map_pages(&way->kind, 2, 0);

    memset(m.host, 0, page_size());
    g_assert_false(is_hole(&m, way->source, 0));
    unmap(&m);
}

/* Private memory */

static bool has_pagemap_scan(void)
{
    int fd = open("/proc/self/pagemap", O_RDONLY);
    struct {
        uint64_t words[12];
    } nothing = { 0 };
    bool has = ioctl(fd, _IOWR('f', 16, nothing), &nothing) < 0 &&
               errno != ENOTTY;

    close(fd);
    return has;
}

/* Whether the mapping has memory of its own, as the kernel accounts for it. */
static bool is_resident(const Mapping *m)
{
    g_autofree char *start = g_strdup_printf("\n%lx-", (unsigned long)m->host);
    g_autofree char *smaps = NULL;
    const char *found;
    unsigned kib;

    g_assert_true(g_file_get_contents("/proc/self/smaps", &smaps, NULL, NULL));
    found = strstr(smaps, start);
    g_assert_nonnull(found);
    found = strstr(found, "\nRss:");
    g_assert_nonnull(found);
    g_assert_cmpint(sscanf(found, "\nRss: %u kB", &kib), ==, 1);
    return kib;
}

/*
 * Reading maps the kernel's page of zeroes, which older kernels do not tell, and
 * some are told not to use.
 */
static void test_read(void)
{
    Mapping m = map_pages(&kinds[0], 2, 0);

    /* volatile: the access is what counts */
    g_assert_cmpint(*(volatile uint8_t *)m.host, ==, 0);
    g_assert_cmpint(is_hole(&m, NFV_HOLES_PAGEMAP, 0), ==,
                    has_pagemap_scan() && !is_resident(&m));
    g_assert_false(is_hole(&m, NFV_HOLES_WORDS, 0));
    /* volatile: the access is what counts */
    *(volatile uint8_t *)m.host = 0;
    g_assert_false(is_hole(&m, NFV_HOLES_PAGEMAP, 0));
    unmap(&m);
}

static bool is_swapped(const Mapping *m, uint64_t page)
{
    uint64_t word = 0;
    int fd = open("/proc/self/pagemap", O_RDONLY);
    off_t at = ((uintptr_t)m->host / page_size() + page) * sizeof(word);

    g_assert_cmpint(pread(fd, &word, sizeof(word), at), ==, sizeof(word));
    close(fd);
    return word & (1ULL << 62);
}

static void test_swapped(void)
{
    Mapping m = map_pages(&kinds[0], 3, 0);

    memset(m.host, 1, 2 * page_size());
    madvise(m.host, page_size(), MADV_PAGEOUT);
    if (is_swapped(&m, 0)) {
        g_assert_false(is_hole(&m, NFV_HOLES_PAGEMAP, 0));
        g_assert_false(is_hole(&m, NFV_HOLES_WORDS, 0));
    } else {
        g_test_skip("this host swaps nothing out");
    }
    unmap(&m);
}

static void test_huge_page(void)
{
    const size_t huge = 2 * 1024 * 1024;
    Mapping m = { .bytes = 4 * huge, .fd = -1 };
    g_autofree unsigned long *holes = NULL;
    uint8_t *aligned;

    m.host = mmap(NULL, m.bytes, PROT_READ | PROT_WRITE,
                  MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    g_assert(m.host != MAP_FAILED);
    madvise(m.host, m.bytes, MADV_HUGEPAGE);
    aligned = (uint8_t *)QEMU_ALIGN_UP((uintptr_t)m.host, huge);
    aligned[huge + 5000] = 1;
    for (int i = 0; i < 2; i++) {
        holes = find(&m, i ? NFV_HOLES_WORDS : NFV_HOLES_PAGEMAP);
        /* With or without a huge page. */
        g_assert_false(test_bit((aligned + huge + 5000 - m.host) / page_size(),
                                holes));
        g_assert_true(test_bit((aligned - m.host) / page_size(), holes));
        g_clear_pointer(&holes, g_free);
    }
    unmap(&m);
}

/* Shared memory */

/* This process has not mapped what another one writes to. */
static void test_other_process(void)
{
    Mapping m = map_pages(&ways[2].kind, 4, 2);
    uint8_t one = 1;
    int status;
    pid_t child = fork();

    g_assert_cmpint(child, >=, 0);
    if (!child) {
        uint8_t *other = mmap(NULL, m.bytes, PROT_READ | PROT_WRITE,
                              MAP_SHARED, m.fd, m.fd_offset);

        other[page_size()] = 1;
        _exit(0);
    }
    g_assert_cmpint(waitpid(child, &status, 0), ==, child);
    g_assert_cmpint(pwrite(m.fd, &one, 1, m.fd_offset + 3 * page_size()), ==,
                    1);
    g_assert_true(is_hole(&m, NFV_HOLES_FILE, 0));
    g_assert_false(is_hole(&m, NFV_HOLES_FILE, 1));
    g_assert_true(is_hole(&m, NFV_HOLES_FILE, 2));
    g_assert_false(is_hole(&m, NFV_HOLES_FILE, 3));
    unmap(&m);
}

/* What lies before and after in the file does not matter. */
static void test_neighbours(void)
{
    Mapping m = map_pages(&ways[2].kind, 8, 3);
    g_autofree unsigned long *holes = NULL;

    g_assert_cmpint(ftruncate(m.fd, 64 * page_size()), ==, 0);
    g_assert_cmpint(pwrite(m.fd, "x", 1, 2 * page_size()), ==, 1);
    g_assert_cmpint(pwrite(m.fd, "x", 1, (3 + 8) * page_size()), ==, 1);
    holes = find(&m, NFV_HOLES_FILE);
    g_assert_cmpint(find_first_zero_bit(holes, 8), ==, 8);
    unmap(&m);
}

/* Looking does not populate. */
static void test_untouched(void)
{
    Mapping m = map_pages(&ways[2].kind, 1000, 0);
    struct stat status;

    m.host[5 * page_size()] = 1;
    g_assert_false(is_hole(&m, NFV_HOLES_FILE, 5));
    g_assert_cmpint(fstat(m.fd, &status), ==, 0);
    g_assert_cmpint(status.st_blocks * 512, ==, page_size());
    unmap(&m);
}

/* Nothing is told */

static void check_refused(NfvHoleSource source, const Mapping *m, int fd)
{
    unsigned long holes[2] = { ~0UL, ~0UL };

    g_assert_false(nfv_holes_find(source, m->host, 100 * page_size(), fd, 0,
                                  ctz64(page_size()), holes));
    g_assert_cmpint(find_first_bit(holes, 100), ==, 100);
}

static void test_refused(void)
{
    Mapping m = map_pages(&kinds[0], 100, 0);
    int ends[2];

    check_refused(NFV_HOLES_UNKNOWN, &m, -1);
    check_refused(NFV_HOLES_FILE, &m, -1);
    g_assert_cmpint(pipe(ends), ==, 0);
    check_refused(NFV_HOLES_FILE, &m, ends[0]);
    close(ends[0]);
    close(ends[1]);
    unmap(&m);
}

static void skip(const void *opaque)
{
    g_test_skip("/dev/shm is no tmpfs here");
}

static void add(const char *name, void (*test)(const void *))
{
    for (int i = 0; i < ARRAY_SIZE(ways); i++) {
        int fd = open_file(&ways[i].kind);
        g_autofree char *path =
            g_strdup_printf("/nfv/holes/%s/%s", ways[i].name, name);

        g_test_add_data_func(path, &ways[i], fd == -2 ? skip : test);
        if (fd >= 0) {
            close(fd);
        }
    }
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    g_test_add_func("/nfv/holes/source", test_source);
    add("find", test_find);
    add("large-pages", test_large_pages);
    add("discarded", test_discarded);
    add("protected", test_protected);
    add("zeroes", test_zeroes);
    g_test_add_func("/nfv/holes/read", test_read);
    g_test_add_func("/nfv/holes/swapped", test_swapped);
    g_test_add_func("/nfv/holes/huge-page", test_huge_page);
    g_test_add_func("/nfv/holes/other-process", test_other_process);
    g_test_add_func("/nfv/holes/neighbours", test_neighbours);
    g_test_add_func("/nfv/holes/untouched", test_untouched);
    g_test_add_func("/nfv/holes/refused", test_refused);
    return g_test_run();
}
