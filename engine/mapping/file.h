/*
 * File: something with pages that can be referenced and mapped.
 *
 * SPDX-License-Identifier: Apache-2.0
 *
 * A placement in a space is (file, offset).  The memory file, a host file, an
 * image and another process's memory are files.  mm keeps one page reference
 * for every page of every placement.
 *
 * Semantics follow gVisor's memmap.File; differences: bounded span lists, an
 * explicit batch of buffered reads, and next_data().
 *
 * Locks: every function may be called with mm's active lock held and takes at
 * most MSN_RANK_FILE and what stands after it.
 *
 * Implementations embed struct msn_file.  Each one runs
 * tests/contract/test_file_contract.c.
 */
#ifndef MSN_MAPPING_FILE_H
#define MSN_MAPPING_FILE_H

#include "account/account.h"
#include "base/cleanup.h"
#include "block/block.h"
#include "range/access.h"
#include "range/range.h"

#include <stddef.h>
#include <sys/types.h>

struct msn_file;

enum msn_file_error {
	/*
	 * map_internal: this process cannot map these pages; move the bytes
	 * with buffer_read_at() and buffer_write_at() ("buffered I/O").
	 */
	MSN_FILE_E_BUFFERED = 1,
	/* The pages do not exist (any more), or reading them failed. */
	MSN_FILE_E_BUS = 2,
	/* next_data: nothing but zero bytes until the end of the range. */
	MSN_FILE_E_NO_DATA = 3,
};

/* One piece of a batch of buffered reads. */
struct msn_file_io {
	uint64_t offset;
	void *buf;
	size_t len;
};

/*
 * What an implementation provides.  Not called directly: callers use the
 * msn_file_*() functions, which check what is promised here.
 */
struct msn_file_ops {
	const char *name;

	/*
	 * Adds one reference to each page of @r, which must all have one
	 * already, unless the file's pages are there without (a host file).
	 * @account pays for pages whose payer is not fixed yet.  Never fails.
	 * Optional, with dec_ref: pages live as long as the file.
	 */
	void (*inc_ref)(struct msn_file *file, struct msn_file_range r,
			msn_account_id account);

	/* Drops one reference on each page of @r; the last one frees it. */
	void (*dec_ref)(struct msn_file *file, struct msn_file_range r);

	/*
	 * Finds @r, which need not be page aligned, in this process's memory.
	 * Before: references are held on its pages; @access has no EXEC.
	 * After:  0 and @out covers @r or a prefix of it that is not empty; the
	 *         spans stay valid while the references are held.  Or
	 *         MSN_FILE_E_BUFFERED, MSN_FILE_E_BUS, or -errno.
	 * May block until the bytes of @r are there.  Touching the spans of a
	 * host file may raise SIGBUS: use safe copies.
	 * Optional: MSN_FILE_E_BUFFERED.
	 */
	int (*map_internal)(struct msn_file *file, struct msn_file_range r,
			    unsigned access, struct msn_spans *out);

	/*
	 * Moves @len bytes.  Before: map_internal() said MSN_FILE_E_BUFFERED.
	 * After: 0 and *@done == @len; or MSN_FILE_E_BUS or -errno with *@done
	 * bytes moved.  Writing is optional: -EROFS.
	 */
	int (*buffer_read_at)(struct msn_file *file, uint64_t offset, void *buf,
			      size_t len, size_t *done);
	int (*buffer_write_at)(struct msn_file *file, uint64_t offset,
			       const void *buf, size_t len, size_t *done);

	/*
	 * Optional: several reads at once.  0 when all are whole; else the
	 * outcome of the first that was not.  Default: one after another.
	 */
	int (*buffer_read_batch)(struct msn_file *file,
				 const struct msn_file_io *io, size_t count);

	/*
	 * A descriptor for mapping into an address space, or -EBADF.  Never
	 * for reading, writing, seeking or closing.  Borrowed.  Optional:
	 * -EBADF.
	 */
	int (*fd)(struct msn_file *file);

	/*
	 * Optional: 0 and the first sub-range of @r, page aligned, that may
	 * hold bytes other than zero; MSN_FILE_E_NO_DATA when there is none.
	 * Lets a save skip what was never touched.  Default: all of @r.
	 */
	int (*next_data)(struct msn_file *file, struct msn_file_range r,
			 struct msn_file_range *out);

	/*
	 * Optional: which pages of @r are in memory, one byte a page in @vec:
	 * 1 if the page has memory behind it (in the host's page cache, for a
	 * host file), else 0.  Brings nothing in.  0 or -errno.  Default: 1
	 * for every page.
	 */
	int (*resident)(struct msn_file *file, struct msn_file_range r,
			uint8_t *vec);

	/*
	 * Optional: how many references the first page of @r has, and in *@run
	 * the longest prefix of @r for which the answer is the same.  A
	 * moment's truth.  Default: 1 for all of @r.
	 */
	uint64_t (*sharers)(struct msn_file *file, struct msn_file_range r,
			    struct msn_file_range *run);
};

struct msn_file {
	const struct msn_file_ops *ops; /* set once, by the constructor */
};

/* See struct msn_file_ops. */
void msn_file_inc_ref(struct msn_file *file, struct msn_file_range r,
		      msn_account_id account);
void msn_file_dec_ref(struct msn_file *file, struct msn_file_range r);
MSN_MUST_CHECK int msn_file_map_internal(struct msn_file *file,
					 struct msn_file_range r,
					 unsigned access,
					 struct msn_spans *out);
MSN_MUST_CHECK int msn_file_buffer_read_at(struct msn_file *file,
					   uint64_t offset, void *buf,
					   size_t len, size_t *done);
MSN_MUST_CHECK int msn_file_buffer_write_at(struct msn_file *file,
					    uint64_t offset, const void *buf,
					    size_t len, size_t *done);
MSN_MUST_CHECK int msn_file_buffer_read_batch(struct msn_file *file,
					      const struct msn_file_io *io,
					      size_t count);
MSN_MUST_CHECK int msn_file_fd(struct msn_file *file);
MSN_MUST_CHECK int msn_file_next_data(struct msn_file *file,
				      struct msn_file_range r,
				      struct msn_file_range *out);
MSN_MUST_CHECK int msn_file_resident(struct msn_file *file,
				     struct msn_file_range r, uint8_t *vec);
uint64_t msn_file_sharers(struct msn_file *file, struct msn_file_range r,
			  struct msn_file_range *run);

/*
 * Reads @len bytes by whichever way the file allows, mapped or buffered.  0,
 * MSN_FILE_E_BUS, or -errno; *@done bytes are in @buf either way.
 */
MSN_MUST_CHECK int msn_file_read(struct msn_file *file, uint64_t offset,
				 void *buf, size_t len, size_t *done);

/* As msn_file_read(), the other way. */
MSN_MUST_CHECK int msn_file_write(struct msn_file *file, uint64_t offset,
				  const void *buf, size_t len, size_t *done);

#endif /* MSN_MAPPING_FILE_H */
