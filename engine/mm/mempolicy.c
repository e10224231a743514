/*
 * mbind, set_mempolicy and get_mempolicy.
 *
 * SPDX-License-Identifier: Apache-2.0
 *
 * As mm/mempolicy.c of Linux: policies are checked against the nodes that the
 * space may use, kept with mappings, and told.  Nothing moves: a space's pages
 * are where the host puts them.
 */
#include "mm/mm_calls.h"

#include "base/error.h"
#include "mm/guard.h"
#include "mm/mm_internal.h"

#include <errno.h>
#include <linux/mempolicy.h>
#include <string.h>

/* <linux/mempolicy.h>: MPOL_PREFERRED_MANY and MPOL_WEIGHTED_INTERLEAVE. */
#define PREFERRED_MANY 5
#define WEIGHTED_INTERLEAVE 6
#define MODES 7
#define STATIC_NODES (1u << 15)
#define RELATIVE_NODES (1u << 14)
#define NUMA_BALANCING (1u << 13)
#define MODE_FLAGS (STATIC_NODES | RELATIVE_NODES | NUMA_BALANCING)

#define MOVE_FLAGS                                                             \
	((unsigned)(MPOL_MF_STRICT | MPOL_MF_MOVE | MPOL_MF_MOVE_ALL))
#define GET_FLAGS ((unsigned)(MPOL_F_NODE | MPOL_F_ADDR | MPOL_F_MEMS_ALLOWED))

#define WORDS MSN_POLICY_MASK_WORDS

/* ---- Masks --------------------------------------------------------------- */

struct mask {
	uint64_t word[WORDS];
};

static bool has_node(const struct mask *m, unsigned node)
{
	return m->word[node / 64] >> node % 64 & 1;
}

static void add_node(struct mask *m, unsigned node)
{
	m->word[node / 64] |= UINT64_C(1) << node % 64;
}

/* The lowest node from @from on, or MSN_POLICY_NODES_MAX. */
static unsigned next_node(const struct mask *m, unsigned from)
{
	while (from < MSN_POLICY_NODES_MAX && !has_node(m, from))
		from++;
	return from;
}

static bool is_empty(const struct mask *m)
{
	return next_node(m, 0) == MSN_POLICY_NODES_MAX;
}

static struct mask allowed_nodes(const struct msn_mm *mm)
{
	struct mask m;

	memcpy(m.word, mm->nodes, sizeof(m.word));
	return m;
}

/* nr_node_ids of Linux: one more than the highest node. */
static unsigned node_ids(const struct msn_mm *mm)
{
	struct mask m = allowed_nodes(mm);
	unsigned ids = 0;

	for (unsigned n = next_node(&m, 0); n < MSN_POLICY_NODES_MAX;
	     n = next_node(&m, n + 1))
		ids = n + 1;
	return ids;
}

/* get_nodes(): the mask of @maxnode - 1 bits that a call was given. */
static int read_mask(const uint64_t *nodes, uint64_t maxnode, struct mask *out)
{
	*out = (struct mask){ 0 };
	maxnode--;
	if (maxnode == 0 || !nodes)
		return 0;
	if (maxnode > MSN_PAGE_SIZE * 8)
		return msn_fail(-EINVAL);
	if (maxnode > MSN_POLICY_NODES_MAX) {
		for (uint64_t w = WORDS; w <= (maxnode - 1) / 64; w++)
			if (nodes[w])
				return msn_fail(-EINVAL);
		maxnode = MSN_POLICY_NODES_MAX;
	}
	memcpy(out->word, nodes, (maxnode + 63) / 64 * sizeof(*nodes));
	if (maxnode % 64)
		out->word[maxnode / 64] &= (UINT64_C(1) << maxnode % 64) - 1;
	return 0;
}

/* copy_nodes_to_user(): fills a mask of @maxnode - 1 bits. */
static int write_mask(const struct mask *m, unsigned ids, uint64_t *nodes,
		      uint64_t maxnode)
{
	uint64_t words = (maxnode - 1 + 63) / 64, known = (ids + 63) / 64;

	if (words > known) {
		if (words > MSN_PAGE_SIZE / sizeof(*nodes))
			return msn_fail(-EINVAL);
		memset(nodes + known, 0, (words - known) * sizeof(*nodes));
		words = known;
	}
	memcpy(nodes, m->word, words * sizeof(*nodes));
	return 0;
}

/* mpol_relative_nodemask(): node i is the i-th of @allowed, counted round. */
static struct mask relative_nodes(const struct mask *user,
				  const struct mask *allowed)
{
	unsigned order[MSN_POLICY_NODES_MAX], count = 0;
	struct mask out = { 0 };

	for (unsigned n = next_node(allowed, 0); n < MSN_POLICY_NODES_MAX;
	     n = next_node(allowed, n + 1))
		order[count++] = n;
	for (unsigned n = next_node(user, 0); count && n < MSN_POLICY_NODES_MAX;
	     n = next_node(user, n + 1))
		add_node(&out, order[n % count]);
	return out;
}

/* ---- Making policies ----------------------------------------------------- */

/* sanitize_mpol_flags(): takes the flags out of @mode. */
static int read_mode(int mode, struct msn_policy *p)
{
	unsigned m = (unsigned)mode & ~MODE_FLAGS;

	*p = (struct msn_policy){ .flags = (uint16_t)((unsigned)mode &
						      MODE_FLAGS) };
	if (m >= MODES)
		return msn_fail(-EINVAL);
	p->mode = (uint16_t)m;
	if ((p->flags & STATIC_NODES) && (p->flags & RELATIVE_NODES))
		return msn_fail(-EINVAL);
	if ((p->flags & NUMA_BALANCING) && m != MPOL_BIND &&
	    m != PREFERRED_MANY)
		return msn_fail(-EINVAL);
	return 0;
}

/* mpol_new(): which modes go with which flags and masks. */
static int check_mode(struct msn_policy *p, const struct mask *user)
{
	bool own = p->flags & (STATIC_NODES | RELATIVE_NODES);
	bool empty = is_empty(user), good = !empty;

	if (p->mode == MPOL_DEFAULT)
		good = empty;
	else if (p->mode == MPOL_PREFERRED)
		good = !empty || !own;
	else if (p->mode == MPOL_LOCAL)
		good = empty && !own;
	if (p->mode == MPOL_PREFERRED && empty)
		p->mode = MPOL_LOCAL;
	return good ? 0 : msn_fail(-EINVAL);
}

/* mpol_set_nodemask(): which nodes of the space that is. */
static int choose_nodes(const struct msn_mm *mm, struct msn_policy *p,
			const struct mask *user)
{
	struct mask allowed = allowed_nodes(mm), nodes = *user;

	if (p->mode == MPOL_LOCAL)
		return 0;
	if (p->flags & RELATIVE_NODES)
		nodes = relative_nodes(user, &allowed);
	for (unsigned i = 0; i < WORDS; i++)
		nodes.word[i] &= allowed.word[i];
	if (is_empty(&nodes))
		return msn_fail(-EINVAL);
	if (p->mode == MPOL_PREFERRED) {
		unsigned first = next_node(&nodes, 0);

		nodes = (struct mask){ 0 };
		add_node(&nodes, first);
	}
	memcpy(p->nodes, nodes.word, sizeof(p->nodes));
	if (p->flags)
		memcpy(p->user_nodes, user->word, sizeof(p->user_nodes));
	return 0;
}

/* Both of it; *@out is NULL for the default. */
static int make_policy(const struct msn_mm *mm, struct msn_policy *look,
		       const struct mask *user, struct msn_policy **out)
{
	int rc = check_mode(look, user);

	*out = NULL;
	if (rc || look->mode == MPOL_DEFAULT)
		return msn_pass(rc);
	rc = choose_nodes(mm, look, user);
	return rc ? msn_pass(rc) : msn_pass(msn_policy_new(out, look));
}

/* ---- mbind --------------------------------------------------------------- */

/* The first node of @p, or of the space if it names none. */
static int first_node(const struct msn_mm *mm, const struct msn_policy *p)
{
	struct mask m = allowed_nodes(mm);

	if (p && p->mode != MPOL_LOCAL)
		memcpy(m.word, p->nodes, sizeof(m.word));
	return (int)next_node(&m, 0);
}

/* Is a page in place in @ar?  A zero page and a guard are on no node. */
static bool has_pages(struct msn_mm *mm, struct msn_addr_range ar)
{
	msn_read_scope(&mm->active);
	for (struct msn_seg s = msn_pma_set_lower(&mm->pmas, ar.start);
	     msn_seg_ok(s) && msn_pma_set_range(s).start < ar.end;
	     s = msn_seg_next(s))
		if (msn_pma_takes_memory(msn_pma_set_value(&mm->pmas, s)))
			return true;
	return false;
}

/*
 * queue_pages_range(): holes are only allowed when the policy is taken off;
 * with @strict (else NULL) no page may be on a node outside of it.
 */
static int check_range(struct msn_mm *mm, struct msn_addr_range ar,
		       bool may_have_holes, const struct mask *strict)
{
	struct msn_seg s = msn_vma_set_lower(&mm->vmas, ar.start);
	uint64_t at = ar.start;

	if (!msn_seg_ok(s) || msn_vma_set_range(s).start >= ar.end)
		return msn_fail(-EFAULT);
	while (!may_have_holes && at < ar.end) {
		struct msn_addr_range r = msn_vma_set_range(s);
		const struct msn_vma *v = msn_vma_set_value(&mm->vmas, s);
		struct msn_seg next = msn_seg_next(s);

		if (r.start > at)
			return msn_fail(-EFAULT);
		if (r.end < ar.end && (!msn_seg_ok(next) ||
				       msn_vma_set_range(next).start > r.end))
			return msn_fail(-EFAULT);
		if (strict &&
		    !has_node(strict, (unsigned)first_node(mm, v->policy)) &&
		    has_pages(mm, msn_addr_range_intersect(r, ar)))
			return msn_fail(-EIO);
		at = r.end;
		s = next;
	}
	return 0;
}

static int bind_range(struct msn_mm *mm, struct msn_addr_range ar,
		      struct msn_policy *policy, const struct mask *strict)
{
	int rc = check_range(mm, ar, !policy, strict);

	while (rc == 0 && ar.start < ar.end) {
		struct msn_seg s = msn_vma_set_lower(&mm->vmas, ar.start);
		struct msn_addr_range part;
		struct msn_vma to;

		if (!msn_seg_ok(s) || msn_vma_set_range(s).start >= ar.end)
			break;
		part = msn_addr_range_intersect(msn_vma_set_range(s), ar);
		to = *msn_vma_set_value(&mm->vmas, s);
		if (!msn_policy_same(to.policy, policy)) {
			to.policy = policy;
			rc = msn_vma_modify(mm, part, &to, &s);
		}
		ar.start = part.end;
	}
	return msn_pass(rc);
}

int msn_mm_mbind(struct msn_mm *mm, uint64_t addr, uint64_t length, int mode,
		 const uint64_t *nodes, uint64_t maxnode, unsigned flags)
{
	struct msn_addr_range ar = { addr, addr };
	struct msn_policy look, *policy;
	struct mask user;
	int rc = read_mode(mode, &look);

	if (rc == 0)
		rc = read_mask(nodes, maxnode, &user);
	if (rc)
		return msn_pass(rc);
	if (flags & ~MOVE_FLAGS)
		return msn_fail(-EINVAL);

	msn_write_scope(&mm->mapping);
	if ((flags & MPOL_MF_MOVE_ALL) && !mm->limits.can_move_all)
		return msn_fail(-EPERM);
	ar.end += msn_page_down(length + MSN_PAGE_MASK);
	if (!msn_page_aligned(addr) || ar.end < ar.start)
		return msn_fail(-EINVAL);
	if (ar.end == ar.start)
		return 0;
	rc = make_policy(mm, &look, &user, &policy);
	if (rc)
		return msn_pass(rc);
	/* What may be moved is never on a wrong node afterwards. */
	rc = bind_range(mm, ar, policy,
			(flags & MOVE_FLAGS) == MPOL_MF_STRICT ? &user : NULL);
	msn_policy_unref(policy);
	return msn_pass(rc);
}

/* ---- The space's own, and telling ---------------------------------------- */

int msn_mm_set_mempolicy(struct msn_mm *mm, int mode, const uint64_t *nodes,
			 uint64_t maxnode)
{
	struct msn_policy look, *policy;
	struct mask user;
	int rc = read_mode(mode, &look);

	if (rc == 0)
		rc = read_mask(nodes, maxnode, &user);
	if (rc == 0)
		rc = make_policy(mm, &look, &user, &policy);
	if (rc)
		return msn_pass(rc);
	msn_write_scope(&mm->mapping);
	msn_policy_unref(mm->policy);
	mm->policy = policy;
	return 0;
}

/* What is told of a policy. */
struct told {
	int mode;
	struct mask nodes;
};

static void tell_policy(const struct msn_policy *p, struct told *out)
{
	if (!p) {
		out->mode = MPOL_DEFAULT;
		return;
	}
	out->mode = p->mode | p->flags;
	memcpy(out->nodes.word, p->flags ? p->user_nodes : p->nodes,
	       sizeof(out->nodes.word));
}

/* MPOL_F_NODE for the whole space: only interleaving has a next node. */
static int tell_next(const struct msn_mm *mm, struct told *out)
{
	const struct msn_policy *p = mm->policy;

	if (!p ||
	    (p->mode != MPOL_INTERLEAVE && p->mode != WEIGHTED_INTERLEAVE))
		return msn_fail(-EINVAL);
	tell_policy(p, out);
	out->mode = first_node(mm, p);
	return 0;
}

/* MPOL_F_ADDR, perhaps with MPOL_F_NODE. */
static int tell_mapping(struct msn_mm *mm, uint64_t addr, bool node,
			struct told *out)
{
	struct msn_seg s;
	const struct msn_policy *p;
	int rc = 0;

	{
		const struct msn_vma *v;

		msn_read_scope(&mm->mapping);
		s = msn_vma_set_find(&mm->vmas, addr);
		if (!msn_seg_ok(s))
			return msn_fail(-EFAULT);
		v = msn_vma_set_value(&mm->vmas, s);
		p = v->policy;
		tell_policy(p, out);
		if (node)
			out->mode = first_node(mm, p);
		/* The processor reads what only runs; lookup_node() does not.
		 */
		if (node && !(v->flags & MSN_VMA_READ))
			return msn_fail(-EFAULT);
	}
	/* A page has a node once it is there. */
	if (node)
		rc = msn_mm_handle_fault(mm, addr, MSN_ACCESS_READ);
	return rc > 0 ? msn_fail(-EFAULT) : msn_pass(rc);
}

static int tell(struct msn_mm *mm, uint64_t addr, unsigned long flags,
		struct told *out)
{
	if (flags & ~(unsigned long)GET_FLAGS)
		return msn_fail(-EINVAL);
	if (flags & MPOL_F_MEMS_ALLOWED) {
		if (flags & (MPOL_F_NODE | MPOL_F_ADDR))
			return msn_fail(-EINVAL);
		out->nodes = allowed_nodes(mm);
		return 0;
	}
	if (flags & MPOL_F_ADDR)
		return msn_pass(
			tell_mapping(mm, addr, flags & MPOL_F_NODE, out));
	if (addr)
		return msn_fail(-EINVAL);
	msn_read_scope(&mm->mapping);
	if (flags & MPOL_F_NODE)
		return msn_pass(tell_next(mm, out));
	tell_policy(mm->policy, out);
	return 0;
}

int msn_mm_get_mempolicy(struct msn_mm *mm, int *mode, uint64_t *nodes,
			 uint64_t maxnode, uint64_t addr, unsigned long flags)
{
	struct told told = { 0 };
	unsigned ids = node_ids(mm);
	int rc;

	if (nodes && maxnode < ids)
		return msn_fail(-EINVAL);
	rc = tell(mm, addr, flags, &told);
	if (rc)
		return msn_pass(rc);
	if (mode)
		*mode = told.mode;
	return nodes ? msn_pass(write_mask(&told.nodes, ids, nodes, maxnode))
		     : 0;
}
