/*
 * Answers the interrupts of nfv-pulse (hw/nfv/pulse.c) from a SCHED_FIFO
 * thread of a Linux guest, by uio_pci_generic. usage: pulse UIO, as "uio0"
 *
 * Copyright (c) 2026 the kvm4nfv authors
 * SPDX-License-Identifier: GPL-2.0-or-later
 *
 * Prints "answering" when the device runs, and answers until it is ended.
 */
#include <fcntl.h>
#include <sched.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

enum {
    BAR_BYTES = 4096,
    REG_ID = 0x00,
    REG_CONTROL = 0x04,
    REG_ANSWER = 0x10,
    INTERFACE = 0x4e465001,

    CONFIG_COMMAND = 4,
    COMMAND_MEMORY_MASTER = 0x6, /* and INTx not disabled */
    PRIORITY = 95,               /* above the kernel's interrupt threads */
};

static void die(const char *what)
{
    perror(what);
    exit(1);
}

static int open_or_die(const char *format, const char *name)
{
    char path[128];
    int fd;

    snprintf(path, sizeof(path), format, name);
    fd = open(path, O_RDWR);
    if (fd < 0) {
        die(path);
    }
    return fd;
}

/* Also lets the next interrupt through: the kernel's part disables each. */
static void enable(int config)
{
    uint16_t command = COMMAND_MEMORY_MASTER;

    if (pwrite(config, &command, sizeof(command), CONFIG_COMMAND) !=
        sizeof(command)) {
        die("the device's command register");
    }
}

int main(int argc, char **argv)
{
    struct sched_param priority = { .sched_priority = PRIORITY };
    int device, config, bar;
    volatile uint32_t *registers; /* of a device */
    uint32_t count;

    if (argc != 2) {
        fprintf(stderr, "usage: pulse UIO\n");
        return 2;
    }
    device = open_or_die("/dev/%s", argv[1]);
    config = open_or_die("/sys/class/uio/%s/device/config", argv[1]);
    bar = open_or_die("/sys/class/uio/%s/device/resource0", argv[1]);
    registers = mmap(NULL, BAR_BYTES, PROT_READ | PROT_WRITE, MAP_SHARED, bar,
                     0);
    if (registers == MAP_FAILED) {
        die("the device's registers");
    }
    enable(config);
    if (registers[REG_ID / 4] != INTERFACE) {
        fprintf(stderr, "%s is no nfv-pulse\n", argv[1]);
        return 1;
    }
    mlockall(MCL_CURRENT | MCL_FUTURE);
    if (sched_setscheduler(0, SCHED_FIFO, &priority)) {
        die("SCHED_FIFO");
    }
    registers[REG_CONTROL / 4] = 1;
    puts("answering");
    fflush(stdout);
    while (read(device, &count, sizeof(count)) == sizeof(count)) {
        registers[REG_ANSWER / 4] = 1;
        enable(config);
    }
    die("an interrupt");
}
