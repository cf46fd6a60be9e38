/*
 * Drain: proof that the destination has read all that was sent
 *
 * Copyright (c) 2026 the kvm4nfv authors
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "qemu/osdep.h"
#include "qemu/atomic.h"
#include "qemu/module.h"
#include "qemu/thread.h"
#include "qemu/timer.h"
#include "migration/migration.h"
#include "migration/nfv.h"
#include "migration/qemu-file.h"
#include "migration/savevm.h"
#include "drain.h"
#include "trace.h"

/* A PING of ours; the low bits count them. */
#define PING 0x6e666400u
#define PING_MASK 0xffffff00u

static struct {
    /* Migration thread. */
    bool flush;     /* at the end of the next section of RAM */
    uint8_t number; /* of the last PING of ours */

    /*
     * The PONG that is the proof; 0: it came.  Atomic; whoever sets it to 0, the
     * return path thread, posts once.
     */
    uint32_t expected;
    QemuSemaphore pong;

    int64_t start; /* us, of the last one; atomic */
    int64_t time;  /* us that the last one of ours took; atomic */
    /* And the shortest and the longest; atomic, the return path thread's. */
    int64_t least, most;
} drain = { .time = -1 };

static bool is_ours(uint32_t ping)
{
    return (ping & PING_MASK) == PING;
}

static int64_t now_us(void)
{
    return qemu_clock_get_ns(QEMU_CLOCK_REALTIME) / 1000;
}

void nfv_drain_reset(void)
{
    drain.flush = false;
    qatomic_set(&drain.expected, 0);
    qatomic_set(&drain.time, -1);
    qatomic_set(&drain.least, INT64_MAX);
    qatomic_set(&drain.most, 0);
}

bool nfv_drain_possible(MigrationState *s)
{
    return s->rp_state.rp_thread_created && s->rp_state.from_dst_file &&
           !qemu_file_get_error(s->rp_state.from_dst_file) &&
           !migrate_has_error(s);
}

void nfv_drain_flush(void)
{
    drain.flush = true;
}

bool nfv_drain_flushes(void)
{
    return drain.flush;
}

bool nfv_drain_wants_flush(void)
{
    bool flush = drain.flush;

    drain.flush = false;
    return flush;
}

void nfv_drain_start(MigrationState *s)
{
    nfv_drain_start_with(s, PING | ++drain.number);
}

void nfv_drain_start_with(MigrationState *s, uint32_t ping)
{
    qatomic_set(&drain.expected, 0); /* another may be under way */
    qatomic_set(&drain.start, now_us());
    qatomic_set(&drain.expected, ping);
    /* An answer that came too late for the one before. */
    qemu_sem_timedwait(&drain.pong, 0);
    qemu_savevm_send_ping(s->to_dst_file, ping);
}

NfvDrain nfv_drain_wait(MigrationState *s, int ms)
{
    if (!nfv_drain_possible(s)) {
        return NFV_DRAIN_NO_ANSWER;
    }
    qemu_sem_timedwait(&drain.pong, ms);
    if (qatomic_read(&drain.expected)) {
        return NFV_DRAIN_PENDING;
    }
    return NFV_DRAIN_DONE;
}

bool nfv_drain_pong(uint32_t pong)
{
    int64_t time = now_us() - qatomic_read(&drain.start);

    if (pong && qatomic_cmpxchg(&drain.expected, pong, 0) == pong) {
        if (is_ours(pong)) {
            qatomic_set(&drain.time, time);
            qatomic_set(&drain.least, MIN(time, drain.least));
            qatomic_set(&drain.most, MAX(time, drain.most));
        }
        trace_nfv_drain(pong, time);
        qemu_sem_post(&drain.pong);
        return true;
    }
    return is_ours(pong);
}

int64_t nfv_drain_time(void)
{
    return qatomic_read(&drain.time);
}

int64_t nfv_drain_round_trip(void)
{
    int64_t least = qatomic_read(&drain.least);

    return least == INT64_MAX ? 0 : least;
}

int64_t nfv_drain_longest(void)
{
    return qatomic_read(&drain.most);
}

static void drain_register(void)
{
    qemu_sem_init(&drain.pong, 0);
}
migration_init(drain_register);
