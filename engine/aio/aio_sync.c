/*
 * Aio without a kernel queue: each step is one system call, made when it is
 * submitted.  What it gave waits in a ring until it is reaped, so that callers
 * see the same order of calls as with io_uring.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "aio/aio_method.h"
#include "base/alloc.h"
#include "base/assert.h"
#include "base/error.h"

#include <errno.h>
#include <stdlib.h>
#include <unistd.h>

struct sync_step {
	struct msn_aio_req *req;
	ssize_t moved;
};

struct aio_sync {
	struct msn_aio base;
	unsigned first, count; /* of the ring below */
	struct sync_step steps[];
};

static struct aio_sync *sync_of(struct msn_aio *aio)
{
	return msn_container_of(aio, struct aio_sync, base);
}

static ssize_t sync_step(const struct msn_aio_req *req)
{
	ssize_t n = -1;

	switch (req->op) {
	case MSN_AIO_READ:
		n = pread(req->fd, msn_aio_step_buf(req), msn_aio_step_len(req),
			  (off_t)msn_aio_step_offset(req));
		break;
	case MSN_AIO_WRITE:
		n = pwrite(req->fd, msn_aio_step_buf(req),
			   msn_aio_step_len(req),
			   (off_t)msn_aio_step_offset(req));
		break;
	case MSN_AIO_FDATASYNC:
		n = fdatasync(req->fd);
		break;
	}
	return n < 0 ? -errno : n;
}

static int sync_submit(struct msn_aio *aio, struct msn_aio_req *req)
{
	struct aio_sync *s = sync_of(aio);
	unsigned at = (s->first + s->count) % aio->depth;

	msn_assert(s->count < aio->depth);
	s->steps[at] = (struct sync_step){ req, sync_step(req) };
	s->count++;
	return 0;
}

static struct msn_aio_req *sync_reap(struct msn_aio *aio, bool block,
				     ssize_t *step)
{
	struct aio_sync *s = sync_of(aio);
	struct sync_step got;

	(void)block;
	if (s->count == 0)
		return NULL;
	got = s->steps[s->first];
	s->first = (s->first + 1) % aio->depth;
	s->count--;
	*step = got.moved;
	return got.req;
}

static int sync_register(struct msn_aio *aio, const struct iovec *bufs,
			 unsigned count)
{
	(void)aio;
	(void)bufs;
	(void)count;
	return 0;
}

static void sync_free(struct msn_aio *aio)
{
	free(sync_of(aio));
}

static const struct msn_aio_ops sync_ops = {
	.name = "sync",
	.submit = sync_submit,
	.reap = sync_reap,
	.register_buffers = sync_register,
	.free = sync_free,
};

int msn_aio_sync_new(struct msn_aio **out, unsigned depth)
{
	struct aio_sync *s;

	s = msn_alloc(sizeof(*s) + depth * sizeof(s->steps[0]));
	if (!s)
		return msn_fail(-ENOMEM);
	msn_aio_init(&s->base, &sync_ops, depth);
	*out = &s->base;
	return 0;
}
