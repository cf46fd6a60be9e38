/*
 * What the user asks of KVM
 *
 * Copyright (c) 2026 the kvm4nfv authors
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "qemu/osdep.h"
#include "qapi/error.h"
#include "qemu/cutils.h"
#include "hw/nfv/kvm.h"

bool nfv_kvm_set_halt_poll(NfvKvmConfig *config, const char *value,
                           Error **errp)
{
    bool is_auto = !strcmp(value, "auto");
    uint64_t ns = 0;

    /* parse_uint() takes a sign and blanks. */
    if (!is_auto && (!g_ascii_isdigit(*value) ||
                     parse_uint_full(value, 10, &ns) || ns > UINT32_MAX)) {
        error_setg(errp,
                   "halt-poll-ns='%s' is not valid; valid are nanoseconds from "
                   "0 (never poll) to %" PRIu32 ", or auto",
                   value, UINT32_MAX);
        return false;
    }
    config->has_halt_poll = !is_auto;
    config->halt_poll_ns = ns;
    return true;
}

char *nfv_kvm_get_halt_poll(const NfvKvmConfig *config)
{
    return config->has_halt_poll ?
               g_strdup_printf("%" PRIu32, config->halt_poll_ns) :
               g_strdup("auto");
}

bool nfv_kvm_check(const NfvKvmConfig *config, const char *accel, bool is_kvm,
                   Error **errp)
{
    ERRP_GUARD();
    g_autofree char *halt_poll = NULL;

    if (is_kvm || (!config->has_halt_poll && !config->cpu_pm)) {
        return true;
    }
    halt_poll = nfv_kvm_get_halt_poll(config);
    if (config->has_halt_poll) {
        error_setg(errp, "halt-poll-ns=%s needs KVM, and the accelerator is %s",
                   halt_poll, accel);
    } else {
        error_setg(errp, "cpu-pm=on needs KVM, and the accelerator is %s",
                   accel);
    }
    error_append_hint(errp, "Start QEMU with -accel kvm, or leave %s out.\n",
                      config->has_halt_poll ? "halt-poll-ns" : "cpu-pm");
    return false;
}
