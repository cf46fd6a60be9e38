/*
 * QEMU processes of the tests of the nfv machine
 *
 * Copyright (c) 2026 the kvm4nfv authors
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "qemu/osdep.h"
#include <linux/kvm.h>
#include <poll.h>
#include <sys/ioctl.h>
#include "libqtest.h"
#include "process.h"

/* A QEMU that should end and does not is hung; no judgement of its speed. */
#define RUN_LIMIT_S 60

/*
 * Whether this host makes VMs: a /dev/kvm that opens may still fail at the
 * first one.
 */
static bool kvm_makes_vcpu(void)
{
    int kvm = open("/dev/kvm", O_RDWR | O_CLOEXEC);
    int vm = kvm < 0 ? -1 : ioctl(kvm, KVM_CREATE_VM, 0);
    int vcpu = vm < 0 || ioctl(vm, KVM_CREATE_IRQCHIP) < 0 ?
                   -1 :
                   ioctl(vm, KVM_CREATE_VCPU, 0);

    close(vcpu);
    close(vm);
    close(kvm);
    return vcpu >= 0;
}

bool nfv_test_has_accel(const char *accel)
{
    return qtest_has_accel(accel) && (strcmp(accel, "kvm") || kvm_makes_vcpu());
}

/* Read @fd until the process @pid ends, and then what is left. */
static int wait_and_read(GPid pid, int fd, GString *output)
{
    gint64 end = g_get_monotonic_time() + RUN_LIMIT_S * G_TIME_SPAN_SECOND;
    int status;
    pid_t ended = 0;

    g_assert_cmpint(fcntl(fd, F_SETFL, O_NONBLOCK), ==, 0);
    while (ended == 0 && g_get_monotonic_time() < end) {
        struct pollfd poll_fd = { .fd = fd, .events = POLLIN };
        char buffer[4096];
        ssize_t n;

        poll(&poll_fd, 1, 10);
        ended = waitpid(pid, &status, WNOHANG);
        while ((n = read(fd, buffer, sizeof(buffer))) > 0) {
            g_string_append_len(output, buffer, n);
        }
    }
    if (ended == 0) {
        g_test_message("QEMU still runs after %d s and is killed", RUN_LIMIT_S);
        kill(pid, SIGKILL);
        waitpid(pid, &status, 0);
    }
    return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

int nfv_test_run(char **output, const char *fmt, ...)
{
    g_autofree char *args = NULL, *command = NULL;
    g_auto(GStrv) argv = NULL;
    GString *text = g_string_new(NULL);
    GError *error = NULL;
    va_list ap;
    GPid pid;
    int fds[2], status;

    va_start(ap, fmt);
    args = g_strdup_vprintf(fmt, ap);
    va_end(ap);
    command = g_strdup_printf("%s %s", getenv("QTEST_QEMU_BINARY"), args);
    g_test_message("running QEMU: %s", command);
    g_assert(g_shell_parse_argv(command, NULL, &argv, NULL));
    g_assert_cmpint(pipe(fds), ==, 0);
    fcntl(fds[0], F_SETFD, FD_CLOEXEC);
    g_spawn_async_with_fds(NULL, argv, NULL,
                           G_SPAWN_DO_NOT_REAP_CHILD | G_SPAWN_SEARCH_PATH,
                           NULL, NULL, &pid, -1, fds[1], fds[1], &error);
    g_assert_no_error(error);
    close(fds[1]);
    status = wait_and_read(pid, fds[0], text);
    close(fds[0]);
    g_free(*output);
    *output = g_string_free(text, false);
    if (status) {
        g_test_message("exit status %d: %s", status, *output);
    }
    return status;
}

void nfv_test_refused(const char *root, const char *properties,
                      const char *options, const char *const *words)
{
    g_autofree char *output = NULL;
    int status = nfv_test_run(&output,
                              "-M nfv,x-host-root=%s,%s -nodefaults "
                              "-display none -accel qtest -S %s",
                              root, properties, options ?: "");

    g_assert_cmpint(status, ==, 1);
    for (; *words; words++) {
        if (!strstr(output, *words)) {
            g_test_message("QEMU does not say '%s'", *words);
            g_assert_not_reached();
        }
    }
}
