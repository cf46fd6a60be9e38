/*
 * Unit tests: the role of a thread, from its name
 *
 * Copyright (c) 2026 the kvm4nfv authors
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "qemu/osdep.h"
#include "hw/nfv/role.h"

typedef struct ThreadCase {
    const char *name;
    NfvRole role;
    int vcpu;
} ThreadCase;

/* What QEMU passes to qemu_thread_create(). */
static const ThreadCase qemu_threads[] = {
    { "CPU 0/KVM", NFV_ROLE_VCPU, 0 },
    { "CPU 1/TCG", NFV_ROLE_VCPU, 1 },
    { "CPU 7/DUMMY", NFV_ROLE_VCPU, 7 },
    { "CPU 12/HVF", NFV_ROLE_VCPU, 12 },
    { "CPU 12/NVMM", NFV_ROLE_VCPU, 12 },
    { "CPU 12/WHPX", NFV_ROLE_VCPU, 12 },
    { "CPU 254/KVM", NFV_ROLE_VCPU, 254 },
    { "CPU 4095/KVM", NFV_ROLE_VCPU, 4095 },
    { "ALL CPUs/TCG", NFV_ROLE_VCPU, -1 },
    { "IO mon_iothread", NFV_ROLE_IOTHREAD, -1 },
    { "IO iothread0", NFV_ROLE_IOTHREAD, -1 },
    { "IO CPU 0/KVM", NFV_ROLE_IOTHREAD, -1 },
    { "mig/dst/fault", NFV_ROLE_FAULT, -1 },
    { "mig/dst/preempt", NFV_ROLE_FAULT, -1 },
    { "mig/src/return", NFV_ROLE_FAULT, -1 },
    { "mig/dst/colo", NFV_ROLE_MIGRATION, -1 },
    { "mig/dst/listen", NFV_ROLE_MIGRATION, -1 },
    { "mig/dst/recv_0", NFV_ROLE_MIGRATION, -1 },
    { "mig/dst/recv_254", NFV_ROLE_MIGRATION, -1 },
    { "mig/src/main", NFV_ROLE_MIGRATION, -1 },
    { "mig/src/send_0", NFV_ROLE_MIGRATION, -1 },
    { "mig/src/tls", NFV_ROLE_MIGRATION, -1 },
    { "mig/snapshot", NFV_ROLE_MIGRATION, -1 },
    { "mig/dirtyrate", NFV_ROLE_MIGRATION, -1 },
    { "touch_pages", NFV_ROLE_MEMORY, -1 },
    { "TC tc1", NFV_ROLE_MEMORY, -1 },
    { "call_rcu", NFV_ROLE_WORKER, -1 },
    { "worker", NFV_ROLE_WORKER, -1 },
    { "io-task-worker", NFV_ROLE_WORKER, -1 },
    { "nfv-sweep", NFV_ROLE_WORKER, -1 },
    { "vnc_worker", NFV_ROLE_WORKER, -1 },
    { "dirtyrate-stat", NFV_ROLE_WORKER, -1 },
    { "dump_thread", NFV_ROLE_WORKER, -1 },
    { "kvm-msr", NFV_ROLE_WORKER, -1 },
    { "kvm-reaper", NFV_ROLE_WORKER, -1 },
    { "nbd-connect", NFV_ROLE_WORKER, -1 },
    { "pbkdf2", NFV_ROLE_WORKER, -1 },
    { "lkcf-worker", NFV_ROLE_WORKER, -1 },
    { "signalfd_compat", NFV_ROLE_WORKER, -1 },
    { "ccid/event", NFV_ROLE_WORKER, -1 },
    { "ccid/apdu", NFV_ROLE_WORKER, -1 },
    { "u2f-key", NFV_ROLE_WORKER, -1 },
    { "edu", NFV_ROLE_WORKER, -1 },
    { "qemu_main", NFV_ROLE_WORKER, -1 },
};

/* What it does not, but a later version may. */
static const ThreadCase odd_threads[] = {
    { "CPU x/KVM", NFV_ROLE_VCPU, -1 },
    { "CPU /KVM", NFV_ROLE_VCPU, -1 },
    { "CPU 3", NFV_ROLE_VCPU, -1 },
    { "CPU 3x/KVM", NFV_ROLE_VCPU, -1 },
    { "CPU -1/TCG", NFV_ROLE_VCPU, -1 },
    { "CPU -2/TCG", NFV_ROLE_VCPU, -1 },
    { "CPU 0x3/KVM", NFV_ROLE_VCPU, -1 },
    { "CPU 2147483648/KVM", NFV_ROLE_VCPU, -1 },
    { "CPU 4294967296/KVM", NFV_ROLE_VCPU, -1 },
    { "CPU 3/", NFV_ROLE_VCPU, 3 },
    { "CPU ", NFV_ROLE_VCPU, -1 },
    { "ALL CPUs/", NFV_ROLE_VCPU, -1 },
    { "mig/dst/fault_1", NFV_ROLE_FAULT, -1 },
    { "mig/src/returned", NFV_ROLE_FAULT, -1 },
    { "mig/", NFV_ROLE_MIGRATION, -1 },
    { "mig/x", NFV_ROLE_MIGRATION, -1 },
    { "IO ", NFV_ROLE_IOTHREAD, -1 },
    { "TC ", NFV_ROLE_MEMORY, -1 },
    { "", NFV_ROLE_WORKER, -1 },
    { "CPU", NFV_ROLE_WORKER, -1 },
    { "CPU3/KVM", NFV_ROLE_WORKER, -1 },
    { "cpu 3/KVM", NFV_ROLE_WORKER, -1 },
    { " CPU 3/KVM", NFV_ROLE_WORKER, -1 },
    { "ALL CPUs", NFV_ROLE_WORKER, -1 },
    { "IO", NFV_ROLE_WORKER, -1 },
    { "IOx", NFV_ROLE_WORKER, -1 },
    { "mig", NFV_ROLE_WORKER, -1 },
    { "migration", NFV_ROLE_WORKER, -1 },
    { "TCx", NFV_ROLE_WORKER, -1 },
    { "touch", NFV_ROLE_WORKER, -1 },
    { "vhost-12", NFV_ROLE_WORKER, -1 },
};

static void check_threads(const ThreadCase *cases, int n)
{
    for (int i = 0; i < n; i++) {
        int vcpu = 12345;
        NfvRole role = nfv_role_of_thread(cases[i].name, &vcpu);

        g_test_message("%s", cases[i].name);
        g_assert_cmpstr(NfvRole_str(role), ==, NfvRole_str(cases[i].role));
        g_assert_cmpint(vcpu, ==, cases[i].vcpu);
    }
}

static void test_qemu_threads(void)
{
    check_threads(qemu_threads, ARRAY_SIZE(qemu_threads));
}

static void test_odd_threads(void)
{
    check_threads(odd_threads, ARRAY_SIZE(odd_threads));
}

static void test_kernel_threads(void)
{
    static const struct {
        const char *comm;
        NfvRole role;
        int tid;
    } cases[] = {
        { "vhost-12", NFV_ROLE_VHOST, 12 },
        { "vhost-4194304", NFV_ROLE_VHOST,
          4194304 }, /* the kernel's largest thread id */
        { "kvm-pit/12", NFV_ROLE_VHOST, 12 },
        { "kvm-pit/4194304", NFV_ROLE_VHOST, 4194304 },
        { "iou-wrk-12", NFV_ROLE_WORKER, 12 },
        { "iou-wrk-4194304", NFV_ROLE_WORKER, 4194304 },
        { "iou-sqp-12", NFV_ROLE_WORKER, 12 },
        { "iou-sqp-4194304", NFV_ROLE_WORKER, 4194304 },
    };

    for (int i = 0; i < ARRAY_SIZE(cases); i++) {
        NfvRole role = NFV_ROLE__MAX;
        int tid = 0;

        g_test_message("%s", cases[i].comm);
        g_assert_cmpuint(strlen(cases[i].comm), <=, 15);
        g_assert_true(nfv_role_of_kernel_thread(cases[i].comm, &role, &tid));
        g_assert_cmpint(role, ==, cases[i].role);
        g_assert_cmpint(tid, ==, cases[i].tid);
    }
}

/* Threads of nobody, of the kernel itself, or of QEMU. */
static void test_other_kernel_threads(void)
{
    static const char *comms[] = {
        "",
        "vhost",
        "vhost-",
        "vhost-x",
        "vhost-12x",
        "vhost-12-3",
        "vhost--12",
        "vhost-0",
        "vhost-0x12",
        "xvhost-12",
        "kvm-pit",
        "kvm-pit/",
        "kvm-pit/x",
        "kvm-pit-12",
        "iou-wrk-",
        "iou-wrk-x",
        "iou-sqp-",
        "iou-12",
        "kworker/0:1",
        "ksoftirqd/0",
        "migration/3",
        "rcu_preempt",
        "irq/12-eth0",
        "CPU 0/KVM",
        "qemu-system-x86",
        "kvm-nx-lpage-re",
    };

    for (int i = 0; i < ARRAY_SIZE(comms); i++) {
        NfvRole role = NFV_ROLE__MAX;
        int tid;

        g_test_message("%s", comms[i]);
        g_assert_false(nfv_role_of_kernel_thread(comms[i], &role, &tid));
        g_assert_cmpint(role, ==, NFV_ROLE__MAX);
    }
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    g_test_add_func("/nfv/role/qemu-threads", test_qemu_threads);
    g_test_add_func("/nfv/role/odd-threads", test_odd_threads);
    g_test_add_func("/nfv/role/kernel-threads", test_kernel_threads);
    g_test_add_func("/nfv/role/other-kernel-threads",
                    test_other_kernel_threads);
    return g_test_run();
}
