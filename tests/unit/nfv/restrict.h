/*
 * Take from the calling thread what a host may refuse, for the unit tests of
 * hw/nfv
 *
 * Capabilities and seccomp filters are a thread's own on Linux: a test does
 * this on a thread that ends with it, and the threads that this one makes
 * inherit it.  RLIMIT_RTPRIO is the process's.
 *
 * Copyright (c) 2026 the kvm4nfv authors
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#ifndef TESTS_UNIT_NFV_RESTRICT_H
#define TESTS_UNIT_NFV_RESTRICT_H

#include <linux/capability.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/syscall.h>

/* Take CAP_SYS_NICE out of what is in force. */
static inline void restrict_no_sys_nice(void)
{
    struct __user_cap_header_struct header = {
        .version = _LINUX_CAPABILITY_VERSION_3
    };
    struct __user_cap_data_struct data[_LINUX_CAPABILITY_U32S_3];

    g_assert_cmpint(syscall(SYS_capget, &header, data), ==, 0);
    data[0].effective &= ~(1u << CAP_SYS_NICE);
    g_assert_cmpint(syscall(SYS_capset, &header, data), ==, 0);
}

static inline bool restrict_has_sys_nice(void)
{
    struct __user_cap_header_struct header = {
        .version = _LINUX_CAPABILITY_VERSION_3
    };
    struct __user_cap_data_struct data[_LINUX_CAPABILITY_U32S_3];

    g_assert_cmpint(syscall(SYS_capget, &header, data), ==, 0);
    return data[0].effective & (1u << CAP_SYS_NICE);
}

/*
 * From now on system call @nr fails with @err.  False if that cannot be had
 * here.
 */
static inline bool restrict_syscall(int nr, int err)
{
    struct sock_filter code[] = {
        BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr)),
        BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, nr, 0, 1),
        BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | err),
        BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
    };
    struct sock_fprog program = { .len = ARRAY_SIZE(code), .filter = code };

    return prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == 0 &&
           prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program) == 0;
}

/*
 * Make RLIMIT_RTPRIO @limit; *@before is for setrlimit() afterwards.  False if
 * it cannot be had here.
 */
static inline bool restrict_rtprio(rlim_t limit, struct rlimit *before)
{
    struct rlimit now;

    g_assert_cmpint(getrlimit(RLIMIT_RTPRIO, before), ==, 0);
    now = *before;
    now.rlim_cur = limit;
    now.rlim_max = MAX(limit, now.rlim_max);
    return setrlimit(RLIMIT_RTPRIO, &now) == 0;
}

#endif
