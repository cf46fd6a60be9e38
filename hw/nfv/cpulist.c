/*
 * Host CPU lists and sets
 *
 * Copyright (c) 2026 the kvm4nfv authors
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "qemu/osdep.h"
#include "qapi/error.h"
#include "qemu/cutils.h"
#include "hw/nfv/cpulist.h"

static bool parse_number(const char *text, unsigned limit, unsigned *number)
{
    /*
     * Digits only: qemu_strtoui() would take blanks, signs and hexadecimals,
     * which taskset and libvirt do not.
     */
    return g_ascii_isdigit(text[0]) &&
           strspn(text, "0123456789") == strlen(text) &&
           !qemu_strtoui(text, NULL, 10, number) && *number < limit;
}

static bool parse_range(const char *property, const char *text,
                        const char *part, unsigned limit, unsigned *first,
                        unsigned *last, Error **errp)
{
    ERRP_GUARD();
    g_auto(GStrv) ends = g_strsplit(part, "-", 2);

    /* An empty part has no end at all. */
    if (!ends[0] || !parse_number(ends[0], limit, first) ||
        (ends[1] && !parse_number(ends[1], limit, last))) {
        error_setg(errp,
                   "%s='%s': '%s' is neither a number nor a range of numbers "
                   "from 0 to %u",
                   property, text, part, limit - 1);
        error_append_hint(errp, "Valid are numbers and ranges separated by "
                                "':', for example 2-5:7.\n");
        return false;
    }
    if (!ends[1]) {
        *last = *first;
    }
    if (*last < *first) {
        error_setg(errp, "%s='%s': the range '%s' is reversed; write %u-%u",
                   property, text, part, *last, *first);
        return false;
    }
    return true;
}

GArray *nfv_cpulist_parse(const char *property, const char *text,
                          unsigned limit, Error **errp)
{
    ERRP_GUARD();
    g_auto(GStrv) parts = g_strsplit_set(text, ":,", -1);
    g_autoptr(GArray) list = g_array_new(false, false, sizeof(unsigned));
    g_autofree unsigned long *seen = bitmap_new(limit);

    if (!*text) {
        error_setg(errp, "%s='': the list is empty", property);
        error_append_hint(errp, "Valid are numbers and ranges separated by "
                                "':', for example 2-5:7.\n");
        return NULL;
    }
    for (char **part = parts; *part; part++) {
        unsigned first, last;

        if (!parse_range(property, text, *part, limit, &first, &last, errp)) {
            return NULL;
        }
        for (unsigned n = first; n <= last; n++) {
            if (test_and_set_bit(n, seen)) {
                error_setg(errp, "%s='%s': %u is in the list twice", property,
                           text, n);
                return NULL;
            }
            g_array_append_val(list, n);
        }
    }
    return g_steal_pointer(&list);
}

char *nfv_cpuset_format(const NfvCpuSet *set)
{
    g_autoptr(GString) text = g_string_new(NULL);
    unsigned first, end;

    for (first = find_first_bit(set->bits, NFV_CPUS); first < NFV_CPUS;
         first = find_next_bit(set->bits, NFV_CPUS, end)) {
        end = find_next_zero_bit(set->bits, NFV_CPUS, first);
        g_string_append_printf(text, "%s%u", text->len ? "," : "", first);
        if (end - first > 1) {
            g_string_append_printf(text, "-%u", end - 1);
        }
    }
    return text->len ? g_string_free(g_steal_pointer(&text), false) :
                       g_strdup("none");
}

void nfv_cpuset_from_list(NfvCpuSet *set, const GArray *list)
{
    bitmap_zero(set->bits, NFV_CPUS);
    for (unsigned i = 0; i < list->len; i++) {
        set_bit(g_array_index(list, unsigned, i), set->bits);
    }
}

char *nfv_cpulist_format(const GArray *list)
{
    g_autoptr(GString) text = g_string_new(NULL);
    unsigned i = 0;

    while (i < list->len) {
        unsigned first = g_array_index(list, unsigned, i), last = first;

        while (++i < list->len &&
               g_array_index(list, unsigned, i) == last + 1) {
            last++;
        }
        g_string_append_printf(text, "%s%u", text->len ? "," : "", first);
        if (last > first) {
            g_string_append_printf(text, "-%u", last);
        }
    }
    return text->len ? g_string_free(g_steal_pointer(&text), false) :
                       g_strdup("none");
}
