/*
 * Host CPU lists and sets
 *
 * Copyright (c) 2026 the kvm4nfv authors
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#ifndef HW_NFV_CPULIST_H
#define HW_NFV_CPULIST_H

#include "qemu/bitmap.h"

/*
 * Host CPUs are 0 .. NFV_CPUS - 1: the most that Linux can be built for on x86.
 */
#define NFV_CPUS 8192

/* A set of host CPUs; has the layout of the kernel's affinity masks. */
typedef struct NfvCpuSet {
    DECLARE_BITMAP(bits, NFV_CPUS);
} NfvCpuSet;

/*
 * Parse @text, numbers and ascending ranges of numbers below @limit, separated
 * by ':' or ',' ("2-5:7"). A number must not come twice.  @property is only for
 * the message. Returns the numbers (unsigned) in the order of the text, owned
 * by the caller; NULL and @errp set if the text is not such a list.
 */
GArray *nfv_cpulist_parse(const char *property, const char *text,
                          unsigned limit, Error **errp);

/*
 * @list (of unsigned, in any order) or @set as "2-5,7", empty as "none".  The
 * caller frees it.
 */
char *nfv_cpulist_format(const GArray *list);
char *nfv_cpuset_format(const NfvCpuSet *set);

/* @list as a set. */
void nfv_cpuset_from_list(NfvCpuSet *set, const GArray *list);

#define NFV_CPUSET_EMPTY(set) bitmap_empty((set)->bits, NFV_CPUS)
#define NFV_CPUSET_EQUAL(a, b) bitmap_equal((a)->bits, (b)->bits, NFV_CPUS)
#define NFV_CPUSET_AND(to, a, b) \
    bitmap_and((to)->bits, (a)->bits, (b)->bits, NFV_CPUS)
#define NFV_CPUSET_ANDNOT(to, a, b) \
    bitmap_andnot((to)->bits, (a)->bits, (b)->bits, NFV_CPUS)
#define NFV_CPUSET_HAS(set, cpu) test_bit(cpu, (set)->bits)

#define NFV_CPUSET_FOREACH(cpu, set)                                  \
    for (cpu = find_first_bit((set)->bits, NFV_CPUS); cpu < NFV_CPUS; \
         cpu = find_next_bit((set)->bits, NFV_CPUS, cpu + 1))

#endif
