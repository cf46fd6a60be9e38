/*
 * Unit tests: when to switch over
 *
 * Copyright (c) 2026 the kvm4nfv authors
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "qemu/osdep.h"
#include "qemu/units.h"
#include "migration/nfv/bandwidth.h"
#include "migration/nfv/decide.h"
#include "migration/nfv/proof.h"
#include "nfv/recorded.h"

#define MS 1000
#define S (1000 * MS)
#define NONE INT64_MAX

/* Single situations */

/* One that switches; a limit of 10 ms, 3.1 of which are the devices'. */
#define FITS                                                                 \
    .limit = 10 * MS, .left = NONE, .device_time = 3100, .pending = 4 * KiB, \
    .bandwidth = GiB, .can_drain = true, .may_switch = true

/* One that does not fit, where post-copy may be the way out. */
#define POSTCOPY                                                          \
    .pending = GiB, .may_postcopy = true, .rounds = 2,                    \
    .shrink_rate = GiB / 2, .sync_interval = 100 * MS,                    \
    .unproven = UINT64_MAX

typedef struct Case {
    const char *name;
    NfvSituation situation;
    NfvMigrationStep step;
    NfvMigrationReason reason;
} Case;

/* A later initializer of a field wins. */
#pragma GCC diagnostic ignored "-Woverride-init"
static const Case cases[] = {
    { "fits",
      { FITS },
      NFV_MIGRATION_STEP_SWITCH,
      NFV_MIGRATION_REASON_STOP_FITS },
    { "undrained",
      { FITS, .unproven = UINT64_MAX },
      NFV_MIGRATION_STEP_DRAIN,
      NFV_MIGRATION_REASON_DRAIN_UNPROVEN },
    { "no-return-path",
      { FITS, .unproven = UINT64_MAX, .can_drain = false },
      NFV_MIGRATION_STEP_SWITCH,
      NFV_MIGRATION_REASON_STOP_FITS },
    { "nothing-pending",
      { FITS, .pending = 0, .bandwidth = 0 },
      NFV_MIGRATION_STEP_SWITCH,
      NFV_MIGRATION_REASON_STOP_FITS },
    { "nothing-pending-undrained",
      { FITS, .pending = 0, .bandwidth = 0, .unproven = 1 },
      NFV_MIGRATION_STEP_DRAIN,
      NFV_MIGRATION_REASON_DRAIN_UNPROVEN },
    { "not-ready",
      { FITS, .may_switch = false },
      NFV_MIGRATION_STEP_SEND,
      NFV_MIGRATION_REASON_DESTINATION_NOT_READY },
    { "not-ready-nothing-pending",
      { FITS, .pending = 0, .may_switch = false },
      NFV_MIGRATION_STEP_SEND,
      NFV_MIGRATION_REASON_DESTINATION_NOT_READY },
    { "bandwidth-unknown",
      { FITS, .bandwidth = 0 },
      NFV_MIGRATION_STEP_SEND,
      NFV_MIGRATION_REASON_BANDWIDTH_UNKNOWN },
    /* 6.9 ms are left for memory, just so and one byte more. */
    { "just-fits",
      { FITS, .pending = 6900, .bandwidth = 1000000, .dirty_rate = GiB },
      NFV_MIGRATION_STEP_SWITCH,
      NFV_MIGRATION_REASON_STOP_FITS },
    { "just-too-long",
      { FITS, .pending = 6901, .bandwidth = 1000000, .dirty_rate = GiB },
      NFV_MIGRATION_STEP_SEND,
      NFV_MIGRATION_REASON_STOP_TOO_LONG },
    { "too-long-drained",
      { FITS, .pending = GiB },
      NFV_MIGRATION_STEP_SEND,
      NFV_MIGRATION_REASON_STOP_TOO_LONG },
    { "slowest-link",
      { FITS, .pending = INT64_MAX, .bandwidth = 1 },
      NFV_MIGRATION_STEP_SEND,
      NFV_MIGRATION_REASON_STOP_TOO_LONG },
    /* Devices take all of the limit: memory has a quarter of it. */
    { "devices-take-all",
      { FITS, .limit = 2 * MS, .pending = 500, .bandwidth = 1000000 },
      NFV_MIGRATION_STEP_SWITCH,
      NFV_MIGRATION_REASON_STOP_FITS },
    { "devices-take-more",
      { FITS, .limit = 2 * MS, .pending = 501, .bandwidth = 1000000 },
      NFV_MIGRATION_STEP_SEND,
      NFV_MIGRATION_REASON_STOP_TOO_LONG },
    { "limit-0",
      { FITS, .limit = 0, .pending = 4 * KiB, .bandwidth = 1000000 },
      NFV_MIGRATION_STEP_SEND,
      NFV_MIGRATION_REASON_STOP_TOO_LONG },
    { "limit-0-nothing-pending",
      { FITS, .limit = 0, .pending = 0 },
      NFV_MIGRATION_STEP_SWITCH,
      NFV_MIGRATION_REASON_STOP_FITS },
    /* 2 ms of memory, and 4.9 ms and a bit of what may be under way. */
    { "proven-enough",
      { FITS, .pending = 2000, .bandwidth = 1000000, .dirty_rate = 900000,
        .unproven = 4900 },
      NFV_MIGRATION_STEP_SWITCH,
      NFV_MIGRATION_REASON_STOP_FITS },
    { "not-proven-enough",
      { FITS, .pending = 2000, .bandwidth = 1000000, .dirty_rate = 900000,
        .unproven = 4901, .round_trip = 600 },
      NFV_MIGRATION_STEP_SEND,
      NFV_MIGRATION_REASON_DRAIN_UNPROVEN },
    /* What becomes dirty in 5.4 ms fits as well. */
    { "answer-in-time",
      { FITS, .pending = 2000, .bandwidth = 1000000, .dirty_rate = 900000,
        .unproven = 4901, .round_trip = 500 },
      NFV_MIGRATION_STEP_DRAIN,
      NFV_MIGRATION_REASON_DRAIN_UNPROVEN },
    /* Most of what is not proven has been read, if answers take 5.4 ms. */
    { "answer-in-time-after-a-long-round",
      { FITS, .pending = 2000, .bandwidth = 1000000, .dirty_rate = 900000,
        .unproven = MiB, .longest = 5400 },
      NFV_MIGRATION_STEP_DRAIN,
      NFV_MIGRATION_REASON_DRAIN_UNPROVEN },
    { "answer-too-late",
      { FITS, .pending = 2000, .bandwidth = 1000000, .dirty_rate = 900000,
        .unproven = MiB, .longest = 5500 },
      NFV_MIGRATION_STEP_SEND,
      NFV_MIGRATION_REASON_DRAIN_UNPROVEN },
    /* It is slow, so it is best to wait. */
    { "proven-slow",
      { FITS, .pending = 400, .bandwidth = 1000000, .dirty_rate = 400000,
        .unproven = 1 },
      NFV_MIGRATION_STEP_DRAIN,
      NFV_MIGRATION_REASON_DRAIN_UNPROVEN },
    /* 2 ms of memory, at most half of which becomes dirty meanwhile. */
    { "shorter",
      { FITS, .pending = 2000, .bandwidth = 1000000, .dirty_rate = 500000 },
      NFV_MIGRATION_STEP_SEND,
      NFV_MIGRATION_REASON_NEXT_STOP_SHORTER },
    { "not-shorter",
      { FITS, .pending = 2000, .bandwidth = 1000000, .dirty_rate = 501000 },
      NFV_MIGRATION_STEP_SWITCH,
      NFV_MIGRATION_REASON_STOP_FITS },
    /* All of it is written before the next look; or a quarter is not. */
    { "not-shorter-in-vain",
      { FITS, .pending = 2000, .bandwidth = 1000000, .soon = 1501 },
      NFV_MIGRATION_STEP_SWITCH,
      NFV_MIGRATION_REASON_STOP_FITS },
    { "shorter-not-in-vain",
      { FITS, .pending = 2000, .bandwidth = 1000000, .soon = 1500 },
      NFV_MIGRATION_STEP_SEND,
      NFV_MIGRATION_REASON_NEXT_STOP_SHORTER },
    /* The next look is not before an answer to this one. */
    { "not-shorter-before-the-answer",
      { FITS, .pending = 2000, .bandwidth = 1000000, .dirty_rate = 250000,
        .round_trip = 4100 },
      NFV_MIGRATION_STEP_SWITCH,
      NFV_MIGRATION_REASON_STOP_FITS },
    { "not-worth-it",
      { FITS, .pending = 500, .bandwidth = 1000000 },
      NFV_MIGRATION_STEP_SWITCH,
      NFV_MIGRATION_REASON_STOP_FITS },
    { "worth-it",
      { FITS, .pending = 501, .bandwidth = 1000000 },
      NFV_MIGRATION_STEP_SEND,
      NFV_MIGRATION_REASON_NEXT_STOP_SHORTER },
    /* Half of 2 MiB is sent again, in 2 ms each. */
    { "cheap",
      { FITS, .pending = 2 * MiB, .bandwidth = GiB, .dirty_rate = GiB / 2,
        .shortened = 3 * MiB },
      NFV_MIGRATION_STEP_SEND,
      NFV_MIGRATION_REASON_NEXT_STOP_SHORTER },
    { "spent",
      { FITS, .pending = 2 * MiB, .bandwidth = GiB, .dirty_rate = GiB / 2,
        .shortened = 3 * MiB + KiB },
      NFV_MIGRATION_STEP_SWITCH,
      NFV_MIGRATION_REASON_STOP_FITS },
    { "share-of-much",
      { FITS, .pending = 2 * MiB, .bandwidth = GiB, .dirty_rate = GiB / 2,
        .shortened = 63 * MiB, .sent = GiB },
      NFV_MIGRATION_STEP_SEND,
      NFV_MIGRATION_REASON_NEXT_STOP_SHORTER },
    { "share-of-much-spent",
      { FITS, .pending = 2 * MiB, .bandwidth = GiB, .dirty_rate = GiB / 2,
        .shortened = 63 * MiB + KiB, .sent = GiB },
      NFV_MIGRATION_STEP_SWITCH,
      NFV_MIGRATION_REASON_STOP_FITS },
    { "time-for-extra",
      { FITS, .pending = 2000, .bandwidth = 1000000, .left = 4001 },
      NFV_MIGRATION_STEP_SEND,
      NFV_MIGRATION_REASON_NEXT_STOP_SHORTER },
    { "no-time-for-extra",
      { FITS, .pending = 2000, .bandwidth = 1000000, .left = 4000 },
      NFV_MIGRATION_STEP_SWITCH,
      NFV_MIGRATION_REASON_STOP_FITS },
    { "past-deadline",
      { FITS, .pending = 2000, .bandwidth = 1000000, .left = -5 * S },
      NFV_MIGRATION_STEP_SWITCH,
      NFV_MIGRATION_REASON_STOP_FITS },
    /* A deadline that is past does not make the stop longer. */
    { "past-deadline-too-long",
      { FITS, .pending = GiB, .left = -5 * S },
      NFV_MIGRATION_STEP_SEND,
      NFV_MIGRATION_REASON_STOP_TOO_LONG },

    /* 1 GiB is left, 1 s of the link, of which half a GiB goes in a second. */
    { "ends-in-time",
      { FITS, POSTCOPY, .left = 3 * S },
      NFV_MIGRATION_STEP_SEND,
      NFV_MIGRATION_REASON_STOP_TOO_LONG },
    { "ends-too-late",
      { FITS, POSTCOPY, .left = 2 * S },
      NFV_MIGRATION_STEP_POSTCOPY,
      NFV_MIGRATION_REASON_NO_CONVERGENCE },
    { "grows",
      { FITS, POSTCOPY, .left = 3600 * (int64_t)S, .shrink_rate = -1 },
      NFV_MIGRATION_STEP_POSTCOPY,
      NFV_MIGRATION_REASON_NO_CONVERGENCE },
    { "not-known-yet",
      { FITS, POSTCOPY, .left = 2 * S, .rounds = 1 },
      NFV_MIGRATION_STEP_SEND,
      NFV_MIGRATION_REASON_STOP_TOO_LONG },
    { "last-moment",
      { FITS, POSTCOPY, .left = 203 * MS, .rounds = 0 },
      NFV_MIGRATION_STEP_POSTCOPY,
      NFV_MIGRATION_REASON_DEADLINE_NEAR },
    { "moment-before",
      { FITS, POSTCOPY, .left = 204 * MS, .rounds = 0 },
      NFV_MIGRATION_STEP_SEND,
      NFV_MIGRATION_REASON_STOP_TOO_LONG },
    { "no-postcopy",
      { FITS, POSTCOPY, .left = MS, .may_postcopy = false },
      NFV_MIGRATION_STEP_SEND,
      NFV_MIGRATION_REASON_STOP_TOO_LONG },
    { "no-deadline",
      { FITS, POSTCOPY, .left = NONE, .shrink_rate = -1 },
      NFV_MIGRATION_STEP_SEND,
      NFV_MIGRATION_REASON_STOP_TOO_LONG },
    { "fits-at-the-deadline",
      { FITS, .may_postcopy = true, .left = MS },
      NFV_MIGRATION_STEP_SWITCH,
      NFV_MIGRATION_REASON_STOP_FITS },
    { "postcopy-not-ready",
      { FITS, POSTCOPY, .left = MS, .may_switch = false },
      NFV_MIGRATION_STEP_SEND,
      NFV_MIGRATION_REASON_DESTINATION_NOT_READY },
};

static void test_case(const void *opaque)
{
    const Case *c = opaque;
    NfvDecision d = nfv_decide(&c->situation);

    g_assert_cmpstr(NfvMigrationStep_str(d.step), ==,
                    NfvMigrationStep_str(c->step));
    g_assert_cmpstr(NfvMigrationReason_str(d.reason), ==,
                    NfvMigrationReason_str(c->reason));
}

static void test_predicted(void)
{
    NfvSituation s = { FITS, .pending = 2000, .bandwidth = 1000000,
                       .shortened = GiB };

    g_assert_cmpint(nfv_decide(&s).stop, ==, 3100 + 2000);
    s.unproven = 1000;
    s.dirty_rate = 900000;
    g_assert_cmpint(nfv_decide(&s).step, ==, NFV_MIGRATION_STEP_SWITCH);
    g_assert_cmpint(nfv_decide(&s).stop, ==, 3100 + 2000 + 1000);
    s.dirty_rate = 0; /* it waits */
    g_assert_cmpint(nfv_decide(&s).step, ==, NFV_MIGRATION_STEP_DRAIN);
    g_assert_cmpint(nfv_decide(&s).stop, ==, 3100 + 2000 + 1000);
    s.unproven = UINT64_MAX;
    g_assert_cmpint(nfv_decide(&s).stop, ==, 3100 + 2000);
    s.can_drain = false;
    g_assert_cmpint(nfv_decide(&s).step, ==, NFV_MIGRATION_STEP_SWITCH);
    g_assert_cmpint(nfv_decide(&s).stop, ==, 3100 + 2000);
    s.can_drain = true;
    s.unproven = 0;
    s.pending = 0;
    g_assert_cmpint(nfv_decide(&s).stop, ==, 3100);
    s.pending = 1;
    s.bandwidth = 0;
    g_assert_cmpint(nfv_decide(&s).stop, ==, -1);
    s.may_switch = false;
    g_assert_cmpint(nfv_decide(&s).stop, ==, -1);
}

/* Whether the link stands still until the answer. */
static void test_drain_pays(void)
{
    NfvSituation s = { FITS, .unproven = UINT64_MAX, .dirty_rate = GiB / 2 };

    g_assert_cmpint(nfv_decide(&s).step, ==, NFV_MIGRATION_STEP_SEND);
    s.dirty_rate--;
    g_assert_cmpint(nfv_decide(&s).step, ==, NFV_MIGRATION_STEP_DRAIN);
    s.dirty_rate = GiB;
    g_assert_cmpint(nfv_decide(&s).step, ==, NFV_MIGRATION_STEP_SEND);
    s.pending = 0;
    g_assert_cmpint(nfv_decide(&s).step, ==, NFV_MIGRATION_STEP_DRAIN);
}

/* A quarter of memory's part of the stop, 1 ms at most; not if that is cut. */
static void test_may_stay(void)
{
    NfvSituation s = { .limit = 5100, .left = NONE, .device_time = 1900,
                       .bandwidth = 1000000 };

    g_assert_cmpuint(nfv_decide(&s).may_stay, ==, 800);
    s.limit = 300 * MS;
    g_assert_cmpuint(nfv_decide(&s).may_stay, ==, 1000);
    s.limit = 0;
    g_assert_cmpuint(nfv_decide(&s).may_stay, ==, 0);
    s.limit = 10 * MS;
    s.may_switch = true;
    s.pending = 2000;
    g_assert_cmpuint(nfv_decide(&s).costs, ==, 1);
    g_assert_cmpuint(nfv_decide(&s).may_stay, ==, 0);
    s.bandwidth = 0;
    g_assert_cmpuint(nfv_decide(&s).may_stay, ==, 0);
}

static void test_device_time(void)
{
    g_assert_cmpint(nfv_decide_device_time(1), >, 0);
    for (unsigned vcpus = 1; vcpus < 512; vcpus++) {
        g_assert_cmpint(nfv_decide_device_time(vcpus + 1), >,
                        nfv_decide_device_time(vcpus));
    }
}

/* Whatever is measured, a switch breaks no promise. */
static void test_any(void)
{
    GRand *rand = g_rand_new_with_seed(1);

    for (int i = 0; i < 200000; i++) {
        NfvSituation s = {
            .limit = g_rand_int_range(rand, 0, 400) * MS,
            .left = g_rand_boolean(rand) ? NONE : g_rand_int_range(rand, -S, S),
            .device_time = g_rand_int_range(rand, 0, 20 * MS),
            .pending = 1ull << g_rand_int_range(rand, 0, 45),
            .bandwidth = g_rand_int_range(rand, 0, 10) ?
                             1ull << g_rand_int_range(rand, 0, 40) :
                             0,
            .dirty_rate = 1ull << g_rand_int_range(rand, 0, 40),
            .can_drain = g_rand_boolean(rand),
            .unproven = g_rand_boolean(rand) ?
                            0 : 1ull << g_rand_int_range(rand, 0, 45),
            .round_trip = g_rand_int_range(rand, 0, 100 * MS),
            .longest = g_rand_int_range(rand, 0, 100 * MS),
            .may_switch = g_rand_int_range(rand, 0, 10),
            .sent = 1ull << g_rand_int_range(rand, 0, 45),
            .shortened = 1ull << g_rand_int_range(rand, 0, 45),
            .rounds = g_rand_int_range(rand, 0, 4),
            .shrink_rate = g_rand_int_range(rand, -S, S),
            .sync_interval = 100 * MS,
            .may_postcopy = g_rand_boolean(rand),
        };
        NfvDecision d = nfv_decide(&s);
        uint64_t unproven = s.can_drain ? s.unproven : 0;
        double memory = (s.pending + unproven) * (double)S / s.bandwidth;

        if (d.step == NFV_MIGRATION_STEP_SWITCH) {
            g_assert(s.may_switch && s.bandwidth);
            /* Of less than 1 us nothing is asked. */
            g_assert(unproven * (double)S / s.bandwidth < 1 ||
                     s.dirty_rate >= s.bandwidth / 2);
            g_assert_cmpfloat(memory, <,
                              MAX(s.limit - s.device_time, s.limit / 4) + 2);
        } else if (d.step == NFV_MIGRATION_STEP_DRAIN) {
            g_assert_cmpuint(unproven, >, 0);
        }
        g_assert_cmpint(d.reason == NFV_MIGRATION_REASON_NEXT_STOP_SHORTER, ==,
                        d.costs > 0);
        g_assert_cmpuint(d.costs, <=, MAX(s.sent / 16, 4 * MiB));
        if (d.step == NFV_MIGRATION_STEP_POSTCOPY) {
            g_assert(s.may_postcopy && s.may_switch && s.left != NONE);
        }
    }
    g_rand_free(rand);
}

/* What is proven, and what is asked */

static const NfvDecision unproven = {
    .step = NFV_MIGRATION_STEP_SEND,
    .reason = NFV_MIGRATION_REASON_DRAIN_UNPROVEN,
};

static void test_proof_bytes(void)
{
    NfvProof proof = { 0 };

    g_assert_cmpuint(nfv_proof_unproven(&proof, 100, 0), ==, UINT64_MAX);
    nfv_proof_ask(&proof, 100);
    g_assert_cmpuint(nfv_proof_unproven(&proof, 100, 0), ==, UINT64_MAX);
    nfv_proof_answer(&proof);
    g_assert_cmpuint(nfv_proof_unproven(&proof, 100, 0), ==, 0);
    g_assert_cmpuint(nfv_proof_unproven(&proof, 130, 7), ==, 37);
    /* A question that is lost proves nothing, and takes nothing back. */
    nfv_proof_ask(&proof, 130);
    nfv_proof_no_answer(&proof);
    g_assert_false(proof.asks);
    g_assert_cmpuint(nfv_proof_unproven(&proof, 130, 0), ==, 30);
}

static void test_proof_waits(void)
{
    NfvProof proof = { 0 };
    NfvDecision d = { .step = NFV_MIGRATION_STEP_DRAIN,
                      .reason = NFV_MIGRATION_REASON_DRAIN_UNPROVEN };

    nfv_proof_decided(&proof, &d, false);
    g_assert_true(proof.looks);
    g_assert_false(nfv_proof_waits(&proof, true)); /* it was not asked yet */
    nfv_proof_ask(&proof, 1);
    g_assert_true(nfv_proof_waits(&proof, false));
    nfv_proof_answer(&proof);
    g_assert_true(proof.answered);
    g_assert_false(nfv_proof_waits(&proof, true));
    /* It may wait for the next one at once. */
    nfv_proof_decided(&proof, &d, false);
    g_assert_true(proof.waits && proof.looks);
    g_assert_false(proof.answered);

    /* At the end of a round it waits only if there is no more to send. */
    proof = (NfvProof) { 0 };
    nfv_proof_decided(&proof, &unproven, true);
    g_assert_false(proof.looks);
    nfv_proof_ask(&proof, 1);
    g_assert_false(nfv_proof_waits(&proof, false));
    g_assert_true(nfv_proof_waits(&proof, true));
    nfv_proof_answer(&proof);
    g_assert_false(proof.answered);
}

/* In the midst of a round it is asked once for each synchronisation. */
static void test_proof_midst(void)
{
    NfvDecision other = { .step = NFV_MIGRATION_STEP_SEND,
                          .reason = NFV_MIGRATION_REASON_STOP_TOO_LONG };
    NfvProof proof = { 0 };

    nfv_proof_decided(&proof, &unproven, false);
    g_assert_true(proof.looks);
    nfv_proof_ask(&proof, 1);
    g_assert_false(nfv_proof_waits(&proof, false));
    nfv_proof_answer(&proof);
    g_assert_true(proof.answered);
    nfv_proof_decided(&proof, &unproven, false);
    g_assert_false(proof.looks);
    nfv_proof_decided(&proof, &unproven, false);
    g_assert_true(proof.looks);
    /* It changed its mind before the channels were flushed. */
    nfv_proof_decided(&proof, &other, false);
    g_assert_false(proof.looks);
}

/* Whole migrations, round by round */

#define SYNC_INTERVAL (100 * MS)
#define TICK 100 /* us */
#define PING_BYTES 9
#define PACKET (512 * KiB)  /* of multifd */
#define ITERATION (50 * MS) /* after which channels can be flushed */

typedef struct Trace {
    const char *name;
    uint64_t ram, hot; /* the guest writes in @hot bytes of it only */
    Change changes[4];
    int64_t rtt, limit, deadline, ready; /* us; when it may switch */
    uint64_t buffered;                   /* bytes that the link holds */
    unsigned channels;                   /* of multifd */
    bool one_way;
    bool postcopy;   /* at the deadline, if it must be */
    int64_t ends_by; /* 0: never */
    const Change *recorded; /* instead of those above */
    unsigned n_recorded;
} Trace;

#define RECORDED(rows) .recorded = rows, .n_recorded = ARRAY_SIZE(rows)

#define LIMIT (10 * MS)
#define LINK (1000 * MiB)

static const Trace traces[] = {
    { "idle", 4 * GiB, 0, { { 0, 0, LINK } }, 200, LIMIT, .ends_by = 5 * S },
    { "converging",
      4 * GiB,
      GiB,
      { { 0, LINK / 2, LINK } },
      200,
      LIMIT,
      .ends_by = 20 * S },
    { "converging-small",
      4 * GiB,
      16 * MiB,
      { { 0, LINK / 3, LINK } },
      200,
      LIMIT,
      .ends_by = 20 * S },
    { "hot-but-tiny",
      GiB,
      2 * MiB,
      { { 0, 4 * LINK, LINK } },
      200,
      LIMIT,
      .ends_by = 5 * S },
    { "not-converging", GiB, GiB, { { 0, 2 * LINK, LINK } }, 200, LIMIT },
    { "not-converging-one-way",
      GiB,
      GiB,
      { { 0, 2 * LINK, LINK } },
      200,
      LIMIT,
      .one_way = true },
    { "bursty",
      GiB,
      512 * MiB,
      { { 0, LINK / 10, LINK },
        { S, 3 * LINK, LINK },
        { 3 * S, LINK / 10, LINK } },
      200,
      LIMIT,
      .ends_by = 8 * S },
    { "late-burst",
      2 * GiB,
      512 * MiB,
      { { 0, 0, LINK }, { 1900 * MS, 3 * LINK, LINK }, { 4 * S, 0, LINK } },
      200,
      LIMIT,
      .ends_by = 10 * S },
    { "collapse",
      2 * GiB,
      256 * MiB,
      { { 0, LINK / 5, LINK },
        { S, LINK / 5, LINK / 20 },
        { 5 * S, LINK / 5, LINK } },
      200,
      LIMIT,
      .ends_by = 20 * S },
    { "collapse-for-good",
      2 * GiB,
      256 * MiB,
      { { 0, LINK / 5, LINK }, { S, LINK / 5, LINK / 20 } },
      200,
      LIMIT },
    { "long-way",
      GiB,
      64 * MiB,
      { { 0, LINK / 100, LINK } },
      40 * MS,
      LIMIT,
      .ends_by = 10 * S },
    { "long-way-one-way",
      GiB,
      64 * MiB,
      { { 0, LINK / 100, LINK } },
      40 * MS,
      LIMIT,
      .one_way = true,
      .ends_by = 10 * S },
    { "deep-buffers",
      GiB,
      64 * MiB,
      { { 0, LINK / 100, LINK / 10 } },
      200,
      LIMIT,
      .buffered = 16 * MiB,
      .ends_by = 20 * S },
    { "one-way",
      4 * GiB,
      GiB,
      { { 0, LINK / 2, LINK } },
      200,
      LIMIT,
      .one_way = true,
      .ends_by = 20 * S },
    { "deadline",
      4 * GiB,
      GiB,
      { { 0, LINK / 3, LINK } },
      200,
      LIMIT,
      .deadline = 2 * S,
      .ends_by = 20 * S },
    { "postcopy-not-needed",
      GiB,
      512 * MiB,
      { { 0, LINK / 3, LINK } },
      200,
      LIMIT,
      .deadline = 5 * S,
      .ends_by = 5 * S },
    { "postcopy",
      GiB,
      512 * MiB,
      { { 0, 2 * LINK, LINK } },
      200,
      LIMIT,
      .deadline = 5 * S,
      .postcopy = true,
      .ends_by = 4 * S },
    { "postcopy-at-last",
      8 * GiB,
      512 * MiB,
      { { 0, LINK / 3, LINK } },
      200,
      LIMIT,
      .deadline = 2 * S,
      .postcopy = true,
      .ends_by = 2 * S },
    { "late-destination",
      GiB,
      64 * MiB,
      { { 0, LINK / 100, LINK } },
      200,
      LIMIT,
      .ready = 3 * S,
      .ends_by = 4 * S },
    { "never-ready", GiB, 0, { { 0, 0, LINK } }, 200, LIMIT, .ready = NONE },
    { "stock-limit",
      4 * GiB,
      GiB,
      { { 0, LINK * 9 / 10, LINK } },
      200,
      300 * MS,
      .ends_by = 60 * S },
    { "devices-take-all",
      GiB,
      64 * MiB,
      { { 0, LINK / 10, LINK } },
      200,
      2 * MS,
      .ends_by = 10 * S },
    /* To wait for each answer would cost what it gains, and it would not end. */
    { "nearly-full",
      GiB,
      64 * MiB,
      { { 0, LINK * 9 / 10, LINK } },
      MS,
      5 * MS,
      .buffered = 8 * MiB,
      .ends_by = 10 * S },
    /* The PING alone takes 1 us. */
    { "slow-link",
      50 * MiB,
      0,
      { { 0, 0, 8 * MiB } },
      200,
      LIMIT,
      .ends_by = 7 * S },
    /* Between waits no more is sent than the guest writes. */
    { "late-destination-long-way",
      GiB,
      64 * MiB,
      { { 0, LINK / 20, LINK } },
      4 * MS,
      LIMIT,
      .ready = 3 * S,
      .ends_by = 3500 * MS },
    { "busy-long-way",
      8 * GiB,
      512 * MiB,
      { { 0, LINK * 3 / 10, LINK } },
      4 * MS,
      LIMIT,
      .ends_by = 15 * S },
    { "busier-long-way",
      GiB,
      512 * MiB,
      { { 0, LINK * 6 / 10, LINK } },
      4 * MS,
      LIMIT,
      .buffered = 4 * MiB,
      .ends_by = 10 * S },
    /* The pending memory fits, but not with what the round before it sent. */
    { "long-rounds",
      GiB,
      128 * MiB,
      { { 0, LINK * 9 / 10, LINK } },
      MS,
      120 * MS,
      .buffered = 8 * MiB,
      .ends_by = 9500 * MS },
    /* What is in flight fits only if it is waited for. */
    { "long-way-nearly-full",
      GiB,
      512 * MiB,
      { { 0, LINK * 6 / 10, LINK } },
      40 * MS,
      75 * MS,
      .buffered = 8 * MiB,
      .ends_by = 10 * S },
    /* All is written again before it was sent: it fits, and no round ends. */
    { "endless-round",
      4 * GiB,
      200 * MiB,
      { { 0, LINK * 5 / 2, LINK } },
      200,
      300 * MS,
      .buffered = 4 * MiB,
      .ends_by = 10 * S },
    { "endless-round-multifd",
      4 * GiB,
      200 * MiB,
      { { 0, LINK * 5 / 2, LINK } },
      200,
      300 * MS,
      .buffered = 4 * MiB,
      .channels = 4,
      .ends_by = 10 * S },
    /* What may be queued in the channels fits only because it is flushed. */
    { "endless-round-multifd-deep",
      GiB,
      20 * MiB,
      { { 0, LINK * 5 / 2, LINK } },
      200,
      30 * MS,
      .channels = 16,
      .ends_by = 10 * S },
    { "converging-multifd",
      4 * GiB,
      GiB,
      { { 0, LINK / 2, LINK } },
      200,
      LIMIT,
      .channels = 4,
      .ends_by = 20 * S },
    { "nearly-full-multifd",
      GiB,
      64 * MiB,
      { { 0, LINK * 9 / 10, LINK } },
      MS,
      10 * MS,
      .buffered = 4 * MiB,
      .channels = 2,
      .ends_by = 10 * S },
    { "not-converging-multifd",
      GiB,
      GiB,
      { { 0, 2 * LINK, LINK } },
      200,
      LIMIT,
      .channels = 4 },
    { "recorded-hot",
      256 * MiB,
      77 * MiB,
      RECORDED(recorded_hot),
      .rtt = MS,
      .limit = 20 * MS,
      .buffered = MiB,
      .ends_by = 8 * S },
    { "recorded-ring",
      256 * MiB,
      20 * MiB,
      RECORDED(recorded_ring),
      .rtt = MS,
      .limit = 20 * MS,
      .buffered = MiB,
      .channels = 2,
      .ends_by = 8 * S },
    { "recorded-busy",
      128 * MiB,
      39 * MiB,
      RECORDED(recorded_busy),
      .rtt = 10 * MS,
      .limit = 100 * MS,
      .buffered = 2 * MiB,
      .ends_by = 8 * S },
};

typedef struct Simulation {
    const Trace *trace;
    int64_t now, last_sync;
    double pending, unseen; /* dirty, known and not yet */
    double queued;          /* in channels, which have not sent it yet */
    double in_link;         /* under way */
    NfvBandwidth bandwidth;
    double dirty_rate;
    double all_sent, shortened;
    unsigned rounds;
    double round_pending, round_sent;
    int64_t round_start;
    double shrink_rate;
    NfvProof proof;
    int64_t flush;  /* what is queued goes from then on; 0: no flush is due */
    int64_t answer; /* not before */
    int64_t asked_at, longest;
} Simulation;

static const Change *change(const Simulation *sim)
{
    const Trace *t = sim->trace;
    const Change *all = t->recorded ?: t->changes, *c = all;
    int n = t->recorded ? t->n_recorded : ARRAY_SIZE(t->changes);

    for (int i = 1; i < n; i++) {
        if (all[i].link && all[i].from <= sim->now) {
            c = &all[i];
        }
    }
    return c;
}

/* A packet each, and one that is filled now. */
static uint64_t most_queued(const Trace *t)
{
    return t->channels ? (t->channels + 1) * PACKET : 0;
}

/* The guest writes, the sender fills the link's buffer, which drains. */
static void tick(Simulation *sim, bool send)
{
    const Change *c = change(sim);
    double capacity = (double)c->link * TICK / S;
    double room = capacity + sim->trace->buffered - sim->in_link;
    double sends = MIN(sim->queued, MAX(room, 0));
    bool flushes = sim->flush && sim->now >= sim->flush;

    sim->queued -= sends;
    if (send && !flushes) {
        /* As each channel would rather be full. */
        double more = MIN(sim->pending,
                          MAX(room - sends, 0) + most_queued(sim->trace) -
                              sim->queued);

        sim->pending -= more;
        sim->queued += more;
        more = MIN(sim->queued, MAX(room - sends, 0));
        sim->queued -= more;
        sends += more;
    }
    sim->unseen =
        MIN(sim->unseen + (double)c->dirty * TICK / S, sim->trace->hot);
    sim->all_sent += sends;
    sim->in_link = MAX(sim->in_link + sends - capacity, 0);
    sim->now += TICK;
    nfv_bandwidth_note(&sim->bandwidth, sim->now, sim->all_sent);
}

static void synchronise(Simulation *sim)
{
    const Trace *t = sim->trace;
    /* No more can be dirty than all, and after the first copy what is hot. */
    double most = MAX(t->ram - sim->all_sent, t->hot);
    double found = MIN(sim->unseen, MAX(most - sim->pending, 0));
    int64_t since = sim->now - sim->last_sync;

    if (since) {
        double rate = found * S / since;

        /* What is dirty already cannot become it. */
        sim->dirty_rate =
            sim->proof.answered ? MAX(sim->dirty_rate, rate) : rate;
    }
    sim->pending += found;
    sim->unseen = 0;
    sim->last_sync = sim->now;
}

/* As policy.c does. */
static void count_round(Simulation *sim)
{
    if (sim->round_start) {
        if (sim->all_sent - sim->round_sent < sim->round_pending) {
            return;
        }
        sim->rounds++;
        sim->shrink_rate = (sim->round_pending - sim->pending) * S /
                           (sim->now - sim->round_start);
    }
    sim->round_start = sim->now;
    sim->round_sent = sim->all_sent;
    sim->round_pending = sim->pending;
}

static NfvDecision decide(Simulation *sim, NfvSituation *s)
{
    const Trace *t = sim->trace;
    NfvDecision d;

    count_round(sim);
    *s = (NfvSituation) {
        .sent = sim->all_sent,
        .shortened = sim->shortened,
        .rounds = sim->rounds,
        .shrink_rate = sim->shrink_rate,
        .sync_interval = SYNC_INTERVAL,
        .may_postcopy = t->postcopy,
        .limit = t->limit,
        .left = t->deadline ? t->deadline - sim->now : NONE,
        .device_time = nfv_decide_device_time(1),
        .pending = sim->pending,
        .bandwidth =
            nfv_bandwidth_get(&sim->bandwidth, sim->now, sim->all_sent),
        .dirty_rate = sim->dirty_rate,
        .can_drain = !t->one_way,
        .unproven = nfv_proof_unproven(
            &sim->proof, sim->all_sent,
            sim->queued ? most_queued(sim->trace) : 0),
        .round_trip = t->rtt,
        .longest = sim->longest,
        .may_switch = sim->now >= t->ready,
    };
    d = nfv_decide(s);
    sim->shortened += d.costs;
    return d;
}

static void ask(Simulation *sim)
{
    if (!sim->proof.asks && !sim->trace->one_way) {
        sim->all_sent += PING_BYTES;
        sim->in_link += PING_BYTES;
        sim->asked_at = sim->now;
        sim->answer = sim->now + sim->trace->rtt;
        nfv_proof_ask(&sim->proof, sim->all_sent);
    }
}

/* Channels are flushed behind what is sent meanwhile. */
static void prove(Simulation *sim)
{
    if (!sim->queued) {
        ask(sim);
    } else if (!sim->proof.asks && !sim->flush) {
        sim->flush = sim->now + ITERATION;
    }
}

static void end_flush(Simulation *sim)
{
    bool ends = !sim->queued &&
                (sim->pending < 1 || sim->now >= sim->flush);

    if (sim->flush && ends) {
        sim->flush = 0;
        if (sim->proof.looks) {
            ask(sim);
        }
    }
}

/* As policy.c does.  True: nothing is sent, or looked at, before it comes. */
static bool waits_for_answer(Simulation *sim)
{
    bool waits = nfv_proof_waits(&sim->proof, sim->pending + sim->queued < 1);

    if (!sim->proof.asks) {
        return false;
    }
    if (sim->now < sim->answer ||
        sim->all_sent - sim->in_link < sim->proof.asked) {
        if (waits) {
            nfv_bandwidth_wait(&sim->bandwidth);
        }
        return waits;
    }
    sim->longest = MAX(sim->longest, sim->now - sim->asked_at);
    nfv_proof_answer(&sim->proof);
    return false;
}

static void check_switch(const Simulation *sim, const NfvSituation *s)
{
    int64_t budget = MAX(s->limit - s->device_time, s->limit / 4);
    double flight = sim->queued + sim->in_link;
    double memory = (sim->pending + flight) * S / change(sim)->link;
    uint64_t unproven = sim->trace->one_way ? 0 : s->unproven;

    g_test_message("%s: switched at %" PRId64 " ms, %.0f us of memory, %.0f "
                   "KiB to shorten it",
                   sim->trace->name, sim->now / MS, memory,
                   sim->shortened / KiB);
    g_assert_false(sim->trace->postcopy);
    g_assert_cmpfloat((s->pending + unproven) * (double)S / s->bandwidth, <,
                      budget + 2);
    if (!sim->trace->one_way) {
        g_assert_cmpfloat(flight, <=, unproven + 1);
        g_assert_cmpfloat(memory, <=, budget + TICK);
    }
    g_assert_cmpfloat(sim->shortened, <=, MAX(sim->all_sent / 16, 4 * MiB));
    g_assert_cmpint(sim->now, >=, sim->trace->ready);
    g_assert_cmpint(sim->trace->ends_by, >, 0);
    g_assert_cmpint(sim->now, <=, sim->trace->ends_by);
}

/* As policy.c does, where it is time to; true: that was the end. */
static bool look(Simulation *sim)
{
    bool ended = sim->pending + sim->queued < 1;
    NfvSituation s;
    NfvDecision d;

    if (!sim->proof.answered && !ended &&
        sim->now - sim->last_sync < SYNC_INTERVAL) {
        return false;
    }
    if (ended && !sim->proof.answered) {
        ask(sim);
    }
    synchronise(sim);
    d = decide(sim, &s);
    nfv_proof_decided(&sim->proof, &d, ended);
    if (d.step == NFV_MIGRATION_STEP_SWITCH) {
        check_switch(sim, &s);
        return true;
    }
    if (d.step == NFV_MIGRATION_STEP_POSTCOPY) {
        g_assert(sim->trace->postcopy);
        g_assert_cmpint(sim->now, <=, sim->trace->ends_by);
        return true;
    }
    if (sim->proof.looks) {
        prove(sim);
    }
    return false;
}

static void test_trace(const void *opaque)
{
    const Trace *t = opaque;
    Simulation sim = { .trace = t, .pending = t->ram };
    int64_t give_up = t->ends_by ?: 60 * S;

    while (sim.now <= give_up) {
        bool waits = waits_for_answer(&sim);

        if (!waits && look(&sim)) {
            return;
        }
        tick(&sim, !waits && !nfv_proof_waits(&sim.proof, false));
        end_flush(&sim);
    }
    g_assert_cmpint(t->ends_by, ==, 0);
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    for (int i = 0; i < ARRAY_SIZE(cases); i++) {
        g_autofree char *path =
            g_strdup_printf("/nfv/decide/case/%s", cases[i].name);

        g_test_add_data_func(path, &cases[i], test_case);
    }
    g_test_add_func("/nfv/decide/predicted", test_predicted);
    g_test_add_func("/nfv/decide/drain-pays", test_drain_pays);
    g_test_add_func("/nfv/decide/may-stay", test_may_stay);
    g_test_add_func("/nfv/decide/device-time", test_device_time);
    g_test_add_func("/nfv/decide/any", test_any);
    g_test_add_func("/nfv/decide/proof/bytes", test_proof_bytes);
    g_test_add_func("/nfv/decide/proof/waits", test_proof_waits);
    g_test_add_func("/nfv/decide/proof/midst", test_proof_midst);
    for (int i = 0; i < ARRAY_SIZE(traces); i++) {
        g_autofree char *path =
            g_strdup_printf("/nfv/decide/trace/%s", traces[i].name);

        g_test_add_data_func(path, &traces[i], test_trace);
    }
    return g_test_run();
}
