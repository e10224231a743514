/*
 * Mapping set against a plain array: for each page of the object, which of all
 * possible (space, address, writable) map it.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "base/fault.h"
#include "base/rand.h"
#include "mapping/mapping_set.h"
#include "support/check.h"

#include <string.h>

enum { PAGES = 80, SPACES = 3, BASES = 3, STEPS = 6000 };

/* One bit for each (space, base address, writable) that maps a page. */
enum { KEYS = SPACES * BASES * 2 };

struct space {
	struct msn_mapping_space base;
	struct fixture *f;
};

struct fixture {
	struct msn_mapping_set *set;
	struct space space[SPACES];
	bool mapped[PAGES][KEYS];
	unsigned told[PAGES][KEYS]; /* by invalidate(): writable is not told */
	bool heard[PAGES];	    /* by fresh or gone */
	uint64_t last_heard_end;
	bool heard_badly;
	uint64_t seed;
};

/* Page 0 of the object is at this page number: apart, and one below 0. */
static uint64_t base_address(unsigned base)
{
	return base ? 1000 * base : 200;
}

static unsigned key_of(unsigned space, unsigned base, unsigned writable)
{
	return (space * BASES + base) * 2 + writable;
}

static void space_invalidate(struct msn_mapping_space *ms,
			     struct msn_addr_range ar,
			     struct msn_invalidate_opts opts)
{
	struct space *space = msn_container_of(ms, struct space, base);
	struct fixture *f = space->f;
	unsigned nr = (unsigned)(space - f->space);

	EXPECT(opts.invalidate_private);
	for (uint64_t at = ar.start; at < ar.end; at += MSN_PAGE_SIZE) {
		uint64_t page = at >> MSN_PAGE_SHIFT;
		unsigned base = page >= 2000 ? 2 : page >= 1000 ? 1 : 0;

		page -= base_address(base);
		CHECK(page < PAGES);
		f->told[page][key_of(nr, base, 0)]++;
	}
}

static const struct msn_mapping_space_ops space_ops = { space_invalidate };

static unsigned pick(struct fixture *f, unsigned below)
{
	return (unsigned)(msn_rand_next(&f->seed) % below);
}

static bool anybody_maps(const struct fixture *f, unsigned page)
{
	for (unsigned k = 0; k < KEYS; k++)
		if (f->mapped[page][k])
			return true;
	return false;
}

static void hear(void *ctx, struct msn_obj_range r)
{
	struct fixture *f = ctx;

	/* In order, and as long as can be. */
	if (f->last_heard_end != UINT64_MAX && r.start <= f->last_heard_end)
		f->heard_badly = true;
	f->last_heard_end = r.end;
	for (uint64_t at = r.start; at < r.end; at += MSN_PAGE_SIZE)
		f->heard[at >> MSN_PAGE_SHIFT] = true;
}

struct change {
	unsigned space, base, writable, first, end;
};

static struct change pick_change(struct fixture *f)
{
	struct change c = { .space = pick(f, SPACES), .base = pick(f, BASES) };
	unsigned longest = pick(f, 3) ? 8 : PAGES;

	c.writable = pick(f, 2);
	c.first = pick(f, PAGES);
	c.end = c.first + 1 + pick(f, longest);
	c.end = c.end > PAGES ? PAGES : c.end;
	return c;
}

static struct msn_addr_range change_addr(const struct change *c)
{
	uint64_t base = base_address(c->base);

	return (struct msn_addr_range){ (base + c->first) * MSN_PAGE_SIZE,
					(base + c->end) * MSN_PAGE_SIZE };
}

static void start_hearing(struct fixture *f)
{
	memset(f->heard, 0, sizeof(f->heard));
	f->last_heard_end = UINT64_MAX;
	f->heard_badly = false;
}

static void step_add(struct fixture *f)
{
	struct change c = pick_change(f);
	unsigned key = key_of(c.space, c.base, c.writable);

	start_hearing(f);
	CHECK(msn_mapping_set_add(f->set, &f->space[c.space].base,
				  change_addr(&c), c.first * MSN_PAGE_SIZE,
				  c.writable, hear, f) == 0);
	for (unsigned i = 0; i < PAGES; i++) {
		bool in = c.first <= i && i < c.end;

		EXPECT(f->heard[i] == (in && !anybody_maps(f, i)));
	}
	for (unsigned i = c.first; i < c.end; i++)
		f->mapped[i][key] = true;
	EXPECT(!f->heard_badly);
}

static void step_remove(struct fixture *f)
{
	struct change c = pick_change(f);
	unsigned key = key_of(c.space, c.base, c.writable);

	start_hearing(f);
	msn_fault_arm(1);
	msn_mapping_set_remove(f->set, &f->space[c.space].base, change_addr(&c),
			       c.first * MSN_PAGE_SIZE, c.writable, hear, f);
	EXPECT(msn_fault_fired() == NULL);
	msn_fault_arm(0);
	for (unsigned i = 0; i < PAGES; i++) {
		bool in = c.first <= i && i < c.end && f->mapped[i][key];

		if (in)
			f->mapped[i][key] = false;
		EXPECT(f->heard[i] == (in && !anybody_maps(f, i)));
	}
	EXPECT(!f->heard_badly);
}

static void step_invalidate(struct fixture *f)
{
	struct msn_invalidate_opts opts = { .invalidate_private = true };
	unsigned first = pick(f, PAGES), end = first + pick(f, PAGES);
	bool all = pick(f, 8) == 0;

	memset(f->told, 0, sizeof(f->told));
	if (all)
		msn_mapping_set_invalidate_all(f->set, opts);
	else
		msn_mapping_set_invalidate(
			f->set,
			(struct msn_obj_range){ first * MSN_PAGE_SIZE,
						end * MSN_PAGE_SIZE },
			opts);
	for (unsigned i = 0; i < PAGES; i++)
		for (unsigned k = 0; k < KEYS; k += 2) {
			bool in = all || (first <= i && i < end);
			unsigned times = (unsigned)f->mapped[i][k] +
					 (unsigned)f->mapped[i][k + 1];

			EXPECT(f->told[i][k] == (in ? times : 0));
		}
}

struct seen {
	struct fixture *f;
	bool mapped[PAGES][KEYS];
	uint64_t last_start;
};

static void see_place(void *ctx, struct msn_obj_range r,
		      const struct msn_mapping_of_range *place)
{
	struct seen *seen = ctx;
	struct space *space =
		msn_container_of(place->space, struct space, base);
	unsigned nr = (unsigned)(space - seen->f->space);
	uint64_t base = (place->addr.start - r.start) >> MSN_PAGE_SHIFT;
	unsigned which = base == 200 ? 0 : (unsigned)base / 1000;
	unsigned key = key_of(nr, which, place->writable);

	EXPECT(base == base_address(which));
	EXPECT(seen->last_start <= r.start);
	seen->last_start = r.start;
	for (uint64_t at = r.start; at < r.end; at += MSN_PAGE_SIZE) {
		EXPECT(!seen->mapped[at >> MSN_PAGE_SHIFT][key]);
		seen->mapped[at >> MSN_PAGE_SHIFT][key] = true;
	}
}

static bool same_as_model(struct fixture *f)
{
	struct seen seen = { .f = f };
	bool any = false;

	msn_mapping_set_for_each(f->set,
				 (struct msn_obj_range){ 0, UINT64_MAX },
				 see_place, &seen);
	for (unsigned i = 0; i < PAGES; i++) {
		struct msn_obj_range page = { i * MSN_PAGE_SIZE,
					      (i + 1) * MSN_PAGE_SIZE };

		if (msn_mapping_set_is_mapped(f->set, page) !=
		    anybody_maps(f, i))
			return false;
		any = any || anybody_maps(f, i);
	}
	return memcmp(seen.mapped, f->mapped, sizeof(f->mapped)) == 0 &&
	       msn_mapping_set_empty(f->set) == !any &&
	       msn_mapping_set_check(f->set) == NULL;
}

static void empty_everything(struct fixture *f)
{
	for (unsigned k = 0; k < KEYS; k++) {
		struct change c = { k / 2 / BASES, k / 2 % BASES, k % 2, 0,
				    PAGES };

		msn_mapping_set_remove(f->set, &f->space[c.space].base,
				       change_addr(&c), 0, c.writable, NULL,
				       NULL);
	}
	memset(f->mapped, 0, sizeof(f->mapped));
}

static void random_changes_agree_with_an_array(void)
{
	struct fixture *f = calloc(1, sizeof(*f));

	CHECK(f);
	f->seed = check_seed();
	CHECK(msn_mapping_set_new(&f->set) == 0);
	for (unsigned i = 0; i < SPACES; i++)
		f->space[i] = (struct space){ { &space_ops }, f };
	for (unsigned i = 0; i < STEPS; i++) {
		unsigned what = pick(f, 10);

		if (what == 0)
			step_invalidate(f);
		else if (what < (i / 700 % 2 ? 3 : 6))
			step_add(f);
		else
			step_remove(f);
		CHECK(same_as_model(f));
	}
	empty_everything(f);
	CHECK(same_as_model(f));
	msn_mapping_set_free(f->set);
	free(f);
}

int main(int argc, char **argv)
{
	static const struct check_test tests[] = {
		CHECK_TEST(random_changes_agree_with_an_array), {}
	};

	return check_main(argc, argv, "mapping set model", tests);
}
