/*
 * Threads of QEMU: what query-nfv says about them, and what the kernel does
 *
 * Copyright (c) 2026 the kvm4nfv authors
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#ifndef TESTS_QTEST_NFV_THREAD_H
#define TESTS_QTEST_NFV_THREAD_H

#include "libqtest.h"
#include "qobject/qdict.h"

/* What a thread should have, to be compared with what the kernel says. */
typedef struct NfvExpect {
    /* Pattern of the names that this is for; the first that fits counts. */
    const char *name;
    const char *role;
    const char *cpus; /* as from nfv_test_cpus_but() */
    int policy;       /* SCHED_* */
    int priority;     /* 0 unless real-time */
    bool optional;    /* no such thread is fine, too */
} NfvExpect;

/* The result of query-nfv; the caller unrefs it. */
QDict *nfv_test_query(QTestState *qts);

/*
 * Check that each thread of @info fits an entry of @expect, which ends with a
 * NULL name, and the kernel agrees; and that no entry is left without a thread.
 */
void nfv_test_check(const QDict *info, const NfvExpect *expect);

/* Query, check that no thread of QEMU's is missing, and nfv_test_check(). */
void nfv_test_expect(QTestState *qts, const NfvExpect *expect);

/*
 * The first thread in @info whose name fits @pattern; NULL if there is none.
 * Not owned by the caller.
 */
const QDict *nfv_test_thread(const QDict *info, const char *pattern);

/* Whether a problem, or a disturbance, in @info has @text in what it says. */
bool nfv_test_has_problem(const QDict *info, const char *text);
bool nfv_test_has_disturbance(const QDict *info, const char *text);

/*
 * What the kernel says about the thread @tid (0: the test); false if it has
 * ended.  *@cpus is as from nfv_test_cpus_but().
 */
bool nfv_test_kernel_view(int tid, char **cpus, int *policy, int *priority);

/*
 * "fifo:1 reset-on-fork on 2,3", what the kernel says about @tid; the caller
 * frees it.  The flag counts for real-time threads only.
 */
char *nfv_test_kernel_text(int tid);

/* Thread ids (of int) of the process @pid. */
GArray *nfv_test_tasks(int pid);

#endif
