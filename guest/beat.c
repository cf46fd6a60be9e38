/*
 * beat: tells the host, at a fixed interval, that the guest runs.
 *
 * Copyright (c) 2026 the kvm4nfv authors
 * SPDX-License-Identifier: GPL-2.0-or-later
 *
 * usage: beat MICROSECONDS [tell]
 *
 * Writes to the scratch register of the first serial port, where it has no
 * effect; QEMU's trace event serial_write stamps it on the host's clock. With
 * `tell` it writes how late it was, as latency.h says, of which cyclictest
 * shows the sum alone.
 */
#include <err.h>
#include <sched.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/io.h>
#include <sys/mman.h>
#include <time.h>
#include "probe/latency.h"

#define SCRATCH 0x3ff
#define NS_PER_S 1000000000L

static void scratch(uint8_t value)
{
    outb(value, SCRATCH);
}

static uint64_t late_ns(const struct timespec *due)
{
    struct timespec now;
    int64_t ns;

    clock_gettime(CLOCK_MONOTONIC, &now);
    ns = (now.tv_sec - due->tv_sec) * NS_PER_S + now.tv_nsec - due->tv_nsec;
    return ns > 0 ? ns : 0;
}

static void step(struct timespec *due, long ns)
{
    due->tv_nsec += ns;
    if (due->tv_nsec >= NS_PER_S) {
        due->tv_nsec -= NS_PER_S;
        due->tv_sec++;
    }
}

int main(int argc, char **argv)
{
    const struct sched_param priority = { .sched_priority = 94 };
    bool tell = argc == 3 && !strcmp(argv[2], "tell");
    long ns = argc == 2 || tell ? strtol(argv[1], NULL, 10) * 1000 : 0;
    struct timespec next;

    if (ns < 1000 || ns >= NS_PER_S) {
        errx(2, "usage: beat MICROSECONDS [tell], of less than a second");
    }
    if (ioperm(SCRATCH, 1, 1) < 0) {
        err(1, "cannot have the serial port's register");
    }
    if (sched_setscheduler(0, SCHED_FIFO, &priority) < 0 ||
        mlockall(MCL_CURRENT | MCL_FUTURE) < 0) {
        err(1, "cannot be real-time");
    }
    clock_gettime(CLOCK_MONOTONIC, &next);
    for (uint8_t number = 0;; number++) {
        uint64_t late = late_ns(&next);

        if (tell) {
            latency_tell(late, scratch);
        } else {
            scratch(number);
        }
        /* What has passed is left out, as cyclictest does. */
        do {
            step(&next, ns);
        } while (tell && late_ns(&next));
        clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &next, NULL);
    }
}
