/*
 * Arena: pieces from chunks.  See arena.h.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "wire/arena.h"

#include "base/fault.h"

#include <stdlib.h>
#include <string.h>

/* Chunks grow from the one to the other; a larger piece gets its own. */
#define CHUNK_MIN ((size_t)4 << 10)
#define CHUNK_MAX ((size_t)256 << 10)

struct arena_chunk {
	struct arena_chunk *next;
	size_t size; /* of bytes */
	uint64_t bytes[];
};

void arena_init(struct arena *a, size_t limit, void *first, size_t len)
{
	*a = (struct arena){ .at = first,
			     .end = first ? (uint8_t *)first + len : NULL,
			     .left = limit };
}

void arena_deinit(struct arena *a)
{
	arena_reset(a, 0);
}

void arena_reset(struct arena *a, size_t limit)
{
	struct arena_chunk *c;

	while ((c = a->chunks)) {
		a->chunks = c->next;
		free(c);
	}
	if (a->charged)
		budget_return(a->budget, a->charged);
	a->charged = 0;
	a->at = a->end = NULL;
	a->left = limit;
	a->refused = false;
}

void arena_set_budget(struct arena *a, struct budget *budget)
{
	if (a->charged) {
		budget_return(a->budget, a->charged);
		budget_charge(budget, a->charged);
	}
	a->budget = budget;
}

/* The next chunk is twice the last. */
static size_t chunk_size(const struct arena *a, size_t piece)
{
	size_t size = a->chunks ? a->chunks->size * 2 : CHUNK_MIN;

	if (size > CHUNK_MAX)
		size = CHUNK_MAX;
	return size > piece ? size : piece;
}

static bool chunk_add(struct arena *a, size_t piece)
{
	size_t size = chunk_size(a, piece);
	struct arena_chunk *c;

	if (a->budget && budget_is_full(a->budget, size))
		return false;
	/* Not zeroed: that would touch every page of a chunk. */
	c = msn_fault("arena.chunk") ? NULL : malloc(sizeof(*c) + size);
	if (!c)
		return false;
	c->size = size;
	c->next = a->chunks;
	a->chunks = c;
	a->at = (uint8_t *)c->bytes;
	a->end = a->at + size;
	if (a->budget) {
		budget_charge(a->budget, size);
		a->charged += size;
	}
	return true;
}

void *arena_alloc(struct arena *a, size_t size)
{
	size_t piece = sizeof(uint64_t) + ((size + 7) & ~(size_t)7);
	uint64_t *p;

	if (size > SIZE_MAX / 2 || piece > a->left ||
	    ((size_t)(a->end - a->at) < piece && !chunk_add(a, piece))) {
		a->refused = true;
		return NULL;
	}
	p = (uint64_t *)(void *)a->at;
	*p = size;
	a->at += piece;
	a->left -= piece;
	return p + 1;
}

char *arena_text(struct arena *a, const void *data, size_t len)
{
	char *text = arena_alloc(a, len + 1);

	if (text) {
		if (len)
			memcpy(text, data, len);
		text[len] = '\0';
	}
	return text;
}
