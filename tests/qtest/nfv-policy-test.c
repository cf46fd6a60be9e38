/*
 * Migration by the contract: when it switches over, and what it does otherwise
 *
 * Copyright (c) 2026 the kvm4nfv authors
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "qemu/osdep.h"
#include <sched.h>
#include "libqtest.h"
#include "migration/bootfile.h"
#include "migration/migration-qmp.h"
#include "migration/migration-util.h"
#include "nfv/host.h"
#include "nfv/process.h"
#include "qobject/qdict.h"
#include "qobject/qlist.h"

#define MIB (1024 * 1024)
#define SLOW (16 * MIB)    /* bytes a second: a round takes seconds */
#define NEVER 1            /* ms that no stop of the busy guest fits */
#define WHENEVER 60000     /* ms that it does */
#define LAST_PAGE (X86_TEST_MEM_END - TEST_MEM_PAGE_SIZE)
#define STOCK_ENV "QTEST_QEMU_BINARY_STOCK"

/* Both ends */

typedef enum Switches { OFF, POLICY, HEAT, STOCK } Switches;

static const char *const switch_options[] = {
    [OFF] = "",
    [POLICY] = "-global migration.policy=on",
    [HEAT] = "-global migration.policy=on -global migration.heat=on",
    [STOCK] = "",
};

typedef struct Ends {
    char *directory, *boot;
    const char *machine, *accel;
    bool idle; /* the guest has nothing to boot from */
    QTestState *from, *to;
} Ends;

/* Of the same source without our patches; see `make stock`. */
static bool has_stock(void)
{
    if (!g_getenv(STOCK_ENV)) {
        g_autofree char *binary =
            g_canonicalize_filename("../build-stock/qemu-system-x86_64", NULL);

        if (!g_file_test(binary, G_FILE_TEST_IS_EXECUTABLE)) {
            g_test_skip("there is no stock QEMU: run `make stock`, or "
                        "set " STOCK_ENV);
            return false;
        }
        g_setenv(STOCK_ENV, binary, true);
    }
    return true;
}

static char *path(const Ends *ends, const char *name)
{
    return g_strdup_printf("%s/%s", ends->directory, name);
}

/* What it says goes to a file of that name. */
static QTestState *start(Ends *ends, const char *name, Switches switches,
                         const char *options)
{
    g_autofree char *args = g_strdup_printf(
        "-accel %s -M %s -m 128 -nodefaults %s%s%s %s %s 2> %s/%s",
        ends->accel, ends->machine,
        ends->idle ? "" : "-drive if=none,id=d0,format=raw,read-only=on,file=",
        ends->idle ? "" : ends->boot,
        ends->idle ? "" :
                     " -device virtio-blk-pci,drive=d0,secs=1,cyls=1,heads=1",
        switch_options[switches], options, ends->directory, name);

    return qtest_init_with_env(switches == STOCK ? STOCK_ENV : NULL, args,
                               true);
}

static void start_to(Ends *ends, Switches switches)
{
    ends->to = start(ends, "to", switches, "-incoming defer");
}

static void wait_for_write(QTestState *qts)
{
    uint8_t before = qtest_readb(qts, LAST_PAGE);

    while (qtest_readb(qts, LAST_PAGE) == before) {
        g_usleep(10 * 1000);
    }
}

/* @options: of the source. */
static void start_both(Ends *ends, Switches from, Switches to,
                       const char *options)
{
    ends->machine = ends->machine ?: "q35";
    ends->accel = ends->accel ?: "tcg";
    ends->directory = g_dir_make_tmp("nfv-policy-XXXXXX", NULL);
    ends->boot = bootfile_create("x86_64", ends->directory, false);
    ends->from = start(ends, "from", from, options);
    start_to(ends, to);
    if (!ends->idle) {
        wait_for_write(ends->from);
    }
}

static void stop_both(Ends *ends)
{
    static const char *const files[] = { "from", "to", "socket" };

    if (ends->from) {
        qtest_quit(ends->from);
    }
    if (ends->to) {
        qtest_quit(ends->to);
    }
    bootfile_delete();
    for (int i = 0; i < ARRAY_SIZE(files); i++) {
        g_autofree char *file = path(ends, files[i]);

        unlink(file);
    }
    g_assert_cmpint(rmdir(ends->directory), ==, 0);
    g_free(ends->directory);
}

/* How often the source said so. */
static unsigned said(const Ends *ends, const char *words)
{
    g_autofree char *file = path(ends, "from");
    g_autofree char *text = NULL;
    unsigned n = 0;

    g_assert_true(g_file_get_contents(file, &text, NULL, NULL));
    for (const char *at = text; (at = strstr(at, words)); at++) {
        n++;
    }
    return n;
}

/*
 * The guest increments a byte of each page in order, over and over: all are
 * equal, but for one step down to the pages whose turn has not come.
 */
static void check_guest(Ends *ends, QTestState *qts)
{
    g_autofree char *file = path(ends, "memory");
    g_autofree char *memory = NULL;
    uint8_t last;
    gsize size;
    int steps = 0;

    if (ends->idle) {
        qtest_qmp_assert_success(qts, "{ 'execute': 'query-status' }");
        return;
    }
    wait_for_write(qts);
    qtest_qmp_assert_success(qts, "{ 'execute': 'stop' }");
    qtest_qmp_assert_success(qts,
                             "{ 'execute': 'pmemsave', 'arguments': { 'val': "
                             "%d, 'size': %d, 'filename': %s } }",
                             X86_TEST_MEM_START,
                             X86_TEST_MEM_END - X86_TEST_MEM_START, file);
    g_assert_true(g_file_get_contents(file, &memory, &size, NULL));
    g_assert_cmpuint(size, ==, X86_TEST_MEM_END - X86_TEST_MEM_START);
    unlink(file);
    last = memory[0];
    for (gsize at = 0; at < size; at += TEST_MEM_PAGE_SIZE) {
        uint8_t found = memory[at];

        if (found != last) {
            g_assert_cmpuint(found, ==, (uint8_t)(last - 1));
            steps++;
            last = found;
        }
    }
    g_assert_cmpint(steps, <=, 1);
    qtest_qmp_assert_success(qts, "{ 'execute': 'cont' }");
}

/* A migration */

static void set_capability(Ends *ends, const char *name)
{
    migrate_set_capability(ends->from, name, true);
    migrate_set_capability(ends->to, name, true);
}

static void begin(Ends *ends, const char *listen)
{
    g_autofree char *uri = g_strdup_printf(listen, ends->directory);

    migrate_incoming_qmp(ends->to, uri, NULL, "{}");
    migrate_qmp(ends->from, ends->to, NULL, NULL, "{}");
}

#define UNIX "unix:%s/socket"
#define TCP "tcp:127.0.0.1:0"

/* It cannot end for now: at first it is slow, then no stop would fit. */
static void begin_slowly(Ends *ends, const char *listen)
{
    migrate_set_parameter_int(ends->from, "max-bandwidth", SLOW);
    migrate_set_parameter_int(ends->from, "downtime-limit", NEVER);
    begin(ends, listen);
    wait_for_migration_status(ends->from, "active", NULL);
}

static void let_go(Ends *ends)
{
    migrate_set_parameter_int(ends->from, "max-bandwidth", 0);
    migrate_set_parameter_int(ends->from, "max-postcopy-bandwidth", 0);
    migrate_set_parameter_int(ends->from, "downtime-limit", WHENEVER);
}

static void finish(Ends *ends)
{
    let_go(ends);
    wait_for_migration_complete(ends->from);
    wait_for_migration_complete(ends->to);
    check_guest(ends, ends->to);
}

static QDict *query(QTestState *qts)
{
    return qtest_qmp_assert_success_ref(
        qts, "{ 'execute': 'query-nfv-migration' }");
}

static int64_t number(QTestState *qts, const char *name)
{
    QDict *info = query(qts);
    int64_t value = qdict_get_int(info, name);

    qobject_unref(info);
    return value;
}

static bool deadline_passed(QTestState *qts)
{
    QDict *info = query(qts);
    bool passed = qdict_get_bool(info, "deadline-passed");

    qobject_unref(info);
    return passed;
}

static void wait_for_decisions(QTestState *qts, int64_t n)
{
    while (number(qts, "decisions") < n) {
        g_usleep(10 * 1000);
    }
}

static void wait_for_deadline(QTestState *qts)
{
    while (!deadline_passed(qts)) {
        g_usleep(10 * 1000);
    }
}

/* The latest decision. */
static char *last_step(QTestState *qts)
{
    QDict *info = query(qts);
    QListEntry *last = QTAILQ_LAST(&qdict_get_qlist(info, "rounds")->head);
    char *step = g_strdup(
        last ? qdict_get_str(qobject_to(QDict, last->value), "step") : "");

    qobject_unref(info);
    return step;
}

static void check_rounds(QTestState *qts, bool drained)
{
    QDict *info = query(qts);
    QList *rounds = qdict_get_qlist(info, "rounds");
    int64_t time = 0, n = 0;
    QListEntry *entry;

    QLIST_FOREACH_ENTRY(rounds, entry)
    {
        QDict *round = qobject_to(QDict, entry->value);
        bool last = !qlist_next(entry);

        g_assert_cmpint(qdict_get_int(round, "time"), >=, time);
        time = qdict_get_int(round, "time");
        g_assert_cmpint(!strcmp(qdict_get_str(round, "step"), "switch"), ==,
                        last);
        n++;
    }
    g_assert_cmpint(n, ==, MIN(qdict_get_int(info, "decisions"), 64));
    g_assert_cmpint(n, >, 0);
    g_assert_cmpint(qdict_haskey(info, "drain-time"), ==, drained);
    qobject_unref(info);
}

/* Channels, accelerators and switches */

typedef struct Variant {
    const char *name, *listen, *capability;
    bool postcopy, one_way;
} Variant;

static const Variant variants[] = {
    { "tcp", TCP, "return-path" },
    { "unix", UNIX, "return-path" },
    { "one-way", UNIX, .one_way = true },
    { "multifd", TCP, "multifd" },
    { "postcopy", UNIX, "postcopy-ram", true },
};

typedef struct Case {
    const Variant *variant;
    const char *accel;
    Switches from, to;
} Case;

static void test_migrate(const void *opaque)
{
    const Case *c = opaque;
    const Variant *v = c->variant;
    Ends ends = { .accel = c->accel };

    if ((c->from == STOCK || c->to == STOCK) && !has_stock()) {
        return;
    }
    if (!nfv_test_has_accel(c->accel)) {
        g_test_skip("this accelerator does not work here");
        return;
    }
    if (v->postcopy && !ufd_version_check(NULL)) {
        g_test_skip("userfaultfd is not available");
        return;
    }
    start_both(&ends, c->from, c->to, "");
    if (v->capability) {
        set_capability(&ends, v->capability);
    }
    if (!v->one_way) {
        set_capability(&ends, "return-path");
    }
    begin_slowly(&ends, v->listen);
    if (c->from == POLICY || c->from == HEAT) {
        wait_for_decisions(ends.from, 3);
    }
    if (v->postcopy) {
        qtest_qmp_assert_success(ends.from,
                                 "{ 'execute': 'migrate-start-postcopy' }");
    } else if (c->from == HEAT) {
        /* All that the guest writes stays back; later rounds send it. */
        migrate_set_parameter_int(ends.from, "max-bandwidth", 0);
        while (!number(ends.from, "deferred")) {
            g_usleep(10 * 1000);
        }
        wait_for_decisions(ends.from, number(ends.from, "decisions") + 3);
    }
    finish(&ends);
    if (c->from == OFF) {
        g_assert_cmpint(number(ends.from, "decisions"), ==, 0);
    } else if (c->from != STOCK && !v->postcopy) {
        check_rounds(ends.from, !v->one_way);
    }
    stop_both(&ends);
}

/* Of the machine "nfv". */
static void set_ms(QTestState *qts, const char *name, int64_t ms)
{
    g_autofree char *property = g_strconcat("migration-", name, NULL);

    qtest_qmp_assert_success(qts,
                             "{ 'execute': 'qom-set', 'arguments': { 'path': "
                             "'/machine', 'property': %s, 'value': %" PRId64
                             " } }", property, ms);
}

/* The deadline */

#define DEADLINE "-global migration.deadline=300 "

/* The guest runs on at the source, and can be migrated later. */
static void test_deadline_cancel(void)
{
    Ends ends = { .machine = "nfv" };
    QDict *info;

    start_both(&ends, HEAT, HEAT,
               DEADLINE "-global migration.on-deadline=cancel");
    begin_slowly(&ends, UNIX);
    qtest_set_expected_status(ends.to, EXIT_FAILURE);
    wait_for_migration_status(ends.from, "cancelled", NULL);
    g_assert_true(deadline_passed(ends.from));
    info = migrate_query(ends.from);
    g_assert(strstr(qdict_get_str(info, "error-desc"), "deadline of 300 ms"));
    qobject_unref(info);
    qtest_wait_qemu(ends.to);
    qtest_quit(ends.to);
    check_guest(&ends, ends.from);

    set_ms(ends.from, "deadline", 0);
    start_to(&ends, HEAT);
    begin(&ends, UNIX);
    finish(&ends);
    g_assert_false(deadline_passed(ends.from));
    stop_both(&ends);
}

/* It goes on, and says that it is late. */
static void test_deadline_continue(void)
{
    Ends ends = {};

    start_both(&ends, HEAT, HEAT, DEADLINE);
    begin_slowly(&ends, UNIX);
    wait_for_deadline(ends.from);
    wait_for_migration_status(ends.from, "active", NULL);
    finish(&ends);
    g_assert_true(deadline_passed(ends.from));
    stop_both(&ends);
}

static void deadline_postcopy(bool capability)
{
    Ends ends = {};

    if (capability && !ufd_version_check(NULL)) {
        g_test_skip("userfaultfd is not available");
        return;
    }
    start_both(&ends, HEAT, HEAT,
               DEADLINE "-global migration.on-deadline=postcopy");
    if (capability) {
        set_capability(&ends, "postcopy-ram");
    }
    begin_slowly(&ends, UNIX);
    wait_for_deadline(ends.from);
    if (capability) {
        const char *ungoals[] = { "failed", "completed", NULL };

        wait_for_migration_status(ends.from, "postcopy-active", ungoals);
    } else {
        wait_for_migration_status(ends.from, "active", NULL);
    }
    finish(&ends);
    stop_both(&ends);
}

static void test_deadline_postcopy(void)
{
    deadline_postcopy(true);
}

static void test_deadline_no_postcopy(void)
{
    deadline_postcopy(false);
}

/* A hung link blocks the sender, not the deadline. */
static void test_deadline_hung(void)
{
    Ends ends = {};

    start_both(&ends, HEAT, HEAT,
               "-global migration.deadline=1000 "
               "-global migration.on-deadline=cancel");
    begin_slowly(&ends, UNIX);
    kill(qtest_pid(ends.to), SIGSTOP);
    migrate_set_parameter_int(ends.from, "max-bandwidth", 0);
    wait_for_migration_status(ends.from, "cancelled", NULL);
    qtest_set_expected_status(ends.to, EXIT_FAILURE);
    kill(qtest_pid(ends.to), SIGCONT);
    qtest_wait_qemu(ends.to);
    check_guest(&ends, ends.from);
    stop_both(&ends);
}

/* Broken off in each phase */

typedef enum Phase { FIRST_ROUND, DRAIN, PRE_SWITCHOVER, PHASES } Phase;

static const char *const phase_names[] = {
    [FIRST_ROUND] = "first-round",
    [DRAIN] = "drain",
    [PRE_SWITCHOVER] = "pre-switchover",
};

/*
 * The drain: the destination stands still, and all that an idle guest has fits
 * into the buffers of the link.  True if it stands still now.
 */
static bool reach(Ends *ends, Phase phase)
{
    set_capability(ends, "return-path");
    if (phase == FIRST_ROUND) {
        begin_slowly(ends, UNIX);
        wait_for_decisions(ends->from, 2);
    } else if (phase == DRAIN) {
        char *step;

        migrate_set_parameter_int(ends->from, "max-bandwidth", MIB / 2);
        begin(ends, TCP);
        wait_for_migration_status(ends->to, "active", NULL);
        kill(qtest_pid(ends->to), SIGSTOP);
        migrate_set_parameter_int(ends->from, "max-bandwidth", 0);
        while (step = last_step(ends->from), strcmp(step, "drain")) {
            g_free(step);
            g_usleep(10 * 1000);
        }
        g_free(step);
    } else {
        migrate_set_capability(ends->from, "pause-before-switchover", true);
        let_go(ends);
        begin(ends, UNIX);
        wait_for_migration_status(ends->from, "pre-switchover", NULL);
    }
    return phase == DRAIN;
}

static void reset_source(Ends *ends)
{
    migrate_set_capability(ends->from, "pause-before-switchover", false);
    let_go(ends);
}

static void test_cancel(const void *opaque)
{
    Phase phase = GPOINTER_TO_INT(opaque);
    Ends ends = { .idle = phase == DRAIN };
    bool still;

    start_both(&ends, HEAT, HEAT, "");
    still = reach(&ends, phase);
    qtest_set_expected_status(ends.to, EXIT_FAILURE);
    qtest_qmp_assert_success(ends.from, "{ 'execute': 'migrate_cancel' }");
    wait_for_migration_status(ends.from, "cancelled", NULL);
    if (still) {
        kill(qtest_pid(ends.to), SIGCONT);
    }
    qtest_wait_qemu(ends.to);
    qtest_quit(ends.to);
    check_guest(&ends, ends.from);

    start_to(&ends, HEAT);
    set_capability(&ends, "return-path");
    reset_source(&ends);
    begin(&ends, UNIX);
    finish(&ends);
    check_rounds(ends.from, true);
    stop_both(&ends);
}

static void yank(QTestState *qts)
{
    qtest_qmp_assert_success(qts, "{ 'execute': 'yank', 'arguments': { "
                                  "'instances': [ { 'type': 'migration' } ] } "
                                  "}");
}

/*
 * The destination dies, or, if it stands still, the link; the guest at the
 * source is as good as before.
 */
static void test_lose_destination(const void *opaque)
{
    const char *ungoals[] = { "completed", "cancelled", NULL };
    Phase phase = GPOINTER_TO_INT(opaque);
    Ends ends = { .idle = phase == DRAIN };

    start_both(&ends, HEAT, HEAT, "");
    if (reach(&ends, phase)) {
        yank(ends.from);
        qtest_set_expected_status(ends.to, EXIT_FAILURE);
        kill(qtest_pid(ends.to), SIGCONT);
        qtest_wait_qemu(ends.to);
    } else {
        qtest_kill_qemu(ends.to);
    }
    if (phase == PRE_SWITCHOVER) {
        migrate_continue(ends.from, "pre-switchover");
    }
    wait_for_migration_status(ends.from, "failed", ungoals);
    check_guest(&ends, ends.from);

    qtest_quit(ends.to);
    start_to(&ends, HEAT);
    set_capability(&ends, "return-path");
    reset_source(&ends);
    begin(&ends, UNIX);
    finish(&ends);
    stop_both(&ends);
}

/* The source dies: the destination has no guest, and says so; or has it. */
static void test_kill_source(void)
{
    Ends ends = {};

    start_both(&ends, HEAT, HEAT, "");
    reach(&ends, FIRST_ROUND);
    qtest_set_expected_status(ends.to, EXIT_FAILURE);
    qtest_kill_qemu(ends.from);
    qtest_wait_qemu(ends.to);
    stop_both(&ends);
}

static void test_kill_source_after(void)
{
    Ends ends = {};

    start_both(&ends, HEAT, HEAT, "");
    set_capability(&ends, "return-path");
    let_go(&ends);
    begin(&ends, UNIX);
    wait_for_migration_complete(ends.from);
    qtest_kill_qemu(ends.from);
    wait_for_migration_complete(ends.to);
    check_guest(&ends, ends.to);
    stop_both(&ends);
}

/* What stays back goes when the user stops the guest. */
static void test_user_stops(void)
{
    Ends ends = {};

    start_both(&ends, HEAT, HEAT, "");
    reach(&ends, FIRST_ROUND);
    qtest_qmp_assert_success(ends.from, "{ 'execute': 'stop' }");
    migrate_set_parameter_int(ends.from, "max-bandwidth", 0);
    wait_for_migration_complete(ends.from);
    wait_for_migration_complete(ends.to);
    qtest_qmp_assert_success(ends.to, "{ 'execute': 'cont' }");
    check_guest(&ends, ends.to);
    stop_both(&ends);
}

/* The contract */

static const struct {
    const char *options, *words[4];
} error_cases[] = {
    { "-M nfv,migration-deadline=86400001",
      { "deadline=86400001 is out of range", "0 (none) to 86400000" } },
    { "-M nfv,migration-max-downtime=86400001",
      { "max-downtime=86400001 is out of range", "milliseconds" } },
    { "-M nfv,migration-max-downtime=-1", { "max-downtime" } },
    { "-M nfv,migration-deadline=soon", { "deadline" } },
    { "-M nfv,migration-on-deadline=later",
      { "on-deadline", "'later'", "continue, postcopy, cancel" } },
    { "-M q35 -global migration.deadline=86400001",
      { "deadline=86400001 is out of range" } },
    { "-M q35 -global migration.on-deadline=later", { "'later'" } },
    { "-M q35 -global migration.policy=perhaps", { "policy" } },
};

static void test_errors(void)
{
    for (int i = 0; i < ARRAY_SIZE(error_cases); i++) {
        g_autofree char *output = NULL;
        int status =
            nfv_test_run(&output, "-display none -accel qtest -nodefaults %s",
                         error_cases[i].options);

        g_test_message("%s: %s", error_cases[i].options, output);
        g_assert_cmpint(status, ==, 1);
        for (int k = 0; error_cases[i].words[k]; k++) {
            g_assert(strstr(output, error_cases[i].words[k]));
        }
    }
}

static void expect_refusal(QTestState *qts, const char *name,
                           const char *words)
{
    QDict *response = qtest_qmp(
        qts, "{ 'execute': 'qom-set', 'arguments': { 'path': '/machine', "
             "'property': %s, 'value': 1 } }", name);
    const char *found = qdict_get_str(qdict_get_qdict(response, "error"),
                                      "desc");

    g_assert(strstr(found, name));
    g_assert(strstr(found, words));
    qobject_unref(response);
}

static void test_running(void)
{
    Ends ends = { .machine = "nfv" };

    start_both(&ends, HEAT, HEAT, "");
    begin_slowly(&ends, UNIX);
    expect_refusal(ends.from, "migration-max-downtime",
                   "cannot be changed while a migration runs");
    expect_refusal(ends.from, "migration-deadline",
                   "cannot be changed while a migration runs");
    finish(&ends);
    set_ms(ends.from, "deadline", 1000);
    stop_both(&ends);
}

static void test_limit(void)
{
    static const struct {
        int contract, limit, in_force; /* ms */
    } cases[] = { { 0, 300, 300 }, { 20, 300, 20 }, { 300, 20, 20 },
                  { 7, 7, 7 },     { 20, 0, 0 } };
    QTestState *qts = qtest_init("-M nfv -nodefaults");

    for (int i = 0; i < ARRAY_SIZE(cases); i++) {
        set_ms(qts, "max-downtime", cases[i].contract);
        migrate_set_parameter_int(qts, "downtime-limit", cases[i].limit);
        g_assert_cmpint(number(qts, "limit"), ==, cases[i].in_force * 1000);
    }
    qtest_quit(qts);
}

/* Before any migration. */
static void test_query(void)
{
    QTestState *qts = qtest_init("-M q35 -nodefaults "
                                 "-global migration.deadline=5");
    QDict *info = query(qts);

    g_assert_cmpstr(qdict_get_str(info, "peer"), ==, "unknown");
    g_assert_cmpstr(qdict_get_str(info, "on-deadline"), ==, "continue");
    g_assert_cmpint(qdict_get_int(info, "deadline"), ==, 5);
    g_assert_cmpint(qdict_get_int(info, "decisions"), ==, 0);
    g_assert_cmpint(qdict_get_int(info, "deferred"), ==, 0);
    g_assert_false(qdict_get_bool(info, "deadline-passed"));
    g_assert_false(qdict_haskey(info, "drain-time"));
    g_assert_true(qlist_empty(qdict_get_qlist(info, "rounds")));
    qobject_unref(info);
    qtest_quit(qts);
}

/* Where stock would end, it ends */

/* Fewer bytes than a window of the bandwidth wants. */
static void test_slow_link(void)
{
    Ends ends = { .idle = true };

    start_both(&ends, HEAT, HEAT, "-global migration.popmap=on");
    migrate_set_parameter_int(ends.from, "max-bandwidth", MIB);
    migrate_set_parameter_int(ends.from, "downtime-limit", 2000);
    begin(&ends, UNIX);
    wait_for_migration_complete(ends.from);
    wait_for_migration_complete(ends.to);
    stop_both(&ends);
}

/* Throttling */

static int vcpu_thread(QTestState *qts)
{
    QDict *response = qtest_qmp(qts, "{ 'execute': 'query-cpus-fast' }");
    QDict *cpu = qobject_to(
        QDict, qlist_peek(qdict_get_qlist(response, "return")));
    int tid = qdict_get_int(cpu, "thread-id");

    qobject_unref(response);
    return tid;
}

/* Auto-converge asks for it; a real-time vCPU is spared, and that is said. */
static void test_throttle(const void *opaque)
{
    bool real_time = opaque;
    int64_t percentage;
    Ends ends = {};

    if (real_time && !nfv_test_has_fifo()) {
        return;
    }
    start_both(&ends, HEAT, HEAT, "");
    if (real_time) {
        struct sched_param param = { .sched_priority = 1 };

        g_assert_cmpint(sched_setscheduler(vcpu_thread(ends.from), SCHED_RR,
                                           &param), ==, 0);
    }
    migrate_set_capability(ends.from, "auto-converge", true);
    migrate_set_parameter_int(ends.from, "throttle-trigger-threshold", 1);
    begin_slowly(&ends, UNIX);
    do {
        QDict *info = migrate_query(ends.from);

        percentage = qdict_get_try_int(info, "cpu-throttle-percentage", 0);
        qobject_unref(info);
        g_usleep(10 * 1000);
    } while (!percentage);
    finish(&ends);
    g_assert_cmpuint(said(&ends, "does not throttle real-time vCPUs"), ==,
                     real_time);
    stop_both(&ends);
}

static const Case cases[] = {
    { &variants[0], "tcg", HEAT, HEAT },   { &variants[1], "kvm", HEAT, OFF },
    { &variants[1], "tcg", POLICY, POLICY }, { &variants[2], "tcg", HEAT, OFF },
    { &variants[3], "tcg", HEAT, HEAT },   { &variants[4], "kvm", HEAT, HEAT },
    { &variants[0], "tcg", HEAT, STOCK },  { &variants[4], "tcg", STOCK, HEAT },
};

static bool is_among(const Case *c)
{
    for (int i = 0; i < ARRAY_SIZE(cases); i++) {
        if (c->variant == cases[i].variant && c->accel == cases[i].accel &&
            c->from == cases[i].from && c->to == cases[i].to) {
            return true;
        }
    }
    return false;
}

static void add_migration(const Case *c)
{
    static const char *const names[] = { "off", "policy", "heat", "stock" };
    g_autofree char *test = g_strdup_printf(
        "nfv/policy/migrate/%s/%s/%s-%s", c->variant->name, c->accel,
        names[c->from], names[c->to]);

    qtest_add_data_func_full(test, g_memdup2(c, sizeof(*c)), test_migrate,
                             g_free);
}

/* The rest of the matrix. */
static void add_slow_migrations(void)
{
    static const char *const accels[] = { "tcg", "kvm" };

    for (int i = 0; i < ARRAY_SIZE(variants) * 2 * 4 * 4; i++) {
        Case c = { &variants[i / 32], accels[i / 16 % 2], i / 4 % 4, i % 4 };

        if (!(c.from == STOCK && c.to == STOCK) && !is_among(&c)) {
            add_migration(&c);
        }
    }
}

static void add_phases(const char *what, void (*test)(const void *))
{
    for (int i = 0; i < PHASES; i++) {
        g_autofree char *name =
            g_strdup_printf("nfv/policy/%s/%s", what, phase_names[i]);

        qtest_add_data_func(name, GINT_TO_POINTER(i), test);
    }
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    for (int i = 0; i < ARRAY_SIZE(cases); i++) {
        add_migration(&cases[i]);
    }
    if (g_test_slow()) {
        add_slow_migrations();
    }
    qtest_add_func("nfv/policy/deadline/cancel", test_deadline_cancel);
    qtest_add_func("nfv/policy/deadline/continue", test_deadline_continue);
    qtest_add_func("nfv/policy/deadline/postcopy", test_deadline_postcopy);
    qtest_add_func("nfv/policy/deadline/no-postcopy",
                   test_deadline_no_postcopy);
    qtest_add_func("nfv/policy/deadline/hung", test_deadline_hung);
    add_phases("cancel", test_cancel);
    add_phases("lose-destination", test_lose_destination);
    qtest_add_func("nfv/policy/kill-source/first-round", test_kill_source);
    qtest_add_func("nfv/policy/kill-source/after", test_kill_source_after);
    qtest_add_func("nfv/policy/user-stops", test_user_stops);
    qtest_add_func("nfv/policy/errors", test_errors);
    qtest_add_func("nfv/policy/running", test_running);
    qtest_add_func("nfv/policy/limit", test_limit);
    qtest_add_func("nfv/policy/query", test_query);
    qtest_add_func("nfv/policy/slow-link", test_slow_link);
    if (g_test_slow()) {
        qtest_add_data_func("nfv/policy/throttle", NULL, test_throttle);
    }
    qtest_add_data_func("nfv/policy/throttle-real-time", (void *)1,
                        test_throttle);
    return g_test_run();
}
