/*
 * nfv-packet: sends test frames at a fixed rate, receives them again, and says
 * how long each took and which were lost.
 *
 * Copyright (c) 2026 the kvm4nfv authors
 * SPDX-License-Identifier: GPL-2.0-or-later
 *
 * The latency of a frame is from just before the system call that sends it to
 * the kernel's stamp of its arrival, so that the generator's own delays do not
 * count. What it sends does not depend on what it receives.
 *
 * Says "ready" when it sends, and "broke" when a latency is above the limit for
 * the first time. Obeys lines on its standard input: "phase N" (what is sent
 * from now on is counted there; 0 to 7, at first 0, which knows no limit) and
 * "stop", which the end of the input means, too. Then prints a JSON object.
 */
#include <arpa/inet.h>
#include <err.h>
#include <errno.h>
#include <getopt.h>
#include <inttypes.h>
#include <poll.h>
#include <sched.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include "frame.h"
#include "ledger.h"
#include "port.h"

#define SECOND 1000000000ull
#define CONTROL_NS 1000000ull
/* The longest sleep: commands wait that long if few frames are sent. */
#define NAP_NS 10000000ull
#define MAX_FRAMES (1u << 30)

typedef struct Options {
    const char *tx, *rx;
    FrameAddress from, to;
    double rate, seconds;
    uint64_t limit; /* ns; 0: none */
    unsigned size, drain_ms, slice_ms;
    int priority;
} Options;

typedef struct Generator {
    const Options *options;
    Port tx, rx;
    Ledger ledger;
    Histogram late;
    uint32_t stream;
    uint8_t frame[FRAME_MAX];
    char line[64];
    size_t filled;
    bool stop, broke;
} Generator;

static uint64_t now(clockid_t clock)
{
    struct timespec t;

    clock_gettime(clock, &t);
    return t.tv_sec * SECOND + t.tv_nsec;
}

static void sleep_until(uint64_t ns)
{
    struct timespec t = { .tv_sec = ns / SECOND, .tv_nsec = ns % SECOND };
    int interrupted;

    do {
        interrupted = clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &t, NULL);
    } while (interrupted == EINTR);
}

/*
 * Frames that were sent in phase 0 may still be on their way when the next one
 * begins.
 */
static void judge(Generator *g, const FrameTag *tag, uint64_t arrived)
{
    const Ledger *l = &g->ledger;

    if (g->options->limit && !g->broke && l->spans > 1 &&
        tag->number >= l->span[1].first && arrived > tag->stamp &&
        arrived - tag->stamp > g->options->limit) {
        g->broke = true;
        printf("broke\n");
        fflush(stdout);
    }
}

static void receive_all(Generator *g)
{
    const uint8_t *data;
    size_t length;
    uint64_t arrived;
    FrameTag tag;

    while ((data = port_receive(&g->rx, &length, &arrived))) {
        if (frame_parse(data, length, &tag) && tag.stream == g->stream) {
            ledger_received(&g->ledger, tag.number, tag.stamp, arrived);
            judge(g, &tag, arrived);
        }
        port_release(&g->rx);
    }
}

static void send_one(Generator *g)
{
    uint64_t stamp = now(CLOCK_REALTIME);

    frame_tag(g->frame, g->ledger.sent, stamp);
    ledger_sent(&g->ledger, stamp,
                !port_send(&g->tx, g->frame, g->options->size - FRAME_FCS));
}

static void obey(Generator *g, const char *line)
{
    unsigned phase;
    char rest;

    if (!strcmp(line, "stop")) {
        g->stop = true;
    } else if (sscanf(line, "phase %u%c", &phase, &rest) != 1 ||
               !ledger_enter(&g->ledger, phase, now(CLOCK_REALTIME))) {
        errx(1,
             "'%s' is no command, or too many came: 'phase N' with N below %d, "
             "or 'stop'",
             line, LEDGER_PHASES);
    }
}

static void read_control(Generator *g)
{
    struct pollfd in = { .fd = STDIN_FILENO, .events = POLLIN };
    char *end;
    ssize_t got;

    if (poll(&in, 1, 0) <= 0) {
        return;
    }
    got = read(STDIN_FILENO, g->line + g->filled,
               sizeof(g->line) - 1 - g->filled);
    if (got <= 0) {
        g->stop = true;
        return;
    }
    g->filled += got;
    g->line[g->filled] = '\0';
    while ((end = strchr(g->line, '\n'))) {
        *end = '\0';
        obey(g, g->line);
        g->filled -= end + 1 - g->line;
        memmove(g->line, end + 1, g->filled + 1);
    }
    if (g->filled == sizeof(g->line) - 1) {
        errx(1, "a command is longer than %zu characters", sizeof(g->line) - 2);
    }
}

static void generate(Generator *g)
{
    const double interval = SECOND / g->options->rate;
    const uint64_t begin = now(CLOCK_MONOTONIC),
                   end = begin + g->options->seconds * SECOND;
    uint64_t time = begin, control = 0;

    ledger_enter(&g->ledger, 0, now(CLOCK_REALTIME));
    while (!g->stop && !ledger_full(&g->ledger) && time < end) {
        uint64_t due = begin + (uint64_t)(g->ledger.sent * interval);

        if (time < due) {
            sleep_until(due < time + NAP_NS ? due : time + NAP_NS);
        }
        time = now(CLOCK_MONOTONIC);
        if (time >= due) {
            histogram_add(&g->late, time - due);
            send_one(g);
        }
        receive_all(g);
        if (time - control > CONTROL_NS) {
            control = time;
            read_control(g);
        }
    }
    ledger_close(&g->ledger, now(CLOCK_REALTIME));
    for (uint64_t last =
             now(CLOCK_MONOTONIC) + g->options->drain_ms * 1000000ull;
         now(CLOCK_MONOTONIC) < last;) {
        sleep_until(now(CLOCK_MONOTONIC) + CONTROL_NS);
        receive_all(g);
    }
}

static void report(Generator *g, int64_t step, bool real_time)
{
    printf("{\"rate\": %.17g, \"size\": %u, \"real_time\": %s, \"ring_drops\": "
           "%u, \"clock_step_ns\": %" PRId64 ", \"late\": {",
           g->options->rate, g->options->size, real_time ? "true" : "false",
           port_drops(&g->rx), step);
    histogram_print(&g->late, stdout);
    printf("}, ");
    ledger_print(&g->ledger, stdout);
    printf("}\n");
    if (fflush(stdout)) {
        err(1, "cannot write the result");
    }
}

static void usage(void)
{
    fprintf(stderr,
            "usage: nfv-packet --tx INTERFACE --rx INTERFACE --rate FRAMES/S "
            "--size BYTES --seconds S\n"
            "                  --from MAC/IPV4 --to MAC/IPV4 [--drain MS] "
            "[--slice MS] [--limit US] [--priority N]\n"
            "size: %d to %d, with FCS; seconds: at most; to: who is to forward "
            "the frames;\n"
            "drain: how long to wait for the last frames [200]; slice: of the "
            "time line [100];\n"
            "limit: of a latency, 0: none [0]; priority: SCHED_FIFO, 0: none "
            "[0]\n",
            FRAME_MIN, FRAME_MAX);
    exit(2);
}

static double number(const char *option, const char *text, double min,
                     double max)
{
    char *end;
    double value = strtod(text, &end);

    if (end == text || *end || !(value >= min && value <= max)) {
        errx(2, "--%s %s: must be %.15g to %.15g", option, text, min, max);
    }
    return value;
}

static FrameAddress address(const char *option, const char *text)
{
    FrameAddress result;
    char ip[INET_ADDRSTRLEN];
    uint8_t *m = result.mac;

    if (sscanf(text, "%2hhx:%2hhx:%2hhx:%2hhx:%2hhx:%2hhx/%15s", m, m + 1,
               m + 2, m + 3, m + 4, m + 5, ip) != 7 ||
        inet_pton(AF_INET, ip, &result.ip) != 1) {
        errx(2,
             "--%s %s: must be MAC/IPV4, such as 02:00:00:00:00:01/192.0.2.1",
             option, text);
    }
    return result;
}

static void parse(Options *o, int argc, char **argv)
{
    static const struct option known[] = {
        { "tx", 1, NULL, 't' },      { "rx", 1, NULL, 'r' },
        { "rate", 1, NULL, 'p' },    { "size", 1, NULL, 's' },
        { "seconds", 1, NULL, 'S' }, { "from", 1, NULL, 'f' },
        { "to", 1, NULL, 'T' },      { "drain", 1, NULL, 'd' },
        { "slice", 1, NULL, 'l' },   { "priority", 1, NULL, 'P' },
        { "limit", 1, NULL, 'L' },   { NULL, 0, NULL, 0 },
    };
    unsigned given = 0;
    int c, which;

    *o = (Options) { .drain_ms = 200, .slice_ms = 100 };
    while ((c = getopt_long(argc, argv, "", known, &which)) != -1) {
        const char *name = c == '?' ? "" : known[which].name;

        switch (c) {
        case 't':
            o->tx = optarg;
            break;
        case 'r':
            o->rx = optarg;
            break;
        case 'p':
            o->rate = number(name, optarg, 0.1, 1e7);
            break;
        case 's':
            o->size = number(name, optarg, FRAME_MIN, FRAME_MAX);
            break;
        case 'S':
            o->seconds = number(name, optarg, 0.001, 86400);
            break;
        case 'f':
            o->from = address(name, optarg);
            break;
        case 'T':
            o->to = address(name, optarg);
            break;
        case 'd':
            o->drain_ms = number(name, optarg, 0, 60000);
            break;
        case 'l':
            o->slice_ms = number(name, optarg, 1, 60000);
            break;
        case 'L':
            o->limit = number(name, optarg, 0, 1e9) * 1000;
            break;
        case 'P':
            o->priority = number(name, optarg, 0, 98);
            break;
        default:
            usage();
        }
        given |= 1u << which;
    }
    /* The first seven have no default. */
    if (optind != argc || (given & 0x7f) != 0x7f) {
        usage();
    }
    if (o->rate * o->seconds > MAX_FRAMES) {
        errx(2, "--rate %g for --seconds %g: must be at most %u frames in all",
             o->rate, o->seconds, MAX_FRAMES);
    }
}

/*
 * What it can have of undisturbed time; false if SCHED_FIFO was asked for and
 * refused.
 */
static bool prepare(const Options *o)
{
    prctl(PR_SET_TIMERSLACK, 1);
    mlockall(MCL_CURRENT);
    return o->priority &&
           !sched_setscheduler(
               0, SCHED_FIFO,
               &(struct sched_param) { .sched_priority = o->priority });
}

static int64_t clock_offset(void)
{
    return now(CLOCK_REALTIME) - now(CLOCK_MONOTONIC);
}

int main(int argc, char **argv)
{
    static Generator g;
    Options options;
    bool real_time;
    int64_t offset;

    parse(&options, argc, argv);
    g.options = &options;
    g.stream = getpid() ^ now(CLOCK_MONOTONIC);
    port_open_receiver(&g.rx, options.rx);
    port_open_sender(&g.tx, options.tx);
    frame_build(g.frame, options.size, &options.from, &options.to, g.stream);
    ledger_init(&g.ledger, options.rate * options.seconds + 1,
                options.slice_ms * 1000000ull,
                options.seconds * 1000 / options.slice_ms + 1);
    real_time = prepare(&options);
    printf("ready\n");
    fflush(stdout);
    offset = clock_offset();
    generate(&g);
    report(&g, clock_offset() - offset, real_time);
    return 0;
}
