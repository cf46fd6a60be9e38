/*
 * The two ends of a migration, and whether they have the same memory
 *
 * Copyright (c) 2026 the kvm4nfv authors
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#ifndef TESTS_QTEST_NFV_ENDS_H
#define TESTS_QTEST_NFV_ENDS_H

#include "libqtest.h"

#define NFV_ENDS_PAGE 4096
#define NFV_ENDS_MIB 64 /* of guest memory */
#define NFV_ENDS_BYTES (NFV_ENDS_MIB * 1024 * 1024)

typedef struct NfvEnds {
    char *directory; /* the files in it go with it */
    QTestState *from, *to;
} NfvEnds;

NfvEnds *nfv_ends_new(void);
void nfv_ends_free(NfvEnds *ends);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(NfvEnds, nfv_ends_free)

/* Path of a file in the directory.  The caller frees it. */
char *nfv_ends_path(const NfvEnds *ends, const char *name);

/* @text with the directory for each "%s".  The caller frees it. */
char *nfv_ends_expand(const NfvEnds *ends, const char *text);

/*
 * Start a q35 machine.  @stock: QEMU without our changes, which must exist.
 * @memory: a backend, without its id and size, or NULL for pc.ram as it is by
 * default; "%s" in it is the directory.  @options: of the command line; what
 * the machine says goes to the file "log-NAME".
 */
QTestState *nfv_ends_start(NfvEnds *ends, const char *name, bool stock,
                           const char *memory, const char *options);

/*
 * Write to each of @pages pages from @first in steps of @step, something that
 * differs by page and by @seed.
 */
void nfv_ends_write(QTestState *qts, uint64_t first, unsigned pages,
                    unsigned step, unsigned seed);

/* Check that they were written so, on either end. */
void nfv_ends_check(QTestState *qts, uint64_t first, unsigned pages,
                    unsigned step, unsigned seed);

/* Check that @pages pages from @first in steps of @step are zero at one word */
void nfv_ends_check_holes(QTestState *qts, uint64_t first, unsigned pages,
                          unsigned step);

/* Compare each byte of @bytes of guest memory from @start of two machines. */
void nfv_ends_compare(NfvEnds *ends, uint64_t start, uint64_t bytes);

/* All devices, as they are saved.  The guest is stopped. */
GBytes *nfv_ends_save_devices(NfvEnds *ends, QTestState *qts);

/* Wait until the destination has ended with an error that has these @words. */
void nfv_ends_expect_refusal(NfvEnds *ends, const char *words);

#endif
