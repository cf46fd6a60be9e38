/*
 * Page faults of one thread, with their addresses
 *
 * Copyright (c) 2026 the kvm4nfv authors
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "qemu/osdep.h"
#include <linux/perf_event.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include "qemu/atomic.h"
#include "faults.h"

#define RING_PAGES 64 /* and one more; a user may have 516 KiB */

static int open_event(int tid, uint64_t config)
{
    struct perf_event_attr attr = {
        .type = PERF_TYPE_SOFTWARE,
        .size = sizeof(attr),
        .config = config,
        .sample_period = 1,
        .sample_type = PERF_SAMPLE_ADDR,
    };

    return syscall(SYS_perf_event_open, &attr, tid, -1, -1,
                   PERF_FLAG_FD_CLOEXEC);
}

static size_t ring_size(void)
{
    return (RING_PAGES + 1) * qemu_real_host_page_size();
}

bool nfv_faults_watch(NfvFaults *f, int tid)
{
    f->fd = open_event(tid, PERF_COUNT_SW_PAGE_FAULTS);
    f->major_fd = open_event(tid, PERF_COUNT_SW_PAGE_FAULTS_MAJ);
    f->ring = f->fd < 0 ? MAP_FAILED :
                          mmap(NULL, ring_size(), PROT_READ | PROT_WRITE,
                               MAP_SHARED, f->fd, 0);
    if (f->major_fd < 0 || f->ring == MAP_FAILED) {
        g_autofree char *reason = g_strdup_printf(
            "perf_event_open() is refused: %s", strerror(errno));

        nfv_faults_clear(f);
        g_test_skip(reason);
        return false;
    }
    return true;
}

/* What the kernel writes for each fault. */
typedef struct Sample {
    struct perf_event_header header;
    uint64_t address;
} Sample;

static uint64_t read_count(int fd)
{
    uint64_t count;

    g_assert_cmpint(read(fd, &count, sizeof(count)), ==, sizeof(count));
    return count;
}

unsigned nfv_faults_inside(const NfvFaults *f, uint64_t start, uint64_t size,
                           bool *complete)
{
    const struct perf_event_mmap_page *page = f->ring;
    const char *data = (char *)f->ring + qemu_real_host_page_size();
    uint64_t bytes = RING_PAGES * qemu_real_host_page_size();
    uint64_t counted = read_count(f->fd), seen = 0;
    uint64_t head = qatomic_load_acquire(&page->data_head);
    unsigned found = 0;
    Sample s;

    /* The kernel does not go round: nothing is marked as read. */
    g_assert_cmpuint(head, <=, bytes);
    for (uint64_t at = 0; at < head; at += s.header.size) {
        memcpy(&s.header, data + at, sizeof(s.header));
        g_assert_cmpuint(s.header.size, >=, sizeof(s.header));
        if (s.header.type == PERF_RECORD_SAMPLE) {
            memcpy(&s, data + at, sizeof(s));
            seen++;
            found += s.address >= start && s.address - start < size;
        }
    }
    *complete = seen >= counted;
    return found;
}

uint64_t nfv_faults_major(const NfvFaults *f)
{
    return read_count(f->major_fd);
}

void nfv_faults_clear(NfvFaults *f)
{
    if (f->ring != MAP_FAILED) {
        munmap(f->ring, ring_size());
    }
    if (f->fd >= 0) {
        close(f->fd);
    }
    if (f->major_fd >= 0) {
        close(f->major_fd);
    }
}
