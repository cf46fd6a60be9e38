/*
 * What became of each setting of KVM
 *
 * Copyright (c) 2026 the kvm4nfv authors
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "qemu/osdep.h"
#include "qemu/units.h"
#include "qapi/util.h"
#include "accel/kvm/nfv/tuning.h"

typedef struct Result {
    NfvTuningState state;
    char *value, *why;  /* owned, or NULL */
    const char *remedy; /* static, or NULL */
} Result;

static Result applied(char *value)
{
    return (Result) { NFV_TUNING_STATE_APPLIED, value };
}

static Result off(const char *why)
{
    return (Result) { NFV_TUNING_STATE_OFF, NULL, g_strdup(why) };
}

static Result unavailable(const char *why, const char *remedy)
{
    return (Result) { NFV_TUNING_STATE_UNAVAILABLE, NULL, g_strdup(why),
                      remedy };
}

static Result halt_poll(const NfvKvmState *s, const NfvKvmFeatures *f)
{
    if (!s->config.has_halt_poll) {
        return off("not asked for, so the kernel's own value counts");
    }
    if (!f->halt_poll) {
        return unavailable("the kernel has no halt polling of a VM's own",
                           "boot the host with Linux 5.10 or newer");
    }
    if (s->halt_poll_errno) {
        return unavailable(strerror(s->halt_poll_errno), "leave halt-poll-ns "
                                                         "out, and set "
                                                         "halt_poll_ns of "
                                                         "the host's kvm "
                                                         "module");
    }
    return applied(g_strdup_printf("%" PRIu32, s->config.halt_poll_ns));
}

static bool has_exit(const NfvKvmFeatures *f, NfvHaltExit exit)
{
    for (NfvHaltExitList *e = f->halt_exits; e; e = e->next) {
        if (e->value == exit) {
            return true;
        }
    }
    return false;
}

static Result cpu_pm(const NfvKvmState *s, const NfvKvmFeatures *f)
{
    GString *exits;

    if (!s->cpu_pm) {
        return off("not asked for");
    }
    if (!has_exit(f, NFV_HALT_EXIT_HLT)) {
        return unavailable("the host does not leave HLT to the guest", NULL);
    }
    exits = g_string_new(NULL);
    for (NfvHaltExitList *e = f->halt_exits; e; e = e->next) {
        g_string_append_printf(exits, "%s%s", exits->len ? "+" : "",
                               NfvHaltExit_str(e->value));
    }
    return applied(g_string_free(exits, false));
}

/* QEMU does not start with a limit that the host cannot hold. */
static Result bus_lock_exit(const NfvKvmState *s, const NfvKvmFeatures *f)
{
    if (!s->bus_lock_ratelimit) {
        return off("bus-lock-ratelimit is 0");
    }
    return applied(g_strdup_printf("%" PRIu64 "/s", s->bus_lock_ratelimit));
}

static Result notify_exit(const NfvKvmState *s, const NfvKvmFeatures *f)
{
    if (!s->notify) {
        return off("notify-vmexit is disable");
    }
    if (!f->notify_exit) {
        return unavailable("the processor or KVM has no notify exit", NULL);
    }
    return applied(g_strdup_printf("%" PRIu32, s->notify_window));
}

static Result pit_discard(const NfvKvmState *s, const NfvKvmFeatures *f)
{
    if (s->pit == NFV_PIT_NONE) {
        return off("KVM emulates no PIT");
    }
    if (s->pit != NFV_PIT_DISCARD) {
        return off("kvm-pit.lost_tick_policy is not discard");
    }
    if (!s->can_discard) {
        return unavailable("KVM cannot discard ticks", NULL);
    }
    return applied(NULL);
}

static Result pre_fault(const NfvKvmState *s, const NfvKvmFeatures *f)
{
    const NfvPrefault *p = &s->prefault;
    Result r;

    if (p->skipped) {
        return off(p->skipped);
    }
    if (!f->pre_fault) {
        return unavailable("the kernel cannot map memory ahead", NULL);
    }
    if (!p->done) {
        return unavailable(strerror(p->err), NULL);
    }
    r = applied(g_strdup_printf("%" PRIu64 " MiB", p->done / MiB));
    if (p->done < p->wanted) {
        r.why = g_strdup_printf("of %" PRIu64 " MiB, then: %s", p->wanted / MiB,
                                strerror(p->err));
    }
    return r;
}

static const struct {
    const char *name;
    Result (*result)(const NfvKvmState *state, const NfvKvmFeatures *features);
} settings[] = {
    { "halt-poll-ns", halt_poll },      { "cpu-pm", cpu_pm },
    { "bus-lock-exit", bus_lock_exit }, { "notify-exit", notify_exit },
    { "pit-discard", pit_discard },     { "pre-fault", pre_fault },
};

NfvTuningList *nfv_tuning(const NfvKvmState *state,
                          const NfvKvmFeatures *features)
{
    NfvTuningList *head = NULL, **tail = &head;

    for (int i = 0; i < ARRAY_SIZE(settings); i++) {
        Result r = settings[i].result(state, features);
        NfvTuning *t = g_new0(NfvTuning, 1);

        t->name = g_strdup(settings[i].name);
        t->state = r.state;
        t->value = r.value;
        t->why = r.why;
        t->remedy = g_strdup(r.remedy);
        QAPI_LIST_APPEND(tail, t);
    }
    return head;
}
