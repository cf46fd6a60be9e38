/*
 * Test frame: UDP over IPv4 with a number and the time at which it was sent.
 *
 * Copyright (c) 2026 the kvm4nfv authors
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#ifndef PACKET_FRAME_H
#define PACKET_FRAME_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <netinet/in.h>

/*
 * As RFC 2544 counts, with the 4 bytes of FCS, which packet sockets do not
 * carry.
 */
#define FRAME_MIN 64
#define FRAME_MAX 1518
#define FRAME_FCS 4

typedef struct FrameAddress {
    uint8_t mac[6];
    struct in_addr ip;
} FrameAddress;

/* What a frame says; stamp: CLOCK_REALTIME in ns. */
typedef struct FrameTag {
    uint32_t stream, number;
    uint64_t stamp;
} FrameTag;

/* Fills size - FRAME_FCS bytes at data: everything but number and stamp. */
void frame_build(uint8_t *data, size_t size, const FrameAddress *from,
                 const FrameAddress *to, uint32_t stream);
void frame_tag(uint8_t *data, uint32_t number, uint64_t stamp);
/*
 * False for a frame that is none of ours. A router may have changed MACs, TTL
 * and checksum.
 */
bool frame_parse(const uint8_t *data, size_t length, FrameTag *tag);

#endif
