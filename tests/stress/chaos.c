/*
 * Every call on areas that all threads use at once: nothing is known of what
 * the calls return, but no byte appears where it has no business.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "stress/stress.h"

#include "block/safecopy.h"

#include <linux/mempolicy.h>
#include <stdlib.h>
#include <string.h>

#define COPY_MAX (5 * PAGE)

/* What Linux 6.18 knows, and what it does not. */
static const int advices[] = {
	MADV_NORMAL,	     MADV_RANDOM,
	MADV_SEQUENTIAL,     MADV_WILLNEED,
	MADV_DONTNEED,	     MADV_FREE,
	MADV_REMOVE,	     MADV_DONTFORK,
	MADV_DOFORK,	     MADV_MERGEABLE,
	MADV_UNMERGEABLE,    MADV_HUGEPAGE,
	MADV_NOHUGEPAGE,     MADV_DONTDUMP,
	MADV_DODUMP,	     MADV_WIPEONFORK,
	MADV_KEEPONFORK,     MADV_COLD,
	MADV_PAGEOUT,	     MADV_POPULATE_READ,
	MADV_POPULATE_WRITE, MADV_DONTNEED_LOCKED,
	MADV_COLLAPSE,	     MADV_GUARD_INSTALL,
	MADV_GUARD_REMOVE,   99,
};

struct place pick_place(struct worker *k, struct slot *s)
{
	struct place p = { .s = s, .mm = s->mm, .shared = pick(k, 3) == 0 };
	uint64_t page = pick(k, AREA_PAGES), most = AREA_PAGES - page;
	uint64_t pages = 1 + pick(k, 12);

	p.addr = AT((p.shared ? SHARED_AREA : PRIVATE_AREA) + page);
	p.length = (pages < most ? pages : most) * PAGE;
	return p;
}

void chaos_look(const uint8_t *bytes, size_t len, unsigned root, bool shared)
{
	for (size_t i = 0; i < len; i++) {
		uint8_t c = bytes[i];

		MUST(c == 0 || c == SHARED_BYTE || c == REMOTE_BYTE ||
		     (!shared && c == ROOT_BYTE(root)));
	}
}

static void set_object(struct worker *k, struct place *p,
		       struct msn_mmap_opts *o)
{
	const struct object *obj = &k->w->objects[pick(k, OBJECTS)];

	if (!p->shared && pick(k, 2)) {
		o->grows_down = pick(k, 8) == 0;
		return;
	}
	o->mappable = obj->mappable;
	o->mapping_identity = obj->identity;
	o->offset = pick(k, OBJECT_PAGES) * PAGE;
}

static void do_mmap(struct worker *k, struct place *p)
{
	static const unsigned rights[] = { RW, RW,
					   RW, MSN_ACCESS_READ,
					   0,  MSN_ACCESS_ANY };
	struct msn_mmap_opts o = {
		.length = p->length,
		.addr = p->addr,
		.fixed = true,
		.unmap = pick(k, 4),
		.perms = rights[pick(k, 6)],
		.max_perms = MSN_ACCESS_ANY,
		.private = !p->shared,
		.mlock_mode = pick(k, 8) ? MSN_MLOCK_NONE : MSN_MLOCK_EAGER,
		.no_reserve = pick(k, 4) == 0,
	};
	uint64_t addr;

	if (pick(k, 4) == 0)
		o.platform_effect = MSN_PLATFORM_EFFECT_POPULATE;
	set_object(k, p, &o);
	ignore(msn_mm_mmap(p->mm, &o, &addr));
}

static void do_mremap(struct worker *k, struct place *p)
{
	uint64_t first = p->shared ? SHARED_AREA : PRIVATE_AREA;
	uint64_t pages = 1 + pick(k, 8), out;
	uint64_t to = AT(first + pick(k, AREA_PAGES - pages));
	int flags = MREMAP_MAYMOVE | MREMAP_FIXED;

	if (pick(k, 4) == 0)
		flags |= MREMAP_DONTUNMAP;
	if (pick(k, 4) == 0)
		flags = 0; /* shrinks, or grows where it is */
	if (flags == 0 && p->addr + pages * PAGE > AT(first + AREA_PAGES))
		return;
	ignore(msn_mm_mremap(p->mm, p->addr,
			     pick(k, 4) ? pages * PAGE : p->length,
			     pages * PAGE, flags, to, &out));
}

static void do_read(struct worker *k, struct place *p)
{
	uint8_t buf[COPY_MAX];
	size_t len = 1 + pick(k, COPY_MAX), done;
	uint64_t end =
		AT((p->shared ? SHARED_AREA : PRIVATE_AREA) + AREA_PAGES);
	uint64_t at = p->addr + pick(k, PAGE);

	if (len > end - at)
		len = end - at;
	ignore(msn_mm_copy_in(p->mm, at, buf, len, pick(k, 4) ? plain : forced,
			      &done));
	chaos_look(buf, done, p->s->root, p->shared);
}

static void do_write(struct worker *k, struct place *p)
{
	uint8_t buf[COPY_MAX];
	size_t len = 1 + pick(k, COPY_MAX), done;
	uint64_t end =
		AT((p->shared ? SHARED_AREA : PRIVATE_AREA) + AREA_PAGES);
	uint64_t at = p->addr + pick(k, PAGE);

	if (len > end - at)
		len = end - at;
	memset(buf, p->shared ? SHARED_BYTE : ROOT_BYTE(p->s->root), len);
	if (pick(k, 4))
		ignore(msn_mm_copy_out(p->mm, at, buf, len,
				       pick(k, 4) ? plain : forced, &done));
	else
		ignore(msn_mm_zero_out(p->mm, at, len, plain, &done));
}

static void do_words(struct worker *k, struct place *p)
{
	uint8_t c = p->shared ? SHARED_BYTE : ROOT_BYTE(p->s->root);
	uint32_t word = c * UINT32_C(0x01010101), seen = 0;
	uint64_t at = p->addr + pick(k, PAGE / 4) * 4;
	struct msn_futex_key key;

	switch (pick(k, 4)) {
	case 0:
		ignore(msn_mm_load32(p->mm, at, &seen));
		break;
	case 1:
		ignore(msn_mm_swap32(p->mm, at, word, &seen));
		break;
	case 2:
		ignore(msn_mm_cas32(p->mm, at, 0, word, &seen));
		break;
	default:
		if (msn_mm_futex_key(p->mm, at, true, &key) == 0)
			msn_futex_key_put(&key);
	}
	chaos_look((const uint8_t *)&seen, 4, p->s->root, p->shared);
}

static void do_lock(struct worker *k, struct place *p)
{
	switch (pick(k, 6)) {
	case 0:
	case 1:
		ignore(msn_mm_mlock(p->mm, p->addr, p->length,
				    pick(k, 2) ? MLOCK_ONFAULT : 0));
		break;
	case 2:
	case 3:
		ignore(msn_mm_munlock(p->mm, p->addr, p->length));
		break;
	case 4:
		ignore(msn_mm_mlockall(p->mm,
				       pick(k, 2) ? MCL_CURRENT : MCL_FUTURE));
		break;
	default:
		msn_mm_munlockall(p->mm);
	}
}

static void do_protect(struct worker *k, struct place *p)
{
	static const int prots[] = { PROT_READ | PROT_WRITE, PROT_READ,
				     PROT_NONE, PROT_READ | PROT_EXEC,
				     PROT_READ | PROT_WRITE | PROT_GROWSDOWN };

	ignore(msn_mm_mprotect(p->mm, p->addr, p->length, prots[pick(k, 5)]));
}

static int see_mapping(void *ctx, const struct msn_mapping_view *v,
		       const struct msn_exact_mapping *x)
{
	MUST(v->addr.start < v->addr.end && v->name);
	*(const void **)ctx = msn_anon_chain_id(x->anon);
	return 0;
}

static int see_run(void *ctx, struct msn_addr_range r, enum msn_presence how)
{
	uint64_t *end = ctx;

	MUST(r.start >= *end && how >= MSN_PRESENT_OWN);
	*end = r.end;
	return 0;
}

static int see_private(void *ctx, const struct msn_private_run *r)
{
	struct msn_addr_range a = r->addr;

	return see_run(ctx, a, MSN_PRESENT_OWN);
}

/* What only looks at a space. */
static void do_list(struct worker *k, struct place *p)
{
	struct msn_addr_range all = { 0, UINT64_MAX & ~MSN_PAGE_MASK };
	uint8_t vec[AREA_PAGES];
	uint64_t words[8], end = 0;
	struct msn_exact_space space;
	struct msn_mm_usage usage;
	const void *last = NULL;
	char *text = NULL;

	switch (pick(k, 9)) {
	case 0:
		MUST(msn_mm_maps(p->mm, &text) == 0);
		break;
	case 1:
		MUST(msn_mm_smaps(p->mm, &text) == 0);
		break;
	case 2:
		msn_mm_usage(p->mm, &usage);
		MUST(usage.total <= usage.peak);
		break;
	case 3:
		MUST(msn_mm_pagemap(p->mm, p->addr, 8, words) == 0);
		break;
	case 4:
		MUST(!msn_mm_for_each_exact(p->mm, see_mapping, &last));
		break;
	case 5:
		MUST(!msn_mm_for_each_present(p->mm, see_run, &end));
		break;
	case 6:
		MUST(!msn_mm_for_each_private_run(p->mm, all, see_private,
						  &end));
		break;
	case 7:
		msn_mm_exact_space(p->mm, &space);
		MUST(msn_mm_placed_bytes(p->mm) <= END * PAGE);
		break;
	default:
		ignore(msn_mm_mincore(p->mm, p->addr, p->length, vec));
	}
	free(text);
}

static void do_heap(struct worker *k, struct place *p)
{
	uint8_t bytes[64];
	uint64_t end = AT(HEAP) + pick(k, HEAP_PAGES * PAGE);
	size_t done;

	MUST(msn_mm_brk(p->mm, end) <= AT(HEAP + HEAP_PAGES));
	end -= end > AT(HEAP) + sizeof(bytes) ? sizeof(bytes) : 0;
	ignore(msn_mm_copy_in(p->mm, end, bytes, sizeof(bytes), plain, &done));
	chaos_look(bytes, done, p->s->root, false);
	memset(bytes, ROOT_BYTE(p->s->root), sizeof(bytes));
	ignore(msn_mm_copy_out(p->mm, end, bytes, sizeof(bytes), plain, &done));
}

static void set_limits(struct worker *k, struct place *p)
{
	struct msn_mm_limits l = msn_mm_no_limits();

	msn_mm_get_limits(p->mm, &l);
	l = msn_mm_no_limits();
	if (pick(k, 4) == 0)
		l.as = (200 + pick(k, 200)) * PAGE;
	if (pick(k, 4) == 0)
		l.mappings = 60 + pick(k, 100);
	if (pick(k, 4) == 0) {
		l.memlock = pick(k, 60) * PAGE;
		l.can_lock = false;
	}
	msn_mm_set_limits(p->mm, &l);
}

static void do_rare(struct worker *k, struct place *p)
{
	uint64_t nodes = 1;
	int mode;

	switch (pick(k, 8)) {
	case 0:
		set_limits(k, p);
		break;
	case 1:
		ignore(msn_mm_set_anon_name(p->mm, p->addr, p->length,
					    pick(k, 2) ? "stress" : NULL));
		break;
	case 2:
		ignore(msn_mm_mbind(p->mm, p->addr, p->length,
				    pick(k, 2) ? MPOL_BIND : MPOL_INTERLEAVE,
				    &nodes, 64, 0));
		break;
	case 3:
		ignore(msn_mm_set_mempolicy(p->mm, MPOL_PREFERRED, &nodes, 64));
		break;
	case 4:
		ignore(msn_mm_set_mempolicy(p->mm, MPOL_DEFAULT, NULL, 0));
		break;
	case 5:
		ignore(msn_mm_get_mempolicy(p->mm, &mode, NULL, 0, p->addr,
					    pick(k, 2) ? 0 : MPOL_F_ADDR));
		break;
	case 6:
		msn_mm_reclaim_lazy(p->mm);
		break;
	default:
		ignore(msn_mm_msync(p->mm, p->addr, p->length,
				    pick(k, 2) ? MS_SYNC : MS_ASYNC));
	}
}

void chaos_step(struct worker *k, struct slot *s)
{
	typedef void (*call)(struct worker * k, struct place * p);
	static const call calls[] = {
		do_mmap,  do_mmap,  do_mremap, do_read, do_read,
		do_write, do_write, do_words,  do_lock, do_protect,
		do_list,  do_heap,  do_rare,
	};
	struct place p = pick_place(k, s);
	uint64_t which = pick(k, sizeof(calls) / sizeof(calls[0]) + 3);

	if (which < sizeof(calls) / sizeof(calls[0]))
		calls[which](k, &p);
	else if (pick(k, 4) == 0)
		ignore(msn_mm_munmap(p.mm, p.addr, p.length));
	else if (pick(k, 3) == 0)
		ignore(msn_mm_handle_fault(p.mm, p.addr,
					   pick(k, 2) ? MSN_ACCESS_READ : RW));
	else
		ignore(msn_mm_madvise(
			p.mm, p.addr, p.length,
			advices[pick(k, sizeof(advices) / sizeof(int))]));
}

void touch_step(struct worker *k, struct slot *s)
{
	struct place p = pick_place(k, s);
	const void *at = (const void *)(uintptr_t)p.addr;
	uint8_t bytes[2 * PAGE];
	size_t done;

	if (!k->w->local || s != &k->w->slots[0])
		return;
	/* It may fault, as code does whose mapping another thread takes. */
	ignore(msn_safecopy(bytes, at, sizeof(bytes), &done));
	if (p.addr + done <=
	    AT((p.shared ? SHARED_AREA : PRIVATE_AREA) + AREA_PAGES))
		chaos_look(bytes, done, s->root, p.shared);
}

/* A page of the local space to copy from or to, for this thread alone. */
static uint64_t window_of(struct worker *k, struct slot *s)
{
	uint64_t at = AT(SPARE(k->nr) + OWN_PAGES + 1);
	struct msn_mmap_opts o = { .length = 2 * PAGE,
				   .addr = at,
				   .fixed = true,
				   .unmap = true,
				   .perms = RW,
				   .max_perms = MSN_ACCESS_ANY,
				   .private = true };

	return msn_mm_mmap(s->mm, &o, &at) ? 0 : at;
}

void remote_step(struct worker *k, struct slot *s)
{
	struct slot *other = slot_enter(k, (unsigned)pick(k, SLOTS));
	struct place p;
	uint8_t bytes[2 * PAGE];
	struct msn_iov here = { 0, 2 * PAGE }, there = { 0, 2 * PAGE };
	struct msn_process_vm call = { .local_iov = &here,
				       .local_count = 1,
				       .remote_iov = &there,
				       .remote_count = 1 };
	uint64_t moved = 0;
	size_t done;

	if (!other)
		return;
	p = pick_place(k, other);
	here.addr = window_of(k, s);
	there.addr = p.addr + pick(k, PAGE);
	call.local = s->mm;
	call.remote = p.mm;
	if (there.addr >
	    AT((p.shared ? SHARED_AREA : PRIVATE_AREA) + AREA_PAGES - 3))
		there.length = 1;
	memset(bytes, REMOTE_BYTE, sizeof(bytes));
	if (here.addr && pick(k, 2)) {
		ignore(msn_mm_copy_out(s->mm, here.addr, bytes, sizeof(bytes),
				       plain, &done));
		ignore(msn_mm_process_vm_writev(&call, &moved));
	} else if (here.addr) {
		ignore(msn_mm_process_vm_readv(&call, &moved));
		MUST(msn_mm_copy_in(s->mm, here.addr, bytes, moved, plain,
				    &done) == 0);
		chaos_look(bytes, moved, other->root, p.shared);
	}
	slot_leave(other);
}
