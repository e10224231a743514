/*
 * Merging: when two neighbouring mappings are one.
 *
 * SPDX-License-Identifier: Apache-2.0
 *
 * The rules and their order are those of mm/vma.c of Linux, so that a space has
 * the mappings that the kernel would have: how many there are decides what
 * mremap() may do and when a limit is hit.
 *
 *    modify    |prev| part of middle |next|   part takes on the look of a
 *    add       |prev|      new       |next|   neighbour, which then has it
 */
#include "mm/mm_internal.h"

#include "base/assert.h"
#include "base/error.h"

#include <errno.h>

/* is_mergeable_vma(): do @a and @b look the same? */
static bool same_look(const struct msn_vma *a, const struct msn_vma *b)
{
	return ((a->flags ^ b->flags) & ~(uint32_t)MSN_VMA_STICKY) == 0 &&
	       a->mappable == b->mappable && a->identity == b->identity &&
	       msn_policy_same(a->policy, b->policy) &&
	       msn_text_same(a->name, b->name) &&
	       (!a->name || a->name_mut == b->name_mut);
}

/*
 * is_mergeable_anon_vma(): a mapping without pages takes the other's history
 * over, unless that comes from a fork.
 */
static bool same_history(const struct msn_anon_chain *a,
			 const struct msn_anon_chain *b)
{
	if (a && b)
		return msn_anon_chain_same(a, b);
	return !msn_anon_chain_forked(a) && !msn_anon_chain_forked(b);
}

static struct msn_vma *value(struct msn_mm *mm, struct msn_seg s)
{
	return msn_vma_set_value(&mm->vmas, s);
}

/* The mapping before @next, which is none at the end of the space. */
static struct msn_seg before(struct msn_mm *mm, struct msn_seg next)
{
	return msn_seg_ok(next) ? msn_seg_prev(next)
				: msn_segset_last(&mm->vmas.core);
}

/* Can @v at @ar be the end of the mapping at @prev? */
static bool joins_left(struct msn_mm *mm, struct msn_seg prev,
		       struct msn_addr_range ar, const struct msn_vma *v)
{
	struct msn_addr_range p;
	const struct msn_vma *pv;

	if (!msn_seg_ok(prev))
		return false;
	p = msn_vma_set_range(prev);
	pv = value(mm, prev);
	return p.end == ar.start && same_look(pv, v) &&
	       same_history(pv->anon, v->anon) &&
	       pv->offset + msn_addr_range_length(p) == v->offset;
}

/* Can @v at @ar be the beginning of the mapping at @next, history apart? */
static bool fits_right(struct msn_mm *mm, struct msn_seg next,
		       struct msn_addr_range ar, const struct msn_vma *v)
{
	const struct msn_vma *nv;

	if (!msn_seg_ok(next) || msn_vma_set_range(next).start != ar.end)
		return false;
	nv = value(mm, next);
	return same_look(nv, v) &&
	       v->offset + msn_addr_range_length(ar) == nv->offset;
}

/* Can @v at @ar be the beginning of the mapping at @next? */
static bool joins_right(struct msn_mm *mm, struct msn_seg next,
			struct msn_addr_range ar, const struct msn_vma *v)
{
	return fits_right(mm, next, ar, v) &&
	       same_history(value(mm, next)->anon, v->anon);
}

/* Two that both can join the one between them must also suit each other. */
static bool ends_agree(struct msn_mm *mm, struct msn_seg prev,
		       struct msn_seg next)
{
	const struct msn_anon_chain *a = value(mm, prev)->anon;
	const struct msn_anon_chain *b = value(mm, next)->anon;

	return !a || !b || msn_anon_chain_same(a, b);
}

/* Gives @to the history of @from if it has none, and flags that stick. */
static void inherit(struct msn_vma *to, const struct msn_vma *from)
{
	if (!to->anon)
		to->anon = msn_anon_chain_ref(from->anon);
	to->flags |= from->flags & MSN_VMA_STICKY;
}

/* The references of a value that is about to be joined away. */
static void drop_joined(struct msn_vma *v)
{
	msn_identity_dec_ref(v->identity); /* not the last: the other has one */
	msn_vma_unref_all_but_identity(v);
}

/* Joins the mapping after @prev to it.  Returns the whole. */
static struct msn_seg join_left(struct msn_mm *mm, struct msn_seg prev)
{
	struct msn_vma *gone = value(mm, msn_seg_next(prev));

	inherit(value(mm, prev), gone);
	drop_joined(gone);
	return msn_vma_set_join(&mm->vmas, prev);
}

/* Joins the mapping at @s to the one after it, whose look the whole gets. */
static struct msn_seg join_right(struct msn_mm *mm, struct msn_seg s)
{
	struct msn_vma old = *value(mm, s);
	struct msn_vma next = *value(mm, msn_seg_next(s));

	inherit(&next, &old);
	next.offset -= msn_addr_range_length(msn_vma_set_range(s));
	drop_joined(&old);
	*value(mm, s) = next;
	return msn_vma_set_join(&mm->vmas, s);
}

void msn_vma_cut_reserved(struct msn_mm *mm, struct msn_addr_range ar)
{
	int rc = msn_vma_set_isolate(&mm->vmas, ar, NULL);

	msn_assert(rc == 0);
}

static void cut(struct msn_mm *mm, uint64_t at)
{
	msn_vma_cut_reserved(mm, (struct msn_addr_range){ at, at });
}

/* Makes the look of the mapping at @s that of @to. */
static void dress(struct msn_mm *mm, struct msn_seg s, const struct msn_vma *to)
{
	struct msn_vma *v = value(mm, s);
	struct msn_text *name = msn_text_ref(to->name);
	struct msn_policy *policy = msn_policy_ref(to->policy);

	msn_text_unref(v->name);
	msn_policy_unref(v->policy);
	v->name = name;
	v->policy = policy;
	v->flags = to->flags;
	v->name_mut = to->name_mut;
}

/* split_vma() of Linux: one more mapping, if there may be. */
static int cut_counted(struct msn_mm *mm, uint64_t at)
{
	if (mm->vmas.core.count >= mm->limits.mappings)
		return msn_fail(-ENOMEM);
	cut(mm, at);
	return 0;
}

static int cut_and_dress(struct msn_mm *mm, struct msn_addr_range part,
			 struct msn_addr_range whole, const struct msn_vma *to,
			 struct msn_seg *out)
{
	int rc = 0;

	if (whole.start < part.start)
		rc = cut_counted(mm, part.start);
	if (rc == 0 && part.end < whole.end)
		rc = cut_counted(mm, part.end);
	if (rc)
		return msn_pass(rc);
	*out = msn_vma_set_find(&mm->vmas, part.start);
	dress(mm, *out, to);
	return 0;
}

int msn_vma_modify(struct msn_mm *mm, struct msn_addr_range part,
		   const struct msn_vma *to, struct msn_seg *out)
{
	struct msn_seg s = msn_vma_set_find(&mm->vmas, part.start);
	struct msn_addr_range whole = msn_vma_set_range(s);
	struct msn_vma look = *to;
	bool left, right;
	int rc = msn_segset_reserve(&mm->vmas.core, 2);

	if (rc)
		return msn_pass(rc);
	look.offset = value(mm, s)->offset + (part.start - whole.start);
	look.anon = value(mm, s)->anon;
	left = part.start == whole.start &&
	       joins_left(mm, msn_seg_prev(s), part, &look);
	right = part.end == whole.end &&
		joins_right(mm, msn_seg_next(s), part, &look) &&
		(!left || ends_agree(mm, msn_seg_prev(s), msn_seg_next(s)));
	if (!left && !right)
		return msn_pass(cut_and_dress(mm, part, whole, to, out));
	cut(mm, left ? part.end : part.start);
	s = msn_vma_set_find(&mm->vmas, part.start);
	if (left && right) {
		/* The one after it decides first what the whole comes from. */
		inherit(value(mm, msn_seg_prev(s)), value(mm, msn_seg_next(s)));
		s = join_left(mm, join_left(mm, msn_seg_prev(s)));
	} else {
		s = left ? join_left(mm, msn_seg_prev(s)) : join_right(mm, s);
	}
	*out = s;
	return 0;
}

/* Makes the mapping at @next begin at @start. */
static void lengthen_down(struct msn_mm *mm, struct msn_seg next,
			  uint64_t start)
{
	struct msn_addr_range r = msn_vma_set_range(next);

	value(mm, next)->offset -= r.start - start;
	r.start = start;
	msn_vma_set_resize(&mm->vmas, next, r);
}

struct msn_seg msn_vma_add(struct msn_mm *mm, struct msn_addr_range ar,
			   const struct msn_vma *v)
{
	struct msn_seg next = msn_vma_set_lower(&mm->vmas, ar.start), s;
	struct msn_seg prev = before(mm, next);
	bool left = joins_left(mm, prev, ar, v);
	bool right = joins_right(mm, next, ar, v) &&
		     (!left || ends_agree(mm, prev, next));
	int rc;

	if (left) {
		struct msn_addr_range r = msn_vma_set_range(prev);

		r.end = ar.end;
		msn_vma_set_resize(&mm->vmas, prev, r);
		if (right)
			prev = join_left(mm, prev);
		inherit(value(mm, prev), v);
		return prev;
	}
	if (right) {
		lengthen_down(mm, next, ar.start);
		inherit(value(mm, next), v);
		return next;
	}
	rc = msn_vma_set_insert(&mm->vmas, ar, v, &s);
	msn_assert(rc == 0);
	msn_vma_ref(value(mm, s));
	return s;
}

bool msn_vma_extend(struct msn_mm *mm, struct msn_addr_range ar,
		    const struct msn_vma *v)
{
	struct msn_seg prev =
		before(mm, msn_vma_set_lower(&mm->vmas, ar.start));
	struct msn_addr_range r;

	if (!joins_left(mm, prev, ar, v))
		return false;
	r = msn_vma_set_range(prev);
	r.end = ar.end;
	msn_vma_set_resize(&mm->vmas, prev, r);
	return true;
}

void msn_vma_grow(struct msn_mm *mm, struct msn_addr_range ar,
		  const struct msn_vma *v)
{
	struct msn_seg s = msn_vma_add(mm, ar, v);
	struct msn_addr_range whole = msn_vma_set_range(s);
	struct msn_seg next = msn_seg_next(s);

	if (whole.end == ar.end && msn_seg_ok(next) && !value(mm, next)->anon &&
	    fits_right(mm, next, whole, value(mm, s)))
		join_left(mm, s);
}

/*
 * anon_vma_compatible(): could the neighbours @a and @b become one if their
 * rights were the same?
 */
static bool could_be_one(struct msn_mm *mm, struct msn_seg a, struct msn_seg b)
{
	const struct msn_vma *l = value(mm, a), *r = value(mm, b);
	struct msn_addr_range la = msn_vma_set_range(a);

	return la.end == msn_vma_set_range(b).start &&
	       l->mappable == r->mappable && l->identity == r->identity &&
	       msn_policy_same(l->policy, r->policy) &&
	       ((l->flags ^ r->flags) &
		~(uint32_t)(MSN_VMA_ACCESS | MSN_VMA_STICKY)) == 0 &&
	       l->offset + msn_addr_range_length(la) == r->offset;
}

/* reusable_anon_vma(): a history that a neighbour may share. */
static struct msn_anon_chain *reusable(const struct msn_vma *v)
{
	return msn_anon_chain_forked(v->anon) ? NULL : v->anon;
}

int msn_vma_prepare_anon(struct msn_mm *mm, struct msn_seg s)
{
	struct msn_vma *v = value(mm, s);
	struct msn_seg next, prev;
	struct msn_anon_chain *found = NULL;

	if (v->anon)
		return 0;
	next = msn_seg_next(s);
	prev = msn_seg_prev(s);
	if (msn_seg_ok(next) && could_be_one(mm, s, next))
		found = reusable(value(mm, next));
	if (!found && msn_seg_ok(prev) && could_be_one(mm, prev, s))
		found = reusable(value(mm, prev));
	if (!found)
		return msn_pass(msn_anon_chain_new(&v->anon));
	v->anon = msn_anon_chain_ref(found);
	return 0;
}
