/*
 * Migration that leaves out pages that never held data
 *
 * Copyright (c) 2026 the kvm4nfv authors
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "qemu/osdep.h"
#include "libqtest.h"
#include "migration/migration-qmp.h"
#include "migration/migration-util.h"
#include "nfv/ends.h"
#include "nfv/stock.h"
#include "qobject/qdict.h"

static const char *ended[] = { "failed", "completed", NULL };
static const char *ended_or_paused[] = { "failed", "completed",
                                         "postcopy-paused", NULL };

#define MIB_PAGES (1024 * 1024 / NFV_ENDS_PAGE)
#define ALL_PAGES (NFV_ENDS_MIB * MIB_PAGES)
#define SLOW (512 * 1024) /* bytes a second */

#define ON "-global migration.popmap=on"

/* What of the guest's memory is used how, in pages */
/* Written before; more than multifd's channels take at once, however slowly. */
#define OLD_FIRST (16 * MIB_PAGES)
#define OLD_PAGES (16 * MIB_PAGES)
#define OLD_STEP 3
#define NEW_FIRST (40 * MIB_PAGES) /* written while it migrates */
#define NEW_PAGES (2 * MIB_PAGES)
#define NEW_STEP 5
#define HOLE_FIRST (50 * MIB_PAGES) /* never written */
#define HOLE_PAGES (8 * MIB_PAGES)

typedef struct Variant {
    const char *name, *uri; /* %s: directory */
    const char *capabilities[3];
    bool postcopy, one_way;
} Variant;

static const Variant variants[] = {
    { "tcp", "tcp:127.0.0.1:0", { "return-path" } },
    { "unix", "unix:%s/socket", { "return-path" } },
    { "multifd", "unix:%s/socket", { "multifd", "return-path" } },
    { "postcopy", "unix:%s/socket", { "postcopy-ram" }, true },
    { "postcopy-preempt",
      "unix:%s/socket",
      { "postcopy-ram", "postcopy-preempt" },
      true },
    /* The source cannot ask the destination what it can do. */
    { "one-way", "unix:%s/socket", .one_way = true },
};

/* Whether popmap is on; stock does not know it. */
typedef enum Side { OFF_SIDE, ON_SIDE, STOCK_SIDE } Side;

static const char *const side_names[] = { "off", "on", "stock" };

typedef struct Memory {
    const char *name, *backend; /* see nfv_ends_start() */
    const char *file; /* shared, in the directory; its blocks are counted */
    bool populated;   /* from the start */
} Memory;

static const Memory memories[] = {
    { "anonymous", "memory-backend-ram" },
    { "memfd", "memory-backend-memfd" },
    { "shm", "memory-backend-file,share=on,mem-path=%s/ram-", "ram-" },
    { "prealloc", "memory-backend-memfd,prealloc=on", .populated = true },
};

typedef struct Case {
    const Variant *variant;
    Side from, to;
    const Memory *from_memory, *to_memory;
} Case;

/* Memory of one end: each has its own file. */
static QTestState *start(NfvEnds *ends, const char *name, Side side,
                         const Memory *memory, const char *options)
{
    g_autofree char *backend = memory->file ?
                                   g_strconcat(memory->backend, name, NULL) :
                                   g_strdup(memory->backend);
    g_autofree char *all =
        g_strdup_printf("%s %s", side == ON_SIDE ? ON : "", options);

    return nfv_ends_start(ends, name, side == STOCK_SIDE, backend, all);
}

static void set_variant(NfvEnds *ends, const Variant *v)
{
    for (int i = 0; i < ARRAY_SIZE(v->capabilities) && v->capabilities[i];
         i++) {
        migrate_set_capability(ends->from, v->capabilities[i], true);
        if (ends->to) {
            migrate_set_capability(ends->to, v->capabilities[i], true);
        }
    }
}

static void begin_slowly(NfvEnds *ends, const Variant *v)
{
    g_autofree char *uri = nfv_ends_expand(ends, v->uri);

    set_variant(ends, v);
    migrate_set_parameter_int(ends->from, "max-bandwidth", SLOW);
    migrate_set_parameter_int(ends->from, "max-postcopy-bandwidth", SLOW);
    /* What multifd's channels take at once makes the link look fast. */
    migrate_set_parameter_int(ends->from, "downtime-limit", 1);
    migrate_incoming_qmp(ends->to, uri, NULL, "{}");
    migrate_qmp(ends->from, ends->to, NULL, NULL, "{}");
    wait_for_migration_status(ends->from, "active", ended);
}

static void begin_postcopy(NfvEnds *ends)
{
    qtest_qmp_assert_success(ends->from, "{ 'execute': "
                                         "'migrate-start-postcopy' }");
    wait_for_migration_status(ends->from, "postcopy-active", ended);
    wait_for_migration_status(ends->to, "postcopy-active", ended);
}

static void finish(NfvEnds *ends)
{
    migrate_set_parameter_int(ends->from, "max-bandwidth", 0);
    migrate_set_parameter_int(ends->from, "max-postcopy-bandwidth", 0);
    migrate_set_parameter_int(ends->from, "downtime-limit", 300);
    wait_for_migration_complete(ends->from);
    wait_for_migration_complete(ends->to);
}

static void write_old(QTestState *qts)
{
    nfv_ends_write(qts, OLD_FIRST, OLD_PAGES, OLD_STEP, 1);
}

/* Holes, and what has been sent. */
static void write_new(QTestState *qts)
{
    nfv_ends_write(qts, NEW_FIRST, NEW_PAGES, NEW_STEP, 2);
    nfv_ends_write(qts, OLD_FIRST, OLD_PAGES / 2, 2 * OLD_STEP, 3);
}

/* Where the guest has stopped by itself, a write would come too late. */
static void write_meanwhile(NfvEnds *ends)
{
    g_autofree char *status = NULL;

    write_new(ends->from);
    status = migrate_query_status(ends->from);
    g_assert_cmpstr(status, ==, "active");
}

static void check_written(QTestState *qts)
{
    nfv_ends_check(qts, NEW_FIRST, NEW_PAGES, NEW_STEP, 2);
    nfv_ends_check(qts, OLD_FIRST, OLD_PAGES / 2, 2 * OLD_STEP, 3);
    nfv_ends_check(qts, OLD_FIRST + OLD_STEP, OLD_PAGES / 2 - OLD_STEP,
                   2 * OLD_STEP, 1);
    nfv_ends_check_holes(qts, HOLE_FIRST, HOLE_PAGES, 64);
}

/* Pages that the source sent, with content and as zero. */
static int64_t pages_sent(QTestState *qts)
{
    return read_ram_property_int(qts, "normal") +
           read_ram_property_int(qts, "duplicate");
}

/* The memory of @name is a file that has not been filled with zeroes. */
static void check_sparse(NfvEnds *ends, const Memory *memory, const char *name)
{
    g_autofree char *file = g_strconcat("ram-", name, NULL);
    g_autofree char *path = nfv_ends_path(ends, file);
    struct stat status;

    if (memory->file) {
        g_assert_cmpint(stat(path, &status), ==, 0);
        g_test_message(
            "%s: %llu pages", path,
            (unsigned long long)status.st_blocks * 512 / NFV_ENDS_PAGE);
        g_assert_cmpint(status.st_blocks * 512 / NFV_ENDS_PAGE, <,
                        ALL_PAGES / 2);
    }
}

/* popmap was at work, or not. */
static void check_effect(NfvEnds *ends, const Case *c)
{
    int64_t sent = pages_sent(ends->from);
    bool knows = c->from == ON_SIDE && !c->from_memory->populated &&
                 !access("/proc/self/pagemap", R_OK);

    g_test_message("%" PRId64 " pages were sent", sent);
    /* What is populated was looked at, and is zero. */
    if (c->from == ON_SIDE && c->to == ON_SIDE && !c->variant->one_way) {
        g_assert_cmpint(sent, <, ALL_PAGES / 2);
        check_sparse(ends, c->to_memory, "to");
    } else {
        g_assert_cmpint(sent, >=, ALL_PAGES - 256);
        /* What its first round leaves to post-copy is read after all. */
        knows = knows && !c->variant->postcopy;
    }
    if (knows) {
        check_sparse(ends, c->from_memory, "from");
    }
}

static bool has(const Variant *v)
{
    if (v->postcopy && !ufd_version_check(NULL)) {
        g_test_skip("userfaultfd is not available");
        return false;
    }
    return true;
}

static void test_matrix(const void *opaque)
{
    const Case *c = opaque;
    g_autoptr(NfvEnds) ends = NULL;

    if (!has(c->variant) || ((c->from == STOCK_SIDE || c->to == STOCK_SIDE) &&
                             !nfv_has_stock())) {
        return;
    }
    ends = nfv_ends_new();
    ends->from = start(ends, "from", c->from, c->from_memory, "");
    ends->to = start(ends, "to", c->to, c->to_memory, "-incoming defer");
    write_old(ends->from);
    begin_slowly(ends, c->variant);
    write_meanwhile(ends);
    if (c->variant->postcopy) {
        begin_postcopy(ends);
        /* Each of these pages is missing; the source is slow. */
        nfv_ends_check_holes(ends->to, HOLE_FIRST, 8 * MIB_PAGES, MIB_PAGES);
        nfv_ends_check(ends->to, NEW_FIRST, 4 * NEW_STEP, NEW_STEP, 2);
    }
    finish(ends);
    check_effect(ends, c);
    check_written(ends->to);
    nfv_ends_compare(ends, 0, NFV_ENDS_BYTES);
}

/* The default: each transport both ways, and each pair of values. */
static void add_matrix(void)
{
    static const Side sides[][2] = {
        { ON_SIDE, ON_SIDE },    { ON_SIDE, OFF_SIDE },
        { OFF_SIDE, ON_SIDE },   { OFF_SIDE, OFF_SIDE },
        { ON_SIDE, STOCK_SIDE }, { STOCK_SIDE, ON_SIDE },
    };
    static Case cases[ARRAY_SIZE(variants) * ARRAY_SIZE(sides) *
                      ARRAY_SIZE(memories) * ARRAY_SIZE(memories)];
    Case *c = cases;

    for (int v = 0; v < ARRAY_SIZE(variants); v++) {
        for (int s = 0; s < ARRAY_SIZE(sides); s++) {
            for (int m = 0; m < ARRAY_SIZE(memories) * ARRAY_SIZE(memories);
                 m++) {
                int from = m / ARRAY_SIZE(memories);
                int to = m % ARRAY_SIZE(memories);
                g_autofree char *path = g_strdup_printf(
                    "nfv/popmap/%s/%s-%s/%s-%s", variants[v].name,
                    side_names[sides[s][0]], side_names[sides[s][1]],
                    memories[from].name, memories[to].name);

                /* A Latin square over the pairs. */
                if (!g_test_slow() &&
                    ((v * 3 + s * 5) % 16 != m || (s == 3 && v))) {
                    continue;
                }
                *c = (Case) { &variants[v], sides[s][0], sides[s][1],
                              &memories[from], &memories[to] };
                qtest_add_data_func(path, c++, test_matrix);
            }
        }
    }
}

/* The memory of either end has a content before */

static void fill_file(const NfvEnds *ends, const char *name)
{
    g_autofree char *path = nfv_ends_path(ends, name);
    g_autofree char *bytes = g_malloc(NFV_ENDS_BYTES);

    memset(bytes, 0xa5, NFV_ENDS_BYTES);
    g_assert_true(g_file_set_contents(path, bytes, NFV_ENDS_BYTES, NULL));
}

typedef struct FilledCase {
    const char *name;
    Side from, to;
    const Variant *variant;
    bool from_file, to_file, share;
} FilledCase;

static const FilledCase filled_cases[] = {
    { "to", ON_SIDE, ON_SIDE, &variants[1], .to_file = true, .share = true },
    { "to-l1", ON_SIDE, OFF_SIDE, &variants[1], .to_file = true,
      .share = true },
    { "to-multifd", ON_SIDE, ON_SIDE, &variants[2], .to_file = true,
      .share = true },
    { "to-multifd-off-on", OFF_SIDE, ON_SIDE, &variants[2], .to_file = true,
      .share = true },
    { "to-postcopy", ON_SIDE, ON_SIDE, &variants[3], .to_file = true,
      .share = true },
    { "to-private", ON_SIDE, ON_SIDE, &variants[1], .to_file = true },
    { "to-private-multifd", ON_SIDE, ON_SIDE, &variants[2], .to_file = true },
    { "from", ON_SIDE, ON_SIDE, &variants[1], .from_file = true,
      .share = true },
    { "from-private", ON_SIDE, ON_SIDE, &variants[1], .from_file = true },
    { "from-private-l1", ON_SIDE, OFF_SIDE, &variants[1], .from_file = true },
    { "from-private-multifd", ON_SIDE, ON_SIDE, &variants[2],
      .from_file = true },
};

static void test_filled(const void *opaque)
{
    const FilledCase *c = opaque;
    g_autofree char *file = g_strdup_printf("memory-backend-file,share=%s,mem-"
                                            "path=%%s/filled",
                                            c->share ? "on" : "off");
    Memory memory = { "filled", file };
    g_autoptr(NfvEnds) ends = NULL;

    if (!has(c->variant)) {
        return;
    }
    ends = nfv_ends_new();
    fill_file(ends, "filled");
    ends->from =
        start(ends, "from", c->from, c->from_file ? &memory : &memories[0], "");
    ends->to = start(ends, "to", c->to, c->to_file ? &memory : &memories[0],
                     "-incoming defer");
    write_old(ends->from);
    begin_slowly(ends, c->variant);
    write_meanwhile(ends);
    if (c->variant->postcopy) {
        begin_postcopy(ends);
        nfv_ends_check_holes(ends->to, HOLE_FIRST, MIB_PAGES, 64);
    }
    finish(ends);
    nfv_ends_compare(ends, 0, NFV_ENDS_BYTES);
}

/* Post-copy */

/* The link is cut; what has been a hole is one after the recovery. */
static void test_recovery(const void *opaque)
{
    const Memory *memory = opaque;
    g_autoptr(NfvEnds) ends = NULL;
    g_autofree char *uri = NULL;

    if (!has(&variants[3])) {
        return;
    }
    ends = nfv_ends_new();
    ends->from = start(ends, "from", ON_SIDE, memory, "");
    ends->to = start(ends, "to", ON_SIDE, memory, "-incoming defer");
    write_old(ends->from);
    begin_slowly(ends, &variants[3]);
    write_meanwhile(ends);
    begin_postcopy(ends);
    nfv_ends_check_holes(ends->to, HOLE_FIRST, MIB_PAGES, 64);

    migrate_pause(ends->from);
    wait_for_migration_status(ends->from, "postcopy-paused", ended);
    wait_for_migration_status(ends->to, "postcopy-paused", ended);
    /* Until it is recovered, whoever touches a missing page waits. */
    uri = nfv_ends_expand(ends, "unix:%s/again");
    migrate_recover(ends->to, uri);
    migrate_qmp(ends->from, ends->to, uri, NULL, "{ 'resume': true }");
    wait_for_migration_status(ends->from, "postcopy-active", ended_or_paused);
    nfv_ends_check_holes(ends->to, HOLE_FIRST + 2 * MIB_PAGES, MIB_PAGES, 64);
    finish(ends);
    if (memory->file) {
        check_sparse(ends, memory, "to");
    }
    g_assert_cmpint(pages_sent(ends->from), <, ALL_PAGES / 2);
    check_written(ends->to);
    nfv_ends_compare(ends, 0, NFV_ENDS_BYTES);
}

/*
 * A real vCPU: waits for GO, then adds one to a byte in each page from TOUCHED
 * to TOUCHED_END, and says DONE.
 */
#define GO 0x8000
#define DONE 0x8001
#define TOUCHED 0x20000
#define TOUCHED_END 0x90000

static const uint8_t toucher[] = {
    0xfa,                         /*        cli */
    0x31, 0xc0,                   /*        xor ax, ax */
    0x8e, 0xd8,                   /*        mov ds, ax */
    0x80, 0x3e, 0x00, 0x80, 0x01, /* wait:  cmp byte [GO], 1 */
    0x75, 0xf9,                   /*        jne wait */
    0xbb, 0x00, 0x20,             /*        mov bx, TOUCHED / 16 */
    0x8e, 0xc3,                   /* next:  mov es, bx */
    0x26, 0xfe, 0x06, 0x00, 0x00, /*        inc byte [es:0] */
    0x81, 0xc3, 0x00, 0x01,       /*        add bx, 4096 / 16 */
    0x81, 0xfb, 0x00, 0x90,       /*        cmp bx, TOUCHED_END / 16 */
    0x72, 0xef,                   /*        jb next */
    0xc6, 0x06, 0x01, 0x80, 0x01, /*        mov byte [DONE], 1 */
    0xeb, 0xfe,                   /*        jmp $ */
};

static char *make_disk(NfvEnds *ends)
{
    g_autofree char *path = nfv_ends_path(ends, "disk");
    uint8_t sector[512] = { 0 };

    memcpy(sector, toucher, sizeof(toucher));
    sector[510] = 0x55;
    sector[511] = 0xaa;
    g_assert_true(
        g_file_set_contents(path, (char *)sector, sizeof(sector), NULL));
    /* No firmware boots from less. */
    g_assert_cmpint(truncate(path, 1024 * 1024), ==, 0);
    return g_strdup_printf("-accel tcg -drive file=%s,format=raw,if=none,"
                           "id=d,file.locking=off "
                           "-device virtio-blk-pci,drive=d,bootindex=1",
                           path);
}

static bool is_in_guest(QTestState *qts)
{
    uint8_t found[sizeof(toucher)];
    g_autofree char *registers = qtest_hmp(qts, "info registers");

    qtest_memread(qts, 0x7c00, found, sizeof(found));
    return !memcmp(found, toucher, sizeof(found)) && strstr(registers, "EIP="
                                                                       "00007c"
                                                                       "0");
}

static void wait_for_byte(QTestState *qts, uint64_t address, uint8_t value)
{
    while (qtest_readb(qts, address) != value) {
        g_usleep(10 * 1000);
    }
}

static void test_guest(const void *opaque)
{
    const Variant *v = opaque;
    g_autoptr(NfvEnds) ends = NULL;
    g_autofree char *disk = NULL;
    g_autofree char *to_options = NULL;

    if (!has(v)) {
        return;
    }
    ends = nfv_ends_new();
    disk = make_disk(ends);
    to_options = g_strconcat(disk, " -incoming defer", NULL);
    ends->from = start(ends, "from", ON_SIDE, &memories[0], disk);
    ends->to = start(ends, "to", ON_SIDE, &memories[0], to_options);
    while (!is_in_guest(ends->from)) {
        g_usleep(50 * 1000);
    }
    write_old(ends->from);
    begin_slowly(ends, v);
    begin_postcopy(ends);
    qtest_writeb(ends->to, GO, 1);
    /* It is done while the source still sends. */
    wait_for_byte(ends->to, DONE, 1);
    for (unsigned at = TOUCHED; at < TOUCHED_END; at += NFV_ENDS_PAGE) {
        g_assert_cmphex(qtest_readb(ends->to, at), ==,
                        (uint8_t)(qtest_readb(ends->from, at) + 1));
    }
    finish(ends);
    nfv_ends_check(ends->to, OLD_FIRST, OLD_PAGES, OLD_STEP, 1);
    nfv_ends_compare(ends, 0x100000, NFV_ENDS_BYTES - 0x100000);
}

/* Memory that came later */
#define DIMM (4ULL * 1024 * 1024 * 1024)
#define DIMM_BYTES (32ULL * 1024 * 1024)

static void test_dimm(const void *opaque)
{
    const Variant *v = opaque;
    g_autoptr(NfvEnds) ends = nfv_ends_new();
    const char *dimm = "-object memory-backend-ram,id=r,size=32M "
                       "-device pc-dimm,memdev=r,id=d -incoming defer";

    ends->from = start(ends, "from", ON_SIDE, &memories[0], "");
    ends->to = start(ends, "to", ON_SIDE, &memories[2], dimm);
    qtest_qmp_assert_success(ends->from,
                             "{ 'execute': 'object-add', 'arguments': {"
                             " 'qom-type': 'memory-backend-ram', 'id': 'r',"
                             " 'size': %llu } }",
                             (unsigned long long)DIMM_BYTES);
    qtest_qmp_assert_success(ends->from, "{ 'execute': 'device_add', "
                                         "'arguments': {"
                                         " 'driver': 'pc-dimm', 'memdev': 'r',"
                                         " 'id': 'd' } }");
    write_old(ends->from);
    nfv_ends_write(ends->from, DIMM / NFV_ENDS_PAGE, MIB_PAGES, 7, 9);
    begin_slowly(ends, v);
    write_meanwhile(ends);
    nfv_ends_write(ends->from, DIMM / NFV_ENDS_PAGE + 4 * MIB_PAGES, MIB_PAGES,
                   9, 8);
    finish(ends);
    g_assert_cmpint(pages_sent(ends->from), <, ALL_PAGES / 2);
    check_written(ends->to);
    nfv_ends_compare(ends, 0, NFV_ENDS_BYTES);
    nfv_ends_compare(ends, DIMM, DIMM_BYTES);
}

/* Files */

static void test_file(const void *opaque)
{
    bool mapped = opaque;
    g_autoptr(NfvEnds) ends = nfv_ends_new();
    g_autofree char *uri = nfv_ends_expand(ends, "file:%s/saved");

    ends->from = start(ends, "from", ON_SIDE, &memories[2], "");
    ends->to = start(ends, "to", ON_SIDE, &memories[0], "-incoming defer");
    if (mapped) {
        migrate_set_capability(ends->from, "mapped-ram", true);
        migrate_set_capability(ends->to, "mapped-ram", true);
    }
    write_old(ends->from);
    migrate_set_parameter_int(ends->from, "max-bandwidth", SLOW);
    migrate_qmp(ends->from, ends->to, uri, NULL, "{}");
    wait_for_migration_status(ends->from, "active", ended);
    write_new(ends->from);
    migrate_set_parameter_int(ends->from, "max-bandwidth", 0);
    wait_for_migration_complete(ends->from);
    check_sparse(ends, &memories[2], "from");
    migrate_incoming_qmp(ends->to, uri, NULL, "{}");
    wait_for_migration_complete(ends->to);
    check_written(ends->to);
    nfv_ends_compare(ends, 0, NFV_ENDS_BYTES);
}

/* Snapshots */

static char *make_qcow2(NfvEnds *ends)
{
    g_autofree char *path = nfv_ends_path(ends, "disk.qcow2");

    if (!have_qemu_img() || !mkimg(path, "qcow2", 16)) {
        g_test_skip("qemu-img is not available");
        return NULL;
    }
    return g_strdup_printf("-drive file=%s,format=qcow2,if=none,id=s", path);
}

static void snapshot(QTestState *qts, const char *command)
{
    g_autofree char *error = qtest_hmp(qts, "%s s", command);

    g_assert_cmpstr(error, ==, "");
}

/* What was a hole is one again. */
static void test_snapshot(void)
{
    g_autoptr(NfvEnds) ends = nfv_ends_new();
    g_autofree char *disk = make_qcow2(ends);

    if (!disk) {
        return;
    }
    ends->from = start(ends, "from", ON_SIDE, &memories[2], disk);
    write_old(ends->from);
    snapshot(ends->from, "savevm");
    nfv_ends_write(ends->from, OLD_FIRST, OLD_PAGES, 1, 4);
    nfv_ends_write(ends->from, HOLE_FIRST, HOLE_PAGES, 3, 4);
    snapshot(ends->from, "loadvm");
    nfv_ends_check(ends->from, OLD_FIRST, OLD_PAGES, OLD_STEP, 1);
    nfv_ends_check_holes(ends->from, OLD_FIRST + 1, OLD_PAGES - 1, OLD_STEP);
    nfv_ends_check_holes(ends->from, HOLE_FIRST, HOLE_PAGES, 1);
}

/* The destination goes away; the source lives on, and can migrate again. */
static void lose_destination(NfvEnds *ends)
{
    begin_slowly(ends, &variants[1]);
    qtest_kill_qemu(ends->to);
    g_clear_pointer(&ends->to, qtest_quit);
    wait_for_migration_fail(ends->from, true);
}

/* A snapshot is not for the destination of an earlier migration. */
static void test_snapshot_after(void)
{
    g_autoptr(NfvEnds) ends = nfv_ends_new();
    g_autofree char *disk = make_qcow2(ends);

    if (!disk) {
        return;
    }
    ends->from = start(ends, "from", ON_SIDE, &memories[0], disk);
    ends->to = start(ends, "to", ON_SIDE, &memories[0], "-incoming defer");
    write_old(ends->from);
    lose_destination(ends);
    snapshot(ends->from, "savevm");
    qtest_quit(ends->from);
    /* Any machine can load it. */
    ends->from = start(ends, "from", OFF_SIDE, &memories[0], disk);
    snapshot(ends->from, "loadvm");
    nfv_ends_check(ends->from, OLD_FIRST, OLD_PAGES, OLD_STEP, 1);
    nfv_ends_check_holes(ends->from, HOLE_FIRST, HOLE_PAGES, 7);
}

static void test_again(const void *opaque)
{
    const Variant *v = opaque;
    g_autoptr(NfvEnds) ends = NULL;

    if (!has(v)) {
        return;
    }
    ends = nfv_ends_new();
    ends->from = start(ends, "from", ON_SIDE, &memories[0], "");
    ends->to = start(ends, "to", ON_SIDE, &memories[0], "-incoming defer");
    write_old(ends->from);
    lose_destination(ends);
    ends->to = start(ends, "to", ON_SIDE, &memories[1], "-incoming defer");
    begin_slowly(ends, v);
    write_meanwhile(ends);
    if (v->postcopy) {
        begin_postcopy(ends);
        nfv_ends_check_holes(ends->to, HOLE_FIRST, MIB_PAGES, 64);
    }
    finish(ends);
    g_assert_cmpint(pages_sent(ends->from), <, ALL_PAGES / 2);
    check_written(ends->to);
    nfv_ends_compare(ends, 0, NFV_ENDS_BYTES);
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    add_matrix();
    for (int i = 0; i < ARRAY_SIZE(filled_cases); i++) {
        g_autofree char *path =
            g_strdup_printf("nfv/popmap/filled/%s", filled_cases[i].name);

        qtest_add_data_func(path, &filled_cases[i], test_filled);
    }
    qtest_add_data_func("nfv/popmap/recovery/anonymous", &memories[0],
                        test_recovery);
    qtest_add_data_func("nfv/popmap/recovery/shm", &memories[2], test_recovery);
    if (qtest_has_accel("tcg")) {
        qtest_add_data_func("nfv/popmap/guest/postcopy", &variants[3],
                            test_guest);
        qtest_add_data_func("nfv/popmap/guest/postcopy-preempt", &variants[4],
                            test_guest);
    }
    qtest_add_data_func("nfv/popmap/dimm/unix", &variants[1], test_dimm);
    qtest_add_data_func("nfv/popmap/dimm/multifd", &variants[2], test_dimm);
    qtest_add_data_func("nfv/popmap/file/plain", NULL, test_file);
    qtest_add_data_func("nfv/popmap/file/mapped-ram", (void *)true, test_file);
    qtest_add_func("nfv/popmap/snapshot", test_snapshot);
    qtest_add_func("nfv/popmap/snapshot-after-failure", test_snapshot_after);
    qtest_add_data_func("nfv/popmap/again/unix", &variants[1], test_again);
    qtest_add_data_func("nfv/popmap/again/postcopy", &variants[3], test_again);
    return g_test_run();
}
