/*
 * What memory the host has for the guest
 *
 * Copyright (c) 2026 the kvm4nfv authors
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "qemu/osdep.h"
#include <sys/resource.h>
#include "qemu/cutils.h"
#include "qemu/units.h"
#include "hw/nfv/capability.h"
#include "hw/nfv/memhost.h"
#include "hw/nfv/sysfile.h"

#define CAP_IPC_LOCK_BIT 14 /* capabilities(7); part of the kernel's ABI */

static void read_node_set(const char *root, NfvNodeSet *set)
{
    NfvCpuSet numbers; /* a list of nodes reads as one of CPUs */

    nfv_sysfile_cpuset(root, "/sys/devices/system/node/online", &numbers);
    bitmap_copy(set->bits, numbers.bits, NFV_NODES);
}

static uint64_t read_pages(const char *root, const char *dir, uint64_t size,
                           const char *file)
{
    g_autofree char *path =
        g_strdup_printf("%s/hugepages-%" PRIu64 "kB/%s", dir, size / KiB, file);

    return nfv_sysfile_number(root, path, 0);
}

static void read_pool(const char *root, const NfvNodeSet *nodes, uint64_t size,
                      NfvPool *pool)
{
    static const char all[] = "/sys/kernel/mm/hugepages";
    g_autofree char *free_file = g_strdup_printf(
        "%s/hugepages-%" PRIu64 "kB/free_hugepages", all, size / KiB);
    unsigned node;

    pool->page_size = size;
    pool->present = nfv_sysfile_number(root, free_file, -1) >= 0;
    pool->total = read_pages(root, all, size, "nr_hugepages");
    pool->free = read_pages(root, all, size, "free_hugepages");
    pool->reserved = read_pages(root, all, size, "resv_hugepages");
    NFV_NODESET_FOREACH(node, nodes)
    {
        g_autofree char *dir =
            g_strdup_printf("/sys/devices/system/node/node%u/hugepages", node);

        pool->node_total[node] = read_pages(root, dir, size, "nr_hugepages");
        pool->node_free[node] = read_pages(root, dir, size, "free_hugepages");
    }
}

/* MemAvailable; UINT64_MAX where the kernel does not say. */
static uint64_t read_available(const char *root)
{
    g_autofree char *text = nfv_sysfile_text(root, "/proc/meminfo");
    const char *line = text ? strstr(text, "MemAvailable:") : NULL;
    uint64_t kib;

    if (!line ||
        qemu_strtou64(line + strlen("MemAvailable:"), &line, 10, &kib)) {
        return UINT64_MAX;
    }
    return kib * KiB;
}

/* The kernel drops it before it kills anybody: "inactive_file 4096". */
static uint64_t read_page_cache(const char *root, const char *cgroup)
{
    g_autofree char *file =
        g_strdup_printf("/sys/fs/cgroup%s/memory.stat", cgroup);
    g_autofree char *text = nfv_sysfile_text(root, file);
    const char *line = text ? strstr(text, "inactive_file ") : NULL;
    uint64_t bytes;

    if (!line ||
        qemu_strtou64(line + strlen("inactive_file "), &line, 10, &bytes)) {
        return 0;
    }
    return bytes;
}

static uint64_t read_room(const char *root, const char *cgroup)
{
    g_autofree char *max_file =
        g_strdup_printf("/sys/fs/cgroup%s/memory.max", cgroup);
    g_autofree char *now_file =
        g_strdup_printf("/sys/fs/cgroup%s/memory.current", cgroup);
    int64_t max = nfv_sysfile_number(root, max_file, -1); /* "max": none */
    int64_t now = nfv_sysfile_number(root, now_file, 0) -
                  read_page_cache(root, cgroup);

    return max < 0 ? UINT64_MAX : MAX(0, max - MAX(0, now));
}

/*
 * What the cgroup and those around it leave; UINT64_MAX for no limit.  For
 * cgroup v2, where the line is "0::/path".
 */
static uint64_t read_cgroup_room(const char *root)
{
    g_autofree char *text = nfv_sysfile_text(root, "/proc/self/cgroup");
    const char *line = text ? strstr(text, "0::/") : NULL;
    uint64_t room = UINT64_MAX;
    g_autofree char *path = NULL;

    if (!line || (line != text && line[-1] != '\n')) {
        return room;
    }
    line += strlen("0::");
    path = g_strndup(line, strcspn(line, "\n"));
    /* In a cgroup namespace the limits of "/" count, too. */
    for (char *end = path + strlen(path); end; end = strrchr(path, '/')) {
        *end = '\0';
        room = MIN(room, read_room(root, path));
    }
    return room;
}

NfvMemoryHost *nfv_memory_host_read(const char *root)
{
    NfvMemoryHost *host = g_new0(NfvMemoryHost, 1);
    struct rlimit limit = { 0 };

    read_node_set(root, &host->nodes);
    read_pool(root, &host->nodes, 2 * MiB, &host->pools[0]);
    read_pool(root, &host->nodes, 1 * GiB, &host->pools[1]);
    host->available = MIN(read_available(root), read_cgroup_room(root));
    host->may_lock = nfv_capable(CAP_IPC_LOCK_BIT);
    getrlimit(RLIMIT_MEMLOCK, &limit);
    host->lock_limit =
        limit.rlim_cur == RLIM_INFINITY ? UINT64_MAX : limit.rlim_cur;
    return host;
}

char *nfv_nodeset_format(const NfvNodeSet *set)
{
    NfvCpuSet numbers = { 0 };

    bitmap_copy(numbers.bits, set->bits, NFV_NODES);
    return nfv_cpuset_format(&numbers);
}
