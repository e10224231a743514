/*
 * Windows: mappings that are made once and found without a lock.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "block/window.h"

#include "base/assert.h"
#include "base/error.h"
#include "base/fault.h"
#include "base/limits.h"

#include <errno.h>
#include <sys/mman.h>

void msn_windows_init(struct msn_windows *w, int fd, int prot)
{
	*w = (struct msn_windows){ .fd = fd, .prot = prot };
	msn_mutex_init(&w->lock, MSN_RANK_WINDOW);
}

void msn_windows_deinit(struct msn_windows *w)
{
	void *at;

	for (uint64_t nr = 0; (at = msn_table_next(&w->base, &nr)); nr++)
		munmap(at, MSN_WINDOW_BYTES);
	msn_table_deinit(&w->base);
	msn_mutex_deinit(&w->lock);
}

void msn_windows_advise(struct msn_windows *w, int advice)
{
	w->advice = advice;
}

/* Maps window @nr unless another thread just did. */
static int windows_open(struct msn_windows *w, uint64_t nr, void **out)
{
	msn_lock_scope(&w->lock);
	void *at = msn_table_get(&w->base, nr);
	int rc;

	if (!at) {
		if (nr > (uint64_t)INT64_MAX / MSN_WINDOW_BYTES)
			return msn_fail(-EOVERFLOW);
		rc = msn_table_reserve(&w->base, nr);
		if (rc)
			return msn_pass(rc);
		if (msn_fault("window.mmap"))
			return msn_fail(-ENOMEM);
		at = mmap(NULL, MSN_WINDOW_BYTES, w->prot, MAP_SHARED, w->fd,
			  (off_t)(nr * MSN_WINDOW_BYTES));
		if (at == MAP_FAILED)
			return msn_fail(-errno);
		if (w->advice != MADV_NORMAL)
			(void)madvise(at, MSN_WINDOW_BYTES, w->advice);
		msn_table_put(&w->base, nr, at);
	}
	*out = at;
	return 0;
}

int msn_windows_map(struct msn_windows *w, struct msn_file_range r,
		    struct msn_spans *out)
{
	struct msn_spans spans;
	int rc;

	msn_assert(!msn_file_range_empty(r));
	spans.count = 0;
	while (r.start < r.end && spans.count < MSN_SPANS_MAX) {
		uint64_t nr = r.start / MSN_WINDOW_BYTES;
		uint64_t skip = r.start % MSN_WINDOW_BYTES;
		uint64_t len = MSN_WINDOW_BYTES - skip;
		void *base = msn_table_get(&w->base, nr);

		if (!base) {
			rc = windows_open(w, nr, &base);
			if (rc)
				return msn_pass(rc);
		}
		if (len > r.end - r.start)
			len = r.end - r.start;
		spans.span[spans.count++] =
			(struct msn_span){ (char *)base + skip, len };
		r.start += len;
	}
	*out = spans;
	return 0;
}

void *msn_windows_at(struct msn_windows *w, uint64_t nr)
{
	return msn_table_get(&w->base, nr);
}

void *msn_windows_next(struct msn_windows *w, uint64_t *nr)
{
	return msn_table_next(&w->base, nr);
}

void msn_windows_close(struct msn_windows *w, uint64_t nr)
{
	msn_lock_scope(&w->lock);
	void *at = msn_table_get(&w->base, nr);

	msn_assert(at);
	msn_table_put(&w->base, nr, NULL);
	munmap(at, MSN_WINDOW_BYTES);
}
