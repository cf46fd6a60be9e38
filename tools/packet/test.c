/*
 * Unit tests of the generator: histogram, frames, and what becomes of them.
 *
 * Copyright (c) 2026 the kvm4nfv authors
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include <arpa/inet.h>
#include <stdlib.h>
#include <string.h>
#include "frame.h"
#include "ledger.h"

static int done, failed;

static void check(bool good, const char *what)
{
    printf("%s %d - %s\n", good ? "ok" : "not ok", ++done, what);
    failed += !good;
}

static void test_histogram(void)
{
    static Histogram h;
    bool inside = true, narrow = true, dense = true;
    uint64_t ns;
    unsigned i;

    for (ns = 1; ns < 1ull << 39; ns += ns / 37 + 1) {
        i = histogram_index(ns);
        inside &= ns <= histogram_top(i) && (!i || ns > histogram_top(i - 1));
        narrow &= (histogram_top(i) - ns) * 100 <= ns;
    }
    for (i = 1; i < HISTOGRAM_BUCKETS; i++) {
        dense &= histogram_index(histogram_top(i - 1) + 1) == i;
    }
    check(inside, "a time is in its bucket");
    check(narrow, "a bucket is narrower than 1 %");
    check(dense, "buckets follow each other without a gap");
    check(histogram_index(UINT64_MAX) == HISTOGRAM_BUCKETS - 1, "the longest "
                                                                "times are in "
                                                                "the last "
                                                                "bucket");
    histogram_add(&h, 7000);
    histogram_add(&h, 5);
    check(h.count == 2 && h.min == 5 && h.max == 7000 && h.sum == 7005, "ends "
                                                                        "and "
                                                                        "sum "
                                                                        "are "
                                                                        "exac"
                                                                        "t");
}

static void test_frame(void)
{
    uint8_t data[FRAME_MAX];
    FrameAddress from = { .mac = { 2, 0, 0, 0, 0, 1 } },
                 to = { .mac = { 2, 0, 0, 0, 0, 2 } };
    FrameTag tag;
    uint32_t sum = 0;
    unsigned i;

    inet_pton(AF_INET, "192.0.2.1", &from.ip);
    inet_pton(AF_INET, "198.51.100.1", &to.ip);
    frame_build(data, FRAME_MIN, &from, &to, 77);
    frame_tag(data, 0x12345678, 0x1122334455667788);
    check(frame_parse(data, FRAME_MIN - FRAME_FCS, &tag) && tag.stream == 77 &&
              tag.number == 0x12345678 && tag.stamp == 0x1122334455667788,
          "the shortest frame says what it was told");
    check(!memcmp(data, to.mac, 6) && !memcmp(data + 6, from.mac, 6),
          "it goes to the MAC that is to forward it");
    for (i = 14; i < 34; i += 2) {
        sum += data[i] << 8 | data[i + 1];
    }
    check((sum & 0xffff) + (sum >> 16) == 0xffff, "the checksum of its IP "
                                                  "header is right");
    check(!frame_parse(data, FRAME_MIN - FRAME_FCS - 20, &tag), "a frame that "
                                                                "was cut is "
                                                                "none");
    data[42] ^= 1;
    check(!frame_parse(data, FRAME_MIN - FRAME_FCS, &tag), "a frame without "
                                                           "our mark is none");
    frame_build(data, FRAME_MAX, &from, &to, 78);
    check(data[16] == 1500 >> 8 && data[17] == (1500 & 0xff), "the longest "
                                                              "frame fills an "
                                                              "MTU of 1500");
}

static void test_ledger(void)
{
    static Ledger l;
    uint32_t i;

    ledger_init(&l, 100, 1000, 4);
    ledger_enter(&l, 0, 0);
    for (i = 0; i < 10; i++) {
        ledger_sent(&l, i * 100, false);
    }
    check(ledger_enter(&l, 3, 1000), "a phase begins");
    check(!ledger_enter(&l, LEDGER_PHASES, 1000), "a phase that there is not "
                                                  "is refused");
    for (; i < 30; i++) {
        ledger_sent(&l, i * 100, i == 20);
    }
    ledger_close(&l, 3000);
    for (i = 0; i < 30; i++) {
        if (i < 12 || i > 16) {
            ledger_received(&l,
                            i == 28 ? 29 :
                            i == 29 ? 28 :
                                      i,
                            i * 100, i * 100 + 50 + i);
        }
    }
    ledger_received(&l, 5, 500, 9000);
    ledger_received(&l, 30, 3000, 3001);
    check(l.phase[0].sent == 10 && l.phase[0].received == 10 &&
              l.phase[0].duplicates == 1,
          "a frame that comes twice is received once");
    check(l.phase[0].latency.max == 59 && l.phase[3].latency.max == 79,
          "the latency is that of the first copy");
    check(l.phase[3].sent == 20 && l.phase[3].received == 15 &&
              l.phase[3].refused == 1,
          "lost frames are missing");
    check(l.phase[3].reordered == 1, "a frame that another one overtook is "
                                     "counted");
    check(l.phase[0].ns == 1000 && l.phase[3].ns == 2000, "phases take their "
                                                          "time");
    check(l.slice[1].sent == 10 && l.slice[1].received == 5, "the time line "
                                                             "has what was "
                                                             "sent then");
    check(!ledger_full(&l), "there is room left");
}

static void test_report(void)
{
    static Ledger l;
    char *text;
    size_t length;
    FILE *out = open_memstream(&text, &length);
    uint32_t i;

    ledger_init(&l, 10, 1000, 2);
    ledger_enter(&l, 1, 0);
    for (i = 0; i < 10; i++) {
        ledger_sent(&l, 100 * i, false);
        if (i < 4 || i > 6) {
            ledger_received(&l, i, 100 * i, 100 * i + 1000);
        }
    }
    ledger_close(&l, 1000);
    ledger_print(&l, out);
    fclose(out);
    check(strstr(text, "\"1\": {\"sent\": 10, \"refused\": 0, \"received\": "
                       "7, ") != NULL,
          "the report has the phase");
    check(strstr(text, "\"longest_loss\": 3, ") != NULL, "and how many frames "
                                                         "in a row were lost");
    check(strstr(text, "\"buckets\": [[1000, 7]]") != NULL, "and no bucket "
                                                            "beyond the "
                                                            "maximum");
    check(strstr(text, "\"slices\": [[10, 7, 1000]]") != NULL, "and the time "
                                                               "line as far as "
                                                               "it goes");
    check(ledger_full(&l), "there is no room left");
    free(text);
}

int main(void)
{
    test_histogram();
    test_frame();
    test_ledger();
    test_report();
    printf("1..%d\n", done);
    return failed != 0;
}
