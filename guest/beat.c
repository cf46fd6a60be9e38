/*
 * beat: tells the host, at a fixed interval, that the guest runs.
 *
 * Copyright (c) 2026 the kvm4nfv authors
 * SPDX-License-Identifier: GPL-2.0-or-later
 *
 * usage: beat MICROSECONDS
 *
 * Writes to the scratch register of the first serial port, where it has no
 * effect; QEMU's trace event serial_write stamps it on the host's clock.
 */
#include <err.h>
#include <sched.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/io.h>
#include <sys/mman.h>
#include <time.h>

#define SCRATCH 0x3ff
#define NS_PER_S 1000000000L

int main(int argc, char **argv)
{
    const struct sched_param priority = { .sched_priority = 94 };
    long ns = argc == 2 ? strtol(argv[1], NULL, 10) * 1000 : 0;
    struct timespec next;

    if (ns < 1000 || ns >= NS_PER_S) {
        errx(2, "usage: beat MICROSECONDS, of less than a second");
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
        outb(number, SCRATCH);
        next.tv_nsec += ns;
        if (next.tv_nsec >= NS_PER_S) {
            next.tv_nsec -= NS_PER_S;
            next.tv_sec++;
        }
        clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &next, NULL);
    }
}
