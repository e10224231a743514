/*
 * Page source dispatch.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "mapping/page_source.h"

#include "base/assert.h"
#include "base/error.h"

int msn_page_source_fill(struct msn_page_source *src, struct msn_file_range r,
			 void *dst)
{
	int rc;

	msn_assert(!msn_file_range_empty(r) && msn_file_range_page_aligned(r));
	rc = src->ops->fill(src, r, dst);
	msn_assert(rc <= 0);
	return msn_pass(rc);
}

int msn_page_source_next_data(struct msn_page_source *src,
			      struct msn_file_range r,
			      struct msn_file_range *out)
{
	int rc;

	msn_assert(!msn_file_range_empty(r) && msn_file_range_page_aligned(r));
	rc = src->ops->next_data(src, r, out);
	if (rc == 0)
		msn_assert(msn_file_range_covers(r, *out) &&
			   !msn_file_range_empty(*out));
	return msn_pass(rc);
}

struct msn_page_source *msn_page_source_free(struct msn_page_source *src)
{
	if (src)
		src->ops->free(src);
	return NULL;
}
