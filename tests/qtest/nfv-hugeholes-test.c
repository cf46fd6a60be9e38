/*
 * Pages of zeroes in huge pages that are all populated: not sent, and right
 *
 * Copyright (c) 2026 the kvm4nfv authors
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "qemu/osdep.h"
#include <sched.h>
#include <sys/mount.h>
#include "libqtest.h"
#include "migration/migration-qmp.h"
#include "migration/migration-util.h"
#include "nfv/ends.h"
#include "nfv/hugepages.h"
#include "nfv/stock.h"
#include "qobject/qdict.h"

static const char *ended[] = { "failed", "completed", NULL };

#define MIB_PAGES (1024 * 1024 / NFV_ENDS_PAGE)
#define ALL_PAGES (NFV_ENDS_MIB * MIB_PAGES)
#define SLOW (512 * 1024) /* bytes a second */
#define HUGE_KIB 2048
#define HUGE_PAGES (NFV_ENDS_MIB / 2) /* of one end */

#define ON "-global migration.popmap=on"

/* What of the guest's memory is used how, in pages */
#define WIPED_FIRST (2 * MIB_PAGES) /* written before, zero once sent */
#define WIPED_PAGES 256
/* Written before: each huge page has both kinds of pages. */
#define OLD_FIRST (16 * MIB_PAGES)
#define OLD_PAGES (16 * MIB_PAGES)
#define OLD_STEP 3
#define NEW_FIRST (40 * MIB_PAGES) /* zero, and written while it migrates */
#define NEW_PAGES (2 * MIB_PAGES)
#define NEW_STEP 5
#define HOLE_FIRST (50 * MIB_PAGES) /* never written */
#define HOLE_PAGES (8 * MIB_PAGES)

/* Pages with content, at most: each write, and ROMs. */
#define BEFORE (WIPED_PAGES + OLD_PAGES / OLD_STEP + 1)
#define MEANWHILE (NEW_PAGES / NEW_STEP + 1 + OLD_PAGES / 4 / OLD_STEP + 1)
#define REST 256

typedef struct Memory {
    const char *name, *backend; /* see nfv_ends_start() */
    bool huge;
} Memory;

static const Memory memories[] = {
    { "shared", "memory-backend-memfd,hugetlb=on,hugetlbsize=2M,prealloc=on",
      true },
    { "private",
      "memory-backend-memfd,hugetlb=on,hugetlbsize=2M,prealloc=on,share=off",
      true },
    { "anonymous", "memory-backend-ram" },
    { "memfd", "memory-backend-memfd" },
};

#define SHARED (&memories[0])
#define PRIVATE (&memories[1])
#define ANONYMOUS (&memories[2])
#define MEMFD (&memories[3])

/* Whether popmap is on; stock does not know it. */
typedef enum Side { OFF_SIDE, ON_SIDE, STOCK_SIDE } Side;

static const char *const side_names[] = { "off", "on", "stock" };

typedef struct Case {
    bool multifd; /* and by TCP */
    Side from, to;
    const Memory *from_memory, *to_memory;
} Case;

/* Both ends */

static bool reserve(const Memory *from, const Memory *to)
{
    unsigned ends = from->huge + to->huge;

    return !ends || nfv_huge_reserve(HUGE_KIB, ends * HUGE_PAGES);
}

static QTestState *start(NfvEnds *ends, const char *name, Side side,
                         const Memory *memory)
{
    g_autofree char *options =
        g_strdup_printf("%s %s", side == ON_SIDE ? ON : "",
                        strcmp(name, "to") ? "" : "-incoming defer");
    QTestState *qts = nfv_ends_start(ends, name, side == STOCK_SIDE,
                                     memory->backend, options);

    migrate_set_capability(qts, "return-path", true);
    return qts;
}

static void begin_slowly(NfvEnds *ends, bool multifd)
{
    migrate_set_capability(ends->from, "multifd", multifd);
    migrate_set_capability(ends->to, "multifd", multifd);
    migrate_set_parameter_int(ends->from, "max-bandwidth", SLOW);
    /* What multifd's channels take at once makes the link look fast. */
    migrate_set_parameter_int(ends->from, "downtime-limit", 1);
    migrate_incoming_qmp(ends->to, "tcp:127.0.0.1:0", NULL, "{}");
    migrate_qmp(ends->from, ends->to, NULL, NULL, "{}");
    wait_for_migration_status(ends->from, "active", ended);
}

static void finish(NfvEnds *ends)
{
    migrate_set_parameter_int(ends->from, "max-bandwidth", 0);
    migrate_set_parameter_int(ends->from, "downtime-limit", 300);
    wait_for_migration_complete(ends->from);
    wait_for_migration_complete(ends->to);
}

/* What the guest writes */

static void write_before(QTestState *qts)
{
    nfv_ends_write(qts, WIPED_FIRST, WIPED_PAGES, 1, 5);
    nfv_ends_write(qts, OLD_FIRST, OLD_PAGES, OLD_STEP, 1);
}

/* Where the guest has stopped by itself, a write would come too late. */
static void check_active(QTestState *qts)
{
    g_autofree char *status = migrate_query_status(qts);

    g_assert_cmpstr(status, ==, "active");
}

/* The lowest pages go first. */
static void wait_for_wiped(QTestState *qts)
{
    while (read_ram_property_int(qts, "normal") < REST + WIPED_PAGES) {
        check_active(qts);
        g_usleep(10 * 1000);
    }
}

static void write_meanwhile(NfvEnds *ends)
{
    wait_for_wiped(ends->from);
    qtest_memset(ends->from, WIPED_FIRST * NFV_ENDS_PAGE, 0,
                 WIPED_PAGES * NFV_ENDS_PAGE);
    nfv_ends_write(ends->from, NEW_FIRST, NEW_PAGES, NEW_STEP, 2);
    nfv_ends_write(ends->from, OLD_FIRST, OLD_PAGES / 2, 2 * OLD_STEP, 3);
    check_active(ends->from);
}

static void check_written(QTestState *qts)
{
    nfv_ends_check(qts, NEW_FIRST, NEW_PAGES, NEW_STEP, 2);
    nfv_ends_check(qts, OLD_FIRST, OLD_PAGES / 2, 2 * OLD_STEP, 3);
    nfv_ends_check(qts, OLD_FIRST + OLD_STEP, OLD_PAGES / 2 - OLD_STEP,
                   2 * OLD_STEP, 1);
    nfv_ends_check_holes(qts, WIPED_FIRST, WIPED_PAGES, 1);
    nfv_ends_check_holes(qts, HOLE_FIRST, HOLE_PAGES, 64);
}

/* What the source says */

/* In pages; 0 with the switch off. */
static uint64_t holes_found(QTestState *qts, bool *left_out)
{
    QDict *info = qtest_qmp_assert_success_ref(
        qts, "{ 'execute': 'query-nfv-migration' }");
    uint64_t holes = qdict_get_int(info, "holes") / NFV_ENDS_PAGE;

    *left_out = qdict_get_bool(info, "holes-left-out");
    qobject_unref(info);
    return holes;
}

/* All that is zero was found, and was not sent where both ends have popmap. */
static void check_counts(NfvEnds *ends, const Case *c)
{
    int64_t normal = read_ram_property_int(ends->from, "normal");
    int64_t zero = read_ram_property_int(ends->from, "duplicate");
    bool both = c->from == ON_SIDE && c->to == ON_SIDE, left_out;
    uint64_t holes;

    g_test_message("%" PRId64 " pages were sent with content, %" PRId64
                   " as zero", normal, zero);
    g_assert_cmpint(normal, <=, BEFORE + MEANWHILE + REST);
    if (both) {
        g_assert_cmpint(zero, <=, WIPED_PAGES + REST);
    } else {
        g_assert_cmpint(normal + zero, >=, ALL_PAGES - REST);
    }
    if (c->from != STOCK_SIDE) {
        holes = holes_found(ends->from, &left_out);
        g_test_message("%" PRIu64 " holes", holes);
        g_assert_cmpint(left_out, ==, both);
        g_assert_cmpuint(holes, >=,
                         c->from == ON_SIDE ? ALL_PAGES - BEFORE - REST : 0);
        g_assert_cmpuint(holes, <=,
                         c->from == ON_SIDE ? ALL_PAGES - BEFORE + REST : 0);
    }
}

/* Each kind of memory, transport and peer */

static void test_migrate(const void *opaque)
{
    const Case *c = opaque;
    g_autoptr(NfvEnds) ends = NULL;

    if (((c->from == STOCK_SIDE || c->to == STOCK_SIDE) && !nfv_has_stock()) ||
        !reserve(c->from_memory, c->to_memory)) {
        return;
    }
    ends = nfv_ends_new();
    ends->from = start(ends, "from", c->from, c->from_memory);
    ends->to = start(ends, "to", c->to, c->to_memory);
    write_before(ends->from);
    begin_slowly(ends, c->multifd);
    write_meanwhile(ends);
    finish(ends);
    check_counts(ends, c);
    check_written(ends->to);
    nfv_ends_compare(ends, 0, NFV_ENDS_BYTES);
    g_clear_pointer(&ends, nfv_ends_free);
    nfv_huge_release();
}

/* Each pair of values of two columns is in a row. */
static const Case cases[] = {
    { false, ON_SIDE, ON_SIDE, SHARED, SHARED },
    { true, ON_SIDE, ON_SIDE, SHARED, SHARED },
    { false, ON_SIDE, ON_SIDE, PRIVATE, ANONYMOUS },
    { true, ON_SIDE, ON_SIDE, PRIVATE, PRIVATE },
    { true, ON_SIDE, ON_SIDE, ANONYMOUS, SHARED },
    { false, ON_SIDE, ON_SIDE, MEMFD, PRIVATE },
    { true, ON_SIDE, OFF_SIDE, SHARED, MEMFD },
    { false, OFF_SIDE, ON_SIDE, SHARED, PRIVATE },
    { false, ON_SIDE, STOCK_SIDE, SHARED, SHARED },
    { true, STOCK_SIDE, ON_SIDE, SHARED, SHARED },
};

static bool is_among(const Case *c)
{
    for (int i = 0; i < ARRAY_SIZE(cases); i++) {
        if (c->multifd == cases[i].multifd && c->from == cases[i].from &&
            c->to == cases[i].to && c->from_memory == cases[i].from_memory &&
            c->to_memory == cases[i].to_memory) {
            return true;
        }
    }
    return false;
}

static void add_case(const Case *c)
{
    g_autofree char *path = g_strdup_printf(
        "nfv/hugeholes/%s/%s-%s/%s-%s", c->multifd ? "multifd" : "tcp",
        side_names[c->from], side_names[c->to], c->from_memory->name,
        c->to_memory->name);

    qtest_add_data_func_full(path, g_memdup2(c, sizeof(*c)), test_migrate,
                             g_free);
}

/* The rest of the matrix; without huge pages it is in nfv-popmap-test. */
static void add_slow_cases(void)
{
    static const Side sides[][2] = {
        { ON_SIDE, ON_SIDE },    { ON_SIDE, OFF_SIDE },
        { OFF_SIDE, ON_SIDE },   { ON_SIDE, STOCK_SIDE },
        { STOCK_SIDE, ON_SIDE },
    };
    const int n = ARRAY_SIZE(memories);

    for (int i = 0; i < ARRAY_SIZE(sides) * 2 * n * n; i++) {
        const Side *s = sides[i / (2 * n * n)];
        Case c = { i / (n * n) % 2, s[0], s[1], &memories[i / n % n],
                   &memories[i % n] };

        if ((c.from_memory->huge || c.to_memory->huge) && !is_among(&c)) {
            add_case(&c);
        }
    }
}

/* Who switched off the look for zeroes does not want it here, either. */
static void test_no_detection(void)
{
    g_autoptr(NfvEnds) ends = NULL;
    bool left_out;

    if (!reserve(SHARED, SHARED)) {
        return;
    }
    ends = nfv_ends_new();
    ends->from = start(ends, "from", ON_SIDE, SHARED);
    ends->to = start(ends, "to", ON_SIDE, SHARED);
    write_before(ends->from);
    migrate_set_parameter_str(ends->from, "zero-page-detection", "none");
    begin_slowly(ends, false);
    write_meanwhile(ends);
    finish(ends);
    g_assert_cmpuint(holes_found(ends->from, &left_out), <=, REST);
    g_assert_cmpint(read_ram_property_int(ends->from, "normal"), >=,
                    ALL_PAGES - REST);
    nfv_ends_compare(ends, 0, NFV_ENDS_BYTES);
    g_clear_pointer(&ends, nfv_ends_free);
    nfv_huge_release();
}

/* A file of huge pages that has the memory of another guest */

/*
 * Mount huge pages where this process and its children alone see them.  NULL,
 * and the test is skipped, where that cannot be had; the caller frees it.
 */
static char *mount_pages(void)
{
    g_autofree char *directory = g_dir_make_tmp("nfv-hugeholes-XXXXXX", NULL);

    if (unshare(CLONE_NEWNS) ||
        mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) ||
        mount("nfv", directory, "hugetlbfs", 0, "pagesize=2M")) {
        g_test_skip("this host lets the test mount no huge pages");
        rmdir(directory);
        return NULL;
    }
    return g_steal_pointer(&directory);
}

static void unmount_pages(const char *directory)
{
    g_assert_cmpint(umount(directory), ==, 0);
    g_assert_cmpint(rmdir(directory), ==, 0);
}

static void fill_file(const char *path)
{
    int fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
    void *bytes;

    g_assert_cmpint(ftruncate(fd, NFV_ENDS_BYTES), ==, 0);
    bytes =
        mmap(NULL, NFV_ENDS_BYTES, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    g_assert(bytes != MAP_FAILED);
    memset(bytes, 0xa5, NFV_ENDS_BYTES);
    munmap(bytes, NFV_ENDS_BYTES);
    close(fd);
}

static void migrate_to_file(bool multifd, const char *path, bool share)
{
    g_autofree char *backend = g_strdup_printf(
        "memory-backend-file,share=%s,prealloc=on,mem-path=%s",
        share ? "on" : "off", path);
    const Memory file = { "file", backend, true };
    g_autoptr(NfvEnds) ends = nfv_ends_new();

    ends->from = start(ends, "from", ON_SIDE, SHARED);
    ends->to = start(ends, "to", ON_SIDE, &file);
    g_assert_cmphex(qtest_readb(ends->to, HOLE_FIRST * NFV_ENDS_PAGE), ==,
                    0xa5);
    write_before(ends->from);
    begin_slowly(ends, multifd);
    write_meanwhile(ends);
    finish(ends);
    check_written(ends->to);
    nfv_ends_compare(ends, 0, NFV_ENDS_BYTES);
}

static void test_filled(const void *opaque)
{
    bool multifd = opaque;
    g_autofree char *directory = NULL;
    g_autofree char *path = NULL;

    /* Of either end, and what a private mapping copies. */
    if (!nfv_huge_reserve(HUGE_KIB, 3 * HUGE_PAGES)) {
        return;
    }
    directory = mount_pages();
    if (directory) {
        path = g_strdup_printf("%s/filled", directory);
        for (int share = 0; share < 2; share++) {
            fill_file(path);
            migrate_to_file(multifd, path, share);
            unlink(path);
        }
        unmount_pages(directory);
    }
    nfv_huge_release();
}

/* And one that nobody has written to, of which only what comes is allocated */

static unsigned mapped_huge_kib(QTestState *qts)
{
    g_autofree char *path =
        g_strdup_printf("/proc/%d/smaps_rollup", qtest_pid(qts));
    g_autofree char *text = NULL;
    const char *shared;

    g_assert_true(g_file_get_contents(path, &text, NULL, NULL));
    shared = strstr(text, "Shared_Hugetlb:");
    g_assert_nonnull(shared);
    return atoi(strchr(shared, ':') + 1) +
           atoi(strchr(strstr(text, "Private_Hugetlb:"), ':') + 1);
}

static void migrate_to_new(const char *path)
{
    g_autofree char *backend =
        g_strdup_printf("memory-backend-file,share=on,mem-path=%s", path);
    const Memory new_file = { "new", backend, true };
    g_autoptr(NfvEnds) ends = nfv_ends_new();

    ends->from = start(ends, "from", ON_SIDE, ANONYMOUS);
    ends->to = start(ends, "to", ON_SIDE, &new_file);
    begin_slowly(ends, false);
    finish(ends);
    g_assert_cmpuint(mapped_huge_kib(ends->to), <, NFV_ENDS_BYTES / 1024 / 2);
    nfv_ends_compare(ends, 0, NFV_ENDS_BYTES);
}

static void test_new(const void *name)
{
    g_autofree char *directory = NULL;
    g_autofree char *path = NULL;

    if (!nfv_huge_reserve(HUGE_KIB, HUGE_PAGES)) {
        return;
    }
    directory = mount_pages();
    if (directory) {
        path = g_strdup_printf("%s/%s", directory, (const char *)name);
        migrate_to_new(path);
        unlink(path); /* unless it is the directory */
        unmount_pages(directory);
    }
    nfv_huge_release();
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    for (int i = 0; i < ARRAY_SIZE(cases); i++) {
        add_case(&cases[i]);
    }
    if (g_test_slow()) {
        add_slow_cases();
    }
    qtest_add_func("nfv/hugeholes/no-detection", test_no_detection);
    qtest_add_data_func("nfv/hugeholes/filled/tcp", NULL, test_filled);
    qtest_add_data_func("nfv/hugeholes/filled/multifd", (void *)1, test_filled);
    qtest_add_data_func("nfv/hugeholes/new/directory", "", test_new);
    qtest_add_data_func("nfv/hugeholes/new/file", "file", test_new);
    return g_test_run();
}
