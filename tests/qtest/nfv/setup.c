/*
 * An nfv machine with one vCPU on the first host CPU of the test and all other
 * threads on the rest
 *
 * Copyright (c) 2026 the kvm4nfv authors
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "qemu/osdep.h"
#include <sched.h>
#include "process.h"
#include "setup.h"
#include "thread.h"

bool nfv_setup_init(NfvSetup *s)
{
    *s = (NfvSetup) { 0 };
    if (!nfv_test_has_cpus(2)) {
        return false;
    }
    s->root = nfv_test_root_new();
    s->first = g_strdup_printf("%u", nfv_test_cpu(0));
    s->rest = nfv_test_cpus_but(1);
    return true;
}

void nfv_setup_clear(NfvSetup *s)
{
    nfv_test_root_free(s->root);
    g_free(s->first);
    g_free(s->rest);
}

QTestState *nfv_setup_start(const NfvSetup *s, const char *accel,
                            const char *properties, const char *options)
{
    return qtest_initf("-M nfv,x-host-root=%s,vcpu-cpus=%s,%s -accel %s -S %s",
                       s->root, s->first, properties, accel, options);
}

bool nfv_setup_has_accel(const char *accel)
{
    g_autofree char *reason =
        g_strdup_printf("no guest can be made with -accel %s", accel);

    if (!nfv_test_has_accel(accel)) {
        g_test_skip(reason);
        return false;
    }
    return true;
}

static int policy_of(int priority)
{
    return priority ? SCHED_FIFO : SCHED_OTHER;
}

/*
 * At most as many entries as nfv_setup_check() and nfv_setup_expect() have room
 * for.
 */
static void fill_expectations(const NfvSetup *s, NfvPriorities p,
                              const char *also, NfvExpect *e)
{
    /* "CPU 0/KVM", "ALL CPUs/TCG" */
    *e++ =
        (NfvExpect) { "*CPU*/*", "vcpu", s->first, policy_of(p.vcpu), p.vcpu };
    *e++ = (NfvExpect) { "main", "emulator", s->rest, policy_of(p.emulator),
                         p.emulator };
    *e++ = (NfvExpect) { "IO *", "iothread", s->rest, policy_of(p.iothread),
                         p.iothread };
    *e++ = (NfvExpect) { "kvm-pit/*", "vhost", s->rest, .optional = true };
    *e++ = (NfvExpect) { "nfv-sweep", "worker", s->rest };
    if (also) {
        *e++ = (NfvExpect) { also, "worker", s->rest };
    }
    *e++ = (NfvExpect) { "*", "worker", s->rest };
    *e++ = (NfvExpect) { NULL };
}

void nfv_setup_check(const NfvSetup *s, const QDict *info,
                     NfvPriorities priorities, const char *also)
{
    NfvExpect expect[8];

    fill_expectations(s, priorities, also, expect);
    nfv_test_check(info, expect);
}

void nfv_setup_expect(const NfvSetup *s, QTestState *qts,
                      NfvPriorities priorities, const char *also)
{
    NfvExpect expect[8];

    fill_expectations(s, priorities, also, expect);
    nfv_test_expect(qts, expect);
}
