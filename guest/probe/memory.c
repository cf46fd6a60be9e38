/*
 * RAM: its map, its contents and their proof.
 *
 * Copyright (c) 2026 the kvm4nfv authors
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "memory.h"
#include "pattern.h"

#define MAX_EXTENTS 8
#define MAX_AREAS 2
#define PAGE_WORDS (PAGE_BYTES / sizeof(uint64_t))

/*
 * SeaBIOS allocates its temporary memory in the last 17 MiB of RAM below
 * 4 GiB, and leaves there what it held.
 */
#define FIRMWARE_PAGES 8192

/* PVH's start info and memory map, as Xen's documentation defines them. */
typedef struct StartInfo {
    uint32_t magic;
    uint32_t version;
    uint32_t flags;
    uint32_t modules;
    uint64_t module_list;
    uint64_t command_line;
    uint64_t rsdp;
    uint64_t map;
    uint32_t map_entries;
    uint32_t reserved;
} StartInfo;

typedef struct MapEntry {
    uint64_t address;
    uint64_t size;
    uint32_t type;
    uint32_t reserved;
} MapEntry;

enum {
    START_INFO_MAGIC = 0x336ec578,
    MAP_RAM = 1,
};

typedef struct Extent {
    uint64_t address;
    size_t pages;
} Extent;

static uint64_t directories[MAPPED_GIB - 1][PAGE_WORDS]
    __attribute__((aligned(PAGE_BYTES)));

static Extent extents[MAX_EXTENTS];
static size_t extent_count;
static size_t pages, filled, low_pages;
static Area *areas[MAX_AREAS];
static size_t area_count;
static uint64_t writes, lost_cells, lost_entries;
static uint64_t image_digest;

static uint64_t *page_at(size_t index)
{
    const Extent *extent = extents;

    while (index >= extent->pages) {
        index -= extent->pages;
        extent++;
    }
    return (uint64_t *)(extent->address + index * PAGE_BYTES);
}

/* All memory, one to one; boot.S has mapped the first GiB. */
static void memory_map(void)
{
    uint64_t address = (uint64_t)1 << 30;

    for (size_t gib = 1; gib < MAPPED_GIB; gib++) {
        uint64_t *directory = directories[gib - 1];

        for (size_t i = 0; i < PAGE_WORDS; i++) {
            directory[i] = address | PTE_LARGE;
            address += LARGE_BYTES;
        }
        directory_table[gib] = (uint64_t)directory | PTE_TABLE;
    }
}

static const char *extent_add(uint64_t from, uint64_t to)
{
    uint64_t lowest = (uint64_t)__image_end;

    from = from > lowest ? from : lowest;
    from = (from + PAGE_BYTES - 1) / PAGE_BYTES * PAGE_BYTES;
    to = to / PAGE_BYTES * PAGE_BYTES;
    if (from >= to) {
        return NULL;
    }
    if (to > (uint64_t)MAPPED_GIB << 30) {
        return "has more memory than the 64 GiB that it can map";
    }
    if (extent_count == MAX_EXTENTS) {
        return "has memory in more than 8 pieces";
    }
    extents[extent_count++] = (Extent) { from, (to - from) / PAGE_BYTES };
    pages += (to - from) / PAGE_BYTES;
    if (to <= (uint64_t)4 << 30) {
        low_pages = pages;
    }
    return NULL;
}

static uint64_t digest_add(uint64_t digest, uint64_t word)
{
    return (digest ^ word) * 0x100000001b3;
}

static uint64_t image_check(void)
{
    uint64_t digest = 0xcbf29ce484222325;

    for (const char *p = __image_start; p < __constant_end; p++) {
        digest = digest_add(digest, *p);
    }
    return digest;
}

const char *memory_init(uint64_t info)
{
    const StartInfo *start = (const StartInfo *)info;
    const MapEntry *map = (const MapEntry *)start->map;
    const char *error = NULL;

    if (start->magic != START_INFO_MAGIC || start->version < 1 || !map) {
        return "was started without a PVH memory map";
    }
    memory_map();
    for (uint32_t i = 0; i < start->map_entries && !error; i++) {
        if (map[i].type == MAP_RAM) {
            error = extent_add(map[i].address, map[i].address + map[i].size);
        }
    }
    image_digest = image_check();
    return error;
}

const char *memory_command_line(uint64_t info)
{
    static char copy[512];
    const char *from = (const char *)((const StartInfo *)info)->command_line;

    for (size_t i = 0; from && from[i] && i < sizeof(copy) - 1; i++) {
        copy[i] = from[i];
    }
    return copy;
}

size_t memory_pages(void)
{
    return pages;
}

/* Takes whole pages from the end of RAM, which is never in two pieces. */
static void *table_take(size_t bytes)
{
    size_t count = (bytes + PAGE_BYTES - 1) / PAGE_BYTES;
    Extent *last = &extents[extent_count - 1];

    if (!extent_count || last->pages <= count) {
        return NULL;
    }
    last->pages -= count;
    pages -= count;
    if (low_pages > pages) {
        low_pages = pages;
    }
    return (void *)(last->address + last->pages * PAGE_BYTES);
}

bool memory_add_area(Area *area)
{
    area->cells = area->pages * area->cells_per_page;
    area->generation = table_take(area->cells * sizeof(uint32_t));
    area->check = table_take(area->cells * sizeof(uint32_t));
    areas[area_count++] = area;
    return area->check && area->generation && area->pages &&
           area->first + (area->pages - 1) * area->step < pages;
}

static size_t cell_words(const Area *area)
{
    return PAGE_WORDS / area->cells_per_page;
}

static uint64_t *cell_at(const Area *area, size_t cell)
{
    size_t page = area->first + cell / area->cells_per_page * area->step;

    return page_at(page) + cell % area->cells_per_page * cell_words(area);
}

static void words_write(uint64_t *word, size_t count, uint32_t generation)
{
    uint64_t value = pattern_seed(word, generation);

    for (size_t i = 0; i < count; i++) {
        word[i] = value;
        value += PATTERN_STEP;
    }
}

static bool words_check(const uint64_t *word, size_t count,
                        uint32_t generation, uint64_t *digest)
{
    uint64_t value = pattern_seed(word, generation), wrong = 0;

    for (size_t i = 0; i < count; i++) {
        wrong |= word[i] ^ value;
        *digest = digest_add(*digest, word[i]);
        value += PATTERN_STEP;
    }
    return !wrong;
}

static bool zero_check(const uint64_t *word)
{
    uint64_t wrong = 0;

    for (size_t i = 0; i < PAGE_WORDS; i++) {
        wrong |= word[i];
    }
    return !wrong;
}

static void cell_set_generation(Area *area, size_t cell, uint32_t generation)
{
    area->generation[cell] = generation;
    area->check[cell] = ~generation;
}

static bool cell_entry_check(const Area *area, size_t cell)
{
    return area->check[cell] == ~area->generation[cell];
}

/* The area that page `index` belongs to and the page's number in it. */
static const Area *area_of(size_t index, size_t *number)
{
    for (size_t i = 0; i < area_count; i++) {
        const Area *area = areas[i];

        if (index >= area->first && (index - area->first) % area->step == 0 &&
            (index - area->first) / area->step < area->pages) {
            *number = (index - area->first) / area->step;
            return area;
        }
    }
    return NULL;
}

/* Writes only where it must: pages that stay untouched are to be measured. */
static void firmware_clear(void)
{
    size_t from = low_pages > FIRMWARE_PAGES ? low_pages - FIRMWARE_PAGES : 0;

    for (size_t i = from; i < low_pages; i++) {
        uint64_t *word = page_at(i);

        if (!zero_check(word)) {
            for (size_t j = 0; j < PAGE_WORDS; j++) {
                word[j] = 0;
            }
        }
    }
}

void memory_fill(size_t count)
{
    size_t unused;

    firmware_clear();
    filled = count < pages ? count : pages;
    for (size_t i = 0; i < filled; i++) {
        if (!area_of(i, &unused)) {
            words_write(page_at(i), PAGE_WORDS, 1);
        }
    }
    for (size_t i = 0; i < area_count; i++) {
        for (size_t cell = 0; cell < areas[i]->cells; cell++) {
            words_write(cell_at(areas[i], cell), cell_words(areas[i]), 1);
            cell_set_generation(areas[i], cell, 1);
        }
    }
}

void memory_rewrite(Area *area, size_t cell)
{
    uint32_t generation = area->generation[cell];
    uint64_t *word = cell_at(area, cell);
    uint64_t old = pattern_seed(word, generation);
    uint64_t new = pattern_seed(word, generation + 1);
    uint64_t wrong = 0;
    size_t count = cell_words(area);

    for (size_t i = 0; i < count; i++) {
        wrong |= word[i] ^ old;
        word[i] = new;
        old += PATTERN_STEP;
        new += PATTERN_STEP;
    }
    lost_cells += wrong != 0;
    lost_entries += !cell_entry_check(area, cell);
    cell_set_generation(area, cell, generation + 1);
    writes++;
}

uint64_t memory_writes(void)
{
    return writes;
}

static bool area_page_check(const Area *area, size_t number, Found *found)
{
    size_t cell = number * area->cells_per_page;
    size_t entries = 0;
    bool ok = true;

    for (size_t i = 0; i < area->cells_per_page; i++, cell++) {
        entries += !cell_entry_check(area, cell);
        ok &= words_check(cell_at(area, cell), cell_words(area),
                          area->generation[cell], &found->digest);
    }
    found->table += entries;
    return ok && !entries;
}

void memory_verify(Found *found)
{
    *found = (Found) {
        .wrong = lost_cells,
        .table = lost_entries + (image_check() != image_digest),
        .first = SIZE_MAX,
        .digest = 0xcbf29ce484222325,
    };
    for (size_t i = 0; i < pages; i++) {
        size_t number;
        const Area *area = area_of(i, &number);
        const uint64_t *page = page_at(i);
        bool ok = area ? area_page_check(area, number, found) :
                  i < filled ?
                  words_check(page, PAGE_WORDS, 1, &found->digest) :
                  zero_check(page);

        found->wrong += !ok;
        if (!ok && found->first == SIZE_MAX) {
            found->first = i;
        }
    }
}
