/*
 * Ops: mmap, munmap, mprotect, mremap.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "oracle/op_common.h"

#ifndef MREMAP_DONTUNMAP
#define MREMAP_DONTUNMAP 4
#endif

/* ---- mmap ---------------------------------------------------------------- */

static uint64_t mmap_type(struct gen *g)
{
	unsigned n = (unsigned)gen_pick(g, 100);

	if (n < 65)
		return MAP_PRIVATE;
	if (n < 94)
		return MAP_SHARED;
	return n < 98 ? MAP_SHARED_VALIDATE : gen_pick(g, 16);
}

static uint64_t mmap_extras(struct gen *g)
{
	static const struct {
		uint64_t flag;
		unsigned percent;
	} list[] = {
		{ MAP_FIXED_NOREPLACE, 5 },
		{ MAP_32BIT, 4 },
		{ MAP_GROWSDOWN, 5 },
		{ MAP_STACK, 4 },
		{ MAP_LOCKED, 3 },
		{ MAP_NORESERVE, 8 },
		{ MAP_POPULATE, 10 },
		{ MAP_NONBLOCK, 2 },
		{ MAP_DENYWRITE, 1 },
		{ MAP_EXECUTABLE, 1 },
		{ MAP_SYNC, 1 },
		{ UINT64_C(1) << 24, 1 },
	};
	uint64_t flags = 0;

	for (size_t i = 0; i < MSN_ARRAY_LEN(list); i++)
		if (gen_percent(g, list[i].percent))
			flags |= list[i].flag;
	/* There are no huge pages to have: the error is all there is. */
	if (!(flags & MAP_NORESERVE) && gen_pick(g, 200) == 0)
		flags |= MAP_HUGETLB;
	return flags;
}

/* The file behind the mapping, if it is one with pages. */
static unsigned mmap_file(const struct step *s)
{
	if (s->args[3] & MAP_ANONYMOUS || s->args[4] >= FILE_ZERO)
		return FILE_NONE;
	return (unsigned)s->args[4];
}

static void make_mmap(struct gen *g, struct step *s)
{
	bool anonymous = gen_percent(g, g->in_slice ? 45 : 60);
	uint64_t flags = mmap_type(g) | mmap_extras(g);

	if (anonymous)
		flags |= MAP_ANONYMOUS;
	if (g->in_slice || gen_percent(g, 45))
		flags |= MAP_FIXED;
	if ((flags & MAP_TYPE) == MAP_SHARED_VALIDATE && gen_percent(g, 20))
		flags |= MAP_SYNC;
	s->args[0] = gen_percent(g, 30) ? 0 : gen_addr(g);
	if (flags & MAP_FIXED && s->args[0] == 0)
		s->args[0] = gen_addr(g);
	s->args[1] = gen_wild_len(g);
	s->args[2] = gen_prot(g);
	if (gen_percent(g, 1))
		s->args[2] |= PROT_UNKNOWN;
	s->args[4] = anonymous && gen_percent(g, 90) ? (uint64_t)FILE_NONE
		     : g->file			     ? g->file
						     : gen_pick(g, FILE_COUNT);
	s->args[5] = gen_percent(g, 85) ? gen_pick(g, 10) * 4096
					: gen_pick(g, 2) * 2048;
	if (g->restores && s->args[4] == FILE_ZERO &&
	    (flags & MAP_TYPE) == MAP_PRIVATE)
		s->args[4] = FILE_TMP;
	if (gen_percent(g, 1))
		s->args[5] = UINT64_MAX - 4095 - gen_pick(g, 3) * 4096;
	s->args[3] = flags;
	if (mmap_file(s) != FILE_NONE)
		gen_fit_file(g, &s->args[5], &s->args[1]);
}

/* See changed[] in text.c. */
static bool is_high_zero(const struct step *s)
{
	return s->args[4] == FILE_ZERO && s->args[5] > INT64_MAX &&
	       (s->args[3] & (MAP_ANONYMOUS | MAP_SHARED)) == MAP_SHARED;
}

static bool mmap_is_left_out(const struct step *s)
{
	if (is_high_zero(s))
		return true;
	return s->args[1] > STEP_PLACED_MAX &&
	       s->args[3] & (MAP_POPULATE | MAP_LOCKED);
}

/*
 * Where it goes must not depend on what others have mapped.  What grows down
 * over a file would come to pages of other slices.
 */
static bool mmap_keeps_to(const struct step *s, unsigned slice)
{
	bool fixed = s->args[3] & (MAP_FIXED | MAP_FIXED_NOREPLACE);
	bool has_file = mmap_file(s) != FILE_NONE;

	if (!fixed || !keeps_to_ranges(s, slice))
		return false;
	if (s->args[3] & MAP_GROWSDOWN && (has_file || slice != SLICE_STACKS))
		return false;
	return !has_file || slice_has_bytes(slice, s->args[5], s->args[1]);
}

static void kernel_mmap(struct kernel *k, const struct step *s,
			struct outcome *o)
{
	o->result = KERNEL_CALL(k, kernel_slot(s), SYS_mmap, s->args[0],
				s->args[1], s->args[2], s->args[3],
				kernel_fd(s->args[4]), s->args[5]);
}

static void run_mmap(struct engine *e, const struct step *s, struct outcome *o)
{
	o->result = engine_mmap(e, s->space, s->args);
}

const struct op op_mmap = {
	.name = "mmap",
	.errors = { EPERM, EBADF, EAGAIN, ENOMEM, EACCES, EEXIST, ENODEV,
		    EINVAL, EOVERFLOW, EOPNOTSUPP },
	.args = { "addr", "len", "prot", "flags", "file", "offset" },
	.weight = 20,
	.ranges = { { true, 0, 1 } },
	.make = make_mmap,
	.is_left_out = mmap_is_left_out,
	.beside = mmap_keeps_to,
	.file = mmap_file,
	.kernel = kernel_mmap,
	.engine = run_mmap,
};

/* ---- munmap -------------------------------------------------------------- */

OP_KERNEL(munmap, SYS_munmap)

OP_ENGINE(munmap, msn_mm_munmap(mm, a[0], a[1]))

const struct op op_munmap = {
	.name = "munmap",
	.errors = { EPERM, EINVAL },
	.args = { "addr", "len" },
	.weight = 7,
	.ranges = { { true, 0, 1 } },
	.make = make_range,
	.beside = keeps_to_ranges,
	.kernel = kernel_munmap,
	.engine = run_munmap,
};

/* ---- mprotect ------------------------------------------------------------ */

static void make_mprotect(struct gen *g, struct step *s)
{
	make_range(g, s);
	s->args[2] = gen_prot(g);
	if (gen_percent(g, 3))
		s->args[2] |= PROT_GROWSDOWN;
	if (gen_percent(g, 1))
		s->args[2] |= PROT_GROWSUP;
	if (gen_percent(g, 1))
		s->args[2] |= PROT_UNKNOWN;
}

OP_KERNEL(mprotect, SYS_mprotect)

OP_ENGINE(mprotect, msn_mm_mprotect(mm, a[0], a[1], (int)a[2]))

const struct op op_mprotect = {
	.name = "mprotect",
	.errors = { EPERM, ENOMEM, EACCES, EINVAL },
	.args = { "addr", "len", "prot" },
	.weight = 10,
	.ranges = { { true, 0, 1 } },
	.make = make_mprotect,
	.beside = keeps_to_ranges,
	.kernel = kernel_mprotect,
	.engine = run_mprotect,
};

/* ---- mremap -------------------------------------------------------------- */

static void make_mremap(struct gen *g, struct step *s)
{
	static const unsigned char flags[] = {
		0,
		0,
		MREMAP_MAYMOVE,
		MREMAP_MAYMOVE,
		MREMAP_MAYMOVE,
		MREMAP_MAYMOVE | MREMAP_FIXED,
		MREMAP_MAYMOVE | MREMAP_FIXED,
		MREMAP_MAYMOVE | MREMAP_DONTUNMAP,
		MREMAP_MAYMOVE | MREMAP_DONTUNMAP | MREMAP_FIXED,
		MREMAP_FIXED,
		MREMAP_DONTUNMAP,
		8,
	};

	make_range(g, s);
	s->args[2] = gen_percent(g, 35) ? s->args[1] : gen_wild_len(g);
	s->args[3] = GEN_ONE_OF(g, flags);
	if (s->args[3] & (MREMAP_FIXED | MREMAP_DONTUNMAP))
		s->args[4] = gen_addr(g);
}

/*
 * It moves to a place that is said, or not at all.  What MREMAP_DONTUNMAP
 * leaves behind may count as locked for good, and so not in the common slice.
 */
static bool mremap_keeps_to(const struct step *s, unsigned slice)
{
	if (!slice_has(slice, s->args[0], s->args[1]) ||
	    !slice_has(slice, s->args[0], s->args[2]))
		return false;
	switch (s->args[3]) {
	case 0:
		return true;
	case MREMAP_MAYMOVE:
		return s->args[1] > 0 && s->args[2] <= s->args[1];
	case MREMAP_MAYMOVE | MREMAP_FIXED | MREMAP_DONTUNMAP:
		if (slice == SLICE_COMMON)
			return false;
		__attribute__((fallthrough));
	case MREMAP_MAYMOVE | MREMAP_FIXED:
		return slice_has(slice, s->args[4], s->args[2]);
	default:
		return false;
	}
}

OP_KERNEL(mremap, SYS_mremap)

static void run_mremap(struct engine *e, const struct step *s,
		       struct outcome *o)
{
	uint64_t at = 0;
	int rc = msn_mm_mremap(engine_mm(e, s), s->args[0], s->args[1],
			       s->args[2], (int)s->args[3], s->args[4], &at);

	o->result = rc ? rc : (int64_t)at;
}

const struct op op_mremap = {
	.name = "mremap",
	.errors = { EPERM, EAGAIN, ENOMEM, EFAULT, EINVAL },
	.args = { "addr", "len", "new_len", "flags", "new_addr" },
	.weight = 12,
	.ranges = { { true, 0, 1 }, { true, 4, 2 } },
	.make = make_mremap,
	.beside = mremap_keeps_to,
	.kernel = kernel_mremap,
	.engine = run_mremap,
};
