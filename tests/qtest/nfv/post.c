/*
 * Post-copy between the two ends: its channels, and how far it is
 *
 * Copyright (c) 2026 the kvm4nfv authors
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "qemu/osdep.h"
#include "migration/migration-qmp.h"
#include "migration/migration-util.h"
#include "hugepages.h"
#include "post.h"

#define HUGE_KIB 2048
#define HUGE_PAGES 128 /* of both ends */

const char *nfv_post_ended[] = { "failed", "cancelled", "completed", NULL };
const char *nfv_post_completed[] = { "completed", NULL };

bool nfv_post_can_run(const NfvPostVariant *v)
{
    if (!ufd_version_check(NULL)) {
        g_test_skip("userfaultfd is not available");
        return false;
    }
    return !v->huge || nfv_huge_reserve(HUGE_KIB, HUGE_PAGES);
}

void nfv_post_set_capabilities(NfvPair *p, const NfvPostVariant *v)
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

void nfv_post_start(NfvPair *p, const NfvPostVariant *v, const char *options)
{
    p->memory = v->huge ? NFV_POST_HUGE : "";
    nfv_pair_start(p, options, options);
    nfv_post_set_capabilities(p, v);
}

void nfv_post_begin_precopy(NfvPair *p, const char *listen)
{
    nfv_pair_begin_slowly(p, listen);
    while (read_ram_property_int(p->from, "transferred") < 4 * NFV_POST_MIB) {
        g_usleep(10 * 1000);
    }
}

void nfv_post_ask(NfvPair *p)
{
    migrate_set_parameter_int(p->from, "max-postcopy-bandwidth", NFV_POST_SLOW);
    qtest_qmp_assert_success(p->from,
                             "{ 'execute': 'migrate-start-postcopy' }");
}

void nfv_post_switch(NfvPair *p)
{
    nfv_post_ask(p);
    wait_for_migration_status(p->from, "postcopy-active", nfv_post_ended);
    wait_for_migration_status(p->to, "postcopy-active", nfv_post_ended);
}

void nfv_post_begin(NfvPair *p)
{
    nfv_post_begin_precopy(p, NFV_PAIR_UNIX);
    nfv_post_switch(p);
}

/*
 * Until so much is left; it goes slower the less is left, so that on a busy
 * host it is not all gone before the next look.
 */
static void wait_for_remaining(NfvPair *p, int64_t bytes)
{
    int64_t remaining;

    while ((remaining = read_ram_property_int(p->from, "remaining")) > bytes) {
        migrate_set_parameter_int(p->from, "max-postcopy-bandwidth",
                                  MAX(remaining / 2, NFV_POST_TRICKLE));
        g_usleep(10 * 1000);
    }
}

void nfv_post_reach_last(NfvPair *p, const char *listen)
{
    nfv_post_begin_precopy(p, listen);
    nfv_post_switch(p);
    qtest_qmp_assert_success(p->to, "{ 'execute': 'stop' }");
    wait_for_remaining(p, 2 * NFV_POST_TRICKLE);
    kill(qtest_pid(p->to), SIGSTOP);
    nfv_post_wait(p, "from", "nfv_postcopy_last", 1);
}

unsigned nfv_post_said(NfvPair *p, const char *name, const char *words)
{
    g_autofree char *text = nfv_pair_log(p, name);
    unsigned n = 0;

    for (const char *at = text; (at = strstr(at, words)); at++) {
        n++;
    }
    return n;
}

void nfv_post_wait(NfvPair *p, const char *name, const char *words, unsigned n)
{
    while (nfv_post_said(p, name, words) < n) {
        g_assert_true(qtest_probe_child(strcmp(name, "to") ? p->from : p->to));
        g_usleep(10 * 1000);
    }
}

void nfv_post_wait_until_paused(NfvPair *p)
{
    nfv_post_wait(p, "to", "Migration paused", 1);
}

QDict *nfv_post_result(QTestState *qts)
{
    QDict *info = nfv_pair_query(qts);
    QDict *result = qobject_ref(qdict_get_qdict(info, "result"));

    qobject_unref(info);
    return result;
}

void nfv_post_check_result(QTestState *qts, bool postcopy, const char *verdict)
{
    QDict *result = nfv_post_result(qts);

    g_assert_cmpstr(qdict_get_str(result, "status"), ==, "completed");
    g_assert_cmpstr(qdict_get_str(result, "verdict"), ==, verdict);
    g_assert_cmpint(qdict_get_bool(result, "postcopy"), ==, postcopy);
    g_assert_cmpint(qdict_get_int(result, "total"), >=,
                    qdict_get_int(result, "downtime"));
    qobject_unref(result);
}

void nfv_post_add(const char *what, const NfvPostVariant *v, GTestDataFunc test)
{
    g_autofree char *name =
        g_strdup_printf("nfv/%s/%s%s%s", what, v->huge ? "2m" : "4k",
                        v->preempt ? "-preempt" : "",
                        v->multifd ? "-multifd" : "");

    qtest_add_data_func_full(name, g_memdup2(v, sizeof(*v)), test, g_free);
}
