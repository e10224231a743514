/*
 * process_vm_readv(2) and process_vm_writev(2).
 *
 * SPDX-License-Identifier: Apache-2.0
 *
 * As mm/process_vm_access.c of Linux: the pages of the other space come first,
 * many at a time, then the bytes, page by page of the other space: a copy onto
 * itself comes out the same.  They go through a buffer, so that the locks of
 * two spaces never meet: two spaces that read from each other cannot wait for
 * each other.
 */
#include "mm/mm_calls.h"

#include "base/error.h"
#include "mm/mm_internal.h"

#include <errno.h>

/* One side of a copy: a list of pieces, and where it stands in it. */
struct side {
	struct msn_mm *mm;
	struct msn_mm_io how;
	const struct msn_iov *iov;
	size_t count;
	uint64_t skip; /* bytes of iov[0] that are behind it */
};

/* The rest of the piece at which @s stands; passes over empty ones. */
static struct msn_iov side_now(struct side *s)
{
	while (s->count > 0 && s->skip == s->iov->length) {
		s->iov++;
		s->count--;
		s->skip = 0;
	}
	if (s->count == 0)
		return (struct msn_iov){ 0 };
	return (struct msn_iov){ s->iov->addr + s->skip,
				 s->iov->length - s->skip };
}

/* import_iovec() of Linux: sums up, at most MSN_PROCESS_VM_MAX. */
static int check_list(const struct msn_iov *iov, size_t count, uint64_t *total)
{
	*total = 0;
	if (count > MSN_IOV_MAX)
		return msn_fail(-EINVAL);
	for (size_t i = 0; i < count; i++) {
		if (iov[i].length > INT64_MAX)
			return msn_fail(-EINVAL);
		*total += iov[i].length;
		if (*total > MSN_PROCESS_VM_MAX)
			*total = MSN_PROCESS_VM_MAX;
	}
	return 0;
}

/* access_ok() of Linux, of the caller's own list. */
static int check_addresses(const struct msn_mm *mm, const struct msn_iov *iov,
			   size_t count)
{
	uint64_t max = mm->layout.max_addr;

	for (size_t i = 0; i < count; i++) {
		uint64_t length = iov[i].length;

		/* A list of one is shortened before it is looked at. */
		if (count == 1 && length > MSN_PROCESS_VM_MAX)
			length = MSN_PROCESS_VM_MAX;
		if (iov[i].addr > max || length > max - iov[i].addr)
			return msn_fail(-EFAULT);
	}
	return 0;
}

/* One call under way. */
struct copy {
	struct side local;
	struct msn_mm *remote;
	bool write;
	uint64_t left; /* bytes that the local side still has room for */
	uint64_t done;
};

/* Moves up to @len bytes between @addr, whose pages are there, and one piece.
 */
static int move_piece(struct copy *c, uint64_t addr, uint64_t len,
		      uint64_t *moved)
{
	char buf[MSN_PAGE_SIZE];
	struct msn_iov here = side_now(&c->local);
	size_t n = MSN_PAGE_SIZE - (addr & MSN_PAGE_MASK);
	size_t got = 0, put = 0;
	int rc;

	if (n > len)
		n = len;
	if (n > here.length)
		n = here.length;
	rc = c->write ? msn_mm_copy_in(c->local.mm, here.addr, buf, n,
				       c->local.how, &got)
		      : msn_mm_copy_in(c->remote, addr, buf, n,
				       (struct msn_mm_io){ .remote = true },
				       &got);
	if (got > 0) {
		int rc2 =
			c->write ? msn_mm_copy_out(
					   c->remote, addr, buf, got,
					   (struct msn_mm_io){ .remote = true },
					   &put)
				 : msn_mm_copy_out(c->local.mm, here.addr, buf,
						   got, c->local.how, &put);

		rc = rc2 ? rc2 : rc;
	}
	c->local.skip += put;
	c->left -= put;
	c->done += put;
	*moved = put;
	return msn_pass(rc);
}

/* Moves the bytes at @addr, whose pages are there, as far as there is room. */
static int move_run(struct copy *c, uint64_t addr, uint64_t len)
{
	int rc = 0;

	while (rc == 0 && len > 0 && c->left > 0) {
		uint64_t moved;

		rc = move_piece(c, addr, len < c->left ? len : c->left, &moved);
		addr += moved;
		len -= moved;
	}
	return msn_pass(rc);
}

/* process_vm_rw_single_vec() of Linux. */
static int move_vec(struct copy *c, struct msn_iov there)
{
	int rc = 0;

	while (rc == 0 && there.length > 0 && c->left > 0) {
		struct msn_addr_range pages =
			msn_mm_pin(c->remote, there.addr, there.length,
				   MSN_MM_PIN_PAGES, c->write);
		uint64_t len = pages.end - there.addr;

		if (msn_addr_range_empty(pages))
			return msn_fail(-EFAULT);
		if (len > there.length)
			len = there.length;
		rc = move_run(c, there.addr, len);
		there.addr += len;
		there.length -= len;
	}
	return msn_pass(rc);
}

static int move_all(struct copy *c, const struct msn_process_vm *call,
		    uint64_t *done)
{
	int rc = 0;

	for (size_t i = 0; rc == 0 && i < call->remote_count && c->left; i++)
		rc = move_vec(c, call->remote_iov[i]);
	if (rc && !c->done)
		return msn_pass(rc);
	*done = c->done;
	return 0;
}

static int process_vm(const struct msn_process_vm *c, bool write,
		      uint64_t *done)
{
	struct copy copy = { .local = { .mm = c->local,
					.iov = c->local_iov,
					.count = c->local_count },
			     .remote = c->remote,
			     .write = write };
	uint64_t there;
	int rc;

	if (c->flags)
		return msn_fail(-EINVAL);
	rc = check_list(c->local_iov, c->local_count, &copy.left);
	if (rc == 0)
		rc = check_addresses(c->local, c->local_iov, c->local_count);
	if (rc)
		return msn_pass(rc);
	*done = 0;
	if (copy.left == 0)
		return 0;
	rc = check_list(c->remote_iov, c->remote_count, &there);
	if (rc || there == 0)
		return msn_pass(rc);
	return msn_pass(move_all(&copy, c, done));
}

int msn_mm_process_vm_readv(const struct msn_process_vm *call, uint64_t *done)
{
	return msn_pass(process_vm(call, false, done));
}

int msn_mm_process_vm_writev(const struct msn_process_vm *call, uint64_t *done)
{
	return msn_pass(process_vm(call, true, done));
}
