/*
 * Connection: bytes and descriptors, in and out.  Private to this component.
 *
 * SPDX-License-Identifier: Apache-2.0
 *
 *    socket --read--> codec->receive()        conn_queue() --> out --write-->
 *
 * An idle connection is this struct and its link: the
 * codec is made when the first byte shows which, and bytes are read into memory
 * that all connections share.
 *
 * What is queued is written when the connection is settled: once, at the end of
 * its own event, or of the round of the loop in which something was queued.
 * Connections are freed there and nowhere else, so whatever runs below an event
 * may use its connection to its end.
 *
 * Locks: thread of the loop.
 */
#ifndef MSN_WIRE_CONN_H
#define MSN_WIRE_CONN_H

#include "loop/watch.h"
#include "wire/codec.h"
#include "wire/link.h"
#include "wire/server_private.h"

/* The calls of a connection without flow control may hold so much before it is
 * read no further; it goes on at half of that. */
#define CONN_INBOX_HIGH ((size_t)4 << 20)
#define CONN_INBOX_LOW (CONN_INBOX_HIGH / 2)

/* A connection that has been closed on this side takes what still comes, so
 * that the other side can read the last answer; for so long. */
#define CONN_LINGER_MS 2000

/* A descriptor that came, and where: how many bytes had come with it. */
struct conn_fd {
	int fd;
	uint64_t at;
};

struct tls;

enum conn_wait {
	CONN_WAIT_NOTHING,
	CONN_WAIT_HELLO,  /* for the first byte, or the end of a handshake */
	CONN_WAIT_FRAME,  /* for the rest of a frame */
	CONN_WAIT_INBOX,  /* for a handler to take what came */
	CONN_WAIT_LINGER, /* for the other side's end */
};

struct conn {
	struct msn_server *server;
	struct ring of_server, dirty;
	struct ring calls; /* of_conn */
	unsigned call_count;
	struct link *link; /* a reference */
	struct tls *tls;   /* NULL: none */
	struct codec *codec;
	bool http_only;

	int fd;
	struct msn_watch watch;
	bool admitted; /* counted among the connections of its owner */
	bool in_event; /* will be settled at its end */
	bool again;    /* bytes are there of which nobody will tell */
	bool unwanted; /* bytes came and are not wanted now */
	bool blocked;  /* the socket takes no more */
	bool high;     /* the queue was full: the codec may have more */
	bool closing;  /* when everything is sent */
	bool shut;     /* everything is sent: takes the rest */
	bool dead;     /* at once */

	enum conn_wait wait; /* what `in_timer` is for */
	struct msn_timer in_timer, out_timer;
	uint64_t frames, timed_frame;

	uint64_t received;	    /* bytes */
	const uint8_t *scratch_end; /* where the bytes under way end */
	struct conn_fd *fds;	    /* in the order in which they came */
	size_t fd_count;
	size_t held; /* by the codec: charged to the owner */

	struct message *out, **out_end;
	size_t out_bytes;  /* not sent */
	size_t out_done;   /* of the first, sent */
	uint64_t moved_at; /* ns: when bytes last left */
};

struct conn_opts {
	int fd; /* taken over, also on failure */
	enum msn_transport transport;
	struct ssl_ctx_st *tls;
	bool http_only;
};

MSN_MUST_CHECK int conn_new(struct msn_server *s, const struct conn_opts *opts);
void conn_free(struct conn *conn);

/* The connection is of no more use: its calls are lost, and it is closed when
 * what is queued is sent. */
void conn_fail(struct conn *conn);

/* Ends all calls with this status. */
void conn_cancel_calls(struct conn *conn, enum msn_code code,
		       const char *reason, const char *text);

/* Writes, sets the source and the timers; may free the connection. */
void conn_settle(struct conn *conn);

/* The owner is known: counts the connection, or refuses it. */
MSN_MUST_CHECK int conn_admit(struct conn *conn);

/* Bytes of calls came, or were taken: stops or goes on reading, where that is
 * all there is to hold a client back. */
void conn_check_inbox(struct link *link);

/* ---- conn_in.c ----------------------------------------------------------- */

/* Reads and has the codec take it: a bounded part, the rest in later rounds. */
void conn_read(struct conn *conn);
void conn_close_fds(struct conn *conn);

/* ---- conn_out.c ---------------------------------------------------------- */

/* Writes what can be written, up to a bound. */
void conn_write(struct conn *conn);
void conn_drop_out(struct conn *conn);

#endif /* MSN_WIRE_CONN_H */
