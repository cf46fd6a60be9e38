/*
 * What the host grants to this QEMU
 *
 * Copyright (c) 2026 the kvm4nfv authors
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "qemu/osdep.h"
#include <sched.h>
#include <sys/resource.h>
#include "qemu/cutils.h"
#include "hw/nfv/capability.h"
#include "hw/nfv/host.h"
#include "hw/nfv/sched.h"
#include "hw/nfv/sysfile.h"

#define CAP_SYS_NICE_BIT 23 /* capabilities(7); part of the kernel's ABI */

static bool rt_throttled(const char *root)
{
    int64_t runtime =
        nfv_sysfile_number(root, "/proc/sys/kernel/sched_rt_runtime_us", -1);
    int64_t period = nfv_sysfile_number(
        root, "/proc/sys/kernel/sched_rt_period_us", 1000000);

    return runtime >= 0 && runtime < period;
}

static void read_nodes(const char *root, int16_t *node)
{
    g_autofree char *path = g_strconcat(root, "/sys/devices/system/node", NULL);
    g_autoptr(GDir) dir = g_dir_open(path, 0, NULL);
    const char *name;

    while (dir && (name = g_dir_read_name(dir))) {
        g_autofree char *list =
            g_strdup_printf("/sys/devices/system/node/%s/cpulist", name);
        const char *digits;
        NfvCpuSet cpus;
        unsigned cpu;
        int n;

        if (strstart(name, "node", &digits) &&
            !qemu_strtoi(digits, NULL, 10, &n) && n >= 0 && n <= INT16_MAX &&
            nfv_sysfile_cpuset(root, list, &cpus)) {
            NFV_CPUSET_FOREACH(cpu, &cpus) {
                node[cpu] = n;
            }
        }
    }
}

typedef struct Attempt {
    int priority;
    NfvCpuSet inherited, granted;
    int affinity_errno, fifo_errno;
    bool capable;
} Attempt;

static void *attempt_thread(void *opaque)
{
    Attempt *a = opaque;
    NfvCpuSet all;

    a->capable = nfv_capable(CAP_SYS_NICE_BIT);
    bitmap_fill(all.bits, NFV_CPUS);
    a->affinity_errno = -nfv_sched_set_cpus(0, &all);
    if (nfv_sched_get_cpus(0, &a->granted) < 0) {
        bitmap_zero(a->granted.bits, NFV_CPUS);
    }
    /* Real-time only where the caller runs, not on a vCPU's host CPU. */
    nfv_sched_set_cpus(0, &a->inherited);
    a->fifo_errno = -nfv_sched_set_fifo(0, a->priority);
    nfv_sched_set_ordinary(0);
    return NULL;
}

NfvRefusal nfv_refusal_of(int err, bool sandboxed, bool capable, unsigned limit,
                          int priority, bool throttled)
{
    if (!err) {
        return throttled ? NFV_REFUSAL_THROTTLED : NFV_REFUSAL_NONE;
    }
    if (sandboxed) {
        return NFV_REFUSAL_SANDBOX;
    }
    if (err != EPERM) {
        return NFV_REFUSAL_OTHER;
    }
    if (capable || limit >= priority) {
        return NFV_REFUSAL_CGROUP;
    }
    return limit ? NFV_REFUSAL_RLIMIT : NFV_REFUSAL_CAPABILITY;
}

NfvHost *nfv_host_read(const char *root, int priority)
{
    NfvHost *host = g_new0(NfvHost, 1);
    Attempt attempt = { .priority = priority };
    struct rlimit limit = { 0 };
    pthread_t thread;

    nfv_sched_get_cpus(0, &host->inherited);
    attempt.inherited = host->inherited;
    /* Not a QemuThread: this one must not be placed. */
    if (pthread_create(&thread, NULL, attempt_thread, &attempt) == 0) {
        pthread_join(thread, NULL);
        host->granted = attempt.granted;
    } else {
        host->granted = host->inherited;
        attempt.fifo_errno = EAGAIN;
    }
    if (!nfv_sysfile_cpuset(root, "/sys/devices/system/cpu/online",
                            &host->online)) {
        host->online = host->granted;
    }
    nfv_sysfile_cpuset(root, "/sys/devices/system/cpu/isolated",
                       &host->isolated);
    read_nodes(root, host->node);

    getrlimit(RLIMIT_RTPRIO, &limit);
    host->rtprio_limit = MIN(limit.rlim_cur, 99);
    host->affinity =
        attempt.affinity_errno ? NFV_REFUSAL_SANDBOX : NFV_REFUSAL_NONE;
    host->fifo_errno = attempt.fifo_errno;
    host->fifo = nfv_refusal_of(attempt.fifo_errno, attempt.affinity_errno != 0,
                                attempt.capable, host->rtprio_limit, priority,
                                rt_throttled(root));
    return host;
}

char *nfv_refusal_describe(const NfvHost *host, NfvRefusal refusal,
                           int priority, char **remedy)
{
    g_autofree char *unused = NULL;

    if (!remedy) {
        remedy = &unused;
    }
    switch (refusal) {
    case NFV_REFUSAL_SANDBOX:
        *remedy = g_strdup("start QEMU without -sandbox resourcecontrol=deny, "
                           "or with libvirt leave vcpu-cpus out and "
                           "use <cputune>");
        return g_strdup("the sandbox (resourcecontrol=deny) forbids affinity "
                        "and scheduling calls");
    case NFV_REFUSAL_CAPABILITY:
        *remedy = g_strdup_printf("give QEMU CAP_SYS_NICE or an RLIMIT_RTPRIO "
                                  "of at least %d (ulimit -r)",
                                  priority);
        return g_strdup("SCHED_FIFO needs CAP_SYS_NICE, which QEMU does not "
                        "have, and its RLIMIT_RTPRIO is 0");
    case NFV_REFUSAL_RLIMIT:
        *remedy = g_strdup_printf("raise the limit (ulimit -r %d) or lower the "
                                  "priority to %u",
                                  priority, host->rtprio_limit);
        return g_strdup_printf("SCHED_FIFO priority %d is above QEMU's "
                               "RLIMIT_RTPRIO of %u",
                               priority, host->rtprio_limit);
    case NFV_REFUSAL_CGROUP:
        *remedy = g_strdup("write a budget to cpu.rt_runtime_us of QEMU's "
                           "cgroup, or move QEMU to the root cgroup "
                           "(RT_GROUP_SCHED)");
        return g_strdup("SCHED_FIFO is allowed to QEMU, but its cgroup has no "
                        "real-time budget");
    case NFV_REFUSAL_THROTTLED:
        *remedy = g_strdup("sysctl -w kernel.sched_rt_runtime_us=-1");
        return g_strdup("RT throttling is on: a busy SCHED_FIFO vCPU would be "
                        "stopped for a part of each second");
    case NFV_REFUSAL_OTHER:
        *remedy = g_strdup("see sched_setscheduler(2) for this error");
        return g_strdup_printf("SCHED_FIFO is refused: %s",
                               g_strerror(host->fifo_errno));
    case NFV_REFUSAL_NONE:
        break;
    }
    g_assert_not_reached();
}
