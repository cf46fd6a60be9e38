/*
 * Huge pages of the real host for tests of the nfv machine
 *
 * Copyright (c) 2026 the kvm4nfv authors
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "qemu/osdep.h"
#include <sys/file.h>
#include "libqtest.h"
#include "hugepages.h"

/*
 * For nfv machines of other tests, which take what they find: with 128 MiB, a few
 * of them at a time.
 */
#define OTHERS_KIB (1024 * 1024)

/* What this test added; one size at a time. */
static unsigned added, added_kib;

/* The pool, locked: one test at a time adds to it.  -1: not. */
static int pool = -1;

static char *pool_file(unsigned kib, const char *name)
{
    return g_strdup_printf("/sys/kernel/mm/hugepages/hugepages-%ukB/%s", kib,
                           name);
}

static unsigned pool_read(unsigned kib, const char *name)
{
    g_autofree char *path = pool_file(kib, name);
    g_autofree char *text = NULL;

    return g_file_get_contents(path, &text, NULL, NULL) ? atoi(text) : 0;
}

unsigned nfv_huge_free(unsigned kib)
{
    return pool_read(kib, "free_hugepages");
}

/* Waits for other tests.  Without a pool of that size there is nothing to lock */
static void pool_lock(unsigned kib)
{
    g_autofree char *path = pool_file(kib, "nr_hugepages");
    int error;

    pool = open(path, O_RDONLY | O_CLOEXEC);
    if (pool >= 0) {
        error = RETRY_ON_EINTR(flock(pool, LOCK_EX));
        g_assert_cmpint(error, ==, 0);
    }
}

static void pool_unlock(void)
{
    if (pool >= 0) {
        close(pool);
        pool = -1;
    }
}

/* How many the pool has afterwards. */
static unsigned pool_resize(unsigned kib, unsigned count)
{
    g_autofree char *path = pool_file(kib, "nr_hugepages");
    g_autofree char *text = g_strdup_printf("%u\n", count);
    int fd = open(path, O_WRONLY | O_CLOEXEC);

    if (fd >= 0) {
        /* A refusal shows in what is there then. */
        if (write(fd, text, strlen(text)) < 0) {
            g_test_message("%s: %s", path, strerror(errno));
        }
        close(fd);
    }
    return pool_read(kib, "nr_hugepages");
}

void nfv_huge_release(void)
{
    unsigned before = pool_read(added_kib, "nr_hugepages");

    if (added) {
        pool_resize(added_kib, before - MIN(before, added));
        added = 0;
    }
    pool_unlock();
}

static void release_on_abort(void *unused)
{
    nfv_huge_release();
}

bool nfv_huge_reserve(unsigned kib, unsigned count)
{
    static bool registered;
    g_autofree char *reason = g_strdup_printf(
        "this host lets the test reserve no %u huge pages of %u KiB", count,
        kib);
    unsigned before, after;

    g_assert_cmpuint(added, ==, 0);
    if (!registered) {
        atexit(nfv_huge_release);
        qtest_add_abrt_handler(release_on_abort, &added);
        registered = true;
    }
    pool_lock(kib);
    before = pool_read(kib, "nr_hugepages");
    after = pool_resize(kib, before + count + OTHERS_KIB / kib);
    added = after > before ? after - before : 0;
    added_kib = kib;
    if (added < count) {
        nfv_huge_release();
        g_test_skip(reason);
        return false;
    }
    return true;
}
