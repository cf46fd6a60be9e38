/*
 * Unit tests: small files of /sys and /proc/sys, which are made up
 *
 * Copyright (c) 2026 the kvm4nfv authors
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "qemu/osdep.h"
#include "nfv/cpus.h"
#include "nfv/fakeroot.h"
#include "hw/nfv/sysfile.h"

#define FILE_NAME "/sys/dir/file"

static void test_text(void)
{
    static const char *const cases[][2] = {
        { "", "" },
        { "\n", "" },
        { "tsc", "tsc" },
        { "tsc\n", "tsc" },
        { "a (b) c\n", "a (b) c" },
        { " a\n", " a" },
        { "a\nb\n", "a\nb" },
    };
    g_auto(Fake) fake = { NULL };

    fake_new(&fake);
    for (int i = 0; i < ARRAY_SIZE(cases); i++) {
        g_autofree char *text = NULL;

        fake_write(&fake, FILE_NAME, cases[i][0]);
        text = nfv_sysfile_text(fake.root, FILE_NAME);
        g_assert_cmpstr(text, ==, cases[i][1]);
    }
}

static void test_number(void)
{
    static const struct {
        const char *text;
        int64_t number;
    } cases[] = {
        { "950000\n", 950000 },
        { "0\n", 0 },
        { "-1\n", -1 },
        { "1", 1 },
        { "9223372036854775807\n", INT64_MAX },
        { "-9223372036854775808\n", INT64_MIN },
        /* Not decimal numbers */
        { "", 42 },
        { "\n", 42 },
        { "max\n", 42 },
        { "12x\n", 42 },
        { "12 13\n", 42 },
        { "0x10\n", 42 },
        { "9223372036854775808\n", 42 },
        { "-9223372036854775809\n", 42 },
    };
    g_auto(Fake) fake = { NULL };

    fake_new(&fake);
    for (int i = 0; i < ARRAY_SIZE(cases); i++) {
        g_test_message("'%s'", cases[i].text);
        fake_write(&fake, FILE_NAME, cases[i].text);
        g_assert_cmpint(nfv_sysfile_number(fake.root, FILE_NAME, 42), ==,
                        cases[i].number);
    }
}

static void test_cpuset(void)
{
    static const struct {
        const char *text;
        const char *set; /* NULL: there is none */
    } cases[] = {
        { "0\n", "0" },           { "0-3,8\n", "0-3,8" }, { "8191\n", "8191" },
        { "0-8191\n", "0-8191" }, { "2", "2" },           { "", NULL },
        { "\n", NULL },           { "(null)\n", NULL },   { "-1\n", NULL },
        { "3-1\n", NULL },        { "0-\n", NULL },       { "1,1\n", NULL },
        { "0-8192\n", NULL },     { "ff\n", NULL },       { "1 2\n", NULL },
        { "1\n2\n", NULL },
    };
    g_auto(Fake) fake = { NULL };

    fake_new(&fake);
    for (int i = 0; i < ARRAY_SIZE(cases); i++) {
        NfvCpuSet set;

        g_test_message("'%s'", cases[i].text);
        memset(&set, 0xa5, sizeof(set));
        fake_write(&fake, FILE_NAME, cases[i].text);
        g_assert_cmpint(nfv_sysfile_cpuset(fake.root, FILE_NAME, &set), ==,
                        cases[i].set != NULL);
        assert_cpu_set(&set, cases[i].set ?: "none");
    }
}

/* No such file, nor directory; a directory where a file is expected. */
static void test_missing(void)
{
    static const char *const paths[] = { "/sys/absent", "/absent/file",
                                         "/sys/dir", FILE_NAME "/file" };
    g_auto(Fake) fake = { NULL };

    fake_new(&fake);
    fake_write(&fake, FILE_NAME, "1\n");
    for (int i = 0; i < ARRAY_SIZE(paths); i++) {
        NfvCpuSet set;

        g_test_message("%s", paths[i]);
        memset(&set, 0xa5, sizeof(set));
        g_assert_null(nfv_sysfile_text(fake.root, paths[i]));
        g_assert_cmpint(nfv_sysfile_number(fake.root, paths[i], -7), ==, -7);
        g_assert_false(nfv_sysfile_cpuset(fake.root, paths[i], &set));
        assert_cpu_set(&set, "none");
    }
}

/* Without a root, the path is the host's. */
static void test_no_root(void)
{
    g_auto(Fake) fake = { NULL };
    g_autofree char *path = NULL;

    fake_new(&fake);
    fake_write(&fake, FILE_NAME, "17\n");
    path = g_strconcat(fake.root, FILE_NAME, NULL);
    g_assert_cmpint(nfv_sysfile_number("", path, -1), ==, 17);
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    g_test_add_func("/nfv/sysfile/text", test_text);
    g_test_add_func("/nfv/sysfile/number", test_number);
    g_test_add_func("/nfv/sysfile/cpuset", test_cpuset);
    g_test_add_func("/nfv/sysfile/missing", test_missing);
    g_test_add_func("/nfv/sysfile/no-root", test_no_root);
    return g_test_run();
}
