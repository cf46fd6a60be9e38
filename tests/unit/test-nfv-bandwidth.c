/*
 * Bandwidth of a migration
 *
 * Copyright (c) 2026 the kvm4nfv authors
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "qemu/osdep.h"
#include "migration/nfv/bandwidth.h"

#define MS 1000
#define MB 1000000ull
#define WINDOW (50 * MS)

typedef struct Meter {
    NfvBandwidth bandwidth;
    int64_t now;
    uint64_t sent;
} Meter;

static Meter begin(void)
{
    Meter m = { .now = 1 };

    nfv_bandwidth_note(&m.bandwidth, m.now, m.sent);
    return m;
}

static uint64_t get(const Meter *m)
{
    return nfv_bandwidth_get(&m->bandwidth, m->now, m->sent);
}

/* A window at @rate, in so many calls. */
static void send_at(Meter *m, uint64_t rate, int calls, bool waits)
{
    for (int i = 0; i < calls; i++) {
        m->now += WINDOW / calls;
        m->sent += rate * (WINDOW / calls) / 1000000;
        if (waits) {
            nfv_bandwidth_wait(&m->bandwidth);
        }
        nfv_bandwidth_note(&m->bandwidth, m->now, m->sent);
    }
}

static void test_unknown(void)
{
    Meter m = { .now = 5 * MS, .sent = MB };

    g_assert_cmpuint(get(&m), ==, 0);
    m = begin();
    g_assert_cmpuint(get(&m), ==, 0);
    m.now += 999;
    m.sent = MB;
    g_assert_cmpuint(get(&m), ==, 0);
}

static void test_first_window(void)
{
    Meter m = begin();

    m.now += 10 * MS;
    m.sent = MB;
    nfv_bandwidth_note(&m.bandwidth, m.now, m.sent);
    g_assert_cmpuint(get(&m), ==, 100 * MB);
}

static void test_windows(void)
{
    Meter m = begin();

    send_at(&m, 100 * MB, 1, false);
    g_assert_cmpuint(get(&m), ==, 100 * MB);
    /* Others come and go; what is found in half of the windows is taken. */
    for (int i = 0; i < 3; i++) {
        send_at(&m, 10 * MB, 50, false);
        send_at(&m, 100 * MB, 50, false);
    }
    g_assert_cmpuint(get(&m), ==, 100 * MB);
    for (int i = 0; i < NFV_BANDWIDTH_WINDOWS; i++) {
        send_at(&m, 10 * MB, 50, false);
    }
    g_assert_cmpuint(get(&m), ==, 10 * MB);
}

static void test_little(void)
{
    Meter m = begin();

    /* Less than 64 KiB a window: the best of them, while there is no other. */
    send_at(&m, MB, 50, false);
    send_at(&m, MB / 2, 50, false);
    g_assert_cmpuint(get(&m), ==, MB);
    send_at(&m, 100 * MB, 50, false);
    send_at(&m, MB, 50, false);
    g_assert_cmpuint(get(&m), ==, 100 * MB);
}

/* What is sent between waits is what the guest wrote. */
static void test_waits(void)
{
    Meter m = begin();

    send_at(&m, 10 * MB, 50, true); /* better than nothing */
    g_assert_cmpuint(get(&m), ==, 10 * MB);
    m = begin();
    send_at(&m, 100 * MB, 50, false);
    for (int i = 0; i < 2 * NFV_BANDWIDTH_WINDOWS; i++) {
        send_at(&m, 10 * MB, 50, true);
    }
    g_assert_cmpuint(get(&m), ==, 100 * MB);
    for (int i = 0; i < NFV_BANDWIDTH_WINDOWS; i++) {
        send_at(&m, 10 * MB, 50, false);
    }
    g_assert_cmpuint(get(&m), ==, 10 * MB);
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    g_test_add_func("/nfv/bandwidth/unknown", test_unknown);
    g_test_add_func("/nfv/bandwidth/first-window", test_first_window);
    g_test_add_func("/nfv/bandwidth/windows", test_windows);
    g_test_add_func("/nfv/bandwidth/little", test_little);
    g_test_add_func("/nfv/bandwidth/waits", test_waits);
    return g_test_run();
}
