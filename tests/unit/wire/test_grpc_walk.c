/*
 * Walking over frames: what is half there, and who sends too many that do no
 * work.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "wire/grpc_walk.h"

#include "support/check.h"

#include <nghttp2/nghttp2.h>
#include <string.h>

#define SECOND UINT64_C(1000000000)

struct bytes {
	uint8_t data[4096];
	size_t len;
};

static void add_preface(struct bytes *b)
{
	memcpy(b->data + b->len, NGHTTP2_CLIENT_MAGIC, WALK_PREFACE_BYTES);
	b->len += WALK_PREFACE_BYTES;
}

static void add_frame(struct bytes *b, uint8_t type, uint8_t flags,
		      uint16_t len)
{
	uint8_t *at = b->data + b->len;

	memset(at, 0xee, WALK_HEAD_BYTES + (size_t)len);
	at[0] = 0;
	at[1] = (uint8_t)(len >> 8);
	at[2] = (uint8_t)len;
	at[3] = type;
	at[4] = flags;
	b->len += WALK_HEAD_BYTES + (size_t)len;
}

static struct walk begun(void)
{
	struct walk w;

	walk_init(&w, 0);
	EXPECT(walk_take(&w, (const uint8_t *)NGHTTP2_CLIENT_MAGIC,
			 WALK_PREFACE_BYTES, 0));
	return w;
}

static void half_a_frame_is_seen_at_every_byte(void)
{
	struct bytes b = { .len = 0 };
	size_t ends[4], end = 0;
	struct walk w;

	add_preface(&b);
	ends[0] = b.len;
	add_frame(&b, NGHTTP2_SETTINGS, 0, 18);
	ends[1] = b.len;
	add_frame(&b, NGHTTP2_HEADERS, NGHTTP2_FLAG_END_HEADERS, 100);
	ends[2] = b.len;
	add_frame(&b, NGHTTP2_DATA, NGHTTP2_FLAG_END_STREAM, 0);
	ends[3] = b.len;
	walk_init(&w, 0);
	EXPECT(walk_is_mid_frame(&w));
	for (size_t i = 0; i < b.len; i++) {
		EXPECT(walk_take(&w, b.data + i, 1, 0));
		EXPECT(walk_is_mid_frame(&w) == (i + 1 != ends[end]));
		end += i + 1 == ends[end];
	}
	EXPECT(end == 4 && w.frames == 4); /* the preface counts as one */
}

static void pieces_of_any_size_are_the_same(void)
{
	struct bytes b = { .len = 0 };

	add_preface(&b);
	for (unsigned i = 0; i < 20; i++)
		add_frame(&b, NGHTTP2_DATA, 0, (uint16_t)(i * 7 + 1));
	for (size_t step = 1; step <= b.len; step++) {
		struct walk w;

		walk_init(&w, 0);
		for (size_t at = 0; at < b.len; at += step)
			CHECK(walk_take(&w, b.data + at,
					b.len - at < step ? b.len - at : step,
					0));
		EXPECT(w.frames == 21 && !walk_is_mid_frame(&w));
	}
}

static void a_header_block_ends_with_its_last_frame(void)
{
	struct bytes b = { .len = 0 };
	struct walk w = begun();

	add_frame(&b, NGHTTP2_HEADERS, 0, 10);
	EXPECT(walk_take(&w, b.data, b.len, 0));
	EXPECT(walk_is_mid_frame(&w));
	b.len = 0;
	add_frame(&b, NGHTTP2_CONTINUATION, 0, 10);
	EXPECT(walk_take(&w, b.data, b.len, 0));
	EXPECT(walk_is_mid_frame(&w));
	b.len = 0;
	add_frame(&b, NGHTTP2_CONTINUATION, NGHTTP2_FLAG_END_HEADERS, 0);
	EXPECT(walk_take(&w, b.data, b.len, 0));
	EXPECT(!walk_is_mid_frame(&w));
}

/* How many such frames are taken at one moment. */
static unsigned taken(struct walk *w, uint8_t type, uint8_t flags, uint16_t len,
		      uint64_t now)
{
	struct bytes b = { .len = 0 };
	unsigned n = 0;

	add_frame(&b, type, flags, len);
	while (n < 1000 && walk_take(w, b.data, b.len, now))
		n++;
	return n;
}

static void frames_that_do_no_work_are_counted(void)
{
	static const struct {
		uint8_t type, flags;
		uint16_t len;
		bool counted;
	} frames[] = {
		{ NGHTTP2_PING, 0, 8, true },
		{ NGHTTP2_PING, NGHTTP2_FLAG_ACK, 8, true },
		{ NGHTTP2_SETTINGS, 0, 6, true },
		{ NGHTTP2_PRIORITY, 0, 5, true },
		{ NGHTTP2_GOAWAY, 0, 8, true },
		{ 0x42, 0, 3, true },
		{ NGHTTP2_DATA, 0, 0, true },
		{ NGHTTP2_DATA, NGHTTP2_FLAG_END_STREAM, 0, false },
		{ NGHTTP2_DATA, 0, 1, false },
		{ NGHTTP2_HEADERS, NGHTTP2_FLAG_END_HEADERS, 1, false },
		{ NGHTTP2_WINDOW_UPDATE, 0, 4, false },
		{ NGHTTP2_RST_STREAM, 0, 4, false },
	};

	for (size_t i = 0; i < sizeof(frames) / sizeof(*frames); i++) {
		struct walk w = begun();

		EXPECT(taken(&w, frames[i].type, frames[i].flags, frames[i].len,
			     0) == (frames[i].counted ? WALK_IDLE_MAX : 1000));
	}
}

static void time_and_answers_bring_new_tokens(void)
{
	struct walk w = begun();

	EXPECT(taken(&w, NGHTTP2_PING, 0, 8, 0) == WALK_IDLE_MAX);
	w = begun();
	w.tokens = 0;
	EXPECT(taken(&w, NGHTTP2_PING, 0, 8, SECOND - 1) == 0);
	w = begun();
	w.tokens = 0;
	EXPECT(taken(&w, NGHTTP2_PING, 0, 8, 3 * SECOND / 2) ==
	       WALK_IDLE_PER_SECOND);
	w = begun();
	w.tokens = 5;
	EXPECT(taken(&w, NGHTTP2_PING, 0, 8, UINT64_MAX) == WALK_IDLE_MAX);
	w = begun();
	w.tokens = 0;
	walk_worked(&w);
	EXPECT(taken(&w, NGHTTP2_PING, 0, 8, 0) == WALK_IDLE_MAX);
}

int main(int argc, char **argv)
{
	static const struct check_test tests[] = {
		CHECK_TEST(half_a_frame_is_seen_at_every_byte),
		CHECK_TEST(pieces_of_any_size_are_the_same),
		CHECK_TEST(a_header_block_ends_with_its_last_frame),
		CHECK_TEST(frames_that_do_no_work_are_counted),
		CHECK_TEST(time_and_answers_bring_new_tokens),
		{}
	};

	return check_main(argc, argv, "grpc walk", tests);
}
