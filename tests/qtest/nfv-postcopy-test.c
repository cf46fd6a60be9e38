/*
 * Post-copy: every switch, what it refuses, and the contract
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
#include "nfv/post.h"
#include "nfv/stock.h"
#include "qobject/qdict.h"
#include "qobject/qlist.h"
#include "qobject/qnum.h"

/* Memory above that which the guest writes to. */
#define UNUSED_END (128 * NFV_POST_MIB)
#define UNUSED_STEP (NFV_POST_MIB / 2)

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

/* Each switch */

typedef struct Case {
    const char *off; /* a switch, or NULL */
    NfvPostVariant v;
} Case;

static void test_migrate(const void *opaque)
{
    const Case *c = opaque;
    bool parity = g_strcmp0(c->off, "postcopy");
    g_autofree char *options =
        c->off ? g_strdup_printf(NFV_POST_ON "-global migration.%s=off",
                                 c->off) :
                 g_strdup(NFV_POST_ON);
    NfvPair p = {};

    if (!nfv_post_can_run(&c->v)) {
        return;
    }
    nfv_post_start(&p, &c->v, options);
    nfv_post_begin(&p);
    g_assert_cmpint(nfv_post_said(&p, "from", "nfv_postcopy_switch"), ==,
                    parity);
    g_assert_cmpint(!nfv_post_said(&p, "from", "nfv_postcopy_discard"), ==,
                    !parity || !g_strcmp0(c->off, "early-discard"));
    nfv_pair_finish(&p);
    check_stalls(p.to, parity);
    if (g_strcmp0(c->off, "policy")) {
        nfv_post_check_result(p.from, true, "none");
    }
    nfv_pair_stop(&p);
    nfv_huge_release();
}

/* Auto-converge synchronises the dirty bitmap within a round. */
static void test_throttled(const void *opaque)
{
    const NfvPostVariant *v = opaque;
    int64_t percentage;
    NfvPair p = {};

    if (!nfv_post_can_run(v)) {
        return;
    }
    nfv_post_start(&p, v, NFV_POST_ON);
    migrate_set_capability(p.from, "auto-converge", true);
    migrate_set_parameter_int(p.from, "throttle-trigger-threshold", 1);
    nfv_post_begin_precopy(&p, NFV_PAIR_UNIX);
    migrate_set_parameter_int(p.from, "max-bandwidth", 4 * NFV_POST_SLOW);
    do {
        QDict *info = migrate_query(p.from);

        percentage = qdict_get_try_int(info, "cpu-throttle-percentage", 0);
        qobject_unref(info);
        g_usleep(10 * 1000);
    } while (!percentage);
    nfv_post_switch(&p);
    nfv_pair_finish(&p);
    nfv_post_check_result(p.from, true, "none");
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
    const NfvPostVariant v = { .preempt = true };
    NfvPair p = {};

    if (!nfv_post_can_run(&v) || !nfv_has_stock()) {
        return;
    }
    nfv_pair_start(&p, to_stock ? NFV_POST_ON : NULL,
                   to_stock ? NULL : NFV_POST_ON);
    nfv_post_set_capabilities(&p, &v);
    nfv_pair_begin_slowly(&p, NFV_PAIR_UNIX);
    nfv_post_ask(&p);
    wait_for_migration_status(p.from, "postcopy-active", nfv_post_ended);
    nfv_pair_finish(&p);
    nfv_pair_stop(&p);
}

/* What never held data is zero at once, though the source is far from it. */
static void test_never_populated(const void *opaque)
{
    const NfvPostVariant *v = opaque;
    NfvPair p = {};

    if (!nfv_post_can_run(v)) {
        return;
    }
    nfv_post_start(&p, v, NFV_POST_ON);
    nfv_post_begin(&p);
    for (uint64_t at = X86_TEST_MEM_END; at < UNUSED_END; at += UNUSED_STEP) {
        g_assert_cmphex(qtest_readq(p.to, at), ==, 0);
        qtest_writeq(p.to, at + 8, ~at);
    }
    for (uint64_t at = X86_TEST_MEM_END; at < UNUSED_END; at += UNUSED_STEP) {
        g_assert_cmphex(qtest_readq(p.to, at + 8), ==, ~at);
    }
    nfv_pair_finish(&p);
    for (uint64_t at = X86_TEST_MEM_END; at < UNUSED_END; at += UNUSED_STEP) {
        g_assert_cmphex(qtest_readq(p.to, at + 8), ==, ~at);
    }
    nfv_pair_stop(&p);
    nfv_huge_release();
}

/* One more channel than the destination expects is not the preempt channel. */
static void test_channels(void)
{
    const NfvPostVariant v = { .preempt = true, .multifd = true };
    NfvPair p = {};

    if (!nfv_post_can_run(&v)) {
        return;
    }
    nfv_post_start(&p, &v, NFV_POST_ON);
    migrate_set_parameter_int(p.from, "multifd-channels", 3);
    migrate_set_parameter_int(p.to, "multifd-channels", 2);
    qtest_set_expected_status(p.to, EXIT_FAILURE);
    nfv_pair_begin(&p, NFV_PAIR_UNIX);
    wait_for_migration_status(p.from, "failed", nfv_post_completed);
    qtest_wait_qemu(p.to);
    nfv_pair_check_guest(&p, p.from);
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

#define BY_DEADLINE                             \
    NFV_POST_ON "-global migration.deadline=100 " \
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
    g_assert_cmpuint(nfv_post_said(p, "from",
                                   "goes on as with on-deadline=continue"),
                     >, 0);
    while (!deadline_passed(p->from)) {
        g_usleep(10 * 1000);
    }
    wait_for_migration_status(p->from, "active", nfv_post_ended);
    nfv_pair_finish(p);
    nfv_post_check_result(p->from, false, "missed");
}

static void test_one_end(void)
{
    const NfvPostVariant v = {};
    NfvPair p = {};

    if (!nfv_post_can_run(&v)) {
        return;
    }
    nfv_pair_start(&p, BY_DEADLINE, NFV_POST_ON);
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

    nfv_pair_start(&p, BY_DEADLINE, NFV_POST_ON);
    nfv_pair_set_capability(&p, "return-path");
    nfv_pair_begin_slowly(&p, NFV_PAIR_UNIX);
    finish_without(&p, "the capability postcopy-ram is off");
    nfv_pair_stop(&p);
}

static void test_page_sizes(void)
{
    const NfvPostVariant v = { .huge = true };
    NfvPair p = {};

    if (!nfv_post_can_run(&v)) {
        return;
    }
    nfv_pair_start(&p, BY_DEADLINE NFV_POST_HUGE,
                   NFV_POST_ON "-machine memory-backend=m -object "
                          "memory-backend-memfd,id=m,size=128M");
    nfv_post_set_capabilities(&p, &v);
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
        g_strconcat(NFV_POST_ON, contradictions[i].options, NULL);
    const NfvPostVariant v = { .preempt = true };
    NfvPair p = {};

    if (!nfv_post_can_run(&v)) {
        return;
    }
    nfv_post_start(&p, &v, options);
    migrate_set_parameter_int(p.from, "downtime-limit", 1);
    nfv_pair_begin(&p, NFV_PAIR_UNIX);
    if (contradictions[i].postcopy) {
        wait_for_migration_complete(p.from);
    }
    nfv_pair_finish(&p);
    if (contradictions[i].verdict) {
        nfv_post_check_result(p.from, contradictions[i].postcopy,
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
    QDict *result = nfv_post_result(p->from);

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
    const NfvPostVariant v = { .preempt = true, .multifd = true };
    NfvPair p = { .machine = NFV_PAIR_NFV };
    const char *never[] = { "failed", NULL };
    QDict *result;

    if (!nfv_post_can_run(&v)) {
        return;
    }
    nfv_post_start(&p, &v, "");
    migrate_set_parameter_int(p.from, "max-postcopy-bandwidth", NFV_POST_SLOW);
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
    const NfvPostVariant v = {};
    NfvPair p = { .machine = NFV_PAIR_NFV };
    QDict *info, *round, *result;

    if (!nfv_post_can_run(&v)) {
        return;
    }
    nfv_post_start(&p, &v,
               "-global migration.on-deadline=postcopy "
               "-global migration.deadline=600000");
    migrate_set_parameter_int(p.from, "downtime-limit", 1);
    migrate_set_parameter_int(p.from, "max-bandwidth", 128 * NFV_POST_MIB);
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
    static const NfvPostVariant plain, multifd = { true, true },
                                huge = { .huge = true };

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
    nfv_post_add("postcopy/never-populated", &plain, test_never_populated);
    nfv_post_add("postcopy/never-populated", &multifd, test_never_populated);
    nfv_post_add("postcopy/never-populated", &huge, test_never_populated);
    nfv_post_add("postcopy/throttled", &plain, test_throttled);
    nfv_post_add("postcopy/throttled", &huge, test_throttled);
    qtest_add_func("nfv/postcopy/channels", test_channels);
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
