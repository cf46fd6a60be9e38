/*
 * What the kernel says of a range of this process's memory
 *
 * Copyright (c) 2026 the kvm4nfv authors
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "qemu/osdep.h"
#include "qemu/cutils.h"
#include "qemu/units.h"
#include "hw/nfv/maps.h"
#include "hw/nfv/sysfile.h"

static NfvRange *find(NfvRange *ranges, unsigned count, uint64_t address)
{
    for (unsigned i = 0; i < count; i++) {
        if (address >= ranges[i].start &&
            address - ranges[i].start < ranges[i].size) {
            return &ranges[i];
        }
    }
    return NULL;
}

/* What smaps says of one mapping, in bytes. */
typedef struct Mapping {
    NfvRange *range; /* that it lies in, or NULL */
    uint64_t size, resident, transparent, hugetlb;
    bool is_hugetlb, is_locked;
} Mapping;

/* Huge pages of hugetlb are never paged out, locked or not. */
static void add_mapping(Mapping *m)
{
    NfvRange *r = m->range;

    if (r) {
        r->populated += m->resident + m->hugetlb;
        r->huge += m->transparent + m->hugetlb;
        r->locked += m->is_locked || m->is_hugetlb ? m->size : 0;
    }
    *m = (Mapping) { 0 };
}

/* "Name:   123 kB" */
static void parse_field(Mapping *m, const char *line)
{
    const char *colon = strchr(line, ':'), *unit;
    uint64_t kib;

    if (!colon) {
        return;
    }
    if (strstart(line, "VmFlags:", NULL)) {
        m->is_locked = strstr(colon, " lo") != NULL;
        m->is_hugetlb = strstr(colon, " ht") != NULL;
        return;
    }
    if (qemu_strtou64(colon + 1, &unit, 10, &kib)) {
        return;
    }
    if (strstart(line, "Size:", NULL)) {
        m->size = kib * KiB;
    } else if (strstart(line, "Rss:", NULL)) {
        m->resident = kib * KiB;
    } else if (strstart(line, "AnonHugePages:", NULL) ||
               strstart(line, "ShmemPmdMapped:", NULL) ||
               strstart(line, "FilePmdMapped:", NULL)) {
        m->transparent += kib * KiB;
    } else if (strstart(line, "Shared_Hugetlb:", NULL) ||
               strstart(line, "Private_Hugetlb:", NULL)) {
        m->hugetlb += kib * KiB;
    }
}

void nfv_maps_parse_smaps(NfvRange *ranges, unsigned count, const char *text)
{
    g_auto(GStrv) lines = g_strsplit(text ?: "", "\n", -1);
    Mapping m = { 0 };

    for (char **line = lines; *line; line++) {
        const char *end;
        uint64_t start;

        /* A mapping begins with "start-end flags"; a field has no hyphen. */
        if (!qemu_strtou64(*line, &end, 16, &start) && *end == '-') {
            add_mapping(&m);
            m.range = find(ranges, count, start);
        } else if (m.range) {
            parse_field(&m, *line);
        }
    }
    add_mapping(&m);
}

void nfv_maps_parse_numa(NfvRange *ranges, unsigned count, const char *text)
{
    g_auto(GStrv) lines = g_strsplit(text ?: "", "\n", -1);

    for (char **line = lines; *line; line++) {
        g_auto(GStrv) words = g_strsplit(*line, " ", -1);
        const char *end;
        uint64_t start, pages, page_kib = 0;
        NfvRange *r = NULL;
        unsigned node;

        if (g_strv_length(words) >= 2 &&
            !qemu_strtou64(words[0], NULL, 16, &start)) {
            r = find(ranges, count, start);
        }
        if (!r) {
            continue;
        }
        r->bound |= strcmp(words[1], "default") != 0;
        for (char **w = words; *w; w++) {
            if (strstart(*w, "kernelpagesize_kB=", &end)) {
                qemu_strtou64(end, NULL, 10, &page_kib);
            }
        }
        for (char **w = words + 2; *w; w++) {
            if (**w == 'N' && !qemu_strtoui(*w + 1, &end, 10, &node) &&
                *end == '=' && node < NFV_NODES &&
                !qemu_strtou64(end + 1, NULL, 10, &pages)) {
                r->on_node[node] += pages * page_kib * KiB;
            }
        }
    }
}

void nfv_maps_read(NfvRange *ranges, unsigned count)
{
    g_autofree char *smaps = nfv_sysfile_text("", "/proc/self/smaps");
    g_autofree char *numa = nfv_sysfile_text("", "/proc/self/numa_maps");

    nfv_maps_parse_smaps(ranges, count, smaps);
    nfv_maps_parse_numa(ranges, count, numa);
}
