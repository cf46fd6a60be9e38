/*
 * A directory with made-up files of /sys and /proc/sys, for the unit tests of
 * hw/nfv
 *
 * Copyright (c) 2026 the kvm4nfv authors
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#ifndef TESTS_UNIT_NFV_FAKEROOT_H
#define TESTS_UNIT_NFV_FAKEROOT_H

#include <glib/gstdio.h>

typedef struct Fake {
    char *root;
} Fake;

static inline void fake_new(Fake *fake)
{
    fake->root = g_dir_make_tmp("nfv-fake-XXXXXX", NULL);
    g_assert_nonnull(fake->root);
}

static inline void fake_write(Fake *fake, const char *path, const char *text)
{
    g_autofree char *full = g_strconcat(fake->root, path, NULL);
    g_autofree char *dir = g_path_get_dirname(full);

    g_assert_cmpint(g_mkdir_with_parents(dir, 0700), ==, 0);
    g_assert_true(g_file_set_contents(full, text, -1, NULL));
}

static inline void fake_remove_tree(const char *path)
{
    g_autoptr(GDir) dir = g_file_test(path, G_FILE_TEST_IS_SYMLINK) ?
                              NULL :
                              g_dir_open(path, 0, NULL);
    const char *name;

    while (dir && (name = g_dir_read_name(dir))) {
        g_autofree char *inside = g_build_filename(path, name, NULL);

        fake_remove_tree(inside);
    }
    g_assert_cmpint(g_remove(path), ==, 0);
}

static inline void fake_free(Fake *fake)
{
    fake_remove_tree(fake->root);
    g_free(fake->root);
}

G_DEFINE_AUTO_CLEANUP_CLEAR_FUNC(Fake, fake_free)

#endif
