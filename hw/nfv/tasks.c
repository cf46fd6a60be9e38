/*
 * Threads that no hook announces, as /proc has them
 *
 * Copyright (c) 2026 the kvm4nfv authors
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "qemu/osdep.h"
#include "qemu/cutils.h"
#include "hw/nfv/role.h"
#include "hw/nfv/tasks.h"

static char *read_comm(const char *dir, const char *tid)
{
    g_autofree char *path = g_strdup_printf("%s/%s/comm", dir, tid);
    char *comm;

    if (!g_file_get_contents(path, &comm, NULL, NULL)) {
        return NULL;
    }
    return g_strchomp(comm);
}

/* Nobody but the kernel can make a child of kthreadd, whose id is 2. */
static bool is_kernel_thread(const char *tid)
{
    g_autofree char *path = g_strdup_printf("/proc/%s/stat", tid);
    g_autofree char *stat = NULL;
    const char *rest;
    int ppid;

    if (!g_file_get_contents(path, &stat, NULL, NULL)) {
        return false;
    }
    rest = strrchr(stat, ')'); /* the end of the name; then " S PPID" */
    return rest && sscanf(rest, ") %*c %d", &ppid) == 1 && ppid == 2;
}

static bool find_in_process(GArray *tasks)
{
    g_autoptr(GDir) dir = g_dir_open("/proc/self/task", 0, NULL);
    const char *entry;

    while (dir && (entry = g_dir_read_name(dir))) {
        NfvTask t = { .role = NFV_ROLE_WORKER };
        int owner;

        if (qemu_strtoi(entry, NULL, 10, &t.tid)) {
            continue;
        }
        t.comm = read_comm("/proc/self/task", entry);
        if (!t.comm) {
            continue;
        }
        if (t.tid == getpid()) {
            t.role = NFV_ROLE_EMULATOR;
            g_free(t.comm);
            t.comm = g_strdup("main");
        } else {
            nfv_role_of_kernel_thread(t.comm, &t.role, &owner);
        }
        g_array_append_val(tasks, t);
    }
    return dir != NULL;
}

static bool find_on_host(GArray *tasks)
{
    g_autoptr(GDir) dir = g_dir_open("/proc", 0, NULL);
    const char *entry;

    while (dir && (entry = g_dir_read_name(dir))) {
        NfvTask t = { 0 };

        if (!g_ascii_isdigit(*entry) || qemu_strtoi(entry, NULL, 10, &t.tid)) {
            continue;
        }
        t.comm = read_comm("/proc", entry);
        if (t.comm && nfv_role_of_kernel_thread(t.comm, &t.role, &t.owner) &&
            is_kernel_thread(entry)) {
            g_array_append_val(tasks, t);
        } else {
            g_free(t.comm);
        }
    }
    return dir != NULL;
}

static void task_clear(void *opaque)
{
    g_free(((NfvTask *)opaque)->comm);
}

GArray *nfv_tasks_new(void)
{
    GArray *tasks = g_array_new(false, false, sizeof(NfvTask));

    g_array_set_clear_func(tasks, task_clear);
    return tasks;
}

bool nfv_tasks_find(GArray *tasks, bool host)
{
    bool complete = find_in_process(tasks);

    return (!host || find_on_host(tasks)) && complete;
}

bool nfv_task_is(int tid, const char *comm, int owner)
{
    g_autofree char *entry = g_strdup_printf("%d", tid);
    g_autofree char *now = NULL;

    if (tid == getpid()) {
        return true;
    }
    now = read_comm(owner ? "/proc" : "/proc/self/task", entry);
    return !g_strcmp0(now, comm) && (!owner || is_kernel_thread(entry));
}
