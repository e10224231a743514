/*
 * Frame cache.  See frame_cache.h.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "pack/frame_cache.h"

#include "base/alloc.h"
#include "base/error.h"

#include <errno.h>
#include <stdlib.h>

struct cache_slot {
	uint32_t pack, frame; /* frame 0: empty, as no frame stands there */
	struct msn_frame_header header;
};

struct msn_frame_cache {
	struct cache_slot slots[MSN_FRAME_CACHE_SLOTS];
};

/* Frames stand 64 pages apart, most of them: neighbours get neighbours. */
static size_t slot_of(uint32_t pack, uint32_t frame)
{
	return (pack * 256 + frame / 64 + frame % 64 * 67) %
	       MSN_FRAME_CACHE_SLOTS;
}

int msn_frame_cache_new(struct msn_frame_cache **out)
{
	struct msn_frame_cache *cache = msn_alloc(sizeof(*cache));

	if (!cache)
		return msn_fail(-ENOMEM);
	*out = cache;
	return 0;
}

struct msn_frame_cache *msn_frame_cache_free(struct msn_frame_cache *cache)
{
	free(cache);
	return NULL;
}

const struct msn_frame_header *
msn_frame_cache_find(const struct msn_frame_cache *cache, uint32_t pack,
		     uint32_t frame)
{
	const struct cache_slot *s = &cache->slots[slot_of(pack, frame)];

	return s->pack == pack && s->frame == frame ? &s->header : NULL;
}

const struct msn_frame_header *
msn_frame_cache_put(struct msn_frame_cache *cache, uint32_t pack,
		    uint32_t frame, const struct msn_frame_header *header)
{
	struct cache_slot *s = &cache->slots[slot_of(pack, frame)];

	s->pack = pack;
	s->frame = frame;
	s->header = *header;
	return &s->header;
}
