/*
 * Aio over io_uring.
 *
 * SPDX-License-Identifier: Apache-2.0
 *
 * Each request is handed to the kernel at once, so that it runs while the
 * caller prepares the next; requests that are queued together are handed over
 * together.  The completion queue is twice the size of the
 * submission queue and at most depth requests are in flight: it cannot run
 * over.
 *
 * SINGLE_ISSUER is left out on purpose: the kernel then ties the ring to the
 * thread that made it, and an aio may change threads.
 */
#include "aio/aio_method.h"
#include "base/alloc.h"
#include "base/assert.h"
#include "base/error.h"

#include <errno.h>
#include <liburing.h>
#include <stdlib.h>

/* Entries prepared for one call. */
#define SUBMIT_MANY_MAX 128

struct aio_uring {
	struct msn_aio base;
	struct io_uring ring;
	unsigned buffer_count; /* registered */
};

static struct aio_uring *uring_of(struct msn_aio *aio)
{
	return msn_container_of(aio, struct aio_uring, base);
}

static void prepare_read(struct io_uring_sqe *sqe,
			 const struct msn_aio_req *req, bool fixed)
{
	void *buf = msn_aio_step_buf(req);
	unsigned len = (unsigned)msn_aio_step_len(req);
	uint64_t at = msn_aio_step_offset(req);

	if (fixed)
		io_uring_prep_read_fixed(sqe, req->fd, buf, len, at,
					 req->buf_index - 1);
	else
		io_uring_prep_read(sqe, req->fd, buf, len, at);
}

static void prepare_write(struct io_uring_sqe *sqe,
			  const struct msn_aio_req *req, bool fixed)
{
	const void *buf = msn_aio_step_buf(req);
	unsigned len = (unsigned)msn_aio_step_len(req);
	uint64_t at = msn_aio_step_offset(req);

	if (fixed)
		io_uring_prep_write_fixed(sqe, req->fd, buf, len, at,
					  req->buf_index - 1);
	else
		io_uring_prep_write(sqe, req->fd, buf, len, at);
}

static void prepare(struct aio_uring *u, struct io_uring_sqe *sqe,
		    struct msn_aio_req *req)
{
	bool fixed = req->buf_index > 0 &&
		     (unsigned)req->buf_index <= u->buffer_count;

	switch (req->op) {
	case MSN_AIO_READ:
		prepare_read(sqe, req, fixed);
		break;
	case MSN_AIO_WRITE:
		prepare_write(sqe, req, fixed);
		break;
	case MSN_AIO_FDATASYNC:
		io_uring_prep_fsync(sqe, req->fd, IORING_FSYNC_DATASYNC);
		break;
	}
	io_uring_sqe_set_data(sqe, req);
}

static int uring_submit(struct msn_aio *aio, struct msn_aio_req *req)
{
	struct aio_uring *u = uring_of(aio);
	struct io_uring_sqe *sqe = io_uring_get_sqe(&u->ring);
	int rc;

	if (!sqe) { /* full of entries that the kernel did not take yet */
		rc = io_uring_submit(&u->ring);
		return rc < 0 ? rc : -EAGAIN;
	}
	prepare(u, sqe, req);
	rc = io_uring_submit(&u->ring);
	if (rc >= 0 && io_uring_sq_ready(&u->ring) == 0)
		return 0;

	/* The kernel has not looked at the entry: make it an empty one. */
	io_uring_prep_nop(sqe);
	io_uring_sqe_set_data(sqe, NULL);
	return rc < 0 ? rc : -EAGAIN;
}

static unsigned uring_submit_many(struct msn_aio *aio,
				  struct msn_aio_req **reqs, unsigned count)
{
	struct aio_uring *u = uring_of(aio);
	struct io_uring_sqe *sqes[SUBMIT_MANY_MAX];
	unsigned n = 0, taken;

	if (io_uring_sq_ready(&u->ring) > 0)
		return 0; /* empty entries of a call that failed go first */
	while (n < count && n < SUBMIT_MANY_MAX) {
		sqes[n] = io_uring_get_sqe(&u->ring);
		if (!sqes[n])
			break;
		prepare(u, sqes[n], reqs[n]);
		n++;
	}
	/* Whatever it says: what is still there was not taken. */
	(void)io_uring_submit(&u->ring);
	taken = n - io_uring_sq_ready(&u->ring);

	/* What the kernel has not looked at becomes empty. */
	for (unsigned i = taken; i < n; i++) {
		io_uring_prep_nop(sqes[i]);
		io_uring_sqe_set_data(sqes[i], NULL);
	}
	return taken;
}

static struct msn_aio_req *uring_reap(struct msn_aio *aio, bool block,
				      ssize_t *step)
{
	struct aio_uring *u = uring_of(aio);
	struct msn_aio_req *req = NULL;

	while (!req) {
		struct io_uring_cqe *cqe;
		int rc = block ? io_uring_wait_cqe(&u->ring, &cqe)
			       : io_uring_peek_cqe(&u->ring, &cqe);

		if (rc == -EINTR || (rc == -EAGAIN && block))
			continue;
		if (rc == -EAGAIN)
			return NULL;
		/* Memory that the kernel writes to cannot be given back. */
		msn_assert(rc == 0);
		req = io_uring_cqe_get_data(cqe);
		*step = cqe->res;
		io_uring_cqe_seen(&u->ring, cqe);
	}
	return req;
}

static int uring_register(struct msn_aio *aio, const struct iovec *bufs,
			  unsigned count)
{
	struct aio_uring *u = uring_of(aio);
	int rc;

	if (u->buffer_count)
		io_uring_unregister_buffers(&u->ring);
	u->buffer_count = 0;
	if (count == 0)
		return 0;
	rc = io_uring_register_buffers(&u->ring, bufs, count);
	if (rc == 0)
		u->buffer_count = count;
	else if (rc != -ENOMEM && rc != -EPERM && rc != -EOPNOTSUPP)
		return msn_fail(rc);
	return 0;
}

static void uring_free(struct msn_aio *aio)
{
	struct aio_uring *u = uring_of(aio);

	io_uring_queue_exit(&u->ring);
	free(u);
}

static const struct msn_aio_ops uring_ops = {
	.name = "io_uring",
	.submit = uring_submit,
	.submit_many = uring_submit_many,
	.reap = uring_reap,
	.register_buffers = uring_register,
	.free = uring_free,
};

/* Plain reads and writes came later than io_uring itself. */
static bool has_operations(struct io_uring *ring)
{
	struct io_uring_probe *probe = io_uring_get_probe_ring(ring);
	bool ok = probe && io_uring_opcode_supported(probe, IORING_OP_READ) &&
		  io_uring_opcode_supported(probe, IORING_OP_WRITE) &&
		  io_uring_opcode_supported(probe, IORING_OP_READ_FIXED) &&
		  io_uring_opcode_supported(probe, IORING_OP_WRITE_FIXED) &&
		  io_uring_opcode_supported(probe, IORING_OP_FSYNC);

	io_uring_free_probe(probe);
	return ok;
}

static int ring_init(struct io_uring *ring, unsigned depth)
{
	/*
	 * No interrupt for a completion that will be waited for anyway; the
	 * second flag lets peek see that there is one to fetch.
	 */
	static const unsigned flags[] = {
		IORING_SETUP_COOP_TASKRUN | IORING_SETUP_TASKRUN_FLAG, 0
	};
	int rc = 0;

	for (size_t i = 0; i < MSN_ARRAY_LEN(flags); i++) {
		rc = io_uring_queue_init(depth, ring, flags[i]);
		if (rc != -EINVAL)
			break;
	}
	if (rc)
		return msn_fail(rc);
	if (!has_operations(ring)) {
		io_uring_queue_exit(ring);
		return msn_fail(-ENOSYS);
	}
	return 0;
}

int msn_aio_uring_new(struct msn_aio **out, unsigned depth)
{
	struct aio_uring *u = msn_alloc(sizeof(*u));
	int rc;

	if (!u)
		return msn_fail(-ENOMEM);
	rc = ring_init(&u->ring, depth);
	if (rc) {
		free(u);
		return msn_pass(rc);
	}
	msn_aio_init(&u->base, &uring_ops, depth);
	*out = &u->base;
	return 0;
}
