/*
 * vma: one mapping, and the set of them.
 *
 * SPDX-License-Identifier: Apache-2.0
 *
 * Pure: no system calls, no locks.  The set's policy keeps the counts right:
 * cutting a mapping takes a reference on its identity and name, merging drops
 * one (never the last, the other half has it too).
 */
#ifndef MSN_MM_VMA_H
#define MSN_MM_VMA_H

#include "mapping/mmap_opts.h"
#include "range/segset.h"

/* A counted string. */
struct msn_text;

MSN_MUST_CHECK int msn_text_new(struct msn_text **out, const char *text);
struct msn_text *msn_text_ref(struct msn_text *t); /* NULL is allowed */
void msn_text_unref(struct msn_text *t);	   /* NULL is allowed */
const char *msn_text_string(const struct msn_text *t);

struct msn_vma {
	struct msn_mappable *mappable; /* NULL: anonymous */
	struct msn_identity *identity; /* a reference, or NULL */
	uint64_t offset;	       /* into mappable */
	struct msn_text *name;	       /* a reference, or NULL */
	uint8_t perms, max_perms;      /* enum msn_access */
	uint8_t mlock_mode;	       /* enum msn_mlock_mode */
	uint8_t name_mut;	       /* enum msn_name_mut */
	bool private, grows_down, stack;
};

MSN_SEGSET_DEFINE(msn_vma_set, struct msn_addr_range, struct msn_vma)

extern const struct msn_segset_ops msn_vma_ops;

/* May it ever write to the object that it maps (VM_SHARED of Linux)? */
static inline bool msn_vma_writes_object(const struct msn_vma *v)
{
	return !v->private && (v->max_perms & MSN_ACCESS_WRITE);
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

/* What a maps listing shows as its name. */
const char *msn_vma_name(const struct msn_vma *v);

#endif /* MSN_MM_VMA_H */
