/*
 * Finding placements, dropping and replacing them.
 *
 * SPDX-License-Identifier: Apache-2.0
 *
 * Page tables first, then the page references, then the placement: nobody can
 * reach a page whose reference is gone.
 */
#include "mm/mm_internal.h"

#include "base/assert.h"
#include "base/error.h"
#include "mm/guard.h"

struct msn_seg msn_mm_first_placed(struct msn_mm *mm, struct msn_addr_range ar,
				   struct msn_addr_range *part)
{
	struct msn_seg s = msn_pma_set_lower(&mm->pmas, ar.start);

	if (!msn_seg_ok(s))
		return s;
	*part = msn_addr_range_intersect(ar, msn_pma_set_range(s));
	return msn_addr_range_empty(*part) ? (struct msn_seg){ 0 } : s;
}

/* What is done to the placements of a range. */
struct drop {
	bool keep_private;
	bool keep_guards;
	bool keep_tables; /* something else is mapped there already */
};

static void drop(struct msn_mm *mm, struct msn_addr_range ar, struct drop how)
{
	struct msn_seg s;
	int rc = msn_pma_set_isolate(&mm->pmas, ar, &s);

	msn_assert(rc == 0);
	while (msn_seg_ok(s) && msn_pma_set_range(s).start < ar.end) {
		struct msn_addr_range r = msn_pma_set_range(s);
		struct msn_pma *p = msn_pma_set_value(&mm->pmas, s);

		if ((p->private && how.keep_private) ||
		    (how.keep_guards && msn_pma_is_guard(p))) {
			s = msn_seg_next(s);
			continue;
		}
		if (!how.keep_tables)
			msn_address_space_unmap(mm->as, r);
		msn_file_dec_ref(p->file, msn_pma_file_range(p, r, r));
		s = msn_pma_set_remove(&mm->pmas, s);
	}
}

void msn_mm_drop_pages(struct msn_mm *mm, struct msn_addr_range ar,
		       bool keep_private)
{
	drop(mm, ar, (struct drop){ .keep_private = keep_private });
}

void msn_mm_zap_pages(struct msn_mm *mm, struct msn_addr_range ar,
		      bool keep_private)
{
	drop(mm, ar,
	     (struct drop){ .keep_private = keep_private,
			    .keep_guards = true });
}

int msn_mm_cover(struct msn_mm *mm, const struct msn_vma *v,
		 struct msn_addr_range ar, const struct msn_pma *p)
{
	struct msn_as_mapping m = {
		.addr = ar,
		.file = p->file,
		.offset = p->offset,
		.perms = msn_vma_perms(v),
		.cow = p->need_cow,
	};
	int rc = msn_segset_reserve(&mm->pmas.core, 3);

	if (rc == 0)
		rc = msn_address_space_map_file(mm->as, &m);
	if (rc)
		return msn_pass(rc);
	drop(mm, ar, (struct drop){ .keep_tables = true });
	rc = msn_pma_set_insert(&mm->pmas, ar, p, NULL);
	msn_assert(rc == 0);
	return 0;
}
