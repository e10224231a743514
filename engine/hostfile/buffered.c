/*
 * Bytes of a host file by read and write, for pages that cannot be mapped.
 *
 * SPDX-License-Identifier: Apache-2.0
 *
 * They behave as a mapping does: the last page reads as zero past the end of
 * the file, what lies past that page is a bus error, and no write makes a file
 * longer.  What of a long read is not in the page cache is cut into pieces; the
 * pieces of all reads of a call start by one submission and are replaced as
 * they end.  A piece of an O_DIRECT descriptor goes past the page cache if it
 * is aligned.
 */
#include "hostfile/hostfile_internal.h"

#include "base/assert.h"
#include "base/error.h"
#include "base/fault.h"
#include "base/fd.h"
#include "base/limits.h"

#include <errno.h>
#include <string.h>
#include <sys/uio.h>
#include <unistd.h>

/*
 * How often the host may say "nothing here" of bytes inside a file: somebody
 * shortens and lengthens it in turn.
 */
#define EMPTY_READS_MAX 16

static void count(atomic_uint_fast64_t *events, uint64_t n)
{
	/* Relaxed: a figure for people. */
	atomic_fetch_add_explicit(events, n, memory_order_relaxed);
}

/* Which descriptor reads @len bytes at @offset into @buf. */
static int read_fd(const struct msn_hostfile *hf, uint64_t offset,
		   const void *buf, size_t len)
{
	bool aligned = msn_page_aligned(offset | (uintptr_t)buf | len);

	return hf->direct && aligned ? hf->fd : hf->io_fd;
}

/* What a failed read is for the one who touched the page. */
static int read_failed(int rc)
{
	return rc == -ENOMEM || rc == -EBADF || rc == -EFAULT ? msn_pass(rc)
							      : MSN_FILE_E_BUS;
}

/* Zeroes what of the piece lies past @size in the file's last page. */
static int zero_tail(struct msn_file_io io, uint64_t size, size_t *done)
{
	uint64_t end = msn_hostfile_page_end(size);
	uint64_t at = io.offset + *done;

	if (at >= end)
		return MSN_FILE_E_BUS;
	if (end > io.offset + io.len)
		end = io.offset + io.len;
	memset((char *)io.buf + *done, 0, end - at);
	*done = end - io.offset;
	return *done == io.len ? 0 : MSN_FILE_E_BUS;
}

/* Carries on a read of which *@done bytes came until it is whole. */
static int finish_read(struct msn_hostfile *hf, struct msn_file_io io,
		       size_t *done)
{
	for (int empty = 0; *done < io.len; empty++) {
		uint64_t size;
		ssize_t n;
		int rc = msn_hostfile_size(hf, &size);

		if (rc)
			return read_failed(rc);
		if (io.offset + *done >= size)
			return zero_tail(io, size, done);
		if (empty > EMPTY_READS_MAX)
			return MSN_FILE_E_BUS;
		n = msn_pread_full(hf->io_fd, (char *)io.buf + *done,
				   io.len - *done, io.offset + *done);
		if (n < 0)
			return read_failed((int)n);
		*done += (size_t)n;
	}
	return 0;
}

/*
 * Kept bytes got into the file so often.  Asked before a read: if it is more
 * often afterwards, neither the file nor the list need have had them.
 */
static uint64_t kept_written(struct msn_hostfile *hf)
{
	return atomic_load_explicit(&hf->kept_written, memory_order_acquire);
}

/* Puts what is kept on top of the bytes that came. */
static int show_kept(struct msn_hostfile *hf, struct msn_file_io io,
		     uint64_t written, int rc, size_t *done)
{
	msn_read_scope(&hf->io_lock);
	if (kept_written(hf) != written) {
		*done = 0;
		rc = finish_read(hf, io, done);
	}
	msn_hostfile_kept_show(
		hf, (struct msn_file_range){ io.offset, io.offset + *done },
		io.buf);
	return msn_pass(rc);
}

/* @result: what the first step gave.  @written: kept_written() before it. */
static int end_read(struct msn_hostfile *hf, struct msn_file_io io,
		    uint64_t written, ssize_t result, size_t *done)
{
	int rc;

	/* The file system may want more alignment than we keep. */
	if (result == -EINVAL && hf->direct)
		result = 0;
	*done = result < 0 ? 0 : (size_t)result;
	rc = result < 0 ? read_failed((int)result) : finish_read(hf, io, done);
	if (*done &&
	    (atomic_load_explicit(&hf->has_kept, memory_order_acquire) ||
	     kept_written(hf) != written))
		return msn_pass(show_kept(hf, io, written, rc, done));
	return msn_pass(rc);
}

static int read_plain(struct msn_hostfile *hf, struct msn_file_io io,
		      size_t *done)
{
	uint64_t written = kept_written(hf);
	ssize_t n =
		msn_fault("hostfile.read")
			? -EIO
			: msn_pread_full(read_fd(hf, io.offset, io.buf, io.len),
					 io.buf, io.len, io.offset);

	count(&hf->did.reads, 1);
	count(&hf->did.read_bytes, n > 0 ? (size_t)n : 0);
	return msn_pass(end_read(hf, io, written, n, done));
}

/* ---- Many at once -------------------------------------------------------- */

/* A piece in flight. */
struct piece {
	struct msn_aio_req req;
	struct batch *batch;
	struct msn_file_io io;
	size_t of;	  /* index of the read that it is a part of */
	uint64_t written; /* kept_written() before it starts */
};

struct batch {
	struct msn_hostfile *hf;
	struct msn_aio *aio;
	const struct msn_file_io *io;
	size_t count;
	size_t next; /* first read that is not all cut up */
	size_t cut;  /* bytes of it that are */

	uint64_t reads, read_bytes;

	/* Of the first bytes that did not come, in order; 0: all did. */
	int rc;
	size_t bad_read, bad_at;
};

/* Fills in the next piece.  False: there is none. */
static bool cut_piece(struct batch *b, struct piece *p)
{
	const struct msn_file_io *io;
	size_t len;

	while (b->next < b->count && b->cut == b->io[b->next].len) {
		b->next++;
		b->cut = 0;
	}
	if (b->next == b->count)
		return false;
	io = &b->io[b->next];
	len = io->len - b->cut;
	if (len > MSN_HOSTFILE_PIECE)
		len = MSN_HOSTFILE_PIECE;
	p->batch = b;
	p->of = b->next;
	p->written = kept_written(b->hf);
	p->io = (struct msn_file_io){ io->offset + b->cut,
				      (char *)io->buf + b->cut, len };
	p->req.op = MSN_AIO_READ;
	p->req.fd = read_fd(b->hf, p->io.offset, p->io.buf, len);
	p->req.buf = p->io.buf;
	p->req.len = len;
	p->req.offset = p->io.offset;
	b->cut += len;
	return true;
}

static void note_bad(struct batch *b, const struct piece *p, int rc,
		     size_t done)
{
	size_t at = p->io.offset - b->io[p->of].offset + done;

	if (b->rc &&
	    (b->bad_read < p->of || (b->bad_read == p->of && b->bad_at < at)))
		return;
	b->rc = rc;
	b->bad_read = p->of;
	b->bad_at = at;
}

static void piece_done(struct msn_aio_req *req)
{
	struct piece *p = msn_container_of(req, struct piece, req);
	struct batch *b = p->batch;
	size_t done;
	int rc = end_read(b->hf, p->io, p->written, req->result, &done);

	b->reads++;
	b->read_bytes += done;
	if (rc)
		note_bad(b, p, rc, done);
	/* After a failure what is in flight is awaited, and no more started. */
	if (!b->rc && cut_piece(b, p))
		msn_aio_queue(b->aio, req);
}

/* Runs @b; b->rc says how it went. */
static void run_batch(struct batch *b)
{
	struct piece pieces[MSN_HOSTFILE_DEPTH];
	struct msn_aio_req *first[MSN_HOSTFILE_DEPTH];
	size_t n = 0;

	while (n < MSN_HOSTFILE_DEPTH) {
		pieces[n] = (struct piece){ .req.done = piece_done };
		if (!cut_piece(b, &pieces[n]))
			break;
		first[n] = &pieces[n].req;
		n++;
	}
	count(&b->hf->did.submissions, 1);
	msn_aio_queue_many(b->aio, first, n);
	msn_aio_drain(b->aio);
	count(&b->hf->did.reads, b->reads);
	count(&b->hf->did.read_bytes, b->read_bytes);
}

/* As run_batch(), with system calls: for when there is no aio. */
static void run_one_by_one(struct batch *b)
{
	struct piece p;

	while (!b->rc && cut_piece(b, &p)) {
		size_t done;
		int rc = read_plain(b->hf, p.io, &done);

		if (rc)
			note_bad(b, &p, rc, done);
	}
}

static int read_many(struct msn_hostfile *hf, const struct msn_file_io *io,
		     size_t n, size_t *bad_at)
{
	struct batch b = { .hf = hf, .io = io, .count = n };

	if (msn_fault("hostfile.read"))
		return MSN_FILE_E_BUS;
	b.aio = msn_hostfile_aio_take();
	if (b.aio) {
		run_batch(&b);
		msn_hostfile_aio_give(b.aio);
	} else {
		run_one_by_one(&b);
	}
	*bad_at = b.bad_at;
	return msn_pass(b.rc);
}

int msn_hostfile_read_batch(struct msn_file *file, const struct msn_file_io *io,
			    size_t n)
{
	struct msn_hostfile *hf = msn_hostfile_of_file(file);
	size_t done = 0;

	if (n == 1 && io->len <= MSN_HOSTFILE_PIECE)
		return msn_pass(read_plain(hf, *io, &done));
	return msn_pass(read_many(hf, io, n, &done));
}

/*
 * What of a long read is in the page cache already comes by one call, which
 * nothing beats: the bytes from the start that did.
 */
static size_t read_cached(struct msn_hostfile *hf, struct msn_file_io io)
{
	struct iovec iov = { io.buf, io.len };
	uint64_t written = kept_written(hf);
	size_t done = 0;
	ssize_t n;

	if (read_fd(hf, io.offset, io.buf, io.len) != hf->io_fd)
		return 0;
	n = preadv2(hf->io_fd, &iov, 1, (off_t)io.offset, RWF_NOWAIT);
	if (n <= 0)
		return 0;
	io.len = (size_t)n;
	count(&hf->did.reads, 1);
	count(&hf->did.read_bytes, io.len);
	return end_read(hf, io, written, n, &done) ? 0 : done;
}

static int read_long(struct msn_hostfile *hf, struct msn_file_io io,
		     size_t *done)
{
	size_t cached = read_cached(hf, io);
	int rc;

	*done = 0;
	io.offset += cached;
	io.buf = (char *)io.buf + cached;
	io.len -= cached;
	if (io.len <= MSN_HOSTFILE_PIECE) {
		rc = io.len ? read_plain(hf, io, done) : 0;
	} else {
		rc = read_many(hf, &io, 1, done);
		if (rc == 0)
			*done = io.len;
	}
	*done += cached;
	return msn_pass(rc);
}

int msn_hostfile_read_at(struct msn_file *file, uint64_t offset, void *buf,
			 size_t len, size_t *done)
{
	struct msn_hostfile *hf = msn_hostfile_of_file(file);
	struct msn_file_io io = { offset, buf, len };

	return len <= MSN_HOSTFILE_PIECE ? msn_pass(read_plain(hf, io, done))
					 : msn_pass(read_long(hf, io, done));
}

/* ---- Writing ------------------------------------------------------------- */

int msn_hostfile_write_host(struct msn_hostfile *hf, uint64_t offset,
			    const void *buf, size_t len)
{
	count(&hf->did.writes, 1);
	count(&hf->did.write_bytes, len);
	if (msn_fault("hostfile.write"))
		return msn_fail(-EIO);
	return msn_pass(msn_pwrite_full(hf->io_fd, buf, len, offset));
}

/* Was the write refused, so that doing it again will not help? */
static bool is_refused(int rc)
{
	switch (rc) {
	case -ENOSPC:
	case -EDQUOT:
	case -EFBIG:
	case -EPERM:
	case -EACCES:
	case -EROFS:
	case -EBADF:
	case -ETXTBSY:
		return true;
	default:
		return false;
	}
}

/* Stores under way. */
struct store {
	struct msn_file_range r; /* where */
	const char *buf;
	uint64_t size; /* of the file when they were made */
};

/*
 * Writes what lies inside the file, which under io_lock keeps its size as far
 * as we are concerned: a write through a mapping never makes a file longer.
 */
static int write_inside(struct msn_hostfile *hf, struct store *s)
{
	int rc = msn_hostfile_size(hf, &s->size);

	if (rc || s->r.end > s->size)
		s->r.end = rc ? s->r.start : s->size;
	if (rc || msn_file_range_empty(s->r))
		return msn_pass(rc);
	return msn_pass(msn_hostfile_write_host(hf, s->r.start, s->buf,
						msn_file_range_length(s->r)));
}

/* As above, when nothing is kept. */
static int write_shared(struct msn_hostfile *hf, struct store *s)
{
	msn_read_scope(&hf->io_lock);
	return msn_pass(write_inside(hf, s));
}

/* What could not get into the file is kept; @rc says why. */
static int keep(struct msn_hostfile *hf, struct store *s, int rc)
{
	if (is_refused(rc) || msn_file_range_empty(s->r))
		return msn_pass(rc);
	atomic_fetch_add(&hf->errors, 1);
	return msn_pass(msn_hostfile_kept_add(hf, s->r, s->buf));
}

/*
 * As above, when something is kept: it is out of date where these bytes get
 * into the file, so nobody may write it back in between.
 */
static int write_alone(struct msn_hostfile *hf, struct store *s)
{
	int rc;

	msn_write_scope(&hf->io_lock);
	rc = write_inside(hf, s);
	if (rc == 0) {
		msn_hostfile_kept_update(hf, s->r, s->buf);
		return 0;
	}
	return msn_pass(keep(hf, s, rc));
}

static int store(struct msn_hostfile *hf, struct store *s)
{
	uint64_t size;
	int rc;

	if (atomic_load_explicit(&hf->has_kept, memory_order_acquire))
		return msn_pass(write_alone(hf, s));
	rc = write_shared(hf, s);
	if (rc == 0)
		return 0;
	msn_write_scope(&hf->io_lock);
	/* It may have become shorter meanwhile. */
	if (msn_hostfile_size(hf, &size) == 0 && size < s->r.end)
		s->r.end = s->size = size;
	return msn_pass(keep(hf, s, rc));
}

int msn_hostfile_write_at(struct msn_file *file, uint64_t offset,
			  const void *buf, size_t len, size_t *done)
{
	struct msn_hostfile *hf = msn_hostfile_of_file(file);
	struct store s = { { offset, offset + len }, buf, 0 };
	uint64_t end;

	if (!hf->writable)
		return msn_fail(-EACCES);
	if (store(hf, &s))
		return MSN_FILE_E_BUS; /* as of a page that cannot be dirtied */
	/* Past the end, in the last page, it goes nowhere. */
	end = msn_hostfile_page_end(s.size);
	if (offset >= end)
		return MSN_FILE_E_BUS;
	*done = len < end - offset ? len : end - offset;
	return *done == len ? 0 : MSN_FILE_E_BUS;
}
