/*
 * The host as tests of the nfv machine have it: its CPUs, its privileges, and a
 * faked one
 *
 * Copyright (c) 2026 the kvm4nfv authors
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "qemu/osdep.h"
#include <linux/capability.h>
#include <linux/securebits.h>
#include <sched.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <glib/gstdio.h>
#include "host.h"

void nfv_test_init(int *argc, char ***argv)
{
    struct sched_param param = { 0 };

    g_test_init(argc, argv, NULL);
    g_assert_cmpint(sched_setscheduler(0, SCHED_OTHER, &param), ==, 0);
}

/* The test's own CPUs, the highest first. */
static const GArray *own_cpus(void)
{
    static GArray *cpus;

    if (!cpus) {
        size_t size = CPU_ALLOC_SIZE(NFV_TEST_CPUS);
        cpu_set_t *set = CPU_ALLOC(NFV_TEST_CPUS);

        g_assert_cmpint(sched_getaffinity(0, size, set), ==, 0);
        cpus = g_array_new(false, false, sizeof(unsigned));
        for (unsigned cpu = NFV_TEST_CPUS; cpu-- > 0;) {
            if (CPU_ISSET_S(cpu, size, set)) {
                g_array_append_val(cpus, cpu);
            }
        }
        CPU_FREE(set);
    }
    return cpus;
}

unsigned nfv_test_cpus(void)
{
    return own_cpus()->len;
}

unsigned nfv_test_cpu(unsigned n)
{
    g_assert_cmpuint(n, <, nfv_test_cpus());
    return g_array_index(own_cpus(), unsigned, n);
}

unsigned nfv_test_no_cpu(void)
{
    return NFV_TEST_CPUS - 1;
}

char *nfv_test_cpus_but(unsigned n)
{
    GString *text = g_string_new(NULL);

    for (unsigned i = nfv_test_cpus(); i-- > n;) {
        g_string_append_printf(text, "%s%u", text->len ? "," : "",
                               nfv_test_cpu(i));
    }
    return g_string_free(text, false);
}

char *nfv_test_granted_cpus(void)
{
    size_t size = CPU_ALLOC_SIZE(NFV_TEST_CPUS);
    cpu_set_t *own = CPU_ALLOC(NFV_TEST_CPUS), *set = CPU_ALLOC(NFV_TEST_CPUS);
    GString *text = g_string_new(NULL);

    g_assert_cmpint(sched_getaffinity(0, size, own), ==, 0);
    memset(set, 0xff, size);
    g_assert_cmpint(sched_setaffinity(0, size, set), ==, 0);
    CPU_ZERO_S(size, set);
    g_assert_cmpint(sched_getaffinity(0, size, set), ==, 0);
    g_assert_cmpint(sched_setaffinity(0, size, own), ==, 0);
    for (unsigned cpu = 0; cpu < NFV_TEST_CPUS; cpu++) {
        if (CPU_ISSET_S(cpu, size, set)) {
            g_string_append_printf(text, "%s%u", text->len ? "," : "", cpu);
        }
    }
    CPU_FREE(own);
    CPU_FREE(set);
    return g_string_free(text, false);
}

bool nfv_test_has_cpus(unsigned n)
{
    g_autofree char *reason = g_strdup_printf(
        "needs %u host CPUs, and this test may use %u", n, nfv_test_cpus());

    if (nfv_test_cpus() < n) {
        g_test_skip(reason);
        return false;
    }
    return true;
}

static gpointer try_fifo(gpointer unused)
{
    struct sched_param param = { .sched_priority = 1 };

    return GINT_TO_POINTER(
        sched_setscheduler(0, SCHED_FIFO | SCHED_RESET_ON_FORK, &param) == 0);
}

bool nfv_test_has_fifo(void)
{
    /* In a thread of its own, whose policy ends with it. */
    if (!GPOINTER_TO_INT(
            g_thread_join(g_thread_new("try-fifo", try_fifo, NULL)))) {
        g_test_skip("SCHED_FIFO is refused to this test: no CAP_SYS_NICE and "
                    "no RLIMIT_RTPRIO, or a cgroup without "
                    "real-time budget");
        return false;
    }
    return true;
}

/*
 * As root, exec gives all capabilities unless SECBIT_NOROOT is set; else only
 * ambient ones survive it.
 */
static int saved_securebits = -1, saved_capability, saved_resource;
static bool saved_ambient;
static struct rlimit saved_limit;

static void restore(void)
{
    if (prctl(PR_GET_SECUREBITS) != saved_securebits) {
        g_assert_cmpint(prctl(PR_SET_SECUREBITS, saved_securebits), ==, 0);
    }
    if (saved_ambient) {
        prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_RAISE, saved_capability, 0, 0);
    }
    g_assert_cmpint(setrlimit(saved_resource, &saved_limit), ==, 0);
}

static bool drop(int capability, int resource, rlim_t limit)
{
    struct rlimit lowered;
    int bits = prctl(PR_GET_SECUREBITS);

    if (geteuid() == 0 && prctl(PR_CAPBSET_READ, capability, 0, 0, 0) == 1 &&
        prctl(PR_SET_SECUREBITS, bits | SECBIT_NOROOT) < 0) {
        g_test_skip("cannot take a capability from QEMU: that needs "
                    "CAP_SETPCAP");
        return false;
    }
    saved_securebits = bits;
    saved_capability = capability;
    saved_resource = resource;
    saved_ambient =
        prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_IS_SET, capability, 0, 0) == 1;
    if (saved_ambient) {
        prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_LOWER, capability, 0, 0);
    }
    getrlimit(resource, &saved_limit);
    lowered.rlim_cur = limit;
    lowered.rlim_max = MAX(saved_limit.rlim_max, limit);
    if (setrlimit(resource, &lowered) < 0) {
        g_test_skip("cannot raise a resource limit: that needs "
                    "CAP_SYS_RESOURCE");
        restore();
        return false;
    }
    return true;
}

bool nfv_test_drop_nice(unsigned limit)
{
    return drop(CAP_SYS_NICE, RLIMIT_RTPRIO, limit);
}

void nfv_test_restore_nice(void)
{
    restore();
}

bool nfv_test_drop_lock(size_t limit)
{
    return drop(CAP_IPC_LOCK, RLIMIT_MEMLOCK, limit);
}

void nfv_test_restore_lock(void)
{
    restore();
}

bool nfv_test_may_lock(size_t size)
{
    void *memory = mmap(NULL, size, PROT_READ | PROT_WRITE,
                        MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    bool locked = memory != MAP_FAILED && !mlock(memory, size);

    if (memory != MAP_FAILED) {
        munmap(memory, size);
    }
    if (!locked) {
        g_test_skip("this test may not lock so much memory: no CAP_IPC_LOCK "
                    "and a small RLIMIT_MEMLOCK");
    }
    return locked;
}

void nfv_test_root_write(const char *root, const char *file, const char *text)
{
    g_autofree char *path = g_strconcat(root, file, NULL);
    g_autofree char *dir = g_path_get_dirname(path);

    g_assert_cmpint(g_mkdir_with_parents(dir, 0755), ==, 0);
    g_assert(g_file_set_contents(path, text, -1, NULL));
}

NfvTestRoot nfv_test_root_new(void)
{
    g_autofree char *online = nfv_test_cpus_but(0);
    g_autofree char *locks = NULL;
    char *root = g_dir_make_tmp("nfv-test-XXXXXX", NULL);

    g_assert(root);
    locks = g_strconcat(root, "/run/lock", NULL);
    g_assert_cmpint(g_mkdir_with_parents(locks, 0755), ==, 0);
    nfv_test_root_write(root, NFV_TEST_RT_RUNTIME, "-1\n");
    nfv_test_root_write(root, "/proc/sys/kernel/sched_rt_period_us",
                        "1000000\n");
    nfv_test_root_write(root, NFV_TEST_ONLINE, online);
    nfv_test_root_write(root, NFV_TEST_ISOLATED, "\n");
    return root;
}

static void remove_tree(const char *path)
{
    GDir *dir = g_dir_open(path, 0, NULL);
    const char *entry;

    while (dir && (entry = g_dir_read_name(dir))) {
        g_autofree char *child = g_build_filename(path, entry, NULL);

        remove_tree(child);
    }
    if (dir) {
        g_dir_close(dir);
    }
    g_remove(path);
}

void nfv_test_root_free(NfvTestRoot root)
{
    if (root) {
        remove_tree(root);
        g_free(root);
    }
}
