/*
 * Huge pages of the real host for tests of the nfv machine
 *
 * Copyright (c) 2026 the kvm4nfv authors
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#ifndef TESTS_QTEST_NFV_HUGEPAGES_H
#define TESTS_QTEST_NFV_HUGEPAGES_H

/*
 * Reserve @count pages of @kib KiB on top of those that the host has, which
 * others may use, and some more for tests beside this one.  Waits while another
 * test has reserved some.  False, and the test is skipped, where that cannot be
 * had.  They are given back by nfv_huge_release(), or when the test ends or
 * aborts.
 */
bool nfv_huge_reserve(unsigned kib, unsigned count);
void nfv_huge_release(void);

/* How many pages of @kib KiB are free now. */
unsigned nfv_huge_free(unsigned kib);

#endif
