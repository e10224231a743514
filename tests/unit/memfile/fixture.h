/*
 * A memory file for a test, and what every test asks of it.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#ifndef MSN_TESTS_UNIT_MEMFILE_FIXTURE_H
#define MSN_TESTS_UNIT_MEMFILE_FIXTURE_H

#include "base/limits.h"
#include "memfile/memfile.h"
#include "support/check.h"

#include <errno.h>
#include <string.h>
#include <sys/stat.h>

#define PAGE MSN_PAGE_SIZE

static inline struct msn_memfile *make_with(struct msn_memfile_opts opts)
{
	struct msn_memfile *mf = NULL;

	CHECK(msn_memfile_new(&mf, &opts) == 0);
	return mf;
}

static inline struct msn_memfile *make(void)
{
	return make_with((struct msn_memfile_opts){ 0 });
}

static inline void done_with(struct msn_memfile *mf)
{
	EXPECT(msn_memfile_check(mf) == NULL);
	EXPECT(msn_memfile_used(mf) == 0);
	msn_memfile_free(mf);
}

static inline struct msn_file_range take_with(struct msn_memfile *mf,
					      struct msn_memfile_alloc opts)
{
	struct msn_file_range r = { 0, 0 };

	CHECK(msn_memfile_allocate(mf, &opts, &r) == 0);
	EXPECT(msn_file_range_length(r) == opts.length);
	return r;
}

static inline struct msn_file_range take(struct msn_memfile *mf, uint64_t pages,
					 enum msn_direction direction)
{
	return take_with(mf,
			 (struct msn_memfile_alloc){ .length = pages * PAGE,
						     .direction = direction });
}

static inline void drop(struct msn_memfile *mf, struct msn_file_range r)
{
	msn_file_dec_ref(msn_memfile_file(mf), r);
}

/* Pages [@first, @end) of @r. */
static inline struct msn_file_range part(struct msn_file_range r,
					 uint64_t first, uint64_t end)
{
	return (struct msn_file_range){ r.start + first * PAGE,
					r.start + end * PAGE };
}

/* Writes one byte into page @nr of @r. */
static inline void touch(struct msn_memfile *mf, struct msn_file_range r,
			 uint64_t nr, char byte)
{
	size_t done;

	CHECK(msn_file_write(msn_memfile_file(mf), r.start + nr * PAGE, &byte,
			     1, &done) == 0);
}

/* The first byte of page @nr of @r.  Brings memory behind it. */
static inline char peek(struct msn_memfile *mf, struct msn_file_range r,
			uint64_t nr)
{
	char byte = 1;
	size_t done;

	CHECK(msn_file_read(msn_memfile_file(mf), r.start + nr * PAGE, &byte, 1,
			    &done) == 0);
	return byte;
}

/* Memory that the file has. */
static inline uint64_t host_bytes(struct msn_memfile *mf)
{
	struct stat st;

	CHECK(fstat(msn_file_fd(msn_memfile_file(mf)), &st) == 0);
	return (uint64_t)st.st_blocks * 512;
}

#endif /* MSN_TESTS_UNIT_MEMFILE_FIXTURE_H */
