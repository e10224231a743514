/*
 * Whatever a client of HTTP/2 may send: the server is left with nothing of it
 * when the client has gone.
 *
 * SPDX-License-Identifier: Apache-2.0
 *
 * The input is a script, since a fuzzer does not find by itself what a request
 * looks like.  Each step begins with a byte:
 *
 *    0..7  request of one of the paths       a HEADERS frame that is right, but
 *                                            for what the script adds
 *    8     message                           a DATA frame with one
 *    9     raw bytes                         not even a frame
 *    else  frame of any type                 with any payload
 *
 * What varies in length has its length before it, one byte.
 */
#include "wire_target.h"

#include <stdint.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);

#define PREFACE "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"
#define FRAME_MAX 1024

struct script {
	const uint8_t *at, *end;
};

/* A frame being made: 9 bytes of head, then the payload. */
struct frame {
	uint8_t bytes[9 + FRAME_MAX];
	size_t len;
};

static uint8_t next(struct script *s)
{
	return s->at < s->end ? *s->at++ : 0;
}

/* The next bytes, of which the first says how many there are. */
static size_t run(struct script *s, const uint8_t **out)
{
	size_t n = next(s);

	if (n > (size_t)(s->end - s->at))
		n = (size_t)(s->end - s->at);
	*out = s->at;
	s->at += n;
	return n;
}

static void put(struct frame *f, const void *data, size_t len)
{
	if (len > sizeof(f->bytes) - f->len)
		len = sizeof(f->bytes) - f->len;
	memcpy(f->bytes + f->len, data, len);
	f->len += len;
}

static void put_byte(struct frame *f, uint8_t byte)
{
	put(f, &byte, 1);
}

/* A field as HPACK has it without index or Huffman's code. */
static void put_field(struct frame *f, const void *name, size_t name_len,
		      const void *value, size_t value_len)
{
	put_byte(f, 0);
	put_byte(f, (uint8_t)(name_len < 127 ? name_len : 126));
	put(f, name, name_len < 127 ? name_len : 126);
	put_byte(f, (uint8_t)(value_len < 127 ? value_len : 126));
	put(f, value, value_len < 127 ? value_len : 126);
}

static void put_text(struct frame *f, const char *name, const char *value)
{
	put_field(f, name, strlen(name), value, strlen(value));
}

/* Writes the head and sends. */
static bool send_frame(struct wire_client *c, struct frame *f, uint8_t type,
		       uint8_t flags, uint8_t stream)
{
	size_t n = f->len - 9;
	const uint8_t head[9] = { (uint8_t)(n >> 16),
				  (uint8_t)(n >> 8),
				  (uint8_t)n,
				  type,
				  flags,
				  0,
				  0,
				  0,
				  stream };

	memcpy(f->bytes, head, sizeof(head));
	return wire_send(c, f->bytes, f->len);
}

static const char *const paths[] = {
	"/memsnap.test.Wire/Echo",  "/memsnap.test.Wire/EchoSlow",
	"/memsnap.test.Wire/Count", "/memsnap.test.Wire/CountHere",
	"/memsnap.test.Wire/Sum",   "/memsnap.test.Wire/Chat",
	"/memsnap.test.Wire/Fail",  "/none.Such/Call",
};

enum {
	STEP_MESSAGE = sizeof(paths) / sizeof(paths[0]),
	STEP_RAW,
	STEP_FRAME,
};

static bool request(struct wire_client *c, struct script *s, unsigned path,
		    uint8_t *stream)
{
	struct frame f = { .len = 9 };
	uint8_t flags = next(s), fields = next(s) & 3;

	put_text(&f, ":method", "POST");
	put_text(&f, ":scheme", "http");
	put_text(&f, ":path", paths[path]);
	put_text(&f, "te", "trailers");
	put_text(&f, "content-type", "application/grpc");
	for (; fields > 0; fields--) {
		const uint8_t *name, *value;
		size_t name_len = run(s, &name), value_len = run(s, &value);

		put_field(&f, name, name_len, value, value_len);
	}
	*stream = (uint8_t)(*stream + 2);
	return send_frame(c, &f, 1, flags, *stream);
}

static bool message(struct wire_client *c, struct script *s, uint8_t stream)
{
	struct frame f = { .len = 9 };
	uint8_t back = next(s), flags = next(s), compressed = next(s);
	const uint8_t *body;
	size_t len = run(s, &body);
	uint8_t more = next(s); /* that it says it has */

	put_byte(&f, compressed);
	put_byte(&f, 0);
	put_byte(&f, more & 0x80 ? more : 0);
	put_byte(&f, (uint8_t)((len + more) >> 8));
	put_byte(&f, (uint8_t)(len + more));
	put(&f, body, len);
	return send_frame(c, &f, 0, flags, (uint8_t)(stream - 2 * (back & 7)));
}

static bool any_frame(struct wire_client *c, struct script *s, uint8_t type)
{
	struct frame f = { .len = 9 };
	uint8_t flags = next(s), stream = next(s);
	const uint8_t *body;
	size_t len = run(s, &body);

	put(&f, body, len);
	return send_frame(c, &f, type, flags, stream);
}

static bool step(struct wire_client *c, struct script *s, uint8_t *stream)
{
	uint8_t what = next(s);
	const uint8_t *bytes;
	size_t len;

	if (what < STEP_MESSAGE)
		return request(c, s, what, stream);
	if (what == STEP_MESSAGE)
		return message(c, s, *stream);
	if (what >= STEP_FRAME)
		return any_frame(c, s, (uint8_t)(what - STEP_FRAME));
	len = run(s, &bytes);
	return len == 0 || wire_send(c, bytes, len);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
	static const uint8_t settings[9] = { 0, 0, 0, 4, 0, 0, 0, 0, 0 };
	struct script s = { data, data + len };
	uint8_t stream = (uint8_t)-1;
	struct wire_client c;
	bool on;

	wire_open(&c);
	on = wire_send(&c, PREFACE, sizeof(PREFACE) - 1) &&
	     wire_send(&c, settings, sizeof(settings));
	while (on && s.at < s.end)
		on = step(&c, &s, &stream);
	wire_close(&c);
	return 0;
}
