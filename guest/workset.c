/*
 * workset: memory that is never at rest and whose every page can be proven.
 *
 * Copyright (c) 2026 the kvm4nfv authors
 * SPDX-License-Identifier: GPL-2.0-or-later
 *
 * usage: workset MIB
 *
 * Fills MIB MiB, goes to the background, and from then on rewrites pages at
 * random, a few hundred a second, each time with other contents; it checks them
 * before. On SIGUSR1 it checks every page and prints one line:
 *
 *   nfv-guest: verify pages=N wrong=N table=N first=N writes=N digest=HEX
 *
 * wrong: pages that do not hold what was written last, those rewritten since
 * included; table: the same for entries of our own bookkeeping; first: the
 * lowest index of a page that is bad now, or -1. Whatever it finds, it goes on.
 */
#include <err.h>
#include <inttypes.h>
#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <time.h>
#include <unistd.h>

#define PAGE_SIZE 4096
#define PAGE_WORDS (PAGE_SIZE / sizeof(uint64_t))

/* 16 pages every 50 ms are 320 a second. */
#define BURST_PAGES 16
#define BURST_NS 50000000L

typedef struct WorkSet {
    uint64_t (*page)[PAGE_WORDS];
    uint32_t *generation;   /* how often each page was written */
    uint32_t *check;        /* the same, each bit inverted */
    size_t pages;
    size_t lost_pages;      /* found wrong when they were to be rewritten */
    size_t lost_entries;
    uint64_t writes;
    uint64_t random;        /* state of the choice of pages */
} WorkSet;

/* The output function of SplitMix64: a bijection without visible structure. */
static uint64_t mix(uint64_t x)
{
    x = (x ^ (x >> 30)) * 0xbf58476d1ce4e5b9;
    x = (x ^ (x >> 27)) * 0x94d049bb133111eb;
    return x ^ (x >> 31);
}

static uint64_t page_seed(size_t index, uint32_t generation)
{
    return mix((uint64_t)index << 32 | generation);
}

/* xorshift64, a permutation of the non-zero numbers. */
static uint64_t next_word(uint64_t word)
{
    word ^= word << 13;
    word ^= word >> 7;
    return word ^ word << 17;
}

static void page_write(WorkSet *set, size_t index, uint32_t generation)
{
    uint64_t word = page_seed(index, generation) | 1;

    for (size_t i = 0; i < PAGE_WORDS; i++) {
        set->page[index][i] = word;
        word = next_word(word);
    }
    set->generation[index] = generation;
    set->check[index] = ~generation;
    set->writes++;
}

static bool entry_check(const WorkSet *set, size_t index)
{
    return set->check[index] == ~set->generation[index];
}

/* Whether the page is right; its contents as they are go into *digest. */
static bool page_check(const WorkSet *set, size_t index, uint64_t *digest)
{
    uint64_t word = page_seed(index, set->generation[index]) | 1;
    uint64_t wrong = 0;

    for (size_t i = 0; i < PAGE_WORDS; i++) {
        uint64_t found = set->page[index][i];

        wrong |= found ^ word;
        *digest = (*digest ^ found) * 0x100000001b3;
        word = next_word(word);
    }
    return !wrong;
}

static void workset_create(WorkSet *set, size_t mib)
{
    size_t table;

    set->pages = mib * (1024 * 1024 / PAGE_SIZE);
    table = set->pages * sizeof(*set->generation);
    /* Shared, so that going to the background does not copy it. */
    set->page = mmap(NULL, set->pages * PAGE_SIZE + 2 * table,
                     PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    if (set->page == MAP_FAILED) {
        err(1, "cannot map %zu MiB", mib);
    }
    set->generation = (uint32_t *)(set->page + set->pages);
    set->check = set->generation + set->pages;
    for (size_t i = 0; i < set->pages; i++) {
        page_write(set, i, 1);
    }
}

static void workset_dirty(WorkSet *set)
{
    for (int i = 0; i < BURST_PAGES; i++) {
        size_t index = mix(++set->random) % set->pages;
        uint64_t unused = 0;

        set->lost_pages += !page_check(set, index, &unused);
        set->lost_entries += !entry_check(set, index);
        page_write(set, index, set->generation[index] + 1);
    }
}

static void workset_verify(const WorkSet *set)
{
    uint64_t digest = 0xcbf29ce484222325;
    size_t wrong = set->lost_pages, table = set->lost_entries;
    ssize_t first = -1;

    for (size_t i = 0; i < set->pages; i++) {
        bool table_ok = entry_check(set, i);
        bool page_ok = page_check(set, i, &digest);

        table += !table_ok;
        wrong += !page_ok;
        if (first < 0 && !(table_ok && page_ok)) {
            first = i;
        }
    }
    printf("nfv-guest: verify pages=%zu wrong=%zu table=%zu first=%zd "
           "writes=%" PRIu64 " digest=%016" PRIx64 "\n",
           set->pages, wrong, table, first, set->writes, digest);
    fflush(stdout);
}

int main(int argc, char **argv)
{
    const struct timespec pause = { .tv_nsec = BURST_NS };
    size_t mib = argc == 2 ? strtoul(argv[1], NULL, 10) : 0;
    WorkSet set = { 0 };
    sigset_t request;

    if (!mib) {
        errx(2, "usage: workset MIB");
    }
    sigemptyset(&request);
    sigaddset(&request, SIGUSR1);
    sigprocmask(SIG_BLOCK, &request, NULL);

    workset_create(&set, mib);
    if (daemon(1, 1) < 0) {
        err(1, "cannot go to the background");
    }
    setpriority(PRIO_PROCESS, 0, 19);
    for (;;) {
        if (sigtimedwait(&request, NULL, &pause) == SIGUSR1) {
            workset_verify(&set);
        } else {
            workset_dirty(&set);
        }
    }
}
