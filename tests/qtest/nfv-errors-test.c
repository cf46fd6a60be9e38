/*
 * What the nfv machine refuses, and what it says then
 *
 * Copyright (c) 2026 the kvm4nfv authors
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "qemu/osdep.h"
#include <sched.h>
#include "libqtest.h"
#include "nfv/host.h"
#include "nfv/process.h"
#include "nfv/setup.h"
#include "nfv/thread.h"
#include "qobject/qdict.h"
#include "qobject/qlist.h"

/* @0, @1: the first two host CPUs of the test; @x: one that it has not. */
static char *insert_cpus(const char *text)
{
    GString *out = g_string_new(NULL);

    for (; *text; text++) {
        if (*text != '@') {
            g_string_append_c(out, *text);
            continue;
        }
        text++;
        g_string_append_printf(
            out, "%u",
            *text == 'x' ? nfv_test_no_cpu() : nfv_test_cpu(*text - '0'));
    }
    return g_string_free(out, false);
}

/* Input that is wrong on every host */

typedef struct ErrorCase {
    const char *name;
    const char *properties; /* with insert_cpus() */
    const char *words[4];   /* all are in the message, with insert_cpus() */
    const char *options;    /* NULL for none */
} ErrorCase;

static const ErrorCase error_cases[] = {
    /* The form of a list */
    { "vcpu-cpus/empty", "vcpu-cpus=", { "vcpu-cpus=''", "empty", "2-5:7" } },
    { "vcpu-cpus/blank",
      "vcpu-cpus=' '",
      { "vcpu-cpus=' '", "neither a number nor a range", "2-5:7" } },
    { "vcpu-cpus/word",
      "vcpu-cpus=x",
      { "vcpu-cpus='x'", "'x' is neither", "2-5:7" } },
    { "vcpu-cpus/upper-case-auto",
      "vcpu-cpus=Auto",
      { "vcpu-cpus='Auto'", "neither" } },
    { "vcpu-cpus/reversed",
      "vcpu-cpus=5-2",
      { "vcpu-cpus='5-2'", "reversed", "write 2-5" } },
    { "vcpu-cpus/no-end",
      "vcpu-cpus=2-",
      { "vcpu-cpus='2-'", "neither", "2-5:7" } },
    { "vcpu-cpus/no-start",
      "vcpu-cpus=-2",
      { "vcpu-cpus='-2'", "neither", "2-5:7" } },
    { "vcpu-cpus/three-ends",
      "vcpu-cpus=1-2-3",
      { "vcpu-cpus='1-2-3'", "neither" } },
    { "vcpu-cpus/empty-part",
      "vcpu-cpus=1::2",
      { "vcpu-cpus='1::2'", "neither" } },
    { "vcpu-cpus/last-part-empty",
      "vcpu-cpus=1:",
      { "vcpu-cpus='1:'", "neither" } },
    { "vcpu-cpus/hexadecimal",
      "vcpu-cpus=0x1",
      { "vcpu-cpus='0x1'", "neither" } },
    { "vcpu-cpus/sign", "vcpu-cpus=+1", { "vcpu-cpus='+1'", "neither" } },
    { "vcpu-cpus/stride",
      "vcpu-cpus=0-8/2",
      { "vcpu-cpus='0-8/2'", "neither" } },
    { "vcpu-cpus/too-large",
      "vcpu-cpus=8192",
      { "vcpu-cpus='8192'", "from 0 to 8191" } },
    { "vcpu-cpus/overflow",
      "vcpu-cpus=4294967296",
      { "vcpu-cpus='4294967296'", "from 0 to 8191" } },
    { "vcpu-cpus/twice",
      "vcpu-cpus=@0:@0",
      { "vcpu-cpus='@0:@0'", "@0 is in the list twice" } },
    { "vcpu-cpus/twice-after-commas",
      "vcpu-cpus=@0,,@0",
      { "vcpu-cpus='@0,@0'", "@0 is in the list twice" } },
    { "vcpu-cpus/twice-in-range",
      "vcpu-cpus=3:2-5",
      { "vcpu-cpus='3:2-5'", "3 is in the list twice" } },
    /* -M splits at commas: what follows is not a value but a property. */
    { "vcpu-cpus/comma", "vcpu-cpus=2,3", { "Invalid parameter '3'" } },
    { "vcpu-cpus/auto-in-list",
      "vcpu-cpus=auto:2",
      { "vcpu-cpus='auto:2'", "'auto' is neither" } },
    { "rt-vcpus/word",
      "vcpu-cpus=@0,rt-vcpus=all",
      { "rt-vcpus='all'", "neither" } },
    { "rt-vcpus/empty", "vcpu-cpus=@0,rt-vcpus=", { "rt-vcpus=''", "empty" } },
    { "iothread-cpus/auto",
      "vcpu-cpus=@0,iothread-cpus=auto",
      { "iothread-cpus='auto'", "neither" } },
    { "housekeeping-cpus/reversed",
      "vcpu-cpus=@0,housekeeping-cpus=9-8",
      { "housekeeping-cpus='9-8'", "write 8-9" } },

    /* Host CPUs and vCPUs */
    { "vcpu-cpus/offline",
      "vcpu-cpus=@x",
      { "vcpu-cpus: host CPU @x", "offline or does not exist", "online are" } },
    { "housekeeping-cpus/offline",
      "vcpu-cpus=@0,housekeeping-cpus=@1:@x",
      { "housekeeping-cpus: host CPU @x", "offline" } },
    { "iothread-cpus/offline",
      "vcpu-cpus=@0,iothread-cpus=@x",
      { "iothread-cpus: host CPU @x", "offline" } },
    { "vcpu-cpus/too-few",
      "vcpu-cpus=@0",
      { "vcpu-cpus", "too few host CPUs", "2 vCPUs", "-smp" },
      "-smp 2" },
    { "vcpu-cpus/too-many",
      "vcpu-cpus=@0:@1",
      { "vcpu-cpus", "too many host CPUs", "maxcpus" },
      "-smp 1" },
    { "housekeeping-cpus/overlap",
      "vcpu-cpus=@0,housekeeping-cpus=@0:@1",
      { "housekeeping-cpus", "overlaps vcpu-cpus in @0" } },
    { "iothread-cpus/overlap",
      "vcpu-cpus=@0,iothread-cpus=@0",
      { "iothread-cpus", "overlaps vcpu-cpus in @0" } },
    { "rt-vcpus/too-large",
      "vcpu-cpus=@0,rt-vcpus=2",
      { "rt-vcpus", "no vCPU 2", "0 to 1" },
      "-smp 1,maxcpus=2" },
    { "vcpu-cpus/none-isolated",
      "vcpu-cpus=auto",
      { "vcpu-cpus=auto", "no isolated host CPU", "isolcpus=" } },

    /* Other properties */
    { "vcpu-priority/low",
      "vcpu-cpus=@0,vcpu-priority=0",
      { "vcpu-priority=0", "1 to 98" } },
    { "vcpu-priority/high",
      "vcpu-cpus=@0,vcpu-priority=99",
      { "vcpu-priority=99", "1 to 98" } },
    { "vcpu-priority/negative",
      "vcpu-cpus=@0,vcpu-priority=-1",
      { "vcpu-priority=-1", "1 to 98" } },
    { "vcpu-priority/wraps",
      "vcpu-cpus=@0,vcpu-priority=257",
      { "vcpu-priority=257", "1 to 98" } },
    { "vcpu-priority/word",
      "vcpu-cpus=@0,vcpu-priority=high",
      { "vcpu-priority", "int" } },
    { "iothread-priority/high",
      "vcpu-cpus=@0,iothread-priority=99",
      { "iothread-priority=99", "0 to 98" } },
    { "iothread-priority/negative",
      "vcpu-cpus=@0,iothread-priority=-1",
      { "iothread-priority=-1", "0 to 98" } },
    { "emulator-priority/high",
      "vcpu-cpus=@0,emulator-priority=99",
      { "emulator-priority=99", "0 to 98" } },
    { "rt/word", "vcpu-cpus=@0,rt=maybe", { "rt", "maybe" } },

    /* What has no effect alone */
    { "alone/rt", "rt=on", { "rt has no effect without vcpu-cpus" } },
    { "alone/rt-vcpus",
      "rt-vcpus=0",
      { "rt-vcpus has no effect without vcpu-cpus" } },
    { "alone/iothread-cpus",
      "iothread-cpus=@0",
      { "iothread-cpus has no effect without vcpu-cpus" } },
    { "alone/housekeeping-cpus",
      "housekeeping-cpus=@0",
      { "housekeeping-cpus has no effect without vcpu-cpus" } },
    { "alone/vcpu-priority",
      "vcpu-priority=5",
      { "vcpu-priority has no effect without vcpu-cpus" } },
    { "alone/iothread-priority",
      "iothread-priority=5",
      { "iothread-priority has no effect without" } },
    { "alone/emulator-priority",
      "emulator-priority=5",
      { "emulator-priority has no effect without" } },
};

static void test_case(const void *opaque)
{
    const ErrorCase *c = opaque;
    g_auto(NfvTestRoot) root = NULL;
    g_autofree char *properties = NULL;
    g_auto(GStrv) words = g_new0(char *, ARRAY_SIZE(c->words) + 1);

    /*
     * Without a host CPU in the text, none is needed to see that it is wrong.
     */
    if (!strchr(c->properties, '@') || nfv_test_has_cpus(2)) {
        root = nfv_test_root_new();
        properties = insert_cpus(c->properties);
        for (int i = 0; i < ARRAY_SIZE(c->words) && c->words[i]; i++) {
            words[i] = insert_cpus(c->words[i]);
        }
        nfv_test_refused(root, properties, c->options,
                         (const char *const *)words);
    }
}

/* Facts of the host */

/* Online, and yet not for QEMU. */
static void test_not_granted(void)
{
    g_auto(NfvTestRoot) root = nfv_test_root_new();

    nfv_test_root_write(root, NFV_TEST_ONLINE, "0-8191");
    nfv_test_refused(root, "rt=off,vcpu-cpus=8191", NULL,
                     (NfvWords) { "vcpu-cpus: host CPU 8191", "not granted",
                               "its cpuset has" });
}

/*
 * Without a list of the user's, all that the kernel grants is for vCPUs or for
 * housekeeping.
 */
static void test_no_housekeeping(void)
{
    g_auto(NfvTestRoot) root = nfv_test_root_new();
    g_autofree char *granted = nfv_test_granted_cpus(), *properties = NULL,
                    *options = NULL;
    g_auto(GStrv) cpus = g_strsplit(granted, ",", -1);

    if (g_strv_length(cpus) > 255) {
        g_test_skip("more host CPUs than a q35 machine has vCPUs");
        return;
    }
    nfv_test_root_write(root, NFV_TEST_ONLINE, granted);
    properties =
        g_strdup_printf("rt=off,vcpu-cpus=%s", g_strdelimit(granted, ",", ':'));
    options = g_strdup_printf("-smp 1,maxcpus=%u", g_strv_length(cpus));
    nfv_test_refused(
        root, properties, options,
        (NfvWords) { "vcpu-cpus takes every host CPU",
                  "none is left for housekeeping", "Leave at least one" });
}

static void test_no_lock_file(void)
{
    g_auto(NfvSetup) s = { 0 };
    g_autofree char *locks = NULL;

    if (!nfv_setup_init(&s)) {
        return;
    }
    nfv_test_root_write(s.root, NFV_TEST_ISOLATED, s.first);
    locks = g_strconcat(s.root, "/run/lock", NULL);
    g_assert_cmpint(rmdir(locks), ==, 0);
    nfv_test_refused(s.root, "rt=off,vcpu-cpus=auto", NULL,
                     (NfvWords) { "vcpu-cpus=auto", "cannot lock",
                               "/run/lock/kvm4nfv-cpu", "No such file" });
}

/* A running machine */

static void test_hotplug_without_cpu(void)
{
    g_auto(NfvSetup) s = { 0 };
    QTestState *qts;
    QDict *response;
    const char *message;

    if (!nfv_setup_init(&s)) {
        return;
    }
    qts = nfv_setup_start(&s, "qtest", "rt=off",
                          "-cpu qemu64 -smp 1,maxcpus=2,sockets=2");
    response = qtest_qmp(qts, "{ 'execute': 'device_add', 'arguments': { "
                              "'driver': 'qemu64-x86_64-cpu', 'id': 'hot', "
                              "'socket-id': 1, 'die-id': 0, 'module-id': 0, "
                              "'core-id': 0, 'thread-id': 0 } }");
    g_assert(qdict_haskey(response, "error"));
    message = qdict_get_str(qdict_get_qdict(response, "error"), "desc");
    g_assert(strstr(message, "vcpu-cpus has 1 host CPUs and none for vCPU 1"));
    qobject_unref(response);

    response = qtest_qmp(qts, "{ 'execute': 'query-cpus-fast' }");
    g_assert_cmpuint(qlist_size(qdict_get_qlist(response, "return")), ==, 1);
    qobject_unref(response);
    nfv_setup_expect(&s, qts, (NfvPriorities) { 0 }, NULL);
    qtest_quit(qts);
}

static void test_qom_set(void)
{
    static const char *const sets[] = {
        "'property': 'vcpu-cpus', 'value': '0'",
        "'property': 'rt-vcpus', 'value': '0'",
        "'property': 'iothread-cpus', 'value': '0'",
        "'property': 'housekeeping-cpus', 'value': '0'",
        "'property': 'vcpu-priority', 'value': 2",
        "'property': 'iothread-priority', 'value': 2",
        "'property': 'emulator-priority', 'value': 2",
        "'property': 'rt', 'value': 'off'",
        "'property': 'x-host-root', 'value': '/'",
    };
    QTestState *qts = qtest_init("-M nfv");

    for (int i = 0; i < ARRAY_SIZE(sets); i++) {
        g_autofree char *command = g_strdup_printf("{ 'execute': 'qom-set', "
                                                   "'arguments': { 'path': "
                                                   "'/machine', %s } }",
                                                   sets[i]);
        QDict *response;

        qtest_qmp_send_raw(qts, "%s", command);
        response = qtest_qmp_receive(qts);
        g_assert(qdict_haskey(response, "error"));
        g_assert(strstr(qdict_get_str(qdict_get_qdict(response, "error"), "des"
                                                                          "c"),
                        "cannot be changed after the machine was made"));
        qobject_unref(response);
    }
    qtest_quit(qts);
}

int main(int argc, char **argv)
{
    nfv_test_init(&argc, &argv);

    for (int i = 0; i < ARRAY_SIZE(error_cases); i++) {
        g_autofree char *path =
            g_strdup_printf("nfv/errors/%s", error_cases[i].name);

        qtest_add_data_func(path, &error_cases[i], test_case);
    }
    qtest_add_func("nfv/errors/vcpu-cpus/not-granted", test_not_granted);
    qtest_add_func("nfv/errors/vcpu-cpus/no-housekeeping",
                   test_no_housekeeping);
    qtest_add_func("nfv/errors/vcpu-cpus/no-lock-file", test_no_lock_file);
    qtest_add_func("nfv/errors/hotplug-without-cpu", test_hotplug_without_cpu);
    qtest_add_func("nfv/errors/qom-set", test_qom_set);

    return g_test_run();
}
