/*
 * Unit tests: what the user asks of KVM, and what is said about it
 *
 * Copyright (c) 2026 the kvm4nfv authors
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "qemu/osdep.h"
#include "qemu/units.h"
#include "qapi/util.h"
#include "nfv/cpus.h"
#include "accel/kvm/nfv/tuning.h"

/* Properties */

static void test_halt_poll(void)
{
    static const struct {
        const char *value;
        bool has;
        uint32_t ns;
    } cases[] = {
        { "0", true, 0 },           { "1", true, 1 },
        { "200000", true, 200000 }, { "4294967295", true, UINT32_MAX },
        { "auto", false, 0 },
    };
    NfvKvmConfig config = { 0 };
    g_autofree char *unset = nfv_kvm_get_halt_poll(&config);

    g_assert_cmpstr(unset, ==, "auto");
    for (int i = 0; i < ARRAY_SIZE(cases); i++) {
        g_autofree char *got = NULL;

        g_assert_true(
            nfv_kvm_set_halt_poll(&config, cases[i].value, &error_abort));
        g_assert_cmpint(config.has_halt_poll, ==, cases[i].has);
        g_assert_cmpuint(config.halt_poll_ns, ==, cases[i].ns);
        got = nfv_kvm_get_halt_poll(&config);
        g_assert_cmpstr(got, ==, cases[i].value);
    }
}

/* The value before stays. */
static void test_halt_poll_invalid(void)
{
    static const char *const values[] = {
        "",    " ",   "x",  "-1", "+1",         "1x",
        "0x1", "1.5", " 1", "1 ", "4294967296", "18446744073709551616",
        "on",  "AUTO"
    };

    for (int i = 0; i < ARRAY_SIZE(values); i++) {
        NfvKvmConfig config = { .has_halt_poll = true, .halt_poll_ns = 7 };
        g_autofree char *message = g_strdup_printf("halt-poll-ns='%s' is not "
                                                   "valid; valid are "
                                                   "nanoseconds from 0 "
                                                   "(never poll) to "
                                                   "4294967295, or auto",
                                                   values[i]);
        Error *err = NULL;

        g_assert_false(nfv_kvm_set_halt_poll(&config, values[i], &err));
        assert_error(err, message);
        g_assert_true(config.has_halt_poll);
        g_assert_cmpuint(config.halt_poll_ns, ==, 7);
    }
}

static void test_check(void)
{
    static const struct {
        NfvKvmConfig config;
        bool is_kvm;
        const char *message; /* NULL: it is fine */
    } cases[] = {
        { { 0 }, false },
        { { 0 }, true },
        { { .has_halt_poll = true, .cpu_pm = true }, true },
        { { .has_halt_poll = true },
          false,
          "halt-poll-ns=0 needs KVM, and the accelerator is tcg" },
        { { .has_halt_poll = true, .halt_poll_ns = 50000 },
          false,
          "halt-poll-ns=50000 needs KVM, and the accelerator is tcg" },
        { { .cpu_pm = true },
          false,
          "cpu-pm=on needs KVM, and the accelerator is tcg" },
    };

    for (int i = 0; i < ARRAY_SIZE(cases); i++) {
        Error *err = NULL;
        bool ok = nfv_kvm_check(&cases[i].config, "tcg", cases[i].is_kvm, &err);

        g_test_message("case %d", i);
        g_assert_cmpint(ok, ==, !cases[i].message);
        if (cases[i].message) {
            assert_error(err, cases[i].message);
        } else {
            assert_no_error(err);
        }
    }
}

/* The report */

typedef struct Host {
    NfvKvmState state;
    NfvKvmFeatures features;
} Host;

/* A host that has everything, asked for nothing. */
static void host_init(Host *host)
{
    NfvHaltExitList **tail = &host->features.halt_exits;

    *host = (Host) {
        .state = { .notify = true,
                   .pit = NFV_PIT_DISCARD,
                   .can_discard = true,
                   .prefault = { .skipped = "because" } },
        .features = { .halt_poll = true,
                      .notify_exit = true,
                      .pre_fault = true },
    };
    QAPI_LIST_APPEND(tail, NFV_HALT_EXIT_MWAIT);
    QAPI_LIST_APPEND(tail, NFV_HALT_EXIT_HLT);
}

static void host_clear(Host *host)
{
    qapi_free_NfvHaltExitList(host->features.halt_exits);
}
G_DEFINE_AUTO_CLEANUP_CLEAR_FUNC(Host, host_clear)

/*
 * All names are there, in order.  @text: the value where it is applied, else
 * why it is not.
 */
static void assert_tuning(const Host *host, const char *name,
                          NfvTuningState state, const char *text)
{
    static const char *const names[] = { "halt-poll-ns",  "cpu-pm",
                                         "bus-lock-exit", "notify-exit",
                                         "pit-discard",   "pre-fault" };
    g_autoptr(NfvTuningList) list = nfv_tuning(&host->state, &host->features);
    const NfvTuningList *entry = list;
    bool found = false;

    for (int i = 0; i < ARRAY_SIZE(names); i++, entry = entry->next) {
        const NfvTuning *t;

        g_assert_nonnull(entry);
        t = entry->value;
        g_assert_cmpstr(t->name, ==, names[i]);
        if (t->state != NFV_TUNING_STATE_APPLIED) {
            g_assert_nonnull(t->why);
            g_assert_null(t->value);
        }
        if (!strcmp(t->name, name)) {
            bool is_applied = state == NFV_TUNING_STATE_APPLIED;

            found = true;
            g_assert_cmpstr(NfvTuningState_str(t->state), ==,
                            NfvTuningState_str(state));
            g_assert_cmpstr(is_applied ? t->value : t->why, ==, text);
        }
    }
    g_assert_null(entry);
    g_assert_true(found);
}

static const NfvTuning *first_tuning(const NfvTuningList *list)
{
    return list->value;
}

static void test_tuning_halt_poll(void)
{
    g_auto(Host) host;
    g_autoptr(NfvTuningList) list = NULL;

    host_init(&host);
    assert_tuning(&host, "halt-poll-ns", NFV_TUNING_STATE_OFF,
                  "not asked for, so the kernel's own value counts");
    host.state.config.has_halt_poll = true;
    assert_tuning(&host, "halt-poll-ns", NFV_TUNING_STATE_APPLIED, "0");
    host.state.config.halt_poll_ns = UINT32_MAX;
    assert_tuning(&host, "halt-poll-ns", NFV_TUNING_STATE_APPLIED,
                  "4294967295");
    host.state.halt_poll_errno = EINVAL;
    assert_tuning(&host, "halt-poll-ns", NFV_TUNING_STATE_UNAVAILABLE,
                  "Invalid argument");
    host.features.halt_poll = false;
    assert_tuning(&host, "halt-poll-ns", NFV_TUNING_STATE_UNAVAILABLE,
                  "the kernel has no halt polling of a VM's own");
    list = nfv_tuning(&host.state, &host.features);
    g_assert_cmpstr(first_tuning(list)->remedy, ==,
                    "boot the host with Linux 5.10 or newer");
}

static void test_tuning_cpu_pm(void)
{
    g_auto(Host) host;

    host_init(&host);
    assert_tuning(&host, "cpu-pm", NFV_TUNING_STATE_OFF, "not asked for");
    host.state.cpu_pm = true;
    assert_tuning(&host, "cpu-pm", NFV_TUNING_STATE_APPLIED, "mwait+hlt");
    /* Without HLT the guest leaves its host CPU each time that it idles. */
    host.features.halt_exits->next->value = NFV_HALT_EXIT_PAUSE;
    assert_tuning(&host, "cpu-pm", NFV_TUNING_STATE_UNAVAILABLE,
                  "the host does not leave HLT to the guest");
}

static void test_tuning_bus_lock(void)
{
    g_auto(Host) host;

    host_init(&host);
    assert_tuning(&host, "bus-lock-exit", NFV_TUNING_STATE_OFF,
                  "bus-lock-ratelimit is 0");
    host.state.bus_lock_ratelimit = 1000;
    assert_tuning(&host, "bus-lock-exit", NFV_TUNING_STATE_APPLIED, "1000/s");
}

static void test_tuning_notify(void)
{
    g_auto(Host) host;

    host_init(&host);
    host.state.notify_window = 128;
    assert_tuning(&host, "notify-exit", NFV_TUNING_STATE_APPLIED, "128");
    host.features.notify_exit = false;
    assert_tuning(&host, "notify-exit", NFV_TUNING_STATE_UNAVAILABLE,
                  "the processor or KVM has no notify exit");
    host.state.notify = false;
    assert_tuning(&host, "notify-exit", NFV_TUNING_STATE_OFF,
                  "notify-vmexit is disable");
}

static void test_tuning_pit(void)
{
    g_auto(Host) host;

    host_init(&host);
    assert_tuning(&host, "pit-discard", NFV_TUNING_STATE_APPLIED, NULL);
    host.state.can_discard = false;
    assert_tuning(&host, "pit-discard", NFV_TUNING_STATE_UNAVAILABLE,
                  "KVM cannot discard ticks");
    host.state.pit = NFV_PIT_DELAY;
    assert_tuning(&host, "pit-discard", NFV_TUNING_STATE_OFF,
                  "kvm-pit.lost_tick_policy is not discard");
    host.state.pit = NFV_PIT_NONE;
    assert_tuning(&host, "pit-discard", NFV_TUNING_STATE_OFF,
                  "KVM emulates no PIT");
}

static void test_tuning_pre_fault(void)
{
    g_auto(Host) host;
    NfvPrefault *p = &host.state.prefault;

    host_init(&host);
    assert_tuning(&host, "pre-fault", NFV_TUNING_STATE_OFF, "because");
    *p = (NfvPrefault) { .wanted = 3 * GiB, .done = 3 * GiB };
    assert_tuning(&host, "pre-fault", NFV_TUNING_STATE_APPLIED, "3072 MiB");
    *p = (NfvPrefault) { .wanted = 3 * GiB, .done = 5 * MiB, .err = ENOENT };
    assert_tuning(&host, "pre-fault", NFV_TUNING_STATE_APPLIED, "5 MiB");
    *p = (NfvPrefault) { .wanted = 3 * GiB, .err = EOPNOTSUPP };
    assert_tuning(&host, "pre-fault", NFV_TUNING_STATE_UNAVAILABLE,
                  "Operation not supported");
    *p = (NfvPrefault) { 0 };
    host.features.pre_fault = false;
    assert_tuning(&host, "pre-fault", NFV_TUNING_STATE_UNAVAILABLE,
                  "the kernel cannot map memory ahead");
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    g_test_add_func("/nfv/kvm/halt-poll", test_halt_poll);
    g_test_add_func("/nfv/kvm/halt-poll/invalid", test_halt_poll_invalid);
    g_test_add_func("/nfv/kvm/check", test_check);
    g_test_add_func("/nfv/kvm/tuning/halt-poll-ns", test_tuning_halt_poll);
    g_test_add_func("/nfv/kvm/tuning/cpu-pm", test_tuning_cpu_pm);
    g_test_add_func("/nfv/kvm/tuning/bus-lock-exit", test_tuning_bus_lock);
    g_test_add_func("/nfv/kvm/tuning/notify-exit", test_tuning_notify);
    g_test_add_func("/nfv/kvm/tuning/pit-discard", test_tuning_pit);
    g_test_add_func("/nfv/kvm/tuning/pre-fault", test_tuning_pre_fault);
    return g_test_run();
}
