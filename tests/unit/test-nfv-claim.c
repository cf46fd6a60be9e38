/*
 * Unit tests: claims on host CPUs
 *
 * A lock of another process is a lock of another open file, so the test can
 * play that process.  Claims last as long as the process: each test has host
 * CPUs of its own.
 *
 * Copyright (c) 2026 the kvm4nfv authors
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "qemu/osdep.h"
#include <glib/gstdio.h>
#include <sys/file.h>
#include "nfv/cpus.h"
#include "hw/nfv/claim.h"

typedef struct Fixture {
    char *root, *dir;
} Fixture;

static void setup(Fixture *f, gconstpointer unused)
{
    f->root = g_dir_make_tmp("nfv-claim-XXXXXX", NULL);
    g_assert_nonnull(f->root);
    f->dir = g_strconcat(f->root, "/run/lock", NULL);
    g_assert_cmpint(g_mkdir_with_parents(f->dir, 0755), ==, 0);
}

static void teardown(Fixture *f, gconstpointer unused)
{
    g_autoptr(GDir) dir = g_dir_open(f->dir, 0, NULL);
    g_autofree char *run = g_strconcat(f->root, "/run", NULL);
    const char *name;

    while (dir && (name = g_dir_read_name(dir))) {
        g_autofree char *path = g_build_filename(f->dir, name, NULL);

        g_assert_cmpint(g_remove(path), ==, 0);
    }
    g_rmdir(f->dir);
    g_assert_cmpint(g_rmdir(run), ==, 0);
    g_assert_cmpint(g_rmdir(f->root), ==, 0);
    g_free(f->dir);
    g_free(f->root);
}

static char *lock_path(const Fixture *f, unsigned cpu)
{
    return g_strdup_printf("%s/kvm4nfv-cpu%u.lock", f->dir, cpu);
}

/* Lock as another process would; negative errno. */
static int lock_elsewhere(const Fixture *f, unsigned cpu)
{
    g_autofree char *path = lock_path(f, cpu);
    int fd = open(path, O_RDONLY | O_CREAT | O_CLOEXEC, 0644);

    g_assert_cmpint(fd, >=, 0);
    if (flock(fd, LOCK_EX | LOCK_NB) < 0) {
        close(fd);
        return -EWOULDBLOCK;
    }
    return fd;
}

static void assert_claimed(const Fixture *f, unsigned cpu, bool claimed)
{
    int fd = lock_elsewhere(f, cpu);

    g_assert_cmpint(fd < 0, ==, claimed);
    if (fd >= 0) {
        close(fd);
    }
}

static int claim(const Fixture *f, unsigned cpu)
{
    g_autofree char *path = NULL;
    g_autofree char *expected = lock_path(f, cpu);
    int ret = nfv_claim(f->root, cpu, &path);

    g_assert_cmpstr(path, ==, expected);
    return ret;
}

static void test_claim(Fixture *f, gconstpointer unused)
{
    g_assert_cmpint(claim(f, 100), ==, 1);
    assert_claimed(f, 100, true);
    assert_claimed(f, 101, false);
    /* Again: it is still ours. */
    g_assert_cmpint(claim(f, 100), ==, 1);
    assert_claimed(f, 100, true);
}

static void test_taken(Fixture *f, gconstpointer unused)
{
    int fd = lock_elsewhere(f, 110);

    g_assert_cmpint(claim(f, 110), ==, 0);
    close(fd);
    /* The file is there, and free. */
    g_assert_cmpint(claim(f, 110), ==, 1);
    assert_claimed(f, 110, true);
}

static void test_no_directory(Fixture *f, gconstpointer unused)
{
    g_assert_cmpint(g_rmdir(f->dir), ==, 0);
    g_assert_cmpint(claim(f, 120), ==, -ENOENT);
}

/*
 * Somebody who may write to the directory must not make us lock, or create,
 * another file.
 */
static void test_symlink(Fixture *f, gconstpointer unused)
{
    g_autofree char *path = lock_path(f, 130);
    g_autofree char *target = lock_path(f, 131);

    g_assert_cmpint(symlink(target, path), ==, 0);
    g_assert_cmpint(claim(f, 130), ==, -ELOOP);
    g_assert_false(g_file_test(target, G_FILE_TEST_EXISTS));
    g_assert_true(g_file_set_contents(target, "", 0, NULL));
    g_assert_cmpint(claim(f, 130), ==, -ELOOP);
    assert_claimed(f, 131, false);
}

/*
 * Other users need to read the file, whatever the umask of the first guest was.
 */
static void test_mode(Fixture *f, gconstpointer unused)
{
    g_autofree char *path = lock_path(f, 140);
    mode_t before = umask(077);
    struct stat st;
    int ret = claim(f, 140);

    umask(before);
    g_assert_cmpint(ret, ==, 1);
    g_assert_cmpint(stat(path, &st), ==, 0);
    g_assert_cmpint(st.st_mode & 0777, ==, 0644);
}

static void test_some(Fixture *f, gconstpointer unused)
{
    g_autoptr(GArray) candidates = cpu_list("205:204:200-203");
    g_autoptr(GArray) got =
        nfv_claim_some(f->root, candidates, 2, 3, &error_abort);

    /* The best first, and no more than are wanted. */
    assert_cpu_list(got, "205,204,200");
    assert_claimed(f, 205, true);
    assert_claimed(f, 204, true);
    assert_claimed(f, 200, true);
    assert_claimed(f, 201, false);
    assert_claimed(f, 202, false);
    assert_claimed(f, 203, false);
}

static void test_some_taken(Fixture *f, gconstpointer unused)
{
    g_autoptr(GArray) candidates = cpu_list("210-213");
    g_autoptr(GArray) got = NULL;
    int fd = lock_elsewhere(f, 211);

    /* Fewer than wanted, but what is needed. */
    got = nfv_claim_some(f->root, candidates, 3, 4, &error_abort);
    assert_cpu_list(got, "210,212-213");
    close(fd);
    assert_claimed(f, 211, false);
}

static void test_some_too_few(Fixture *f, gconstpointer unused)
{
    g_autoptr(GArray) candidates = cpu_list("220-223");
    Error *err = NULL;
    int fd = lock_elsewhere(f, 221);

    g_assert_null(nfv_claim_some(f->root, candidates, 4, 8, &err));
    assert_error(err, "vcpu-cpus=auto: 4 isolated host CPUs are wanted and 3 "
                      "are free; 220-223 are isolated and "
                      "granted");
    assert_claimed(f, 220, false);
    assert_claimed(f, 222, false);
    assert_claimed(f, 223, false);
    close(fd);

    /* What was given back can be had. */
    candidates->len = 2;
    g_array_unref(nfv_claim_some(f->root, candidates, 2, 2, &error_abort));
    assert_claimed(f, 220, true);
    assert_claimed(f, 221, true);
}

static void test_some_none(Fixture *f, gconstpointer unused)
{
    g_autoptr(GArray) candidates = cpu_list("none");
    Error *err = NULL;

    g_assert_null(nfv_claim_some(f->root, candidates, 1, 1, &err));
    assert_error(err, "vcpu-cpus=auto: no isolated host CPU is granted to "
                      "QEMU");
}

static void test_some_no_file(Fixture *f, gconstpointer unused)
{
    g_autoptr(GArray) candidates = cpu_list("230-233");
    g_autofree char *path = lock_path(f, 231);
    g_autofree char *message = g_strdup_printf(
        "vcpu-cpus=auto: cannot lock '%s': %s", path, g_strerror(ELOOP));
    Error *err = NULL;

    g_assert_cmpint(symlink("nowhere", path), ==, 0);
    g_assert_null(nfv_claim_some(f->root, candidates, 4, 4, &err));
    assert_error(err, message);
    assert_claimed(f, 230, false);
}

/* Gives back what other tests claimed, too: they need it no more. */
static void test_keep(Fixture *f, gconstpointer unused)
{
    g_autoptr(GArray) keep = cpu_list("241:8191:250");
    g_autoptr(GArray) none = cpu_list("none");

    g_assert_cmpint(claim(f, 0), ==, 1);
    g_assert_cmpint(claim(f, 240), ==, 1);
    g_assert_cmpint(claim(f, 241), ==, 1);
    g_assert_cmpint(claim(f, 8191), ==, 1);

    nfv_claim_keep(keep);
    assert_claimed(f, 0, false);
    assert_claimed(f, 240, false);
    assert_claimed(f, 241, true);
    assert_claimed(f, 8191, true);
    /* It only gives back. */
    assert_claimed(f, 250, false);

    /* What was given back can be had again. */
    g_assert_cmpint(claim(f, 240), ==, 1);
    assert_claimed(f, 240, true);

    nfv_claim_keep(none);
    assert_claimed(f, 240, false);
    assert_claimed(f, 241, false);
    assert_claimed(f, 8191, false);
    nfv_claim_keep(none);
    assert_claimed(f, 241, false);
}

/* A claim that somebody else got in between is not given back by us. */
static void test_keep_not_ours(Fixture *f, gconstpointer unused)
{
    g_autoptr(GArray) none = cpu_list("none");
    int fd;

    g_assert_cmpint(claim(f, 260), ==, 1);
    nfv_claim_keep(none);
    fd = lock_elsewhere(f, 260);
    g_assert_cmpint(fd, >=, 0);
    nfv_claim_keep(none);
    assert_claimed(f, 260, true);
    g_assert_cmpint(claim(f, 260), ==, 0);
    close(fd);
    assert_claimed(f, 260, false);
}

static void add(const char *name, void (*test)(Fixture *, gconstpointer))
{
    g_autofree char *path = g_strconcat("/nfv/claim/", name, NULL);

    g_test_add(path, Fixture, NULL, setup, test, teardown);
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    add("one", test_claim);
    add("taken", test_taken);
    add("no-directory", test_no_directory);
    add("symlink", test_symlink);
    add("mode", test_mode);
    add("some", test_some);
    add("some/taken", test_some_taken);
    add("some/too-few", test_some_too_few);
    add("some/none", test_some_none);
    add("some/no-file", test_some_no_file);
    add("keep", test_keep);
    add("keep/not-ours", test_keep_not_ours);
    return g_test_run();
}
