/*
 * Socket options of a migration's channels, as the kernel has them
 *
 * Copyright (c) 2026 the kvm4nfv authors
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "qemu/osdep.h"
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include "libqtest.h"
#include "migration/migration-qmp.h"
#include "migration/migration-util.h"

#define MIB (1024 * 1024)
#define PATTERN_START (16 * MIB)
#define PATTERN_SIZE (8 * MIB)
#define SLOW MIB /* bytes a second: the pattern takes 8 s */

#ifndef SYS_pidfd_open
#define SYS_pidfd_open 434
#endif
#ifndef SYS_pidfd_getfd
#define SYS_pidfd_getfd 438
#endif

/* TCP connections of a process */

typedef struct Sockets {
    int all, nodelay;
} Sockets;

static int get_option(int fd, int level, int option)
{
    int value = 0;
    socklen_t size = sizeof(value);

    return getsockopt(fd, level, option, &value, &size) ? -1 : value;
}

static void count_socket(int fd, Sockets *sockets)
{
    struct sockaddr_storage peer;
    socklen_t size = sizeof(peer);
    int domain = get_option(fd, SOL_SOCKET, SO_DOMAIN);

    if ((domain == AF_INET || domain == AF_INET6) &&
        get_option(fd, SOL_SOCKET, SO_TYPE) == SOCK_STREAM &&
        !getpeername(fd, (struct sockaddr *)&peer, &size)) {
        sockets->all++;
        sockets->nodelay += get_option(fd, IPPROTO_TCP, TCP_NODELAY) == 1;
    }
}

/* With a copy of each of its file descriptors: false if that is refused. */
static bool count_sockets(pid_t pid, Sockets *sockets)
{
    g_autofree char *path = g_strdup_printf("/proc/%d/fd", pid);
    g_autoptr(GDir) dir = g_dir_open(path, 0, NULL);
    int pidfd = syscall(SYS_pidfd_open, pid, 0);
    const char *name;
    bool any = false;

    *sockets = (Sockets) { 0 };
    while (dir && pidfd >= 0 && (name = g_dir_read_name(dir))) {
        int fd = syscall(SYS_pidfd_getfd, pidfd, atoi(name), 0);

        if (fd >= 0) {
            count_socket(fd, sockets);
            close(fd);
            any = true;
        }
    }
    close(pidfd);
    return any;
}

static bool can_look(void)
{
    QTestState *qts = qtest_init("-M none");
    Sockets sockets;
    bool can = count_sockets(qtest_pid(qts), &sockets);

    qtest_quit(qts);
    if (!can) {
        g_test_skip("pidfd_getfd(2) is not available here");
    }
    return can;
}

/* Channels are made one after the other. */
static void expect_sockets(QTestState *qts, int all, int nodelay)
{
    Sockets sockets;

    for (int tries = 0; tries < 600; tries++) {
        count_sockets(qtest_pid(qts), &sockets);
        if (sockets.all == all && sockets.nodelay == nodelay) {
            return;
        }
        g_usleep(50 * 1000);
    }
    g_error("%d of %d TCP connections have TCP_NODELAY, not %d of %d",
            sockets.nodelay, sockets.all, nodelay, all);
}

/* Migration */

typedef struct Variant {
    const char *name, *listen;
    const char *capabilities[2];
    bool tls, postcopy;
    int channels;  /* by TCP */
    int stock[2]; /* those on which stock sets TCP_NODELAY, each end */
} Variant;

static const Variant variants[] = {
    { "tcp", "tcp:127.0.0.1:0", .channels = 1 },
    { "unix", "unix:%s/socket" },
    { "multifd", "tcp:127.0.0.1:0", { "multifd" }, .channels = 3,
      .stock = { 2, 0 } },
    { "preempt", "tcp:127.0.0.1:0", { "postcopy-ram", "postcopy-preempt" },
      .postcopy = true, .channels = 2 },
    { "tls", "tcp:127.0.0.1:0", .tls = true, .channels = 1 },
    { "tls-multifd", "tcp:127.0.0.1:0", { "multifd" }, .tls = true,
      .channels = 3, .stock = { 2, 0 } },
};

static uint8_t *make_pattern(void)
{
    uint32_t *words = g_malloc(PATTERN_SIZE);

    for (uint32_t i = 0; i < PATTERN_SIZE / sizeof(*words); i++) {
        words[i] = i * 2246822519u + 3;
    }
    return (uint8_t *)words;
}

static void write_pattern(QTestState *qts)
{
    g_autofree uint8_t *pattern = make_pattern();

    for (size_t done = 0; done < PATTERN_SIZE; done += MIB) {
        qtest_bufwrite(qts, PATTERN_START + done, pattern + done, MIB);
    }
}

static void check_pattern(QTestState *qts)
{
    g_autofree uint8_t *pattern = make_pattern();
    g_autofree uint8_t *found = g_malloc(PATTERN_SIZE);

    for (size_t done = 0; done < PATTERN_SIZE; done += MIB) {
        qtest_bufread(qts, PATTERN_START + done, found + done, MIB);
    }
    g_assert_cmpmem(found, PATTERN_SIZE, pattern, PATTERN_SIZE);
}

static QTestState *start(const Variant *v, bool on, bool source)
{
    g_autofree char *tls =
        g_strdup_printf("-object tls-creds-anon,id=tls0,endpoint=%s",
                        source ? "client" : "server");
    QTestState *qts =
        qtest_initf("-M nfv,hugepages=off,migration-net=%s -m 64 -nodefaults "
                    "%s %s",
                    on ? "on" : "off", v->tls ? tls : "",
                    source ? "" : "-incoming defer");

    for (int i = 0; i < ARRAY_SIZE(v->capabilities) && v->capabilities[i];
         i++) {
        migrate_set_capability(qts, v->capabilities[i], true);
    }
    if (v->tls) {
        migrate_set_parameter_str(qts, "tls-creds", "tls0");
    }
    return qts;
}

static void migrate(const Variant *v, bool on)
{
    g_autofree char *directory = g_dir_make_tmp("nfv-net-XXXXXX", NULL);
    g_autofree char *socket = g_strdup_printf("%s/socket", directory);
    g_autofree char *uri = g_strdup_printf(v->listen, directory);
    QTestState *from = start(v, on, true), *to = start(v, on, false);

    write_pattern(from);
    migrate_set_parameter_int(from, "max-bandwidth", SLOW);
    migrate_set_parameter_int(from, "max-postcopy-bandwidth", SLOW);
    migrate_incoming_qmp(to, uri, NULL, "{}");
    migrate_qmp(from, to, NULL, NULL, "{}");
    wait_for_migration_status(from, "active", NULL);
    if (v->postcopy) {
        qtest_qmp_assert_success(from, "{ 'execute': "
                                       "'migrate-start-postcopy' }");
        wait_for_migration_status(from, "postcopy-active", NULL);
    }
    expect_sockets(from, v->channels, on ? v->channels : v->stock[0]);
    expect_sockets(to, v->channels, on ? v->channels : v->stock[1]);
    migrate_set_parameter_int(from, "max-bandwidth", 0);
    migrate_set_parameter_int(from, "max-postcopy-bandwidth", 0);
    wait_for_migration_complete(from);
    wait_for_migration_complete(to);
    check_pattern(to);
    qtest_quit(from);
    qtest_quit(to);
    unlink(socket);
    g_assert_cmpint(rmdir(directory), ==, 0);
}

static void test_migrate(const void *opaque, bool on)
{
    const Variant *v = opaque;

    if (v->postcopy && !ufd_version_check(NULL)) {
        g_test_skip("userfaultfd is not available");
    } else if (can_look()) {
        migrate(v, on);
    }
}

static void test_on(const void *opaque)
{
    test_migrate(opaque, true);
}

static void test_off(const void *opaque)
{
    test_migrate(opaque, false);
}

/* Channels that have no such option, and one that is not there */

static void test_no_socket(void)
{
    g_autofree char *directory = g_dir_make_tmp("nfv-net-XXXXXX", NULL);
    g_autofree char *log = g_strdup_printf("%s/log", directory);
    g_autofree char *file = g_strdup_printf("%s/file", directory);
    g_autofree char *uri = g_strdup_printf("file:%s", file);
    g_autofree char *text = NULL;
    QTestState *qts;

    qts = qtest_initf("-M nfv,migration-net=on -m 64 -nodefaults "
                      "-trace nfv_net_* -D %s",
                      log);
    migrate_qmp(qts, NULL, "exec:cat > /dev/null", NULL, "{}");
    wait_for_migration_complete(qts);
    qtest_qmp_assert_success(qts, "{ 'execute': 'cont' }");
    migrate_qmp(qts, NULL, uri, NULL, "{}");
    wait_for_migration_complete(qts);
    qtest_quit(qts);
    g_assert(!g_file_get_contents(log, &text, NULL, NULL) ||
             !strstr(text, "nfv_net_nodelay"));

    qts = qtest_initf("-M nfv,migration-net=on -m 64 -nodefaults "
                      "-incoming defer");
    migrate_incoming_qmp(qts, uri, NULL, "{}");
    wait_for_migration_complete(qts);
    qtest_quit(qts);
    unlink(log);
    unlink(file);
    g_assert_cmpint(rmdir(directory), ==, 0);
}

static void test_refused(void)
{
    QTestState *qts = qtest_init("-M nfv -m 64 -nodefaults");

    g_assert(qtest_qom_get_bool(qts, "/machine", "migration-net"));
    migrate_qmp(qts, NULL, "tcp:127.0.0.1:1", NULL, "{}");
    wait_for_migration_fail(qts, false);
    qtest_quit(qts);
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    for (int i = 0; i < ARRAY_SIZE(variants); i++) {
        g_autofree char *on = g_strdup_printf("nfv/net/%s", variants[i].name);
        g_autofree char *off =
            g_strdup_printf("nfv/net/%s-off", variants[i].name);

        qtest_add_data_func(on, &variants[i], test_on);
        qtest_add_data_func(off, &variants[i], test_off);
    }
    qtest_add_func("nfv/net/no-socket", test_no_socket);
    qtest_add_func("nfv/net/refused", test_refused);
    return g_test_run();
}
