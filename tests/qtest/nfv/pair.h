/*
 * The two ends of a migration with a guest that writes to its memory
 *
 * Copyright (c) 2026 the kvm4nfv authors
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#ifndef TESTS_QTEST_NFV_PAIR_H
#define TESTS_QTEST_NFV_PAIR_H

#include "libqtest.h"
#include "qobject/qdict.h"

/*
 * The machine, with small pages: huge ones that another test reserves would do
 * for one end only, and post-copy wants the same pages on both.
 */
#define NFV_PAIR_NFV "nfv,hugepages=off"

/*
 * Set what shall not be the default before the start; strings are not owned.
 */
typedef struct NfvPair {
    const char *machine; /* q35 */
    const char *accel;   /* tcg */
    const char *memory;  /* options for RAM of 128 MiB with another backend */
    bool idle;           /* the guest has nothing to boot from */
    char *directory, *boot;
    QTestState *from, *to;
    unsigned events; /* NFV_MIGRATION_ENDED of either, as far as was read */
} NfvPair;

#define NFV_PAIR_UNIX "unix:%s/socket"
#define NFV_PAIR_TCP "tcp:127.0.0.1:0"

/*
 * Start both ends; the guest of the source writes already.  @from_options and
 * @to_options: of their command lines; NULL: stock QEMU, which must exist.
 */
void nfv_pair_start(NfvPair *p, const char *from_options,
                    const char *to_options);

/* Start a destination; the last one has ended. */
void nfv_pair_start_to(NfvPair *p, const char *options);

/* End what runs. */
void nfv_pair_stop(NfvPair *p);

/* What the source ("from") or the destination ("to") said.  g_free() it. */
char *nfv_pair_log(const NfvPair *p, const char *name);

/*
 * Check that the guest runs on @qts, and that each page of its memory is as it
 * must be: it increments a byte of each in order, over and over.
 */
void nfv_pair_check_guest(NfvPair *p, QTestState *qts);

/* Wait until the guest on @qts has been at its last page. */
void nfv_pair_wait_for_write(QTestState *qts);

/* Switch the capability on, on both ends. */
void nfv_pair_set_capability(NfvPair *p, const char *name);

/* Migrate to @listen, with "%s" for the directory. */
void nfv_pair_begin(NfvPair *p, const char *listen);

/* It cannot end for now: a round takes seconds, and no stop would fit. */
void nfv_pair_begin_slowly(NfvPair *p, const char *listen);

/* Now it can. */
void nfv_pair_let_go(NfvPair *p);

/* Wait for the end, and check the guest. */
void nfv_pair_finish(NfvPair *p);

/*
 * Cancel it, and wait until the source says so; or that it failed, because QEMU
 * shuts the return path down before it sets the state.
 */
void nfv_pair_cancel(NfvPair *p);

/* Kill the end, which may stand still, and wait until it is gone: NULL then. */
void nfv_pair_kill(QTestState **end);

/* The vCPUs of @qts run, or they do not. */
void nfv_pair_check_running(QTestState *qts, bool running);

/* Wait for the @n-th NFV_MIGRATION_ENDED of the source, and for no more. */
void nfv_pair_wait_for_events(NfvPair *p, unsigned n);

/* Of query-nfv-migration. */
QDict *nfv_pair_query(QTestState *qts);
int64_t nfv_pair_number(QTestState *qts, const char *name);

/* Wait until the source took that many decisions. */
void nfv_pair_wait_for_decisions(QTestState *qts, int64_t n);

#endif
