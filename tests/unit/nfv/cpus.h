/*
 * CPU lists and sets from text and as text, for the unit tests of hw/nfv
 *
 * Copyright (c) 2026 the kvm4nfv authors
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#ifndef TESTS_UNIT_NFV_CPUS_H
#define TESTS_UNIT_NFV_CPUS_H

#include "qapi/error.h"
#include "hw/nfv/cpulist.h"

/*
 * @text as in a machine property, or "none".  The caller unrefs it; NULL for
 * NULL: the user gave no list.
 */
static inline GArray *cpu_list(const char *text)
{
    if (!text) {
        return NULL;
    }
    return strcmp(text, "none") ?
               nfv_cpulist_parse("test", text, NFV_CPUS, &error_abort) :
               g_array_new(false, false, sizeof(unsigned));
}

static inline void cpu_set(NfvCpuSet *set, const char *text)
{
    g_autoptr(GArray) list = cpu_list(text);

    nfv_cpuset_from_list(set, list);
}

static inline void assert_cpu_set(const NfvCpuSet *set, const char *expected)
{
    g_autofree char *text = nfv_cpuset_format(set);

    g_assert_cmpstr(text, ==, expected);
}

static inline void assert_cpu_list(const GArray *list, const char *expected)
{
    g_autofree char *text = nfv_cpulist_format(list);

    g_assert_cmpstr(text, ==, expected);
}

/* Show the whole of a text that lacks a part. */
static inline void assert_contains(const char *text, const char *part)
{
    if (!strstr(text, part)) {
        g_error("'%s' is not in '%s'", part, text);
    }
}

/* That @err is set, to exactly @message.  Frees it. */
static inline void assert_error(Error *err, const char *message)
{
    g_assert_nonnull(err);
    g_assert_cmpstr(error_get_pretty(err), ==, message);
    error_free(err);
}

/* As &error_abort does, where an error is possible: show it. */
static inline void assert_no_error(Error *err)
{
    g_assert_cmpstr(err ? error_get_pretty(err) : NULL, ==, NULL);
}

#endif
