/*
 * Asynchronous I/O: many reads and writes in flight, each one checked.
 *
 * SPDX-License-Identifier: Apache-2.0
 *
 * One face over io_uring and over plain pread/pwrite.  The caller fills in a
 * request, queues it and later finds its result in it.  Short reads and writes
 * are carried on until they are whole; only the end of a file makes a read
 * short.  Nothing is lost: a request whose completion was not seen is waited
 * for by msn_aio_free().  There is no order among requests in flight: what must
 * come after another is queued when the other is done.
 *
 *    struct msn_aio_req req = { .op = MSN_AIO_READ, .fd = fd, .buf = buf,
 *                               .len = len, .offset = at };
 *    msn_aio_queue(aio, &req);
 *    msn_aio_drain(aio);
 *    if (req.result < 0) ...
 *
 * Locks: none.  An aio belongs to one thread at a time, and changes threads
 * only with nothing in flight.  Not to be used in a forked child.
 */
#ifndef MSN_AIO_AIO_H
#define MSN_AIO_AIO_H

#include "base/cleanup.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>
#include <sys/uio.h>

struct msn_aio;

enum msn_aio_op {
	MSN_AIO_READ,
	MSN_AIO_WRITE,
	MSN_AIO_FDATASYNC, /* of what completed before it was queued */
};

/* One request.  The caller owns it and keeps it until it is done. */
struct msn_aio_req {
	enum msn_aio_op op;
	int fd;
	void *buf; /* read into, or written from (never changed then) */
	size_t len;
	uint64_t offset;
	int buf_index; /* registered buffer that holds @buf, plus 1; 0: none */

	/*
	 * Called once, from inside wait, poll, drain or free (never queue),
	 * after @result is set.  May queue more requests, this one among them.
	 * NULL: nothing is called.
	 */
	void (*done)(struct msn_aio_req *req);

	ssize_t result;	  /* bytes, or a negated errno; valid once done */
	size_t moved;	  /* owned by the aio while in flight */
	unsigned retries; /* owned by the aio while in flight */
	struct msn_aio_req *next; /* owned by the aio while in flight */
};

/* What a method provides.  Called only by aio.c. */
struct msn_aio_ops {
	const char *name;

	/*
	 * Starts the part of @req that is left: @req->moved bytes are done.
	 * Before: fewer than depth requests are in flight.  0 or -errno (the
	 * request then did not start).  Reads @req only here, but for @buf's
	 * bytes.
	 */
	int (*submit)(struct msn_aio *aio, struct msn_aio_req *req);

	/*
	 * Optional: starts as many of @reqs, in order, as one call to the
	 * kernel can: the count, which may be 0 (submit() then says why).
	 * Before: with all of them no more than depth are in flight.  Default:
	 * submit() one after another.
	 */
	unsigned (*submit_many)(struct msn_aio *aio, struct msn_aio_req **reqs,
				unsigned count);

	/*
	 * Waits for at least one completion (with @block) and returns one
	 * request with the bytes that this step moved, or -errno, in
	 * *@step.  NULL when nothing is ready, only without @block.
	 */
	struct msn_aio_req *(*reap)(struct msn_aio *aio, bool block,
				    ssize_t *step);

	/* See msn_aio_register(). */
	int (*register_buffers)(struct msn_aio *aio, const struct iovec *bufs,
				unsigned count);

	/* Nothing is in flight. */
	void (*free)(struct msn_aio *aio);
};

enum msn_aio_method {
	MSN_AIO_AUTO, /* io_uring where the kernel lets us, else sync */
	MSN_AIO_URING,
	MSN_AIO_SYNC,
};

struct msn_aio_opts {
	enum msn_aio_method method;
	unsigned depth; /* requests in flight; 0: MSN_AIO_DEPTH_DEFAULT */
};

/* Base of every method's own struct. */
struct msn_aio {
	const struct msn_aio_ops *ops; /* set once */
	unsigned depth;		       /* set once */
	unsigned in_flight;
	struct msn_aio_req *waiting; /* queued beyond depth, first in line */
	struct msn_aio_req **waiting_end;
	struct msn_aio_req *failed; /* did not start; its done() is due */
	struct msn_aio_req **failed_end;
};

/* For the constructors of methods. */
void msn_aio_init(struct msn_aio *aio, const struct msn_aio_ops *ops,
		  unsigned depth);

/*
 * Makes an aio.  With MSN_AIO_AUTO an io_uring that cannot be made (old kernel,
 * io_uring_disabled, seccomp, RLIMIT_MEMLOCK) falls back to sync; with
 * MSN_AIO_URING it is the errno.  -EINVAL past MSN_AIO_DEPTH_MAX.
 */
MSN_MUST_CHECK int msn_aio_new(struct msn_aio **out,
			       const struct msn_aio_opts *opts);

/* Waits for what is in flight, then frees.  NULL is allowed.  Returns NULL. */
struct msn_aio *msn_aio_free(struct msn_aio *aio);
MSN_DEFINE_AUTO(struct msn_aio, msn_aio_free)

/* "io_uring" or "sync". */
const char *msn_aio_name(const struct msn_aio *aio);

/*
 * Tells the kernel once about buffers that many requests will use; requests
 * then name them by buf_index.  A hint: where the method or RLIMIT_MEMLOCK does
 * not allow it the requests work all the same.  Replaces what was registered
 * before; a @count of 0 only ends that.  The buffers stay mapped, at their
 * addresses, while they are registered.  Call with nothing in flight.
 */
MSN_MUST_CHECK int msn_aio_register(struct msn_aio *aio,
				    const struct iovec *bufs, unsigned count);

/*
 * Queues @req.  Starts it if fewer than depth are in flight, else when one is
 * done.  Never fails: what goes wrong is in @req->result.
 */
void msn_aio_queue(struct msn_aio *aio, struct msn_aio_req *req);

/*
 * Queues @count requests at once: those that depth has room for start by one
 * system call.  Else as msn_aio_queue() of each, in order.
 */
void msn_aio_queue_many(struct msn_aio *aio, struct msn_aio_req *const *reqs,
			size_t count);

/* Waits until at least one more request is done.  False: there was none. */
bool msn_aio_wait(struct msn_aio *aio);

/* Handles what is done already, without waiting. */
void msn_aio_poll(struct msn_aio *aio);

/* Waits until nothing is in flight or queued. */
void msn_aio_drain(struct msn_aio *aio);

#endif /* MSN_AIO_AIO_H */
