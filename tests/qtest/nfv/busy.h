/*
 * A destination that does not take the connection
 *
 * Copyright (c) 2026 the kvm4nfv authors
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#ifndef TESTS_QTEST_NFV_BUSY_H
#define TESTS_QTEST_NFV_BUSY_H

#include "libqtest.h"

/* Its backlog is full: who connects hangs until it is read, or ends. */
typedef struct NfvBusy {
    char *path;
    int listener, waiting;
} NfvBusy;

/* A socket of the name "busy" in @directory, which nfv_busy_end() removes. */
NfvBusy nfv_busy_new(const char *directory);
void nfv_busy_end(NfvBusy *busy);

/* Migrate there; "migrate" returns before there is a connection. */
void nfv_busy_migrate(const NfvBusy *busy, QTestState *from);

/* Let it connect, and read what it sends until it ends. */
void nfv_busy_read(const NfvBusy *busy);

#endif
