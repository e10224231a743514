/*
 * process_vm_readv(2) and process_vm_writev(2).
 *
 * SPDX-License-Identifier: Apache-2.0
 *
 * As mm/process_vm_access.c of Linux.  Bytes go through a buffer, a piece at a
 * time, so that the locks of two spaces never meet: two spaces that read from
 * each other cannot wait for each other.
 */
#include "mm/mm_calls.h"

#include "base/alloc.h"
#include "base/error.h"
#include "mm/mm_internal.h"

#include <errno.h>

/* Bytes in flight: enough that locks are no cost, little to have around. */
#define BUFFER_BYTES (UINT64_C(64) << 10)

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

/*
 * Moves up to @want bytes that both sides have in one piece; *@moved of them
 * went.  What was read and could not be written stays unread.
 */
static int move_piece(struct side *from, struct side *to, char *buf,
		      uint64_t want, uint64_t *moved)
{
	struct msn_iov src = side_now(from), dst = side_now(to);
	size_t len = want < BUFFER_BYTES ? want : BUFFER_BYTES;
	size_t got, put = 0;
	int rc, written = 0;

	if (len > src.length)
		len = src.length;
	if (len > dst.length)
		len = dst.length;
	rc = msn_mm_copy_in(from->mm, src.addr, buf, len, from->how, &got);
	if (got > 0)
		written = msn_mm_copy_out(to->mm, dst.addr, buf, got, to->how,
					  &put);
	from->skip += put;
	to->skip += put;
	*moved = put;
	return written ? msn_pass(written) : msn_pass(rc);
}

static int move_all(struct side *from, struct side *to, uint64_t total,
		    uint64_t *done)
{
	msn_auto(msn_freep) char *buf =
		msn_alloc(total < BUFFER_BYTES ? (size_t)total : BUFFER_BYTES);
	uint64_t sum = 0;
	int rc = 0;

	if (!buf)
		return msn_fail(-ENOMEM);
	while (rc == 0 && sum < total && side_now(from).length &&
	       side_now(to).length) {
		uint64_t moved;

		rc = move_piece(from, to, buf, total - sum, &moved);
		sum += moved;
	}
	if (rc && !sum)
		return msn_pass(rc);
	*done = sum;
	return 0;
}

static int process_vm(const struct msn_process_vm *c, bool write,
		      uint64_t *done)
{
	struct side local = { .mm = c->local,
			      .iov = c->local_iov,
			      .count = c->local_count };
	struct side remote = { .mm = c->remote,
			       .how = { .remote = true },
			       .iov = c->remote_iov,
			       .count = c->remote_count };
	uint64_t total, there;
	int rc;

	if (c->flags)
		return msn_fail(-EINVAL);
	rc = check_list(c->local_iov, c->local_count, &total);
	if (rc == 0)
		rc = check_addresses(c->local, c->local_iov, c->local_count);
	if (rc)
		return msn_pass(rc);
	*done = 0;
	if (total == 0)
		return 0;
	rc = check_list(c->remote_iov, c->remote_count, &there);
	if (rc || there == 0)
		return msn_pass(rc);
	return write ? msn_pass(move_all(&local, &remote, total, done))
		     : msn_pass(move_all(&remote, &local, total, done));
}

int msn_mm_process_vm_readv(const struct msn_process_vm *call, uint64_t *done)
{
	return msn_pass(process_vm(call, false, done));
}

int msn_mm_process_vm_writev(const struct msn_process_vm *call, uint64_t *done)
{
	return msn_pass(process_vm(call, true, done));
}
