/*
 * Unit tests: which pages of a mapping hold zeroes
 *
 * Copyright (c) 2026 the kvm4nfv authors
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "qemu/osdep.h"
#include <sched.h>
#include <sys/file.h>
#include "qemu/bitmap.h"
#include "qemu/memfd.h"
#include "migration/nfv/zeroes.h"

#define PAGE_BITS 12
#define PAGE_SIZE (1 << PAGE_BITS)
#define HUGE_SIZE (2 * 1024 * 1024)
#define SHARE 4096 /* pages that a thread takes at a time */

static bool always(void)
{
    return true;
}

/* Huge pages of the host, added so that no other test's are taken */

#define POOL "/sys/kernel/mm/hugepages/hugepages-2048kB/nr_hugepages"
#define HUGE_MAX 25 /* pages, for the largest mapping */

static int added;
static int pool = -1; /* locked: one test at a time adds to it */

static int pool_read(void)
{
    g_autofree char *text = NULL;

    return g_file_get_contents(POOL, &text, NULL, NULL) ? atoi(text) : 0;
}

/* How many there are in addition then; a refusal shows in that. */
static int pool_resize(int by)
{
    int before = pool_read(), fd = open(POOL, O_WRONLY | O_CLOEXEC);
    g_autofree char *text = g_strdup_printf("%d\n", MAX(before + by, 0));

    if (fd >= 0) {
        if (write(fd, text, strlen(text)) < 0) {
            g_test_message("%s: %s", POOL, strerror(errno));
        }
        close(fd);
    }
    return pool_read() - before;
}

static void pool_add(void)
{
    int more;

    pool = open(POOL, O_RDONLY | O_CLOEXEC);
    g_assert_true(pool < 0 || !flock(pool, LOCK_EX));
    more = pool_resize(HUGE_MAX);
    added = CLAMP(more, 0, HUGE_MAX);
}

static void pool_restore(void)
{
    pool_resize(-added);
    added = 0;
}

static void restore_on_signal(int signal)
{
    pool_restore();
}

/* However this test ends. */
static void pool_guard(void)
{
    struct sigaction action = {
        .sa_handler = restore_on_signal,
        .sa_flags = SA_RESETHAND, /* then it goes on as without a handler */
    };

    sigaction(SIGABRT, &action, NULL);
    sigaction(SIGSEGV, &action, NULL);
}

/* Mappings */

typedef struct Kind {
    const char *name;
    bool memfd;
    size_t huge; /* size of its pages if they are huge */
} Kind;

static const Kind kinds[] = {
    { "anonymous" },
    { "memfd", true },
    { "hugetlb", true, HUGE_SIZE },
};

typedef struct Mapping {
    uint8_t *host;
    uint64_t pages;
    size_t bytes; /* of whole pages of its kind */
} Mapping;

/* False where this kind cannot be had now. */
static bool map_pages(Mapping *m, const Kind *k, uint64_t pages)
{
    int fd = -1;

    m->pages = pages;
    m->bytes = ROUND_UP(pages * PAGE_SIZE, MAX(k->huge, PAGE_SIZE));
    if (k->memfd) {
        fd = qemu_memfd_create("nfv", m->bytes, k->huge, k->huge, 0, NULL);
        if (fd < 0) {
            return false;
        }
    }
    m->host = mmap(NULL, m->bytes, PROT_READ | PROT_WRITE,
                   k->memfd ? MAP_SHARED : MAP_PRIVATE | MAP_ANONYMOUS, fd, 0);
    if (fd >= 0) {
        close(fd);
    }
    return m->host != MAP_FAILED;
}

static void unmap(Mapping *m)
{
    munmap(m->host, m->bytes);
}

/* Which pages hold what, or are looked at */
typedef bool Pattern(uint64_t page, uint64_t pages);

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

/* Both sides of what one thread takes. */
static bool edges(uint64_t page, uint64_t pages)
{
    return page % SHARE == 0 || page % SHARE == SHARE - 1;
}

static bool scattered(uint64_t page, uint64_t pages)
{
    return (page * 2654435761u >> 7) % 5 == 0;
}

/* One bit, elsewhere in each: the first and the last byte count. */
static void write_page(Mapping *m, uint64_t page)
{
    static const unsigned places[] = { 0,  PAGE_SIZE - 1, 1, PAGE_SIZE / 2,
                                       63, PAGE_SIZE - 64 };

    m->host[page * PAGE_SIZE + places[page % ARRAY_SIZE(places)]] =
        1 << page % 8;
}

static void write_pages(Mapping *m, Pattern *written)
{
    for (uint64_t i = 0; i < m->pages; i++) {
        if (written(i, m->pages)) {
            write_page(m, i);
        }
    }
}

/* Populated all, whatever it is. */
static void clear_pages(Mapping *m)
{
    memset(m->host, 0, m->bytes);
}

#define GUARD 0x5aUL

static unsigned long *new_bits(uint64_t pages, unsigned long guard)
{
    unsigned long *bits = g_new(unsigned long, BITS_TO_LONGS(pages) + 1);

    memset(bits, 0xff, BITS_TO_LONGS(pages) * sizeof(*bits));
    bits[BITS_TO_LONGS(pages)] = guard;
    return bits;
}

/*
 * Exactly the zero pages of those that are looked at; the rest is cleared,
 * though all bits were set, and nothing beyond the end is.
 */
static void check(Mapping *m, Pattern *written, Pattern *looked,
                  unsigned threads)
{
    g_autofree unsigned long *look = bitmap_new(m->pages);
    g_autofree unsigned long *zeroes = new_bits(m->pages, GUARD);
    unsigned rest = m->pages % BITS_PER_LONG;

    for (uint64_t i = 0; i < m->pages; i++) {
        if (looked(i, m->pages)) {
            set_bit(i, look);
        }
    }
    nfv_zeroes_find(m->host, m->pages, PAGE_BITS, look, zeroes, threads, always);
    for (uint64_t i = 0; i < m->pages; i++) {
        g_assert_cmpint(test_bit(i, zeroes), ==,
                        looked(i, m->pages) && !written(i, m->pages));
    }
    if (rest) {
        g_assert_cmphex(zeroes[m->pages / BITS_PER_LONG] >> rest, ==,
                        ~0UL >> rest);
    }
    g_assert_cmphex(zeroes[BITS_TO_LONGS(m->pages)], ==, GUARD);
}

/* Sizes, patterns and threads */

static const unsigned thread_counts[] = { 0, 1, 2, 4, 16 };

static bool test_size(const Kind *k, uint64_t pages)
{
    static Pattern *const patterns[] = { none, all,   first,    last,
                                         odd,  edges, scattered };
    Mapping m;

    if (!map_pages(&m, k, pages)) {
        return false;
    }
    for (int i = 0; i < ARRAY_SIZE(patterns); i++) {
        clear_pages(&m);
        write_pages(&m, patterns[i]);
        for (int j = 0; j < ARRAY_SIZE(thread_counts); j++) {
            check(&m, patterns[i], all, thread_counts[j]);
            check(&m, patterns[i], odd, thread_counts[j]);
            check(&m, patterns[i], none, thread_counts[j]);
        }
    }
    unmap(&m);
    return true;
}

static void test_find(const void *opaque)
{
    static const uint64_t sizes[] = {
        1,     2,         63,        64,            65, 1000, SHARE - 1,
        SHARE, SHARE + 1, 3 * SHARE, 3 * SHARE + 77,
    };

    for (int i = 0; i < ARRAY_SIZE(sizes); i++) {
        g_test_message("%" PRIu64 " pages", sizes[i]);
        if (!test_size(opaque, sizes[i])) {
            g_test_skip("this host has no such pages free");
            return;
        }
    }
}

/* One bit, at either end of each page or amid it, is seen. */
static void test_one_byte(const void *opaque)
{
    static const unsigned places[] = { 0, 1, 8, 2047, 2048, 4088, 4094, 4095 };
    const uint64_t pages = 3;
    Mapping m;

    if (!map_pages(&m, opaque, pages)) {
        g_test_skip("this host has no such pages free");
        return;
    }
    clear_pages(&m);
    for (uint64_t page = 0; page < pages; page++) {
        for (int i = 0; i < ARRAY_SIZE(places) * 8; i++) {
            uint8_t *byte = m.host + page * PAGE_SIZE + places[i / 8];
            unsigned long look = 7, zeroes = 0;

            *byte = 1 << i % 8;
            nfv_zeroes_find(m.host, pages, PAGE_BITS, &look, &zeroes, 1, always);
            g_assert_cmphex(zeroes, ==, 7 & ~(1 << page));
            *byte = 0;
        }
    }
    unmap(&m);
}

/* Pages of other sizes, which the last byte of each tells apart. */
static void test_page_sizes(void)
{
    static const unsigned page_bits[] = { 12, 13, 14, 16, 21 };
    Mapping m;

    g_assert_true(map_pages(&m, &kinds[0], 4 * HUGE_SIZE / PAGE_SIZE));
    m.host[HUGE_SIZE - 1] = 1;
    m.host[3 * HUGE_SIZE] = 1;
    for (int i = 0; i < ARRAY_SIZE(page_bits); i++) {
        uint64_t pages = m.bytes >> page_bits[i];
        g_autofree unsigned long *look = new_bits(pages, 0);
        g_autofree unsigned long *zeroes = bitmap_new(pages);

        nfv_zeroes_find(m.host, pages, page_bits[i], look, zeroes, 2, always);
        g_assert_cmpuint(bitmap_count_one(zeroes, pages), ==, pages - 2);
        g_assert_false(test_bit((HUGE_SIZE - 1) >> page_bits[i], zeroes));
        g_assert_false(test_bit(3 * HUGE_SIZE >> page_bits[i], zeroes));
    }
    unmap(&m);
}

/* What is not looked at is not read: it could not be. */
static void test_unread(void)
{
    Mapping m;
    unsigned long look = 0x5, zeroes = ~0UL;

    g_assert_true(map_pages(&m, &kinds[0], 4));
    g_assert_cmpint(mprotect(m.host + PAGE_SIZE, PAGE_SIZE, PROT_NONE), ==, 0);
    g_assert_cmpint(mprotect(m.host + 3 * PAGE_SIZE, PAGE_SIZE, PROT_NONE), ==,
                    0);
    for (int threads = 1; threads <= 2; threads++) {
        nfv_zeroes_find(m.host, 4, PAGE_BITS, &look, &zeroes, threads, always);
        g_assert_cmphex(zeroes & 0xf, ==, 0x5);
    }
    unmap(&m);
}

static void test_nothing(void)
{
    unsigned long look = ~0UL, zeroes = GUARD;

    nfv_zeroes_find(NULL, 0, PAGE_BITS, &look, &zeroes, 4, always);
    g_assert_cmphex(zeroes, ==, GUARD);
}

/* What a cancelled search has found is right; it does not begin a share more. */
static unsigned shares_left;

static bool for_a_while(void)
{
    return shares_left && shares_left--;
}

static void test_stopped(void)
{
    enum { SHARES = 4 };
    uint64_t pages = SHARE * SHARES;
    g_autofree unsigned long *look = bitmap_new(pages);
    g_autofree unsigned long *zeroes = bitmap_new(pages);
    void *host = mmap(NULL, pages << PAGE_BITS, PROT_READ | PROT_WRITE,
                      MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

    g_assert(host != MAP_FAILED);
    bitmap_set(look, 0, pages);
    for (unsigned shares = 0; shares <= SHARES; shares++) {
        bitmap_set(zeroes, 0, pages);
        shares_left = shares;
        nfv_zeroes_find(host, pages, PAGE_BITS, look, zeroes, 1, for_a_while);
        g_assert_cmpuint(find_first_zero_bit(zeroes, pages), ==,
                         shares * SHARE);
        g_assert_cmpuint(bitmap_count_one(zeroes, pages), ==, shares * SHARE);
    }
    munmap(host, pages << PAGE_BITS);
}

/* How many threads: no more than the host CPUs that this process may use. */
static void test_threads(void)
{
    cpu_set_t before, one;
    int cpu = 0;

    g_assert_cmpint(sched_getaffinity(0, sizeof(before), &before), ==, 0);
    g_assert_cmpuint(nfv_zeroes_threads(), ==, MIN(CPU_COUNT(&before), 4));
    while (!CPU_ISSET(cpu, &before)) {
        cpu++;
    }
    CPU_ZERO(&one);
    CPU_SET(cpu, &one);
    g_assert_cmpint(sched_setaffinity(0, sizeof(one), &one), ==, 0);
    g_assert_cmpuint(nfv_zeroes_threads(), ==, 1);
    g_assert_cmpint(sched_setaffinity(0, sizeof(before), &before), ==, 0);
}

static void add(const char *name, GTestDataFunc test)
{
    for (int i = 0; i < ARRAY_SIZE(kinds); i++) {
        g_autofree char *path =
            g_strdup_printf("/nfv/zeroes/%s/%s", kinds[i].name, name);

        g_test_add_data_func(path, &kinds[i], test);
    }
}

int main(int argc, char **argv)
{
    int status;

    g_test_init(&argc, &argv, NULL);
    add("find", test_find);
    add("one-byte", test_one_byte);
    g_test_add_func("/nfv/zeroes/page-sizes", test_page_sizes);
    g_test_add_func("/nfv/zeroes/unread", test_unread);
    g_test_add_func("/nfv/zeroes/nothing", test_nothing);
    g_test_add_func("/nfv/zeroes/threads", test_threads);
    g_test_add_func("/nfv/zeroes/stopped", test_stopped);
    pool_guard();
    pool_add();
    status = g_test_run();
    pool_restore();
    return status;
}
