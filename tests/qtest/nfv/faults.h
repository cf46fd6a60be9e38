/*
 * Page faults of one thread, with their addresses
 *
 * Copyright (c) 2026 the kvm4nfv authors
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#ifndef TESTS_QTEST_NFV_FAULTS_H
#define TESTS_QTEST_NFV_FAULTS_H

typedef struct NfvFaults {
    int fd, major_fd;
    void *ring;
} NfvFaults;

/*
 * Watch the thread @tid from now on.  False, and the test is skipped, where the
 * kernel refuses it.
 */
bool nfv_faults_watch(NfvFaults *f, int tid);

/*
 * How many page faults it had so far that lie in the @size bytes from @start
 * on.  *@complete: whether the address of each fault is known; there is room
 * for some thousands.
 */
unsigned nfv_faults_inside(const NfvFaults *f, uint64_t start, uint64_t size,
                           bool *complete);

/* How many it had so far that needed I/O, wherever. */
uint64_t nfv_faults_major(const NfvFaults *f);

void nfv_faults_clear(NfvFaults *f);

#endif
