/*
 * Host file: reads the buffered way, against plain io_uring reads of the same
 * pieces at the same depth into the same memory.
 *
 * SPDX-License-Identifier: Apache-2.0
 *
 * Hot: from the page cache.  Cold: past it, by O_DIRECT on both sides.
 */
#include "bench.h"
#include "benches.h"
#include "limits.h"

#include "base/alloc.h"
#include "base/fd.h"
#include "base/limits.h"
#include "base/rand.h"
#include "hostfile/hostfile.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define SMALL_BATCH 32
#define CHUNK (UINT64_C(1) << 20)

/* One file, where its bytes go, and offsets to read from. */
struct scene_host {
	uint64_t bytes;
	char *buf;
	uint64_t *at;
	int fd, direct; /* of the limit */
};

static void make_file(struct scene_host *s, const char *dir, uint64_t bytes)
{
	char path[4096];

	s->bytes = bytes;
	s->buf = msn_alloc_aligned(MSN_PAGE_SIZE, bytes);
	s->at = msn_alloc_array(bytes / MSN_PAGE_SIZE, sizeof(*s->at));
	if (!s->buf || !s->at)
		bench_die("memory", -ENOMEM, NULL);
	memset(s->buf, 'x', bytes);
	snprintf(path, sizeof(path), "%s/hostfile-XXXXXX", dir);
	s->fd = mkostemp(path, O_CLOEXEC);
	if (s->fd < 0)
		bench_die(path, -errno, NULL);
	s->direct = open(path, O_RDWR | O_DIRECT | O_CLOEXEC);
	unlink(path);
	for (uint64_t at = 0; at < bytes; at += CHUNK)
		if (msn_pwrite_full(s->fd, s->buf + at, CHUNK, at))
			bench_die(path, -ENOSPC, NULL);
	fsync(s->fd);
}

static struct msn_hostfile *make_host(int fd)
{
	struct msn_hostfile *hf;
	int rc = msn_hostfile_new(
		&hf, &(struct msn_hostfile_opts){ .fd = dup(fd),
						  .path = "bench",
						  .buffered = true });

	if (rc)
		bench_die("making a host file", rc, NULL);
	return hf;
}

static struct msn_file *file_of(struct msn_hostfile *hf)
{
	struct msn_obj_range first = { 0, MSN_PAGE_SIZE };
	struct msn_translation t;
	int why;

	if (msn_mappable_translate(msn_hostfile_mappable(hf), first, first,
				   MSN_ACCESS_READ, &t, 1, &why) != 1)
		bench_die("translating", -EIO, NULL);
	return t.file;
}

static double read_long(struct msn_file *file, const struct scene_host *s)
{
	double start = bench_now();
	size_t done;
	int rc = msn_file_read(file, 0, s->buf, s->bytes, &done);

	if (rc)
		bench_die("reading", rc, NULL);
	return bench_now() - start;
}

/* In batches of SMALL_BATCH pieces. */
static double read_batches(struct msn_file *file, const struct scene_host *s,
			   size_t count, size_t piece)
{
	struct msn_file_io io[SMALL_BATCH];
	double start = bench_now();

	for (size_t i = 0; i < count; i += SMALL_BATCH) {
		size_t n = 0;
		int rc;

		for (; n < SMALL_BATCH && i + n < count; n++)
			io[n] = (struct msn_file_io){ s->at[i + n],
						      s->buf + (i + n) * piece,
						      piece };
		rc = msn_file_buffer_read_batch(file, io, n);
		if (rc)
			bench_die("reading", rc, NULL);
	}
	return bench_now() - start;
}

/* The limit in batches too: all of one are awaited before the next. */
static double limit_batches(int fd, const struct scene_host *s, size_t count,
			    size_t piece)
{
	double sum = 0;

	for (size_t i = 0; i < count; i += SMALL_BATCH)
		sum += limit_uring_read(fd, s->buf + i * piece, s->at + i,
					count - i < SMALL_BATCH ? count - i
								: SMALL_BATCH,
					piece, SMALL_BATCH);
	return sum;
}

static void add(struct bench_series *series, uint64_t bytes, const char *what)
{
	struct bench_row row = bench_row(series, bytes);

	row.bench = "hostfile";
	row.what = what;
	row.limit_name = "plain io_uring";
	row.goal = 0.9;
	bench_add(&row);
}

static void measure_long(const struct bench_opts *o, struct scene_host *s,
			 int fd, const char *what)
{
	struct bench_series series = { .rounds = o->rounds };
	struct msn_hostfile *hf = make_host(fd);
	size_t count = s->bytes / MSN_HOSTFILE_PIECE;

	for (size_t i = 0; i < count; i++)
		s->at[i] = i * MSN_HOSTFILE_PIECE;
	for (unsigned i = 0; i < o->rounds; i++) {
		series.limit[i] = limit_uring_read(fd, s->buf, s->at, count,
						   MSN_HOSTFILE_PIECE,
						   MSN_HOSTFILE_DEPTH);
		series.subject[i] = read_long(file_of(hf), s);
	}
	add(&series, s->bytes, what);
	msn_identity_dec_ref(msn_hostfile_identity(hf));
}

static void measure_batches(const struct bench_opts *o, struct scene_host *s,
			    int fd, size_t piece, const char *what)
{
	struct bench_series series = { .rounds = o->rounds };
	struct msn_hostfile *hf = make_host(fd);
	size_t count = s->bytes / 16 / piece;
	uint64_t rand = 1;

	for (size_t i = 0; i < count; i++)
		s->at[i] = msn_rand_next(&rand) % (s->bytes / piece) * piece;
	for (unsigned i = 0; i < o->rounds; i++) {
		series.limit[i] = limit_batches(fd, s, count, piece);
		series.subject[i] = read_batches(file_of(hf), s, count, piece);
	}
	add(&series, count * piece, what);
	msn_identity_dec_ref(msn_hostfile_identity(hf));
}

void bench_hostfile(const struct bench_opts *o)
{
	struct scene_host s;

	make_file(&s, o->dir, o->size_bytes);
	measure_long(o, &s, s.fd, "one long read, hot");
	measure_batches(o, &s, s.fd, 4096, "batches of 32 of 4 KiB, hot");
	measure_batches(o, &s, s.fd, 65536, "batches of 32 of 64 KiB, hot");
	if (s.direct >= 0) {
		measure_long(o, &s, s.direct, "one long read, cold");
		measure_batches(o, &s, s.direct, 4096,
				"batches of 32 of 4 KiB, cold");
		measure_batches(o, &s, s.direct, 65536,
				"batches of 32 of 64 KiB, cold");
		close(s.direct);
	}
	close(s.fd);
	free(s.at);
	free(s.buf);
}
