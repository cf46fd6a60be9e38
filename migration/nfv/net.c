/*
 * Socket options of the migration's channels
 *
 * Stock sets TCP_NODELAY on outgoing multifd channels only.  The others carry
 * short messages that the peer waits for: a request for a page and the page,
 * the end of the device state.  Nagle's algorithm holds such a message back
 * until the one before it is acknowledged.
 *
 * Copyright (c) 2026 the kvm4nfv authors
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "qemu/osdep.h"
#include "qemu/sockets.h"
#include <netinet/tcp.h>
#include "io/channel-socket.h"
#include "io/channel-tls.h"
#include "migration/nfv.h"
#include "trace.h"

QIOChannelSocket *nfv_net_socket(QIOChannel *ioc)
{
    if (object_dynamic_cast(OBJECT(ioc), TYPE_QIO_CHANNEL_TLS)) {
        ioc = QIO_CHANNEL_TLS(ioc)->master;
    }
    return (QIOChannelSocket *)object_dynamic_cast(OBJECT(ioc),
                                                   TYPE_QIO_CHANNEL_SOCKET);
}

static bool is_tcp(const QIOChannelSocket *sioc)
{
    return sioc->localAddr.ss_family == AF_INET ||
           sioc->localAddr.ss_family == AF_INET6;
}

/* TCP may have as much under way as the link takes, but not wait in the socket. */
void nfv_net_shorten_queue(QIOChannel *ioc, uint64_t bytes)
{
    QIOChannelSocket *sioc = nfv_net_socket(ioc);
    int size = MIN(bytes, INT_MAX / 2); /* the kernel doubles SO_SNDBUF */
    int ret;

    if (!nfv_migration_settings()->net || !sioc) {
        return;
    }
    if (is_tcp(sioc)) {
        ret = setsockopt(sioc->fd, IPPROTO_TCP, TCP_NOTSENT_LOWAT, &size,
                         sizeof(size));
    } else {
        ret = setsockopt(sioc->fd, SOL_SOCKET, SO_SNDBUF, &size, sizeof(size));
    }
    /* Without it the guest waits longer, nothing else. */
    trace_nfv_net_shorten_queue(size, ret ? errno : 0);
}

void nfv_net_channel(QIOChannel *ioc)
{
    QIOChannelSocket *sioc;
    int on = 1;

    if (!nfv_migration_settings()->net) {
        return;
    }
    sioc = nfv_net_socket(ioc);
    if (!sioc) {
        return;
    }
    if (is_tcp(sioc)) {
        int ret = setsockopt(sioc->fd, IPPROTO_TCP, TCP_NODELAY, &on,
                             sizeof(on));

        /* Without it the migration works as stock's does. */
        trace_nfv_net_nodelay(sioc->fd, ret ? errno : 0);
    }
}
