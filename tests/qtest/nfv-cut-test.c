/*
 * Post-copy whose link breaks, or whose destination is lost, in each phase
 *
 * Copyright (c) 2026 the kvm4nfv authors
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "qemu/osdep.h"
#include "libqtest.h"
#include "migration/migration-qmp.h"
#include "migration/migration-util.h"
#include "nfv/hugepages.h"
#include "nfv/post.h"
#include "nfv/relay.h"
#include "nfv/tcp.h"
#include "migration/nfv/owed.h"

/* Broken links */

static void cut(QTestState *qts)
{
    qtest_qmp_assert_success(qts, "{ 'execute': 'yank', 'arguments': { "
                                  "'instances': [ { 'type': 'migration' } ] } "
                                  "}");
}

static void wait_until_paused(NfvPair *p)
{
    wait_for_migration_status(p->from, "postcopy-paused", nfv_post_ended);
    wait_for_migration_status(p->to, "postcopy-paused", nfv_post_ended);
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
    nfv_post_wait(p, "from", NFV_POST_SHORTENED, n);
}

/*
 * The guest neither runs at the source nor is lost.  One that asks for huge pages
 * would have all before the link breaks.
 */
static void test_cut(const void *opaque)
{
    const NfvPostVariant *v = opaque;
    NfvPair p = { .memory = v->huge ? NFV_POST_HUGE : "" };

    if (!nfv_post_can_run(v)) {
        return;
    }
    nfv_pair_start(&p, NFV_POST_ON, v->huge ? NFV_POST_ON "-S " : NFV_POST_ON);
    nfv_post_set_capabilities(&p, v);
    nfv_post_begin(&p);
    wait_for_sockets(&p, 1);
    for (int i = 0; i < 2; i++) {
        cut(i ? p.to : p.from);
        wait_until_paused(&p);
        recover(&p);
        wait_for_migration_status(p.from, "postcopy-active", nfv_post_ended);
        wait_for_migration_status(p.to, "postcopy-active", nfv_post_ended);
        wait_for_sockets(&p, i + 2);
    }
    if (v->huge) {
        qtest_qmp_assert_success(p.to, "{ 'execute': 'cont' }");
    }
    nfv_pair_finish(&p);
    nfv_post_check_result(p.from, true, "none");
    g_assert_cmpuint(nfv_post_said(&p, "from", NFV_POST_SHORTENED), ==, 3);
    nfv_pair_wait_for_events(&p, 1);
    nfv_pair_stop(&p);
    nfv_huge_release();
}

/* Nobody could answer the guest, though the pages still come. */
static void test_return_path(const void *opaque)
{
    const NfvPostVariant *v = opaque;
    NfvPair p = {};

    if (!nfv_post_can_run(v) || !nfv_tcp_can_close()) {
        return;
    }
    nfv_post_start(&p, v, NFV_POST_ON);
    nfv_post_begin_precopy(&p, NFV_PAIR_TCP);
    nfv_post_switch(&p);
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
    const NfvPostVariant *v = opaque;
    const char *over[] = { "postcopy-active", "completed", NULL };
    g_autofree char *uri = NULL;
    NfvPair p = {};

    if (!nfv_post_can_run(v)) {
        return;
    }
    nfv_post_start(&p, v, NFV_POST_ON);
    nfv_post_begin(&p);
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

/* It is asked for, and the guest stands still. */
static void reach_stop(NfvPair *p)
{
    migrate_set_capability(p->from, "pause-before-switchover", true);
    nfv_post_begin_precopy(p, NFV_PAIR_UNIX);
    nfv_post_ask(p);
    wait_for_migration_status(p->from, "pre-switchover", nfv_post_ended);
}

/* The destination has not yet read the state of the devices. */
static void test_cut_stop(const void *opaque)
{
    const NfvPostVariant *v = opaque;
    NfvPair p = {};

    if (!nfv_post_can_run(v)) {
        return;
    }
    nfv_post_start(&p, v, NFV_POST_ON);
    reach_stop(&p);
    kill(qtest_pid(p.to), SIGSTOP);
    migrate_continue(p.from, "pre-switchover");
    wait_for_migration_status(p.from, "postcopy-active", nfv_post_ended);
    cut(p.from);
    kill(qtest_pid(p.to), SIGCONT);
    wait_for_migration_status(p.from, "postcopy-paused", nfv_post_ended);
    nfv_post_wait_until_paused(&p);
    recover(&p);
    nfv_pair_finish(&p);
    nfv_pair_stop(&p);
    nfv_huge_release();
}

/* The source does not know that all came, but the destination does. */
static void test_cut_last(const void *opaque)
{
    const NfvPostVariant *v = opaque;
    NfvPair p = {};

    if (!nfv_post_can_run(v)) {
        return;
    }
    nfv_post_start(&p, v, NFV_POST_LONG_QUEUE);
    nfv_post_reach_last(&p, NFV_PAIR_UNIX);
    cut(p.from);
    wait_for_migration_status(p.from, "postcopy-paused", nfv_post_ended);
    kill(qtest_pid(p.to), SIGCONT);
    wait_for_migration_complete(p.to);
    qtest_qmp_assert_success(p.to, "{ 'execute': 'cont' }");
    nfv_pair_check_guest(&p, p.to);
    qtest_kill_qemu(p.from);
    nfv_pair_stop(&p);
}

/* The last pages were sent, and did not come. */
static void test_lost_last(const void *opaque)
{
    const NfvPostVariant *v = opaque;
    NfvPair p = {};

    if (!nfv_post_can_run(v) || !nfv_tcp_can_close()) {
        return;
    }
    nfv_post_start(&p, v, NFV_POST_LONG_QUEUE);
    nfv_post_reach_last(&p, NFV_PAIR_TCP);
    nfv_tcp_lose(qtest_pid(p.to), 100);
    wait_for_migration_status(p.from, "postcopy-paused", nfv_post_ended);
    kill(qtest_pid(p.to), SIGCONT);
    wait_until_paused(&p);
    recover(&p);
    qtest_qmp_assert_success(p.to, "{ 'execute': 'cont' }");
    nfv_pair_finish(&p);
    nfv_pair_stop(&p);
}

static bool leave(GByteArray *record)
{
    return true;
}

/* The source knows that all came, and is not told that it was all. */
static void test_cut_proven(void)
{
    const NfvPostVariant v = {};
    g_autofree char *near = NULL, *far = NULL, *near_uri = NULL,
                    *far_uri = NULL;
    NfvPair p = {};
    NfvRelay *relay;

    if (!nfv_post_can_run(&v)) {
        return;
    }
    nfv_post_start(&p, &v, NFV_POST_ON);
    near = g_strdup_printf("%s/near", p.directory);
    far = g_strdup_printf("%s/far", p.directory);
    near_uri = g_strdup_printf("unix:%s", near);
    far_uri = g_strdup_printf("unix:%s", far);
    migrate_incoming_qmp(p.to, far_uri, NULL, "{}");
    relay = nfv_relay_new(near, far, leave, false);
    nfv_relay_end_after(relay, NFV_OWED_LAST);
    migrate_set_parameter_int(p.from, "max-bandwidth", NFV_POST_SLOW);
    migrate_qmp(p.from, p.to, near_uri, NULL, "{}");
    qtest_qmp_assert_success(p.from,
                             "{ 'execute': 'migrate-start-postcopy' }");
    wait_for_migration_status(p.from, "failed", nfv_post_completed);
    nfv_pair_check_running(p.from, false);
    wait_for_migration_complete(p.to);
    nfv_pair_check_guest(&p, p.to);
    nfv_pair_check_running(p.from, false);
    nfv_relay_free(relay);
    unlink(near);
    nfv_pair_stop(&p);
}

/* Without a link that breaks: as with stock, it ends, and says so. */
static void test_devices(const void *opaque)
{
    const NfvPostVariant *v = opaque;
    NfvPair p = {};

    if (!nfv_post_can_run(v)) {
        return;
    }
    nfv_pair_start(&p, NFV_POST_ON "-device virtio-rng-pci ", NFV_POST_ON);
    nfv_post_set_capabilities(&p, v);
    nfv_post_begin_precopy(&p, NFV_PAIR_UNIX);
    qtest_set_expected_status(p.to, EXIT_FAILURE);
    nfv_post_ask(&p);
    qtest_wait_qemu(p.to);
    g_assert_cmpuint(nfv_post_said(&p, "to", "load of migration failed"), ==,
                     1);
    wait_for_migration_status(p.from, "postcopy-paused", nfv_post_ended);
    nfv_pair_check_running(p.from, false);
    qtest_kill_qemu(p.from);
    nfv_pair_stop(&p);
}

/* Before the point of no return */

/*
 * The destination stands still: the source has told it what to discard, and
 * waits for the proof that it has read that.
 */
static void reach_discards(NfvPair *p, const char *listen)
{
    nfv_post_begin_precopy(p, listen);
    /* What comes before the discards must fit into the socket. */
    migrate_set_parameter_int(p->from, "max-bandwidth", NFV_POST_TRICKLE);
    g_usleep(300 * 1000);
    kill(qtest_pid(p->to), SIGSTOP);
    qtest_qmp_assert_success(p->from,
                             "{ 'execute': 'migrate-start-postcopy' }");
    nfv_post_wait(p, "from", "nfv_postcopy_discard", 1);
    wait_for_migration_status(p->from, "active", nfv_post_ended);
}

/* The guest is as good as before, and migrates later. */
static void again(NfvPair *p, const NfvPostVariant *v)
{
    nfv_pair_check_guest(p, p->from);
    if (p->to) {
        qtest_quit(p->to);
    }
    nfv_pair_start_to(p, NFV_POST_ON);
    nfv_post_set_capabilities(p, v);
    nfv_pair_let_go(p);
    nfv_post_begin(p);
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
    const NfvPostVariant v = {};
    const LossCase *c = opaque;
    NfvPair p = {};

    if (!nfv_post_can_run(&v) ||
        (c->loss == RETURN_PATH_CUT && !nfv_tcp_can_close())) {
        return;
    }
    nfv_post_start(&p, &v, NFV_POST_ON);
    reach_discards(&p, c->listen);
    if (c->loss == KILLED) {
        nfv_pair_kill(&p.to);
    } else {
        lose_link(&p, c->loss);
    }
    if (c->loss != CANCELLED) {
        wait_for_migration_status(p.from, "failed", nfv_post_completed);
    }
    nfv_pair_wait_for_events(&p, 1);
    again(&p, &v);
    nfv_pair_wait_for_events(&p, 2);
    nfv_pair_stop(&p);
}

/* It has the guest, so the source never starts it again. */
static void test_kill_after(void)
{
    const NfvPostVariant v = { .preempt = true };
    NfvPair p = {};

    if (!nfv_post_can_run(&v)) {
        return;
    }
    nfv_post_start(&p, &v, NFV_POST_ON);
    nfv_post_begin(&p);
    qtest_kill_qemu(p.to);
    wait_for_migration_status(p.from, "postcopy-paused", nfv_post_ended);
    nfv_pair_check_running(p.from, false);
    qtest_kill_qemu(p.from);
    nfv_pair_stop(&p);
}

/* The guest stands still, and nothing of it has left. */
static void test_lose_stop(const void *opaque)
{
    const NfvPostVariant *v = opaque;
    NfvPair p = {};

    if (!nfv_post_can_run(v)) {
        return;
    }
    nfv_post_start(&p, v, NFV_POST_ON);
    reach_stop(&p);
    cut(p.from);
    qtest_set_expected_status(p.to, EXIT_FAILURE);
    migrate_continue(p.from, "pre-switchover");
    wait_for_migration_status(p.from, "failed", nfv_post_completed);
    qtest_wait_qemu(p.to);
    migrate_set_capability(p.from, "pause-before-switchover", false);
    again(&p, v);
    nfv_pair_stop(&p);
}

int main(int argc, char **argv)
{
    static const NfvPostVariant plain, preempt = { .preempt = true },
                                multifd = { true, true },
                                huge = { .huge = true },
                                all = { true, true, true };

    g_test_init(&argc, &argv, NULL);
    nfv_post_add("cut/active", &plain, test_cut);
    nfv_post_add("cut/active", &preempt, test_cut);
    nfv_post_add("cut/active", &multifd, test_cut);
    nfv_post_add("cut/active", &huge, test_cut);
    nfv_post_add("cut/active", &all, test_cut);
    nfv_post_add("cut/return-path", &plain, test_return_path);
    nfv_post_add("cut/return-path", &preempt, test_return_path);
    nfv_post_add("cut/recovery", &plain, test_cut_recovery);
    nfv_post_add("cut/recovery", &preempt, test_cut_recovery);
    nfv_post_add("cut/stop", &plain, test_cut_stop);
    nfv_post_add("cut/stop", &all, test_cut_stop);
    nfv_post_add("cut/last", &plain, test_cut_last);
    nfv_post_add("cut/lost-last", &plain, test_lost_last);
    nfv_post_add("cut/lost-last", &preempt, test_lost_last);
    qtest_add_func("nfv/cut/proven", test_cut_proven);
    nfv_post_add("cut/devices", &plain, test_devices);
    nfv_post_add("cut/devices", &multifd, test_devices);
    nfv_post_add("cut/lose-stop", &plain, test_lose_stop);
    nfv_post_add("cut/lose-stop", &multifd, test_lose_stop);
    for (int i = 0; i < ARRAY_SIZE(losses); i++) {
        g_autofree char *name =
            g_strdup_printf("nfv/cut/lose-before/%s", losses[i].name);

        qtest_add_data_func(name, &losses[i], test_lose_before);
    }
    qtest_add_func("nfv/cut/kill-after", test_kill_after);
    return g_test_run();
}
