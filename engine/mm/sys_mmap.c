/*
 * mmap(2) with Linux's own arguments.
 *
 * SPDX-License-Identifier: Apache-2.0
 *
 * Turns flags and a descriptor into what msn_mm_mmap() takes.  Linux looks at
 * the file only after it has found a place and counted locked memory, so what
 * the file forbids is noted here and said there.
 */
#include "mm/mm_calls.h"

#include "base/error.h"
#include "mm/mm_internal.h"

#include <errno.h>
#include <sys/mman.h>

#ifndef MAP_DROPPABLE
#define MAP_DROPPABLE 0x08 /* <linux/mman.h> since 6.11 */
#endif
#ifndef MAP_UNINITIALIZED
#define MAP_UNINITIALIZED 0x4000000
#endif

/* What MAP_SHARED_VALIDATE knows, and all that MAP_SHARED listens to. */
#define KNOWN_FLAGS                                                            \
	((unsigned)(MAP_TYPE | MAP_FIXED | MAP_ANONYMOUS | MAP_DENYWRITE |     \
		    MAP_EXECUTABLE | MAP_UNINITIALIZED | MAP_GROWSDOWN |       \
		    MAP_LOCKED | MAP_NORESERVE | MAP_POPULATE | MAP_NONBLOCK | \
		    MAP_STACK | MAP_HUGETLB | MAP_32BIT) |                     \
	 0x3fu << 26 | 0x80 /* sizes of large pages; MAP_ABOVE4G */)

/* The size of large pages that @flags names, as a power of two; 0: usual. */
static unsigned huge_shift(int flags)
{
	return (unsigned)flags >> 26 & 0x3f;
}

#define HUGE_BYTES (UINT64_C(2) << 20)

/* What a mapping of such pages must be like: their own file's rules. */
static int check_hugetlb(const struct msn_mmap_call *c,
			 const struct msn_mmap_opts *o)
{
	unsigned flags = (unsigned)c->flags;
	unsigned type = flags & MAP_TYPE;

	if (o->length > INT64_MAX || c->offset > INT64_MAX - o->length)
		return -EOVERFLOW;
	if (type == MAP_SHARED_VALIDATE && (flags & ~KNOWN_FLAGS))
		return -EOPNOTSUPP;
	if (type != MAP_SHARED && type != MAP_PRIVATE &&
	    type != MAP_SHARED_VALIDATE)
		return -EINVAL;
	return o->grows_down ? -EINVAL : 0;
}

static void common_opts(const struct msn_mmap_call *c, struct msn_mmap_opts *o)
{
	bool no_replace = c->flags & MAP_FIXED_NOREPLACE;
	bool fixed = c->flags & (MAP_FIXED | MAP_FIXED_NOREPLACE);

	*o = (struct msn_mmap_opts){
		.length = c->length,
		.offset = c->flags & MAP_ANONYMOUS ? 0 : c->offset,
		.addr = c->addr,
		.fixed = fixed,
		.unmap = fixed && !no_replace,
		.no_replace = no_replace,
		.map_32bit = c->flags & MAP_32BIT,
		.perms = (unsigned)c->prot & MSN_ACCESS_ANY,
		.max_perms = MSN_ACCESS_ANY,
		.private = true,
		.grows_down = c->flags & MAP_GROWSDOWN,
		.stack = c->flags & MAP_STACK,
		.no_reserve = c->flags & MAP_NORESERVE,
		.sync = c->flags & MAP_SYNC,
		.mlock_mode = c->flags & MAP_LOCKED ? MSN_MLOCK_EAGER
						    : MSN_MLOCK_NONE,
	};
	if ((c->flags & (MAP_POPULATE | MAP_NONBLOCK)) == MAP_POPULATE)
		o->platform_effect = MSN_PLATFORM_EFFECT_COMMIT;
}

/* A shared mapping of a file: what it may be written by. */
static int share_file(const struct msn_mmap_call *c, struct msn_mmap_opts *o)
{
	const struct msn_open_file *f = c->file;
	unsigned flags = (unsigned)c->flags;
	unsigned type = flags & MAP_TYPE;

	if (type == MAP_SHARED_VALIDATE && (flags & ~KNOWN_FLAGS))
		return -EOPNOTSUPP;
	if ((o->perms & MSN_ACCESS_WRITE) && !f->writable)
		return -EACCES;
	if (f->append_only && f->writable)
		return -EACCES;
	o->private = false;
	if (!f->writable) {
		o->file_read_only = true;
		o->max_perms &= ~(unsigned)MSN_ACCESS_WRITE;
	}
	return 0;
}

/* The rules that hold for every mapping of a file. */
static int check_file(const struct msn_open_file *f, struct msn_mmap_opts *o)
{
	if (!f->readable)
		return -EACCES;
	if (f->no_exec) {
		if (o->perms & MSN_ACCESS_EXEC)
			return -EPERM;
		o->max_perms &= ~(unsigned)MSN_ACCESS_EXEC;
	}
	if (!f->mappable && !f->zero)
		return f->map_error ? f->map_error : -ENODEV;
	if (o->grows_down)
		return -EINVAL;
	if (!f->mappable)
		return 0;
	return msn_mappable_check_mmap(f->mappable, !o->private, o->perms,
				       &o->max_perms);
}

/* 0, or what the file forbids. */
static int map_file(const struct msn_mmap_call *c, struct msn_mmap_opts *o)
{
	unsigned type = (unsigned)c->flags & MAP_TYPE;
	uint64_t length, most;
	int rc = 0;

	o->mapping_identity = c->file->identity;
	o->mappable = c->file->mappable;
	/* loff_t is signed; a pipe has no size to exceed. */
	most = c->file->mappable ? INT64_MAX : UINT64_MAX;
	if (!msn_page_up(c->length, &length) || length > most ||
	    c->offset >> MSN_PAGE_SHIFT > (most - length) >> MSN_PAGE_SHIFT)
		return -EOVERFLOW;
	if (type == MAP_SHARED || type == MAP_SHARED_VALIDATE)
		rc = share_file(c, o);
	else if (type != MAP_PRIVATE)
		rc = -EINVAL;
	return rc ? rc : check_file(c->file, o);
}

/* 0, or what Linux says of such anonymous memory; @shared: an object. */
static int map_anonymous(const struct msn_mmap_call *c, struct msn_mmap_opts *o,
			 bool *shared)
{
	switch ((unsigned)c->flags & MAP_TYPE) {
	case MAP_SHARED:
		*shared = true;
		return o->grows_down ? -EINVAL : 0;
	case MAP_DROPPABLE:
		o->droppable = true;
		return (c->flags & MAP_LOCKED) || o->grows_down ? -EINVAL : 0;
	case MAP_PRIVATE:
		return 0;
	default:
		return -EINVAL;
	}
}

/* Would the host not grant a shared object of @size? */
static bool is_too_much(struct msn_mm *mm, uint64_t size, bool no_reserve)
{
	msn_read_scope(&mm->mapping);
	return !no_reserve && !msn_mm_may_commit(mm, size);
}

/* Makes the object behind a shared mapping that has none. */
static int make_shared(struct msn_mm *mm, const struct msn_mmap_call *c,
		       struct msn_mmap_opts *o, struct msn_identity **id,
		       struct msn_map_refusal *refusal)
{
	uint64_t size;

	if (!msn_page_up(c->length, &size) || size == 0 ||
	    size > mm->layout.max_addr) {
		refusal->late = -ENOMEM; /* or sooner, for what it is */
		return 0;
	}
	o->private = false;
	if (is_too_much(mm, size, o->no_reserve))
		refusal->late = -ENOMEM;
	if (refusal->late || !c->shared)
		return 0;
	o->name_mut = MSN_NAME_MUT_ANON_SHMEM;
	return msn_pass(c->shared(c->ctx, size, &o->mappable, id));
}

/*
 * Large pages of hugetlbfs are not offered: what is said is what Linux says
 * when its pool is empty, or of a size that x86-64 does not have.
 */
static int refuse_hugetlb(struct msn_mm *mm, const struct msn_mmap_call *c)
{
	struct msn_map_refusal refusal = { .late = c->offset % HUGE_BYTES
							   ? -EINVAL
							   : -ENOMEM };
	unsigned shift = huge_shift(c->flags);
	struct msn_mmap_opts o;
	uint64_t addr;

	if (!(c->flags & MAP_ANONYMOUS) ||
	    (shift != 0 && shift != 21 && shift != 30))
		return msn_fail(-EINVAL);
	common_opts(c, &o);
	o.no_reserve = true; /* counted by its own pool */
	o.private = ((unsigned)c->flags & MAP_TYPE) == MAP_PRIVATE;
	o.length += HUGE_BYTES - 1;
	if (o.length < c->length)
		return msn_fail(-EINVAL); /* rounded up it is nothing */
	o.length &= ~(HUGE_BYTES - 1);
	refusal.early = check_hugetlb(c, &o);
	o.grows_down = false;
	if (o.fixed && o.length && c->addr % HUGE_BYTES)
		return msn_fail(o.length > mm->layout.max_addr ? -ENOMEM
							       : -EINVAL);
	return msn_pass(msn_mm_map_unless(mm, &o, refusal, &addr));
}

static int map_call(struct msn_mm *mm, const struct msn_mmap_call *c,
		    struct msn_identity **id, uint64_t *addr)
{
	struct msn_map_refusal refusal = { 0 };
	struct msn_mmap_opts o;
	bool shared = false;
	int rc = 0;

	common_opts(c, &o);
	refusal.early = c->flags & MAP_ANONYMOUS ? map_anonymous(c, &o, &shared)
						 : map_file(c, &o);
	if (!(c->flags & MAP_ANONYMOUS) && c->file->zero && !o.private)
		shared = true;
	if (shared && !refusal.early)
		rc = make_shared(mm, c, &o, id, &refusal);
	if (rc)
		return msn_pass(rc);
	if (*id)
		o.mapping_identity = *id;
	if (refusal.early || refusal.late) {
		/* Nothing of it will be looked at any more. */
		o.grows_down = false;
		o.max_perms = MSN_ACCESS_ANY;
		o.mappable = NULL;
	}
	return msn_pass(msn_mm_map_unless(mm, &o, refusal, addr));
}

int msn_mm_sys_mmap(struct msn_mm *mm, const struct msn_mmap_call *c,
		    uint64_t *addr)
{
	msn_auto(msn_identity_dec_refp) struct msn_identity *made = NULL;

	if (!msn_page_aligned(c->offset))
		return msn_fail(-EINVAL);
	if (!(c->flags & MAP_ANONYMOUS) && !c->file)
		return msn_fail(-EBADF);
	if (c->flags & MAP_HUGETLB)
		return msn_pass(refuse_hugetlb(mm, c));
	return msn_pass(map_call(mm, c, &made, addr));
}
