/*
 * Fetch: buffered reads that run ahead of those who look at the bytes.
 *
 * SPDX-License-Identifier: Apache-2.0
 *
 * Pages of another process are copied by the kernel, which takes as long as
 * looking at them does; a thread of its own does the copying meanwhile.
 * Batches come back in the order in which they were started.
 *
 * The maker's thread fills, starts, takes and releases; only reading happens in
 * the other one.  Without a thread (none could be had) starting reads at once.
 */
#ifndef MSN_SAVE_FETCH_H
#define MSN_SAVE_FETCH_H

#include "base/cleanup.h"
#include "mapping/file.h"

#include <stdbool.h>
#include <stdint.h>

/* Of 1 MiB each: one is filled, one is read, the others wait or are saved. */
#define MSN_FETCH_BATCHES 4
#define MSN_FETCH_BYTES (UINT64_C(1) << 20)
#define MSN_FETCH_PIECES 256

/* One call's worth of reads. */
struct msn_fetch_batch {
	struct msn_file *file;
	struct msn_file_io io[MSN_FETCH_PIECES];
	uint64_t page[MSN_FETCH_PIECES]; /* for the caller */
	bool flag[MSN_FETCH_PIECES];	 /* for the caller */
	size_t count;
	uint8_t *buf;
	size_t used; /* bytes of @buf */
	int rc;	     /* of the read: 0, an outcome of struct msn_file_ops, or
			-errno */
};

struct msn_fetch;

MSN_MUST_CHECK int msn_fetch_new(struct msn_fetch **out);

/* Waits for reads under way.  NULL is allowed.  Returns NULL. */
struct msn_fetch *msn_fetch_free(struct msn_fetch *f);
MSN_DEFINE_AUTO(struct msn_fetch, msn_fetch_free)

/* An empty batch to fill, or NULL if all are in use: take one first. */
struct msn_fetch_batch *msn_fetch_open(struct msn_fetch *f);

/* Hands a filled batch over to be read. */
void msn_fetch_start(struct msn_fetch *f, struct msn_fetch_batch *b);

/* The oldest batch that was started, once it is read; NULL if there is none. */
struct msn_fetch_batch *msn_fetch_take(struct msn_fetch *f);

/* Gives a batch back that was taken. */
void msn_fetch_release(struct msn_fetch *f, struct msn_fetch_batch *b);

#endif /* MSN_SAVE_FETCH_H */
