/*
 * What all methods share: the line of those who wait, and going on after a
 * short step.
 *
 * SPDX-License-Identifier: Apache-2.0
 *
 * A request is in one of three places: started (counted in in_flight, known to
 * the method), waiting (beyond depth) or failed (could not be started).  done()
 * is called from settle() only, so a callback that queues a request which fails
 * at once does not nest.
 */
#include "aio/aio.h"

#include "aio/aio_method.h"
#include "base/assert.h"
#include "base/error.h"
#include "base/fault.h"
#include "base/limits.h"

#include <errno.h>
#include <time.h>

/*
 * -EAGAIN means that the kernel lacks memory for the moment, or a file that
 * never blocks: a tenth of a second tells the one from the other.
 */
#define AIO_RETRY_MAX 100
#define AIO_RETRY_PAUSE_NS 1000000

/* Most requests started by one call: past this the call costs nothing. */
#define AIO_TOGETHER_MAX 128

void msn_aio_init(struct msn_aio *aio, const struct msn_aio_ops *ops,
		  unsigned depth)
{
	*aio = (struct msn_aio){ .ops = ops, .depth = depth };
	aio->waiting_end = &aio->waiting;
	aio->failed_end = &aio->failed;
}

static void line_append(struct msn_aio_req ***end, struct msn_aio_req *req)
{
	req->next = NULL;
	**end = req;
	*end = &req->next;
}

static struct msn_aio_req *line_take(struct msn_aio_req **first,
				     struct msn_aio_req ***end)
{
	struct msn_aio_req *req = *first;

	if (req)
		*first = req->next;
	if (!*first)
		*end = first;
	return req;
}

static bool may_retry(struct msn_aio_req *req)
{
	struct timespec pause = { .tv_nsec = AIO_RETRY_PAUSE_NS };

	if (++req->retries > AIO_RETRY_MAX)
		return false;
	if (req->retries > 1)
		nanosleep(&pause, NULL);
	return true;
}

static void start(struct msn_aio *aio, struct msn_aio_req *req)
{
	int rc;

	do {
		rc = msn_fault("aio.start") ? -EIO : aio->ops->submit(aio, req);
	} while (rc == -EINTR || (rc == -EAGAIN && may_retry(req)));
	if (rc == 0) {
		aio->in_flight++;
		return;
	}
	req->result = msn_fail(rc);
	line_append(&aio->failed_end, req);
}

/* Takes one step's outcome into account.  True: the request is done. */
static bool advance(struct msn_aio_req *req, ssize_t step)
{
	if (step == -EINTR || (step == -EAGAIN && may_retry(req)))
		return false;
	if (step < 0 || req->op == MSN_AIO_FDATASYNC) {
		req->result = step < 0 ? msn_fail((int)step) : 0;
		return true;
	}
	msn_assert((size_t)step <= req->len - req->moved);
	req->moved += (size_t)step;
	req->result = (ssize_t)req->moved;
	if (req->moved == req->len)
		return true;
	if (step == 0 && req->op == MSN_AIO_WRITE)
		req->result = msn_fail(-EIO);
	return step == 0;
}

/* Starts a first part of those who wait by one call to the kernel. */
static void start_together(struct msn_aio *aio)
{
	struct msn_aio_req *reqs[AIO_TOGETHER_MAX];
	unsigned room = aio->depth - aio->in_flight, count = 0, started;
	struct msn_aio_req *req = aio->waiting;

	for (; req && count < room && count < AIO_TOGETHER_MAX; req = req->next)
		reqs[count++] = req;
	if (count < 2 || !aio->ops->submit_many)
		return;
	started = aio->ops->submit_many(aio, reqs, count);
	msn_assert(started <= count);
	aio->in_flight += started;
	while (started-- > 0)
		line_take(&aio->waiting, &aio->waiting_end);
}

static void start_waiting(struct msn_aio *aio)
{
	while (aio->waiting && aio->in_flight < aio->depth)
		start(aio, line_take(&aio->waiting, &aio->waiting_end));
}

/*
 * Brings one request nearer to its end; *@finished says whether it got there.
 * False: nothing was to be done, or nothing is ready yet (without @block).
 */
static bool settle(struct msn_aio *aio, bool block, bool *finished)
{
	struct msn_aio_req *req = line_take(&aio->failed, &aio->failed_end);
	ssize_t step;

	*finished = false;
	if (!req) {
		if (aio->in_flight == 0)
			return false;
		req = aio->ops->reap(aio, block, &step);
		if (!req)
			return false;
		aio->in_flight--;
		if (!advance(req, step)) {
			start(aio, req);
			return true;
		}
		start_waiting(aio);
	}
	*finished = true;
	if (req->done)
		req->done(req);
	return true;
}

int msn_aio_new(struct msn_aio **out, const struct msn_aio_opts *opts)
{
	unsigned depth = opts->depth ? opts->depth : MSN_AIO_DEPTH_DEFAULT;
	int rc;

	if (depth > MSN_AIO_DEPTH_MAX)
		return msn_fail(-EINVAL);
	if (opts->method == MSN_AIO_SYNC)
		return msn_pass(msn_aio_sync_new(out, depth));
	rc = msn_aio_uring_new(out, depth);
	if (rc && opts->method == MSN_AIO_AUTO)
		return msn_pass(msn_aio_sync_new(out, depth));
	return msn_pass(rc);
}

struct msn_aio *msn_aio_free(struct msn_aio *aio)
{
	if (!aio)
		return NULL;
	msn_aio_drain(aio);
	aio->ops->free(aio);
	return NULL;
}

const char *msn_aio_name(const struct msn_aio *aio)
{
	return aio->ops->name;
}

int msn_aio_register(struct msn_aio *aio, const struct iovec *bufs,
		     unsigned count)
{
	msn_assert(aio->in_flight == 0 && !aio->waiting);
	return msn_pass(aio->ops->register_buffers(aio, bufs, count));
}

void msn_aio_queue(struct msn_aio *aio, struct msn_aio_req *req)
{
	req->moved = 0;
	req->retries = 0;
	req->result = 0;
	line_append(&aio->waiting_end, req);
	start_waiting(aio);
}

void msn_aio_queue_many(struct msn_aio *aio, struct msn_aio_req *const *reqs,
			size_t count)
{
	for (size_t i = 0; i < count; i++) {
		reqs[i]->moved = 0;
		reqs[i]->retries = 0;
		reqs[i]->result = 0;
		line_append(&aio->waiting_end, reqs[i]);
	}
	if (aio->waiting && aio->in_flight < aio->depth)
		start_together(aio);
	start_waiting(aio);
}

bool msn_aio_wait(struct msn_aio *aio)
{
	bool finished = false;

	while (!finished && settle(aio, true, &finished))
		;
	return finished;
}

void msn_aio_poll(struct msn_aio *aio)
{
	bool finished;

	while (settle(aio, false, &finished))
		;
}

void msn_aio_drain(struct msn_aio *aio)
{
	bool finished;

	while (settle(aio, true, &finished))
		;
	msn_assert(aio->in_flight == 0 && !aio->waiting && !aio->failed);
}
