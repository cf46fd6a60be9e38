/*
 * An nfv machine with one vCPU on the first host CPU of the test and all other
 * threads on the rest
 *
 * Copyright (c) 2026 the kvm4nfv authors
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#ifndef TESTS_QTEST_NFV_SETUP_H
#define TESTS_QTEST_NFV_SETUP_H

#include "libqtest.h"
#include "host.h"
#include "qobject/qdict.h"

typedef struct NfvSetup {
    NfvTestRoot root;
    char *first,
        *rest; /* CPUs as in NfvExpect: of the vCPU, and of all other threads */
} NfvSetup;

/* False, and the test is skipped, where there are not two host CPUs. */
bool nfv_setup_init(NfvSetup *s);
void nfv_setup_clear(NfvSetup *s);
G_DEFINE_AUTO_CLEANUP_CLEAR_FUNC(NfvSetup, nfv_setup_clear)

/* SCHED_FIFO priority of each kind of thread; 0 is SCHED_OTHER. */
typedef struct NfvPriorities {
    int vcpu, iothread, emulator;
} NfvPriorities;

/*
 * Check all threads as nfv_test_check() and nfv_test_expect() do.  @also:
 * pattern of the name of a worker that must be among them; NULL for none.
 */
void nfv_setup_check(const NfvSetup *s, const QDict *info,
                     NfvPriorities priorities, const char *also);
void nfv_setup_expect(const NfvSetup *s, QTestState *qts,
                      NfvPriorities priorities, const char *also);

/*
 * Start it; the guest stands still, so that no test depends on what its
 * firmware does.
 */
QTestState *nfv_setup_start(const NfvSetup *s, const char *accel,
                            const char *properties, const char *options);

/*
 * False, and the test is skipped, where no guest can be made with this
 * accelerator.
 */
bool nfv_setup_has_accel(const char *accel);

#endif
