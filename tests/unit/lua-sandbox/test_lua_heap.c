/*
 * The example's heap: what it hands out is the caller's alone.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "base/rand.h"
#include "heap.h"
#include "support/check.h"

#include <string.h>
#include <sys/mman.h>

#define BYTES ((size_t)4 << 20)
#define SLOTS 256

struct place {
	void *base;
	struct heap *heap;
};

static struct place set_up(void)
{
	struct place p;

	p.base = mmap(NULL, BYTES, PROT_READ | PROT_WRITE,
		      MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	CHECK(p.base != MAP_FAILED);
	p.heap = heap_make(p.base, BYTES);
	return p;
}

static void tear_down(struct place *p)
{
	munmap(p->base, BYTES);
}

static void a_heap_is_found_where_it_was_made(void)
{
	struct place p = set_up();

	EXPECT(heap_at(p.base) == p.heap);
	EXPECT(heap_at((char *)p.base + BYTES / 2) == NULL);
	tear_down(&p);
}

static void freed_neighbours_become_one_block(void)
{
	struct place p = set_up();
	char *part[4], *whole;

	for (int i = 0; i < 4; i++)
		CHECK(part[i] = heap_alloc(p.heap, NULL, 0, 1000));
	heap_alloc(p.heap, part[0], 1000, 0);
	heap_alloc(p.heap, part[2], 1000, 0);
	heap_alloc(p.heap, part[1], 1000, 0);
	EXPECT(heap_check(p.heap) == NULL);
	whole = heap_alloc(p.heap, NULL, 0, 3000);
	EXPECT(whole == part[0]);
	EXPECT(heap_live(p.heap) == 4000);
	tear_down(&p);
}

static void the_last_block_gives_back_the_top(void)
{
	struct place p = set_up();
	size_t used = heap_used(p.heap);
	void *a = heap_alloc(p.heap, NULL, 0, 5000);
	void *b = heap_alloc(p.heap, NULL, 0, 5000);

	CHECK(a && b);
	heap_alloc(p.heap, a, 5000, 0);
	heap_alloc(p.heap, b, 5000, 0);
	EXPECT(heap_used(p.heap) == used);
	EXPECT(heap_check(p.heap) == NULL);
	tear_down(&p);
}

static void a_full_heap_says_no_and_stays_whole(void)
{
	struct place p = set_up();
	void *a = heap_alloc(p.heap, NULL, 0, BYTES / 2);

	CHECK(a);
	EXPECT(!heap_alloc(p.heap, NULL, 0, BYTES / 2));
	EXPECT(!heap_alloc(p.heap, NULL, 0, SIZE_MAX));
	EXPECT(!heap_alloc(p.heap, a, BYTES / 2, SIZE_MAX - 8));
	EXPECT(heap_check(p.heap) == NULL);
	EXPECT(heap_alloc(p.heap, NULL, 0, 1000));
	tear_down(&p);
}

/* Lua relies on it: there is no way to report that making smaller failed. */
static void making_smaller_never_fails(void)
{
	struct place p = set_up();
	char *big = heap_alloc(p.heap, NULL, 0, 600);
	char *small;

	CHECK(big);
	memcpy(big, "kept", 5);
	while (heap_alloc(p.heap, NULL, 0, 65000))
		;
	while (heap_alloc(p.heap, NULL, 0, 600))
		;
	small = heap_alloc(p.heap, big, 600, 20);
	CHECK(small);
	EXPECT(!strcmp(small, "kept"));
	heap_alloc(p.heap, small, 20, 0);
	EXPECT(heap_check(p.heap) == NULL);
	tear_down(&p);
}

struct slot {
	unsigned char *ptr;
	size_t size;
};

static size_t pick_size(uint64_t *seed)
{
	uint64_t r = msn_rand_next(seed);

	return r % 3 ? r % 600 : r % 20000;
}

/* Is every byte of the slot still the one written for it? */
static bool intact(const struct slot *s, unsigned char value)
{
	for (size_t i = 0; i < s->size; i++)
		if (s->ptr[i] != value)
			return false;
	return true;
}

static void random_use_never_mixes_two_owners(void)
{
	struct slot slots[SLOTS] = { 0 };
	struct place p = set_up();
	uint64_t seed = check_seed();
	size_t live = 0;

	for (int step = 0; step < 50000; step++) {
		unsigned i = (unsigned)(msn_rand_next(&seed) % SLOTS);
		size_t size = pick_size(&seed);
		struct slot *s = &slots[i];
		size_t kept = size < s->size ? size : s->size;
		struct slot now;

		CHECK(intact(s, (unsigned char)i));
		now.ptr = heap_alloc(p.heap, s->ptr, s->size, size);
		now.size = size;
		if (size && !now.ptr)
			continue;
		live += size - s->size;
		*s = (struct slot){ now.ptr, kept };
		CHECK(intact(s, (unsigned char)i));
		s->size = size;
		if (size)
			memset(s->ptr, (int)i, size);
		if (step % 1000 == 0)
			CHECK(heap_check(p.heap) == NULL);
	}
	EXPECT(heap_live(p.heap) == live);
	tear_down(&p);
}

int main(int argc, char **argv)
{
	static const struct check_test tests[] = {
		CHECK_TEST(a_heap_is_found_where_it_was_made),
		CHECK_TEST(freed_neighbours_become_one_block),
		CHECK_TEST(the_last_block_gives_back_the_top),
		CHECK_TEST(a_full_heap_says_no_and_stays_whole),
		CHECK_TEST(making_smaller_never_fails),
		CHECK_TEST(random_use_never_mixes_two_owners),
		{}
	};

	return check_main(argc, argv, "lua heap", tests);
}
