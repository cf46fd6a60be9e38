/*
 * A destination that does not take the connection
 *
 * Copyright (c) 2026 the kvm4nfv authors
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "qemu/osdep.h"
#include <sys/un.h>
#include "migration/migration-qmp.h"
#include "busy.h"

NfvBusy nfv_busy_new(const char *directory)
{
    struct sockaddr_un address = { .sun_family = AF_UNIX };
    NfvBusy busy = { .path = g_strdup_printf("%s/busy", directory) };

    g_assert_cmpuint(strlen(busy.path), <, sizeof(address.sun_path));
    strcpy(address.sun_path, busy.path);
    busy.listener = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    busy.waiting = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    g_assert_cmpint(busy.listener, >=, 0);
    g_assert_cmpint(busy.waiting, >=, 0);
    g_assert_cmpint(bind(busy.listener, (struct sockaddr *)&address,
                         sizeof(address)), ==, 0);
    g_assert_cmpint(listen(busy.listener, 0), ==, 0);
    g_assert_cmpint(connect(busy.waiting, (struct sockaddr *)&address,
                            sizeof(address)), ==, 0);
    return busy;
}

void nfv_busy_end(NfvBusy *busy)
{
    close(busy->listener);
    close(busy->waiting);
    unlink(busy->path);
    g_free(busy->path);
}

void nfv_busy_migrate(const NfvBusy *busy, QTestState *from)
{
    g_autofree char *uri = g_strdup_printf("unix:%s", busy->path);

    migrate_qmp(from, NULL, uri, NULL, "{}");
}

void nfv_busy_read(const NfvBusy *busy)
{
    char buffer[4096];
    int fd = accept(busy->listener, NULL, NULL);

    g_assert_cmpint(fd, >=, 0);
    close(fd); /* that was ours */
    fd = accept(busy->listener, NULL, NULL);
    g_assert_cmpint(fd, >=, 0);
    while (read(fd, buffer, sizeof(buffer)) > 0) {
        /* It goes nowhere. */
    }
    close(fd);
}
