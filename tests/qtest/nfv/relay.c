/*
 * A relay between the ends of a migration, which tampers with the first record
 *
 * Copyright (c) 2026 the kvm4nfv authors
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "qemu/osdep.h"
#include <poll.h>
#include <sys/un.h>
#include "qemu/atomic.h"
#include "qemu/bswap.h"
#include "relay.h"

/* The flag before a record, and how the magic of each begins. */
static const uint8_t mark[] = { 0, 0, 0, 0, 0, 0, 0x04, 0, 'N', 'F', 'V' };
#define FLAG 8    /* bytes */
#define HEADER 16 /* of a record */

/* The answer of stock to the handshake, and that of a QEMU with all features */
static const uint8_t echo[] = { 0x6e, 0x66, 0x76, 0x01 };
static const uint8_t answer[] = { 0x4e, 0x46, 0xff, 0xff };
/* A PING before its value, and all of it. */
static const uint8_t ping[] = { 8, 0, 2, 0, 4 };
#define PING_LENGTH (sizeof(ping) + 4)

/* Type and length of a PONG on the return path. */
static const uint8_t pong_header[] = { 0, 2, 0, 4 };
#define PONG_LENGTH (sizeof(pong_header) + 4)

/* With popmap off, but something else on: the features follow. */
#define ANSWER_PREFIX 2

struct NfvRelay {
    GThread *thread;
    char *to;
    int listener;
    NfvRelayTamper *tamper;
    bool promise;
    GByteArray *lies;
    unsigned upper; /* of the PING to alter, or 0 */
    uint32_t last;  /* PONG, or 0 */
    unsigned records;
    unsigned told, altered; /* atomic */
};

static void put_pong(uint8_t *message, uint32_t pong)
{
    memcpy(message, pong_header, sizeof(pong_header));
    stl_be_p(message + sizeof(pong_header), pong);
}

static struct sockaddr_un address_of(const char *path)
{
    struct sockaddr_un address = { .sun_family = AF_UNIX };

    g_assert_cmpuint(strlen(path), <, sizeof(address.sun_path));
    strcpy(address.sun_path, path);
    return address;
}

/* False if the other side is gone. */
static bool send_all(int fd, const uint8_t *bytes, size_t length)
{
    while (length) {
        ssize_t n = send(fd, bytes, length, MSG_NOSIGNAL);

        if (n <= 0) {
            return false;
        }
        bytes += n;
        length -= n;
    }
    return true;
}

/* Where it begins, or may begin if more comes; else the length. */
static size_t find_mark(const GByteArray *bytes)
{
    for (size_t at = 0; at < bytes->len; at++) {
        if (!memcmp(bytes->data + at, mark,
                    MIN(sizeof(mark), bytes->len - at))) {
            return at;
        }
    }
    return bytes->len;
}

/* Of the record at the start of @bytes with its flag; 0: not all there. */
static size_t record_length(const GByteArray *bytes)
{
    size_t length;

    if (bytes->len < FLAG + HEADER) {
        return 0;
    }
    length = FLAG + HEADER + ldl_be_p(bytes->data + FLAG + 8);
    return length <= bytes->len ? length : 0;
}

/* Send what can be sent of @pending.  False: close. */
static bool forward(NfvRelay *relay, int fd, GByteArray *pending)
{
    size_t length = find_mark(pending);

    if (!send_all(fd, pending->data, length)) {
        return false;
    }
    g_byte_array_remove_range(pending, 0, length);
    length = record_length(pending);
    if (length) {
        g_autoptr(GByteArray) record = g_byte_array_new();
        bool more;

        relay->records++;
        g_byte_array_append(record, pending->data, length);
        g_byte_array_remove_range(pending, 0, length);
        more = relay->tamper(record);
        return send_all(fd, record->data, record->len) && more &&
               send_all(fd, pending->data, pending->len);
    }
    return true;
}

static void promise_all(uint8_t *bytes, size_t length)
{
    for (size_t at = 0; at + sizeof(echo) <= length; at++) {
        if (!memcmp(bytes + at, echo, sizeof(echo)) ||
            !memcmp(bytes + at, answer, ANSWER_PREFIX)) {
            memcpy(bytes + at, answer, sizeof(answer));
        }
    }
}

static void alter_ping(NfvRelay *relay, GByteArray *bytes)
{
    for (size_t at = 0; at + PING_LENGTH <= bytes->len; at++) {
        uint8_t *value = bytes->data + at + sizeof(ping);

        if (relay->upper && !relay->altered &&
            !memcmp(bytes->data + at, ping, sizeof(ping)) &&
            ldl_be_p(value) >> 20 == relay->upper) {
            value[3] ^= 1;
            qatomic_inc(&relay->altered);
        }
    }
}

/* A PONG comes alone or among others, but in one piece. */
static bool has_pong(const uint8_t *bytes, size_t length, uint32_t pong)
{
    uint8_t message[PONG_LENGTH];

    put_pong(message, pong);
    return memmem(bytes, length, message, sizeof(message));
}

static bool tell_lies(NfvRelay *relay, int to)
{
    if (!relay->lies->len) {
        return true;
    }
    if (!send_all(to, relay->lies->data, relay->lies->len)) {
        return false;
    }
    qatomic_inc(&relay->told);
    return true;
}

static void relay_bytes(NfvRelay *relay, int from, int to)
{
    g_autoptr(GByteArray) pending = g_byte_array_new();
    struct pollfd fds[] = {
        { .fd = from, .events = POLLIN },
        { .fd = to, .events = POLLIN },
    };
    uint8_t bytes[16384];
    ssize_t n;
    int ready;

    while ((ready = poll(fds, 2, relay->lies->len ? 10 : -1)) >= 0) {
        if (!ready && !tell_lies(relay, from)) {
            return;
        }
        if (fds[0].revents) {
            n = recv(from, bytes, sizeof(bytes), 0);
            if (n <= 0) {
                return;
            }
            if (relay->records) {
                if (!send_all(to, bytes, n)) {
                    return;
                }
            } else {
                g_byte_array_append(pending, bytes, n);
                alter_ping(relay, pending);
                if (!forward(relay, to, pending)) {
                    return;
                }
            }
        }
        if (fds[1].revents) {
            n = recv(to, bytes, sizeof(bytes), 0);
            if (n <= 0) {
                return;
            }
            if (relay->promise) {
                promise_all(bytes, n);
            }
            if (!tell_lies(relay, from) || !send_all(from, bytes, n) ||
                (relay->last && has_pong(bytes, n, relay->last))) {
                return;
            }
        }
    }
}

static void *relay_thread(void *opaque)
{
    NfvRelay *relay = opaque;
    struct sockaddr_un address = address_of(relay->to);
    int from = accept(relay->listener, NULL, NULL);
    int to = socket(AF_UNIX, SOCK_STREAM, 0);

    g_assert_cmpint(from, >=, 0);
    g_assert_cmpint(connect(to, (struct sockaddr *)&address, sizeof(address)),
                    ==, 0);
    relay_bytes(relay, from, to);
    close(from);
    close(to);
    return NULL;
}

NfvRelay *nfv_relay_new(const char *from, const char *to,
                        NfvRelayTamper *tamper, bool promise)
{
    NfvRelay *relay = g_new0(NfvRelay, 1);
    struct sockaddr_un address = address_of(from);

    relay->to = g_strdup(to);
    relay->tamper = tamper;
    relay->promise = promise;
    relay->lies = g_byte_array_new();
    relay->listener = socket(AF_UNIX, SOCK_STREAM, 0);
    g_assert_cmpint(bind(relay->listener, (struct sockaddr *)&address,
                         sizeof(address)),
                    ==, 0);
    g_assert_cmpint(listen(relay->listener, 1), ==, 0);
    relay->thread = g_thread_new("relay", relay_thread, relay);
    return relay;
}

void nfv_relay_lie(NfvRelay *relay, uint32_t pong)
{
    uint8_t message[PONG_LENGTH];

    put_pong(message, pong);
    g_byte_array_append(relay->lies, message, sizeof(message));
}

void nfv_relay_end_after(NfvRelay *relay, uint32_t pong)
{
    relay->last = pong;
}

void nfv_relay_alter_ping(NfvRelay *relay, unsigned upper)
{
    relay->upper = upper;
}

unsigned nfv_relay_told(NfvRelay *relay)
{
    return qatomic_read(&relay->told);
}

unsigned nfv_relay_altered(NfvRelay *relay)
{
    return qatomic_read(&relay->altered);
}

unsigned nfv_relay_free(NfvRelay *relay)
{
    unsigned records;

    g_thread_join(relay->thread);
    records = relay->records;
    close(relay->listener);
    g_byte_array_unref(relay->lies);
    g_free(relay->to);
    g_free(relay);
    return records;
}
