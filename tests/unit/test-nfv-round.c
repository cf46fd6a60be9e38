/*
 * Unit tests: a round of threads that work at the same time
 *
 * Copyright (c) 2026 the kvm4nfv authors
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "qemu/osdep.h"
#include "qemu/atomic.h"
#include "qemu/thread.h"
#include "accel/kvm/nfv/round.h"

typedef struct Crew {
    NfvRound *round;
    unsigned size, working, done; /* the last two are atomic */
    int failing;                  /* which member's work fails, or -1 */
} Crew;

typedef struct Member {
    Crew *crew;
    int index;
    QemuThread thread;
} Member;

static void *member_thread(void *opaque)
{
    Member *m = opaque;
    Crew *crew = m->crew;

    nfv_round_enter(crew->round);
    /* Would never end if one came after the other. */
    qatomic_inc(&crew->working);
    while (qatomic_read(&crew->working) < crew->size) {
        g_thread_yield();
    }
    qatomic_inc(&crew->done);
    nfv_round_leave(crew->round, m->index != crew->failing);
    return NULL;
}

static void check_round(unsigned size, int failing)
{
    g_autofree Member *members = g_new0(Member, size);
    Crew crew = { .size = size, .failing = failing };

    crew.round = nfv_round_new(size);
    for (unsigned i = 0; i < size; i++) {
        members[i].crew = &crew;
        members[i].index = i;
        qemu_thread_create(&members[i].thread, "member", member_thread,
                           &members[i], QEMU_THREAD_JOINABLE);
    }
    nfv_round_gather(crew.round);
    g_assert_cmpuint(qatomic_read(&crew.working), ==, 0);
    nfv_round_start(crew.round);
    g_assert(nfv_round_finish(crew.round) == (failing < 0));
    g_assert_cmpuint(qatomic_read(&crew.done), ==, size);
    for (unsigned i = 0; i < size; i++) {
        qemu_thread_join(&members[i].thread);
    }
}

static void test_ok(void)
{
    static const unsigned sizes[] = { 1, 2, 3, 16, 64 };

    for (int i = 0; i < ARRAY_SIZE(sizes); i++) {
        check_round(sizes[i], -1);
    }
}

static void test_failed(void)
{
    for (int failing = 0; failing < 4; failing++) {
        check_round(4, failing);
    }
}

/* Whoever leaves last frees it; a sanitizer sees it if that goes wrong. */
static void test_often(void)
{
    for (int i = 0; i < 500; i++) {
        check_round(2 + i % 3, i % 5 - 1 < 2 ? i % 5 - 1 : -1);
    }
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    g_test_add_func("/nfv/round/ok", test_ok);
    g_test_add_func("/nfv/round/failed", test_failed);
    g_test_add_func("/nfv/round/often", test_often);
    return g_test_run();
}
