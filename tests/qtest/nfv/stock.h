/*
 * Stock QEMU, of the same source without our patches and files
 *
 * Copyright (c) 2026 the kvm4nfv authors
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#ifndef TESTS_QTEST_NFV_STOCK_H
#define TESTS_QTEST_NFV_STOCK_H

/* For qtest_init_with_env() and its kin: the variable that names its binary. */
#define NFV_STOCK_ENV "QTEST_QEMU_BINARY_STOCK"

/*
 * Sets the variable if it is not set.  False, and the test is skipped, where
 * stock QEMU was not built.
 */
bool nfv_has_stock(void);

#endif
