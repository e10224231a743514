/*
 * Mappings compared by address.
 *
 * SPDX-License-Identifier: Apache-2.0
 *
 * One sweep from low to high addresses over both lists.  Each step looks at the
 * addresses up to the next edge of either list, so that both sides are the same
 * two mappings (or none) all along it.
 */
#include "diff/diff.h"

#include <string.h>

struct sweep {
	const struct msn_manifest *a, *b;
	size_t ia, ib;
	uint64_t at; /* everything below is done */
};

/* The mapping at or above @at, or NULL. */
static const struct msn_manifest_mapping *peek(const struct msn_manifest *m,
					       size_t *i, uint64_t at)
{
	while (*i < m->mapping_count && m->mappings[*i].end <= at)
		++*i;
	return *i < m->mapping_count ? &m->mappings[*i] : NULL;
}

static uint64_t min_edge(uint64_t edge, const struct msn_manifest_mapping *m,
			 uint64_t at)
{
	uint64_t next;

	if (!m)
		return edge;
	next = m->start > at ? m->start : m->end;
	return next < edge ? next : edge;
}

/* The next piece that at least one side maps; false at the end. */
static bool sweep_next(struct sweep *s, struct msn_diff_mapping *out)
{
	const struct msn_manifest_mapping *a, *b;
	uint64_t end;

	do {
		a = peek(s->a, &s->ia, s->at);
		b = peek(s->b, &s->ib, s->at);
		if (!a && !b)
			return false;
		end = min_edge(min_edge(UINT64_MAX, a, s->at), b, s->at);
		out->start = s->at;
		out->end = end;
		out->a = a && a->start <= s->at ? a : NULL;
		out->b = b && b->start <= s->at ? b : NULL;
		s->at = end;
	} while (!out->a && !out->b);
	return true;
}

static bool same_file(const struct msn_manifest_mapping *a,
		      const struct msn_manifest_mapping *b)
{
	return a->dev_major == b->dev_major && a->dev_minor == b->dev_minor &&
	       a->inode == b->inode && a->file_size == b->file_size &&
	       a->file_mtime_ns == b->file_mtime_ns;
}

/* Do both show the same thing at the addresses that they share? */
static bool same_mapping(const struct msn_manifest_mapping *a,
			 const struct msn_manifest_mapping *b)
{
	if (a->kind != b->kind || a->perms != b->perms ||
	    a->max_perms != b->max_perms || a->shared != b->shared ||
	    a->grows_down != b->grows_down || a->stack != b->stack ||
	    a->name_mut != b->name_mut || a->mlock_mode != b->mlock_mode ||
	    strcmp(a->name, b->name) != 0)
		return false;
	if (a->kind != MSN_MAPPING_FILE && a->kind != MSN_MAPPING_OBJECT)
		return true;
	return a->offset - a->start == b->offset - b->start && same_file(a, b);
}

static void classify(struct msn_diff_mapping *d)
{
	if (!d->a)
		d->change = MSN_DIFF_ADDED;
	else if (!d->b)
		d->change = MSN_DIFF_REMOVED;
	else
		d->change = MSN_DIFF_CHANGED;
}

int msn_diff_mappings(const struct msn_manifest *a,
		      const struct msn_manifest *b,
		      int (*fn)(void *ctx, const struct msn_diff_mapping *d),
		      void *ctx)
{
	struct sweep s = { .a = a, .b = b };
	struct msn_diff_mapping d;
	int rc;

	while (sweep_next(&s, &d)) {
		if (d.a && d.b && same_mapping(d.a, d.b))
			continue;
		classify(&d);
		rc = fn(ctx, &d);
		if (rc)
			return rc;
	}
	return 0;
}

const char *msn_diff_change_name(enum msn_diff_change change)
{
	static const char *const names[] = {
		[MSN_DIFF_ADDED] = "added",
		[MSN_DIFF_REMOVED] = "removed",
		[MSN_DIFF_CHANGED] = "changed",
	};

	return names[change];
}
