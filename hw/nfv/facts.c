/*
 * Facts of the host that decide how quietly a vCPU runs
 *
 * Copyright (c) 2026 the kvm4nfv authors
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "qemu/osdep.h"
#include <sys/utsname.h>
#include "hw/nfv/facts.h"
#include "hw/nfv/sysfile.h"

static void read_siblings(const char *root, const NfvCpuSet *cpus,
                          NfvCpuSet *siblings)
{
    unsigned cpu;

    bitmap_zero(siblings->bits, NFV_CPUS);
    NFV_CPUSET_FOREACH(cpu, cpus) {
        g_autofree char *path = g_strdup_printf("/sys/devices/system/cpu/cpu%u/"
                                                "topology/thread_siblings_list",
                                                cpu);
        NfvCpuSet set;

        nfv_sysfile_cpuset(root, path, &set);
        bitmap_or(siblings->bits, siblings->bits, set.bits, NFV_CPUS);
    }
    NFV_CPUSET_ANDNOT(siblings, siblings, cpus);
}

static void read_fair_server(const char *root, const NfvCpuSet *cpus,
                             NfvCpuSet *found)
{
    unsigned cpu;

    bitmap_zero(found->bits, NFV_CPUS);
    NFV_CPUSET_FOREACH(cpu, cpus) {
        g_autofree char *path = g_strdup_printf("/sys/kernel/debug/sched/"
                                                "fair_server/cpu%u/runtime",
                                                cpu);

        if (nfv_sysfile_number(root, path, 0) > 0) {
            set_bit(cpu, found->bits);
        }
    }
}

/*
 * The budget of the cgroup that QEMU is in: only cgroup v1 has a file for it.
 * A line of /proc/self/cgroup is "4:cpu,cpuacct:/path".
 */
static int64_t read_cgroup_budget(const char *root)
{
    g_autofree char *text = nfv_sysfile_text("", "/proc/self/cgroup");
    g_auto(GStrv) lines = g_strsplit(text ?: "", "\n", -1);

    for (char **line = lines; *line; line++) {
        g_auto(GStrv) fields = g_strsplit(*line, ":", 3);

        if (g_strv_length(fields) == 3) {
            g_auto(GStrv) controllers = g_strsplit(fields[1], ",", -1);
            g_autofree char *path = g_strdup_printf("/sys/fs/cgroup/cpu%s/"
                                                    "cpu.rt_runtime_us",
                                                    fields[2]);

            if (g_strv_contains((const char *const *)controllers, "cpu")) {
                return nfv_sysfile_number(root, path, -1);
            }
        }
    }
    return -1;
}

NfvPreemption nfv_facts_preemption(const char *realtime, const char *dynamic,
                                   const char *version)
{
    if ((realtime && !strcmp(realtime, "1")) || strstr(version, "PREEMPT_RT")) {
        return NFV_PREEMPTION_RT;
    }
    if (dynamic) { /* "none voluntary (full) lazy" */
        for (int i = 0; i < NFV_PREEMPTION__MAX; i++) {
            g_autofree char *chosen =
                g_strdup_printf("(%s)", NfvPreemption_str(i));

            if (strstr(dynamic, chosen)) {
                return i;
            }
        }
    }
    if (strstr(version, "PREEMPT_DYNAMIC")) {
        return NFV_PREEMPTION_DYNAMIC;
    }
    return strstr(version, "PREEMPT") ? NFV_PREEMPTION_FULL :
                                        NFV_PREEMPTION_NONE;
}

NfvFacts *nfv_facts_read(const char *root, const NfvCpuSet *cpus)
{
    NfvFacts *facts = g_new0(NfvFacts, 1);
    g_autofree char *realtime = nfv_sysfile_text(root, "/sys/kernel/realtime");
    g_autofree char *dynamic = nfv_sysfile_text(root, "/sys/kernel/debug/sched/"
                                                      "preempt");
    struct utsname name = { 0 };

    uname(&name);
    nfv_sysfile_cpuset(root, "/sys/devices/system/cpu/isolated",
                       &facts->isolated);
    nfv_sysfile_cpuset(root, "/sys/devices/system/cpu/nohz_full",
                       &facts->nohz_full);
    read_siblings(root, cpus, &facts->siblings);
    read_fair_server(root, cpus, &facts->fair_server);
    facts->rt_runtime_us =
        nfv_sysfile_number(root, "/proc/sys/kernel/sched_rt_runtime_us", -1);
    facts->rt_period_us = nfv_sysfile_number(
        root, "/proc/sys/kernel/sched_rt_period_us", 1000000);
    facts->cgroup_rt_us = read_cgroup_budget(root);
    facts->preemption = nfv_facts_preemption(realtime, dynamic, name.version);
    facts->clock_source = nfv_sysfile_text(
        root, "/sys/devices/system/clocksource/clocksource0/"
              "current_clocksource") ?: g_strdup("");
    return facts;
}

void nfv_facts_free(NfvFacts *facts)
{
    if (facts) {
        g_free(facts->clock_source);
        g_free(facts);
    }
}
