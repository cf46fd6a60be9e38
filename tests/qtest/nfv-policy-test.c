/*
 * Migration by the contract: when it switches over, and what it does otherwise
 *
 * Copyright (c) 2026 the kvm4nfv authors
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "qemu/osdep.h"
#include <sched.h>
#include "libqtest.h"
#include "migration/migration-qmp.h"
#include "migration/migration-util.h"
#include "nfv/busy.h"
#include "nfv/host.h"
#include "nfv/pair.h"
#include "nfv/process.h"
#include "nfv/stock.h"
#include "qobject/qdict.h"
#include "qobject/qlist.h"

#define MIB (1024 * 1024)

/* Both ends */

typedef enum Switches { OFF, POLICY, HEAT, STOCK } Switches;

/* NULL: stock QEMU. */
static const char *const switch_options[] = {
    [OFF] = "",
    [POLICY] = "-global migration.policy=on",
    [HEAT] = "-global migration.policy=on -global migration.heat=on",
    [STOCK] = NULL,
};

static void start_to(NfvPair *p, Switches switches)
{
    nfv_pair_start_to(p, switch_options[switches]);
}

/* @options: of the source. */
static void start_both(NfvPair *p, Switches from, Switches to,
                       const char *options)
{
    g_autofree char *all =
        from == STOCK ? NULL :
                        g_strdup_printf("%s %s", switch_options[from], options);

    nfv_pair_start(p, all, switch_options[to]);
}

/* How often the source said so. */
static unsigned said(const NfvPair *p, const char *words)
{
    g_autofree char *text = nfv_pair_log(p, "from");
    unsigned n = 0;

    for (const char *at = text; (at = strstr(at, words)); at++) {
        n++;
    }
    return n;
}

/* A migration */

static bool deadline_passed(QTestState *qts)
{
    QDict *info = nfv_pair_query(qts);
    bool passed = qdict_get_bool(info, "deadline-passed");

    qobject_unref(info);
    return passed;
}

static void wait_for_deadline(QTestState *qts)
{
    while (!deadline_passed(qts)) {
        g_usleep(10 * 1000);
    }
}

static void check_rounds(QTestState *qts, bool drained)
{
    QDict *info = nfv_pair_query(qts);
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
    { "tcp", NFV_PAIR_TCP, "return-path" },
    { "unix", NFV_PAIR_UNIX, "return-path" },
    { "one-way", NFV_PAIR_UNIX, .one_way = true },
    { "multifd", NFV_PAIR_TCP, "multifd" },
    { "postcopy", NFV_PAIR_UNIX, "postcopy-ram", true },
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
    NfvPair ends = { .accel = c->accel };

    if ((c->from == STOCK || c->to == STOCK) && !nfv_has_stock()) {
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
        nfv_pair_set_capability(&ends, v->capability);
    }
    if (!v->one_way) {
        nfv_pair_set_capability(&ends, "return-path");
    }
    nfv_pair_begin_slowly(&ends, v->listen);
    if (c->from == POLICY || c->from == HEAT) {
        nfv_pair_wait_for_decisions(ends.from, 3);
    }
    if (v->postcopy) {
        qtest_qmp_assert_success(ends.from,
                                 "{ 'execute': 'migrate-start-postcopy' }");
    } else if (c->from == HEAT) {
        /* All that the guest writes stays back; later rounds send it. */
        migrate_set_parameter_int(ends.from, "max-bandwidth", 0);
        while (!nfv_pair_number(ends.from, "deferred")) {
            g_usleep(10 * 1000);
        }
        nfv_pair_wait_for_decisions(ends.from,
            nfv_pair_number(ends.from, "decisions") + 3);
    }
    nfv_pair_finish(&ends);
    if (c->from == OFF) {
        g_assert_cmpint(nfv_pair_number(ends.from, "decisions"), ==, 0);
    } else if (c->from != STOCK && !v->postcopy) {
        check_rounds(ends.from, !v->one_way);
    }
    nfv_pair_stop(&ends);
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
    NfvPair ends = { .machine = NFV_PAIR_NFV };
    QDict *info;

    start_both(&ends, HEAT, HEAT,
               DEADLINE "-global migration.on-deadline=cancel");
    nfv_pair_begin_slowly(&ends, NFV_PAIR_UNIX);
    qtest_set_expected_status(ends.to, EXIT_FAILURE);
    wait_for_migration_status(ends.from, "cancelled", NULL);
    g_assert_true(deadline_passed(ends.from));
    info = migrate_query(ends.from);
    g_assert(strstr(qdict_get_str(info, "error-desc"), "deadline of 300 ms"));
    qobject_unref(info);
    qtest_wait_qemu(ends.to);
    qtest_quit(ends.to);
    nfv_pair_check_guest(&ends, ends.from);

    set_ms(ends.from, "deadline", 0);
    start_to(&ends, HEAT);
    nfv_pair_begin(&ends, NFV_PAIR_UNIX);
    nfv_pair_finish(&ends);
    g_assert_false(deadline_passed(ends.from));
    nfv_pair_stop(&ends);
}

/* It goes on, and says that it is late. */
static void test_deadline_continue(void)
{
    NfvPair ends = {};

    start_both(&ends, HEAT, HEAT, DEADLINE);
    nfv_pair_begin_slowly(&ends, NFV_PAIR_UNIX);
    wait_for_deadline(ends.from);
    wait_for_migration_status(ends.from, "active", NULL);
    nfv_pair_finish(&ends);
    g_assert_true(deadline_passed(ends.from));
    nfv_pair_stop(&ends);
}

static void deadline_postcopy(bool capability)
{
    NfvPair ends = {};

    if (capability && !ufd_version_check(NULL)) {
        g_test_skip("userfaultfd is not available");
        return;
    }
    start_both(&ends, HEAT, HEAT,
               DEADLINE "-global migration.on-deadline=postcopy");
    if (capability) {
        nfv_pair_set_capability(&ends, "postcopy-ram");
    }
    nfv_pair_begin_slowly(&ends, NFV_PAIR_UNIX);
    wait_for_deadline(ends.from);
    if (capability) {
        const char *ungoals[] = { "failed", "completed", NULL };

        wait_for_migration_status(ends.from, "postcopy-active", ungoals);
    } else {
        wait_for_migration_status(ends.from, "active", NULL);
    }
    nfv_pair_finish(&ends);
    nfv_pair_stop(&ends);
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
static void test_deadline_hung(const void *multifd)
{
    NfvPair ends = {};

    start_both(&ends, HEAT, HEAT,
               "-global migration.deadline=1000 "
               "-global migration.on-deadline=cancel");
    if (multifd) {
        nfv_pair_set_capability(&ends, "multifd");
    }
    nfv_pair_begin_slowly(&ends, multifd ? NFV_PAIR_TCP : NFV_PAIR_UNIX);
    kill(qtest_pid(ends.to), SIGSTOP);
    migrate_set_parameter_int(ends.from, "max-bandwidth", 0);
    wait_for_migration_status(ends.from, "cancelled", NULL);
    qtest_set_expected_status(ends.to, EXIT_FAILURE);
    kill(qtest_pid(ends.to), SIGCONT);
    qtest_wait_qemu(ends.to);
    nfv_pair_check_guest(&ends, ends.from);
    nfv_pair_stop(&ends);
}

/* A destination that does not answer before there is a channel */

/* @connects: later, when nobody wants it any more. */
static void test_deadline_setup(const void *connects)
{
    const char *ungoals[] = { "completed", "active", NULL };
    NfvPair ends = { .machine = NFV_PAIR_NFV };
    QDict *info;
    NfvBusy busy;

    start_both(&ends, HEAT, HEAT,
               DEADLINE "-global migration.on-deadline=cancel");
    busy = nfv_busy_new(ends.directory);
    nfv_busy_migrate(&busy, ends.from);
    wait_for_migration_status(ends.from, "cancelled", NULL);
    info = migrate_query(ends.from);
    g_assert(strstr(qdict_get_str(info, "error-desc"), "deadline of 300 ms"));
    qobject_unref(info);
    g_assert_true(deadline_passed(ends.from));
    nfv_pair_wait_for_events(&ends, 1);
    nfv_pair_check_guest(&ends, ends.from);

    if (connects) {
        nfv_busy_read(&busy);
        wait_for_migration_status(ends.from, "failed", ungoals);
    }
    nfv_busy_end(&busy);
    while (!connects && !said(&ends, "Illegal migration status")) {
        g_usleep(10 * 1000); /* stock's words for a channel that is not wanted */
    }
    set_ms(ends.from, "deadline", 0);
    nfv_pair_begin(&ends, NFV_PAIR_UNIX);
    nfv_pair_finish(&ends);
    nfv_pair_wait_for_events(&ends, 2);
    g_assert_false(deadline_passed(ends.from));
    nfv_pair_stop(&ends);
}

/*
 * A connect under way outlives the cancel, and the next migration is refused;
 * that one must not go where the first was to go.
 */
static void test_cancelled_comes_back(const void *multifd)
{
    const char *ungoals[] = { "completed", "active", NULL };
    NfvPair ends = {};
    QDict *info;
    NfvBusy busy;

    start_both(&ends, HEAT, HEAT, "");
    if (multifd) {
        nfv_pair_set_capability(&ends, "multifd");
    }
    busy = nfv_busy_new(ends.directory);
    nfv_busy_migrate(&busy, ends.from);
    nfv_pair_cancel(&ends);
    migrate_qmp_fail(ends.from, "tcp:127.0.0.1:1", NULL, "{}");
    nfv_busy_read(&busy);
    nfv_busy_end(&busy);
    wait_for_migration_status(ends.from, "failed", ungoals);
    info = migrate_query(ends.from);
    g_assert(strstr(qdict_get_str(info, "error-desc"), "was cancelled"));
    qobject_unref(info);
    nfv_pair_check_guest(&ends, ends.from);
    nfv_pair_begin(&ends, multifd ? NFV_PAIR_TCP : NFV_PAIR_UNIX);
    nfv_pair_finish(&ends);
    nfv_pair_stop(&ends);
}

/* It goes on waiting, and says that it is late. */
static void test_deadline_setup_continue(void)
{
    const char *ungoals[] = { "completed", "cancelled", NULL };
    NfvPair ends = {};
    NfvBusy busy;

    start_both(&ends, HEAT, HEAT, DEADLINE);
    busy = nfv_busy_new(ends.directory);
    nfv_busy_migrate(&busy, ends.from);
    wait_for_deadline(ends.from);
    wait_for_migration_status(ends.from, "setup", NULL);
    nfv_busy_end(&busy);
    wait_for_migration_status(ends.from, "failed", ungoals);
    nfv_pair_wait_for_events(&ends, 1);
    nfv_pair_check_guest(&ends, ends.from);
    nfv_pair_stop(&ends);
}

/* Broken off in each phase */

typedef enum Phase { FIRST_ROUND, DRAIN, PRE_SWITCHOVER, PHASES } Phase;

static const char *const phase_names[] = {
    [FIRST_ROUND] = "first-round",
    [DRAIN] = "drain",
    [PRE_SWITCHOVER] = "pre-switchover",
};

/* What may stay back to the end, and more. */
#define ALL_SENT (64 * 1024)

/*
 * The drain: the destination stands still, and all that an idle guest has fits
 * into the buffers of the link, so an answer is all that is missing.  True if it
 * stands still now.
 */
static bool reach(NfvPair *ends, Phase phase)
{
    nfv_pair_set_capability(ends, "return-path");
    if (phase == FIRST_ROUND) {
        nfv_pair_begin_slowly(ends, NFV_PAIR_UNIX);
        nfv_pair_wait_for_decisions(ends->from, 2);
    } else if (phase == DRAIN) {
        migrate_set_parameter_int(ends->from, "max-bandwidth", MIB / 2);
        nfv_pair_begin(ends, NFV_PAIR_TCP);
        wait_for_migration_status(ends->to, "active", NULL);
        kill(qtest_pid(ends->to), SIGSTOP);
        migrate_set_parameter_int(ends->from, "max-bandwidth", 0);
        while (read_ram_property_int(ends->from, "remaining") > ALL_SENT) {
            g_usleep(10 * 1000);
        }
    } else {
        migrate_set_capability(ends->from, "pause-before-switchover", true);
        nfv_pair_let_go(ends);
        nfv_pair_begin(ends, NFV_PAIR_UNIX);
        wait_for_migration_status(ends->from, "pre-switchover", NULL);
    }
    return phase == DRAIN;
}

static void reset_source(NfvPair *ends)
{
    migrate_set_capability(ends->from, "pause-before-switchover", false);
    nfv_pair_let_go(ends);
}

static void test_cancel(const void *opaque)
{
    Phase phase = GPOINTER_TO_INT(opaque);
    NfvPair ends = { .idle = phase == DRAIN };
    bool still;

    start_both(&ends, HEAT, HEAT, "");
    still = reach(&ends, phase);
    qtest_set_expected_status(ends.to, EXIT_FAILURE);
    nfv_pair_cancel(&ends);
    if (still) {
        kill(qtest_pid(ends.to), SIGCONT);
    }
    qtest_wait_qemu(ends.to);
    qtest_quit(ends.to);
    nfv_pair_check_guest(&ends, ends.from);

    start_to(&ends, HEAT);
    nfv_pair_set_capability(&ends, "return-path");
    reset_source(&ends);
    nfv_pair_begin(&ends, NFV_PAIR_UNIX);
    nfv_pair_finish(&ends);
    check_rounds(ends.from, true);
    nfv_pair_stop(&ends);
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
    NfvPair ends = { .idle = phase == DRAIN };

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
    nfv_pair_check_guest(&ends, ends.from);

    qtest_quit(ends.to);
    start_to(&ends, HEAT);
    nfv_pair_set_capability(&ends, "return-path");
    reset_source(&ends);
    nfv_pair_begin(&ends, NFV_PAIR_UNIX);
    nfv_pair_finish(&ends);
    nfv_pair_stop(&ends);
}

/* The source dies: the destination has no guest, and says so; or has it. */
static void test_kill_source(const void *opaque)
{
    Phase phase = GPOINTER_TO_INT(opaque);
    NfvPair ends = { .idle = phase == DRAIN };
    bool still;

    start_both(&ends, HEAT, HEAT, "");
    still = reach(&ends, phase);
    qtest_set_expected_status(ends.to, EXIT_FAILURE);
    qtest_kill_qemu(ends.from);
    if (still) {
        kill(qtest_pid(ends.to), SIGCONT);
    }
    qtest_wait_qemu(ends.to);
    nfv_pair_stop(&ends);
}

static void test_kill_source_after(void)
{
    NfvPair ends = {};

    start_both(&ends, HEAT, HEAT, "");
    nfv_pair_set_capability(&ends, "return-path");
    nfv_pair_let_go(&ends);
    nfv_pair_begin(&ends, NFV_PAIR_UNIX);
    wait_for_migration_complete(ends.from);
    qtest_kill_qemu(ends.from);
    wait_for_migration_complete(ends.to);
    nfv_pair_check_guest(&ends, ends.to);
    nfv_pair_stop(&ends);
}

/* What stays back goes when the user stops the guest. */
static void test_user_stops(void)
{
    NfvPair ends = {};

    start_both(&ends, HEAT, HEAT, "");
    reach(&ends, FIRST_ROUND);
    qtest_qmp_assert_success(ends.from, "{ 'execute': 'stop' }");
    migrate_set_parameter_int(ends.from, "max-bandwidth", 0);
    wait_for_migration_complete(ends.from);
    wait_for_migration_complete(ends.to);
    qtest_qmp_assert_success(ends.to, "{ 'execute': 'cont' }");
    nfv_pair_check_guest(&ends, ends.to);
    nfv_pair_stop(&ends);
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
             "'property': %s, 'value': false } }", name);
    const char *found = qdict_get_str(qdict_get_qdict(response, "error"),
                                      "desc");

    g_assert(strstr(found, name));
    g_assert(strstr(found, words));
    qobject_unref(response);
}

static void set_switch(QTestState *qts, const char *name, bool on)
{
    g_autofree char *property = g_strconcat("migration-", name, NULL);

    qtest_qmp_assert_success(qts,
                             "{ 'execute': 'qom-set', 'arguments': { 'path': "
                             "'/machine', 'property': %s, 'value': %i } }",
                             property, on);
}

/* The contract may change then; see nfv-postcopy-test. */
static void test_running(void)
{
    NfvPair ends = { .machine = NFV_PAIR_NFV };

    start_both(&ends, HEAT, HEAT, "");
    nfv_pair_begin_slowly(&ends, NFV_PAIR_UNIX);
    expect_refusal(ends.from, "migration-heat",
                   "cannot be changed while a migration runs");
    nfv_pair_finish(&ends);
    set_switch(ends.from, "heat", false);
    nfv_pair_stop(&ends);
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
        g_assert_cmpint(nfv_pair_number(qts, "limit"), ==, cases[i].in_force * 1000);
    }
    qtest_quit(qts);
}

/* Before any migration. */
static void test_query(void)
{
    QTestState *qts = qtest_init("-M q35 -nodefaults "
                                 "-global migration.deadline=5");
    QDict *info = nfv_pair_query(qts);

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
    NfvPair ends = { .idle = true };

    start_both(&ends, HEAT, HEAT, "-global migration.popmap=on");
    migrate_set_parameter_int(ends.from, "max-bandwidth", MIB);
    migrate_set_parameter_int(ends.from, "downtime-limit", 2000);
    nfv_pair_begin(&ends, NFV_PAIR_UNIX);
    wait_for_migration_complete(ends.from);
    wait_for_migration_complete(ends.to);
    nfv_pair_stop(&ends);
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
    NfvPair ends = {};

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
    nfv_pair_begin_slowly(&ends, NFV_PAIR_UNIX);
    do {
        QDict *info = migrate_query(ends.from);

        percentage = qdict_get_try_int(info, "cpu-throttle-percentage", 0);
        qobject_unref(info);
        g_usleep(10 * 1000);
    } while (!percentage);
    nfv_pair_finish(&ends);
    g_assert_cmpuint(said(&ends, "does not throttle real-time vCPUs"), ==,
                     real_time);
    nfv_pair_stop(&ends);
}

/* It would throttle all vCPUs, the real-time one, too. */
static void test_dirty_limit(const void *opaque)
{
    const char *never[] = { "completed", NULL };
    bool real_time = opaque;
    NfvPair ends = { .accel = "kvm,dirty-ring-size=1024", .idle = true };

    if (!nfv_test_has_accel("kvm")) {
        g_test_skip("dirty-limit needs KVM, which does not work here");
        return;
    }
    if (real_time && !nfv_test_has_fifo()) {
        return;
    }
    /*
     * Not running: a kernel of 6.16 or newer may reset a part of a ring, which
     * ends QEMU 10.0 ("ret == total").
     */
    start_both(&ends, HEAT, HEAT, "-S");
    if (real_time) {
        struct sched_param param = { .sched_priority = 1 };

        g_assert_cmpint(sched_setscheduler(vcpu_thread(ends.from), SCHED_FIFO,
                                           &param), ==, 0);
    }
    migrate_set_capability(ends.from, "dirty-limit", true);
    qtest_set_expected_status(ends.to, real_time ? EXIT_FAILURE : 0);
    nfv_pair_begin(&ends, NFV_PAIR_UNIX);
    if (real_time) {
        wait_for_migration_status(ends.from, "failed", never);
        qtest_wait_qemu(ends.to);
        g_assert_cmpuint(said(&ends, "dirty-limit is on, and vCPU 0 is "
                                     "real-time"), >, 0);
        qtest_quit(ends.to);
        start_to(&ends, HEAT);
        migrate_set_capability(ends.from, "dirty-limit", false);
        nfv_pair_begin(&ends, NFV_PAIR_UNIX);
    }
    nfv_pair_finish(&ends);
    nfv_pair_stop(&ends);
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
    qtest_add_data_func("nfv/policy/deadline/hung", NULL, test_deadline_hung);
    qtest_add_data_func("nfv/policy/deadline/hung-multifd", (void *)1,
                        test_deadline_hung);
    qtest_add_data_func("nfv/policy/deadline/setup", NULL,
                        test_deadline_setup);
    qtest_add_data_func("nfv/policy/deadline/setup-connects", (void *)1,
                        test_deadline_setup);
    qtest_add_data_func("nfv/policy/cancelled-comes-back/plain", NULL,
                        test_cancelled_comes_back);
    qtest_add_data_func("nfv/policy/cancelled-comes-back/multifd", (void *)1,
                        test_cancelled_comes_back);
    qtest_add_func("nfv/policy/deadline/setup-continue",
                   test_deadline_setup_continue);
    add_phases("cancel", test_cancel);
    add_phases("lose-destination", test_lose_destination);
    add_phases("kill-source", test_kill_source);
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
    qtest_add_data_func("nfv/policy/dirty-limit", NULL, test_dirty_limit);
    qtest_add_data_func("nfv/policy/dirty-limit-real-time", (void *)1,
                        test_dirty_limit);
    return g_test_run();
}
