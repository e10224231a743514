/*
 * Gen: where the numbers come from.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "oracle/gen.h"

#include "base/cleanup.h"
#include "base/rand.h"
#include "oracle/kernel.h"
#include "oracle/text.h"

#include <errno.h>
#include <string.h>
#include <sys/mman.h>

#define PAGE UINT64_C(4096)
#define HUGE (UINT64_C(2) << 20)

/*
 * Few pages in few places, so that calls meet: the middle, the lowest that may
 * be mapped, the highest, the edge of a huge page, the heap.
 */
static const struct {
	uint64_t base;
	unsigned weight;
} arenas[] = {
	{ UINT64_C(0x100000000000), 12 },
	{ UINT64_C(0x10000), 1 },
	{ UINT64_C(0x7ffffffff000) - 48 * PAGE, 1 },
	{ UINT64_C(0x150000000000) + HUGE - 8 * PAGE, 2 },
	{ GEN_HEAP, 1 },
	{ GEN_GIANT, 1 },
};

uint64_t gen_pick(struct gen *g, uint64_t n)
{
	return msn_rand_next(&g->rand) % n;
}

bool gen_percent(struct gen *g, unsigned percent)
{
	return gen_pick(g, 100) < percent;
}

/* What the step at hand may find mapped. */
static const struct gen_known *known_of(const struct gen *g)
{
	return g->in_slice ? &g->mapped : &g->known[g->space];
}

static uint64_t arena_page(struct gen *g)
{
	unsigned total = 0, at;

	if (g->in_slice)
		return SLICE_START(g->slice) + gen_pick(g, SLICE_PAGES) * PAGE;
	for (size_t i = 0; i < MSN_ARRAY_LEN(arenas); i++)
		total += arenas[i].weight;
	at = (unsigned)gen_pick(g, total);
	for (size_t i = 0;; i++) {
		if (at < arenas[i].weight)
			return arenas[i].base + gen_pick(g, g->pages) * PAGE;
		at -= arenas[i].weight;
	}
}

/* The start, the end, inside, or the page below. */
static uint64_t page_near(struct gen *g, const struct gen_range *r)
{
	uint64_t pages = (r->len + PAGE - 1) / PAGE;

	switch (gen_pick(g, 9)) {
	case 0:
		return r->addr + pages * PAGE;
	case 1:
		return r->addr - PAGE;
	case 2:
	case 3:
	case 4:
		return r->addr;
	case 5:
		return r->addr + (pages - 1) * PAGE;
	default:
		return r->addr + gen_pick(g, pages < 64 ? pages : 64) * PAGE;
	}
}

uint64_t gen_page(struct gen *g)
{
	const struct gen_known *known = known_of(g);
	unsigned kind = (unsigned)gen_pick(g, 10);
	unsigned recent =
		g->recent_count < GEN_RECENT ? g->recent_count : GEN_RECENT;

	if (g->in_slice)
		recent = 0;

	if (known->count && kind < 6)
		return page_near(g, &known->list[gen_pick(g, known->count)]);
	if (recent && kind < 7)
		return page_near(g, &g->recent[gen_pick(g, recent)]);
	return arena_page(g);
}

uint64_t gen_addr(struct gen *g)
{
	static const uint64_t bad[] = {
		0,
		1,
		PAGE - 1,
		UINT64_C(0x7ffffffff000),
		UINT64_C(0x800000000000),
		UINT64_C(0xffffffffff600000),
		UINT64_MAX - PAGE + 1,
		UINT64_MAX,
	};

	if (!g->in_slice && gen_percent(g, 2))
		return GEN_ONE_OF(g, bad);
	if (gen_percent(g, 2))
		return gen_page(g) + 1 + gen_pick(g, PAGE - 1);
	return gen_page(g);
}

uint64_t gen_len(struct gen *g)
{
	unsigned kind = (unsigned)gen_pick(g, 100);

	if (kind < 2)
		return 0;
	if (kind < 6)
		return 1 + gen_pick(g, 8 * PAGE);
	if (kind < 8)
		return HUGE * (1 + gen_pick(g, 2));
	if (kind < 14)
		return (1 + gen_pick(g, 48)) * PAGE;
	return (1 + gen_pick(g, 8)) * PAGE;
}

uint64_t gen_wild_len(struct gen *g)
{
	static const uint64_t wild[] = {
		UINT64_MAX,
		UINT64_MAX - PAGE + 1,
		UINT64_MAX - PAGE + 2,
		UINT64_C(0x7fffffff0000),
		UINT64_C(0x800000000000),
		UINT64_C(1) << 63,
		GEN_GIANT_LEN,
		GEN_GIANT_LEN + 5,
	};

	return gen_percent(g, 3) ? GEN_ONE_OF(g, wild) : gen_len(g);
}

void gen_inside(struct gen *g, uint64_t *addr, uint64_t *len)
{
	const struct gen_known *known = known_of(g);
	const struct gen_range *r;
	uint64_t pages, first;

	*addr = gen_addr(g);
	*len = gen_len(g);
	if (!known->count)
		return;
	r = &known->list[gen_pick(g, known->count)];
	pages = r->len / PAGE;
	first = gen_percent(g, 50) ? 0 : gen_pick(g, pages < 64 ? pages : 64);
	*addr = r->addr + first * PAGE;
	pages -= first;
	if (gen_percent(g, 70))
		pages = 1 + gen_pick(g, pages < 64 ? pages : 64);
	*len = pages * PAGE;
}

uint64_t gen_spot(struct gen *g)
{
	static const unsigned offsets[] = { 0,	  1,	17,   2047,
					    2048, 4090, 4092, 4095 };

	const struct gen_known *known = known_of(g);
	const struct gen_range *r;
	uint64_t pages;

	if (!known->count || gen_percent(g, g->in_slice ? 5 : 20))
		return gen_addr(g) + GEN_ONE_OF(g, offsets);
	r = &known->list[gen_pick(g, known->count)];
	pages = r->len / PAGE;
	return r->addr + gen_pick(g, pages < 64 ? pages : 64) * PAGE +
	       GEN_ONE_OF(g, offsets);
}

uint64_t gen_mapped(struct gen *g)
{
	const struct gen_known *known = &g->known[g->space];
	/* The stepper's own: text, data, slots. */
	uint64_t bytes = 6 * PAGE + sizeof(struct stepper_shared);

	for (unsigned i = 0; i < known->count; i++)
		bytes += known->list[i].len;
	return bytes;
}

void gen_fit_file(struct gen *g, uint64_t *offset, uint64_t *len)
{
	uint64_t at = *offset % SLICE_FILE_BYTES;

	if (!g->in_slice)
		return;
	*offset = SLICE_FILE_START(g->slice) + at;
	if (*len > SLICE_FILE_BYTES - at)
		*len = (1 + gen_pick(g, 4)) * PAGE;
	if (*len > SLICE_FILE_BYTES - at)
		*len = SLICE_FILE_BYTES - at;
}

uint64_t gen_prot(struct gen *g)
{
	static const unsigned char choice[] = {
		PROT_NONE,
		PROT_READ,
		PROT_READ,
		PROT_READ | PROT_WRITE,
		PROT_READ | PROT_WRITE,
		PROT_READ | PROT_WRITE,
		PROT_READ | PROT_WRITE,
		PROT_WRITE,
		PROT_EXEC,
		PROT_READ | PROT_EXEC,
		PROT_READ | PROT_WRITE | PROT_EXEC,
	};

	return GEN_ONE_OF(g, choice);
}

/* ---- Sequences ----------------------------------------------------------- */

void gen_start(struct gen *g, uint64_t seed, const unsigned *weights)
{
	static const unsigned pages[] = { 12, 24, 40, 64 };

	*g = (struct gen){ .rand = seed, .spaces = 1 };
	g->pages = GEN_ONE_OF(g, pages);
	for (size_t i = 0; ops[i]; i++) {
		static const unsigned times[] = { 0, 1, 1, 2, 6 };

		if (i == GEN_OPS_MAX)
			die("GEN_OPS_MAX is too small");
		g->weight[i] = weights[i] * GEN_ONE_OF(g, times);
	}
	/* Nothing happens where nothing is mapped. */
	if (g->weight[0] == 0)
		g->weight[0] = weights[0];
}

static const struct op *pick_op(struct gen *g)
{
	uint64_t total = 0, at;
	size_t i;

	if (gen_pick(g, 1000) < g->restore_permille)
		return op_find("restore");

	for (i = 0; ops[i]; i++)
		total += g->weight[i];
	if (total == 0)
		die("there is no call to make");
	at = gen_pick(g, total);
	for (i = 0; at >= g->weight[i]; i++)
		at -= g->weight[i];
	return ops[i];
}

static unsigned pick_space(struct gen *g)
{
	unsigned space;

	do
		space = (unsigned)gen_pick(g, 8 * sizeof(g->spaces));
	while (!(g->spaces & 1U << space));
	return space;
}

static void make_step(struct gen *g, struct step *s)
{
	do {
		g->space = pick_space(g);
		*s = (struct step){ .op = pick_op(g), .space = g->space };
		s->op->make(g, s);
	} while (step_is_forbidden(s));
}

static bool is_op(const struct step *s, const char *name)
{
	return strcmp(s->op->name, name) == 0;
}

static void add_known(void *ctx, uint64_t start, uint64_t end)
{
	struct gen_known *known = ctx;

	if (known->count < GEN_KNOWN)
		known->list[known->count++] =
			(struct gen_range){ start, end - start };
}

/* ---- Groups -------------------------------------------------------------- */

/* How often a step of a thread is made again until it keeps to its slice. */
#define TRIES 50

/* How many groups of a hundred are in the common slice. */
#define COMMON_PERCENT 20

/*
 * Which slice a thread gets; mostly one that no other space's thread has: only
 * one of them may have files.
 */
static unsigned pick_slice(struct gen *g, uint32_t taken[SLICE_COUNT])
{
	unsigned slice;

	do
		slice = (unsigned)gen_pick(g, SLICE_COUNT);
	while (taken[slice] & 1U << g->space ||
	       (taken[slice] && gen_percent(g, 60)));
	taken[slice] |= 1U << g->space;
	return slice;
}

static void enter_slice(struct gen *g, unsigned slice)
{
	const struct gen_known *known = &g->known[g->space];

	g->in_slice = true;
	g->slice = slice;
	g->mapped.count = 0;
	for (unsigned i = 0; i < known->count; i++) {
		const struct gen_range *r = &known->list[i];

		if (slice_has(slice, r->addr, r->len))
			g->mapped.list[g->mapped.count++] = *r;
	}
}

/* One step that keeps to the slice.  False: none was found. */
static bool make_beside(struct gen *g, struct step *s, unsigned thread)
{
	/* Nothing happens where nothing is mapped. */
	bool maps = g->mapped.count == 0 && g->weight[0] && gen_percent(g, 80);

	for (int i = 0; i < TRIES; i++) {
		*s = (struct step){ .op = maps ? ops[0] : pick_op(g),
				    .space = g->space,
				    .thread = thread };
		if (!s->op->beside)
			continue;
		s->op->make(g, s);
		if (!step_is_forbidden(s) && s->op->beside(s, g->slice))
			return true;
	}
	return false;
}

/* What the threads of a group map is not seen before all are done. */
static void expect_mapped(struct gen *g, const struct step *s)
{
	uint64_t end = (s->args[0] + s->args[1] + PAGE - 1) & ~(PAGE - 1);

	if (is_op(s, "mmap") && s->args[0] % PAGE == 0 && s->args[1] > 0)
		add_known(&g->mapped, s->args[0], end);
}

/* Often one for all threads, so that they meet in its object. */
static unsigned pick_file(struct gen *g)
{
	static const unsigned char files[] = { FILE_MEM, FILE_MEM, FILE_TMP,
					       FILE_TMP, FILE_SEALED_FUTURE };

	if (gen_percent(g, 50))
		return FILE_NONE;
	return GEN_ONE_OF(g, files);
}

static size_t make_group(struct gen *g, struct step *out)
{
	unsigned threads = 2 + (unsigned)gen_pick(g, STEPPER_THREADS - 1);
	bool common = gen_percent(g, COMMON_PERCENT);
	uint32_t taken[SLICE_COUNT] = { 0 };
	size_t n = 0;

	g->file = common ? (unsigned)FILE_NONE : pick_file(g);
	for (unsigned t = 1; t <= threads; t++) {
		size_t len = 1 + gen_pick(g, GROUP_STEPS / STEPPER_THREADS);

		/* In the common slice they shall meet. */
		if (!common || t == 1) {
			g->space = pick_space(g);
			enter_slice(g, common ? SLICE_COMMON
					      : pick_slice(g, taken));
		}
		while (len-- > 0 && make_beside(g, &out[n], t))
			expect_mapped(g, &out[n++]);
	}
	g->in_slice = false;
	g->file = FILE_NONE;
	return n;
}

/* False: none is low. */
static bool lift_limit(struct gen *g, struct step *out)
{
	for (unsigned i = 0; i < STEPPER_SLOTS; i++) {
		unsigned limit = (unsigned)__builtin_ctz(g->limited[i] |
							 1U << LIMIT_COUNT);

		if (!(g->spaces & 1U << i) || limit == LIMIT_COUNT)
			continue;
		*out = (struct step){ .op = op_find("limit"), .space = i };
		out->args[0] = limit;
		out->args[1] = kernel_limits[limit].most;
		return true;
	}
	return false;
}

/*
 * What steps that stand alone leave behind keeps groups from being taken: low
 * limits, and mappings that reach out of a slice or have files.
 */
static bool make_room(struct gen *g, struct step *out)
{
	unsigned slice = (unsigned)gen_pick(g, SLICE_COUNT);

	if (lift_limit(g, out))
		return true;
	if (gen_percent(g, 70))
		return false;
	*out = (struct step){ .op = op_find("munmap"),
			      .space = pick_space(g),
			      .args = { SLICE_START(slice) - PAGE,
					SLICE_BYTES + 2 * PAGE } };
	return true;
}

size_t gen_steps(struct gen *g, struct step *out)
{
	size_t n = 0;

	if (!g->grouped && gen_pick(g, 1000) < g->threads_permille)
		n = gen_percent(g, 50) && make_room(g, out)
			    ? 1
			    : make_group(g, out);
	if (n)
		return n;
	make_step(g, out);
	return 1;
}

/* ---- What was seen ------------------------------------------------------- */

void gen_observe(struct gen *g, unsigned space, const struct view *v)
{
	g->known[space].count = 0;
	text_for_each(v, add_known, &g->known[space]);
}

static void remember(struct gen *g, uint64_t addr, uint64_t len)
{
	if (len)
		g->recent[g->recent_count++ % GEN_RECENT] =
			(struct gen_range){ addr, len };
}

static void learn_limit(struct gen *g, const struct step *s)
{
	unsigned bit = 1U << s->args[0] % LIMIT_COUNT;

	g->limited[s->space] &= ~bit;
	if (s->args[1] < kernel_limits[s->args[0] % LIMIT_COUNT].most)
		g->limited[s->space] |= bit;
}

static void learn_fork(struct gen *g, const struct step *s)
{
	g->spaces |= 1U << s->args[0];
	g->limited[s->args[0]] = g->limited[s->space];
}

void gen_learn(struct gen *g, const struct step *s, const struct outcome *o)
{
	if (o->result < 0)
		return;
	if (is_op(s, "mmap"))
		remember(g, (uint64_t)o->result, s->args[1]);
	else if (is_op(s, "mremap"))
		remember(g, (uint64_t)o->result, s->args[2]);
	else if (is_op(s, "limit"))
		learn_limit(g, s);
	else if (is_op(s, "fork"))
		learn_fork(g, s);
	else if (is_op(s, "exit"))
		g->spaces &= ~(1U << s->space);
}
