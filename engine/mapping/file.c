/*
 * File dispatch: checks the promises of struct msn_file_ops on both sides of
 * each call, and moves bytes by whichever way a file allows.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "mapping/file.h"

#include "base/assert.h"
#include "base/error.h"
#include "block/safecopy.h"

#include <errno.h>
#include <string.h>

void msn_file_inc_ref(struct msn_file *file, struct msn_file_range r,
		      msn_account_id account)
{
	msn_assert(!msn_file_range_empty(r) && msn_file_range_page_aligned(r));
	if (file->ops->inc_ref)
		file->ops->inc_ref(file, r, account);
}

void msn_file_dec_ref(struct msn_file *file, struct msn_file_range r)
{
	msn_assert(!msn_file_range_empty(r) && msn_file_range_page_aligned(r));
	if (file->ops->dec_ref)
		file->ops->dec_ref(file, r);
}

static size_t spans_length(const struct msn_spans *spans)
{
	size_t sum = 0;

	for (size_t i = 0; i < spans->count; i++)
		sum += spans->span[i].len;
	return sum;
}

int msn_file_map_internal(struct msn_file *file, struct msn_file_range r,
			  unsigned access, struct msn_spans *out)
{
	int rc;

	msn_assert(!msn_file_range_empty(r));
	msn_assert(!(access & MSN_ACCESS_EXEC));
	if (!file->ops->map_internal)
		return MSN_FILE_E_BUFFERED;
	rc = file->ops->map_internal(file, r, access, out);
	if (rc == 0) {
		size_t len = spans_length(out);

		msn_assert(out->count <= MSN_SPANS_MAX);
		msn_assert(len > 0 && len <= msn_file_range_length(r));
	}
	return msn_pass(rc);
}

int msn_file_buffer_read_at(struct msn_file *file, uint64_t offset, void *buf,
			    size_t len, size_t *done)
{
	int rc;

	msn_assert(file->ops->buffer_read_at);
	*done = 0;
	rc = file->ops->buffer_read_at(file, offset, buf, len, done);
	msn_assert(rc ? *done <= len : *done == len);
	return msn_pass(rc);
}

int msn_file_buffer_write_at(struct msn_file *file, uint64_t offset,
			     const void *buf, size_t len, size_t *done)
{
	int rc;

	*done = 0;
	if (!file->ops->buffer_write_at)
		return msn_fail(-EROFS);
	rc = file->ops->buffer_write_at(file, offset, buf, len, done);
	msn_assert(rc ? *done <= len : *done == len);
	return msn_pass(rc);
}

int msn_file_buffer_read_batch(struct msn_file *file,
			       const struct msn_file_io *io, size_t count)
{
	if (file->ops->buffer_read_batch)
		return msn_pass(file->ops->buffer_read_batch(file, io, count));
	for (size_t i = 0; i < count; i++) {
		size_t done;
		int rc = msn_file_buffer_read_at(file, io[i].offset, io[i].buf,
						 io[i].len, &done);

		if (rc)
			return msn_pass(rc);
	}
	return 0;
}

int msn_file_fd(struct msn_file *file)
{
	return file->ops->fd ? file->ops->fd(file) : -EBADF;
}

int msn_file_next_data(struct msn_file *file, struct msn_file_range r,
		       struct msn_file_range *out)
{
	int rc;

	msn_assert(!msn_file_range_empty(r) && msn_file_range_page_aligned(r));
	if (!file->ops->next_data) {
		*out = r;
		return 0;
	}
	rc = file->ops->next_data(file, r, out);
	if (rc == 0) {
		msn_assert(!msn_file_range_empty(*out));
		msn_assert(msn_file_range_page_aligned(*out));
		msn_assert(msn_file_range_covers(r, *out));
	}
	return msn_pass(rc);
}

int msn_file_resident(struct msn_file *file, struct msn_file_range r,
		      uint8_t *vec)
{
	size_t pages = msn_file_range_length(r) / MSN_PAGE_SIZE;

	msn_assert(!msn_file_range_empty(r) && msn_file_range_page_aligned(r));
	if (file->ops->resident)
		return msn_pass(file->ops->resident(file, r, vec));
	memset(vec, 1, pages);
	return 0;
}

uint64_t msn_file_sharers(struct msn_file *file, struct msn_file_range r,
			  struct msn_file_range *run)
{
	uint64_t n;

	msn_assert(!msn_file_range_empty(r) && msn_file_range_page_aligned(r));
	if (!file->ops->sharers) {
		*run = r;
		return 1;
	}
	n = file->ops->sharers(file, r, run);
	msn_assert(run->start == r.start && !msn_file_range_empty(*run));
	msn_assert(msn_file_range_covers(r, *run));
	return n;
}

/* Moves one batch of spans; @out says which way. */
static int move_spans(const struct msn_spans *spans, char *buf, bool out,
		      size_t *done)
{
	for (size_t i = 0; i < spans->count; i++) {
		const struct msn_span *s = &spans->span[i];
		size_t n = 0;
		int rc = out ? msn_safecopy(s->data, buf, s->len, &n)
			     : msn_safecopy(buf, s->data, s->len, &n);

		*done += n;
		if (rc)
			return MSN_FILE_E_BUS;
		buf += s->len;
	}
	return 0;
}

static int move_mapped(struct msn_file *file, struct msn_file_range r,
		       char *buf, bool out, size_t *done)
{
	while (r.start < r.end) {
		struct msn_spans spans;
		size_t step = 0;
		int rc = msn_file_map_internal(
			file, r, out ? MSN_ACCESS_WRITE : MSN_ACCESS_READ,
			&spans);

		if (rc == 0)
			rc = move_spans(&spans, buf + *done, out, &step);
		*done += step;
		r.start += step;
		if (rc)
			return msn_pass(rc);
	}
	return 0;
}

int msn_file_read(struct msn_file *file, uint64_t offset, void *buf, size_t len,
		  size_t *done)
{
	struct msn_file_range r = { offset, offset + len };
	size_t more = 0;
	int rc;

	*done = 0;
	if (len == 0)
		return 0;
	rc = move_mapped(file, r, buf, false, done);
	if (rc != MSN_FILE_E_BUFFERED)
		return msn_pass(rc);
	rc = msn_file_buffer_read_at(file, offset + *done, (char *)buf + *done,
				     len - *done, &more);
	*done += more;
	return msn_pass(rc);
}

int msn_file_write(struct msn_file *file, uint64_t offset, const void *buf,
		   size_t len, size_t *done)
{
	struct msn_file_range r = { offset, offset + len };
	char *from = (char *)(uintptr_t)buf; /* only read from */
	size_t more = 0;
	int rc;

	*done = 0;
	if (len == 0)
		return 0;
	rc = move_mapped(file, r, from, true, done);
	if (rc != MSN_FILE_E_BUFFERED)
		return msn_pass(rc);
	rc = msn_file_buffer_write_at(file, offset + *done, from + *done,
				      len - *done, &more);
	*done += more;
	return msn_pass(rc);
}
