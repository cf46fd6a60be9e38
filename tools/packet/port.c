/*
 * Network interfaces by AF_PACKET: a ring of received frames, each with the
 * kernel's time stamp.
 *
 * Copyright (c) 2026 the kvm4nfv authors
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include <arpa/inet.h>
#include <err.h>
#include <errno.h>
#include <stdlib.h>
#include <unistd.h>
#include <linux/if_ether.h>
#include <linux/if_packet.h>
#include <linux/net_tstamp.h>
#include <net/if.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include "port.h"

#define SLOT_SIZE 2048u
#define SLOTS 8192u
#define BLOCK_SIZE (1u << 16)

static void set(int fd, int level, int name, const void *value,
                socklen_t length, const char *what)
{
    if (setsockopt(fd, level, name, value, length)) {
        err(1, "cannot set %s", what);
    }
}

static unsigned number_of(const char *interface)
{
    unsigned index = if_nametoindex(interface);

    if (!index) {
        errx(1, "interface '%s' does not exist; ip link shows those that do",
             interface);
    }
    return index;
}

static void open_port(Port *port, const char *interface, int protocol)
{
    struct sockaddr_ll address = {
        .sll_family = AF_PACKET,
        .sll_protocol = htons(protocol),
        .sll_ifindex = number_of(interface),
    };

    port->fd = socket(AF_PACKET, SOCK_RAW | SOCK_CLOEXEC, 0);
    if (port->fd < 0) {
        err(1, "cannot open a packet socket, which needs CAP_NET_RAW in the "
               "network namespace");
    }
    if (bind(port->fd, (struct sockaddr *)&address, sizeof(address))) {
        err(1, "cannot use interface '%s'", interface);
    }
}

void port_open_sender(Port *port, const char *interface)
{
    int on = 1;

    open_port(port, interface, 0);
    /* Straight to the driver: a queueing discipline would add its own delay. */
    set(port->fd, SOL_PACKET, PACKET_QDISC_BYPASS, &on, sizeof(on),
        "PACKET_QDISC_BYPASS");
}

void port_open_receiver(Port *port, const char *interface)
{
    int version = TPACKET_V2,
        stamps = SOF_TIMESTAMPING_RX_SOFTWARE | SOF_TIMESTAMPING_SOFTWARE;
    struct tpacket_req ring = {
        .tp_block_size = BLOCK_SIZE,
        .tp_block_nr = SLOTS / (BLOCK_SIZE / SLOT_SIZE),
        .tp_frame_size = SLOT_SIZE,
        .tp_frame_nr = SLOTS,
    };
    struct packet_mreq all = { .mr_ifindex = number_of(interface),
                               .mr_type = PACKET_MR_PROMISC };

    open_port(port, interface, ETH_P_IP);
    set(port->fd, SOL_SOCKET, SO_TIMESTAMPING, &stamps, sizeof(stamps),
        "SO_TIMESTAMPING");
    set(port->fd, SOL_PACKET, PACKET_VERSION, &version, sizeof(version),
        "PACKET_VERSION");
    set(port->fd, SOL_PACKET, PACKET_ADD_MEMBERSHIP, &all, sizeof(all),
        "promiscuous mode");
    set(port->fd, SOL_PACKET, PACKET_RX_RING, &ring, sizeof(ring),
        "PACKET_RX_RING");
    port->ring = mmap(NULL, SLOTS * SLOT_SIZE, PROT_READ | PROT_WRITE,
                      MAP_SHARED, port->fd, 0);
    if (port->ring == MAP_FAILED) {
        err(1, "cannot map the ring of '%s'", interface);
    }
}

bool port_send(Port *port, const uint8_t *data, size_t length)
{
    if (send(port->fd, data, length, MSG_DONTWAIT) >= 0) {
        return true;
    }
    if (errno != ENOBUFS && errno != EAGAIN && errno != EINTR) {
        err(1, "cannot send");
    }
    return false;
}

static struct tpacket2_hdr *slot(Port *port)
{
    return (struct tpacket2_hdr *)(port->ring + (size_t)port->next * SLOT_SIZE);
}

const uint8_t *port_receive(Port *port, size_t *length, uint64_t *stamp)
{
    struct tpacket2_hdr *header = slot(port);

    if (!(__atomic_load_n(&header->tp_status, __ATOMIC_ACQUIRE) &
          TP_STATUS_USER)) {
        return NULL;
    }
    *length = header->tp_snaplen;
    *stamp = header->tp_sec * 1000000000ull + header->tp_nsec;
    return (uint8_t *)header + header->tp_mac;
}

void port_release(Port *port)
{
    __atomic_store_n(&slot(port)->tp_status, TP_STATUS_KERNEL,
                     __ATOMIC_RELEASE);
    port->next = (port->next + 1) % SLOTS;
}

unsigned port_drops(Port *port)
{
    struct tpacket_stats stats = { 0 };
    socklen_t length = sizeof(stats);

    getsockopt(port->fd, SOL_PACKET, PACKET_STATISTICS, &stats, &length);
    return stats.tp_drops;
}
