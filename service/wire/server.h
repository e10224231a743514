/*
 * Server: sockets in, calls out.
 *
 * SPDX-License-Identifier: Apache-2.0
 *
 * Listens on any number of sockets.  The first byte of a connection tells what
 * it speaks: 'P' the preface of HTTP/2, so gRPC; zero ttrpc; 'G' or 'H' a GET
 * or HEAD of HTTP/1, answered for /metrics and /healthz alone; 0x16 TLS, on
 * listeners that have it (there nothing else is taken).  Anything else is
 * closed.
 *
 *    socket -> connection -> codec -> call -> handler (loop thread or worker)
 *
 * Invariants
 * (1) The loop thread alone touches connections, codecs and sockets.
 * (2) A connection holds at most MSN_CONN_BUFFER_BYTES that it has received and
 *     not handed over, and its calls at most MSN_CALL_QUEUE_BYTES each that are
 *     not sent.
 * (3) A call that was opened is finished exactly once on its connection, or the
 *     connection is closed.
 * (4) Descriptors that came with a message and that nobody took are closed with
 *     its call; more than MSN_CONN_FDS_MAX unclaimed ones end the connection
 *     with RESOURCE_EXHAUSTED, they are never dropped silently.
 *
 * Locks: loop thread, but where a function says otherwise.
 */
#ifndef MSN_WIRE_SERVER_H
#define MSN_WIRE_SERVER_H

#include "base/cleanup.h"
#include "base/failure.h"
#include "loop/loop.h"
#include "status/status.h"
#include "wire/method.h"
#include "wire/peer.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct msn_server;
struct msn_call;

/* Received and not handed over yet, of one connection. */
#define MSN_CONN_BUFFER_BYTES ((size_t)8 << 20)
/* Descriptors received with messages and not claimed, of one connection. */
#define MSN_CONN_FDS_MAX 64
/* Calls under way on one connection: MAX_CONCURRENT_STREAMS. */
#define MSN_CONN_CALLS_MAX 128
/* A connection must have shown what it speaks within this time; a frame that
 * was begun must be whole. */
#define MSN_CONN_HELLO_MS 10000
#define MSN_CONN_FRAME_MS 30000

/* Told of each call that ended, on the loop thread: for metrics and logs. */
struct msn_call_record {
	const struct msn_method *method; /* NULL: no such method */
	const struct msn_peer *peer;
	const struct msn_status *status;
	const char *codec; /* "grpc", "ttrpc" */
	const char *trace_id;
	uint64_t duration_ns, received_bytes, sent_bytes;
};

struct msn_server_limits {
	unsigned connections;		/* of all; 0: 16384 */
	unsigned connections_per_owner; /* 0: 1024 */
	unsigned calls_per_owner;	/* under way; 0: 1024 */
	unsigned blocking_per_owner;	/* on workers at once; 0: 16 */
	unsigned calls_per_second;	/* of one owner; 0: no limit */
	unsigned fds_per_owner;		/* received, not taken; 0: 1024 */
	size_t buffered_bytes;		/* of all; see budget.h; 0: 256 MiB */
	/* Milliseconds; 0: MSN_CONN_HELLO_MS, MSN_CONN_FRAME_MS,
	 * MSN_CALL_STALL_MS. */
	unsigned hello_ms, frame_ms, stall_ms;
};

struct msn_server_opts {
	struct msn_loop *loop;		   /* borrowed */
	struct msn_workers *workers;	   /* borrowed */
	const struct msn_methods *methods; /* borrowed */
	struct msn_server_limits limits;
	void *context; /* for msn_call_context() */

	/*
	 * Decides who a peer is: fills owner and role, from what the kernel or
	 * TLS said and, for @token, from "authorization: Bearer" of one call
	 * (NULL when the connection is accepted).  A negated errno refuses it:
	 * the connection is closed, the call UNAUTHENTICATED.  NULL: everybody
	 * is MSN_ROLE_ADMIN and "uid:N", for tests.
	 */
	int (*authenticate)(void *context, struct msn_peer *peer,
			    const char *token);

	/* Writes the text of /metrics to @out, for free().  NULL: 404. */
	int (*metrics)(void *context, char **out, size_t *len);
	/* Is the service healthy?  For /healthz.  NULL: yes. */
	bool (*healthy)(void *context);
	void (*ended)(void *context, const struct msn_call_record *record);
};

MSN_MUST_CHECK int msn_server_new(struct msn_server **out,
				  const struct msn_server_opts *opts,
				  struct msn_failure *why);

/*
 * Closes everything at once; calls are cancelled.  Handlers that are on workers
 * may take a while to notice: what the server was given is freed in the order
 * server, workers, loop, methods and context.  Loop thread, not from a handler;
 * NULL is allowed.
 */
struct msn_server *msn_server_free(struct msn_server *s);
MSN_DEFINE_AUTO(struct msn_server, msn_server_free)

struct msn_listen_opts {
	int fd; /* listening; taken over, also on failure */
	enum msn_transport transport; /* checked against the socket */
	struct ssl_ctx_st *tls;	      /* MSN_TRANSPORT_TLS; borrowed */
	bool metrics_only;	      /* nothing but HTTP/1 */
};

MSN_MUST_CHECK int msn_server_listen(struct msn_server *s,
				     const struct msn_listen_opts *opts,
				     struct msn_failure *why);

/* Serves a connected socket, as accept() gives it; taken over. */
MSN_MUST_CHECK int msn_server_adopt(struct msn_server *s,
				    const struct msn_listen_opts *opts,
				    struct msn_failure *why);

/*
 * Ends gracefully: takes no new connections, tells clients to go (GOAWAY in two
 * steps), lets calls end; those that have not after @timeout_ms are cancelled.
 * @done is called when the last connection has gone, for which those without
 * calls have two seconds.
 */
void msn_server_drain(struct msn_server *s, unsigned timeout_ms,
		      void (*done)(void *context), void *context);

struct msn_server_usage {
	unsigned connections, calls;
	uint64_t accepted, refused; /* connections since the start */
	size_t buffered_bytes;
};
void msn_server_usage(const struct msn_server *s, struct msn_server_usage *out);

#endif /* MSN_WIRE_SERVER_H */
