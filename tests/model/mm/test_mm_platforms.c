/*
 * mm against itself: a space without page tables and one in this process do
 * the same.
 *
 * SPDX-License-Identifier: Apache-2.0
 *
 * The oracle holds the first to the kernel; this holds the second to the first.
 * Random calls on memory and on an object go to both.  After every call the
 * results and the bytes agree, as whoever runs in the space, a debugger and a
 * save see them, and so do those of a child of each.
 */
#include "base/rand.h"
#include "mm/mm_calls.h"
#include "shmem/shmem.h"
#include "support/check.h"

#include <string.h>

#define PAGE MSN_PAGE_SIZE
#define BASE UINT64_C(0x150000000000)
#define PAGES 64
#define OBJECT_PAGES 16
#define STEPS 3000

static const struct msn_mm_io plain;
static const struct msn_mm_io forced = { .ignore_permissions = true };

/* A call and its numbers; what it is given says which of them it uses. */
struct call {
	int (*run)(struct msn_mm *mm, struct msn_shmem *obj,
		   const struct call *c);
	uint64_t addr, len, to, new_len, offset;
	int prot, flags, advice;
	unsigned char byte;
};

static uint64_t addr_of(uint64_t page)
{
	return BASE + page * PAGE;
}

/* ---- Calls --------------------------------------------------------------- */

static int run_map(struct msn_mm *mm, struct msn_shmem *obj,
		   const struct call *c)
{
	struct msn_open_file file = { .identity = msn_shmem_identity(obj),
				      .mappable = msn_shmem_mappable(obj),
				      .readable = true,
				      .writable = true };
	struct msn_mmap_call m = { .addr = c->addr,
				   .length = c->len,
				   .prot = c->prot,
				   .flags = c->flags | MAP_FIXED,
				   .file = c->flags & MAP_ANONYMOUS ? NULL
								    : &file,
				   .offset = c->offset & ~MSN_PAGE_MASK };
	uint64_t at;

	return msn_mm_sys_mmap(mm, &m, &at);
}

static int run_unmap(struct msn_mm *mm, struct msn_shmem *obj,
		     const struct call *c)
{
	(void)obj;
	return msn_mm_munmap(mm, c->addr, c->len);
}

static int run_protect(struct msn_mm *mm, struct msn_shmem *obj,
		       const struct call *c)
{
	(void)obj;
	return msn_mm_mprotect(mm, c->addr, c->len, c->prot);
}

static int run_move(struct msn_mm *mm, struct msn_shmem *obj,
		    const struct call *c)
{
	uint64_t at;

	(void)obj;
	return msn_mm_mremap(mm, c->addr, c->len, c->new_len,
			     MREMAP_MAYMOVE | MREMAP_FIXED, c->to, &at);
}

static int run_advise(struct msn_mm *mm, struct msn_shmem *obj,
		      const struct call *c)
{
	(void)obj;
	return msn_mm_madvise(mm, c->addr, c->len, c->advice);
}

static int write_as(struct msn_mm *mm, const struct call *c,
		    struct msn_mm_io io)
{
	static unsigned char buf[3 * MSN_PAGE_SIZE];
	size_t done, len = 1 + c->offset % sizeof(buf);

	memset(buf, c->byte, len);
	/* How far it came counts as a result too. */
	return msn_mm_copy_out(mm, c->addr, buf, len, io, &done) ? -(int)done
								 : 1;
}

static int run_write(struct msn_mm *mm, struct msn_shmem *obj,
		     const struct call *c)
{
	(void)obj;
	return write_as(mm, c, plain);
}

static int run_poke(struct msn_mm *mm, struct msn_shmem *obj,
		    const struct call *c)
{
	(void)obj;
	return write_as(mm, c, forced);
}

static int run_truncate(struct msn_mm *mm, struct msn_shmem *obj,
			const struct call *c)
{
	(void)mm;
	return msn_shmem_truncate(obj, (int64_t)c->offset);
}

static int run_store(struct msn_mm *mm, struct msn_shmem *obj,
		     const struct call *c)
{
	unsigned char buf[5000];

	(void)mm;
	memset(buf, c->byte, sizeof(buf));
	return (int)msn_shmem_pwrite(obj, buf, sizeof(buf), (int64_t)c->offset);
}

/* ---- Two spaces ---------------------------------------------------------- */

struct side {
	struct msn_mm *mm;
	struct msn_shmem *obj;
};

struct world {
	uint64_t rand;
	struct msn_memfile *mf;
	struct side side[2]; /* without page tables, and with */
};

static uint64_t pick(struct world *w, uint64_t n)
{
	return msn_rand_next(&w->rand) % n;
}

/* A range inside the pages that are played with. */
static void pick_range(struct world *w, uint64_t *addr, uint64_t *len)
{
	uint64_t page = pick(w, PAGES), count = 1 + pick(w, 8);

	*addr = addr_of(page);
	*len = (count < PAGES - page ? count : PAGES - page) * PAGE;
}

static struct call random_call(struct world *w)
{
	static int (*const runs[])(struct msn_mm *, struct msn_shmem *,
				   const struct call *) = {
		run_map,   run_map,    run_map,	   run_unmap,	 run_protect,
		run_move,  run_advise, run_advise, run_advise,	 run_write,
		run_write, run_write,  run_poke,   run_truncate, run_store,
	};
	static const int advices[] = { MADV_DONTNEED,	    MADV_DONTNEED,
				       MADV_REMOVE,	    MADV_DONTFORK,
				       MADV_DOFORK,	    MADV_WIPEONFORK,
				       MADV_KEEPONFORK,	    MADV_DONTDUMP,
				       MADV_POPULATE_WRITE, MADV_GUARD_INSTALL,
				       MADV_GUARD_REMOVE };
	static const int flags[] = { MAP_SHARED, MAP_PRIVATE,
				     MAP_PRIVATE | MAP_ANONYMOUS };
	struct call c = {
		.run = runs[pick(w, MSN_ARRAY_LEN(runs))],
		.offset = pick(w, OBJECT_PAGES * PAGE),
		.prot = pick(w, 4) ? PROT_READ | PROT_WRITE : (int)pick(w, 8),
		.flags = flags[pick(w, MSN_ARRAY_LEN(flags))],
		.advice = advices[pick(w, MSN_ARRAY_LEN(advices))],
		.byte = (unsigned char)(1 + pick(w, 100)),
	};

	pick_range(w, &c.addr, &c.len);
	pick_range(w, &c.to, &c.new_len);
	if (pick(w, 2))
		c.new_len = c.len;
	return c;
}

struct cover {
	struct msn_addr_range r;
	bool found;
};

static int see_mapping(void *ctx, const struct msn_mapping_view *v)
{
	struct cover *c = ctx;

	c->found |= msn_addr_range_covers(v->addr, c->r);
	return 0;
}

/*
 * On page tables neighbours stay apart where both have no page yet: what has
 * several mappings there and one here is left alone.
 */
static bool is_one_mapping(struct msn_mm *mm, const struct call *c)
{
	struct cover cover = { { c->addr, c->addr + c->len }, false };

	CHECK(msn_mm_for_each_mapping(mm, see_mapping, &cover) == 0);
	return cover.found;
}

/* ---- What is seen -------------------------------------------------------- */

/* The byte, or the error. */
static int look(struct msn_mm *mm, uint64_t page, struct msn_mm_io io)
{
	unsigned char c;
	size_t done;
	int rc = msn_mm_copy_in(mm, addr_of(page) + 7, &c, 1, io, &done);

	return rc ? rc : c;
}

/* What a save would write of each page; -1: nothing. */
struct saved {
	struct msn_mm *mm;
	int byte[PAGES];
};

static int save_run(void *ctx, const struct msn_private_run *run)
{
	struct saved *s = ctx;

	for (uint64_t at = run->addr.start; at < run->addr.end; at += PAGE) {
		uint64_t offset = run->offset + (at - run->addr.start) + 7;
		unsigned char c;
		size_t done;
		int rc = run->file ? msn_file_read(run->file, offset, &c, 1,
						   &done)
				   : msn_mm_read_private(s->mm, at + 7, &c, 1);

		CHECK(rc == 0);
		s->byte[(at - BASE) / PAGE] = c;
	}
	return 0;
}

static void check_save(struct msn_mm *mm)
{
	struct msn_addr_range all = { BASE, addr_of(PAGES) };
	struct saved s = { .mm = mm };

	for (size_t i = 0; i < PAGES; i++)
		s.byte[i] = -1;
	CHECK(msn_mm_for_each_private_run(mm, all, save_run, &s) == 0);
	for (uint64_t i = 0; i < PAGES; i++) {
		int seen = look(mm, i, forced);

		CHECK(s.byte[i] < 0 || seen < 0 || s.byte[i] == seen);
	}
}

static void compare(struct msn_mm *a, struct msn_mm *b)
{
	for (uint64_t i = 0; i < PAGES; i++) {
		CHECK(look(a, i, plain) == look(b, i, plain));
		CHECK(look(a, i, forced) == look(b, i, forced));
	}
	CHECK(msn_mm_check(a) == NULL && msn_mm_check(b) == NULL);
	check_save(a);
	check_save(b);
}

/* ---- Steps --------------------------------------------------------------- */

static void step_call(struct world *w)
{
	struct call c = random_call(w);
	int rc[2];

	if (c.run == run_move && (!is_one_mapping(w->side[0].mm, &c) ||
				  !is_one_mapping(w->side[1].mm, &c)))
		return;
	for (int i = 0; i < 2; i++)
		rc[i] = c.run(w->side[i].mm, w->side[i].obj, &c);
	CHECK(rc[0] == rc[1]);
}

static struct msn_mm *fork_of(struct msn_mm *mm)
{
	struct msn_address_space *as;
	struct msn_mm *child;

	CHECK(msn_platform_none_new(&as) == 0);
	CHECK(msn_mm_fork(mm, as, &child) == 0);
	return child;
}

/* Neither sees what the other writes from then on. */
static void step_fork(struct world *w)
{
	struct msn_mm *child[2];

	for (int i = 0; i < 2; i++)
		child[i] = fork_of(w->side[i].mm);
	compare(child[0], child[1]);
	for (int n = 0; n < 8; n++) {
		struct call c = random_call(w);
		struct msn_mm *a = n % 2 ? child[0] : w->side[0].mm;
		struct msn_mm *b = n % 2 ? child[1] : w->side[1].mm;

		CHECK(write_as(a, &c, plain) == write_as(b, &c, plain));
	}
	compare(child[0], child[1]);
	for (int i = 0; i < 2; i++)
		msn_mm_free(child[i]);
}

static void start(struct world *w, struct side *side, bool local)
{
	/* Nobody maps the last pages; a write may reach for them. */
	struct msn_addr_range region = { addr_of(0), addr_of(PAGES + 4) };
	struct msn_layout layout = { .min_addr = region.start,
				     .max_addr = region.end,
				     .top_down_base = region.end };
	struct msn_shmem_opts object = { .memfile = w->mf,
					 .size = OBJECT_PAGES * PAGE };
	struct msn_address_space *as;

	if (local)
		CHECK(msn_platform_local_new(&as, region) == 0);
	else
		CHECK(msn_platform_none_new(&as) == 0);
	CHECK(msn_mm_new(&side->mm,
			 &(struct msn_mm_opts){ .memfile = w->mf,
						.as = as,
						.layout = layout }) == 0);
	CHECK(msn_shmem_new(&side->obj, &object) == 0);
}

static void both_platforms_do_the_same(void)
{
	struct world w = { .rand = check_seed() };

	CHECK(msn_memfile_new(&w.mf, &(struct msn_memfile_opts){ 0 }) == 0);
	for (int i = 0; i < 2; i++)
		start(&w, &w.side[i], i);
	for (int n = 0; n < STEPS; n++) {
		if (pick(&w, 16))
			step_call(&w);
		else
			step_fork(&w);
		compare(w.side[0].mm, w.side[1].mm);
	}
	for (int i = 0; i < 2; i++) {
		msn_mm_free(w.side[i].mm);
		msn_identity_dec_ref(msn_shmem_identity(w.side[i].obj));
	}
	EXPECT(msn_memfile_used(w.mf) == 0);
	msn_memfile_free(w.mf);
}

int main(int argc, char **argv)
{
	static const struct check_test tests[] = {
		CHECK_TEST(both_platforms_do_the_same), {}
	};

	return check_main(argc, argv, "mm platforms", tests);
}
