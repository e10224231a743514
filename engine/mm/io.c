/*
 * Copies in and out.
 *
 * SPDX-License-Identifier: Apache-2.0
 *
 * One loop serves reading, writing and zeroing: it walks mappings, finds each
 * run of pages and hands it to a mover.  The active lock is held while bytes
 * move, so that no page goes away under the copy: for reading where everything
 * is in place, for writing where it was brought in just now.
 */
#include "mm/mm_internal.h"

#include "base/assert.h"
#include "base/error.h"
#include "mm/guard.h"
#include "mm/zero.h"

#include <errno.h>

enum io_kind { IO_IN, IO_OUT, IO_ZERO };

/* One copy under way. */
struct io {
	struct msn_mm *mm;
	enum io_kind kind;
	struct msn_mm_io how;
	uint64_t addr; /* where it stands */
	char *buf;     /* where it stands; NULL for IO_ZERO */
	size_t left;
};

static unsigned io_access(const struct io *io)
{
	return io->kind == IO_IN ? MSN_ACCESS_READ : MSN_ACCESS_WRITE;
}

static void io_advance(struct io *io, size_t n)
{
	io->addr += n;
	io->left -= n;
	if (io->buf)
		io->buf += n;
}

/* What a debugger may do: up to what mprotect() could grant, but never write
 * to an object that the mapping may not write to (FOLL_FORCE of Linux). */
static bool is_forced(const struct msn_vma *v, unsigned need)
{
	if (need == MSN_ACCESS_READ)
		return v->flags & (MSN_VMA_READ | MSN_VMA_MAYREAD);
	return (v->flags & MSN_VMA_WRITE) ||
	       (v->flags & (MSN_VMA_SHARED | MSN_VMA_MAYWRITE)) ==
		       MSN_VMA_MAYWRITE;
}

static bool is_permitted(const struct io *io, const struct msn_vma *v)
{
	unsigned need = io_access(io), perms = msn_vma_perms(v);

	if (io->how.ignore_permissions)
		return is_forced(v, need);
	if (!io->how.remote)
		perms = msn_access_effective(perms);
	return (need & ~perms) == 0;
}

/* The pages from where the copy stands to its end, inside the mapping. */
static struct msn_addr_range io_want(const struct io *io,
				     struct msn_addr_range vma)
{
	uint64_t end =
		io->left > vma.end - io->addr ? vma.end : io->addr + io->left;
	uint64_t up;

	if (!msn_page_up(end, &up) || up > vma.end)
		up = vma.end;
	return (struct msn_addr_range){ msn_page_down(io->addr), up };
}

static int zero_pages(struct msn_file *file, uint64_t offset, size_t len,
		      size_t *done)
{
	*done = 0;
	while (*done < len) {
		size_t n = len - *done, moved;
		int rc;

		if (n > MSN_ZEROS_BYTES)
			n = MSN_ZEROS_BYTES;
		rc = msn_file_write(file, offset + *done, msn_zeros(), n,
				    &moved);
		*done += moved;
		if (rc)
			return msn_pass(rc);
	}
	return 0;
}

/* Moves bytes of one run of pages; @place is of the page at io->addr. */
static int move_run(struct io *io, const struct msn_page_place *place)
{
	uint64_t skip = io->addr & MSN_PAGE_MASK;
	uint64_t offset = place->offset + skip;
	size_t len = place->length - skip < io->left ? place->length - skip
						     : io->left;
	size_t done = 0;
	int rc;

	switch (io->kind) {
	case IO_IN:
		rc = msn_file_read(place->file, offset, io->buf, len, &done);
		break;
	case IO_OUT:
		rc = msn_file_write(place->file, offset, io->buf, len, &done);
		break;
	default:
		rc = zero_pages(place->file, offset, len, &done);
		break;
	}
	io_advance(io, done);
	return msn_pass(rc);
}

/* One step through placements.  The mapping lock is held. */
static int step_placed(struct io *io, struct msn_seg vma)
{
	struct msn_addr_range want = io_want(io, msn_vma_set_range(vma));
	struct msn_page_place place;
	int rc;

	msn_write_scope(&io->mm->active);
	rc = msn_mm_get_page(
		io->mm, vma, want,
		io_access(io) | (io->how.remote ? MSN_ACCESS_PIN : 0), &place);
	return rc ? msn_pass(rc) : msn_pass(move_run(io, &place));
}

/*
 * One step where everything is in place and permitted, which is the usual case:
 * one lock, and no look at mappings.  False: nothing was done.
 */
static bool step_fast(struct io *io, int *rc)
{
	struct msn_addr_range want = io_want(
		io, (struct msn_addr_range){ 0, msn_page_down(UINT64_MAX) });
	struct msn_page_place place;

	msn_read_scope(&io->mm->active);
	if (!msn_mm_peek_permitted(io->mm, want, io_access(io), &place))
		return false;
	*rc = move_run(io, &place);
	return true;
}

/* What of @want is placed from its start on; guards are not. */
static struct msn_addr_range placed_at(struct msn_mm *mm,
				       struct msn_addr_range want)
{
	struct msn_seg s = msn_pma_set_find(&mm->pmas, want.start);

	if (!msn_seg_ok(s) || msn_pma_is_guard(msn_pma_set_value(&mm->pmas, s)))
		return (struct msn_addr_range){ want.start, want.start };
	return msn_addr_range_intersect(want, msn_pma_set_range(s));
}

/* Moves @len bytes through the page tables. */
static int move_kernel(struct io *io, size_t len)
{
	size_t done = 0;
	int rc;

	if (io->kind == IO_ZERO && len > MSN_ZEROS_BYTES)
		len = MSN_ZEROS_BYTES;
	if (io->kind == IO_IN)
		rc = msn_address_space_copy_in(io->mm->as, io->addr, io->buf,
					       len, io->how.ignore_permissions,
					       &done);
	else
		rc = msn_address_space_copy_out(
			io->mm->as, io->addr,
			io->kind == IO_OUT ? io->buf : msn_zeros(), len,
			io->how.ignore_permissions, &done);
	io_advance(io, done);
	return msn_pass(rc);
}

/* One step through the platform's page tables, if there is something. */
static int step_tables(struct io *io, struct msn_seg vma, bool *missing)
{
	struct msn_addr_range want = io_want(io, msn_vma_set_range(vma));
	struct msn_page_place place;

	msn_read_scope(&io->mm->active);
	want = placed_at(io->mm, want);
	*missing = msn_addr_range_empty(want);
	if (*missing)
		return 0;
	/*
	 * Pages that are not copied on write show the same bytes both ways, and
	 * this way does not ask the page tables for permission.
	 */
	if (io->how.ignore_permissions &&
	    msn_mm_peek_page(io->mm, want, MSN_ACCESS_WRITE, &place))
		return msn_pass(move_run(io, &place));
	return msn_pass(move_kernel(io, want.end - io->addr < io->left
						? want.end - io->addr
						: io->left));
}

static int step_kernel(struct io *io, struct msn_seg vma)
{
	bool missing;
	int rc = step_tables(io, vma, &missing);

	/* Taken away again meanwhile: the next step will see. */
	return missing ? msn_pass(msn_mm_fault_missing(io->mm, vma, io->addr))
		       : msn_pass(rc);
}

static int step(struct io *io)
{
	struct msn_mm *mm = io->mm;
	bool kernel = mm->as->ops->kernel_faults;
	struct msn_seg vma;
	int rc;

	if (!kernel && !io->how.ignore_permissions && !io->how.remote &&
	    step_fast(io, &rc))
		return msn_pass(rc);
	if (!kernel && !io->how.remote && !msn_mm_reach(mm, io->addr))
		return msn_fail(-EFAULT);
	msn_read_scope(&mm->mapping);
	vma = msn_vma_set_find(&mm->vmas, io->addr);
	if (!msn_seg_ok(vma) ||
	    !is_permitted(io, msn_vma_set_value(&mm->vmas, vma)))
		return msn_fail(-EFAULT);
	return kernel ? msn_pass(step_kernel(io, vma))
		      : msn_pass(step_placed(io, vma));
}

/* One mapping's part of @want; *@want becomes what is left. */
static bool pin_part(struct io *io, struct msn_addr_range *want)
{
	struct msn_mm *mm = io->mm;
	struct msn_page_place place;
	struct msn_seg vma;

	msn_read_scope(&mm->mapping);
	vma = msn_vma_set_find(&mm->vmas, want->start);
	if (!msn_seg_ok(vma) ||
	    !is_permitted(io, msn_vma_set_value(&mm->vmas, vma)))
		return false;
	if (mm->as->ops->kernel_faults) {
		place.length = MSN_PAGE_SIZE; /* comes when it is touched */
	} else {
		struct msn_addr_range part =
			msn_addr_range_intersect(*want, msn_vma_set_range(vma));

		msn_write_scope(&mm->active);
		if (msn_mm_get_page(mm, vma, part,
				    io_access(io) | MSN_ACCESS_PIN, &place) ||
		    !msn_mm_touch_pages(&place))
			return false;
	}
	want->start += place.length;
	return true;
}

struct msn_addr_range msn_mm_pin(struct msn_mm *mm, uint64_t addr,
				 uint64_t length, uint64_t pages, bool write)
{
	struct io io = { .mm = mm,
			 .kind = write ? IO_OUT : IO_IN,
			 .how = { .remote = true } };
	struct msn_addr_range all = { msn_page_down(addr), 0 }, left;

	if (addr + length < addr || !msn_page_up(addr + length, &all.end))
		return (struct msn_addr_range){ addr, addr };
	if (msn_addr_range_length(all) >> MSN_PAGE_SHIFT > pages)
		all.end = all.start + (pages << MSN_PAGE_SHIFT);
	left = all;
	while (left.start < left.end && pin_part(&io, &left))
		;
	return (struct msn_addr_range){ all.start, left.start };
}

/*
 * How many bytes are moved next.  Another process's pages come first, and then
 * the bytes: what is written to the first must not show in a copy that is made
 * of it for the second.
 */
static size_t next_piece(const struct io *io)
{
	uint64_t in_page = MSN_PAGE_SIZE - (io->addr & MSN_PAGE_MASK);
	struct msn_addr_range pages;

	if (!io->how.remote || io->left <= in_page)
		return io->left;
	pages = msn_mm_pin(io->mm, io->addr, io->left, MSN_MM_PIN_PAGES,
			   io->kind != IO_IN);
	if (msn_addr_range_empty(pages))
		return in_page; /* whose fault it is comes out below */
	return io->left < pages.end - io->addr ? io->left
					       : pages.end - io->addr;
}

static int run_io(struct io io, size_t *done)
{
	size_t len = io.left;
	int rc = 0;

	*done = 0;
	if (io.addr + len < io.addr)
		return msn_fail(-EFAULT);
	/* access_ok() of Linux looks at all of it before a byte moves. */
	if (!io.how.remote && !io.how.ignore_permissions &&
	    io.addr + len > io.mm->layout.max_addr)
		return msn_fail(-EFAULT);
	while (rc == 0 && io.left > 0) {
		size_t piece = next_piece(&io), rest = io.left - piece;

		for (io.left = piece; rc == 0 && io.left > 0;)
			rc = step(&io);
		io.left += rest;
	}
	*done = len - io.left;
	if (rc > 0)
		return msn_fail(-EFAULT); /* whatever signal it would be */
	return msn_pass(rc);
}

int msn_mm_copy_in(struct msn_mm *mm, uint64_t addr, void *dst, size_t len,
		   struct msn_mm_io io, size_t *done)
{
	return msn_pass(run_io((struct io){ .mm = mm,
					    .kind = IO_IN,
					    .how = io,
					    .addr = addr,
					    .buf = dst,
					    .left = len },
			       done));
}

int msn_mm_copy_out(struct msn_mm *mm, uint64_t addr, const void *src,
		    size_t len, struct msn_mm_io io, size_t *done)
{
	return msn_pass(run_io((struct io){ .mm = mm,
					    .kind = IO_OUT,
					    .how = io,
					    .addr = addr,
					    .buf = (char *)(uintptr_t)src,
					    .left = len },
			       done));
}

int msn_mm_zero_out(struct msn_mm *mm, uint64_t addr, size_t len,
		    struct msn_mm_io io, size_t *done)
{
	return msn_pass(run_io((struct io){ .mm = mm,
					    .kind = IO_ZERO,
					    .how = io,
					    .addr = addr,
					    .left = len },
			       done));
}
