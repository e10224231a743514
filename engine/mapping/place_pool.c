/*
 * Place pool: chunks from the heap while they are small, else mapped.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "mapping/place_pool.h"

#include "base/alloc.h"
#include "base/assert.h"
#include "base/error.h"
#include "base/fault.h"

#include <errno.h>
#include <stdlib.h>
#include <sys/mman.h>

struct msn_place_chunk {
	struct msn_place_chunk *next;
	size_t mapped_bytes; /* 0: from the heap */
	size_t count, used;
	struct msn_place place[];
};

enum {
	/* From here on untouched pages are worth a system call. */
	POOL_MAP_BYTES = 64 << 10,
	/* 400 KiB that an empty set may hold on to. */
	POOL_REST_PLACES = 4096,
	/* First chunk: most files are mapped by a few spaces. */
	POOL_FIRST_PLACES = 8,
};

static void chunk_free_all(struct msn_place_chunk *c)
{
	while (c) {
		struct msn_place_chunk *next = c->next;

		if (c->mapped_bytes)
			munmap(c, c->mapped_bytes);
		else
			free(c);
		c = next;
	}
}

void msn_place_pool_deinit(struct msn_place_pool *pool)
{
	chunk_free_all(pool->open);
	chunk_free_all(pool->full);
	*pool = (struct msn_place_pool){ 0 };
}

static struct msn_place_chunk *chunk_map(size_t bytes)
{
	struct msn_place_chunk *c;

	if (msn_fault("place_pool.map"))
		return NULL;
	c = mmap(NULL, bytes, PROT_READ | PROT_WRITE,
		 MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	if (c == MAP_FAILED)
		return NULL;
	c->mapped_bytes = bytes;
	return c;
}

int msn_place_pool_reserve(struct msn_place_pool *pool, size_t capacity)
{
	size_t count = capacity - pool->capacity, bytes;
	struct msn_place_chunk *c;

	if (capacity <= pool->capacity)
		return 0;
	/* At least as much again as there is: chunks stay few. */
	if (count < pool->capacity)
		count = pool->capacity;
	if (count < POOL_FIRST_PLACES)
		count = POOL_FIRST_PLACES;
	if (__builtin_mul_overflow(count, sizeof(c->place[0]), &bytes) ||
	    __builtin_add_overflow(bytes, sizeof(*c), &bytes))
		return msn_fail(-ENOMEM);
	c = bytes < POOL_MAP_BYTES ? msn_alloc(bytes) : chunk_map(bytes);
	if (!c)
		return msn_fail(-ENOMEM);
	c->count = count;
	c->next = pool->open;
	pool->open = c;
	pool->capacity += count;
	return 0;
}

struct msn_place *msn_place_pool_take(struct msn_place_pool *pool)
{
	struct msn_place_chunk *c = pool->open;
	struct msn_place *p = pool->free;

	if (p) {
		pool->free = p->next_free;
		return p;
	}
	msn_assert(c);
	p = &c->place[c->used++];
	pool->touched++;
	if (c->used == c->count) {
		pool->open = c->next;
		c->next = pool->full;
		pool->full = c;
	}
	return p;
}

void msn_place_pool_give(struct msn_place_pool *pool, struct msn_place *p)
{
	p->next_free = pool->free;
	pool->free = p;
}

void msn_place_pool_rest(struct msn_place_pool *pool)
{
	if (pool->touched > POOL_REST_PLACES)
		msn_place_pool_deinit(pool);
}
