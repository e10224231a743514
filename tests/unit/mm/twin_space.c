/*
 * Twins: the space.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "hostfile/hostfile.h"
#include "mm/mm_internal.h"
#include "shmem/shmem.h"
#include "unit/mm/twin_internal.h"

#include <sys/mman.h>

/* As process_vm_readv(2), which is how the other side is looked at. */
static int peek(void *ctx, uint64_t addr)
{
	unsigned char c;
	size_t done;
	int rc = msn_mm_copy_in(ctx, addr, &c, 1,
				(struct msn_mm_io){ .remote = true }, &done);

	return rc ? rc : c;
}

static void touch(struct msn_mm *mm, const struct twin_step *s)
{
	for (uint64_t at = s->addr; at < s->addr + s->length; at += PAGE) {
		char c = twin_letter(at / PAGE);
		size_t done;
		int rc = msn_mm_copy_out(mm, BASE + at, &c, 1, plain, &done);

		(void)rc;
	}
}

static int make_shared(void *ctx, uint64_t size, struct msn_mappable **obj,
		       struct msn_identity **id)
{
	struct msn_mmap_opts o = { 0 };
	struct msn_shmem *s;
	int rc = msn_shmem_new(
		&s, &(struct msn_shmem_opts){ .memfile = ctx, .size = size });

	if (rc)
		return rc;
	msn_shmem_set_mapped(s, &o);
	*obj = o.mappable;
	*id = o.mapping_identity;
	return 0;
}

static int map_step(struct twin_space *t, const struct twin_step *s,
		    uint64_t *addr)
{
	struct msn_open_file file = {
		.identity = msn_hostfile_identity(t->file),
		.mappable = s->of == TWIN_ZERO ? NULL
					       : msn_hostfile_mappable(t->file),
		.readable = true,
		.writable = s->of != TWIN_READ_ONLY,
		.zero = s->of == TWIN_ZERO,
	};
	struct msn_mmap_call c = { .addr = BASE + s->addr,
				   .length = s->length,
				   .prot = s->prot,
				   .flags = s->flags | MAP_FIXED,
				   .file = s->of == TWIN_MEMORY ? NULL : &file,
				   .shared = make_shared,
				   .ctx = t->f.mf };

	return msn_mm_sys_mmap(t->f.mm, &c, addr);
}

static int mincore_step(struct msn_mm *mm, const struct twin_step *s,
			uint64_t *value)
{
	uint8_t vec[TWIN_PAGES] = { 0 };
	int rc = msn_mm_mincore(mm, BASE + s->addr, s->length, vec);

	for (size_t i = 0; i < TWIN_PAGES; i++)
		*value += vec[i] & 1;
	return rc;
}

/* Calls that touch memory or tell a number. */
static int access_step(struct msn_mm *mm, const struct twin_step *s,
		       uint64_t *value)
{
	char byte = (char)s->flags;
	size_t done;
	int rc;

	switch (s->op) {
	case TWIN_TOUCH:
		touch(mm, s);
		return 0;
	case TWIN_HEAP:
		msn_mm_set_heap(mm, BASE + s->addr);
		return 0;
	case TWIN_BRK:
		*value = msn_mm_brk(mm, BASE + s->addr) - BASE;
		return 0;
	case TWIN_PUT:
		return msn_mm_copy_out(mm, BASE + s->addr, &byte, 1, plain,
				       &done);
	case TWIN_GET:
		rc = get(mm, BASE + s->addr);
		*value = (uint64_t)rc;
		return rc < 0 ? rc : 0;
	default:
		return mincore_step(mm, s, value);
	}
}

static int call_step(struct twin_space *t, const struct twin_step *s,
		     uint64_t *value)
{
	struct msn_mm *mm = t->f.mm;
	uint64_t at = BASE + s->addr, to = BASE;
	int rc;

	switch (s->op) {
	case TWIN_MAP:
		rc = map_step(t, s, &to);
		break;
	case TWIN_REMAP:
		rc = msn_mm_mremap(mm, at, s->length, s->new_length, s->flags,
				   BASE + s->to, &to);
		break;
	case TWIN_UNMAP:
		return msn_mm_munmap(mm, at, s->length);
	case TWIN_PROTECT:
		return msn_mm_mprotect(mm, at, s->length, s->prot);
	case TWIN_SEAL:
		return msn_mm_mseal(mm, at, s->length, (unsigned long)s->flags);
	case TWIN_BIND:
		return msn_mm_mbind(mm, at, s->length, s->mode, &s->nodes, 65,
				    (unsigned)s->flags);
	case TWIN_ADVISE:
		return msn_mm_madvise(mm, at, s->length, s->flags);
	case TWIN_LOCK:
		return msn_mm_mlock(mm, at, s->length, s->flags);
	case TWIN_UNLOCK:
		return msn_mm_munlock(mm, at, s->length);
	case TWIN_LOCK_ALL:
		return msn_mm_mlockall(mm, s->flags);
	case TWIN_UNLOCK_ALL:
		msn_mm_munlockall(mm);
		return 0;
	case TWIN_SYNC:
		return msn_mm_msync(mm, at, s->length, s->flags);
	default:
		return access_step(mm, s, value);
	}
	*value = (to - BASE) / PAGE;
	return rc;
}

void twin_space_init(struct twin_space *s, const struct twin_script *script)
{
	struct msn_mm_limits lim = msn_mm_no_limits();

	s->f = setup(false);
	CHECK(msn_hostfile_open(&s->file, script->files.path, true) == 0);
	/* The host's heuristic refuses what nobody has. */
	lim.commit = UINT64_C(1) << 45;
	if (script->opts.as)
		lim.as = script->opts.as;
	if (script->opts.data)
		lim.data = script->opts.data;
	if (script->opts.memlock) {
		lim.memlock = script->opts.memlock;
		lim.can_lock = false;
	}
	msn_mm_set_limits(s->f.mm, &lim);
}

void twin_space_deinit(struct twin_space *s)
{
	msn_identity_dec_ref(msn_hostfile_identity(s->file));
	teardown(&s->f);
}

void twin_do_step(struct twin_space *s, const struct twin_script *script,
		  const struct twin_step *step, struct twin_outcome *out)
{
	struct msn_mm *mm = s->f.mm;
	struct twin_side side = { peek, mm, BASE, { 0 } };
	char *maps;

	out->value = 0;
	out->error = -call_step(s, step, &out->value);
	if (out->error)
		out->value = 0;
	out->locked = mm->sizes.locked;
	CHECK(msn_mm_maps(mm, &maps) == 0);
	if (script->opts.presence)
		CHECK(msn_mm_pagemap(mm, BASE, TWIN_PAGES, side.pagemap) == 0);
	twin_take_shape(out->shape, maps, &side, script->opts.presence);
	free(maps);
}
