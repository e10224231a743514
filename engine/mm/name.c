/*
 * Names of anonymous memory (PR_SET_VMA_ANON_NAME).
 *
 * SPDX-License-Identifier: Apache-2.0
 *
 * As set_anon_vma_name() and the walk of mm/madvise.c of Linux: holes are
 * passed over and told in the end.  A mapping keeps the text that a listing
 * shows, brackets and all.
 */
#include "mm/mm_calls.h"

#include "base/error.h"
#include "mm/mm_internal.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

/* ANON_VMA_NAME_MAX_LEN of Linux, with the terminator. */
#define NAME_MAX_SIZE 80

/* What a listing must be able to quote. */
static bool is_valid(const char *name)
{
	size_t n = 0;

	for (; name[n]; n++)
		if (n + 1 >= NAME_MAX_SIZE || name[n] <= 0x1f ||
		    name[n] >= 0x7f || strchr("\\`$[]", name[n]))
			return false;
	return true;
}

/* The names of both kinds of memory. */
struct names {
	struct msn_text *anon, *shmem; /* NULL: none */
};

static int make_names(const char *name, struct names *out)
{
	char text[NAME_MAX_SIZE + 16];
	int rc;

	*out = (struct names){ 0 };
	if (!name)
		return 0;
	snprintf(text, sizeof(text), "[anon:%s]", name);
	rc = msn_text_new(&out->anon, text);
	if (rc)
		return msn_pass(rc);
	snprintf(text, sizeof(text), "[anon_shmem:%s]", name);
	rc = msn_text_new(&out->shmem, text);
	if (rc)
		msn_text_unref(out->anon);
	return msn_pass(rc);
}

/* Memory without a file; what was made with a name keeps it. */
static bool can_be_named(const struct msn_vma *v)
{
	if (v->name_mut != MSN_NAME_MUT_DISALLOWED)
		return true;
	return !v->mappable && !v->identity && !v->name;
}

/* Names @part, which lies inside the mapping at @s. */
static int name_part(struct msn_mm *mm, struct msn_seg s,
		     struct msn_addr_range part, const struct names *names)
{
	struct msn_vma to = *msn_vma_set_value(&mm->vmas, s);
	const struct msn_text *old = to.name;
	int rc;

	if (!can_be_named(&to))
		return msn_fail(-EBADF);
	if (to.name_mut != MSN_NAME_MUT_ANON_SHMEM)
		to.name_mut = MSN_NAME_MUT_ANON;
	to.name = to.name_mut == MSN_NAME_MUT_ANON ? names->anon : names->shmem;
	if (msn_text_same(old, to.name))
		return 0;
	rc = msn_vma_modify(mm, part, &to, &s);
	return rc == -ENOMEM ? msn_fail(-EAGAIN) : msn_pass(rc);
}

static int name_range(struct msn_mm *mm, struct msn_addr_range ar,
		      const struct names *names)
{
	bool hole = false;

	while (ar.start < ar.end) {
		struct msn_seg s = msn_vma_set_lower(&mm->vmas, ar.start);
		struct msn_addr_range part;
		int rc;

		if (!msn_seg_ok(s) || msn_vma_set_range(s).start >= ar.end) {
			hole = true;
			break;
		}
		part = msn_addr_range_intersect(msn_vma_set_range(s), ar);
		hole |= part.start > ar.start;
		rc = name_part(mm, s, part, names);
		if (rc)
			return msn_pass(rc);
		ar.start = part.end;
	}
	return hole ? msn_fail(-ENOMEM) : 0;
}

int msn_mm_set_anon_name(struct msn_mm *mm, uint64_t addr, uint64_t length,
			 const char *name)
{
	struct names names;
	uint64_t len;
	int rc;

	if (name && !is_valid(name))
		return msn_fail(-EINVAL);
	rc = make_names(name, &names);
	if (rc)
		return msn_pass(rc);
	if (!msn_page_aligned(addr) || !msn_page_up(length, &len) ||
	    addr + len < addr) {
		rc = msn_fail(-EINVAL);
	} else {
		msn_write_scope(&mm->mapping);
		rc = name_range(mm, (struct msn_addr_range){ addr, addr + len },
				&names);
	}
	msn_text_unref(names.anon);
	msn_text_unref(names.shmem);
	return msn_pass(rc);
}
