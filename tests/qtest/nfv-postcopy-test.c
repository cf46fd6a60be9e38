/*
 * Post-copy: every switch, broken links and lost ends, and what it refuses
 *
 * Copyright (c) 2026 the kvm4nfv authors
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "qemu/osdep.h"
#include "libqtest.h"
#include "migration/bootfile.h"
#include "migration/migration-qmp.h"
#include "migration/migration-util.h"
#include "nfv/hugepages.h"
#include "nfv/pair.h"
#include "nfv/stock.h"
#include "nfv/tcp.h"
#include "qobject/qdict.h"
#include "qobject/qlist.h"
#include "qobject/qnum.h"

#define MIB (1024 * 1024)
#define SLOW (16 * MIB) /* bytes a second */
#define TRICKLE (64 * 1024)
#define HUGE_KIB 2048
#define HUGE_PAGES 128 /* of both ends */

#define SHORTENED "nfv_net_shorten_queue"
#define ALL_ON                                                             \
    "-global migration.popmap=on -global migration.policy=on "             \
    "-global migration.heat=on -global migration.net=on "                  \
    "-global migration.postcopy=on -global migration.early-discard=on "    \
    "-global migration.hot-push=on -global migration.prefetch=on "         \
    "-trace nfv_postcopy_switch -trace nfv_postcopy_discard "              \
    "-trace " SHORTENED " "
#define OF_HUGE_PAGES                                                      \
    "-machine memory-backend=m "                                           \
    "-object memory-backend-memfd,id=m,size=128M,hugetlb=on,hugetlbsize=2M"

static const char *ended[] = { "failed", "cancelled", "completed", NULL };
static const char *completed[] = { "completed", NULL };

/* Channels */

typedef struct Variant {
    bool preempt, multifd, huge;
} Variant;

static bool can_run(const Variant *v)
{
    if (!ufd_version_check(NULL)) {
        g_test_skip("userfaultfd is not available");
        return false;
    }
    return !v->huge || nfv_huge_reserve(HUGE_KIB, HUGE_PAGES);
}

static void set_capabilities(NfvPair *p, const Variant *v)
{
    nfv_pair_set_capability(p, "return-path");
    nfv_pair_set_capability(p, "postcopy-ram");
    if (v->preempt) {
        nfv_pair_set_capability(p, "postcopy-preempt");
    }
    if (v->multifd) {
        nfv_pair_set_capability(p, "multifd");
    }
}

static void start_both(NfvPair *p, const Variant *v, const char *options)
{
    p->memory = v->huge ? OF_HUGE_PAGES : "";
    nfv_pair_start(p, options, options);
    set_capabilities(p, v);
}

/* What the guest does not wait for goes slowly, until it is let go. */
static void ask_for_postcopy(NfvPair *p)
{
    migrate_set_parameter_int(p->from, "max-postcopy-bandwidth", SLOW);
    qtest_qmp_assert_success(p->from,
                             "{ 'execute': 'migrate-start-postcopy' }");
}

/* Some of the memory has gone. */
static void begin_precopy(NfvPair *p, const char *listen)
{
    nfv_pair_begin_slowly(p, listen);
    while (read_ram_property_int(p->from, "transferred") < 4 * MIB) {
        g_usleep(10 * 1000);
    }
}

static void switch_to_postcopy(NfvPair *p)
{
    ask_for_postcopy(p);
    wait_for_migration_status(p->from, "postcopy-active", ended);
    wait_for_migration_status(p->to, "postcopy-active", ended);
}

static void begin_postcopy(NfvPair *p)
{
    begin_precopy(p, NFV_PAIR_UNIX);
    switch_to_postcopy(p);
}

/* Stalls are counted by vCPU and by length; all counts agree. */
static void check_stalls(QTestState *qts, bool counted)
{
    QDict *info = nfv_pair_query(qts), *stalls;
    int64_t of_vcpus = 0, in_histogram = 0, faults;
    QListEntry *entry;

    g_assert_cmpint(qdict_haskey(info, "stalls"), ==, counted);
    if (counted) {
        stalls = qdict_get_qdict(info, "stalls");
        faults = qdict_get_int(stalls, "faults");
        g_assert_cmpint(faults, >, 0);
        g_assert_cmpint(qdict_get_int(stalls, "longest"), >, 0);
        g_assert_cmpint(qdict_get_int(stalls, "sum"), >=,
                        qdict_get_int(stalls, "longest"));
        QLIST_FOREACH_ENTRY(qdict_get_qlist(stalls, "vcpus"), entry)
        {
            of_vcpus += qdict_get_int(qobject_to(QDict, entry->value),
                                      "faults");
        }
        QLIST_FOREACH_ENTRY(qdict_get_qlist(stalls, "histogram"), entry)
        {
            in_histogram +=
                qnum_get_int(qobject_to(QNum, entry->value));
        }
        g_assert_cmpint(of_vcpus + qdict_get_int(stalls, "other-faults"), ==,
                        faults);
        g_assert_cmpint(in_histogram, ==, faults);
        g_assert_cmpint(of_vcpus, >, 0);
    }
    qobject_unref(info);
}

static QDict *result_of(QTestState *qts)
{
    QDict *info = nfv_pair_query(qts);
    QDict *result = qobject_ref(qdict_get_qdict(info, "result"));

    qobject_unref(info);
    return result;
}

static void check_result(QTestState *qts, bool postcopy, const char *verdict)
{
    QDict *result = result_of(qts);

    g_assert_cmpstr(qdict_get_str(result, "status"), ==, "completed");
    g_assert_cmpstr(qdict_get_str(result, "verdict"), ==, verdict);
    g_assert_cmpint(qdict_get_bool(result, "postcopy"), ==, postcopy);
    g_assert_cmpint(qdict_get_int(result, "total"), >=,
                    qdict_get_int(result, "downtime"));
    qobject_unref(result);
}

static unsigned said(NfvPair *p, const char *name, const char *words)
{
    g_autofree char *text = nfv_pair_log(p, name);
    unsigned n = 0;

    for (const char *at = text; (at = strstr(at, words)); at++) {
        n++;
    }
    return n;
}

/* Each switch */

typedef struct Case {
    const char *off; /* a switch, or NULL */
    Variant v;
} Case;

static void test_migrate(const void *opaque)
{
    const Case *c = opaque;
    bool parity = g_strcmp0(c->off, "postcopy");
    g_autofree char *options =
        c->off ? g_strdup_printf(ALL_ON "-global migration.%s=off", c->off) :
                 g_strdup(ALL_ON);
    NfvPair p = {};

    if (!can_run(&c->v)) {
        return;
    }
    start_both(&p, &c->v, options);
    begin_postcopy(&p);
    g_assert_cmpint(said(&p, "from", "nfv_postcopy_switch"), ==, parity);
    g_assert_cmpint(!said(&p, "from", "nfv_postcopy_discard"), ==,
                    !parity || !g_strcmp0(c->off, "early-discard"));
    nfv_pair_finish(&p);
    check_stalls(p.to, parity);
    if (g_strcmp0(c->off, "policy")) {
        check_result(p.from, true, "none");
    }
    nfv_pair_stop(&p);
    nfv_huge_release();
}

/* Auto-converge synchronises the dirty bitmap within a round. */
static void test_throttled(const void *opaque)
{
    const Variant *v = opaque;
    int64_t percentage;
    NfvPair p = {};

    if (!can_run(v)) {
        return;
    }
    start_both(&p, v, ALL_ON);
    migrate_set_capability(p.from, "auto-converge", true);
    migrate_set_parameter_int(p.from, "throttle-trigger-threshold", 1);
    begin_precopy(&p, NFV_PAIR_UNIX);
    migrate_set_parameter_int(p.from, "max-bandwidth", 4 * SLOW);
    do {
        QDict *info = migrate_query(p.from);

        percentage = qdict_get_try_int(info, "cpu-throttle-percentage", 0);
        qobject_unref(info);
        g_usleep(10 * 1000);
    } while (!percentage);
    switch_to_postcopy(&p);
    nfv_pair_finish(&p);
    check_result(p.from, true, "none");
    nfv_pair_stop(&p);
    nfv_huge_release();
}

/* Without the switch it is as in stock, which refuses it. */
static void test_multifd_refused(void)
{
    NfvPair p = { .idle = true };
    QDict *response;

    nfv_pair_start(&p, "", "");
    nfv_pair_set_capability(&p, "multifd");
    response = qtest_qmp(p.from,
                         "{ 'execute': 'migrate-set-capabilities', "
                         "'arguments': { 'capabilities': [ { 'capability': "
                         "'postcopy-ram', 'state': true } ] } }");
    g_assert(strstr(qdict_get_str(qdict_get_qdict(response, "error"), "desc"),
                    "multifd"));
    qobject_unref(response);
    nfv_pair_stop(&p);
}

/* From and to QEMU without our changes. */
static void test_stock(const void *opaque)
{
    bool to_stock = opaque;
    const Variant v = { .preempt = true };
    NfvPair p = {};

    if (!can_run(&v) || !nfv_has_stock()) {
        return;
    }
    nfv_pair_start(&p, to_stock ? ALL_ON : NULL, to_stock ? NULL : ALL_ON);
    set_capabilities(&p, &v);
    nfv_pair_begin_slowly(&p, NFV_PAIR_UNIX);
    ask_for_postcopy(&p);
    wait_for_migration_status(p.from, "postcopy-active", ended);
    nfv_pair_finish(&p);
    nfv_pair_stop(&p);
}

/* What never held data is zero at once, though the source is far from it. */
static void test_never_populated(const void *opaque)
{
    const Variant *v = opaque;
    NfvPair p = {};

    if (!can_run(v)) {
        return;
    }
    start_both(&p, v, ALL_ON);
    begin_postcopy(&p);
    for (uint64_t at = X86_TEST_MEM_END; at < 128 * MIB; at += MIB / 2) {
        g_assert_cmphex(qtest_readq(p.to, at), ==, 0);
        qtest_writeq(p.to, at + 8, ~at);
    }
    for (uint64_t at = X86_TEST_MEM_END; at < 128 * MIB; at += MIB / 2) {
        g_assert_cmphex(qtest_readq(p.to, at + 8), ==, ~at);
    }
    nfv_pair_finish(&p);
    for (uint64_t at = X86_TEST_MEM_END; at < 128 * MIB; at += MIB / 2) {
        g_assert_cmphex(qtest_readq(p.to, at + 8), ==, ~at);
    }
    nfv_pair_stop(&p);
    nfv_huge_release();
}

/* Broken links */

static void cut(QTestState *qts)
{
    qtest_qmp_assert_success(qts, "{ 'execute': 'yank', 'arguments': { "
                                  "'instances': [ { 'type': 'migration' } ] } "
                                  "}");
}

static void wait_until_paused(NfvPair *p)
{
    wait_for_migration_status(p->from, "postcopy-paused", ended);
    wait_for_migration_status(p->to, "postcopy-paused", ended);
}

static void recover(NfvPair *p)
{
    g_autofree char *socket = g_strdup_printf("%s/recover", p->directory);
    g_autofree char *uri = g_strdup_printf("unix:%s", socket);

    unlink(socket);
    migrate_recover(p->to, uri);
    migrate_qmp(p->from, p->to, uri, NULL, "{ 'resume': true }");
}

/* So many sockets have had the background of post-copy. */
static void wait_for_sockets(NfvPair *p, unsigned n)
{
    while (said(p, "from", SHORTENED) < n) {
        g_usleep(10 * 1000);
    }
}

/* The guest neither runs at the source nor is lost. */
static void test_cut(const void *opaque)
{
    const Variant *v = opaque;
    NfvPair p = {};

    if (!can_run(v)) {
        return;
    }
    start_both(&p, v, ALL_ON);
    begin_postcopy(&p);
    wait_for_sockets(&p, 1);
    for (int i = 0; i < 2; i++) {
        cut(i ? p.to : p.from);
        wait_until_paused(&p);
        recover(&p);
        wait_for_migration_status(p.from, "postcopy-active", ended);
        wait_for_migration_status(p.to, "postcopy-active", ended);
        wait_for_sockets(&p, i + 2);
    }
    nfv_pair_finish(&p);
    check_result(p.from, true, "none");
    g_assert_cmpuint(said(&p, "from", SHORTENED), ==, 3);
    nfv_pair_wait_for_events(&p, 1);
    nfv_pair_stop(&p);
    nfv_huge_release();
}

/* Nobody could answer the guest, though the pages still come. */
static void test_return_path(const void *opaque)
{
    const Variant *v = opaque;
    NfvPair p = {};

    if (!can_run(v) || !nfv_tcp_can_close()) {
        return;
    }
    start_both(&p, v, ALL_ON);
    begin_precopy(&p, NFV_PAIR_TCP);
    switch_to_postcopy(&p);
    nfv_tcp_end_sending(qtest_pid(p.to));
    wait_until_paused(&p);
    recover(&p);
    nfv_pair_finish(&p);
    nfv_pair_wait_for_events(&p, 1);
    nfv_pair_stop(&p);
}

/* The link breaks while it recovers. */
static void test_cut_recovery(const void *opaque)
{
    const Variant *v = opaque;
    const char *over[] = { "postcopy-active", "completed", NULL };
    g_autofree char *uri = NULL;
    NfvPair p = {};

    if (!can_run(v)) {
        return;
    }
    start_both(&p, v, ALL_ON);
    begin_postcopy(&p);
    cut(p.from);
    wait_until_paused(&p);
    uri = g_strdup_printf("unix:%s/recover", p.directory);
    migrate_recover(p.to, uri);
    kill(qtest_pid(p.to), SIGSTOP); /* it does not answer */
    migrate_qmp(p.from, p.to, uri, NULL, "{ 'resume': true }");
    wait_for_migration_status(p.from, "postcopy-recover", over);
    cut(p.from);
    kill(qtest_pid(p.to), SIGCONT);
    wait_until_paused(&p);
    recover(&p);
    nfv_pair_finish(&p);
    nfv_pair_stop(&p);
}

/* Before the point of no return */

/*
 * The destination stands still: the source has told it what to discard, and
 * waits for the proof that it has read that.
 */
static void reach_discards(NfvPair *p, const char *listen)
{
    begin_precopy(p, listen);
    /* What comes before the discards must fit into the socket. */
    migrate_set_parameter_int(p->from, "max-bandwidth", TRICKLE);
    g_usleep(300 * 1000);
    kill(qtest_pid(p->to), SIGSTOP);
    qtest_qmp_assert_success(p->from,
                             "{ 'execute': 'migrate-start-postcopy' }");
    while (!said(p, "from", "nfv_postcopy_discard")) {
        g_usleep(10 * 1000);
    }
    wait_for_migration_status(p->from, "active", ended);
}

/* The guest is as good as before, and migrates later. */
static void again(NfvPair *p, const Variant *v)
{
    nfv_pair_check_guest(p, p->from);
    if (p->to) {
        qtest_quit(p->to);
    }
    nfv_pair_start_to(p, ALL_ON);
    set_capabilities(p, v);
    nfv_pair_let_go(p);
    begin_postcopy(p);
    nfv_pair_finish(p);
}

typedef enum Loss { CUT, RETURN_PATH_CUT, KILLED, CANCELLED } Loss;

typedef struct LossCase {
    const char *name;
    Loss loss;
    const char *listen;
} LossCase;

static const LossCase losses[] = {
    { "cut", CUT, NFV_PAIR_UNIX },
    { "cut-tcp", CUT, NFV_PAIR_TCP },
    { "return-path", RETURN_PATH_CUT, NFV_PAIR_TCP },
    { "killed", KILLED, NFV_PAIR_UNIX },
    { "cancelled", CANCELLED, NFV_PAIR_UNIX },
};

static void kill_destination(NfvPair *p)
{
    kill(qtest_pid(p->to), SIGKILL);
    while (qtest_probe_child(p->to)) {
        g_usleep(10 * 1000);
    }
    p->to = NULL; /* libqtest would take the signal for a failure */
}

/* The destination ends by itself. */
static void lose_link(NfvPair *p, Loss loss)
{
    if (loss == CUT) {
        cut(p->from);
    } else if (loss == RETURN_PATH_CUT) {
        nfv_tcp_end_sending(qtest_pid(p->to));
    } else {
        nfv_pair_cancel(p);
    }
    qtest_set_expected_status(p->to, EXIT_FAILURE);
    kill(qtest_pid(p->to), SIGCONT);
    qtest_wait_qemu(p->to);
}

static void test_lose_before(const void *opaque)
{
    const Variant v = {};
    const LossCase *c = opaque;
    NfvPair p = {};

    if (!can_run(&v) ||
        (c->loss == RETURN_PATH_CUT && !nfv_tcp_can_close())) {
        return;
    }
    start_both(&p, &v, ALL_ON);
    reach_discards(&p, c->listen);
    if (c->loss == KILLED) {
        kill_destination(&p);
    } else {
        lose_link(&p, c->loss);
    }
    if (c->loss != CANCELLED) {
        wait_for_migration_status(p.from, "failed", completed);
    }
    nfv_pair_wait_for_events(&p, 1);
    again(&p, &v);
    nfv_pair_wait_for_events(&p, 2);
    nfv_pair_stop(&p);
}

/* One more channel than the destination expects is not the preempt channel. */
static void test_channels(void)
{
    const Variant v = { .preempt = true, .multifd = true };
    NfvPair p = {};

    if (!can_run(&v)) {
        return;
    }
    start_both(&p, &v, ALL_ON);
    migrate_set_parameter_int(p.from, "multifd-channels", 3);
    migrate_set_parameter_int(p.to, "multifd-channels", 2);
    qtest_set_expected_status(p.to, EXIT_FAILURE);
    nfv_pair_begin(&p, NFV_PAIR_UNIX);
    wait_for_migration_status(p.from, "failed", completed);
    qtest_wait_qemu(p.to);
    nfv_pair_check_guest(&p, p.from);
    nfv_pair_stop(&p);
}

/* It has the guest, so the source never starts it again. */
static void test_kill_after(void)
{
    const Variant v = { .preempt = true };
    NfvPair p = {};
    QDict *status;

    if (!can_run(&v)) {
        return;
    }
    start_both(&p, &v, ALL_ON);
    begin_postcopy(&p);
    qtest_kill_qemu(p.to);
    wait_for_migration_status(p.from, "postcopy-paused", ended);
    status = qtest_qmp_assert_success_ref(p.from,
                                          "{ 'execute': 'query-status' }");
    g_assert_false(qdict_get_bool(status, "running"));
    qobject_unref(status);
    qtest_kill_qemu(p.from);
    nfv_pair_stop(&p);
}

/* What is refused: it goes on without post-copy, and says why */

static void check_obstacle(NfvPair *p, const char *why)
{
    QDict *info = nfv_pair_query(p->from);
    const char *found;

    while (!(found = qdict_get_try_str(info, "postcopy-obstacle"))) {
        qobject_unref(info);
        g_usleep(10 * 1000);
        info = nfv_pair_query(p->from);
    }
    g_assert_nonnull(strstr(found, why));
    qobject_unref(info);
}

#define BY_DEADLINE                                                        \
    ALL_ON "-global migration.deadline=100 "                               \
           "-global migration.on-deadline=postcopy "

static bool deadline_passed(QTestState *qts)
{
    QDict *info = nfv_pair_query(qts);
    bool passed = qdict_get_bool(info, "deadline-passed");

    qobject_unref(info);
    return passed;
}

static void finish_without(NfvPair *p, const char *why)
{
    check_obstacle(p, why);
    g_assert_cmpuint(said(p, "from", "goes on as with on-deadline=continue"),
                     >, 0);
    while (!deadline_passed(p->from)) {
        g_usleep(10 * 1000);
    }
    wait_for_migration_status(p->from, "active", ended);
    nfv_pair_finish(p);
    check_result(p->from, false, "missed");
}

static void test_one_end(void)
{
    const Variant v = {};
    NfvPair p = {};

    if (!can_run(&v)) {
        return;
    }
    nfv_pair_start(&p, BY_DEADLINE, ALL_ON);
    nfv_pair_set_capability(&p, "return-path");
    migrate_set_capability(p.from, "postcopy-ram", true);
    nfv_pair_begin_slowly(&p, NFV_PAIR_UNIX);
    qtest_qmp_assert_success(p.from,
                             "{ 'execute': 'migrate-start-postcopy' }");
    finish_without(&p, "postcopy-ram is off at the destination");
    nfv_pair_stop(&p);
}

static void test_no_capability(void)
{
    NfvPair p = {};

    nfv_pair_start(&p, BY_DEADLINE, ALL_ON);
    nfv_pair_set_capability(&p, "return-path");
    nfv_pair_begin_slowly(&p, NFV_PAIR_UNIX);
    finish_without(&p, "the capability postcopy-ram is off");
    nfv_pair_stop(&p);
}

static void test_page_sizes(void)
{
    const Variant v = { .huge = true };
    NfvPair p = {};

    if (!can_run(&v)) {
        return;
    }
    nfv_pair_start(&p, BY_DEADLINE OF_HUGE_PAGES,
                   ALL_ON "-machine memory-backend=m -object "
                          "memory-backend-memfd,id=m,size=128M");
    set_capabilities(&p, &v);
    nfv_pair_begin_slowly(&p, NFV_PAIR_UNIX);
    finish_without(&p, "other page sizes");
    nfv_pair_stop(&p);
    nfv_huge_release();
}

/* Of these properties one makes another void: allowed, and it works. */
static const struct {
    const char *name, *options;
    bool postcopy;
    const char *verdict; /* NULL: nothing is judged */
} contradictions[] = {
    { "no-policy",
      "-global migration.policy=off -global migration.deadline=1 "
      "-global migration.on-deadline=cancel" },
    { "no-switch",
      "-global migration.postcopy=off -global migration.deadline=1 "
      "-global migration.on-deadline=postcopy", true, "missed" },
    { "deadline-below-downtime",
      "-global migration.deadline=1 -global migration.max-downtime=60000",
      false, "missed" },
    { "only-dependants",
      "-global migration.policy=off -global migration.heat=off "
      "-global migration.postcopy=off" },
};

static void test_contradiction(const void *opaque)
{
    int i = GPOINTER_TO_INT(opaque);
    g_autofree char *options =
        g_strconcat(ALL_ON, contradictions[i].options, NULL);
    const Variant v = { .preempt = true };
    NfvPair p = {};

    if (!can_run(&v)) {
        return;
    }
    start_both(&p, &v, options);
    migrate_set_parameter_int(p.from, "downtime-limit", 1);
    nfv_pair_begin(&p, NFV_PAIR_UNIX);
    if (contradictions[i].postcopy) {
        wait_for_migration_complete(p.from);
    }
    nfv_pair_finish(&p);
    if (contradictions[i].verdict) {
        check_result(p.from, contradictions[i].postcopy,
                     contradictions[i].verdict);
    }
    nfv_pair_wait_for_events(&p, contradictions[i].verdict ? 1 : 0);
    nfv_pair_stop(&p);
}

/* The contract while the migration runs */

static void set_ms(NfvPair *p, const char *name, int64_t ms)
{
    qtest_qmp_assert_success(p->from,
                             "{ 'execute': 'qom-set', 'arguments': { 'path': "
                             "'/machine', 'property': %s, 'value': %" PRId64
                             " } }", name, ms);
}

static void set_on_deadline(NfvPair *p, const char *action)
{
    qtest_qmp_assert_success(p->from,
                             "{ 'execute': 'qom-set', 'arguments': { 'path': "
                             "'/machine', 'property': 'migration-on-deadline', "
                             "'value': %s } }", action);
}

/* The event says what query-nfv-migration does. */
static QDict *wait_for_event(NfvPair *p)
{
    QDict *event = qtest_qmp_eventwait_ref(p->from, "NFV_MIGRATION_ENDED");
    QDict *data = qobject_ref(qdict_get_qdict(event, "data"));
    QDict *result = result_of(p->from);

    g_assert_true(qobject_is_equal(QOBJECT(data), QOBJECT(result)));
    qobject_unref(result);
    qobject_unref(event);
    return data;
}

static void test_change_to_cancel(void)
{
    NfvPair p = { .machine = NFV_PAIR_NFV };
    QDict *result;

    nfv_pair_start(&p, "", "");
    nfv_pair_set_capability(&p, "return-path");
    nfv_pair_begin_slowly(&p, NFV_PAIR_UNIX);
    nfv_pair_wait_for_decisions(p.from, 2);
    set_ms(&p, "migration-max-downtime", 20);
    migrate_set_parameter_int(p.from, "downtime-limit", 300);
    g_assert_cmpint(nfv_pair_number(p.from, "limit"), ==, 20000);
    migrate_set_parameter_int(p.from, "downtime-limit", 1);
    set_on_deadline(&p, "cancel");
    qtest_set_expected_status(p.to, EXIT_FAILURE);
    set_ms(&p, "migration-deadline", 1); /* over already */
    result = wait_for_event(&p);
    g_assert_cmpstr(qdict_get_str(result, "status"), ==, "cancelled");
    g_assert_cmpstr(qdict_get_str(result, "verdict"), ==, "missed");
    g_assert(strstr(qdict_get_str(result, "why"), "deadline of 1 ms"));
    qobject_unref(result);
    qtest_wait_qemu(p.to);
    nfv_pair_check_guest(&p, p.from);
    nfv_pair_stop(&p);
}

static void test_change_to_postcopy(void)
{
    const Variant v = { .preempt = true, .multifd = true };
    NfvPair p = { .machine = NFV_PAIR_NFV };
    const char *never[] = { "failed", NULL };
    QDict *result;

    if (!can_run(&v)) {
        return;
    }
    start_both(&p, &v, "");
    migrate_set_parameter_int(p.from, "max-postcopy-bandwidth", SLOW);
    nfv_pair_begin_slowly(&p, NFV_PAIR_TCP);
    nfv_pair_wait_for_decisions(p.from, 2);
    set_on_deadline(&p, "postcopy");
    set_ms(&p, "migration-deadline", 1); /* over already */
    wait_for_migration_status(p.from, "postcopy-active", never);
    nfv_pair_finish(&p);
    result = wait_for_event(&p);
    g_assert_true(qdict_get_bool(result, "postcopy"));
    g_assert_cmpstr(qdict_get_str(result, "verdict"), ==, "missed");
    g_assert_cmpint(qdict_get_int(result, "deadline-left"), <, 0);
    qobject_unref(result);
    nfv_pair_stop(&p);
}

/* No stop will be short enough, and that is known long before the deadline. */
static void test_no_convergence(void)
{
    const Variant v = {};
    NfvPair p = { .machine = NFV_PAIR_NFV };
    QDict *info, *round, *result;

    if (!can_run(&v)) {
        return;
    }
    start_both(&p, &v,
               "-global migration.on-deadline=postcopy "
               "-global migration.deadline=600000");
    migrate_set_parameter_int(p.from, "downtime-limit", 1);
    migrate_set_parameter_int(p.from, "max-bandwidth", 128 * MIB);
    nfv_pair_begin(&p, NFV_PAIR_UNIX);
    wait_for_migration_complete(p.from);
    wait_for_migration_complete(p.to);
    nfv_pair_check_guest(&p, p.to);
    result = wait_for_event(&p);
    g_assert_cmpstr(qdict_get_str(result, "verdict"), ==, "kept");
    g_assert_true(qdict_get_bool(result, "postcopy"));
    qobject_unref(result);
    info = nfv_pair_query(p.from);
    round = qobject_to(
        QDict, QTAILQ_LAST(&qdict_get_qlist(info, "rounds")->head)->value);
    g_assert_cmpstr(qdict_get_str(round, "step"), ==, "postcopy");
    g_assert_cmpstr(qdict_get_str(round, "reason"), ==, "no-convergence");
    g_assert_false(qdict_get_bool(info, "deadline-passed"));
    qobject_unref(info);
    nfv_pair_stop(&p);
}

/* Each pair of values of two columns is in a row. */
static const Case cases[] = {
    { NULL, { false, false, false } },
    { NULL, { true, true, true } },
    { "early-discard", { true, true, false } },
    { "early-discard", { false, false, true } },
    { "hot-push", { false, true, false } },
    { "hot-push", { true, false, true } },
    { "prefetch", { true, false, false } },
    { "prefetch", { false, true, true } },
    { "postcopy", { true, false, false } },
    { "postcopy", { false, false, true } },
    { "popmap", { true, true, false } },
    { "popmap", { false, false, true } },
    { "heat", { true, true, false } },
    { "heat", { false, false, true } },
    { "policy", { true, false, false } },
    { "policy", { false, true, true } },
};

static void add_variant(const char *what, const Variant *v,
                        void (*test)(const void *))
{
    g_autofree char *name =
        g_strdup_printf("nfv/postcopy/%s/%s%s%s", what,
                        v->huge ? "2m" : "4k", v->preempt ? "-preempt" : "",
                        v->multifd ? "-multifd" : "");

    qtest_add_data_func_full(name, g_memdup2(v, sizeof(*v)), test, g_free);
}

static void add_case(const Case *c)
{
    g_autofree char *name =
        g_strdup_printf("nfv/postcopy/migrate/%s%s/%s%s%s",
                        c->off ? "no-" : "all", c->off ?: "",
                        c->v.huge ? "2m" : "4k", c->v.preempt ? "-preempt" : "",
                        c->v.multifd ? "-multifd" : "");

    qtest_add_data_func_full(name, g_memdup2(c, sizeof(*c)), test_migrate,
                             g_free);
}

static bool is_among(const Case *c)
{
    for (int i = 0; i < ARRAY_SIZE(cases); i++) {
        if (!g_strcmp0(c->off, cases[i].off) &&
            !memcmp(&c->v, &cases[i].v, sizeof(c->v))) {
            return true;
        }
    }
    return false;
}

/* The rest of the matrix. */
static void add_slow_cases(void)
{
    static const char *const offs[] = { NULL,       "early-discard",
                                        "hot-push", "prefetch",
                                        "postcopy", "popmap",
                                        "heat",     "policy" };

    for (int i = 0; i < ARRAY_SIZE(offs) * 8; i++) {
        Case c = { offs[i / 8], { i & 1, i & 2, i & 4 } };

        /* Without the switch, they do not go together. */
        if (!is_among(&c) && !(c.v.multifd && !g_strcmp0(c.off, "postcopy"))) {
            add_case(&c);
        }
    }
}

int main(int argc, char **argv)
{
    static const Variant plain, preempt = { .preempt = true },
                                multifd = { true, true },
                                huge = { .huge = true },
                                all = { true, true, true };

    g_test_init(&argc, &argv, NULL);
    for (int i = 0; i < ARRAY_SIZE(cases); i++) {
        add_case(&cases[i]);
    }
    if (g_test_slow()) {
        add_slow_cases();
    }
    qtest_add_func("nfv/postcopy/multifd-refused", test_multifd_refused);
    qtest_add_data_func("nfv/postcopy/stock/to", (void *)1, test_stock);
    qtest_add_data_func("nfv/postcopy/stock/from", NULL, test_stock);
    add_variant("never-populated", &plain, test_never_populated);
    add_variant("never-populated", &multifd, test_never_populated);
    add_variant("never-populated", &huge, test_never_populated);
    add_variant("cut", &plain, test_cut);
    add_variant("cut", &preempt, test_cut);
    add_variant("cut", &multifd, test_cut);
    add_variant("cut", &huge, test_cut);
    add_variant("cut", &all, test_cut);
    add_variant("return-path", &plain, test_return_path);
    add_variant("return-path", &preempt, test_return_path);
    add_variant("throttled", &plain, test_throttled);
    add_variant("throttled", &huge, test_throttled);
    add_variant("cut-recovery", &plain, test_cut_recovery);
    add_variant("cut-recovery", &preempt, test_cut_recovery);
    for (int i = 0; i < ARRAY_SIZE(losses); i++) {
        g_autofree char *name = g_strdup_printf("nfv/postcopy/lose-before/%s",
                                                losses[i].name);

        qtest_add_data_func(name, &losses[i], test_lose_before);
    }
    qtest_add_func("nfv/postcopy/channels", test_channels);
    qtest_add_func("nfv/postcopy/kill-after", test_kill_after);
    qtest_add_func("nfv/postcopy/one-end", test_one_end);
    qtest_add_func("nfv/postcopy/no-capability", test_no_capability);
    qtest_add_func("nfv/postcopy/page-sizes", test_page_sizes);
    for (int i = 0; i < ARRAY_SIZE(contradictions); i++) {
        g_autofree char *name = g_strdup_printf(
            "nfv/postcopy/contradiction/%s", contradictions[i].name);

        qtest_add_data_func(name, GINT_TO_POINTER(i), test_contradiction);
    }
    qtest_add_func("nfv/postcopy/change/cancel", test_change_to_cancel);
    qtest_add_func("nfv/postcopy/change/postcopy", test_change_to_postcopy);
    qtest_add_func("nfv/postcopy/no-convergence", test_no_convergence);
    return g_test_run();
}
