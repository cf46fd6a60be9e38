/*
 * A relay between the ends of a migration, which tampers with the first record
 *
 * Copyright (c) 2026 the kvm4nfv authors
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#ifndef TESTS_QTEST_NFV_RELAY_H
#define TESTS_QTEST_NFV_RELAY_H

typedef struct NfvRelay NfvRelay;

/*
 * Change the record, its flag of 8 bytes before it; what is left in @record is
 * sent.  In the relay's thread.  False to close both connections then.
 */
typedef bool NfvRelayTamper(GByteArray *record);

/*
 * Listen on the socket @from and connect to @to, once.  @promise: tell the
 * source that the destination has all features, though it is stock or has them
 * switched off.
 */
NfvRelay *nfv_relay_new(const char *from, const char *to,
                        NfvRelayTamper *tamper, bool promise);

/*
 * The source gets this PONG before anything that the destination says, and
 * whenever neither has said anything for 10 ms.  Before the migration begins.
 */
void nfv_relay_lie(NfvRelay *relay, uint32_t pong);

/*
 * Flip a bit of the first PING with these upper 12 bits.  Before the migration
 * begins.
 */
void nfv_relay_alter_ping(NfvRelay *relay, unsigned upper);

/*
 * Close both connections when the source has been given this PONG.  Before the
 * migration begins.
 */
void nfv_relay_end_after(NfvRelay *relay, uint32_t pong);

/* How often all lies were told, and how many PINGs were altered.  Any thread. */
unsigned nfv_relay_told(NfvRelay *relay);
unsigned nfv_relay_altered(NfvRelay *relay);

/* Wait until either end is closed.  Returns 1 if a record came, else 0. */
unsigned nfv_relay_free(NfvRelay *relay);

#endif
