/*
 * KVM under the nfv machine: what is asked of it, what it does, and what is
 * said about it
 *
 * Copyright (c) 2026 the kvm4nfv authors
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "qemu/osdep.h"
#include <linux/kvm.h>
#include <sys/ioctl.h>
#include <glib/gstdio.h>
#include "libqtest.h"
#include "nfv/process.h"
#include "nfv/setup.h"
#include "nfv/thread.h"
#include "qobject/qdict.h"
#include "qobject/qlist.h"
#include "qobject/qstring.h"

/* Input that is wrong, and what other accelerators do not have */

typedef struct ErrorCase {
    const char *name;
    const char *options;
    const char *words[4];
} ErrorCase;

static const ErrorCase error_cases[] = {
    { "halt-poll-ns/empty",
      "-M nfv,halt-poll-ns= -accel qtest",
      { "halt-poll-ns=''", "0 (never poll) to 4294967295" } },
    { "halt-poll-ns/word",
      "-M nfv,halt-poll-ns=on -accel qtest",
      { "halt-poll-ns='on'", "0 (never poll) to 4294967295" } },
    { "halt-poll-ns/negative",
      "-M nfv,halt-poll-ns=-1 -accel qtest",
      { "halt-poll-ns='-1'", "0 (never poll) to 4294967295" } },
    { "halt-poll-ns/too-large",
      "-M nfv,halt-poll-ns=4294967296 -accel qtest",
      { "halt-poll-ns='4294967296'", "0 (never poll) to 4294967295" } },
    { "halt-poll-ns/not-kvm",
      "-M nfv,halt-poll-ns=0 -accel qtest",
      { "halt-poll-ns=0 needs KVM, and the accelerator is QTest", "-accel "
                                                                  "kvm" } },
    { "cpu-pm/word",
      "-M nfv,cpu-pm=x -accel qtest",
      { "cpu-pm", "'on' or 'off'" } },
    { "cpu-pm/not-kvm",
      "-M nfv,cpu-pm=on -accel qtest",
      { "cpu-pm=on needs KVM, and the accelerator is QTest", "-accel kvm" } },
    { "halt-poll-ns/q35",
      "-M q35,halt-poll-ns=0 -accel qtest",
      { "halt-poll-ns" } },
};

static void check_refused(const char *options, const char *const *words)
{
    g_autofree char *output = NULL;

    g_assert_cmpint(
        nfv_test_run(&output, "-nodefaults -display none -S %s", options), ==,
        1);
    for (; *words; words++) {
        g_test_message("must say '%s'", *words);
        g_assert_nonnull(strstr(output, *words));
    }
}

static void test_error(const void *opaque)
{
    const ErrorCase *c = opaque;

    check_refused(c->options, c->words);
}

static void test_tcg(void)
{
    static const char *const words[] = { "halt-poll-ns=50000 needs KVM, and "
                                         "the accelerator is tcg",
                                         "leave halt-poll-ns out", NULL };
    QTestState *qts;
    QDict *info;
    g_autofree char *table = NULL;

    if (!nfv_setup_has_accel("tcg")) {
        return;
    }
    check_refused("-M nfv,halt-poll-ns=50000 -accel tcg", words);

    /* What is off or KVM's own asks for nothing. */
    qts = qtest_init("-M nfv,halt-poll-ns=auto,cpu-pm=off -accel tcg -S");
    info = nfv_test_query(qts);
    g_assert_false(qdict_haskey(info, "kvm"));
    table = qtest_hmp(qts, "info nfv");
    g_assert_null(strstr(table, "KVM:"));
    qobject_unref(info);
    qtest_quit(qts);
}

/* Properties */

static void check_property(QTestState *qts, const char *name,
                           const char *expected)
{
    QDict *r = qtest_qmp(qts,
                         "{ 'execute': 'qom-get', 'arguments': { 'path': "
                         "'/machine', 'property': %s } }",
                         name);
    QObject *value = qdict_get(r, "return");
    g_autofree char *text = NULL;

    g_assert_nonnull(value);
    text = qobject_type(value) == QTYPE_QBOOL ?
               g_strdup(qdict_get_bool(r, "return") ? "on" : "off") :
               g_strdup(qdict_get_str(r, "return"));
    g_assert_cmpstr(text, ==, expected);
    qobject_unref(r);
}

/* The machine's cpu-pm is the same setting as -overcommit's, and wins. */
static void test_properties(void)
{
    static const struct {
        const char *options, *halt_poll, *cpu_pm;
    } cases[] = {
        { "-M nfv", "auto", "off" },
        { "-M nfv -overcommit cpu-pm=on", "auto", "on" },
        { "-M nfv,cpu-pm=off -overcommit cpu-pm=on", "auto", "off" },
        { "-overcommit cpu-pm=on -M nfv,cpu-pm=off", "auto", "off" },
        { "-M nfv,halt-poll-ns=7 -M nfv,halt-poll-ns=auto", "auto", "off" },
    };

    for (int i = 0; i < ARRAY_SIZE(cases); i++) {
        QTestState *qts = qtest_initf("%s -nodefaults", cases[i].options);

        check_property(qts, "halt-poll-ns", cases[i].halt_poll);
        check_property(qts, "cpu-pm", cases[i].cpu_pm);
        qtest_quit(qts);
    }
}

static void test_not_while_running(void)
{
    QTestState *qts = qtest_init("-M nfv -nodefaults");
    QDict *r = qtest_qmp(qts, "{ 'execute': 'qom-set', 'arguments': { 'path': "
                              "'/machine', 'property': 'halt-poll-ns', "
                              "'value': '5' } }");

    qtest_qmp_assert_success(qts, "{ 'execute': 'query-status' }");
    g_assert_cmpstr(qdict_get_str(qdict_get_qdict(r, "error"), "desc"), ==,
                    "halt-poll-ns cannot be changed after the accelerator "
                    "started; give it with -M");
    qobject_unref(r);
    r = qtest_qmp(qts, "{ 'execute': 'qom-set', 'arguments': { 'path': "
                       "'/machine', "
                       "'property': 'cpu-pm', 'value': true } }");
    g_assert_cmpstr(qdict_get_str(qdict_get_qdict(r, "error"), "desc"), ==,
                    "cpu-pm cannot be changed after the accelerator started; "
                    "give it with -M");
    check_property(qts, "cpu-pm", "off");
    qobject_unref(r);
    qtest_quit(qts);
}

/* KVM itself, as the test finds it */

typedef struct Kvm {
    int fd, vm;
} Kvm;

static Kvm kvm_open(void)
{
    Kvm kvm = { .fd = open("/dev/kvm", O_RDWR | O_CLOEXEC) };

    g_assert_cmpint(kvm.fd, >=, 0);
    kvm.vm = ioctl(kvm.fd, KVM_CREATE_VM, 0);
    g_assert_cmpint(kvm.vm, >=, 0);
    return kvm;
}

static void kvm_close(Kvm *kvm)
{
    close(kvm->vm);
    close(kvm->fd);
}
G_DEFINE_AUTO_CLEANUP_CLEAR_FUNC(Kvm, kvm_close)

static int kvm_can(const Kvm *kvm, unsigned long capability)
{
    return ioctl(kvm->vm, KVM_CHECK_EXTENSION, capability);
}

/* A machine, and the log of what QEMU asked of the kernel */

typedef struct Guest {
    QTestState *qts;
    QDict *info, *features;
    char *table, *log;
} Guest;

static Guest guest_start(const char *options)
{
    Guest g = { 0 };
    g_autofree char *file = NULL;
    int fd = g_file_open_tmp("nfv-kvm-XXXXXX", &file, NULL);

    g_assert_cmpint(fd, >=, 0);
    close(fd);
    g.qts = qtest_initf("-nodefaults -S -D %s -trace kvm_vm_ioctl -trace "
                        "nfv_kvm_halt_poll -trace nfv_kvm_prefault %s",
                        file, options);
    g.info = nfv_test_query(g.qts);
    g.features = qdict_get_qdict(g.info, "kvm");
    g.table = qtest_hmp(g.qts, "info nfv");
    g_assert_true(g_file_get_contents(file, &g.log, NULL, NULL));
    g_unlink(file);
    return g;
}

static void guest_end(Guest *g)
{
    if (g->qts) {
        qobject_unref(g->info);
        g_free(g->table);
        g_free(g->log);
        qtest_quit(g->qts);
    }
}
G_DEFINE_AUTO_CLEANUP_CLEAR_FUNC(Guest, guest_end)

static const QDict *find_tuning(const Guest *g, const char *name)
{
    const QListEntry *entry;

    QLIST_FOREACH_ENTRY(qdict_get_qlist(g->info, "tuning"), entry) {
        const QDict *t = qobject_to(QDict, qlist_entry_obj(entry));

        if (!strcmp(qdict_get_str(t, "name"), name)) {
            return t;
        }
    }
    g_assert_not_reached();
}

/*
 * In query-nfv, and in info nfv.  @text: in the value if it is applied, else
 * in why it is not.
 */
static void check_tuning(const Guest *g, const char *name, const char *state,
                         const char *text)
{
    const QDict *t = find_tuning(g, name);
    bool is_applied = !strcmp(state, "applied");
    const char *got = qdict_get_try_str(t, is_applied ? "value" : "why") ?: "";
    g_autofree char *title =
        g_strdup_printf("%s:", is_applied ? "tuning" : state);
    const char *part = strstr(g->table, title);

    g_test_message("%s: %s, %s", name, qdict_get_str(t, "state"), got);
    g_assert_cmpstr(qdict_get_str(t, "state"), ==, state);
    g_assert_nonnull(strstr(got, text));
    g_assert_nonnull(part);
    g_assert_nonnull(strstr(part, name));
    g_assert_nonnull(strstr(g->table, "KVM: irqchip "));
}

/* KVM_REINJECT_CONTROL: nothing but the PIT's lost ticks needs it. */
static bool discards(const Guest *g)
{
    g_autofree char *call = g_strdup_printf(
        "kvm_vm_ioctl type 0x%lx,", (unsigned long)KVM_REINJECT_CONTROL);

    g_assert_nonnull(strstr(g->log, "kvm_vm_ioctl type 0x"));
    return strstr(g->log, call);
}

static bool skip_without_log(const Guest *g)
{
    if (!strstr(g->log, "kvm_vm_ioctl")) {
        g_test_skip("QEMU was built without the log trace backend");
        return true;
    }
    return false;
}

static void test_features(void)
{
    g_autofree char *exits = NULL;
    g_auto(Kvm) kvm = { -1, -1 };
    g_auto(Guest) g = { 0 };
    const QListEntry *entry;
    int flags = 0;

    if (!nfv_setup_has_accel("kvm")) {
        return;
    }
    kvm = kvm_open();
    g = guest_start("-M nfv -accel kvm");
    g_assert_cmpint(qdict_get_bool(g.features, "halt-poll"), ==,
                    kvm_can(&kvm, KVM_CAP_HALT_POLL) > 0);
    g_assert_cmpint(qdict_get_bool(g.features, "notify-exit"), ==,
                    kvm_can(&kvm, KVM_CAP_X86_NOTIFY_VMEXIT) > 0);
    g_assert_cmpint(qdict_get_bool(g.features, "tsc-scaling"), ==,
                    kvm_can(&kvm, KVM_CAP_TSC_CONTROL) > 0);
    g_assert_cmpint(qdict_get_bool(g.features, "bus-lock-exit"), ==,
                    (kvm_can(&kvm, KVM_CAP_X86_BUS_LOCK_EXIT) &
                     KVM_BUS_LOCK_DETECTION_EXIT) != 0);
    g_assert_cmpint(qdict_get_bool(g.features, "pre-fault"), ==,
                    kvm_can(&kvm, KVM_CAP_PRE_FAULT_MEMORY) > 0);
    QLIST_FOREACH_ENTRY(qdict_get_qlist(g.features, "halt-exits"), entry) {
        const char *name =
            qstring_get_str(qobject_to(QString, qlist_entry_obj(entry)));

        flags |= !strcmp(name, "mwait") ? KVM_X86_DISABLE_EXITS_MWAIT :
                 !strcmp(name, "hlt")   ? KVM_X86_DISABLE_EXITS_HLT :
                 !strcmp(name, "pause") ? KVM_X86_DISABLE_EXITS_PAUSE :
                                          KVM_X86_DISABLE_EXITS_CSTATE;
    }
    g_assert_cmphex(flags, ==, kvm_can(&kvm, KVM_CAP_X86_DISABLE_EXITS) & 0xf);
    g_assert_cmpstr(qdict_get_str(g.features, "irqchip"), ==, "on");
    g_assert_cmpint(qdict_get_int(g.features, "dirty-ring"), ==, 0);
    g_assert_cmpint(qdict_get_bool(g.features, "dirty-log-manual"), ==,
                    kvm_can(&kvm, KVM_CAP_MANUAL_DIRTY_LOG_PROTECT2) > 0);
    g_assert_false(qdict_get_bool(g.features, "kvm-hint-dedicated"));
}

/* What QEMU's own options change. */
static void test_features_in_use(void)
{
    g_autofree char *options = NULL;
    g_auto(Kvm) kvm = { -1, -1 };
    g_auto(Guest) g = { 0 };
    bool has_ring;

    if (!nfv_setup_has_accel("kvm")) {
        return;
    }
    kvm = kvm_open();
    has_ring = kvm_can(&kvm, KVM_CAP_DIRTY_LOG_RING) > 0 ||
               kvm_can(&kvm, KVM_CAP_DIRTY_LOG_RING_ACQ_REL) > 0;
    options = g_strdup_printf("-M nfv,kernel-irqchip=split -accel kvm%s -cpu "
                              "qemu64,kvm-hint-dedicated=on,"
                              "kvm-poll-control=off",
                              has_ring ? ",dirty-ring-size=1024" : "");
    g = guest_start(options);
    g_assert_cmpstr(qdict_get_str(g.features, "irqchip"), ==, "split");
    g_assert_cmpint(qdict_get_int(g.features, "dirty-ring"), ==,
                    has_ring ? 1024 : 0);
    g_assert_true(qdict_get_bool(g.features, "kvm-hint-dedicated"));
    g_assert_false(qdict_get_bool(g.features, "kvm-poll-control"));
    g_assert_nonnull(strstr(g.table, "KVM: irqchip split, "));
    g_assert_nonnull(strstr(g.table, ", kvm-hint-dedicated"));
    check_tuning(&g, "pit-discard", "off", "no PIT");
}

/* Halt polling */

static void test_halt_poll(void)
{
    static const struct {
        const char *value, *detail, *log;
    } cases[] = {
        { "0", "0", "nfv_kvm_halt_poll 0 ns: 0\n" },
        { "4294967295", "4294967295", "nfv_kvm_halt_poll 4294967295 ns: 0\n" },
        { "auto", "the kernel's own", NULL },
    };
    g_auto(Kvm) kvm = { -1, -1 };

    if (!nfv_setup_has_accel("kvm")) {
        return;
    }
    kvm = kvm_open();
    for (int i = 0; i < ARRAY_SIZE(cases); i++) {
        g_autofree char *options = g_strdup_printf(
            "-M nfv,halt-poll-ns=%s -accel kvm", cases[i].value);
        g_auto(Guest) g = guest_start(options);

        check_property(g.qts, "halt-poll-ns", cases[i].value);
        if (!cases[i].log) {
            check_tuning(&g, "halt-poll-ns", "off", cases[i].detail);
            g_assert_null(strstr(g.log, "nfv_kvm_halt_poll"));
        } else if (kvm_can(&kvm, KVM_CAP_HALT_POLL) > 0) {
            check_tuning(&g, "halt-poll-ns", "applied", cases[i].detail);
            g_assert_true(skip_without_log(&g) || strstr(g.log, cases[i].log));
        } else {
            check_tuning(&g, "halt-poll-ns", "unavailable", "kernel");
        }
    }
}

/* vCPU 0's counter of KVM; -1 if it has none. */
static int64_t kvm_count(QTestState *qts, const char *name)
{
    QDict *r = qtest_qmp(qts,
                         "{ 'execute': 'query-stats', 'arguments': { 'target': "
                         "'vcpu', 'providers': [ { 'provider': 'kvm', 'names': "
                         "[ %s ] } ] } }",
                         name);
    const QDict *result =
        qobject_to(QDict, qlist_peek(qdict_get_qlist(r, "return")));
    const QDict *stat =
        result ? qobject_to(QDict, qlist_peek(qdict_get_qlist(result, "stat"
                                                                      "s"))) :
                 NULL;
    int64_t count = stat ? qdict_get_int(stat, "value") : -1;

    qobject_unref(r);
    return count;
}

/* Seconds for a guest's firmware to start and to wait for its timer. */
#define BOOT_LIMIT_S 60

/*
 * Let the firmware wait for a disk that does not come: it halts between ticks
 * of its timer.  True if @name then counts to @enough.
 */
static bool wait_for_count(QTestState *qts, const char *name, int64_t enough)
{
    gint64 end = g_get_monotonic_time() + BOOT_LIMIT_S * G_TIME_SPAN_SECOND;

    while (g_get_monotonic_time() < end) {
        if (kvm_count(qts, name) >= enough) {
            return true;
        }
        g_usleep(20 * 1000);
    }
    return false;
}

/* Whether the kernel really polls: its own counters tell. */
static void test_halt_poll_counted(void)
{
    g_auto(Kvm) kvm = { -1, -1 };
    QTestState *qts;
    bool halted;

    if (!nfv_setup_has_accel("kvm")) {
        return;
    }
    kvm = kvm_open();
    if (kvm_can(&kvm, KVM_CAP_HALT_POLL) <= 0) {
        g_test_skip("KVM has no halt polling of a VM's own");
        return;
    }
    qts = qtest_init("-M nfv,halt-poll-ns=0 -accel kvm -nodefaults");
    halted = wait_for_count(qts, "halt_exits", 10);
    g_assert_cmpint(kvm_count(qts, "halt_attempted_poll"), <=, 0);
    qtest_quit(qts);
    if (!halted) {
        g_test_skip("the firmware does not come to halt with this KVM");
        return;
    }
    /* Longer than any halt: the kernel takes up polling by itself. */
    qts = qtest_init("-M nfv,halt-poll-ns=4294967295 -accel kvm -nodefaults");
    g_assert_true(wait_for_count(qts, "halt_attempted_poll", 1));
    qtest_quit(qts);
}

/* Exits */

static void test_cpu_pm(void)
{
    static const char *const options[] = {
        "-M nfv,cpu-pm=on -accel kvm",
        "-M nfv -overcommit cpu-pm=on -accel kvm",
    };
    g_auto(Kvm) kvm = { -1, -1 };

    if (!nfv_setup_has_accel("kvm")) {
        return;
    }
    kvm = kvm_open();
    if (kvm_can(&kvm, KVM_CAP_X86_DISABLE_EXITS) <= 0) {
        g_test_skip("KVM leaves no exit to the guest");
        return;
    }
    for (int i = 0; i < ARRAY_SIZE(options); i++) {
        g_auto(Guest) g = guest_start(options[i]);

        check_property(g.qts, "cpu-pm", "on");
        if (kvm_can(&kvm, KVM_CAP_X86_DISABLE_EXITS) &
            KVM_X86_DISABLE_EXITS_HLT) {
            check_tuning(&g, "cpu-pm", "applied", "hlt");
        } else {
            check_tuning(&g, "cpu-pm", "unavailable", "HLT");
        }
    }
}

static void test_exits(void)
{
    g_auto(Guest) off = { 0 }, on = { 0 };
    bool notify, bus_lock;

    if (!nfv_setup_has_accel("kvm")) {
        return;
    }
    off = guest_start("-M nfv -accel kvm,notify-vmexit=disable");
    notify = qdict_get_bool(off.features, "notify-exit");
    bus_lock = qdict_get_bool(off.features, "bus-lock-exit");
    check_tuning(&off, "cpu-pm", "off", "not asked for");
    check_tuning(&off, "notify-exit", "off", "notify-vmexit");
    check_tuning(&off, "bus-lock-exit", "off", "bus-lock-ratelimit");

    /* QEMU refuses to start with a rate limit that the host cannot hold. */
    on = guest_start(bus_lock ? "-M nfv,bus-lock-ratelimit=10 -accel kvm" :
                                "-M nfv -accel kvm");
    check_tuning(&on, "notify-exit", notify ? "applied" : "unavailable", "");
    if (bus_lock) {
        check_tuning(&on, "bus-lock-exit", "applied", "10/s");
    }
}

/* The PIT */

static void test_pit(void)
{
    static const struct {
        const char *options, *state, *detail;
        bool discards;
    } cases[] = {
        { "-M nfv", "applied", "", true },
        { "-M nfv -global kvm-pit.lost_tick_policy=delay", "off",
          "kvm-pit.lost_tick_policy", false },
        { "-M nfv,pit=off,hpet=on", "off", "no PIT", false },
    };

    if (!nfv_setup_has_accel("kvm")) {
        return;
    }
    for (int i = 0; i < ARRAY_SIZE(cases); i++) {
        g_autofree char *options =
            g_strdup_printf("%s -accel kvm", cases[i].options);
        g_auto(Guest) g = guest_start(options);

        check_tuning(&g, "pit-discard", cases[i].state, cases[i].detail);
        if (skip_without_log(&g)) {
            return;
        }
        g_assert_cmpint(discards(&g), ==, cases[i].discards);
    }
}

/* Memory mapped ahead */

#define PREALLOC                                                     \
    "-m 64 -object memory-backend-ram,id=m,size=64M,prealloc=on -M " \
    "nfv,memory-backend=m"

static void test_pre_fault(void)
{
    /* Not of the first MiB, which has the VGA's window and ROMs in it. */
    static const struct {
        const char *options, *state, *text;
    } cases[] = {
        { "-M nfv,prealloc=off -m 64", "off",
          "no guest memory is preallocated" },
        { PREALLOC, "applied", "63 MiB" },
        { PREALLOC " -smp 3", "applied", "63 MiB" },
        { PREALLOC " -incoming defer", "off", "migration" },
    };

    if (!nfv_setup_has_accel("kvm")) {
        return;
    }
    for (int i = 0; i < ARRAY_SIZE(cases); i++) {
        g_autofree char *options =
            g_strdup_printf("%s -accel kvm", cases[i].options);
        g_auto(Guest) g = guest_start(options);

        if (qdict_get_bool(g.features, "pre-fault") ||
            strstr(cases[i].options, "-incoming")) {
            check_tuning(&g, "pre-fault", cases[i].state, cases[i].text);
            g_assert_cmpint(strstr(g.log, "nfv_kvm_prefault") != NULL, ==,
                            !strcmp(cases[i].state, "applied"));
        } else {
            check_tuning(&g, "pre-fault", "unavailable", "kernel");
            g_assert_null(strstr(g.log, "nfv_kvm_prefault"));
        }
    }
}

int main(int argc, char **argv)
{
    nfv_test_init(&argc, &argv);
    for (int i = 0; i < ARRAY_SIZE(error_cases); i++) {
        g_autofree char *path =
            g_strconcat("/nfv/kvm/refused/", error_cases[i].name, NULL);

        qtest_add_data_func(path, &error_cases[i], test_error);
    }
    qtest_add_func("/nfv/kvm/tcg", test_tcg);
    qtest_add_func("/nfv/kvm/properties", test_properties);
    qtest_add_func("/nfv/kvm/not-while-running", test_not_while_running);
    qtest_add_func("/nfv/kvm/features", test_features);
    qtest_add_func("/nfv/kvm/features/in-use", test_features_in_use);
    qtest_add_func("/nfv/kvm/halt-poll", test_halt_poll);
    qtest_add_func("/nfv/kvm/halt-poll/counted", test_halt_poll_counted);
    qtest_add_func("/nfv/kvm/cpu-pm", test_cpu_pm);
    qtest_add_func("/nfv/kvm/exits", test_exits);
    qtest_add_func("/nfv/kvm/pit", test_pit);
    qtest_add_func("/nfv/kvm/pre-fault", test_pre_fault);
    return g_test_run();
}
