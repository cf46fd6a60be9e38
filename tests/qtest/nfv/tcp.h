/*
 * Another process's TCP connections, to break them
 *
 * Copyright (c) 2026 the kvm4nfv authors
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#ifndef TESTS_QTEST_NFV_TCP_H
#define TESTS_QTEST_NFV_TCP_H

/* False, and the test is skipped, where the kernel does not let us. */
bool nfv_tcp_can_close(void);

/*
 * End the sending side of each TCP connection of @pid, which must have one; it
 * receives still, and its peer sees the end of the stream.
 */
void nfv_tcp_end_sending(pid_t pid);

/*
 * Lose what waits in each, and what still comes within @ms milliseconds, and end
 * both sides.  @pid must not be reading.
 */
void nfv_tcp_lose(pid_t pid, unsigned ms);

#endif
