/*
 * Another process's TCP connections, to break them
 *
 * Copyright (c) 2026 the kvm4nfv authors
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "qemu/osdep.h"
#include <netinet/in.h>
#include <poll.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include "tcp.h"

/* A duplicate of its descriptor @fd, or -1. */
static int take(int process, int fd)
{
#ifdef SYS_pidfd_getfd
    return syscall(SYS_pidfd_getfd, process, fd, 0);
#else
    errno = ENOSYS;
    return -1;
#endif
}

static int open_process(pid_t pid)
{
#ifdef SYS_pidfd_open
    return syscall(SYS_pidfd_open, pid, 0);
#else
    errno = ENOSYS;
    return -1;
#endif
}

bool nfv_tcp_can_close(void)
{
    int process = open_process(getpid());
    int fd = process < 0 ? -1 : take(process, process);

    if (fd < 0) {
        g_autofree char *why = g_strdup_printf(
            "descriptors of other processes cannot be had: %s",
            strerror(errno));

        g_test_skip(why);
    } else {
        close(fd);
    }
    if (process >= 0) {
        close(process);
    }
    return fd >= 0;
}

static bool is_connected(int fd)
{
    struct sockaddr_storage peer;
    socklen_t size = sizeof(peer);

    return !getpeername(fd, (struct sockaddr *)&peer, &size) &&
           (peer.ss_family == AF_INET || peer.ss_family == AF_INET6);
}

/* What is done with a connection; @argument as the caller said. */
typedef void Break(int fd, unsigned argument);

static void for_each(pid_t pid, Break *each, unsigned argument)
{
    g_autofree char *path = g_strdup_printf("/proc/%d/fd", (int)pid);
    GDir *dir = g_dir_open(path, 0, NULL);
    int process = open_process(pid);
    unsigned found = 0;
    const char *name;

    g_assert_nonnull(dir);
    g_assert_cmpint(process, >=, 0);
    while ((name = g_dir_read_name(dir))) {
        int fd = take(process, atoi(name));

        if (fd >= 0) {
            if (is_connected(fd)) {
                each(fd, argument);
                found++;
            }
            close(fd);
        }
    }
    g_assert_cmpuint(found, >, 0);
    close(process);
    g_dir_close(dir);
}

static void end_sending(int fd, unsigned unused)
{
    g_assert_cmpint(shutdown(fd, SHUT_WR), ==, 0);
}

void nfv_tcp_end_sending(pid_t pid)
{
    for_each(pid, end_sending, 0);
}

static void lose(int fd, unsigned ms)
{
    struct pollfd waiting = { .fd = fd, .events = POLLIN };
    char bytes[65536];

    while (poll(&waiting, 1, ms) > 0 &&
           recv(fd, bytes, sizeof(bytes), MSG_DONTWAIT) > 0) {
        /* Gone. */
    }
    g_assert_cmpint(shutdown(fd, SHUT_RDWR), ==, 0);
}

void nfv_tcp_lose(pid_t pid, unsigned ms)
{
    for_each(pid, lose, ms);
}
