/*
 * Unit tests: what the kernel says of a process's memory
 *
 * Copyright (c) 2026 the kvm4nfv authors
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "qemu/osdep.h"
#include <sys/mman.h>
#include "qemu/units.h"
#include "hw/nfv/maps.h"

/* smaps, as Linux 6.1 and 6.18 write it; fields that do not matter left out */

#define PLAIN "7f0000000000-7f0004000000 rw-p 00000000 00:00 0\n"

/* 64 MiB of which 48 are populated, 32 of these in transparent huge pages */
static const char anonymous[] = PLAIN "Size:              65536 kB\n"
                                      "KernelPageSize:        4 kB\n"
                                      "MMUPageSize:           4 kB\n"
                                      "Rss:               49152 kB\n"
                                      "Pss:               49152 kB\n"
                                      "Pss_Dirty:         49152 kB\n"
                                      "Anonymous:         49152 kB\n"
                                      "AnonHugePages:     32768 kB\n"
                                      "ShmemPmdMapped:        0 kB\n"
                                      "FilePmdMapped:         0 kB\n"
                                      "Shared_Hugetlb:        0 kB\n"
                                      "Private_Hugetlb:       0 kB\n"
                                      "Swap:                  0 kB\n"
                                      "Locked:                0 kB\n"
                                      "THPeligible:           1\n"
                                      "VmFlags: rd wr mr mw me ac sd hg mg\n";

static const char locked[] = PLAIN "Size:              65536 kB\n"
                                   "Rss:               65536 kB\n"
                                   "AnonHugePages:     65536 kB\n"
                                   "Locked:            65536 kB\n"
                                   "VmFlags: rd wr mr mw me lo ac sd hg\n";

/* Nothing is resident, by the kernel's way to count. */
static const char hugetlb_shared[] = "7f0000000000-7f0004000000 rw-s 00000000 "
                                     "00:0f 1234                       "
                                     "/memfd:memory-backend-memfd (deleted)\n"
                                     "Size:              65536 kB\n"
                                     "KernelPageSize:     2048 kB\n"
                                     "MMUPageSize:        2048 kB\n"
                                     "Rss:                   0 kB\n"
                                     "AnonHugePages:         0 kB\n"
                                     "Shared_Hugetlb:    16384 kB\n"
                                     "Private_Hugetlb:   32768 kB\n"
                                     "Locked:                0 kB\n"
                                     "VmFlags: rd wr sh mr mw me ms de ht sd "
                                     "\n";

/* Shared memory of tmpfs in transparent huge pages */
static const char shmem[] = "7f0000000000-7f0004000000 rw-s 00000000 00:01 "
                            "4711                       "
                            "/dev/zero (deleted)\n"
                            "Size:              65536 kB\n"
                            "Rss:               20480 kB\n"
                            "AnonHugePages:         0 kB\n"
                            "ShmemPmdMapped:     8192 kB\n"
                            "FilePmdMapped:      2048 kB\n"
                            "VmFlags: rd wr sh mr mw me ms sd\n";

/*
 * The range in three mappings, of which the middle one is locked; and what
 * begins before it and after it.
 */
static const char several[] =
    "7effffffe000-7effffffffff rw-p 00000000 00:00 0\n"
    "Size:                  8 kB\n"
    "Rss:                   8 kB\n"
    "VmFlags: rd wr lo\n"
    "7f0000000000-7f0001000000 rw-p 00000000 00:00 0\n"
    "Size:              16384 kB\n"
    "Rss:                4096 kB\n"
    "VmFlags: rd wr\n"
    "7f0001000000-7f0002000000 rw-p 00000000 00:00 0\n"
    "Size:              16384 kB\n"
    "Rss:                8192 kB\n"
    "AnonHugePages:      2048 kB\n"
    "VmFlags: rd wr lo\n"
    "7f0002000000-7f0004000000 rw-p 00000000 00:00 0\n"
    "Size:              32768 kB\n"
    "Rss:               16384 kB\n"
    "VmFlags: rd wr\n"
    "7f0004000000-7f0005000000 rw-p 00000000 00:00 0\n"
    "Size:              16384 kB\n"
    "Rss:               16384 kB\n"
    "VmFlags: rd wr lo\n"
    "ffffffffff600000-ffffffffff601000 --xp 00000000 00:00 0 [vsyscall]\n"
    "Size:                  4 kB\n"
    "VmFlags: ex\n";

static const char no_flags[] = PLAIN "Size:              65536 kB\n"
                                     "Rss:                1024 kB\n";

#define START 0x7f0000000000

static void test_smaps(void)
{
    static const struct {
        const char *text;
        unsigned populated, huge, locked; /* MiB */
    } cases[] = {
        { anonymous, 48, 32, 0 },
        { locked, 64, 64, 64 },
        { hugetlb_shared, 48, 48, 64 },
        { shmem, 20, 10, 0 },
        { several, 28, 2, 16 },
        { no_flags, 1, 0, 0 },
        { NULL, 0, 0, 0 },
        { "", 0, 0, 0 },
        { "\n\n", 0, 0, 0 },
        { "7f0000000000-7f0004000000", 0, 0, 0 },
        /* No mapping before it */
        { "Size: 65536 kB\nRss: 65536 kB\nVmFlags: lo\n", 0, 0, 0 },
        /* Fields that are none */
        { PLAIN "Size:\nRss: x kB\nRss 5 kB\n"
                "AnonHugePages: -\n:\n\nVmFlags:\n",
          0, 0, 0 },
        /* A start that is none; one beyond 64 bits */
        { "x7f0000000000-7f0004000000 rw-p\nRss: 1024 kB\n", 0, 0, 0 },
        { "17f00000000000000-2 rw-p\nRss: 1024 kB\n", 0, 0, 0 },
    };

    for (int i = 0; i < ARRAY_SIZE(cases); i++) {
        NfvRange range = { .start = START, .size = 64 * MiB };

        g_test_message("case %d", i);
        nfv_maps_parse_smaps(&range, 1, cases[i].text);
        g_assert_cmpuint(range.populated, ==, cases[i].populated * MiB);
        g_assert_cmpuint(range.huge, ==, cases[i].huge * MiB);
        g_assert_cmpuint(range.locked, ==, cases[i].locked * MiB);
    }
}

/* Each gets its own. */
static void test_smaps_ranges(void)
{
    NfvRange ranges[] = {
        { .start = START + 64 * MiB, .size = 16 * MiB },
        { .start = START, .size = 16 * MiB },
        { .start = START + 16 * MiB, .size = 48 * MiB },
        { .start = START + 80 * MiB, .size = 16 * MiB },
    };
    static const unsigned populated[] = { 16, 4, 24, 0 };
    static const unsigned locked_mib[] = { 16, 0, 16, 0 };

    nfv_maps_parse_smaps(ranges, ARRAY_SIZE(ranges), several);
    for (int i = 0; i < ARRAY_SIZE(ranges); i++) {
        g_assert_cmpuint(ranges[i].populated, ==, populated[i] * MiB);
        g_assert_cmpuint(ranges[i].locked, ==, locked_mib[i] * MiB);
    }
    nfv_maps_parse_smaps(NULL, 0, several);
}

static void test_numa(void)
{
    static const struct {
        const char *text;
        unsigned node0, node1; /* KiB */
    } cases[] = {
        { "7f0000000000 default anon=4 dirty=4 N0=4 kernelpagesize_kB=4\n", 16,
          0 },
        { "7f0000000000 bind:0 anon=4 dirty=4 active=0 N0=4 "
          "kernelpagesize_kB=4\n",
          16, 0 },
        { "7f0000000000 bind:0-1 file=/memfd:x\\040(deleted) huge dirty=3 N0=1 "
          "N1=2 kernelpagesize_kB=2048\n",
          2048, 4096 },
        { "7f0000000000 prefer:1 file=/anon_hugepage\\040(deleted) huge anon=1 "
          "dirty=1 N1=1 kernelpagesize_kB=1048576\n",
          0, 1048576 },
        /* Transparent huge pages count as the small ones that they are of. */
        { "7f0000000000 default anon=1024 dirty=1024 N0=512 N1=512 "
          "kernelpagesize_kB=4\n",
          2048, 2048 },
        /* Nothing is populated yet. */
        { "7f0000000000 bind:0\n", 0, 0 },
        { "7f0000000000 default\n", 0, 0 },
        /* Several mappings; those beside the range do not count. */
        { "7efffffff000 bind:1 anon=1 N1=1 kernelpagesize_kB=4\n"
          "7f0000000000 bind:0 anon=1 N0=1 kernelpagesize_kB=4\n"
          "7f0003fff000 bind:0 anon=1 N0=1 N1=1 kernelpagesize_kB=4\n"
          "7f0004000000 bind:0 anon=1 N0=8 kernelpagesize_kB=4\n",
          8, 4 },
        /* Garbage */
        { NULL, 0, 0 },
        { "", 0, 0 },
        { "\n\n", 0, 0 },
        { "7f0000000000\n", 0, 0 },
        { "7f0000000000\n", 0, 0 },
        { "x7f0000000000 bind:0 N0=4 kernelpagesize_kB=4\n", 0, 0 },
        { "7f0000000000 bind:0 N=4 N0 N0= N0=x Nx=4 N128=4 N4294967297=4 "
          "N-1=3 kernelpagesize_kB=4\n",
          0, 0 },
        { "7f0000000000 bind:0 N0=4\n", 0, 0 },
        { "7f0000000000 bind:0 N0=4 kernelpagesize_kB=\n", 0, 0 },
    };

    for (int i = 0; i < ARRAY_SIZE(cases); i++) {
        NfvRange range = { .start = START, .size = 64 * MiB };

        g_test_message("case %d", i);
        nfv_maps_parse_numa(&range, 1, cases[i].text);
        g_assert_cmpuint(range.on_node[0], ==, cases[i].node0 * KiB);
        g_assert_cmpuint(range.on_node[1], ==, cases[i].node1 * KiB);
        for (unsigned node = 2; node < NFV_NODES; node++) {
            g_assert_cmpuint(range.on_node[node], ==, 0);
        }
    }
}

static void fill_range(NfvRange *range, const void *memory, size_t size)
{
    *range = (NfvRange) { .start = (uintptr_t)memory, .size = size };
    nfv_maps_read(range, 1);
}

/* This process's own memory, populated by half and then locked */
static void test_read(void)
{
    const size_t size = 64 * KiB;
    /* Between two mappings of another kind: a mapping of its own */
    char *all =
        mmap(NULL, 3 * size, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    char *memory = all + size;
    NfvRange range;

    g_assert(all != MAP_FAILED);
    g_assert_cmpint(mprotect(memory, size, PROT_READ | PROT_WRITE), ==, 0);
    fill_range(&range, memory, size);
    g_assert_cmpuint(range.populated, ==, 0);
    g_assert_cmpuint(range.locked, ==, 0);

    memset(memory, 1, size / 2);
    fill_range(&range, memory, size);
    g_assert_cmpuint(range.populated, ==, size / 2);
    g_assert_cmpuint(range.huge, ==, 0);
    g_assert_cmpuint(range.locked, ==, 0);

    if (mlock(memory, size)) {
        g_test_message("mlock: %s", strerror(errno));
    } else {
        fill_range(&range, memory, size);
        g_assert_cmpuint(range.populated, ==, size);
        g_assert_cmpuint(range.locked, ==, size);
    }
    munmap(all, 3 * size);
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    g_test_add_func("/nfv/maps/smaps", test_smaps);
    g_test_add_func("/nfv/maps/smaps/ranges", test_smaps_ranges);
    g_test_add_func("/nfv/maps/numa", test_numa);
    g_test_add_func("/nfv/maps/read", test_read);
    return g_test_run();
}
