/*
 * Stage: one buffer, and a sorted list of what is where in it.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "capture/stage.h"

#include "base/alloc.h"
#include "base/assert.h"
#include "base/error.h"
#include "base/fault.h"

#include <errno.h>
#include <pthread.h>
#include <stdbool.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

#ifndef MADV_POPULATE_WRITE
#define MADV_POPULATE_WRITE 23 /* Linux 5.14 */
#endif

/*
 * One thread copies as fast as the kernel lets it, several faster, until memory
 * itself is the limit.
 */
#define SHARES_MAX 4

/* Below this a thread costs more than it brings. */
#define SHARE_BYTES_MIN (UINT64_C(4) << 20)

struct staged {
	struct msn_addr_range addr;
	uint64_t at; /* in the buffer */
};

struct msn_stage {
	struct msn_file file;
	struct msn_file *source;
	uint8_t *buf; /* mapping of @size bytes, or NULL */
	uint64_t size;
	struct staged *runs; /* ascending; in use once full */
	size_t count, cap;
	uint64_t used; /* of the buffer, by @runs */
	bool full;
};

static struct msn_stage *stage(struct msn_file *file);

static int map_internal(struct msn_file *file, struct msn_file_range r,
			unsigned access, struct msn_spans *out)
{
	struct msn_stage *s = stage(file);
	size_t low = 0, high = s->count;
	const struct staged *run;
	uint64_t len;

	if (!s->full)
		return MSN_FILE_E_BUFFERED;
	if (access & MSN_ACCESS_WRITE)
		return msn_fail(-EACCES);
	while (low < high) {
		size_t mid = low + (high - low) / 2;

		if (s->runs[mid].addr.end <= r.start)
			low = mid + 1;
		else
			high = mid;
	}
	run = &s->runs[low];
	if (low == s->count || run->addr.start > r.start)
		return MSN_FILE_E_BUS;
	len = (r.end < run->addr.end ? r.end : run->addr.end) - r.start;
	out->count = 1;
	out->span[0].data = s->buf + run->at + (r.start - run->addr.start);
	out->span[0].len = len;
	return 0;
}

static int buffer_read_at(struct msn_file *file, uint64_t offset, void *buf,
			  size_t len, size_t *done)
{
	return msn_pass(msn_file_buffer_read_at(stage(file)->source, offset,
						buf, len, done));
}

static int buffer_read_batch(struct msn_file *file,
			     const struct msn_file_io *io, size_t count)
{
	return msn_pass(
		msn_file_buffer_read_batch(stage(file)->source, io, count));
}

static const struct msn_file_ops stage_ops = {
	.name = "stage",
	.map_internal = map_internal,
	.buffer_read_at = buffer_read_at,
	.buffer_read_batch = buffer_read_batch,
};

static struct msn_stage *stage(struct msn_file *file)
{
	msn_assert(file->ops == &stage_ops);
	return msn_container_of(file, struct msn_stage, file);
}

/*
 * Large pages where there are any: they are made ready, and later filled, far
 * faster.  A kernel that cannot populate leaves that to the copy.
 */
static void make_buffer(struct msn_stage *s, uint64_t bytes)
{
	void *at;

	if (bytes == 0 || msn_fault("stage.buffer"))
		return;
	at = mmap(NULL, bytes, PROT_READ | PROT_WRITE,
		  MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	if (at == MAP_FAILED)
		return;
	madvise(at, bytes, MADV_HUGEPAGE);
	if (madvise(at, bytes, MADV_POPULATE_WRITE) < 0 && errno == ENOMEM) {
		munmap(at, bytes);
		return;
	}
	s->buf = at;
	s->size = bytes;
}

int msn_stage_new(struct msn_stage **out, uint64_t bytes)
{
	struct msn_stage *s = msn_alloc(sizeof(*s));

	if (!s)
		return msn_fail(-ENOMEM);
	s->file.ops = &stage_ops;
	make_buffer(s, bytes);
	*out = s;
	return 0;
}

struct msn_stage *msn_stage_free(struct msn_stage *s)
{
	if (!s)
		return NULL;
	if (s->buf)
		munmap(s->buf, s->size);
	free(s->runs);
	free(s);
	return NULL;
}

struct msn_file *msn_stage_file(struct msn_stage *s)
{
	return &s->file;
}

void msn_stage_set_source(struct msn_stage *s, struct msn_file *source)
{
	s->source = source;
}

static int add_run(void *ctx, const struct msn_private_run *r)
{
	struct msn_stage *s = ctx;
	uint64_t len = msn_addr_range_length(r->addr);
	int rc;

	if (r->file != &s->file || len > s->size - s->used)
		return MSN_STAGE_E_FULL;
	rc = msn_grow((void **)&s->runs, &s->cap, s->count, sizeof(*s->runs));
	if (rc)
		return msn_pass(rc);
	s->runs[s->count++] = (struct staged){ r->addr, s->used };
	s->used += len;
	return 0;
}

/* A share of the reads, for one thread. */
struct share {
	struct msn_file *source;
	struct msn_file_io *io;
	size_t count;
	pthread_t thread;
	bool threaded;
	int rc;
};

static void *read_share(void *arg)
{
	struct share *sh = arg;

	sh->rc = sh->count ? msn_file_buffer_read_batch(sh->source, sh->io,
							sh->count)
			   : 0;
	return NULL;
}

/* Reads all shares at once; the first one in this thread. */
static int read_shares(struct share *shares, size_t count)
{
	int rc = 0;

	for (size_t i = 1; i < count; i++)
		shares[i].threaded =
			pthread_create(&shares[i].thread, NULL, read_share,
				       &shares[i]) == 0;
	for (size_t i = 0; i < count; i++)
		if (!shares[i].threaded)
			read_share(&shares[i]);
	for (size_t i = 0; i < count; i++) {
		if (shares[i].threaded)
			pthread_join(shares[i].thread, NULL);
		if (rc == 0)
			rc = shares[i].rc;
	}
	return rc == MSN_FILE_E_BUS ? msn_fail(-EFAULT) : msn_pass(rc);
}

/*
 * Fills @sh with reads of the buffer's bytes [@from, @to), and says how many
 * there are.  A run may be cut between two shares.
 */
static size_t fill_share(const struct msn_stage *s, uint64_t from, uint64_t to,
			 struct msn_file_io *io)
{
	size_t n = 0;

	for (size_t i = 0; i < s->count; i++) {
		const struct staged *r = &s->runs[i];
		uint64_t end = r->at + msn_addr_range_length(r->addr);
		uint64_t low = r->at > from ? r->at : from;
		uint64_t high = end < to ? end : to;

		if (low >= high)
			continue;
		io[n++] = (struct msn_file_io){ r->addr.start + (low - r->at),
						s->buf + low, high - low };
	}
	return n;
}

/* How many threads are worth their while. */
static size_t share_count(const struct msn_stage *s)
{
	long cpus = sysconf(_SC_NPROCESSORS_ONLN);

	if (s->used < SHARE_BYTES_MIN || cpus < 2)
		return 1;
	return cpus < SHARES_MAX ? (size_t)cpus : SHARES_MAX;
}

static int read_runs(struct msn_stage *s)
{
	size_t count = share_count(s);
	uint64_t part = (s->used / count + MSN_PAGE_MASK) & ~MSN_PAGE_MASK;
	/* Each border between shares may cut one run in two. */
	msn_auto(msn_freep) struct msn_file_io *io =
		msn_alloc_array(s->count + count, sizeof(*io));
	struct share shares[SHARES_MAX] = { 0 };
	size_t used = 0;

	if (!io)
		return msn_fail(-ENOMEM);
	for (size_t i = 0; i < count; i++) {
		shares[i].source = s->source;
		shares[i].io = io + used;
		shares[i].count =
			fill_share(s, i * part, (i + 1) * part, io + used);
		used += shares[i].count;
	}
	return msn_pass(read_shares(shares, count));
}

int msn_stage_fill(struct msn_stage *s, struct msn_mm *mm)
{
	const struct msn_addr_range all = { 0, UINT64_MAX };
	int rc;

	msn_assert(!s->full);
	rc = msn_mm_for_each_private_run(mm, all, add_run, s);
	if (rc == 0)
		rc = read_runs(s);
	if (rc) {
		s->count = 0;
		s->used = 0;
		return msn_pass(rc);
	}
	s->full = true;
	return 0;
}
