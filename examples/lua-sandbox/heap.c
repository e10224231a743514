/*
 * The heap's lists and blocks.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "heap.h"

#include <stdbool.h>
#include <stdint.h>
#include <string.h>

#define MAGIC UINT64_C(0x31706165682d6c6d) /* "ml-heap1" */
#define GRAIN ((size_t)16)
#define SMALL_MAX ((size_t)512)
#define CLASSES (SMALL_MAX / GRAIN)
#define SLAB ((size_t)64 << 10)
#define BINS 48
#define USED ((size_t)1)

/* Looks into one list of mixed sizes before a larger block is cut instead. */
#define LOOKS_MAX 32

struct piece {
	struct piece *next;
};

/* Stands before every block.  Sizes count the tag. */
struct tag {
	size_t size_used; /* multiple of GRAIN, or'ed with USED */
	size_t before;	  /* size of the block in front; 0 for the first */
};

/* A free block: its body holds the links of its bin. */
struct free_block {
	struct tag tag;
	struct free_block *next, *prev;
};

struct heap {
	uint64_t magic;
	char *first, *top, *end; /* of blocks */
	size_t last;		 /* size of the block in front of top */
	size_t live;		 /* bytes that Lua has */
	struct piece *classes[CLASSES];
	struct free_block *bins[BINS]; /* by the power of two in the size */
};

static size_t round_up(size_t n)
{
	return (n + GRAIN - 1) & ~(GRAIN - 1);
}

static size_t size_of(const struct tag *t)
{
	return t->size_used & ~USED;
}

static bool is_used(const struct tag *t)
{
	return t->size_used & USED;
}

static struct tag *tag_of(void *ptr)
{
	return (struct tag *)((char *)ptr - sizeof(struct tag));
}

static struct tag *after(struct tag *t)
{
	return (struct tag *)((char *)t + size_of(t));
}

static struct tag *in_front(struct tag *t)
{
	return (struct tag *)((char *)t - t->before);
}

static unsigned bin_of(size_t size)
{
	return 63U - (unsigned)__builtin_clzll(size);
}

/* Tells whatever stands behind @t how large @t is now. */
static void tell_next(struct heap *h, struct tag *t)
{
	struct tag *next = after(t);

	if ((char *)next == h->top)
		h->last = size_of(t);
	else
		next->before = size_of(t);
}

static void bin_add(struct heap *h, struct tag *t)
{
	struct free_block *b = (struct free_block *)t;
	struct free_block **head = &h->bins[bin_of(size_of(t))];

	b->prev = NULL;
	b->next = *head;
	if (b->next)
		b->next->prev = b;
	*head = b;
}

static void bin_remove(struct heap *h, struct tag *t)
{
	struct free_block *b = (struct free_block *)t;

	if (b->prev)
		b->prev->next = b->next;
	else
		h->bins[bin_of(size_of(t))] = b->next;
	if (b->next)
		b->next->prev = b->prev;
}

/* Gives @t back: to its neighbours, to the top, or to a bin. */
static void block_free(struct heap *h, struct tag *t)
{
	size_t size = size_of(t);
	struct tag *next = after(t);

	if ((char *)next != h->top && !is_used(next)) {
		bin_remove(h, next);
		size += size_of(next);
	}
	if (t->before && !is_used(in_front(t))) {
		t = in_front(t);
		bin_remove(h, t);
		size += size_of(t);
	}
	t->size_used = size;
	if ((char *)after(t) == h->top) {
		h->top = (char *)t;
		h->last = t->before;
		return;
	}
	tell_next(h, t);
	bin_add(h, t);
}

/* Cuts the used block @t down to @size if what is left is worth a block. */
static void block_cut(struct heap *h, struct tag *t, size_t size)
{
	size_t rest = size_of(t) - size;
	struct tag *tail;

	if (rest <= SMALL_MAX)
		return;
	t->size_used = size | USED;
	tail = after(t);
	tail->size_used = rest | USED;
	tail->before = size;
	tell_next(h, tail);
	block_free(h, tail);
}

static struct tag *bin_find(struct heap *h, size_t size)
{
	unsigned bin = bin_of(size);
	unsigned looks = 0;

	for (struct free_block *b = h->bins[bin]; b && looks < LOOKS_MAX;
	     b = b->next, looks++)
		if (size_of(&b->tag) >= size)
			return &b->tag;
	while (++bin < BINS)
		if (h->bins[bin])
			return &h->bins[bin]->tag;
	return NULL;
}

static void *block_alloc(struct heap *h, size_t n)
{
	size_t size;
	struct tag *t;

	if (n > (size_t)(h->end - h->first))
		return NULL;
	size = round_up(n + sizeof(struct tag));
	t = bin_find(h, size);
	if (t) {
		bin_remove(h, t);
		t->size_used |= USED;
		block_cut(h, t, size);
		return t + 1;
	}
	if (size > (size_t)(h->end - h->top))
		return NULL;
	t = (struct tag *)h->top;
	t->size_used = size | USED;
	t->before = h->last;
	h->last = size;
	h->top += size;
	return t + 1;
}

/* Makes the block at @ptr @n bytes large without moving it, if that can be. */
static bool block_resize(struct heap *h, void *ptr, size_t n)
{
	struct tag *t = tag_of(ptr);
	size_t size = round_up(n + sizeof(struct tag));

	if (size <= size_of(t)) {
		block_cut(h, t, size);
		return true;
	}
	if ((char *)after(t) != h->top ||
	    size - size_of(t) > (size_t)(h->end - h->top))
		return false;
	t->size_used = size | USED;
	h->top = (char *)t + size;
	h->last = size;
	return true;
}

static size_t class_of(size_t n)
{
	return (n - 1) / GRAIN;
}

static void *small_alloc(struct heap *h, size_t n)
{
	size_t class = class_of(n);
	size_t step = (class + 1) * GRAIN;
	struct piece *p = h->classes[class];
	char *slab;

	if (!p) {
		slab = block_alloc(h, SLAB);
		if (!slab)
			return NULL;
		/* In order of addresses, so that what is made together stands
		 * together. */
		for (size_t at = SLAB / step * step; at; at -= step) {
			p = (struct piece *)(slab + at - step);
			p->next = h->classes[class];
			h->classes[class] = p;
		}
	}
	h->classes[class] = p->next;
	return p;
}

static void release(struct heap *h, void *ptr, size_t n)
{
	struct piece *p = ptr;

	h->live -= n;
	if (n > SMALL_MAX) {
		block_free(h, tag_of(ptr));
		return;
	}
	p->next = h->classes[class_of(n)];
	h->classes[class_of(n)] = p;
}

static void *obtain(struct heap *h, size_t n)
{
	void *p = n > SMALL_MAX ? block_alloc(h, n) : small_alloc(h, n);

	if (p)
		h->live += n;
	return p;
}

/* May @ptr serve @n bytes where it is? */
static bool fits(struct heap *h, void *ptr, size_t old, size_t n)
{
	if (n <= SMALL_MAX || old <= SMALL_MAX)
		return n <= SMALL_MAX && old <= SMALL_MAX &&
		       class_of(n) == class_of(old);
	return n <= (size_t)(h->end - h->first) && block_resize(h, ptr, n);
}

void *heap_alloc(void *heap, void *ptr, size_t old_size, size_t size)
{
	struct heap *h = heap;
	void *p;

	if (!ptr)
		return size ? obtain(h, size) : NULL;
	if (!size) {
		if (old_size)
			release(h, ptr, old_size);
		return NULL;
	}
	if (fits(h, ptr, old_size, size)) {
		h->live += size - old_size;
		return ptr;
	}
	p = obtain(h, size);
	if (!p && size < old_size) {
		/* It stays where it is and comes back as a smaller piece. */
		h->live -= old_size - size;
		return ptr;
	}
	if (!p)
		return NULL;
	memcpy(p, ptr, size < old_size ? size : old_size);
	release(h, ptr, old_size);
	return p;
}

struct heap *heap_make(void *base, size_t size)
{
	struct heap *h = base;

	h->magic = MAGIC;
	h->first = (char *)base + round_up(sizeof(*h));
	h->top = h->first;
	h->end = (char *)base + size;
	return h;
}

struct heap *heap_at(void *base)
{
	struct heap *h = base;

	return h->magic == MAGIC ? h : NULL;
}

size_t heap_used(const struct heap *heap)
{
	return (size_t)(heap->top - (const char *)heap);
}

size_t heap_live(const struct heap *heap)
{
	return heap->live;
}

static bool in_bin(const struct heap *h, const struct tag *t)
{
	const struct free_block *b = h->bins[bin_of(size_of(t))];

	while (b && &b->tag != t)
		b = b->next;
	return b;
}

const char *heap_check(const struct heap *heap)
{
	size_t before = 0, free_blocks = 0, binned = 0;
	bool free_before = false;

	for (char *at = heap->first; at != heap->top;) {
		struct tag *t = (struct tag *)at;

		if (size_of(t) < sizeof(struct free_block) ||
		    size_of(t) > (size_t)(heap->top - at))
			return "a block has a size that cannot be";
		if (t->before != before)
			return "a tag is wrong about the block in front";
		if (!is_used(t) && free_before)
			return "two free blocks were not joined";
		if (!is_used(t) && !in_bin(heap, t))
			return "a free block is in no list";
		free_before = !is_used(t);
		free_blocks += free_before;
		before = size_of(t);
		at += before;
	}
	if (before != heap->last || free_before)
		return "the top is wrong about the last block";
	for (unsigned i = 0; i < BINS; i++)
		for (struct free_block *b = heap->bins[i]; b; b = b->next)
			binned++;
	if (binned != free_blocks)
		return "a list holds what is not a free block";
	return NULL;
}
