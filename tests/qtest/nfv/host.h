/*
 * The host as tests of the nfv machine have it: its CPUs, its privileges, and a
 * faked one
 *
 * Copyright (c) 2026 the kvm4nfv authors
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#ifndef TESTS_QTEST_NFV_HOST_H
#define TESTS_QTEST_NFV_HOST_H

#define NFV_TEST_CPUS 8192 /* as many as the kernel can have on x86 */

/*
 * g_test_init() for tests of the nfv machine: whoever started them, they are
 * SCHED_OTHER, and so is what they start.
 */
void nfv_test_init(int *argc, char ***argv);

/*
 * How many host CPUs this test may run on, and the @n-th of them; 0 is the one
 * with the highest number.
 */
unsigned nfv_test_cpus(void);
unsigned nfv_test_cpu(unsigned n);

/* A host CPU that exists for the fake host only. */
unsigned nfv_test_no_cpu(void);

/* The CPUs of this test but the first @n, as "0,1,2".  The caller frees it. */
char *nfv_test_cpus_but(unsigned n);

/*
 * What the kernel gives when all are asked for, in the same form: the cpuset.
 */
char *nfv_test_granted_cpus(void);

/* False, and the test is skipped, with fewer than @n host CPUs. */
bool nfv_test_has_cpus(unsigned n);

/* False, and the test is skipped, where QEMU cannot have SCHED_FIFO. */
bool nfv_test_has_fifo(void);

/*
 * QEMUs that are started from now on, until nfv_test_restore_nice(), have no
 * CAP_SYS_NICE, and @limit as RLIMIT_RTPRIO. False, and the test is skipped,
 * where that cannot be had.
 */
bool nfv_test_drop_nice(unsigned limit);
void nfv_test_restore_nice(void);

/*
 * The same for CAP_IPC_LOCK and RLIMIT_MEMLOCK, in bytes.  A hard limit that is
 * higher stays.
 */
bool nfv_test_drop_lock(size_t limit);
void nfv_test_restore_lock(void);

/* False, and the test is skipped, where @size bytes cannot be locked. */
bool nfv_test_may_lock(size_t size);

/*
 * Fake host: a directory for x-host-root, with RT throttling off, no isolated
 * CPUs and the real online ones
 */

typedef char *NfvTestRoot;

NfvTestRoot nfv_test_root_new(void);
void nfv_test_root_write(const char *root, const char *file, const char *text);
void nfv_test_root_free(NfvTestRoot root);
G_DEFINE_AUTO_CLEANUP_FREE_FUNC(NfvTestRoot, nfv_test_root_free, NULL)

#define NFV_TEST_RT_RUNTIME "/proc/sys/kernel/sched_rt_runtime_us"
#define NFV_TEST_ONLINE "/sys/devices/system/cpu/online"
#define NFV_TEST_ISOLATED "/sys/devices/system/cpu/isolated"

#endif
