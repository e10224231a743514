/*
 * The methods of aio, known only to aio.c and its tests.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#ifndef MSN_AIO_AIO_METHOD_H
#define MSN_AIO_AIO_METHOD_H

#include "aio/aio.h"

/*
 * Most bytes of one step: a page multiple that every method's length field can
 * hold.  What is longer goes on in further steps.
 */
#define MSN_AIO_STEP_MAX ((size_t)1 << 30)

/* The part of @req that the next step moves. */
static inline void *msn_aio_step_buf(const struct msn_aio_req *req)
{
	return (char *)req->buf + req->moved;
}

static inline size_t msn_aio_step_len(const struct msn_aio_req *req)
{
	size_t left = req->len - req->moved;

	return left < MSN_AIO_STEP_MAX ? left : MSN_AIO_STEP_MAX;
}

static inline uint64_t msn_aio_step_offset(const struct msn_aio_req *req)
{
	return req->offset + req->moved;
}

MSN_MUST_CHECK int msn_aio_sync_new(struct msn_aio **out, unsigned depth);
MSN_MUST_CHECK int msn_aio_uring_new(struct msn_aio **out, unsigned depth);

#endif /* MSN_AIO_AIO_METHOD_H */
