/*
 * Page source: where the pages of an image come from when they are wanted.
 *
 * SPDX-License-Identifier: Apache-2.0
 *
 * The image (engine) owns this interface; restore (snapshot) fills it in.  An
 * eager restore asks for everything at once, a lazy one for what is touched.
 */
#ifndef MSN_MAPPING_PAGE_SOURCE_H
#define MSN_MAPPING_PAGE_SOURCE_H

#include "base/cleanup.h"
#include "range/range.h"

#include <stddef.h>

struct msn_page_source;

enum msn_page_source_error { MSN_PAGE_SOURCE_E_NO_DATA = 1 };

struct msn_page_source_ops {
	const char *name;

	/*
	 * Writes the bytes of the page-aligned @r to @dst, which holds zeros:
	 * pages that are all zero need not be touched.  Verifies what it
	 * delivers.  0, or -errno (-EBADMSG: the bytes are not what was
	 * stored); after a failure @dst is not used.  Blocks.  May be called
	 * from any thread, one call at a time.
	 */
	int (*fill)(struct msn_page_source *src, struct msn_file_range r,
		    void *dst);

	/*
	 * 0 and the first page-aligned sub-range of @r that has bytes other
	 * than zero, or MSN_PAGE_SOURCE_E_NO_DATA.  Does not block.
	 */
	int (*next_data)(struct msn_page_source *src, struct msn_file_range r,
			 struct msn_file_range *out);

	/* Frees the source; nobody uses it any more. */
	void (*free)(struct msn_page_source *src);
};

struct msn_page_source {
	const struct msn_page_source_ops *ops; /* set once */
};

/* See struct msn_page_source_ops. */
MSN_MUST_CHECK int msn_page_source_fill(struct msn_page_source *src,
					struct msn_file_range r, void *dst);

MSN_MUST_CHECK int msn_page_source_next_data(struct msn_page_source *src,
					     struct msn_file_range r,
					     struct msn_file_range *out);

/* NULL is allowed.  Returns NULL. */
struct msn_page_source *msn_page_source_free(struct msn_page_source *src);
MSN_DEFINE_AUTO(struct msn_page_source, msn_page_source_free)

#endif /* MSN_MAPPING_PAGE_SOURCE_H */
