/*
 * QEMU processes of the tests of the nfv machine
 *
 * Copyright (c) 2026 the kvm4nfv authors
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#ifndef TESTS_QTEST_NFV_PROCESS_H
#define TESTS_QTEST_NFV_PROCESS_H

/*
 * Whether the tests run with this accelerator; "kvm" only if a guest can be
 * made with it.
 */
bool nfv_test_has_accel(const char *accel);

/*
 * Run QEMU until it ends.  Returns its exit status, or -1 if it did not end by
 * itself: it hung, or a signal ended it.
 * *@output becomes what it wrote, and the caller frees it.
 */
int nfv_test_run(char **output, const char *fmt, ...) G_GNUC_PRINTF(2, 3);

/* What a message must have in it; ends with NULL. */
typedef const char *NfvWords[5];

/*
 * Check that -M nfv with these properties ends with status 1, and that it says
 * all @words, which end with NULL.  @options: NULL for none.
 */
void nfv_test_refused(const char *root, const char *properties,
                      const char *options, const char *const *words);

#endif
