/*
 * Walk: where the frames of HTTP/2 begin and end in a stream of bytes, and how
 * many of them do no work.  Private to this component.
 *
 * SPDX-License-Identifier: Apache-2.0
 *
 * nghttp2 does not say whether it waits for the rest of a frame, and answers
 * PINGs without end.  Both are seen here, from the frames' heads alone.
 *
 * Frames that do no work (PING, SETTINGS, PRIORITY, empty DATA, unknown ones)
 * are paid for with tokens.  There are WALK_IDLE_MAX; each second brings
 * WALK_IDLE_PER_SECOND, and an answer that is sent all of them, since clients
 * measure a connection's speed with PINGs while they read.
 */
#ifndef MSN_WIRE_GRPC_WALK_H
#define MSN_WIRE_GRPC_WALK_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define WALK_IDLE_MAX 200
#define WALK_IDLE_PER_SECOND 10

#define WALK_HEAD_BYTES 9
#define WALK_PREFACE_BYTES 24

struct walk {
	uint32_t left; /* bytes of the preface or a frame's payload to come */
	uint8_t head[WALK_HEAD_BYTES];
	uint8_t head_len;
	bool in_block;	 /* a header block has begun and not ended */
	unsigned frames; /* whole ones, by and by */
	unsigned tokens;
	uint64_t paid_at; /* ns: when tokens were last brought */
};

void walk_init(struct walk *w, uint64_t now);

/* Takes bytes that came.  False: too many frames that do no work. */
bool walk_take(struct walk *w, const uint8_t *data, size_t len, uint64_t now);

/* Is a frame, or a header block of several, only half there? */
bool walk_is_mid_frame(const struct walk *w);

/* An answer was sent. */
static inline void walk_worked(struct walk *w)
{
	w->tokens = WALK_IDLE_MAX;
}

#endif /* MSN_WIRE_GRPC_WALK_H */
