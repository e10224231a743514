/*
 * Windows: a table of mappings.
 *
 * SPDX-License-Identifier: Apache-2.0
 *
 * A reader takes the table's size, then the table, then the entry, each with
 * acquire; a writer, under the lock, stores them with release in the opposite
 * order.  A table that is outgrown stays until the end, since a reader may
 * still hold it: all it can miss there is a window that is newer, and it then
 * looks again under the lock.
 */
#include "block/window.h"

#include "base/alloc.h"
#include "base/assert.h"
#include "base/error.h"
#include "base/fault.h"
#include "base/limits.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

void msn_windows_init(struct msn_windows *w, int fd, int prot)
{
	*w = (struct msn_windows){ .fd = fd, .prot = prot };
	msn_mutex_init(&w->lock, MSN_RANK_WINDOW);
}

void msn_windows_deinit(struct msn_windows *w)
{
	for (size_t i = 0; i < w->count; i++)
		if (w->base[i])
			munmap(w->base[i], MSN_WINDOW_BYTES);
	for (size_t i = 0; i < w->old_count; i++)
		free(w->old[i]);
	free(w->old);
	free(w->base);
	msn_mutex_deinit(&w->lock);
}

/* The window's address, or NULL when it is not there yet. */
static void *windows_find(struct msn_windows *w, uint64_t nr)
{
	size_t count = __atomic_load_n(&w->count, __ATOMIC_ACQUIRE);
	void **base = __atomic_load_n(&w->base, __ATOMIC_ACQUIRE);

	if (nr >= count)
		return NULL;
	return __atomic_load_n(&base[nr], __ATOMIC_ACQUIRE);
}

/* Keeps the outgrown table for its readers. */
static int windows_retire(struct msn_windows *w)
{
	void ***old;

	if (!w->base)
		return 0;
	old = msn_realloc_array(w->old, w->old_count + 1, sizeof(*old));
	if (!old)
		return msn_fail(-ENOMEM);
	w->old = old;
	w->old[w->old_count] = w->base;
	return 0;
}

/* Makes the table large enough for window @nr. */
static int windows_grow(struct msn_windows *w, uint64_t nr)
{
	size_t count = w->count ? w->count : 4;
	void **base;
	int rc;

	if (nr < w->count)
		return 0;
	while (count <= nr)
		count *= 2;
	base = msn_alloc_array(count, sizeof(*base));
	if (!base)
		return msn_fail(-ENOMEM);
	rc = windows_retire(w);
	if (rc) {
		free(base);
		return msn_pass(rc);
	}
	if (w->base) {
		w->old_count++;
		memcpy(base, w->base, w->count * sizeof(*base));
	}
	__atomic_store_n(&w->base, base, __ATOMIC_RELEASE);
	__atomic_store_n(&w->count, count, __ATOMIC_RELEASE);
	return 0;
}

static int windows_open(struct msn_windows *w, uint64_t nr, void **out)
{
	msn_lock_scope(&w->lock);
	void *at = windows_find(w, nr);
	int rc;

	if (!at) {
		if (nr > (uint64_t)INT64_MAX / MSN_WINDOW_BYTES)
			return msn_fail(-EOVERFLOW);
		rc = windows_grow(w, nr);
		if (rc)
			return msn_pass(rc);
		if (msn_fault("window.mmap"))
			return msn_fail(-ENOMEM);
		at = mmap(NULL, MSN_WINDOW_BYTES, w->prot, MAP_SHARED, w->fd,
			  (off_t)(nr * MSN_WINDOW_BYTES));
		if (at == MAP_FAILED)
			return msn_fail(-errno);
		__atomic_store_n(&w->base[nr], at, __ATOMIC_RELEASE);
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
		void *base = windows_find(w, nr);

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
	return windows_find(w, nr);
}

uint64_t msn_windows_end(struct msn_windows *w)
{
	return __atomic_load_n(&w->count, __ATOMIC_ACQUIRE);
}

void msn_windows_close(struct msn_windows *w, uint64_t nr)
{
	msn_lock_scope(&w->lock);
	void *at = windows_find(w, nr);

	msn_assert(at);
	__atomic_store_n(&w->base[nr], NULL, __ATOMIC_RELEASE);
	munmap(at, MSN_WINDOW_BYTES);
}
