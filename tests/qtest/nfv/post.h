/*
 * Post-copy between the two ends: its channels, and how far it is
 *
 * Copyright (c) 2026 the kvm4nfv authors
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#ifndef TESTS_QTEST_NFV_POST_H
#define TESTS_QTEST_NFV_POST_H

#include "pair.h"

#define NFV_POST_MIB (1024 * 1024)

/* Bytes a second of what the guest does not wait for. */
#define NFV_POST_SLOW (16 * NFV_POST_MIB)
#define NFV_POST_TRICKLE (64 * 1024)

/* A trace event: another socket has the background of post-copy. */
#define NFV_POST_SHORTENED "nfv_net_shorten_queue"

/* Options: all switches, and the trace events that the tests look for. */
#define NFV_POST_ON                                                        \
    "-global migration.popmap=on -global migration.policy=on "             \
    "-global migration.heat=on -global migration.net=on "                  \
    "-global migration.postcopy=on -global migration.early-discard=on "    \
    "-global migration.hot-push=on -global migration.prefetch=on "         \
    "-trace nfv_postcopy_switch -trace nfv_postcopy_discard "              \
    "-trace nfv_postcopy_last -trace " NFV_POST_SHORTENED " "

/* The source's socket takes more than twice NFV_POST_TRICKLE. */
#define NFV_POST_LONG_QUEUE NFV_POST_ON "-global migration.net=off "

/* RAM of huge pages. */
#define NFV_POST_HUGE                                                      \
    "-machine memory-backend=m "                                           \
    "-object memory-backend-memfd,id=m,size=128M,hugetlb=on,hugetlbsize=2M"

typedef struct NfvPostVariant {
    bool preempt, multifd;
    bool huge; /* pages; reserved until nfv_huge_release() */
} NfvPostVariant;

/* States of a migration, for wait_for_migration_status(). */
extern const char *nfv_post_ended[];     /* whatever came of it */
extern const char *nfv_post_completed[]; /* this is the wrong end */

/* False, and the test is skipped, where this host cannot. */
bool nfv_post_can_run(const NfvPostVariant *v);

void nfv_post_set_capabilities(NfvPair *p, const NfvPostVariant *v);

/* Start both with the same @options, and the capabilities. */
void nfv_post_start(NfvPair *p, const NfvPostVariant *v, const char *options);

/* Begin slowly; some of the memory has gone then. */
void nfv_post_begin_precopy(NfvPair *p, const char *listen);

/* What the guest does not wait for goes slowly, until it is let go. */
void nfv_post_ask(NfvPair *p);

/* Ask for it, and wait until the guest runs at the destination. */
void nfv_post_switch(NfvPair *p);

/* Both, by a socket of this host. */
void nfv_post_begin(NfvPair *p);

/*
 * All that is left waits in the socket of a destination that stands still.  Its
 * guest does not run, which would ask for pages.  With NFV_POST_LONG_QUEUE.
 */
void nfv_post_reach_last(NfvPair *p, const char *listen);

/* How often the @name end ("from", "to") said it, or it is in its trace. */
unsigned nfv_post_said(NfvPair *p, const char *name, const char *words);

/* Wait until it is there @n times; the end must not end before. */
void nfv_post_wait(NfvPair *p, const char *name, const char *words, unsigned n);

/*
 * The destination has the state of the devices, or waits for a page that they
 * need; then only what goes out of band is answered.
 */
void nfv_post_wait_until_paused(NfvPair *p);

/* Of query-nfv-migration.  The caller has a reference. */
QDict *nfv_post_result(QTestState *qts);

/* The migration completed like this. */
void nfv_post_check_result(QTestState *qts, bool postcopy, const char *verdict);

/* A test "nfv/@what/VARIANT", whose data is the variant. */
void nfv_post_add(const char *what, const NfvPostVariant *v,
                  GTestDataFunc test);

#endif
