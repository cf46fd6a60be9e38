/*
 * Test frame: UDP over IPv4 with a number and the time at which it was sent.
 *
 * Copyright (c) 2026 the kvm4nfv authors
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include <endian.h>
#include <string.h>
#include <linux/if_ether.h>
#include <netinet/ip.h>
#include <netinet/udp.h>
#include "frame.h"

#define MAGIC 0x6e66
/*
 * The port of the discard service: a host that gets such a frame by mistake
 * does nothing with it.
 */
#define PORT 9

typedef struct __attribute__((packed)) Payload {
    uint16_t magic;
    uint32_t stream, number;
    uint64_t stamp;
} Payload;

typedef struct __attribute__((packed)) Frame {
    struct ethhdr eth;
    struct iphdr ip;
    struct udphdr udp;
    Payload payload;
} Frame;

_Static_assert(sizeof(Frame) <= FRAME_MIN - FRAME_FCS, "the shortest frame "
                                                       "holds it");

static uint16_t checksum(const void *data, size_t length)
{
    const uint8_t *p = data;
    uint32_t sum = 0;

    for (; length > 1; length -= 2, p += 2) {
        sum += p[0] << 8 | p[1];
    }
    while (sum >> 16) {
        sum = (sum & 0xffff) + (sum >> 16);
    }
    return htobe16(~sum);
}

void frame_build(uint8_t *data, size_t size, const FrameAddress *from,
                 const FrameAddress *to, uint32_t stream)
{
    size_t length = size - FRAME_FCS;
    Frame frame = {
        .eth.h_proto = htobe16(ETH_P_IP),
        .ip = {
            .version = 4,
            .ihl = 5,
            .tot_len = htobe16(length - ETH_HLEN),
            .frag_off = htobe16(IP_DF),
            .ttl = 64,
            .protocol = IPPROTO_UDP,
            .saddr = from->ip.s_addr,
            .daddr = to->ip.s_addr,
        },
        .udp = {
            .source = htobe16(PORT), .dest = htobe16(PORT),
            .len = htobe16(length - ETH_HLEN - sizeof(struct iphdr)),
        },
        .payload = { .magic = htobe16(MAGIC), .stream = htobe32(stream) },
    };

    memcpy(frame.eth.h_source, from->mac, ETH_ALEN);
    memcpy(frame.eth.h_dest, to->mac, ETH_ALEN);
    frame.ip.check = checksum(&frame.ip, sizeof(frame.ip));
    memset(data, 0, length);
    memcpy(data, &frame, sizeof(frame));
}

void frame_tag(uint8_t *data, uint32_t number, uint64_t stamp)
{
    Frame *frame = (Frame *)data;

    frame->payload.number = htobe32(number);
    frame->payload.stamp = htobe64(stamp);
}

bool frame_parse(const uint8_t *data, size_t length, FrameTag *tag)
{
    Frame frame;

    if (length < sizeof(frame)) {
        return false;
    }
    memcpy(&frame, data, sizeof(frame));
    if (frame.eth.h_proto != htobe16(ETH_P_IP) ||
        frame.ip.protocol != IPPROTO_UDP || frame.ip.ihl != 5 ||
        frame.udp.dest != htobe16(PORT) ||
        frame.payload.magic != htobe16(MAGIC)) {
        return false;
    }
    tag->stream = be32toh(frame.payload.stream);
    tag->number = be32toh(frame.payload.number);
    tag->stamp = be64toh(frame.payload.stamp);
    return true;
}
