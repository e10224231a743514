/*
 * Dedup table: buckets of four.  The sums of a bucket share half a cache line,
 * so that a page that was never seen costs one miss; a full bucket gives up the
 * entry that the new sum's own bits point at.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "save/dedup.h"

#include "base/alloc.h"
#include "base/error.h"
#include "base/limits.h"

#include <errno.h>
#include <stdlib.h>

#define WAYS 4
#define BUCKETS (MSN_DEDUP_SLOTS / WAYS)

struct bucket {
	uint64_t sum[WAYS];
	struct msn_dedup_entry way[WAYS]; /* file NULL: free */
};

struct msn_dedup {
	struct bucket *buckets; /* zeroed pages of the kernel until used */
};

int msn_dedup_new(struct msn_dedup **out)
{
	struct msn_dedup *d = msn_alloc(sizeof(*d));

	if (!d)
		return msn_fail(-ENOMEM);
	d->buckets = msn_alloc_array(BUCKETS, sizeof(*d->buckets));
	if (!d->buckets) {
		free(d);
		return msn_fail(-ENOMEM);
	}
	*out = d;
	return 0;
}

struct msn_dedup *msn_dedup_free(struct msn_dedup *d)
{
	if (d)
		free(d->buckets);
	free(d);
	return NULL;
}

static struct bucket *bucket_of(const struct msn_dedup *d, uint64_t sum)
{
	return &d->buckets[sum % BUCKETS];
}

const struct msn_dedup_entry *msn_dedup_find(const struct msn_dedup *d,
					     uint64_t sum)
{
	const struct bucket *b = bucket_of(d, sum);

	for (unsigned i = 0; i < WAYS; i++)
		if (b->sum[i] == sum && b->way[i].file)
			return &b->way[i];
	return NULL;
}

void msn_dedup_add(struct msn_dedup *d, uint64_t sum,
		   const struct msn_dedup_entry *e)
{
	struct bucket *b = bucket_of(d, sum);
	unsigned i = 0;

	while (i < WAYS && b->sum[i] != 0)
		i++;
	if (i == WAYS)
		i = (unsigned)(sum >> 62) % WAYS;
	b->sum[i] = sum;
	b->way[i] = *e;
}
