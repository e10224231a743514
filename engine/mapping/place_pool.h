/*
 * Place pool: room for the places of a mapping set, had in advance.
 *
 * SPDX-License-Identifier: Apache-2.0
 *
 * Removing pages from the middle of a mapping leaves two pieces where one was,
 * and must not fail.  A run of n pages can fall into at most n/2 pieces, so
 * that much room is set aside when the run is added.  It is address space
 * rather than memory: a large chunk is mapped without being touched, and a page
 * of it becomes real when a piece is put there.
 *
 * Locks: none.
 */
#ifndef MSN_MAPPING_PLACE_POOL_H
#define MSN_MAPPING_PLACE_POOL_H

#include "base/cleanup.h"
#include "mapping/mapping_space.h"
#include "mapping/tree.h"
#include "range/range.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/*
 * A run of the object's pages that a space maps at a run of addresses: the
 * longest there is, so two places of one key never touch.
 */
struct msn_place {
	struct msn_tree_node by_offset, by_key;
	struct msn_mapping_space *space; /* key ... */
	uint64_t delta;			 /* address minus offset, wrapping */
	bool writable;			 /* ... up to here */
	struct msn_obj_range r;
	union {
		uint64_t max_end;	     /* of the subtree by offset */
		struct msn_place *next_free; /* while it is in the pool */
	};
};

struct msn_place_chunk;

struct msn_place_pool {
	struct msn_place_chunk *open; /* chunks with untouched room */
	struct msn_place_chunk *full; /* chunks without */
	struct msn_place *free;	      /* given back */
	size_t capacity;	      /* places in all chunks */
	size_t touched;		      /* places that were ever taken */
};

void msn_place_pool_deinit(struct msn_place_pool *pool);

/* Makes sure of @capacity places in all, taken ones included. */
MSN_MUST_CHECK int msn_place_pool_reserve(struct msn_place_pool *pool,
					  size_t capacity);

/* Before: fewer places are taken than were reserved. */
struct msn_place *msn_place_pool_take(struct msn_place_pool *pool);
void msn_place_pool_give(struct msn_place_pool *pool, struct msn_place *p);

/* Nothing is taken any more: lets go of memory that a rush has left behind. */
void msn_place_pool_rest(struct msn_place_pool *pool);

#endif /* MSN_MAPPING_PLACE_POOL_H */
