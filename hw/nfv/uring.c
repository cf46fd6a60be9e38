/*
 * Host CPUs of io_uring's workers
 *
 * Copyright (c) 2026 the kvm4nfv authors
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "qemu/osdep.h"
#include <sys/syscall.h>
#include "block/aio.h"
#include "qemu/cutils.h"
#include "qemu/main-loop.h"
#include "qom/object.h"
#include "system/iothread.h"
#include "hw/nfv/uring.h"
#include "trace.h"

#define REGISTER_IOWQ_AFF 17 /* IORING_REGISTER_IOWQ_AFF: Linux 5.14 */

typedef struct Confinement {
    NfvCpuSet cpus;
    int ring; /* a ring of this process: it names none but must be one */
} Confinement;

static int find_ring(void)
{
    g_autoptr(GDir) dir = g_dir_open("/proc/self/fd", 0, NULL);
    const char *entry;
    int fd;

    while (dir && (entry = g_dir_read_name(dir))) {
        g_autofree char *path = g_strdup_printf("/proc/self/fd/%s", entry);
        g_autofree char *target = g_file_read_link(path, NULL);

        if (target && !strcmp(target, "anon_inode:[io_uring]") &&
            !qemu_strtoi(entry, NULL, 10, &fd)) {
            return fd;
        }
    }
    return -1;
}

/* In the thread that submits.  Without a ring of its own it gets EINVAL. */
static void confine_here(void *opaque)
{
    g_autofree Confinement *c = opaque;
    int ret = syscall(SYS_io_uring_register, c->ring, REGISTER_IOWQ_AFF,
                      c->cpus.bits, sizeof(c->cpus.bits));

    trace_nfv_uring_confine(qemu_get_thread_id(), ret < 0 ? errno : 0);
}

static int confine_iothread(Object *obj, void *opaque)
{
    IOThread *iothread = (IOThread *)object_dynamic_cast(obj, TYPE_IOTHREAD);

    if (iothread) {
        aio_bh_schedule_oneshot(iothread_get_aio_context(iothread),
                                confine_here,
                                g_memdup2(opaque, sizeof(Confinement)));
    }
    return 0;
}

/* In the main thread, whose BQL keeps the list of I/O threads. */
static void confine_all(void *opaque)
{
    object_child_foreach(object_get_objects_root(), confine_iothread, opaque);
    confine_here(opaque);
}

void nfv_uring_confine(const NfvCpuSet *cpus)
{
    Confinement *c = g_new0(Confinement, 1);

    c->cpus = *cpus;
    c->ring = find_ring();
    if (c->ring < 0) {
        g_free(c);
        return;
    }
    aio_bh_schedule_oneshot(qemu_get_aio_context(), confine_all, c);
}
