/*
 * The probe guest: memory that is written at a given rate, every byte of which
 * can be proven, and a heartbeat; or how late interrupts come. It starts in
 * milliseconds, never halts unless it is told to (as a polling network
 * function) and is the same under TCG and KVM.
 *
 * Copyright (c) 2026 the kvm4nfv authors
 * SPDX-License-Identifier: GPL-2.0-or-later
 *
 * Command line: see options.h. In each quantum of `beat` microseconds it
 * rewrites what is due of its working set, says so by a heartbeat, and looks
 * for a command on its serial port.
 *
 * With timer= or pulse= it does nothing but take interrupts. Then it looks
 * for a command every 32 of them, so that this hardly meets one.
 *
 * Commands:  stats | verify | start | stop
 * Answers, each a line after "nfv-guest: ":
 *   ready pages=N set=N hz=N       pages in all, and of the working set
 *   stats bytes=N us=N             written since `us` of the guest's time
 *   verify pages=N wrong=N table=N first=N writes=N digest=HEX
 *                                  as workset.c
 *   started                        counting anew how late the timer is
 *   hist latency NS:COUNT ...      after stop, as many lines as needed
 *   done latency samples=N min=NS avg=NS max=NS overflows=N
 *   broke ns=N                     a latency above break=
 *   error TEXT
 */
#include "clock.h"
#include "cpu.h"
#include "histogram.h"
#include "interrupt.h"
#include "memory.h"
#include "options.h"
#include "pattern.h"
#include "pulse.h"
#include "serial.h"
#include "timer.h"

#define PAGES_PER_MIB (1048576 / PAGE_BYTES)

enum {
    RING_ENTRIES = 1024,
    RING_PAGES = 4,             /* of 16-byte descriptors */
    BURST = 32,                 /* packets from one ring at a time */
    PACKET_BYTES = 2048,

    /*
     * Quanta missed while the host did not run the vCPU are made up to keep
     * the rate, but no more than these.
     */
    MADE_UP_MS = 100,

    INTERRUPTS_PER_LOOK = 32,
    LONGEST_TIMER_US = 1000000,
};

static Options options;
static Area set;                /* pages, or packet buffers */
static Area rings;
static uint64_t written;        /* cells of the set */

static void answer(const char *verb)
{
    serial_text("nfv-guest: ");
    serial_text(verb);
}

static void fail(const char *text, const char *detail)
{
    answer("error the probe guest ");
    serial_text(text);
    serial_text(detail);
    serial_text("\n");
    for (;;) {
        relax();
    }
}

static bool areas_init(void)
{
    size_t pages = options.set * PAGES_PER_MIB;
    size_t held = memory_pages();

    if (!pages) {
        return true;
    }
    if (options.fill < held / PAGES_PER_MIB) {
        held = options.fill * PAGES_PER_MIB;
    }
    set = (Area) { .step = 1, .pages = pages, .cells_per_page = 1 };
    if (options.rings) {
        rings = (Area) {
            .step = 1,
            .pages = options.rings * RING_PAGES,
            .cells_per_page = RING_ENTRIES / RING_PAGES,
        };
        set.first = rings.pages;
        set.cells_per_page = PAGE_BYTES / PACKET_BYTES;
        if (!memory_add_area(&rings)) {
            return false;
        }
    } else if (options.order == ORDER_SCATTERED && held > pages) {
        set.step = held / pages;
    }
    return memory_add_area(&set);
}

static void packet(void)
{
    uint64_t burst = written / BURST;
    size_t ring = burst % options.rings;
    size_t entry = (burst / options.rings * BURST + written % BURST) %
                   RING_ENTRIES;

    memory_rewrite(&set, written % set.cells);
    memory_rewrite(&rings, ring * RING_ENTRIES + entry);
}

/*
 * The share x^3 of the pages gets the share x of the writes; which pages these
 * are has nothing to do with where they are.
 */
static size_t skewed(uint64_t n)
{
    uint64_t x = mix(n) >> 43;          /* 21 bits */
    uint64_t rank = set.cells * (x * x >> 21) * x >> 42;

    return mix(rank) % set.cells;
}

static void write_one(void)
{
    if (options.rings) {
        packet();
    } else if (options.order == ORDER_RANDOM) {
        memory_rewrite(&set, mix(written) % set.cells);
    } else if (options.order == ORDER_SKEWED) {
        memory_rewrite(&set, skewed(written));
    } else {
        memory_rewrite(&set, written % set.cells);
    }
    written++;
}

/* What is due in one quantum; the rest of a cell stays due. */
static void quantum(void)
{
    static uint64_t due;        /* bytes, times 1000000 */
    uint64_t cell = PAGE_BYTES / (set.cells ? set.cells_per_page : 1);

    due += options.rate * 1024 * options.beat;
    while (due >= cell * 1000000) {
        if (set.cells) {
            write_one();
        }
        due -= cell * 1000000;
    }
}

static void stats(void)
{
    uint64_t cell = PAGE_BYTES / (set.cells ? set.cells_per_page : 1);

    answer("stats");
    serial_number("bytes", written * cell);
    serial_number("us", clock_us());
    serial_text("\n");
}

static void verify(void)
{
    Found found;

    memory_verify(&found);
    answer("verify");
    serial_number("pages", memory_pages());
    serial_number("wrong", found.wrong);
    serial_number("table", found.table);
    if (found.first == SIZE_MAX) {
        serial_text(" first=-1");
    } else {
        serial_number("first", found.first);
    }
    serial_number("writes", memory_writes());
    serial_hex("digest", found.digest);
    serial_text("\n");
}

static bool equal(const char *a, const char *b)
{
    while (*a && *a == *b) {
        a++;
        b++;
    }
    return *a == *b;
}

static void command(const char *line)
{
    if (equal(line, "stats")) {
        stats();
    } else if (equal(line, "verify")) {
        verify();
    } else if (equal(line, "start")) {
        timer_measure(false);
        histogram_reset();
        answer("started\n");
        timer_measure(true);
    } else if (equal(line, "stop")) {
        timer_measure(false);
        histogram_report("latency");
    } else if (*line) {
        answer("error unknown command '");
        serial_text(line);
        serial_text("'\n");
    }
}

static void work(void)
{
    uint64_t period = clock_hz() * options.beat / 1000000;
    uint64_t made_up = clock_hz() / 1000 * MADE_UP_MS;
    uint64_t next = rdtsc() + period;

    for (uint8_t beat = 0;; beat++) {
        const char *line;
        uint64_t now;

        while ((now = rdtsc()) < next) {
            relax();
        }
        next = now - next > made_up ? now + period : next + period;
        quantum();
        serial_beat(beat);
        line = serial_line();
        if (line) {
            command(line);
        }
    }
}

static void take_interrupts(void)
{
    uint64_t looked = 0;

    if (!options.halt) {
        interrupts_on();
    }
    for (;;) {
        uint64_t count;

        if (options.halt) {
            halt();
        } else {
            relax();
        }
        count = timer_count() + pulse_count();
        if (count - looked >= INTERRUPTS_PER_LOOK) {
            const char *line = serial_line();

            looked = count;
            if (line) {
                command(line);
            }
        }
    }
}

static void interrupts_start(void)
{
    histogram_reset();
    interrupt_init();
    if (options.timer > LONGEST_TIMER_US) {
        fail("has a timer of at most a second, not timer= of more", "");
    }
    if (options.timer) {
        timer_start(options.timer, options.break_us * 1000, options.tell);
    }
    if (options.pulse && !pulse_start()) {
        fail("finds no nfv-pulse on PCI bus 0", "");
    }
}

void probe_main(uint64_t info)
{
    const char *error;

    serial_init();
    error = options_parse(&options, memory_command_line(info));
    if (error) {
        fail("does not know the option ", error);
    }
    error = memory_init(info);
    if (error) {
        fail(error, "");
    }
    clock_init();
    if (!areas_init()) {
        fail("has not enough memory for its working set", "");
    }
    memory_fill(options.fill < memory_pages() / PAGES_PER_MIB ?
                options.fill * PAGES_PER_MIB : memory_pages());
    if (options.timer || options.pulse) {
        interrupts_start();
    }
    answer("ready");
    serial_number("pages", memory_pages());
    serial_number("set", set.pages + rings.pages);
    serial_number("hz", clock_hz());
    serial_text("\n");
    if (options.timer || options.pulse) {
        take_interrupts();
    }
    work();
}
