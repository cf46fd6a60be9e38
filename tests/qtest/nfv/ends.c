/*
 * The two ends of a migration, and whether they have the same memory
 *
 * Copyright (c) 2026 the kvm4nfv authors
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "qemu/osdep.h"
#include "ends.h"
#include "qobject/qlist.h"
#include "stock.h"

NfvEnds *nfv_ends_new(void)
{
    NfvEnds *ends = g_new0(NfvEnds, 1);

    /* On tmpfs, where a file can be the guest's shared memory. */
    ends->directory = g_strdup("/dev/shm/nfv-popmap-XXXXXX");
    if (!g_mkdtemp(ends->directory)) {
        g_free(ends->directory);
        ends->directory = g_dir_make_tmp("nfv-popmap-XXXXXX", NULL);
    }
    g_assert_nonnull(ends->directory);
    return ends;
}

void nfv_ends_free(NfvEnds *ends)
{
    GDir *directory;
    const char *name;

    if (ends->from) {
        qtest_quit(ends->from);
    }
    if (ends->to) {
        qtest_quit(ends->to);
    }
    directory = g_dir_open(ends->directory, 0, NULL);
    while ((name = g_dir_read_name(directory))) {
        g_autofree char *path = nfv_ends_path(ends, name);

        unlink(path);
    }
    g_dir_close(directory);
    rmdir(ends->directory);
    g_free(ends->directory);
    g_free(ends);
}

char *nfv_ends_path(const NfvEnds *ends, const char *name)
{
    return g_strdup_printf("%s/%s", ends->directory, name);
}

char *nfv_ends_expand(const NfvEnds *ends, const char *text)
{
    g_auto(GStrv) parts = g_strsplit(text, "%s", -1);

    return g_strjoinv(ends->directory, parts);
}

QTestState *nfv_ends_start(NfvEnds *ends, const char *name, bool stock,
                           const char *memory, const char *options)
{
    g_autofree char *log = g_strdup_printf("%s/log-%s", ends->directory, name);
    g_autoptr(GString) backend = g_string_new("");
    g_autofree char *arguments = NULL;
    g_autoptr(QList) capabilities = qlist_new();

    if (memory) {
        g_autofree char *expanded = nfv_ends_expand(ends, memory);

        g_string_printf(backend,
                        "-machine memory-backend=m -object %s,id=m,size=%uM",
                        expanded, NFV_ENDS_MIB);
    }
    arguments = g_strdup_printf("-M q35 -m %uM,slots=1,maxmem=1G -nodefaults "
                                "%s %s 2> %s",
                                NFV_ENDS_MIB, backend->str, options, log);
    qlist_append_str(capabilities, "oob"); /* for migrate-recover */
    return qtest_init_with_env_and_capabilities(stock ? NFV_STOCK_ENV : NULL,
                                                arguments, capabilities, true);
}

static uint64_t word_of(uint64_t page, unsigned seed)
{
    return (page + 1) * 0x9e3779b97f4a7c15ULL + seed;
}

static uint64_t place_of(uint64_t page)
{
    return page * NFV_ENDS_PAGE + page * 8 % NFV_ENDS_PAGE;
}

void nfv_ends_write(QTestState *qts, uint64_t first, unsigned pages,
                    unsigned step, unsigned seed)
{
    for (uint64_t i = first; i < first + pages; i += step) {
        qtest_writeq(qts, place_of(i), word_of(i, seed));
    }
}

void nfv_ends_check(QTestState *qts, uint64_t first, unsigned pages,
                    unsigned step, unsigned seed)
{
    for (uint64_t i = first; i < first + pages; i += step) {
        g_assert_cmphex(qtest_readq(qts, place_of(i)), ==, word_of(i, seed));
    }
}

void nfv_ends_check_holes(QTestState *qts, uint64_t first, unsigned pages,
                          unsigned step)
{
    for (uint64_t i = first; i < first + pages; i += step) {
        g_assert_cmphex(qtest_readq(qts, place_of(i)), ==, 0);
    }
}

static char *save(NfvEnds *ends, QTestState *qts, const char *name,
                  uint64_t start, uint64_t bytes)
{
    g_autofree char *path = nfv_ends_path(ends, name);
    char *content = NULL;
    size_t length;

    qtest_qmp_assert_success(qts,
                             "{ 'execute': 'pmemsave', 'arguments': {"
                             " 'val': %llu, 'size': %llu, 'filename': %s } }",
                             (unsigned long long)start,
                             (unsigned long long)bytes, path);
    g_assert_true(g_file_get_contents(path, &content, &length, NULL));
    g_assert_cmpuint(length, ==, bytes);
    unlink(path);
    return content;
}

void nfv_ends_compare(NfvEnds *ends, uint64_t start, uint64_t bytes)
{
    g_autofree char *from = save(ends, ends->from, "memory", start, bytes);
    g_autofree char *to = save(ends, ends->to, "memory", start, bytes);
    unsigned wrong = 0;

    for (uint64_t at = 0; at < bytes; at += NFV_ENDS_PAGE) {
        if (memcmp(from + at, to + at, NFV_ENDS_PAGE) && !wrong++) {
            g_test_message("first differs at 0x%" PRIx64, start + at);
        }
    }
    g_assert_cmpuint(wrong, ==, 0);
}

GBytes *nfv_ends_save_devices(NfvEnds *ends, QTestState *qts)
{
    g_autofree char *path = nfv_ends_path(ends, "state");
    char *state;
    size_t size;

    qtest_qmp_assert_success(qts,
                             "{ 'execute': 'xen-save-devices-state',"
                             " 'arguments': { 'filename': %s } }",
                             path);
    g_assert_true(g_file_get_contents(path, &state, &size, NULL));
    unlink(path);
    return g_bytes_new_take(state, size);
}

void nfv_ends_expect_refusal(NfvEnds *ends, const char *words)
{
    g_autofree char *path = nfv_ends_path(ends, "log-to");
    g_autofree char *log = NULL;

    qtest_set_expected_status(ends->to, EXIT_FAILURE);
    qtest_wait_qemu(ends->to);
    g_assert_true(g_file_get_contents(path, &log, NULL, NULL));
    g_test_message("%s", log);
    g_assert_nonnull(strstr(log, words));
}
