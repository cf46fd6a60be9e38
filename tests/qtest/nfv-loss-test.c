/*
 * An end that is killed, or a migration that is cancelled, in each phase: one
 * good guest is left
 *
 * Copyright (c) 2026 the kvm4nfv authors
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "qemu/osdep.h"
#include "libqtest.h"
#include "migration/bootfile.h"
#include "migration/migration-qmp.h"
#include "migration/migration-util.h"
#include "nfv/busy.h"
#include "nfv/post.h"
#include "qobject/qlist.h"

/* Of either end, whose machine has all switches on. */
#define OPTIONS                  \
    "-trace migrate_set_state " \
    "-trace migration_return_path_end_before "

/* Of the guest; as bytes a second, what does not take long. */
#define RAM (128 * NFV_POST_MIB)
#define COLD_STEP (NFV_POST_MIB / 2)

/* Bytes a second: more than any guest writes, so that the stop seems to fit. */
#define FAST_SWITCHOVER (1LL << 50)
#define LONG_DOWNTIME 60000 /* ms */
#define SHORT_DOWNTIME 1

/* Phases of pre-copy */

typedef enum Phase {
    SETUP,          /* the destination does not answer; not for long */
    FIRST_ROUND,
    LATER_ROUND,    /* more has gone than the guest has */
    DRAIN,          /* nothing is sent until the proof is there */
    PRE_SWITCHOVER, /* the guest stands still */
    DEVICE,         /* the rest is sent, and the destination does not read */
    ALL_SENT,       /* it still does not, and all is on the way */
    PHASES
} Phase;

static const char *const phase_names[] = {
    [SETUP] = "setup",
    [FIRST_ROUND] = "first-round",
    [LATER_ROUND] = "later-round",
    [DRAIN] = "drain",
    [PRE_SWITCHOVER] = "pre-switchover",
    [DEVICE] = "device",
    [ALL_SENT] = "all-sent",
};

typedef struct Link {
    const char *name, *listen;
    bool multifd;
} Link;

static const Link links[] = {
    { "unix", NFV_PAIR_UNIX },
    { "tcp", NFV_PAIR_TCP },
    { "multifd", NFV_PAIR_TCP, true },
};

/* Memory that the guest never writes to, beside what it never had */

static void write_cold(QTestState *qts)
{
    for (uint64_t at = X86_TEST_MEM_END; at < RAM; at += COLD_STEP) {
        qtest_writeq(qts, at + 8, ~at);
    }
}

static void check_cold(QTestState *qts)
{
    for (uint64_t at = X86_TEST_MEM_END; at < RAM; at += COLD_STEP) {
        g_assert_cmphex(qtest_readq(qts, at + 8), ==, ~at);
    }
}

static void set_channels(NfvPair *p, const Link *link)
{
    nfv_pair_set_capability(p, "return-path");
    if (link->multifd) {
        nfv_pair_set_capability(p, "multifd");
        migrate_set_parameter_int(p->from, "multifd-channels", 2);
        migrate_set_parameter_int(p->to, "multifd-channels", 2);
    }
}

static void start(NfvPair *p, const Link *link)
{
    p->machine = NFV_PAIR_NFV;
    nfv_pair_start(p, OPTIONS, OPTIONS);
    set_channels(p, link);
    write_cold(p->from);
}

static void hold(QTestState *qts)
{
    kill(qtest_pid(qts), SIGSTOP);
}

static void reach_setup(NfvPair *p, const Link *link)
{
    g_auto(GStrv) parts = g_strsplit(link->listen, "%s", 2);
    g_autofree char *uri = g_strjoinv(p->directory, parts);
    g_autofree char *bound = NULL;
    QDict *info;

    migrate_incoming_qmp(p->to, uri, NULL, "{}");
    bound = migrate_get_connect_uri(p->to);
    hold(p->to);
    migrate_qmp(p->from, p->to, bound, NULL, "{}");
    info = nfv_pair_query(p->from);
    g_assert_cmpstr(qdict_get_str(info, "peer"), ==, "unknown");
    qobject_unref(info);
}

static void reach_first_round(NfvPair *p, const Link *link)
{
    nfv_pair_begin_slowly(p, link->listen);
    nfv_pair_wait_for_decisions(p->from, 2);
}

static void reach_later_round(NfvPair *p, const Link *link)
{
    nfv_pair_begin_slowly(p, link->listen);
    migrate_set_parameter_int(p->from, "max-bandwidth", RAM);
    while (read_ram_property_int(p->from, "transferred") < RAM) {
        g_usleep(10 * 1000);
    }
}

static bool last_step_is(QTestState *qts, const char *step)
{
    QDict *info = nfv_pair_query(qts);
    const QListEntry *last =
        QTAILQ_LAST(&qdict_get_qlist(info, "rounds")->head);
    bool is = last && !strcmp(qdict_get_str(qobject_to(QDict, last->value),
                                            "step"), step);

    qobject_unref(info);
    return is;
}

/*
 * The destination has never answered a PING behind memory, so the stop does not
 * begin without an answer, which it cannot give.  The guest runs all the time.
 * What is sent until the next look, seconds on a busy host, must fit into the
 * buffers of the link, as it does with TCP.
 */
static void reach_drain(NfvPair *p, const Link *link)
{
    migrate_set_parameter_int(p->from, "max-bandwidth", NFV_POST_TRICKLE);
    migrate_set_parameter_int(p->from, "downtime-limit", SHORT_DOWNTIME);
    nfv_pair_begin(p, link->listen);
    nfv_pair_wait_for_decisions(p->from, 1);
    hold(p->to);
    migrate_set_parameter_int(p->from, "avail-switchover-bandwidth",
                              FAST_SWITCHOVER);
    migrate_set_parameter_int(p->from, "downtime-limit", LONG_DOWNTIME);
    while (!last_step_is(p->from, "drain")) {
        g_usleep(10 * 1000);
    }
}

static void wait_until_still(NfvPair *p)
{
    wait_for_migration_status(p->from, "pre-switchover", nfv_post_ended);
    nfv_pair_check_running(p->from, false);
}

/*
 * The stop fits at once, however much is left.  Multifd has to end its round,
 * for which the guest must not be faster.
 */
static void reach_pre_switchover(NfvPair *p, const Link *link)
{
    migrate_set_capability(p->from, "pause-before-switchover", true);
    reach_first_round(p, link);
    migrate_set_parameter_int(p->from, "max-bandwidth",
                              link->multifd ? 0 : RAM);
    migrate_set_parameter_int(p->from, "downtime-limit", LONG_DOWNTIME);
    wait_until_still(p);
}

/*
 * The source answers when it has sent all, or cannot any more: until then who
 * sends has the lock.
 */
static void go_on_unread(NfvPair *p)
{
    hold(p->to);
    qtest_qmp_send(p->from, "{ 'execute': 'migrate-continue', 'arguments': { "
                            "'state': 'pre-switchover' } }");
    nfv_post_wait(p, "from", "new state device", 1);
}

/* What is left of memory does not fit into the buffers of the link. */
static void reach_device(NfvPair *p, const Link *link)
{
    reach_pre_switchover(p, link);
    go_on_unread(p);
}

/* A guest that stands still leaves little more than the devices, which fit. */
static void reach_all_sent(NfvPair *p, const Link *link)
{
    migrate_set_capability(p->from, "pause-before-switchover", true);
    qtest_qmp_assert_success(p->from, "{ 'execute': 'stop' }");
    reach_first_round(p, link);
    migrate_set_parameter_int(p->from, "max-bandwidth", RAM);
    wait_until_still(p);
    go_on_unread(p);
    nfv_post_wait(p, "from", "migration_return_path_end_before", 1);
}

static void (*const reach[])(NfvPair *p, const Link *link) = {
    [SETUP] = reach_setup,
    [FIRST_ROUND] = reach_first_round,
    [LATER_ROUND] = reach_later_round,
    [DRAIN] = reach_drain,
    [PRE_SWITCHOVER] = reach_pre_switchover,
    [DEVICE] = reach_device,
    [ALL_SENT] = reach_all_sent,
};

/* Losses in pre-copy */

typedef struct Case {
    Phase phase;
    const Link *link;
} Case;

static void begin(NfvPair *p, const Case *c)
{
    start(p, c->link);
    reach[c->phase](p, c->link);
    if (c->phase > SETUP && c->phase < PRE_SWITCHOVER) {
        nfv_pair_wait_for_write(p->from);
    }
}

static void receive_answer(QTestState *qts)
{
    QDict *response = qtest_qmp_receive(qts);

    g_assert_true(qdict_haskey(response, "return"));
    qobject_unref(response);
}

/* It runs there; one that the user stopped still stands still. */
static void check_guest(NfvPair *p, QTestState *qts, const Case *c)
{
    if (c->phase == ALL_SENT) {
        nfv_pair_check_running(qts, false);
        qtest_qmp_assert_success(qts, "{ 'execute': 'cont' }");
    }
    nfv_pair_check_running(qts, true);
    nfv_pair_check_guest(p, qts);
    check_cold(qts);
}

/* A channel of multifd that was still sending may have failed already. */
static QDict *ask_to_continue(QTestState *qts)
{
    return qtest_qmp(qts, "{ 'execute': 'migrate-continue', 'arguments': { "
                          "'state': 'pre-switchover' } }");
}

/* The destination has no guest, says so, and ends. */
static void check_no_guest(NfvPair *p)
{
    qtest_set_expected_status(p->to, EXIT_FAILURE);
    kill(qtest_pid(p->to), SIGCONT);
    qtest_wait_qemu(p->to);
    qtest_quit(p->to);
    p->to = NULL;
}

/* The guest of the source migrates to another destination. */
static void again(NfvPair *p, const Case *c)
{
    nfv_pair_wait_for_events(p, 1);
    check_guest(p, p->from, c);
    migrate_set_capability(p->from, "pause-before-switchover", false);
    migrate_set_parameter_int(p->from, "avail-switchover-bandwidth", 0);
    nfv_pair_start_to(p, OPTIONS);
    set_channels(p, c->link);
    nfv_pair_let_go(p);
    nfv_pair_begin(p, c->link->listen);
    nfv_pair_finish(p);
    check_cold(p->to);
    nfv_pair_check_running(p->from, false);
    nfv_pair_wait_for_events(p, 2);
    nfv_pair_stop(p);
}

/*
 * A destination that was not heard of may wait for channels that will not come,
 * as stock's does.
 */
static void test_cancel(const void *opaque)
{
    const Case *c = opaque;
    NfvPair p = {};

    begin(&p, c);
    nfv_pair_cancel(&p);
    if (c->phase == SETUP) {
        nfv_pair_kill(&p.to);
    } else {
        check_no_guest(&p);
    }
    again(&p, c);
}

static void test_kill_destination(const void *opaque)
{
    const Case *c = opaque;
    NfvPair p = {};

    begin(&p, c);
    nfv_pair_kill(&p.to);
    if (c->phase == PRE_SWITCHOVER) {
        qobject_unref(ask_to_continue(p.from));
    } else if (c->phase > PRE_SWITCHOVER) {
        receive_answer(p.from);
    }
    wait_for_migration_status(p.from, "failed", nfv_post_completed);
    again(&p, c);
}

/* What has all goes on: it has the guest. */
static void test_kill_source(const void *opaque)
{
    const Case *c = opaque;
    NfvPair p = {};

    begin(&p, c);
    nfv_pair_kill(&p.from);
    if (c->phase == ALL_SENT) {
        kill(qtest_pid(p.to), SIGCONT);
        wait_for_migration_complete(p.to);
        check_guest(&p, p.to, c);
    } else {
        check_no_guest(&p);
    }
    nfv_pair_stop(&p);
}

/* Nobody takes the connection; it has ended when that is refused at last. */
static void test_cancel_connecting(void)
{
    const Case c = { SETUP, &links[0] };
    NfvPair p = {};
    NfvBusy busy;

    start(&p, c.link);
    busy = nfv_busy_new(p.directory);
    nfv_busy_migrate(&busy, p.from);
    nfv_pair_wait_for_write(p.from);
    wait_for_migration_status(p.from, "setup", nfv_post_ended);
    nfv_pair_cancel(&p);
    nfv_pair_wait_for_write(p.from);
    nfv_busy_end(&busy);
    nfv_pair_kill(&p.to);
    again(&p, &c);
}

/*
 * The source is killed in post-copy
 *
 * Pages that only it had are gone with it: a guest that needs one waits for
 * ever, and nobody can give it another.  The destination cannot tell a source
 * that is dead from one that is cut off, so it does the same: it pauses, and
 * waits to be recovered.  It must not end, for it has all that is left of the
 * guest; nor may it go on as if it had all.  Whoever reads a page that has not
 * come waits, too, so memory is not looked at here.  Only if the source had
 * sent all is the guest saved.
 */

/* Out of band is answered even if the main thread waits for a page. */
static void check_can_be_recovered(NfvPair *p)
{
    g_autofree char *uri = g_strdup_printf("unix:%s/recover", p->directory);
    QDict *response =
        qtest_qmp(p->to, "{ 'exec-oob': 'query-yank', 'id': 'nfv' }");

    g_assert_true(qdict_haskey(response, "return"));
    qobject_unref(response);
    migrate_recover(p->to, uri);
    g_assert_true(qtest_probe_child(p->to));
    g_assert_cmpuint(nfv_post_said(p, "to", "new state failed"), ==, 0);
    g_assert_cmpuint(nfv_post_said(p, "to", "new state completed"), ==, 0);
}

/* A guest that waits for a page does not let QEMU end. */
static void stop_paused(NfvPair *p)
{
    nfv_pair_kill(&p->to);
    nfv_pair_stop(p);
}

/* The destination reads the state of the devices when the source is dead. */
static void lose_source_in_stop(NfvPair *p)
{
    nfv_post_ask(p);
    wait_for_migration_status(p->from, "pre-switchover", nfv_post_ended);
    hold(p->to);
    migrate_continue(p->from, "pre-switchover");
    wait_for_migration_status(p->from, "postcopy-active", nfv_post_ended);
    nfv_pair_kill(&p->from);
    kill(qtest_pid(p->to), SIGCONT);
    nfv_post_wait_until_paused(p);
}

/* The guest, and perhaps a device, waits for a page. */
static void test_kill_source_stop(const void *opaque)
{
    const NfvPostVariant *v = opaque;
    NfvPair p = { .machine = NFV_PAIR_NFV };

    if (!nfv_post_can_run(v)) {
        return;
    }
    nfv_post_start(&p, v, OPTIONS NFV_POST_ON);
    migrate_set_capability(p.from, "pause-before-switchover", true);
    nfv_post_begin_precopy(&p, NFV_PAIR_UNIX);
    lose_source_in_stop(&p);
    check_can_be_recovered(&p);
    stop_paused(&p);
}

/*
 * The devices have all that they need, which the guest does not write to, and
 * the guest is not to be started.
 */
static void test_kill_source_stop_still(const void *opaque)
{
    const NfvPostVariant *v = opaque;
    NfvPair p = { .machine = NFV_PAIR_NFV };

    if (!nfv_post_can_run(v)) {
        return;
    }
    nfv_pair_start(&p, OPTIONS NFV_POST_ON, OPTIONS NFV_POST_ON "-S ");
    nfv_post_set_capabilities(&p, v);
    migrate_set_capability(p.from, "pause-before-switchover", true);
    reach_later_round(&p, &links[0]);
    lose_source_in_stop(&p);
    wait_for_migration_status(p.to, "postcopy-paused", nfv_post_ended);
    nfv_pair_check_running(p.to, false);
    qobject_unref(nfv_pair_query(p.to));
    check_can_be_recovered(&p);
    stop_paused(&p);
}

/* The guest runs there until it needs a page. */
static void test_kill_source_active(const void *opaque)
{
    const NfvPostVariant *v = opaque;
    NfvPair p = { .machine = NFV_PAIR_NFV };

    if (!nfv_post_can_run(v)) {
        return;
    }
    nfv_post_start(&p, v, OPTIONS NFV_POST_ON);
    nfv_post_begin(&p);
    nfv_pair_kill(&p.from);
    wait_for_migration_status(p.to, "postcopy-paused", nfv_post_ended);
    nfv_pair_check_running(p.to, true);
    g_assert_cmpint(nfv_pair_number(p.to, "decisions"), ==, 0);
    check_can_be_recovered(&p);
    wait_for_migration_status(p.to, "postcopy-paused", nfv_post_ended);
    stop_paused(&p);
}

/* All is on the way, so the guest is saved. */
static void test_kill_source_last(const void *opaque)
{
    const NfvPostVariant *v = opaque;
    NfvPair p = { .machine = NFV_PAIR_NFV };

    if (!nfv_post_can_run(v)) {
        return;
    }
    nfv_post_start(&p, v, OPTIONS NFV_POST_LONG_QUEUE);
    write_cold(p.from);
    nfv_post_reach_last(&p, NFV_PAIR_UNIX);
    nfv_pair_kill(&p.from);
    kill(qtest_pid(p.to), SIGCONT);
    wait_for_migration_complete(p.to);
    qtest_qmp_assert_success(p.to, "{ 'execute': 'cont' }");
    nfv_pair_check_guest(&p, p.to);
    check_cold(p.to);
    nfv_pair_stop(&p);
}

/* All of them */

typedef struct Loss {
    const char *name;
    GTestDataFunc test;
    Phase first, last;
} Loss;

enum { CANCEL, DESTINATION, SOURCE };

/*
 * Not cancelled in the stop: while the source sends it answers nobody, and
 * later the destination goes on with what is on the way, as stock's does.
 */
static const Loss losses[] = {
    [CANCEL] = { "cancel", test_cancel, SETUP, PRE_SWITCHOVER },
    [DESTINATION] = { "kill-destination", test_kill_destination, SETUP,
                      ALL_SENT },
    [SOURCE] = { "kill-source", test_kill_source, FIRST_ROUND, ALL_SENT },
};

/* For each loss and phase, the links whose case is not slow; by number. */
static const struct {
    int loss;
    Phase phase;
    int link;
} quick[] = {
    { CANCEL, SETUP, 0 },        { CANCEL, SETUP, 2 },
    { CANCEL, FIRST_ROUND, 2 },  { CANCEL, LATER_ROUND, 2 },
    { CANCEL, DRAIN, 1 },        { CANCEL, PRE_SWITCHOVER, 2 },
    { DESTINATION, SETUP, 1 },   { DESTINATION, SETUP, 2 },
    { DESTINATION, FIRST_ROUND, 2 },
    { DESTINATION, LATER_ROUND, 2 }, { DESTINATION, DRAIN, 1 },
    { DESTINATION, PRE_SWITCHOVER, 2 },
    { DESTINATION, DEVICE, 1 },  { DESTINATION, ALL_SENT, 0 },
    { SOURCE, DRAIN, 1 },        { SOURCE, DEVICE, 0 },
    { SOURCE, ALL_SENT, 2 },
};

static bool is_quick(int loss, Phase phase, int link)
{
    for (int i = 0; i < ARRAY_SIZE(quick); i++) {
        if (quick[i].loss == loss && quick[i].phase == phase &&
            quick[i].link == link) {
            return true;
        }
    }
    return false;
}

static void add_case(const Loss *loss, Phase phase, const Link *link)
{
    g_autofree char *name = g_strdup_printf(
        "nfv/loss/%s/%s/%s", loss->name, phase_names[phase], link->name);
    Case c = { phase, link };

    qtest_add_data_func_full(name, g_memdup2(&c, sizeof(c)), loss->test,
                             g_free);
}

/* The drain by TCP only: a local socket holds too little. */
static bool can_be(Phase phase, const Link *link)
{
    return phase != DRAIN || !strcmp(link->name, "tcp");
}

static void add_cases(int loss)
{
    for (Phase phase = losses[loss].first; phase <= losses[loss].last;
         phase++) {
        for (int i = 0; i < ARRAY_SIZE(links); i++) {
            if (can_be(phase, &links[i]) &&
                (g_test_slow() || is_quick(loss, phase, i))) {
                add_case(&losses[loss], phase, &links[i]);
            }
        }
    }
}

int main(int argc, char **argv)
{
    static const NfvPostVariant plain, preempt = { .preempt = true },
                                multifd = { true, true };

    g_test_init(&argc, &argv, NULL);
    for (int i = 0; i < ARRAY_SIZE(losses); i++) {
        add_cases(i);
    }
    qtest_add_func("nfv/loss/cancel/connecting", test_cancel_connecting);
    nfv_post_add("loss/kill-source/postcopy-stop", &plain,
                 test_kill_source_stop);
    nfv_post_add("loss/kill-source/postcopy-stop", &multifd,
                 test_kill_source_stop);
    nfv_post_add("loss/kill-source/postcopy-stop-still", &plain,
                 test_kill_source_stop_still);
    nfv_post_add("loss/kill-source/postcopy-active", &plain,
                 test_kill_source_active);
    nfv_post_add("loss/kill-source/postcopy-active", &multifd,
                 test_kill_source_active);
    nfv_post_add("loss/kill-source/postcopy-last", &plain,
                 test_kill_source_last);
    if (g_test_slow()) {
        nfv_post_add("loss/kill-source/postcopy-last", &preempt,
                     test_kill_source_last);
    }
    return g_test_run();
}
