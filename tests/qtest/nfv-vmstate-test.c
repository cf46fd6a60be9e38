/*
 * Device state saved and loaded in bulk: the same bytes as stock, for every
 * device that this QEMU has
 *
 * Copyright (c) 2026 the kvm4nfv authors
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "qemu/osdep.h"
#include "qemu/bswap.h"
#include "libqtest.h"
#include "migration/migration-qmp.h"
#include "migration/migration-util.h"
#include "nfv/process.h"
#include "qobject/qdict.h"
#include "qobject/qlist.h"
#include "qobject/qstring.h"

/* With what devices need and nfv has not by default. */
/* The clock of the host must not show in the state of a guest that stands
 * still. */
#define MACHINE                        \
    "-nodefaults -m 64 -rtc clock=vm " \
    "-M nfv,sata=on,smbus=on,i8042=on,usb=on"

/* Saving and loading */

typedef struct Scratch {
    char *directory, *state, *uri, *log;
} Scratch;

static void scratch_init(Scratch *s)
{
    s->directory = g_dir_make_tmp("nfv-vmstate-XXXXXX", NULL);
    s->state = g_strdup_printf("%s/state", s->directory);
    s->uri = g_strdup_printf("file:%s", s->state);
    s->log = g_strdup_printf("%s/log", s->directory);
}

static void scratch_clear(Scratch *s)
{
    g_assert_cmpint(rmdir(s->directory), ==, 0);
    g_free(s->directory);
    g_free(s->state);
    g_free(s->uri);
    g_free(s->log);
}
G_DEFINE_AUTO_CLEANUP_CLEAR_FUNC(Scratch, scratch_clear)

static void set_bulk(QTestState *qts, bool bulk)
{
    qtest_qom_set_bool(qts, "/machine", "migration-vmstate", bulk);
}

static GBytes *read_state(const Scratch *s)
{
    char *text;
    size_t size;

    g_assert(g_file_get_contents(s->state, &text, &size, NULL));
    unlink(s->state);
    return g_bytes_new_take(text, size);
}

/* The state of all devices without memory and description. */
static GBytes *save_devices(QTestState *qts, const Scratch *s, bool bulk)
{
    set_bulk(qts, bulk);
    qtest_qmp_assert_success(qts,
                             "{ 'execute': 'xen-save-devices-state',"
                             " 'arguments': { 'filename': %s } }",
                             s->state);
    return read_state(s);
}

/* A whole migration, to a file, where the description is always in it. */
static GBytes *save_all(QTestState *qts, const Scratch *s, bool bulk)
{
    set_bulk(qts, bulk);
    migrate_qmp(qts, NULL, s->uri, NULL, "{}");
    wait_for_migration_complete(qts);
    return read_state(s);
}

/* False if QEMU does not take it. */
static bool load_all(QTestState *qts, const Scratch *s, GBytes *state,
                     bool bulk)
{
    static const char *const ends[] = { "completed", "failed", NULL };
    g_autofree char *status = NULL;

    set_bulk(qts, bulk);
    g_assert(g_file_set_contents(s->state, g_bytes_get_data(state, NULL),
                                 g_bytes_get_size(state), NULL));
    qtest_qmp_assert_success(qts,
                             "{ 'execute': 'migrate-incoming', 'arguments': {"
                             " 'uri': %s, 'exit-on-error': false } }",
                             s->uri);
    do {
        g_free(status);
        g_usleep(1000);
        status = migrate_query_status(qts);
    } while (!g_strv_contains(ends, status));
    unlink(s->state);
    return g_str_equal(status, "completed");
}

/* The section that byte @at is in: a guess, for people. */
static char *section_of(const uint8_t *state, size_t at)
{
    for (size_t p = at; p > 8; p--) {
        const uint8_t *start = state + p;

        if (start[0] == 4 && start[1] == 0 && start[2] == 0 && start[5] > 3 &&
            p + 6 + start[5] < at && g_ascii_isprint(start[6]) &&
            g_ascii_isprint(start[5 + start[5]])) {
            return g_strdup_printf("byte %zu of %.*s", at - p, start[5],
                                   start + 6);
        }
    }
    return g_strdup("the header");
}

static void assert_same(const uint8_t *a, size_t size_a, const uint8_t *b,
                        size_t size_b)
{
    size_t at = 0;

    while (at < MIN(size_a, size_b) && a[at] == b[at]) {
        at++;
    }
    if (at < MAX(size_a, size_b)) {
        g_autofree char *where = section_of(a, at);

        g_test_message("the first difference is at byte %zu, %s", at, where);
    }
    g_assert_cmpmem(a, size_a, b, size_b);
}

static void assert_same_devices(GBytes *a, GBytes *b)
{
    size_t size_a, size_b;
    const uint8_t *bytes_a = g_bytes_get_data(a, &size_a);
    const uint8_t *bytes_b = g_bytes_get_data(b, &size_b);

    assert_same(bytes_a, size_a, bytes_b, size_b);
}

/* Where the description starts: its type, and its length to the end. */
static size_t find_description(const uint8_t *state, size_t size)
{
    for (size_t p = size - 5; p > 0; p--) {
        if (state[p] == 6 && ldl_be_p(state + p + 1) == size - p - 5) {
            return p;
        }
    }
    g_assert_not_reached();
}

/*
 * The last @devices bytes of device state and the description: memory before
 * them is cut into pieces by the clock.
 */
static void assert_same_end(GBytes *a, GBytes *b, size_t devices)
{
    size_t size_a, size_b;
    const uint8_t *bytes_a = g_bytes_get_data(a, &size_a);
    const uint8_t *bytes_b = g_bytes_get_data(b, &size_b);
    size_t from_a = find_description(bytes_a, size_a) - devices;
    size_t from_b = find_description(bytes_b, size_b) - devices;

    assert_same(bytes_a + from_a, size_a - from_a, bytes_b + from_b,
                size_b - from_b);
}

/* Save both ways.  The guest is stopped.  Returns a migration of it. */
static GBytes *check_save(QTestState *qts, const Scratch *s)
{
    g_autoptr(GBytes) stock = save_devices(qts, s, false);
    g_autoptr(GBytes) ours = save_devices(qts, s, true);

    assert_same_devices(stock, ours);
    return save_all(qts, s, false);
}

/* From one guest to the other, without the repeats in arrays. */
static void migrate_live(QTestState *from, QTestState *to, const Scratch *s)
{
    g_autofree char *uri = g_strdup_printf("unix:%s", s->state);

    set_bulk(from, true);
    set_bulk(to, true);
    migrate_set_capability(from, "return-path", true);
    migrate_set_capability(to, "return-path", true);
    migrate_incoming_qmp(to, uri, NULL, "{}");
    migrate_qmp(from, to, uri, NULL, "{}");
    wait_for_migration_complete(from);
    wait_for_migration_complete(to);
    /* A file has none. */
    migrate_set_capability(to, "return-path", false);
    unlink(s->state);
}

/*
 * Load @state both ways into two guests, migrate one on to @live, and save those
 * with their description.  Returns the size of the state of their devices, 0
 * if it cannot be loaded.
 */
static size_t check_load(QTestState *stock, QTestState *ours, QTestState *live,
                         const Scratch *s, GBytes *state)
{
    bool loads = load_all(stock, s, state, false);
    g_autoptr(GBytes) stock_devices = NULL;
    g_autoptr(GBytes) ours_devices = NULL;
    g_autoptr(GBytes) live_devices = NULL;
    g_autoptr(GBytes) stock_all = NULL;
    g_autoptr(GBytes) live_all = NULL;

    g_assert(load_all(ours, s, state, true) == loads);
    if (!loads) {
        return 0;
    }
    stock_devices = save_devices(stock, s, false);
    ours_devices = save_devices(ours, s, false);
    assert_same_devices(stock_devices, ours_devices);
    migrate_live(ours, live, s);
    live_devices = save_devices(live, s, false);
    assert_same_devices(stock_devices, live_devices);
    stock_all = save_all(stock, s, false);
    live_all = save_all(live, s, true);
    /* The devices alone have a header, 8 bytes. */
    assert_same_end(stock_all, live_all, g_bytes_get_size(stock_devices) - 8);
    return g_bytes_get_size(stock_devices);
}

/* Every device that can be plugged */

#define GROUP 24 /* devices in one guest; each has a root port */

static QList *list_types(QTestState *qts, const char *implements)
{
    QDict *response = qtest_qmp(qts,
                                "{ 'execute': 'qom-list-types', 'arguments': {"
                                " 'implements': %s, 'abstract': false } }",
                                implements);
    QList *types = qobject_ref(qdict_get_qlist(response, "return"));

    qobject_unref(response);
    return types;
}

/* Names of types; value: whether it is a PCI device. */
static GHashTable *find_types(GPtrArray *names)
{
    QTestState *qts = qtest_init("-M none");
    QList *devices = list_types(qts, "device");
    QList *pci = list_types(qts, "pci-device");
    GHashTable *is_pci =
        g_hash_table_new_full(g_str_hash, g_str_equal, g_free, NULL);
    const QListEntry *e;

    QLIST_FOREACH_ENTRY(pci, e) {
        g_hash_table_add(
            is_pci, g_strdup(qdict_get_str(qobject_to(QDict, e->value), "nam"
                                                                        "e")));
    }
    QLIST_FOREACH_ENTRY(devices, e) {
        g_ptr_array_add(
            names, g_strdup(qdict_get_str(qobject_to(QDict, e->value), "nam"
                                                                       "e")));
    }
    qobject_unref(devices);
    qobject_unref(pci);
    qtest_quit(qts);
    return is_pci;
}

static QTestState *start_group(const char *more)
{
    g_autoptr(GString) options = g_string_new(MACHINE);

    for (int i = 0; i < GROUP; i++) {
        g_string_append_printf(
            options,
            " -device pcie-root-port,id=port%d,chassis=%d,addr=0x%x.%d%s", i,
            i + 1, 8 + i / 8, i % 8, i % 8 ? "" : ",multifunction=on");
    }
    g_string_append_printf(options,
                           " -device qemu-xhci,id=xhci"
                           " -device virtio-scsi-pci,id=scsi"
                           " -device virtio-serial-pci,id=serial %s",
                           more);
    return qtest_init(options->str);
}

/* What a device may want, and how QEMU says that it is missing. */
static const struct {
    const char *complaint, *property, *command;
} wants[] = {
    { "drive", "drive",
      "{ 'execute': 'blockdev-add', 'arguments': { 'driver': 'null-co',"
      " 'node-name': %s, 'read-zeroes': true } }" },
    { "chardev", "chardev",
      "{ 'execute': 'chardev-add', 'arguments': { 'id': %s,"
      " 'backend': { 'type': 'null', 'data': {} } } }" },
};

/* Patterns of types that are not tried. */
static const char *const unusable[] = {
    "vhost-user*", "ivshmem-doorbell", /* wait for another process */
    "*-x86_64-cpu",                    /* all but one are refused */
    "pci-serial-2x",                   /* QEMU 10.0 crashes when it is saved */
};

static bool is_usable(const char *type)
{
    for (int i = 0; i < ARRAY_SIZE(unusable); i++) {
        if (g_pattern_match_simple(unusable[i], type)) {
            return false;
        }
    }
    return true;
}

/* NULL, or why not.  @n: makes names of what the device wants unique. */
static char *add(QTestState *qts, const char *type, const char *bus, int n)
{
    g_autofree char *id = g_strdup_printf("back%d", n);
    QDict *arguments = qdict_new();
    char *why = NULL;

    qdict_put_str(arguments, "driver", type);
    if (bus) {
        qdict_put_str(arguments, "bus", bus);
    }
    /* Without anything first, then with each that it complains about. */
    for (int i = -1; i < (int)ARRAY_SIZE(wants); i++) {
        QDict *response;

        if (i >= 0) {
            if (!strstr(why, wants[i].complaint)) {
                continue;
            }
            qtest_qmp_assert_success(qts, wants[i].command, id);
            qdict_put_str(arguments, wants[i].property, id);
        }
        g_clear_pointer(&why, g_free);
        response =
            qtest_qmp(qts, "{ 'execute': 'device_add', 'arguments': %p }",
                      qobject_ref(arguments));
        if (qdict_haskey(response, "error")) {
            why = g_strdup(
                qdict_get_str(qdict_get_qdict(response, "error"), "desc"));
        }
        qobject_unref(response);
        if (!why) {
            break;
        }
    }
    qobject_unref(arguments);
    return why;
}

static bool is_blocked(QTestState *qts)
{
    QDict *response = qtest_qmp(qts, "{ 'execute': 'query-migrate' }");
    bool blocked = qdict_haskey(qdict_get_qdict(response, "return"), "blocked-"
                                                                     "reasons");

    qobject_unref(response);
    return blocked;
}

typedef struct Types {
    GPtrArray *names;
    GHashTable *is_pci;
    GHashTable *skipped; /* cannot be plugged or migrated */
} Types;

/*
 * Plug types from number @first on into @qts until its ports are used.  Returns
 * the number of the first that was not tried; -1 if one was tried that cannot
 * be plugged or migrated: that is in @types->skipped now, and the same with
 * another guest goes further.
 */
static int plug(const Types *types, QTestState *qts, int first,
                GString *plugged)
{
    bool as_found = true; /* nothing in it of a device that was refused */
    int used = 0, n;

    for (n = first; n < types->names->len && used < GROUP; n++) {
        const char *type = g_ptr_array_index(types->names, n);
        bool is_pci = g_hash_table_contains(types->is_pci, type);
        g_autofree char *port = g_strdup_printf("port%d", used);
        g_autofree char *why = NULL;

        if (g_hash_table_contains(types->skipped, type)) {
            continue;
        }
        why = is_usable(type) ? add(qts, type, is_pci ? port : NULL, n) :
                                g_strdup("known");
        if (!why && is_blocked(qts)) {
            g_test_message("without %s: it cannot be migrated", type);
            g_hash_table_add(types->skipped, (void *)type);
            return -1;
        }
        if (why) {
            g_test_message("without %s: %s", type, why);
            g_hash_table_add(types->skipped, (void *)type);
            as_found = false;
            continue;
        }
        g_string_append_printf(plugged, " %s", type);
        used++;
    }
    return as_found ? n : -1;
}

/* One group; returns the first type of the next one. */
static int check_group(const Types *types, const Scratch *s, int first)
{
    g_autoptr(GString) plugged = g_string_new("");
    QTestState *from = start_group("-S"), *to[3];
    int next = plug(types, from, first, plugged);
    g_autoptr(GBytes) state = NULL;
    size_t size;

    if (next < 0) {
        qtest_quit(from);
        return first;
    }
    state = check_save(from, s);
    qtest_quit(from);
    for (int i = 0; i < 3; i++) {
        g_string_truncate(plugged, 0);
        to[i] = start_group("-incoming defer");
        g_assert_cmpint(plug(types, to[i], first, plugged), ==, next);
    }
    size = check_load(to[0], to[1], to[2], s, state);
    g_test_message("%zu bytes loaded with%s", size, plugged->str);
    for (int i = 0; i < 3; i++) {
        qtest_quit(to[i]);
    }
    return next;
}

static void test_plugged(void)
{
    g_autoptr(GPtrArray) names = g_ptr_array_new_with_free_func(g_free);
    g_autoptr(GHashTable) is_pci = find_types(names);
    g_autoptr(GHashTable) skipped = g_hash_table_new(g_str_hash, g_str_equal);
    Types types = { names, is_pci, skipped };
    g_auto(Scratch) scratch = { 0 };

    scratch_init(&scratch);
    for (int first = 0; first < names->len;) {
        first = check_group(&types, &scratch, first);
    }
    /* A virtio device is what this is about. */
    g_assert(!g_hash_table_contains(skipped, "virtio-net-pci"));
    g_assert_cmpint(names->len - g_hash_table_size(skipped), >, 80);
}

/* A guest in which firmware has worked, with all that q35 has of its own */

#define FIRMWARE                                                         \
    "-accel tcg -blockdev null-co,node-name=d,read-zeroes=on"            \
    " -device virtio-blk-pci,drive=d -device virtio-net-pci -device VGA" \
    " -device virtio-scsi-pci -device qemu-xhci -device usb-tablet"      \
    " -device e1000e -serial null"

static QTestState *start_traced(const Scratch *s, const char *options)
{
    return qtest_initf(MACHINE " " FIRMWARE " -trace nfv_vmstate_* -D %s %s",
                       s->log, options);
}

/* End it, and check that it did something in bulk. */
static void quit_traced(QTestState *qts, const Scratch *s, const char *done)
{
    g_autofree char *log = NULL;

    qtest_quit(qts);
    g_assert(g_file_get_contents(s->log, &log, NULL, NULL));
    unlink(s->log);
    g_assert(strstr(log, done));
}

/* Whether firmware gave its first device an address in memory. */
static bool has_address(QTestState *qts)
{
    g_autofree char *pci = qtest_hmp(qts, "info pci");

    /* All ones where there is none. */
    return g_regex_match_simple("memory at 0x[0-9a-f]{8} ", pci, 0, 0);
}

static void test_firmware(void)
{
    g_auto(Scratch) scratch = { 0 };
    g_autoptr(GBytes) state = NULL;
    QTestState *from, *stock, *ours, *live;

    if (!qtest_has_accel("tcg")) {
        g_test_skip("no TCG to run firmware with");
        return;
    }
    scratch_init(&scratch);
    from = start_traced(&scratch, "");
    while (!has_address(from)) {
        g_usleep(10000);
    }
    qtest_qmp_assert_success(from, "{ 'execute': 'stop' }");
    state = check_save(from, &scratch);
    quit_traced(from, &scratch,
                "nfv_vmstate_save vqs: 1023 elements of 28 bytes");
    stock = qtest_init(MACHINE " " FIRMWARE " -incoming defer");
    ours = start_traced(&scratch, "-incoming defer");
    live = qtest_init(MACHINE " " FIRMWARE " -incoming defer");
    g_assert_cmpint(check_load(stock, ours, live, &scratch, state), >, 0);
    qtest_quit(stock);
    qtest_quit(live);
    /* The last queue is followed by a subsection. */
    quit_traced(ours, &scratch,
                "nfv_vmstate_load vqs: 1023 elements, 1022 done");
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    qtest_add_func("nfv/vmstate/firmware", test_firmware);
    qtest_add_func("nfv/vmstate/plugged", test_plugged);
    return g_test_run();
}
