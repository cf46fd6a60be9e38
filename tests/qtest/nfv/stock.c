/*
 * Stock QEMU, of the same source without our patches and files
 *
 * Copyright (c) 2026 the kvm4nfv authors
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "qemu/osdep.h"
#include "stock.h"

bool nfv_has_stock(void)
{
    if (!g_getenv(NFV_STOCK_ENV)) {
        g_autofree char *ours =
            g_path_get_dirname(g_getenv("QTEST_QEMU_BINARY"));
        g_autofree char *path = g_strdup_printf(
            "%s/../build-stock/qemu-system-x86_64", ours);
        g_autofree char *binary = g_canonicalize_filename(path, NULL);

        if (!g_file_test(binary, G_FILE_TEST_IS_EXECUTABLE)) {
            g_test_skip("there is no stock QEMU: run `make stock`, or "
                        "set " NFV_STOCK_ENV);
            return false;
        }
        g_setenv(NFV_STOCK_ENV, binary, true);
    }
    return true;
}
