/*
 * Engine: spaces over platform `none`, in the kernel's layout.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "oracle/engine.h"

#include "base/alloc.h"
#include "oracle/text.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

static struct engine *of_side(struct side *side)
{
	return msn_container_of(side, struct engine, side);
}

static bool engine_can(const struct op *op)
{
	return op->engine;
}

static void check_spaces(struct engine *e)
{
	for (unsigned i = 0; i < STEPPER_SLOTS; i++) {
		const char *wrong = e->mm[i] ? msn_mm_check(e->mm[i]) : NULL;

		if (wrong)
			broken("space %u is broken: %s", i, wrong);
	}
}

static void check_memfile(struct engine *e)
{
	const char *wrong = msn_memfile_check(e->memfile);

	if (wrong)
		broken("the memory file is broken: %s", wrong);
}

static void engine_run(struct side *side, const struct step *s,
		       struct outcome *o)
{
	struct engine *e = of_side(side);

	s->op->engine(e, s, o);
	check_spaces(e);
}

static void run_beside(void *ctx, const struct step *s, struct outcome *o)
{
	s->op->engine(ctx, s, o);
}

static void engine_run_group(struct side *side, const struct group *g,
			     struct outcome **out)
{
	struct engine *e = of_side(side);
	uint64_t used = msn_memfile_used(e->memfile);

	group_run(g, out, run_beside, e);
	check_spaces(e);
	check_memfile(e);
	if (!g->common)
		return;
	for (unsigned i = 0; i < STEPPER_SLOTS; i++)
		if (g->spaces & 1U << i &&
		    msn_mm_munmap(e->mm[i], SLICE_START(SLICE_COMMON),
				  SLICE_BYTES))
			broken("space %u does not get rid of the common slice",
			       i);
	if (msn_memfile_used(e->memfile) != used)
		broken("the common slice left %lld bytes behind",
		       (long long)(msn_memfile_used(e->memfile) - used));
}

static void engine_read_file(struct side *side, unsigned file,
			     struct file_state *out)
{
	engine_files_read_state(&of_side(side)->files, file, out);
}

static void engine_free(struct side *side)
{
	struct engine *e = of_side(side);

	for (unsigned i = 0; i < STEPPER_SLOTS; i++)
		msn_mm_free(e->mm[i]);
	engine_files_close(&e->files);
	check_memfile(e);
	if (msn_memfile_used(e->memfile))
		broken("pages are still used when every space is gone");
	msn_memfile_free(e->memfile);
	free(e);
}

/* ---- Looking ------------------------------------------------------------- */

static void read_listing(struct engine *e, unsigned space, unsigned detail,
			 struct view *out)
{
	char *text = NULL;
	int rc = detail & SIDE_SMAPS ? msn_mm_smaps(e->mm[space], &text)
				     : msn_mm_maps(e->mm[space], &text);

	if (rc)
		die("no listing of space %u: %s", space, strerror(-rc));
	text_normalise(out, text, strlen(text), detail);
	free(text);
}

/* Asks for so many words at a time. */
#define WORDS 512
/* A longer mapping is looked at from both ends, and where the model has pages.
 */
#define LOOK_PAGES UINT64_C(4096)

struct finder {
	struct engine *e;
	unsigned space;
	const struct view *model;
	struct view *out;
};

static void find_in(struct finder *f, uint64_t start, uint64_t end)
{
	uint64_t words[WORDS];

	while (start < end) {
		size_t n = (size_t)((end - start) / 4096);
		int rc;

		if (n > WORDS)
			n = WORDS;
		rc = msn_mm_pagemap(f->e->mm[f->space], start, n, words);
		if (rc)
			die("no pagemap of space %u: %s", f->space,
			    strerror(-rc));
		for (size_t i = 0; i < n; i++)
			if (words[i] & (PAGE_PRESENT | PAGE_GUARD))
				view_add_page(f->out, start + i * 4096,
					      words[i] & PAGE_BITS);
		start += n * 4096;
	}
}

static void find_in_mapping(void *ctx, uint64_t start, uint64_t end)
{
	struct finder *f = ctx;

	if (end - start <= 2 * LOOK_PAGES * 4096) {
		find_in(f, start, end);
		return;
	}
	find_in(f, start, start + LOOK_PAGES * 4096);
	start += LOOK_PAGES * 4096;
	end -= LOOK_PAGES * 4096;
	for (size_t i = 0; i < f->model->count; i++) {
		uint64_t at = f->model->pages[i].addr;

		if (at >= start && at < end)
			find_in(f, at, at + 4096);
	}
	find_in(f, end, end + LOOK_PAGES * 4096);
}

static void read_bytes(struct engine *e, unsigned space, struct view *out)
{
	view_reserve_bytes(out);
	for (size_t i = 0; i < out->count; i++) {
		struct msn_mm_io io = { .ignore_permissions = true };
		size_t done;

		memset(out->bytes + i * 4096, 0, 4096);
		if (out->pages[i].bits & PAGE_PRESENT &&
		    msn_mm_copy_in(e->mm[space], out->pages[i].addr,
				   out->bytes + i * 4096, 4096, io, &done))
			memset(out->bytes + i * 4096, 0xee, 4096);
	}
}

static void engine_look(struct side *side, unsigned space, unsigned detail,
			const struct view *model, struct view *out)
{
	struct finder f = { of_side(side), space, model, out };

	out->text_len = 0;
	out->count = 0;
	read_listing(f.e, space, detail, out);
	if (detail & SIDE_PAGEMAP)
		text_for_each(out, find_in_mapping, &f);
	else
		for (size_t i = 0; i < model->count; i++)
			view_add_page(out, model->pages[i].addr,
				      model->pages[i].bits);
	if (detail & SIDE_BYTES)
		read_bytes(f.e, space, out);
}

static const struct side_ops engine_ops = {
	.name = "engine",
	.can = engine_can,
	.run = engine_run,
	.run_group = engine_run_group,
	.look = engine_look,
	.read_file = engine_read_file,
	.free = engine_free,
};

/* ---- Making -------------------------------------------------------------- */

struct msn_mm_limits engine_limits(const struct engine *e)
{
	struct msn_mm_limits l = msn_mm_no_limits();

	l.stack = KERNEL_STACK_LIMIT;
	l.memlock = KERNEL_MEMLOCK_LIMIT;
	l.commit = e->layout.commit_pages * 4096;
	l.mappings = e->layout.mappings;
	l.can_lock = false;
	l.can_map_low = false;
	l.can_move_all = false;
	return l;
}

struct msn_mm_opts engine_space_opts(const struct engine *e,
				     const struct msn_mm_limits *limits)
{
	return (struct msn_mm_opts){
		.memfile = e->memfile,
		.limits = limits,
		.layout = { .min_addr = e->layout.min_addr,
			    .low_addr = e->layout.min_fixed,
			    .max_addr = e->layout.max_addr,
			    .top_down_base = e->layout.mmap_base },
	};
}

static int make_shared(void *ctx, uint64_t size, struct msn_mappable **obj,
		       struct msn_identity **id)
{
	struct engine *e = ctx;
	struct msn_shmem *s;
	int rc = msn_shmem_new(&s,
			       &(struct msn_shmem_opts){ .memfile = e->memfile,
							 .size = size });

	if (rc)
		return rc;
	*obj = msn_shmem_mappable(s);
	*id = msn_shmem_identity(s);
	return 0;
}

/* Far past the end of a file. */
#define NOWHERE (UINT64_C(1) << 30)

/*
 * @restores: what is shared is of the file on tmpfs, of a part that has no
 * pages.  So there always is a mapping that may write to it, a restore opens it
 * for writing, and its descriptors are good for what they were.
 */
static void map_foreign(struct engine *e, const struct foreign *f,
			bool restores)
{
	struct msn_mmap_call call = {
		.addr = f->start,
		.length = f->end - f->start,
		.prot = f->prot,
		.flags = MAP_ANONYMOUS | MAP_FIXED |
			 (f->shared ? MAP_SHARED : MAP_PRIVATE),
		.shared = make_shared,
		.ctx = e,
	};
	uint64_t at;

	if (restores && f->shared) {
		call.flags &= ~MAP_ANONYMOUS;
		call.file = engine_files_get(&e->files, FILE_TMP);
		call.offset = NOWHERE;
	}
	if (msn_mm_sys_mmap(e->mm[0], &call, &at))
		die("the engine cannot map foreign memory");
}

struct engine *engine_new(const struct kernel_layout *layout, bool restores)
{
	struct engine *e = msn_alloc(sizeof(*e));
	struct msn_mm_limits limits;
	struct msn_mm_opts opts;

	if (!e)
		die("no memory");
	e->side = (struct side){ .ops = &engine_ops,
				 .detail = SIDE_MAPS | SIDE_SMAPS |
					   SIDE_PAGEMAP | SIDE_BYTES,
				 .spaces = 1 };
	e->layout = *layout;
	if (msn_memfile_new(&e->memfile, &(struct msn_memfile_opts){ 0 }))
		die("no memory file");
	engine_files_open(&e->files, e->memfile, restores);
	limits = engine_limits(e);
	opts = engine_space_opts(e, &limits);
	if (msn_platform_none_new(&opts.as) || msn_mm_new(&e->mm[0], &opts))
		die("no space");
	msn_mm_set_heap(e->mm[0], layout->brk);
	for (size_t i = 0; i < layout->foreign_count; i++)
		map_foreign(e, &layout->foreign[i], restores);
	return e;
}

/* ---- mmap ---------------------------------------------------------------- */

int64_t engine_mmap(struct engine *e, unsigned space, const uint64_t args[6])
{
	struct msn_mmap_call call = {
		.addr = args[0],
		.length = args[1],
		.prot = (int)args[2],
		.flags = (int)args[3],
		.file = engine_files_get(&e->files, args[4]),
		.offset = args[5],
		.shared = make_shared,
		.ctx = e,
	};
	uint64_t at;
	int rc = msn_mm_sys_mmap(e->mm[space], &call, &at);

	return rc ? rc : (int64_t)at;
}
