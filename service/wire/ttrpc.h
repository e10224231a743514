/*
 * ttrpc: its frames and its request, apart from calls.  Private to this
 * component.
 *
 * SPDX-License-Identifier: Apache-2.0
 *
 *    | length: 4 | stream: 4 | type: 1 | flags: 1 | `length` bytes ... |
 *
 *    type 1  request    from the client: opens a stream
 *    type 2  response   from the server: ends it with a message or a status
 *    type 3  data       either way: one message of a stream; NO_DATA: none
 *
 * Numbers are big-endian.  Streams that a client opens have odd, rising
 * numbers.
 */
#ifndef MSN_WIRE_TTRPC_H
#define MSN_WIRE_TTRPC_H

#include "base/cleanup.h"
#include "wire/pbread.h"

#include <stddef.h>
#include <stdint.h>

struct conn;

#define TTRPC_HEADER_BYTES 10
#define TTRPC_FRAME_MAX ((size_t)4 << 20)

enum {
	TTRPC_REQUEST = 1,
	TTRPC_RESPONSE = 2,
	TTRPC_DATA = 3,
};

/* Flags; a request without any is a unary one. */
enum {
	TTRPC_CLOSED = 1 << 0,	/* the sender will send no more */
	TTRPC_OPEN = 1 << 1,	/* of a request: data will follow */
	TTRPC_NO_DATA = 1 << 2, /* of data: it carries no message */
};

/* Fields of the Response message. */
enum {
	TTRPC_RESPONSE_STATUS = 1,
	TTRPC_RESPONSE_PAYLOAD = 2,
};

struct ttrpc_frame {
	uint32_t id;
	uint8_t type, flags;
	size_t len;
	const uint8_t *data; /* borrowed */
};

void ttrpc_put_header(uint8_t *at, const struct ttrpc_frame *f);
void ttrpc_get_header(struct ttrpc_frame *f, const uint8_t *at);

/* ---- bytes into frames: ttrpc_framer.c ----------------------------------- */

/*
 * Cuts bytes into frames.  One that lies whole in what was read is handed over
 * where it lies; of others the part that came is kept, in memory that grows as
 * it comes, so that a header alone costs nothing.
 */
struct ttrpc_framer {
	struct conn *conn; /* what is kept is counted there */
	void *ctx;
	/* A frame is whole; it ends at @end of what is being read. */
	int (*whole)(void *ctx, const struct ttrpc_frame *f,
		     const uint8_t *end);
	/* A frame of more than TTRPC_FRAME_MAX has begun; it is passed over. */
	int (*too_long)(void *ctx, const struct ttrpc_frame *f);

	uint8_t header[TTRPC_HEADER_BYTES];
	size_t header_len;
	struct ttrpc_frame frame; /* once the header is whole */
	uint8_t *body;
	size_t body_len, body_cap;
	size_t skip; /* bytes to be passed over */
};

/* -EPROTO: this is no frame; -ENOBUFS; or what the functions above return. */
MSN_MUST_CHECK int ttrpc_framer_feed(struct ttrpc_framer *f,
				     const uint8_t *data, size_t len);
void ttrpc_framer_deinit(struct ttrpc_framer *f);
bool ttrpc_framer_is_mid_frame(const struct ttrpc_framer *f);

/* ---- the Request message: ttrpc_request.c -------------------------------- */

#define TTRPC_PATH_MAX 512

struct ttrpc_request {
	char path[TTRPC_PATH_MAX]; /* "/service/method" */
	size_t path_len;
	uint64_t timeout_ns;	 /* UINT64_MAX: none */
	struct pb_field payload; /* empty if there is none */
	struct pb message;	 /* from its begin, for ttrpc_next_pair() */
};

struct ttrpc_pair {
	struct pb_field key, value;
};

/* NULL, or what is wrong with it. */
const char *ttrpc_read_request(struct ttrpc_request *out, const uint8_t *data,
			       size_t len);

/* The next pair of metadata of a request that has been read. */
bool ttrpc_next_pair(struct pb *message, struct ttrpc_pair *out);

#endif /* MSN_WIRE_TTRPC_H */
