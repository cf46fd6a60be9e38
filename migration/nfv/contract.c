/*
 * Contract: what a migration promised, and whether it was kept
 *
 * Copyright (c) 2026 the kvm4nfv authors
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "qemu/osdep.h"
#include "contract.h"

#define US_PER_MS 1000

/* 1234 us as "1.2 ms". */
static void append_ms(GString *why, int64_t us)
{
    g_string_append_printf(why, "%" PRId64 ".%d ms", us / US_PER_MS,
                           (int)(us % US_PER_MS / 100));
}

/* "the stop took 3.2 ms of 10 ms".  Returns what is left of the promise. */
static int64_t compare(GString *why, const char *what, int64_t took,
                       uint64_t promised)
{
    int64_t left = (int64_t)promised * US_PER_MS - took;

    g_string_append_printf(why, "%s%s took ", why->len ? "; " : "", what);
    append_ms(why, took);
    if (left >= 0) {
        g_string_append_printf(why, " of %" PRIu64 " ms", promised);
    } else {
        g_string_append(why, ", ");
        append_ms(why, -left);
        g_string_append_printf(why, " more than %" PRIu64 " ms", promised);
    }
    return left;
}

static NfvContractVerdict judge_downtime(const NfvOutcome *o, GString *why,
                                         NfvContractResult *result)
{
    int64_t left;

    if (o->downtime < 0) {
        g_string_append(why, "how long the guest stood still is not known to "
                             "the source: the destination waits for a command "
                             "to start it, or does not tell");
        return NFV_CONTRACT_VERDICT_UNKNOWN;
    }
    left = compare(why, "the stop", o->downtime, o->max_downtime);
    result->has_downtime_left = true;
    result->downtime_left = left;
    if (left >= 0) {
        return NFV_CONTRACT_VERDICT_KEPT;
    }
    if (o->predicted >= 0) {
        g_string_append(why, " (predicted were ");
        append_ms(why, o->predicted);
        g_string_append(why, ")");
    }
    return NFV_CONTRACT_VERDICT_MISSED;
}

static NfvContractVerdict judge_deadline(const NfvOutcome *o, GString *why,
                                         NfvContractResult *result)
{
    int64_t left;

    if (o->total < 0) {
        if (!why->len) {
            g_string_append(why, "when the guest started at the destination "
                                 "is not known to the source");
        }
        return o->deadline_passed ? NFV_CONTRACT_VERDICT_MISSED :
                                    NFV_CONTRACT_VERDICT_UNKNOWN;
    }
    left = compare(why, "until the guest ran at the destination it", o->total,
                   o->deadline);
    result->has_deadline_left = true;
    result->deadline_left = left;
    if (left < 0 && o->obstacle) {
        g_string_append_printf(why, "; post-copy was not possible: %s",
                               o->obstacle);
    }
    return left >= 0 ? NFV_CONTRACT_VERDICT_KEPT : NFV_CONTRACT_VERDICT_MISSED;
}

/* Both must be kept. */
static NfvContractVerdict both(NfvContractVerdict a, NfvContractVerdict b)
{
    static const NfvContractVerdict worst_first[] = {
        NFV_CONTRACT_VERDICT_MISSED,
        NFV_CONTRACT_VERDICT_UNKNOWN,
        NFV_CONTRACT_VERDICT_KEPT,
    };

    for (int i = 0; i < ARRAY_SIZE(worst_first); i++) {
        if (a == worst_first[i] || b == worst_first[i]) {
            return worst_first[i];
        }
    }
    return NFV_CONTRACT_VERDICT_NONE;
}

static NfvContractVerdict judge(const NfvOutcome *o, GString *why,
                                NfvContractResult *result)
{
    NfvContractVerdict verdict = NFV_CONTRACT_VERDICT_NONE;

    if (!o->max_downtime && !o->deadline) {
        g_string_append(why, "nothing was promised");
        return verdict;
    }
    if (o->status != MIGRATION_STATUS_COMPLETED) {
        g_string_append_printf(why, "the migration was %s%s%s",
                               o->status == MIGRATION_STATUS_CANCELLED ?
                                   "cancelled" : "not completed",
                               o->error ? ": " : "", o->error ?: "");
        return NFV_CONTRACT_VERDICT_MISSED;
    }
    if (o->max_downtime) {
        verdict = judge_downtime(o, why, result);
    }
    return o->deadline ? both(verdict, judge_deadline(o, why, result)) :
                         verdict;
}

NfvContractResult *nfv_contract_judge(const NfvOutcome *o)
{
    NfvContractResult *result = g_new0(NfvContractResult, 1);
    GString *why = g_string_new(NULL);

    result->status = o->status;
    result->verdict = judge(o, why, result);
    result->why = g_string_free(why, false);
    result->postcopy = o->postcopy;
    result->has_downtime = o->downtime >= 0;
    result->downtime = MAX(o->downtime, 0);
    result->has_total = o->total >= 0;
    result->total = MAX(o->total, 0);
    return result;
}
