/*
 * Claims on host CPUs, so that two guests do not take the same
 *
 * Copyright (c) 2026 the kvm4nfv authors
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "qemu/osdep.h"
#include <sys/file.h>
#include "qapi/error.h"
#include "hw/nfv/claim.h"
#include "hw/nfv/cpulist.h"
#include "trace.h"

/* file descriptor + 1 of each CPU that this process has claimed */
static int claims[NFV_CPUS];

int nfv_claim(const char *root, unsigned cpu, char **path)
{
    struct stat st;
    int fd;

    *path = g_strdup_printf("%s/run/lock/kvm4nfv-cpu%u.lock", root, cpu);
    if (claims[cpu]) {
        return 1;
    }
    /*
     * Without O_CREAT first: in a directory like /run/lock,
     * fs.protected_regular refuses O_CREAT for a file of another user's.
     * Reading is enough for flock(), so that users need no write permission on
     * each other's files.
     */
    fd = qemu_open_old(*path, O_RDONLY | O_NOFOLLOW | O_NONBLOCK);
    if (fd < 0 && errno == ENOENT) {
        fd = qemu_open_old(*path, O_RDONLY | O_NOFOLLOW | O_CREAT, 0644);
        if (fd >= 0 && fchmod(fd, 0644) < 0) {
            /* Only the owner's umask in force: others see an error then. */
            trace_nfv_claim_mode(cpu, errno);
        }
    }
    if (fd < 0) {
        return -errno;
    }
    /* The directory is everybody's: a FIFO there must not hang QEMU. */
    if (fstat(fd, &st) < 0 || !S_ISREG(st.st_mode)) {
        close(fd);
        return -EINVAL;
    }
    if (flock(fd, LOCK_EX | LOCK_NB) < 0) {
        int err = errno;

        close(fd);
        return err == EWOULDBLOCK ? 0 : -err;
    }
    claims[cpu] = fd + 1;
    trace_nfv_claim(cpu);
    return 1;
}

static void give_back(unsigned cpu)
{
    if (claims[cpu]) {
        close(claims[cpu] - 1);
        claims[cpu] = 0;
    }
}

static void give_back_all(const GArray *list)
{
    for (unsigned i = 0; i < list->len; i++) {
        give_back(g_array_index(list, unsigned, i));
    }
}

void nfv_claim_keep(const GArray *list)
{
    NfvCpuSet keep;

    nfv_cpuset_from_list(&keep, list);
    for (unsigned cpu = 0; cpu < NFV_CPUS; cpu++) {
        if (!NFV_CPUSET_HAS(&keep, cpu)) {
            give_back(cpu);
        }
    }
}

GArray *nfv_claim_some(const char *root, const GArray *candidates,
                       unsigned needed, unsigned wanted, Error **errp)
{
    ERRP_GUARD();
    g_autoptr(GArray) list = g_array_new(false, false, sizeof(unsigned));
    g_autoptr(GArray) taken = g_array_new(false, false, sizeof(unsigned));
    g_autofree char *all = nfv_cpulist_format(candidates);

    if (!candidates->len) {
        error_setg(errp, "vcpu-cpus=auto: no isolated host CPU is granted to "
                         "QEMU");
        error_append_hint(errp, "Boot the host with isolcpus=, or give a list, "
                                "for example vcpu-cpus=2-5.\n");
        return NULL;
    }
    for (unsigned i = 0; i < candidates->len && list->len < wanted; i++) {
        unsigned cpu = g_array_index(candidates, unsigned, i);
        g_autofree char *path = NULL;
        bool before = claims[cpu];
        int ret = nfv_claim(root, cpu, &path);

        if (ret < 0) {
            error_setg_errno(errp, -ret, "vcpu-cpus=auto: cannot lock '%s'",
                             path);
            give_back_all(taken);
            return NULL;
        }
        if (ret) {
            g_array_append_val(list, cpu);
            if (!before) {
                g_array_append_val(taken, cpu);
            }
        }
    }
    if (list->len < needed) {
        error_setg(errp,
                   "vcpu-cpus=auto: %u isolated host CPUs are wanted and %u "
                   "are free; %s are isolated and granted",
                   needed, list->len, all);
        error_append_hint(errp, "Other nfv guests have claimed the rest: lower "
                                "-smp or isolate more host CPUs.\n");
        give_back_all(taken);
        return NULL;
    }
    return g_steal_pointer(&list);
}
