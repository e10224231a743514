/*
 * vma: one mapping, and the set of them.
 *
 * SPDX-License-Identifier: Apache-2.0
 *
 * Pure: no system calls, no locks.  A mapping carries what vm_area_struct of
 * Linux does, as far as it decides what a call does to it or with which
 * neighbours it may be one.  The set never merges by itself: vma_merge.c does,
 * where and when the kernel would.
 */
#ifndef MSN_MM_VMA_H
#define MSN_MM_VMA_H

#include "mapping/mmap_opts.h"
#include "mm/anon.h"
#include "mm/policy.h"
#include "range/segset.h"

/* A counted string. */
struct msn_text;

MSN_MUST_CHECK int msn_text_new(struct msn_text **out, const char *text);
struct msn_text *msn_text_ref(struct msn_text *t); /* NULL is allowed */
void msn_text_unref(struct msn_text *t);	   /* NULL is allowed */
const char *msn_text_string(const struct msn_text *t);
bool msn_text_same(const struct msn_text *a, const struct msn_text *b);

/*
 * VM_* of Linux under their names there.  Two mappings with different flags are
 * never one.  Snapshots hold these numbers: they never change.
 */
enum msn_vma_flag {
	MSN_VMA_READ = 1 << 0, /* the first three are enum msn_access */
	MSN_VMA_WRITE = 1 << 1,
	MSN_VMA_EXEC = 1 << 2,
	MSN_VMA_SHARED = 1 << 3, /* not for a file that cannot be written */
	MSN_VMA_MAYREAD = 1 << 4,
	MSN_VMA_MAYWRITE = 1 << 5,
	MSN_VMA_MAYEXEC = 1 << 6,
	MSN_VMA_MAYSHARE = 1 << 7, /* MAP_SHARED was asked for */
	MSN_VMA_GROWSDOWN = 1 << 8,
	MSN_VMA_LOCKED = 1 << 9,
	MSN_VMA_LOCKONFAULT = 1 << 10,
	MSN_VMA_SEQ_READ = 1 << 11,
	MSN_VMA_RAND_READ = 1 << 12,
	MSN_VMA_DONTCOPY = 1 << 13,
	MSN_VMA_DONTEXPAND = 1 << 14,
	MSN_VMA_ACCOUNT = 1 << 15,
	MSN_VMA_NORESERVE = 1 << 16,
	MSN_VMA_WIPEONFORK = 1 << 17,
	MSN_VMA_DONTDUMP = 1 << 18,
	MSN_VMA_HUGEPAGE = 1 << 19,
	MSN_VMA_NOHUGEPAGE = 1 << 20,
	MSN_VMA_MERGEABLE = 1 << 21,
	MSN_VMA_SEALED = 1 << 22,
	MSN_VMA_DROPPABLE = 1 << 23,
	MSN_VMA_SYNC = 1 << 24,
	MSN_VMA_MAYBE_GUARD = 1 << 25, /* had guard pages once; see STICKY */
};

#define MSN_VMA_ACCESS (MSN_VMA_READ | MSN_VMA_WRITE | MSN_VMA_EXEC)
#define MSN_VMA_MAY (MSN_VMA_MAYREAD | MSN_VMA_MAYWRITE | MSN_VMA_MAYEXEC)
#define MSN_VMA_MAY_SHIFT 4
/* Does not keep two mappings apart; the whole has it if a part had. */
#define MSN_VMA_STICKY MSN_VMA_MAYBE_GUARD
#define MSN_VMA_LOCK_MASK (MSN_VMA_LOCKED | MSN_VMA_LOCKONFAULT)

struct msn_vma {
	struct msn_mappable *mappable; /* NULL: anonymous */
	struct msn_identity *identity; /* a reference, or NULL */
	/*
	 * Into @mappable.  Anonymous: the address it was first mapped at, which
	 * it keeps when it moves with pages of its own (vm_pgoff of Linux).
	 */
	uint64_t offset;
	struct msn_text *name;	     /* a reference, or NULL */
	struct msn_anon_chain *anon; /* a reference; NULL: no page of its own */
	struct msn_policy *policy;   /* a reference; NULL: the default */
	uint32_t flags;		     /* enum msn_vma_flag */
	uint8_t name_mut;	     /* enum msn_name_mut */
};

MSN_SEGSET_DEFINE(msn_vma_set, struct msn_addr_range, struct msn_vma)

extern const struct msn_segset_ops msn_vma_ops;

/* enum msn_access: what may be done now, and what mprotect may ever grant. */
static inline unsigned msn_vma_perms(const struct msn_vma *v)
{
	return v->flags & MSN_VMA_ACCESS;
}

static inline unsigned msn_vma_max_perms(const struct msn_vma *v)
{
	return (v->flags & MSN_VMA_MAY) >> MSN_VMA_MAY_SHIFT;
}

/* What an access may do now: what a placement keeps as its vma_perms. */
static inline uint8_t msn_vma_effective_perms(const struct msn_vma *v)
{
	return (uint8_t)msn_access_effective(msn_vma_perms(v));
}

/* Made with MAP_PRIVATE? */
static inline bool msn_vma_private(const struct msn_vma *v)
{
	return !(v->flags & MSN_VMA_MAYSHARE);
}

/* vma_is_anonymous() of Linux: private, and not of a file's pages. */
static inline bool msn_vma_anonymous(const struct msn_vma *v)
{
	return !v->mappable;
}

static inline enum msn_mlock_mode msn_vma_mlock_mode(const struct msn_vma *v)
{
	if (!(v->flags & MSN_VMA_LOCKED))
		return MSN_MLOCK_NONE;
	return v->flags & MSN_VMA_LOCKONFAULT ? MSN_MLOCK_LAZY
					      : MSN_MLOCK_EAGER;
}

/* May it ever write to the object that it maps? */
static inline bool msn_vma_writes_object(const struct msn_vma *v)
{
	return (v->flags & (MSN_VMA_SHARED | MSN_VMA_MAYWRITE)) ==
	       (MSN_VMA_SHARED | MSN_VMA_MAYWRITE);
}

/* The object's range behind @part of the mapping at @whole. */
static inline struct msn_obj_range
msn_vma_obj_range(const struct msn_vma *v, struct msn_addr_range whole,
		  struct msn_addr_range part)
{
	uint64_t start = v->offset + (part.start - whole.start);

	return (struct msn_obj_range){ start,
				       start + msn_addr_range_length(part) };
}

/* Takes a reference on everything that a copy of @v refers to. */
void msn_vma_ref(struct msn_vma *v);

/*
 * Drops them, but for the identity's: letting go of that may free an object,
 * which must not happen under a lock of the space.
 */
void msn_vma_unref_all_but_identity(struct msn_vma *v);

/* What a maps listing shows as its name. */
const char *msn_vma_name(const struct msn_vma *v);

#endif /* MSN_MM_VMA_H */
