/*
 * The nfv machine together with other options of QEMU
 *
 * Copyright (c) 2026 the kvm4nfv authors
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "qemu/osdep.h"
#include <pwd.h>
#include "libqtest.h"
#include "libqmp.h"
#include "nfv/process.h"
#include "nfv/setup.h"
#include "nfv/thread.h"
#include "qapi/error.h"
#include "qemu/sockets.h"
#include "qobject/qdict.h"
#include "qobject/qlist.h"

static bool hmp_has(QTestState *qts, const char *command, const char *text)
{
    g_autofree char *output = qtest_hmp(qts, "%s", command);

    return strstr(output, text) != NULL;
}

/* Devices that need something that is off by default, or that q35 has */

typedef struct DeviceCase {
    const char *name;
    const char *options;
    const char *command, *found; /* HMP command, and what it then shows */
    const char *without;         /* the same, with that part off */
    const char *error;           /* and what QEMU says then */
} DeviceCase;

#define NULL_DISK "-blockdev null-co,node-name=d,read-zeroes=on"

static const DeviceCase device_cases[] = {
    { "sata-disk", "-M nfv,sata=on " NULL_DISK " -device ide-hd,drive=d",
      "info qtree", "dev: ide-hd",
      "-M nfv " NULL_DISK " -device ide-hd,drive=d", "No 'IDE' bus found" },
    { "usb", "-M nfv,usb=on -device usb-tablet", "info usb", "QEMU USB Tablet",
      "-M nfv -device usb-tablet", "No 'usb-bus' bus found" },
    { "usb-controller", "-M nfv -device qemu-xhci -device usb-tablet",
      "info usb", "QEMU USB Tablet" },
    { "vga-device", "-M nfv -device VGA", "info pci",
      "VGA controller: PCI device 1234:1111" },
    { "vga-option", "-M nfv -vga std", "info pci",
      "VGA controller: PCI device 1234:1111" },
    { "virtio-net",
      "-M nfv -netdev hubport,id=n,hubid=0 -device virtio-net-pci,netdev=n",
      "info pci", "Ethernet controller: PCI device 1af4:1000" },
    { "q35-nic", "-M nfv -device e1000e", "info pci",
      "Ethernet controller: PCI device 8086:10d3" },
    { "pcie-root-port",
      "-M nfv -device pcie-root-port,id=rp,chassis=1 "
      "-device virtio-rng-pci,bus=rp",
      "info qtree", "dev: virtio-rng-pci" },
    { "serial", "-M nfv -serial null", "info qtree", "dev: isa-serial" },
    { "iommu", "-M nfv -device intel-iommu", "info qtree", "dev: intel-iommu" },
};

static void test_device(const void *opaque)
{
    const DeviceCase *c = opaque;
    g_autofree char *output = NULL;
    QTestState *qts;

    qts = qtest_initf("-nodefaults %s", c->options);
    g_assert(hmp_has(qts, c->command, c->found));
    qtest_quit(qts);
    if (c->without) {
        g_assert_cmpint(
            nfv_test_run(&output, "-display none -accel qtest -nodefaults %s",
                         c->without),
            ==, 1);
        g_assert(strstr(output, c->error));
    }
}

/* vCPU hot plug */

#define CPU_HOTPLUG_PORT \
    0xcd8 /* ACPI's registers for vCPUs: selector at 0, flags at 4 */
#define CPU_EJECT 8

static unsigned count_vcpus(QTestState *qts)
{
    QDict *response = qtest_qmp(qts, "{ 'execute': 'query-cpus-fast' }");
    unsigned count = qlist_size(qdict_get_qlist(response, "return"));

    qobject_unref(response);
    return count;
}

static void plug_vcpu(QTestState *qts)
{
    qtest_qmp_device_add(qts, "qemu64-x86_64-cpu", "hot",
                         "{ 'socket-id': 1, 'die-id': 0, 'module-id': 0, "
                         "'core-id': 0, 'thread-id': 0 }");
    g_assert_cmpuint(count_vcpus(qts), ==, 2);
}

#define HOTPLUG_OPTIONS \
    "-cpu qemu64 -smp " \
    "1,maxcpus=2,sockets=2,dies=1,modules=1,cores=1,threads=1"

static void test_hotplug(void)
{
    QTestState *qts = qtest_init("-M nfv " HOTPLUG_OPTIONS);

    qtest_outb(qts, CPU_HOTPLUG_PORT,
               0); /* from the old register layout to the one with a selector */
    for (int round = 0; round < 2; round++) {
        plug_vcpu(qts);
        qtest_qmp_device_del_send(qts, "hot");
        /* What an operating system does that is asked to give back vCPU 1. */
        qtest_outl(qts, CPU_HOTPLUG_PORT, 1);
        qtest_outb(qts, CPU_HOTPLUG_PORT + 4, CPU_EJECT);
        qtest_qmp_eventwait(qts, "DEVICE_DELETED");
        g_assert_cmpuint(count_vcpus(qts), ==, 1);
    }
    qtest_quit(qts);
}

/*
 * With one thread for all vCPUs, one host CPU is enough for the hot-plugged
 * ones, too.
 */
static void test_hotplug_single_thread(void)
{
    g_auto(NfvSetup) s = { 0 };
    QTestState *qts;

    if (!nfv_setup_init(&s) || !nfv_setup_has_accel("tcg")) {
        return;
    }
    qts = nfv_setup_start(&s, "tcg,thread=single", "rt=off", HOTPLUG_OPTIONS);
    plug_vcpu(qts);
    nfv_setup_expect(&s, qts, (NfvPriorities) { 0 }, NULL);
    qtest_quit(qts);
}

/* NUMA */

static void test_numa(void)
{
    QTestState *qts = qtest_init("-M nfv -m 64 -smp 2 -object "
                                 "memory-backend-ram,id=m0,size=32M "
                                 "-object memory-backend-ram,id=m1,size=32M "
                                 "-numa node,memdev=m0,cpus=0 "
                                 "-numa node,memdev=m1,cpus=1");

    g_assert(hmp_has(qts, "info numa", "2 nodes"));
    g_assert(hmp_has(qts, "info numa", "node 1 cpus: 1"));
    g_assert(hmp_has(qts, "info memdev", "memory backend: m1"));
    qtest_quit(qts);
}

static void test_memory_backend(void)
{
    QTestState *qts = qtest_init("-M nfv,memory-backend=m -m 64 -object "
                                 "memory-backend-memfd,id=m,size=64M,share=on");

    qtest_writel(qts, 0x100000, 0x12345678);
    g_assert_cmphex(qtest_readl(qts, 0x100000), ==, 0x12345678);
    g_assert(hmp_has(qts, "info memdev", "memory backend: m"));
    qtest_quit(qts);
}

/* One thread for all vCPUs */

static void check_single_thread(const char *accel, const char *options)
{
    g_auto(NfvSetup) s = { 0 };
    QTestState *qts;
    QDict *info;

    if (!nfv_setup_init(&s) || !nfv_setup_has_accel("tcg")) {
        return;
    }
    qts = nfv_setup_start(&s, accel, "rt=off", options);
    nfv_setup_expect(&s, qts, (NfvPriorities) { 0 }, NULL);
    info = nfv_test_query(qts);
    g_assert(nfv_test_thread(info, "ALL CPUs/TCG"));
    qobject_unref(info);
    qtest_quit(qts);
}

static void test_single_tcg_thread(void)
{
    check_single_thread("tcg,thread=single", "-smp 4");
}

static void test_icount(void)
{
    check_single_thread("tcg", "-smp 4 -icount shift=3");
}

/* -runas: privileges go after init, and what was placed before stays */

/* Root of a user namespace may have no such user. */
static bool can_become_nobody(void)
{
    const struct passwd *nobody = getpwnam("nobody");
    int status;
    pid_t pid;

    if (!nobody) {
        return false;
    }
    pid = fork();
    if (pid == 0) {
        _exit(setgid(nobody->pw_gid) < 0 || setuid(nobody->pw_uid) < 0 ||
              geteuid() == 0);
    }
    return waitpid(pid, &status, 0) == pid && WIFEXITED(status) &&
           WEXITSTATUS(status) == 0;
}

static void check_runas(const char *accel)
{
    g_auto(NfvSetup) s = { 0 };
    QTestState *qts;

    if (geteuid() != 0 || !can_become_nobody()) {
        g_test_skip("needs root, and a user 'nobody' that it can become");
        return;
    }
    if (!nfv_setup_init(&s) || !nfv_setup_has_accel(accel)) {
        return;
    }
    qts = nfv_setup_start(&s, accel, "rt=off", "-run-with user=nobody");
    nfv_setup_expect(&s, qts, (NfvPriorities) { 0 }, NULL);
    qtest_quit(qts);
}

static void test_runas(void)
{
    check_runas("qtest");
}

static void test_runas_kvm(void)
{
    check_runas("kvm");
}

/*
 * -daemonize: the process that places threads is a child of the one that was
 * started
 */

static int daemon_pid;

static void kill_daemon(void *unused)
{
    kill(daemon_pid, SIGKILL);
}

static QDict *ask(int fd, const char *command)
{
    QDict *response = qmp_fd(fd, "{ 'execute': %s }", command);

    while (qdict_haskey(response, "event")) {
        qobject_unref(response);
        response = qmp_fd_receive(fd);
    }
    g_assert(qdict_haskey(response, "return"));
    return response;
}

/* A daemon that listens for QMP; returns the connection. */
static int start_daemon(const char *root, const char *options)
{
    g_autofree char *output = NULL, *pid = NULL,
                    *pidfile = g_strconcat(root, "/pid", NULL);
    g_autofree char *socket = g_strconcat(root, "/qmp", NULL);
    int fd;

    g_assert_cmpint(nfv_test_run(&output,
                                 "%s -nodefaults -display none -daemonize "
                                 "-pidfile %s "
                                 "-qmp unix:%s,server=on,wait=off",
                                 options, pidfile, socket),
                    ==, 0);
    g_assert(g_file_get_contents(pidfile, &pid, NULL, NULL));
    daemon_pid = atoi(pid);
    qtest_add_abrt_handler(kill_daemon, NULL);
    fd = unix_connect(socket, &error_abort);
    qobject_unref(qmp_fd_receive(fd));
    qobject_unref(ask(fd, "qmp_capabilities"));
    return fd;
}

static void end_daemon(int fd)
{
    qobject_unref(ask(fd, "quit"));
    while (kill(daemon_pid, 0) == 0) {
        g_usleep(10000);
    }
    qtest_remove_abrt_handler(NULL);
    close(fd);
}

static void check_daemon(const NfvSetup *s, const char *options)
{
    g_autofree char *all = g_strdup_printf("-M "
                                           "nfv,x-host-root=%s,rt=off,vcpu-"
                                           "cpus=%s %s",
                                           s->root, s->first, options);
    int fd = start_daemon(s->root, all);
    QDict *response = ask(fd, "query-nfv");
    const QDict *info = qdict_get_qdict(response, "return");

    nfv_setup_check(s, info, (NfvPriorities) { 0 }, NULL);
    g_assert_cmpint(qdict_get_int(nfv_test_thread(info, "main"), "thread-id"),
                    ==, daemon_pid);
    qobject_unref(response);
    end_daemon(fd);
}

static void test_daemonize(void)
{
    g_auto(NfvSetup) s = { 0 };

    if (nfv_setup_init(&s)) {
        check_daemon(&s, "-accel qtest");
    }
}

/*
 * A daemon, too: while QEMU records and the guest stands still, the socket of
 * libqtest does not answer.
 */
static void test_record(void)
{
    g_auto(NfvSetup) s = { 0 };
    g_autofree char *options = NULL;

    if (nfv_setup_init(&s) && nfv_setup_has_accel("tcg")) {
        options = g_strdup_printf("-accel tcg -S -icount "
                                  "shift=auto,rr=record,rrfile=%s/replay",
                                  s.root);
        check_daemon(&s, options);
    }
}

int main(int argc, char **argv)
{
    nfv_test_init(&argc, &argv);

    for (int i = 0; i < ARRAY_SIZE(device_cases); i++) {
        g_autofree char *path =
            g_strdup_printf("nfv/options/device/%s", device_cases[i].name);

        qtest_add_data_func(path, &device_cases[i], test_device);
    }
    qtest_add_func("nfv/options/hotplug", test_hotplug);
    qtest_add_func("nfv/options/hotplug-single-thread",
                   test_hotplug_single_thread);
    qtest_add_func("nfv/options/numa", test_numa);
    qtest_add_func("nfv/options/memory-backend", test_memory_backend);
    qtest_add_func("nfv/options/single-tcg-thread", test_single_tcg_thread);
    qtest_add_func("nfv/options/icount", test_icount);
    qtest_add_func("nfv/options/record", test_record);
    qtest_add_func("nfv/options/daemonize", test_daemonize);
    qtest_add_func("nfv/options/runas/qtest", test_runas);
    qtest_add_func("nfv/options/runas/kvm", test_runas_kvm);

    return g_test_run();
}
