/*
 * The nfv machine type: what it is, what it has by default, and what can be
 * turned on again
 *
 * Copyright (c) 2026 the kvm4nfv authors
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "qemu/osdep.h"
#include "libqtest.h"
#include "nfv/process.h"
#include "qobject/qdict.h"
#include "qobject/qjson.h"
#include "qobject/qlist.h"

/* Defaults: the same value in -M q35 shows that nothing leaked into it. */

typedef struct Default {
    const char *property;
    const char *nfv, *q35; /* as JSON; NULL: there is no such property */
} Default;

static const Default defaults[] = {
    { "hpet", "false", "true" },           { "smbus", "false", "true" },
    { "sata", "false", "true" },           { "i8042", "false", "true" },
    { "fd-bootchk", "false", "true" },     { "vmport", "\"off\"", "\"on\"" },
    { "smm", "\"off\"", "\"auto\"" },      { "pit", "\"auto\"", "\"auto\"" },
    { "pic", "\"auto\"", "\"auto\"" },     { "acpi", "\"auto\"", "\"auto\"" },
    { "usb", "false", "false" },           { "vcpu-cpus", "\"\"", NULL },
    { "rt-vcpus", "\"\"", NULL },          { "iothread-cpus", "\"\"", NULL },
    { "housekeeping-cpus", "\"\"", NULL }, { "rt", "\"auto\"", NULL },
    { "vcpu-priority", "1", NULL },        { "iothread-priority", "0", NULL },
    { "emulator-priority", "0", NULL },
    { "halt-poll-ns", "\"auto\"", NULL },
    { "cpu-pm", "false", NULL },
};

static void check_property(QTestState *qts, const char *property,
                           const char *expected)
{
    QDict *response = qtest_qmp(qts,
                                "{ 'execute': 'qom-get', 'arguments': { "
                                "'path': '/machine', 'property': %s } }",
                                property);
    QObject *value = qdict_get(response, "return");

    g_test_message("%s", property);
    if (expected) {
        g_autoptr(GString) json = NULL;

        g_assert(value);
        json = qobject_to_json(value);
        g_assert_cmpstr(json->str, ==, expected);
    } else {
        g_assert(qdict_haskey(response, "error"));
    }
    qobject_unref(response);
}

static void test_defaults(void)
{
    QTestState *nfv = qtest_init("-M nfv"), *q35 = qtest_init("-M q35");

    for (int i = 0; i < ARRAY_SIZE(defaults); i++) {
        check_property(nfv, defaults[i].property, defaults[i].nfv);
        check_property(q35, defaults[i].property, defaults[i].q35);
    }
    qtest_quit(q35);
    qtest_quit(nfv);
}

/* What the defaults leave out, as a guest finds it */

static uint32_t pci_config(QTestState *qts, unsigned function)
{
    qtest_outl(qts, 0xcf8, 0x80000000 | 0x1f << 11 | function << 8);
    return qtest_inl(qts, 0xcfc);
}

static bool has_hpet(QTestState *qts)
{
    return qtest_readl(qts, 0xfed00000) >> 16 == 0x8086;
}

static bool has_ahci(QTestState *qts)
{
    return pci_config(qts, 2) == 0x29228086;
}

static bool has_smbus(QTestState *qts)
{
    return pci_config(qts, 3) == 0x29308086;
}

static bool has_i8042(QTestState *qts)
{
    return qtest_inb(qts, 0x64) != 0xff;
}

static bool has_floppy_check(QTestState *qts)
{
    qtest_outb(qts, 0x70, 0x38);
    return (qtest_inb(qts, 0x71) & 1) == 0;
}

static bool qtree_has(QTestState *qts, const char *text)
{
    g_autofree char *qtree = qtest_hmp(qts, "info qtree");

    return strstr(qtree, text) != NULL;
}

static bool has_vmport(QTestState *qts)
{
    return qtree_has(qts, "dev: vmport");
}

static bool has_smm(QTestState *qts)
{
    return qtree_has(qts, "smm-enabled = true");
}

typedef struct Part {
    const char *name;
    const char *options; /* that add it */
    bool (*found)(QTestState *qts);
} Part;

static const Part parts[] = {
    { "hpet", "hpet=on", has_hpet },
    { "sata", "sata=on", has_ahci },
    { "smbus", "smbus=on", has_smbus },
    { "i8042", "i8042=on", has_i8042 },
    { "fd-bootchk", "fd-bootchk=on", has_floppy_check },
    { "vmport", "vmport=on,i8042=on", has_vmport },
    { "smm", "smm=on", has_smm },
};

/* Each part is missing, can be added alone, and q35 has it. */
static void test_part(const void *opaque)
{
    const Part *part = opaque;
    QTestState *qts = qtest_init("-M nfv -nodefaults");

    g_assert_false(part->found(qts));
    qtest_quit(qts);

    qts = qtest_initf("-M nfv,%s -nodefaults", part->options);
    g_assert_true(part->found(qts));
    for (const Part *other = parts; other < parts + ARRAY_SIZE(parts);
         other++) {
        g_assert_cmpint(other->found(qts), ==,
                        strstr(part->options, other->name) != NULL);
    }
    qtest_quit(qts);

    qts = qtest_init("-M q35 -nodefaults");
    g_assert_true(part->found(qts));
    qtest_quit(qts);
}

static void test_vmport_needs_i8042(void)
{
    g_autofree char *output = NULL;

    g_assert_cmpint(nfv_test_run(&output, "-M nfv,vmport=on -display none "
                                          "-nodefaults -accel qtest"),
                    ==, 1);
    g_assert(strstr(output, "vmport requires the i8042 controller"));
}

static void test_default_devices(void)
{
    QTestState *qts = qtest_init("-M nfv");

    g_assert_true(qtree_has(qts, "dev: virtio-net-pci"));
    g_assert_false(qtree_has(qts, "dev: VGA"));
    g_assert_true(qtree_has(qts, "dev: isa-pit"));
    qtest_quit(qts);
}

/* The machine among others */

static QDict *find_machine(const QDict *response, const char *name)
{
    const QListEntry *entry;

    QLIST_FOREACH_ENTRY(qdict_get_qlist(response, "return"), entry) {
        QDict *machine = qobject_to(QDict, qlist_entry_obj(entry));

        if (!strcmp(qdict_get_str(machine, "name"), name)) {
            return machine;
        }
    }
    g_assert_not_reached();
}

static void test_query_machines(void)
{
    QTestState *qts = qtest_init("-M none");
    QDict *response = qtest_qmp(qts, "{ 'execute': 'query-machines' }");
    const QDict *nfv = find_machine(response, "pc-q35-nfv-10.0"),
                *q35 = find_machine(response, "pc-q35-10.0");
    const QDict *pc = find_machine(response, "pc-i440fx-10.0");

    g_assert_cmpstr(qdict_get_str(nfv, "alias"), ==, "nfv");
    g_assert_false(qdict_get_try_bool(nfv, "is-default", false));
    g_assert_cmpstr(qdict_get_str(q35, "alias"), ==, "q35");
    /*
     * In all else the machine is q35's equal: vCPU hot plug, NUMA, the name of
     * its RAM.
     */
    for (const QDictEntry *e = qdict_first(q35); e; e = qdict_next(q35, e)) {
        const char *key = qdict_entry_key(e);

        g_test_message("%s", key);
        g_assert(!strcmp(key, "name") || !strcmp(key, "alias") ||
                 qobject_is_equal(qdict_get(nfv, key), qdict_entry_value(e)));
    }
    g_assert_true(qdict_get_bool(pc, "is-default"));
    qobject_unref(response);
    qtest_quit(qts);
}

static bool list_has(const QList *list, const QObject *value)
{
    const QListEntry *entry;

    QLIST_FOREACH_ENTRY(list, entry) {
        if (qobject_is_equal(qlist_entry_obj(entry), value)) {
            return true;
        }
    }
    return false;
}

/* All of q35's, and in it none of nfv's own. */
static void test_compat_props(void)
{
    QTestState *qts = qtest_init("-M none");
    QDict *response = qtest_qmp(qts, "{ 'execute': 'query-machines', "
                                     "'arguments': { 'compat-props': true } }");
    const QDict *nfv = find_machine(response, "pc-q35-nfv-10.0"),
                *q35 = find_machine(response, "pc-q35-10.0");
    QList *of_nfv = qdict_get_qlist((QDict *)nfv, "compat-props"),
          *of_q35 = qdict_get_qlist((QDict *)q35, "compat-props");
    QDict *pit = qdict_from_jsonf_nofail(
        "{ 'qom-type': 'kvm-pit', 'property': 'lost_tick_policy', "
        "'value': 'discard' }");
    const QListEntry *entry;

    g_assert(!qlist_empty(of_q35));
    QLIST_FOREACH_ENTRY(of_q35, entry) {
        g_assert_true(list_has(of_nfv, qlist_entry_obj(entry)));
    }
    g_assert_true(list_has(of_nfv, QOBJECT(pit)));
    g_assert_false(list_has(of_q35, QOBJECT(pit)));
    qobject_unref(pit);
    qobject_unref(response);
    qtest_quit(qts);
}

/* Chunks of 16 MiB, unless somebody wants others. */
static void test_clear_chunks(void)
{
    static const struct {
        const char *options, *words;
    } cases[] = {
        { "-M nfv", "clear-bitmap-shift: 12" },
        { "-M nfv -global migration.x-clear-bitmap-shift=18",
          "clear-bitmap-shift: 18" },
        { "-M q35", "clear-bitmap-shift: 18" },
    };

    for (int i = 0; i < ARRAY_SIZE(cases); i++) {
        QTestState *qts = qtest_init(cases[i].options);
        g_autofree char *info = qtest_hmp(qts, "info migrate");

        g_assert_nonnull(strstr(info, cases[i].words));
        qtest_quit(qts);
    }
}

static void check_type(const char *machine, const char *type)
{
    QTestState *qts = qtest_initf("-M %s", machine);

    check_property(qts, "type", type);
    qtest_quit(qts);
}

static void test_alias(void)
{
    check_type("nfv", "\"pc-q35-nfv-10.0-machine\"");
    check_type("pc-q35-nfv-10.0", "\"pc-q35-nfv-10.0-machine\"");
    check_type("q35", "\"pc-q35-10.0-machine\"");
    check_type("pc", "\"pc-i440fx-10.0-machine\"");
}

static void test_help(void)
{
    g_autofree char *output = NULL;

    g_assert_cmpint(nfv_test_run(&output, "-M nfv,help"), ==, 0);
    for (int i = 0; i < ARRAY_SIZE(defaults); i++) {
        g_autofree char *line =
            g_strdup_printf("\n  %s=<", defaults[i].property);

        g_assert(strstr(output, line));
    }
    g_assert(strstr(output, "(default: auto)"));
    g_assert_cmpint(nfv_test_run(&output, "-M help"), ==, 0);
    g_assert(strstr(output, "(alias of pc-q35-nfv-10.0)"));
    g_assert(strstr(output, "(alias of pc-q35-10.0)"));
}

/* query-nfv and info nfv, of which the placement tests look at the threads */

static void check_no_nfv(const char *machine)
{
    QTestState *qts = qtest_initf("-M %s", machine);
    QDict *response = qtest_qmp(qts, "{ 'execute': 'query-nfv' }");
    QDict *error = qdict_get_qdict(response, "error");
    g_autofree char *info = NULL;

    g_assert(error);
    g_assert_cmpstr(qdict_get_str(error, "class"), ==, "GenericError");
    g_assert(strstr(qdict_get_str(error, "desc"), "is not an nfv machine"));
    qobject_unref(response);
    info = qtest_hmp(qts, "info nfv");
    g_assert(strstr(info, "is not an nfv machine"));
    g_assert(strstr(info, "-M nfv"));
    qtest_quit(qts);
}

static void test_query_elsewhere(void)
{
    check_no_nfv("q35");
    check_no_nfv("none");
}

static void test_query(void)
{
    QTestState *qts = qtest_init("-M nfv");
    QDict *info = qtest_qmp_assert_success_ref(qts, "{ 'execute': 'query-nfv' "
                                                    "}");
    g_autofree char *table = qtest_hmp(qts, "info nfv");

    g_assert_cmpstr(qdict_get_str(info, "machine"), ==, "pc-q35-nfv-10.0");
    g_assert_false(qdict_haskey(info, "plan"));
    g_assert(g_str_has_prefix(table, "pc-q35-nfv-10.0: no vcpu-cpus"));
    qobject_unref(info);
    qtest_quit(qts);
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);

    qtest_add_func("nfv/machine/defaults", test_defaults);
    qtest_add_func("nfv/machine/default-devices", test_default_devices);
    for (int i = 0; i < ARRAY_SIZE(parts); i++) {
        g_autofree char *path =
            g_strdup_printf("nfv/machine/part/%s", parts[i].name);

        qtest_add_data_func(path, &parts[i], test_part);
    }
    qtest_add_func("nfv/machine/vmport-needs-i8042", test_vmport_needs_i8042);
    qtest_add_func("nfv/machine/query-machines", test_query_machines);
    qtest_add_func("nfv/machine/compat-props", test_compat_props);
    qtest_add_func("nfv/machine/clear-chunks", test_clear_chunks);
    qtest_add_func("nfv/machine/alias", test_alias);
    qtest_add_func("nfv/machine/help", test_help);
    qtest_add_func("nfv/machine/query", test_query);
    qtest_add_func("nfv/machine/query-elsewhere", test_query_elsewhere);

    return g_test_run();
}
