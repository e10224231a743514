/*
 * What a server is made of; for the files of this component.
 *
 * SPDX-License-Identifier: Apache-2.0
 *
 * Locks: thread of the loop; references and budget any thread.
 */
#ifndef MSN_WIRE_SERVER_PRIVATE_H
#define MSN_WIRE_SERVER_PRIVATE_H

#include "loop/timer.h"
#include "wire/owner.h"
#include "wire/ring.h"
#include "wire/server.h"

/* What one read takes: large enough that bulk goes at full speed, small enough
 * that nobody waits long for another's. */
#define SERVER_SCRATCH_BYTES ((size_t)128 << 10)

struct listener {
	struct ring of_server;
	struct msn_server *server;
	struct msn_listen_opts opts;
	sd_event_source *io;
};

struct msn_server {
	/* Its owner's, and one of each call and of a flush under way. */
	atomic_uint refs;
	struct msn_server_opts opts; /* set once; limits without zeroes */
	struct owners owners;
	bool closed;	    /* by msn_server_free() */
	bool draining, cut; /* has begun; what was left has been cancelled */
	void (*drained)(void *context);
	void *drained_context;
	struct msn_timer drain_timer;

	struct ring listeners, conns;
	unsigned conn_count, call_count;
	uint64_t accepted, refused;
	bool accept_paused; /* no descriptors are left */
	struct msn_timer accept_timer;

	struct ring dirty; /* connections to settle at the end of the round */
	struct msn_task flush;
	bool flush_posted; /* with a reference */

	uint8_t *scratch; /* what was read last; of SERVER_SCRATCH_BYTES */
};

struct msn_server *server_ref(struct msn_server *s);
struct msn_server *server_unref(struct msn_server *s);

/* Settles connections, and looks whether draining is done, soon. */
void server_poke(struct msn_server *s);

/* No descriptor is free: accepts nothing for a while. */
void server_pause_accept(struct msn_server *s);

/* A descriptor has become free: accepts again. */
void server_resume_accept(struct msn_server *s);

/* listen.c */
void listener_free(struct listener *l);
void listener_enable(struct listener *l, bool on);

#endif /* MSN_WIRE_SERVER_PRIVATE_H */
