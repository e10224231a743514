/*
 * Frame cache: the frame headers that a reader saw lately.
 *
 * SPDX-License-Identifier: Apache-2.0
 *
 * Direct mapped and of fixed size: a header that is put in may push out
 * another one.  4096 headers cover a gigabyte of pages.
 */
#ifndef MSN_PACK_FRAME_CACHE_H
#define MSN_PACK_FRAME_CACHE_H

#include "base/cleanup.h"
#include "pack/pack_format.h"

#include <stdint.h>

#define MSN_FRAME_CACHE_SLOTS 4096

struct msn_frame_cache;

MSN_MUST_CHECK int msn_frame_cache_new(struct msn_frame_cache **out);
struct msn_frame_cache *msn_frame_cache_free(struct msn_frame_cache *cache);
MSN_DEFINE_AUTO(struct msn_frame_cache, msn_frame_cache_free)

/* The header at page @frame of pack @pack (any number), or NULL. */
const struct msn_frame_header *
msn_frame_cache_find(const struct msn_frame_cache *cache, uint32_t pack,
		     uint32_t frame);

/* Puts a copy in; what it returns is valid until the next put. */
const struct msn_frame_header *
msn_frame_cache_put(struct msn_frame_cache *cache, uint32_t pack,
		    uint32_t frame, const struct msn_frame_header *header);

#endif /* MSN_PACK_FRAME_CACHE_H */
