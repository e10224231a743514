/*
 * TLS of one connection, without blocking.  Private to this component.
 *
 * SPDX-License-Identifier: Apache-2.0
 *
 * Locks: thread of the loop.
 */
#ifndef MSN_WIRE_TLS_H
#define MSN_WIRE_TLS_H

#include "base/cleanup.h"
#include "wire/peer.h"

#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>
#include <sys/uio.h>

struct ssl_ctx_st;
struct tls;

/* Server's side of @fd, which is borrowed. */
MSN_MUST_CHECK int tls_new(struct tls **out, struct ssl_ctx_st *ctx, int fd);
struct tls *tls_free(struct tls *t);

/* Goes on with the handshake: 0 when it is done, -EAGAIN, or -EPROTO. */
MSN_MUST_CHECK int tls_handshake(struct tls *t);
bool tls_is_open(const struct tls *t);

/* The name in the client's certificate, which has been verified. */
void tls_identify(const struct tls *t, struct msn_peer *peer);

/* As read() and write(), with negated errnos. */
ssize_t tls_read(struct tls *t, void *buf, size_t len);
ssize_t tls_write(struct tls *t, const struct iovec *iov, size_t count);

/* Has bytes that were read from the socket and not from here. */
bool tls_has_more(const struct tls *t);

/* Waits until the socket can be written. */
bool tls_wants_write(const struct tls *t);

/* Says, if it can at once, that no more will come. */
void tls_goodbye(struct tls *t);

#endif /* MSN_WIRE_TLS_H */
