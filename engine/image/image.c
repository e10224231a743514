/*
 * Image: a memfd that is filled from a page source in aligned pieces, each
 * piece once.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "image/image.h"

#include "base/alloc.h"
#include "base/assert.h"
#include "base/error.h"
#include "base/fault.h"
#include "base/fd.h"
#include "base/lock.h"
#include "block/window.h"
#include "range/segset.h"

#include <errno.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

/*
 * Pages are loaded in aligned pieces of this size: one or two frames of a pack,
 * so that a touch of the neighbours finds them there.
 */
#define FILL_BYTES (UINT64_C(256) << 10)

struct no_value {
	char none;
};

MSN_SEGSET_DEFINE(msn_loaded_set, struct msn_file_range, struct no_value)

static bool loaded_merge(struct msn_seg_range a, void *va,
			 struct msn_seg_range b, void *vb)
{
	(void)a;
	(void)va;
	(void)b;
	(void)vb;
	return true;
}

static const struct msn_segset_ops loaded_ops = {
	.value_size = sizeof(struct no_value),
	.merge = loaded_merge,
};

struct msn_image {
	struct msn_file base;
	atomic_uint_fast64_t refs;	/* handles, and pages in placements */
	int fd;				/* set once */
	uint64_t size_bytes;		/* set once */
	struct msn_page_source *source; /* set once */
	uint8_t origin[16];		/* set once */
	struct msn_image_piece *pieces; /* set once */
	size_t piece_count;		/* set once */
	struct msn_windows windows;

	/*
	 * Pairs the release store after the last fill with an acquire load:
	 * whoever sees true sees every page.
	 */
	atomic_bool complete;

	struct msn_mutex lock;
	struct msn_loaded_set loaded; /* under lock */
};

static const struct msn_file_ops image_ops;

struct msn_image *msn_image_of(struct msn_file *file)
{
	return file->ops == &image_ops
		       ? msn_container_of(file, struct msn_image, base)
		       : NULL;
}

/* Drops @count references; the last one frees the image. */
static void image_drop(struct msn_image *img, uint64_t count)
{
	/* Acquire-release: the last owner sees what the others did. */
	if (atomic_fetch_sub_explicit(&img->refs, count, memory_order_acq_rel) >
	    count)
		return;
	msn_page_source_free(img->source);
	msn_windows_deinit(&img->windows);
	msn_loaded_set_deinit(&img->loaded);
	msn_mutex_deinit(&img->lock);
	msn_close(img->fd);
	free(img->pieces);
	free(img);
}

static void image_inc_ref(struct msn_file *file, struct msn_file_range r,
			  msn_account_id account)
{
	(void)account;
	/* Relaxed: whoever adds has a reference already. */
	atomic_fetch_add_explicit(&msn_image_of(file)->refs,
				  msn_file_range_length(r) / MSN_PAGE_SIZE,
				  memory_order_relaxed);
}

static void image_dec_ref(struct msn_file *file, struct msn_file_range r)
{
	image_drop(msn_image_of(file),
		   msn_file_range_length(r) / MSN_PAGE_SIZE);
}

/* Fills one span of the image that is not loaded yet.  The lock is held. */
static int fill_span(struct msn_image *img, struct msn_file_range r)
{
	struct msn_spans spans;
	int rc;

	while (r.start < r.end) {
		struct msn_file_range part = r;

		rc = msn_windows_map(&img->windows, r, &spans);
		if (rc)
			return msn_pass(rc);
		part.end = part.start + spans.span[0].len;
		rc = msn_page_source_fill(img->source, part,
					  spans.span[0].data);
		if (rc)
			return msn_pass(rc);
		r.start = part.end;
	}
	return 0;
}

/* Gives memory back; if the host will not, it is zero at least. */
static void forget(const struct msn_span *span)
{
	if (msn_fault("image.forget") ||
	    madvise(span->data, span->len, MADV_REMOVE) < 0)
		memset(span->data, 0, span->len);
}

/*
 * Takes back what a failed fill may have written, so that nobody ever sees it:
 * the next one counts on zeros.
 */
static void forget_span(struct msn_image *img, struct msn_file_range r)
{
	struct msn_spans spans;

	while (r.start < r.end &&
	       msn_windows_map(&img->windows, r, &spans) == 0) {
		for (size_t i = 0; i < spans.count; i++) {
			forget(&spans.span[i]);
			r.start += spans.span[i].len;
		}
	}
}

static int load_gap(struct msn_image *img, struct msn_file_range gap)
{
	struct no_value none = { 0 };
	int rc = msn_segset_reserve(&img->loaded.core, 1);

	if (rc)
		return msn_pass(rc);
	rc = fill_span(img, gap);
	if (rc) {
		forget_span(img, gap);
		return msn_pass(rc);
	}
	return msn_pass(msn_loaded_set_insert(&img->loaded, gap, &none, NULL));
}

/* The first part of @r that is not loaded; empty when all of it is. */
static struct msn_file_range next_gap(struct msn_image *img,
				      struct msn_file_range r)
{
	struct msn_seg s = msn_loaded_set_find(&img->loaded, r.start);

	if (msn_seg_ok(s)) {
		r.start = msn_loaded_set_range(s).end;
		s = msn_seg_next(s);
	} else {
		s = msn_loaded_set_lower(&img->loaded, r.start);
	}
	if (r.start >= r.end)
		return (struct msn_file_range){ r.end, r.end };
	if (msn_seg_ok(s) && msn_loaded_set_range(s).start < r.end)
		r.end = msn_loaded_set_range(s).start;
	return r;
}

int msn_image_fill(struct msn_image *img, struct msn_file_range r)
{
	struct msn_file_range gap;

	if (atomic_load_explicit(&img->complete, memory_order_acquire))
		return 0;
	msn_assert(r.start < r.end && r.end <= img->size_bytes);
	r.start &= ~(FILL_BYTES - 1);
	r.end = (r.end + FILL_BYTES - 1) & ~(FILL_BYTES - 1);
	if (r.end > img->size_bytes)
		r.end = img->size_bytes;

	msn_lock_scope(&img->lock);
	while (gap = next_gap(img, r), !msn_file_range_empty(gap)) {
		int rc = load_gap(img, gap);

		if (rc)
			return msn_pass(rc);
		r.start = gap.end;
	}
	return 0;
}

int msn_image_fill_all(struct msn_image *img)
{
	struct msn_file_range all = { 0, img->size_bytes };
	int rc = img->size_bytes ? msn_image_fill(img, all) : 0;

	if (rc)
		return msn_pass(rc);
	atomic_store_explicit(&img->complete, true, memory_order_release);
	return 0;
}

static int image_map_internal(struct msn_file *file, struct msn_file_range r,
			      unsigned access, struct msn_spans *out)
{
	struct msn_image *img = msn_image_of(file);
	int rc;

	if (access & MSN_ACCESS_WRITE)
		return msn_fail(-EACCES);
	if (r.end > img->size_bytes)
		return MSN_FILE_E_BUS;
	rc = msn_image_fill(img, r);
	if (rc)
		return msn_pass(rc);
	return msn_pass(msn_windows_map(&img->windows, r, out));
}

/* Once mapped, pages are reached without us: they must all be there. */
static int image_fd(struct msn_file *file)
{
	struct msn_image *img = msn_image_of(file);
	int rc = msn_image_fill_all(img);

	return rc ? msn_pass(rc) : img->fd;
}

static int image_next_data(struct msn_file *file, struct msn_file_range r,
			   struct msn_file_range *out)
{
	int rc = msn_page_source_next_data(msn_image_of(file)->source, r, out);

	return rc == MSN_PAGE_SOURCE_E_NO_DATA ? MSN_FILE_E_NO_DATA
					       : msn_pass(rc);
}

static const struct msn_file_ops image_ops = {
	.name = "image",
	.inc_ref = image_inc_ref,
	.dec_ref = image_dec_ref,
	.map_internal = image_map_internal,
	.fd = image_fd,
	.next_data = image_next_data,
};

static int copy_pieces(struct msn_image *img, const struct msn_image_opts *opts)
{
	img->pieces = msn_alloc_array(opts->piece_count, sizeof(*img->pieces));
	if (!img->pieces)
		return msn_fail(-ENOMEM);
	if (opts->piece_count)
		memcpy(img->pieces, opts->pieces,
		       opts->piece_count * sizeof(*img->pieces));
	img->piece_count = opts->piece_count;
	return 0;
}

static int open_memfd(uint64_t size)
{
	msn_auto(msn_closep) int fd =
		memfd_create("memsnap-image", MFD_CLOEXEC);
	int owned;

	if (fd < 0)
		return msn_fail(-errno);
	if (msn_fault("image.create") || ftruncate(fd, (off_t)size) < 0)
		return msn_fail(-ENOMEM);
	owned = fd;
	fd = -1;
	return owned;
}

int msn_image_new(struct msn_image **out, const struct msn_image_opts *opts)
{
	msn_auto(msn_page_source_freep) struct msn_page_source *source =
		opts->source;
	msn_auto(msn_freep) struct msn_image *img = msn_alloc(sizeof(*img));
	int rc;

	msn_assert(msn_page_aligned(opts->size_bytes));
	if (!img)
		return msn_fail(-ENOMEM);
	rc = copy_pieces(img, opts);
	if (rc)
		return msn_pass(rc);
	img->fd = open_memfd(opts->size_bytes);
	if (img->fd < 0) {
		free(img->pieces);
		return msn_pass(img->fd);
	}
	img->base.ops = &image_ops;
	atomic_init(&img->refs, 1);
	atomic_init(&img->complete, false);
	img->size_bytes = opts->size_bytes;
	img->source = msn_steal(source);
	memcpy(img->origin, opts->origin, sizeof(img->origin));
	msn_windows_init(&img->windows, img->fd, PROT_READ | PROT_WRITE);
	msn_mutex_init(&img->lock, MSN_RANK_FILE);
	msn_loaded_set_init(&img->loaded, &loaded_ops);
	*out = msn_steal(img);
	return 0;
}

void msn_image_ref(struct msn_image *img)
{
	/* Relaxed: whoever adds has a reference already. */
	atomic_fetch_add_explicit(&img->refs, 1, memory_order_relaxed);
}

struct msn_image *msn_image_unref(struct msn_image *img)
{
	if (img)
		image_drop(img, 1);
	return NULL;
}

struct msn_file *msn_image_file(struct msn_image *img)
{
	return &img->base;
}

bool msn_image_origin(const struct msn_image *img, uint64_t offset,
		      uint8_t origin[16], uint64_t *addr)
{
	size_t low = 0, high = img->piece_count;

	while (low < high) {
		size_t mid = low + (high - low) / 2;
		const struct msn_image_piece *p = &img->pieces[mid];
		uint64_t end = p->offset + msn_addr_range_length(p->addr);

		if (offset < p->offset) {
			high = mid;
		} else if (offset >= end) {
			low = mid + 1;
		} else {
			memcpy(origin, img->origin, sizeof(img->origin));
			*addr = p->addr.start + (offset - p->offset);
			return true;
		}
	}
	return false;
}

uint64_t msn_image_size(const struct msn_image *img)
{
	return img->size_bytes;
}
