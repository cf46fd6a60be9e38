/*
 * A destination refuses a list of holes that is none, and the source lives on
 *
 * Copyright (c) 2026 the kvm4nfv authors
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "qemu/osdep.h"
#include "qemu/bitmap.h"
#include "qemu/bswap.h"
#include "libqtest.h"
#include "migration/nfv/holelist.h"
#include "nfv/hostile.h"

#define ON "-global migration.popmap=on"
#define FIRST 4096 /* page */
#define PAGES 256

static bool too_long(GByteArray *list)
{
    stl_be_p(list->data + NFV_HOSTILE_LENGTH, nfv_holelist_kind.max + 1);
    return true;
}

static bool truncate_header(GByteArray *list)
{
    g_byte_array_set_size(list, NFV_HOSTILE_PAYLOAD - 2);
    return false;
}

/* A list that is right but for what it says. */
static bool replace(GByteArray *list, const char *block, unsigned page_bits,
                    uint64_t first)
{
    g_autoptr(GByteArray) other = nfv_record_new(&nfv_holelist_kind);
    g_autofree unsigned long *holes = bitmap_new(first + 1);

    set_bit(first, holes);
    nfv_holelist_add(other, block, holes, first + 1, page_bits, 1);
    nfv_record_finish(other);
    g_byte_array_set_size(list, NFV_HOSTILE_MAGIC);
    g_byte_array_append(list, other->data, other->len);
    return true;
}

static bool no_block(GByteArray *list)
{
    return replace(list, "nothing", 12, 0);
}

static bool no_page(GByteArray *list)
{
    return replace(list, "m", 11, 1);
}

static bool beyond(GByteArray *list)
{
    return replace(list, "m", 12, NFV_ENDS_BYTES / NFV_ENDS_PAGE);
}

static bool far_beyond(GByteArray *list)
{
    return replace(list, "m", 62, 2);
}

static const NfvHostile cases[] = {
    { "good", nfv_hostile_leave },
    { "flipped", nfv_hostile_flip, "list of holes: checksum" },
    { "newer", nfv_hostile_newer, "list of holes: version 2 is not 1" },
    { "too-long", too_long, "list of holes: 16777217 bytes are more than" },
    { "truncated", nfv_hostile_truncate,
      "list of holes: cut off after its header" },
    { "header", truncate_header, "a record is cut off in its header" },
    { "twice", nfv_hostile_twice, "list of holes: it came twice" },
    { "block", no_block, "list of holes: no RAM block 'nothing'" },
    { "page", no_page, "which are no pages of its 0x4000000" },
    { "beyond", beyond, "which are no pages of its 0x4000000" },
    { "far-beyond", far_beyond, "which are no pages of its 0x4000000" },
    { "unasked", nfv_hostile_leave,
      "list of holes: it came though popmap is off", true },
};

static void test_case(const void *opaque)
{
    const NfvHostile *c = opaque;
    g_autoptr(NfvEnds) ends = nfv_ends_new();
    g_autofree char *options =
        g_strconcat(c->off ? "" : ON, " -global migration.vmstate=on"
                                      " -incoming defer", NULL);
    const char *memory = "memory-backend-memfd";

    ends->from = nfv_ends_start(ends, "from", false, memory, ON);
    ends->to = nfv_ends_start(ends, "to", false, memory, options);
    nfv_ends_write(ends->from, FIRST, PAGES, 3, 1);
    nfv_hostile_migrate(ends, c);
    if (c->words) {
        nfv_ends_check(ends->from, FIRST, PAGES, 3, 1);
        nfv_ends_write(ends->from, FIRST, PAGES, 1, 2);
    } else {
        nfv_ends_compare(ends, 0, NFV_ENDS_BYTES);
    }
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    nfv_hostile_add("nfv/holelist", cases, ARRAY_SIZE(cases), test_case);
    return g_test_run();
}
