/*
 * Threads of QEMU: what query-nfv says about them, and what the kernel does
 *
 * Copyright (c) 2026 the kvm4nfv authors
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "qemu/osdep.h"
#include <sched.h>
#include "host.h"
#include "thread.h"
#include "qobject/qlist.h"
#include "qobject/qnum.h"

QDict *nfv_test_query(QTestState *qts)
{
    return qtest_qmp_assert_success_ref(qts, "{ 'execute': 'query-nfv' }");
}

static char *format_set(size_t size, const cpu_set_t *set)
{
    GString *text = g_string_new(NULL);

    for (unsigned cpu = 0; cpu < NFV_TEST_CPUS; cpu++) {
        if (CPU_ISSET_S(cpu, size, set)) {
            g_string_append_printf(text, "%s%u", text->len ? "," : "", cpu);
        }
    }
    return g_string_free(text, false);
}

bool nfv_test_kernel_view(int tid, char **cpus, int *policy, int *priority)
{
    struct sched_param param;
    size_t size = CPU_ALLOC_SIZE(NFV_TEST_CPUS);
    cpu_set_t *set = CPU_ALLOC(NFV_TEST_CPUS);
    bool alive;

    CPU_ZERO_S(size, set);
    *policy = sched_getscheduler(tid);
    alive = *policy >= 0 && sched_getparam(tid, &param) == 0 &&
            sched_getaffinity(tid, size, set) == 0;
    g_assert(alive || errno == ESRCH);
    *cpus = alive ? format_set(size, set) : NULL;
    *priority = alive ? param.sched_priority : 0;
    CPU_FREE(set);
    return alive;
}

static const char *policy_name(int policy)
{
    switch (policy) {
    case SCHED_OTHER:
        return "other";
    case SCHED_FIFO:
        return "fifo";
    case SCHED_RR:
        return "rr";
    case SCHED_BATCH:
        return "batch";
    case SCHED_IDLE:
        return "idle";
    default:
        return "unknown";
    }
}

char *nfv_test_kernel_text(int tid)
{
    g_autofree char *cpus = NULL;
    int policy, priority;

    if (!nfv_test_kernel_view(tid, &cpus, &policy, &priority)) {
        return g_strdup("ended");
    }
    return g_strdup_printf(
        "%s:%d%s on %s", policy_name(policy & ~SCHED_RESET_ON_FORK), priority,
        policy & SCHED_RESET_ON_FORK && priority ? " reset-on-fork" : "", cpus);
}

GArray *nfv_test_tasks(int pid)
{
    g_autofree char *path = g_strdup_printf("/proc/%d/task", pid);
    GArray *tasks = g_array_new(false, false, sizeof(int));
    GDir *dir = g_dir_open(path, 0, NULL);
    const char *entry;

    while (dir && (entry = g_dir_read_name(dir))) {
        int tid = atoi(entry);

        g_array_append_val(tasks, tid);
    }
    if (dir) {
        g_dir_close(dir);
    }
    return tasks;
}

static char *cpus_of(const QDict *sched)
{
    GString *text = g_string_new(NULL);
    const QListEntry *entry;

    QLIST_FOREACH_ENTRY(qdict_get_qlist(sched, "cpus"), entry) {
        g_string_append_printf(
            text, "%s%" PRId64, text->len ? "," : "",
            qnum_get_int(qobject_to(QNum, qlist_entry_obj(entry))));
    }
    return g_string_free(text, false);
}

/* What QEMU says about a thread in the words of nfv_test_kernel_text(). */
static char *qemu_text(const QDict *sched, bool reset_on_fork)
{
    g_autofree char *cpus = cpus_of(sched);

    return g_strdup_printf("%s:%" PRId64 "%s on %s",
                           qdict_get_str(sched, "policy"),
                           qdict_get_try_int(sched, "priority", 0),
                           reset_on_fork ? " reset-on-fork" : "", cpus);
}

/*
 * The kernel has what is expected, and QEMU says both what is wanted and what
 * is.
 */
static void check_thread(const QDict *thread, bool planned, const NfvExpect *e)
{
    int tid = qdict_get_int(thread, "thread-id");
    const QDict *wanted = qdict_get_qdict((QDict *)thread, "wanted");
    bool flag = e->policy == SCHED_FIFO;
    g_autofree char *expected =
        g_strdup_printf("%s:%d%s on %s", policy_name(e->policy), e->priority,
                        flag ? " reset-on-fork" : "", e->cpus);
    g_autofree char *kernel = nfv_test_kernel_text(tid);
    g_autofree char *qemu =
        qemu_text(qdict_get_qdict((QDict *)thread, "now"), flag);

    g_test_message("%s %d %s: %s", qdict_get_str(thread, "role"), tid,
                   qdict_get_str(thread, "name"), kernel);
    g_assert_cmpstr(qdict_get_str(thread, "role"), ==, e->role);
    if (strcmp(kernel, "ended")) {
        g_assert_cmpstr(kernel, ==, expected);
        g_assert_cmpstr(qemu, ==, expected);
        g_assert_true(qdict_get_bool(thread, "placed"));
    }
    /* Threads that populate memory are left alone. */
    g_assert_cmpint(wanted != NULL, ==, planned && strcmp(e->role, "memory"));
    if (wanted) {
        g_autofree char *cpus = cpus_of(wanted);

        g_assert_cmpstr(cpus, ==, e->cpus);
        g_assert_cmpint(qdict_get_try_int(wanted, "priority", 0), ==,
                        e->priority);
        g_assert(!qdict_haskey(thread, "error"));
    }
}

/* Threads that live before and after query-nfv are all in its result. */
static void check_complete(const QDict *info, const GArray *before,
                           const GArray *after)
{
    g_autoptr(GHashTable) known = g_hash_table_new(NULL, NULL);
    const QListEntry *entry;

    QLIST_FOREACH_ENTRY(qdict_get_qlist(info, "threads"), entry) {
        const QDict *thread = qobject_to(QDict, qlist_entry_obj(entry));

        /* No thread comes twice. */
        g_assert(g_hash_table_add(
            known, GINT_TO_POINTER((int)qdict_get_int(thread, "thread-id"))));
    }
    for (unsigned i = 0; i < before->len; i++) {
        int tid = g_array_index(before, int, i);

        for (unsigned j = 0; j < after->len; j++) {
            g_assert(g_array_index(after, int, j) != tid ||
                     g_hash_table_contains(known, GINT_TO_POINTER(tid)));
        }
    }
}

static const NfvExpect *find_expectation(const NfvExpect *expect,
                                         const char *name)
{
    while (expect->name && !g_pattern_match_simple(expect->name, name)) {
        expect++;
    }
    return expect;
}

void nfv_test_check(const QDict *info, const NfvExpect *expect)
{
    g_autoptr(GHashTable) seen = g_hash_table_new(NULL, NULL);
    const QListEntry *entry;

    QLIST_FOREACH_ENTRY(qdict_get_qlist(info, "threads"), entry) {
        const QDict *thread = qobject_to(QDict, qlist_entry_obj(entry));
        const NfvExpect *e =
            find_expectation(expect, qdict_get_str(thread, "name"));

        if (!e->name) {
            g_test_message("unexpected thread '%s'",
                           qdict_get_str(thread, "name"));
            g_assert_not_reached();
        }
        check_thread(thread, qdict_haskey(info, "plan"), e);
        g_hash_table_add(seen, (gpointer)e);
    }
    for (const NfvExpect *e = expect; e->name; e++) {
        if (!e->optional && !g_hash_table_contains(seen, e)) {
            g_test_message("no thread has a name like '%s'", e->name);
            g_assert_not_reached();
        }
    }
}

void nfv_test_expect(QTestState *qts, const NfvExpect *expect)
{
    g_autoptr(GArray) before = nfv_test_tasks(qtest_pid(qts));
    QDict *info = nfv_test_query(qts);
    g_autoptr(GArray) after = nfv_test_tasks(qtest_pid(qts));

    check_complete(info, before, after);
    nfv_test_check(info, expect);
    qobject_unref(info);
}

const QDict *nfv_test_thread(const QDict *info, const char *pattern)
{
    const QListEntry *entry;

    QLIST_FOREACH_ENTRY(qdict_get_qlist(info, "threads"), entry) {
        const QDict *thread = qobject_to(QDict, qlist_entry_obj(entry));

        if (g_pattern_match_simple(pattern, qdict_get_str(thread, "name"))) {
            return thread;
        }
    }
    return NULL;
}

static bool list_has(const QDict *info, const char *list, const char *text)
{
    const QListEntry *entry;

    QLIST_FOREACH_ENTRY(qdict_get_qlist(info, list), entry) {
        const QDict *problem = qobject_to(QDict, qlist_entry_obj(entry));

        if (strstr(qdict_get_str(problem, "what"), text)) {
            return true;
        }
    }
    return false;
}

bool nfv_test_has_problem(const QDict *info, const char *text)
{
    return list_has(info, "problems", text);
}

bool nfv_test_has_disturbance(const QDict *info, const char *text)
{
    return list_has(info, "disturbances", text);
}
