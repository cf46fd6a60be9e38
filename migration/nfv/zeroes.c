/*
 * Pages that are populated and hold zeroes, found by several threads
 *
 * Copyright (c) 2026 the kvm4nfv authors
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "qemu/osdep.h"
#include <sched.h>
#include "qemu/atomic.h"
#include "qemu/bitmap.h"
#include "qemu/cutils.h"
#include "qemu/thread.h"
#include "zeroes.h"

#define THREADS_MAX 4
/* Pages that a thread takes at a time: whole words of the bitmaps. */
#define SHARE 4096

unsigned nfv_zeroes_threads(void)
{
#ifdef CONFIG_LINUX
    cpu_set_t set;

    if (!sched_getaffinity(0, sizeof(set), &set)) {
        return MIN(CPU_COUNT(&set), THREADS_MAX);
    }
#endif
    return 1; /* more CPUs than cpu_set_t has, or none that is known */
}

typedef struct Search {
    const uint8_t *host;
    uint64_t pages;
    unsigned page_bits;
    const unsigned long *look;
    unsigned long *zeroes;
    bool (*goes_on)(void);
    uint64_t next; /* first page that nobody has taken; atomic */
} Search;

static void search_share(Search *s, uint64_t first, uint64_t end)
{
    for (uint64_t page = find_next_bit(s->look, end, first); page < end;
         page = find_next_bit(s->look, end, page + 1)) {
        if (buffer_is_zero(s->host + (page << s->page_bits),
                           1ULL << s->page_bits)) {
            set_bit(page, s->zeroes);
        }
    }
}

static void *search(void *opaque)
{
    Search *s = opaque;
    uint64_t first;

    while (s->goes_on() &&
           (first = qatomic_fetch_add(&s->next, SHARE)) < s->pages) {
        search_share(s, first, MIN(first + SHARE, s->pages));
    }
    return NULL;
}

void nfv_zeroes_find(const void *host, uint64_t pages, unsigned page_bits,
                     const unsigned long *look, unsigned long *zeroes,
                     unsigned threads, bool (*goes_on)(void))
{
    Search s = {
        .host = host,
        .pages = pages,
        .page_bits = page_bits,
        .look = look,
        .zeroes = zeroes,
        .goes_on = goes_on,
    };
    unsigned helpers = MIN(threads, DIV_ROUND_UP(pages, SHARE));
    g_autofree QemuThread *thread = NULL;

    bitmap_clear(zeroes, 0, pages);
    helpers = helpers ? helpers - 1 : 0; /* this thread is one, too */
    thread = g_new(QemuThread, helpers);
    for (unsigned i = 0; i < helpers; i++) {
        qemu_thread_create(&thread[i], "mig/src/zero", search, &s,
                           QEMU_THREAD_JOINABLE);
    }
    search(&s);
    for (unsigned i = 0; i < helpers; i++) {
        qemu_thread_join(&thread[i]);
    }
}
