/*
 * Memory of a guest: what the kernel says about it, and what query-nfv does
 *
 * Copyright (c) 2026 the kvm4nfv authors
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "qemu/osdep.h"
#include "memory.h"
#include "qobject/qlist.h"
#include "thread.h"

#define KIB 1024

static char *read_file(QTestState *qts, const char *name)
{
    g_autofree char *path =
        g_strdup_printf("/proc/%d/%s", qtest_pid(qts), name);
    char *text;

    g_assert_true(g_file_get_contents(path, &text, NULL, NULL));
    return text;
}

static uint64_t host_address(QTestState *qts, uint64_t address)
{
    g_autofree char *text = qtest_hmp(qts, "gpa2hva 0x%" PRIx64, address);
    const char *hex = strstr(text, " is 0x");

    g_assert_nonnull(hex);
    return g_ascii_strtoull(hex + strlen(" is "), NULL, 16);
}

static bool is_inside(const NfvGuestRam *ram, uint64_t address)
{
    return address >= ram->start && address - ram->start < ram->size;
}

static void read_smaps(QTestState *qts, NfvGuestRam *ram)
{
    g_autofree char *text = read_file(qts, "smaps");
    g_auto(GStrv) lines = g_strsplit(text, "\n", -1);
    uint64_t size = 0, kib, start, end;
    bool inside = false;

    ram->mergeable = true;
    for (char **line = lines; *line; line++) {
        char name[32];

        if (sscanf(*line, "%" SCNx64 "-%" SCNx64 " ", &start, &end) == 2) {
            inside = is_inside(ram, start);
            size = end - start;
        } else if (inside && g_str_has_prefix(*line, "VmFlags:")) {
            /* Pages of hugetlb stay where they are, locked or not. */
            ram->locked +=
                strstr(*line, " lo ") || strstr(*line, " ht ") ? size : 0;
            ram->mergeable &= strstr(*line, " mg ") != NULL;
        } else if (inside &&
                   sscanf(*line, "%31[^:]: %" SCNu64, name, &kib) == 2) {
            if (!strcmp(name, "KernelPageSize")) {
                ram->page_kib = kib;
            } else if (!strcmp(name, "Rss") ||
                       !strcmp(name, "Shared_Hugetlb") ||
                       !strcmp(name, "Private_Hugetlb")) {
                ram->populated += kib * KIB;
            }
        }
    }
}

static void read_numa_maps(QTestState *qts, NfvGuestRam *ram)
{
    g_autofree char *text = read_file(qts, "numa_maps");
    g_auto(GStrv) lines = g_strsplit(text, "\n", -1);

    for (char **line = lines; *line; line++) {
        const char *pages = strstr(*line, " N0=");
        char policy[64];
        uint64_t start;

        if (sscanf(*line, "%" SCNx64 " %63s", &start, policy) == 2 &&
            is_inside(ram, start)) {
            if (start == ram->start) {
                strcpy(ram->policy, policy);
            }
            ram->on_node0 +=
                pages ? atoll(pages + strlen(" N0=")) * ram->page_kib * KIB : 0;
        }
    }
}

void nfv_guest_ram_read(QTestState *qts, uint64_t address, uint64_t size,
                        NfvGuestRam *ram)
{
    *ram = (NfvGuestRam) { .start = host_address(qts, address), .size = size };
    read_smaps(qts, ram);
    if (g_file_test("/proc/self/numa_maps", G_FILE_TEST_EXISTS)) {
        read_numa_maps(qts, ram);
    }
    g_test_message("kernel: pages of %u KiB, populated %" PRIu64
                   ", locked %" PRIu64 " of %" PRIu64 ", policy %s",
                   ram->page_kib, ram->populated, ram->locked, size,
                   ram->policy);
}

static const QDict *find(const QDict *info, const char *list, const char *key,
                         const char *value)
{
    const QListEntry *entry;

    QLIST_FOREACH_ENTRY(qdict_get_qlist(info, list), entry) {
        const QDict *d = qobject_to(QDict, qlist_entry_obj(entry));

        if (!strcmp(qdict_get_str(d, key), value)) {
            return d;
        }
    }
    return NULL;
}

const QDict *nfv_test_memory(const QDict *info, const char *id)
{
    return find(info, "memory", "id", id);
}

const QDict *nfv_test_find_tuning(const QDict *info, const char *name)
{
    return find(info, "tuning", "name", name);
}

static uint64_t reported_on_node0(const QDict *memory)
{
    const QListEntry *entry;

    QLIST_FOREACH_ENTRY(qdict_get_qlist(memory, "nodes"), entry) {
        const QDict *node = qobject_to(QDict, qlist_entry_obj(entry));

        if (qdict_get_int(node, "node") == 0) {
            return qdict_get_int(node, "size");
        }
    }
    return 0;
}

void nfv_guest_ram_check(QTestState *qts, const char *id, uint64_t address,
                         NfvGuestRam *ram)
{
    QDict *info = nfv_test_query(qts);
    const QDict *memory = nfv_test_memory(info, id);

    g_assert_nonnull(memory);
    nfv_guest_ram_read(qts, address, qdict_get_int(memory, "size"), ram);
    g_assert_cmpuint(qdict_get_int(memory, "page-size"), ==,
                     (uint64_t)ram->page_kib * KIB);
    g_assert_cmpuint(qdict_get_int(memory, "populated"), ==, ram->populated);
    g_assert_cmpuint(qdict_get_int(memory, "locked"), ==, ram->locked);
    g_assert_cmpuint(reported_on_node0(memory), ==, ram->on_node0);
    qobject_unref(info);
}

void nfv_test_tuning(QTestState *qts, const char *name, const char *state,
                     const char *why)
{
    QDict *info = nfv_test_query(qts);
    const QDict *t = nfv_test_find_tuning(info, name);
    const char *reason;

    g_assert_nonnull(t);
    reason = qdict_get_try_str(t, "why");
    g_test_message("%s %s: %s", name, qdict_get_str(t, "state"), reason ?: "");
    g_assert_cmpstr(qdict_get_str(t, "state"), ==, state);
    if (why) {
        g_assert_nonnull(reason);
        g_assert_nonnull(strstr(reason, why));
        /* And a remedy, which is among what disturbs, too. */
        g_assert_nonnull(qdict_get_try_str(t, "remedy"));
        g_assert_true(nfv_test_has_disturbance(info, reason));
    }
    qobject_unref(info);
}
