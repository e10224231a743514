/*
 * A file written from front to back, through one buffer.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "base/alloc.h"
#include "base/assert.h"
#include "base/error.h"
#include "base/fault.h"
#include "base/fd.h"
#include "corefile/corefile_internal.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

int msn_core_out_init(struct msn_core_out *o, int fd)
{
	*o = (struct msn_core_out){ .fd = fd };
	o->buf = msn_alloc(MSN_CORE_BUFFER_BYTES);
	return o->buf ? 0 : msn_fail(-ENOMEM);
}

void msn_core_out_deinit(struct msn_core_out *o)
{
	free(o->buf);
	o->buf = NULL;
}

int msn_core_out_flush(struct msn_core_out *o)
{
	int rc = 0;

	if (o->used == 0)
		return 0;
	if (msn_fault("corefile.write"))
		return msn_fail(-ENOSPC);
	rc = msn_pwrite_full(o->fd, o->buf, o->used, o->at - o->used);
	if (rc)
		return msn_pass(rc);
	o->written += o->used;
	o->used = 0;
	return 0;
}

int msn_core_out_write(struct msn_core_out *o, const void *data, size_t len)
{
	const uint8_t *from = data;

	while (len > 0) {
		size_t n = MSN_CORE_BUFFER_BYTES - o->used;

		if (n > len)
			n = len;
		memcpy(o->buf + o->used, from, n);
		o->used += n;
		o->at += n;
		from += n;
		len -= n;
		if (o->used == MSN_CORE_BUFFER_BYTES) {
			int rc = msn_core_out_flush(o);

			if (rc)
				return msn_pass(rc);
		}
	}
	return 0;
}

int msn_core_out_align(struct msn_core_out *o, uint64_t align)
{
	static const uint8_t zeros[64];
	uint64_t rest = o->at % align;

	while (rest) {
		uint64_t n = align - rest;
		int rc;

		if (n > sizeof(zeros))
			n = sizeof(zeros);
		rc = msn_core_out_write(o, zeros, n);
		if (rc)
			return msn_pass(rc);
		rest = o->at % align;
	}
	return 0;
}

int msn_core_out_seek(struct msn_core_out *o, uint64_t offset)
{
	int rc;

	if (offset == o->at)
		return 0;
	rc = msn_core_out_flush(o);
	o->at = offset;
	return msn_pass(rc);
}
