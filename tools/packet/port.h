/*
 * A network interface that frames are sent on, and one that they are received
 * from.
 *
 * Copyright (c) 2026 the kvm4nfv authors
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#ifndef PACKET_PORT_H
#define PACKET_PORT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

typedef struct Port {
    int fd;
    uint8_t *ring; /* of received frames, shared with the kernel */
    unsigned next;
} Port;

/* Both end the program with a message if it cannot be. */
void port_open_sender(Port *port, const char *interface);
void port_open_receiver(Port *port, const char *interface);

/* False if the interface takes no frame now. */
bool port_send(Port *port, const uint8_t *data, size_t length);

/*
 * The next frame that was received, with the kernel's CLOCK_REALTIME of it in
 * ns; NULL if there is none. Valid until port_release().
 */
const uint8_t *port_receive(Port *port, size_t *length, uint64_t *stamp);
void port_release(Port *port);

/* Frames that the kernel received, but for which the ring had no room. */
unsigned port_drops(Port *port);

#endif
