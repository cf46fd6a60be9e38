/*
 * Unit tests: whether a contract was kept
 *
 * Copyright (c) 2026 the kvm4nfv authors
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "qemu/osdep.h"
#include "migration/nfv/contract.h"

typedef struct Case {
    const char *name;
    NfvOutcome outcome;
    NfvContractVerdict verdict;
    const char *why;
} Case;

/* 3.2 ms of 10, 1.5 s of 2. */
#define GOOD                                                       \
    .status = MIGRATION_STATUS_COMPLETED, .downtime = 3216,        \
    .total = 1500000, .predicted = 2900, .max_downtime = 10,       \
    .deadline = 2000

/* A later initializer of a field wins. */
#pragma GCC diagnostic ignored "-Woverride-init"
static const Case cases[] = {
    { "both", { GOOD }, NFV_CONTRACT_VERDICT_KEPT,
      "the stop took 3.2 ms of 10 ms; until the guest ran at the destination "
      "it took 1500.0 ms of 2000 ms" },
    { "nothing", { GOOD, .max_downtime = 0, .deadline = 0 },
      NFV_CONTRACT_VERDICT_NONE, "nothing was promised" },
    { "downtime", { GOOD, .deadline = 0 }, NFV_CONTRACT_VERDICT_KEPT,
      "the stop took 3.2 ms of 10 ms" },
    { "deadline", { GOOD, .max_downtime = 0 }, NFV_CONTRACT_VERDICT_KEPT,
      "until the guest ran at the destination it took 1500.0 ms of 2000 ms" },
    { "just", { GOOD, .downtime = 10000 }, NFV_CONTRACT_VERDICT_KEPT,
      "the stop took 10.0 ms of 10 ms" },
    { "too-long", { GOOD, .downtime = 14100 }, NFV_CONTRACT_VERDICT_MISSED,
      "the stop took 14.1 ms, 4.1 ms more than 10 ms (predicted were 2.9 ms); "
      "until" },
    { "not-predicted", { GOOD, .downtime = 14100, .predicted = NFV_UNKNOWN },
      NFV_CONTRACT_VERDICT_MISSED,
      "the stop took 14.1 ms, 4.1 ms more than 10 ms; until" },
    { "too-late", { GOOD, .total = 2000100 }, NFV_CONTRACT_VERDICT_MISSED,
      "it took 2000.1 ms, 0.1 ms more than 2000 ms" },
    { "too-late-obstacle", { GOOD, .total = 3000000, .obstacle = "of this" },
      NFV_CONTRACT_VERDICT_MISSED,
      "1000.0 ms more than 2000 ms; post-copy was not possible: of this" },
    { "in-time-obstacle", { GOOD, .obstacle = "of this" },
      NFV_CONTRACT_VERDICT_KEPT, "1500.0 ms of 2000 ms" },
    { "not-told", { GOOD, .downtime = NFV_UNKNOWN, .total = NFV_UNKNOWN },
      NFV_CONTRACT_VERDICT_UNKNOWN, "not known to the source" },
    { "not-told-passed",
      { GOOD, .downtime = NFV_UNKNOWN, .total = NFV_UNKNOWN,
        .deadline_passed = true },
      NFV_CONTRACT_VERDICT_MISSED, "not known to the source" },
    { "deadline-not-told",
      { GOOD, .max_downtime = 0, .downtime = NFV_UNKNOWN,
        .total = NFV_UNKNOWN },
      NFV_CONTRACT_VERDICT_UNKNOWN,
      "when the guest started at the destination is not known" },
    { "cancelled",
      { GOOD, .status = MIGRATION_STATUS_CANCELLED, .error = "by its deadline" },
      NFV_CONTRACT_VERDICT_MISSED,
      "the migration was cancelled: by its deadline" },
    { "failed", { GOOD, .status = MIGRATION_STATUS_FAILED },
      NFV_CONTRACT_VERDICT_MISSED, "the migration was not completed" },
    { "failed-nothing",
      { GOOD, .status = MIGRATION_STATUS_FAILED, .max_downtime = 0,
        .deadline = 0 },
      NFV_CONTRACT_VERDICT_NONE, "nothing was promised" },
};

static void test_case(const void *opaque)
{
    const Case *c = opaque;
    NfvContractResult *r = nfv_contract_judge(&c->outcome);

    g_test_message("%s", r->why);
    g_assert_cmpstr(NfvContractVerdict_str(r->verdict), ==,
                    NfvContractVerdict_str(c->verdict));
    g_assert_nonnull(strstr(r->why, c->why));
    g_assert_cmpint(r->status, ==, c->outcome.status);
    qapi_free_NfvContractResult(r);
}

static void test_numbers(void)
{
    NfvOutcome o = { GOOD, .postcopy = true };
    NfvContractResult *r = nfv_contract_judge(&o);

    g_assert_true(r->postcopy);
    g_assert_true(r->has_downtime && r->has_total);
    g_assert_cmpuint(r->downtime, ==, 3216);
    g_assert_cmpuint(r->total, ==, 1500000);
    g_assert_true(r->has_downtime_left && r->has_deadline_left);
    g_assert_cmpint(r->downtime_left, ==, 6784);
    g_assert_cmpint(r->deadline_left, ==, 500000);
    qapi_free_NfvContractResult(r);

    o.downtime = NFV_UNKNOWN;
    o.total = 2500000;
    r = nfv_contract_judge(&o);
    g_assert_false(r->has_downtime || r->has_downtime_left);
    g_assert_cmpint(r->deadline_left, ==, -500000);
    qapi_free_NfvContractResult(r);
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    for (int i = 0; i < ARRAY_SIZE(cases); i++) {
        g_autofree char *path =
            g_strdup_printf("/nfv/contract/%s", cases[i].name);

        g_test_add_data_func(path, &cases[i], test_case);
    }
    g_test_add_func("/nfv/contract/numbers", test_numbers);
    return g_test_run();
}
