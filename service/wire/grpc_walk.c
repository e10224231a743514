/*
 * Walk: from head to head of frames.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "wire/grpc_walk.h"

#include <nghttp2/nghttp2.h>
#include <string.h>

#define SECOND_NS UINT64_C(1000000000)

void walk_init(struct walk *w, uint64_t now)
{
	*w = (struct walk){
		.left = WALK_PREFACE_BYTES,
		.tokens = WALK_IDLE_MAX,
		.paid_at = now,
	};
}

static uint32_t head_length(const uint8_t *head)
{
	return (uint32_t)head[0] << 16 | (uint32_t)head[1] << 8 | head[2];
}

/* Does the frame with this head do nothing for a call? */
static bool is_idle(const uint8_t *head)
{
	switch (head[3]) {
	case NGHTTP2_HEADERS:
	case NGHTTP2_RST_STREAM:
	case NGHTTP2_WINDOW_UPDATE:
	case NGHTTP2_CONTINUATION: /* nghttp2 counts these two */
		return false;
	case NGHTTP2_DATA:
		return head_length(head) == 0 &&
		       !(head[4] & NGHTTP2_FLAG_END_STREAM);
	default:
		return true;
	}
}

static bool pay(struct walk *w, uint64_t now)
{
	uint64_t seconds = (now - w->paid_at) / SECOND_NS;

	if (seconds > 0) {
		uint64_t more = seconds < WALK_IDLE_MAX
					? seconds * WALK_IDLE_PER_SECOND
					: WALK_IDLE_MAX;

		w->paid_at += seconds * SECOND_NS;
		w->tokens += (unsigned)more;
		if (w->tokens > WALK_IDLE_MAX)
			w->tokens = WALK_IDLE_MAX;
	}
	if (w->tokens == 0)
		return false;
	w->tokens--;
	return true;
}

/* A head is whole. */
static bool begin(struct walk *w, uint64_t now)
{
	uint8_t type = w->head[3];

	w->head_len = 0;
	w->left = head_length(w->head);
	if (type == NGHTTP2_HEADERS || type == NGHTTP2_CONTINUATION)
		w->in_block = !(w->head[4] & NGHTTP2_FLAG_END_HEADERS);
	if (w->left == 0)
		w->frames++;
	return !is_idle(w->head) || pay(w, now);
}

bool walk_take(struct walk *w, const uint8_t *data, size_t len, uint64_t now)
{
	bool calm = true;

	while (len > 0 && calm) {
		size_t want = w->left ? w->left
				      : (size_t)WALK_HEAD_BYTES - w->head_len;
		size_t n = want < len ? want : len;

		if (w->left) {
			w->left -= (uint32_t)n;
			w->frames += w->left == 0;
		} else {
			memcpy(w->head + w->head_len, data, n);
			w->head_len = (uint8_t)(w->head_len + n);
			if (w->head_len == WALK_HEAD_BYTES)
				calm = begin(w, now);
		}
		data += n;
		len -= n;
	}
	return calm;
}

bool walk_is_mid_frame(const struct walk *w)
{
	return w->left > 0 || w->head_len > 0 || w->in_block;
}
