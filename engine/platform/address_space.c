/*
 * Address space dispatch: asserts what is promised on both sides.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "platform/address_space.h"

#include "base/assert.h"
#include "base/error.h"

static void assert_range(const struct msn_address_space *as,
			 struct msn_addr_range ar)
{
	msn_assert(!msn_addr_range_empty(ar));
	msn_assert(msn_addr_range_page_aligned(ar));
	msn_assert(msn_addr_range_covers(as->region, ar));
}

int msn_address_space_map_file(struct msn_address_space *as,
			       const struct msn_as_mapping *m)
{
	int rc;

	assert_range(as, m->addr);
	msn_assert(msn_page_aligned(m->offset));
	rc = as->ops->map_file(as, m);
	msn_assert(rc <= 0);
	return msn_pass(rc);
}

void msn_address_space_unmap(struct msn_address_space *as,
			     struct msn_addr_range ar)
{
	assert_range(as, ar);
	as->ops->unmap(as, ar);
}

int msn_address_space_protect(struct msn_address_space *as,
			      struct msn_addr_range ar, unsigned perms)
{
	int rc;

	assert_range(as, ar);
	rc = as->ops->protect(as, ar, perms);
	msn_assert(rc <= 0);
	return msn_pass(rc);
}

int msn_address_space_advise(struct msn_address_space *as,
			     struct msn_addr_range ar,
			     enum msn_as_advice advice)
{
	int rc;

	assert_range(as, ar);
	rc = as->ops->advise ? as->ops->advise(as, ar, advice) : 0;
	msn_assert(rc <= 0);
	return msn_pass(rc);
}

int msn_address_space_move(struct msn_address_space *as,
			   struct msn_addr_range from, uint64_t to)
{
	struct msn_addr_range there = { to, to + msn_addr_range_length(from) };
	int rc;

	assert_range(as, from);
	assert_range(as, there);
	msn_assert(!msn_addr_range_overlaps(from, there));
	if (!as->ops->move)
		return 0;
	rc = as->ops->move(as, from, to);
	msn_assert(rc <= 0);
	return msn_pass(rc);
}

int msn_address_space_copy_in(struct msn_address_space *as, uint64_t addr,
			      void *dst, size_t len, bool ignore, size_t *done)
{
	int rc;

	msn_assert(as->ops->kernel_faults);
	*done = 0;
	rc = as->ops->copy_in(as, addr, dst, len, ignore, done);
	msn_assert(rc ? *done <= len : *done == len);
	return msn_pass(rc);
}

int msn_address_space_copy_out(struct msn_address_space *as, uint64_t addr,
			       const void *src, size_t len, bool ignore,
			       size_t *done)
{
	int rc;

	msn_assert(as->ops->kernel_faults);
	*done = 0;
	rc = as->ops->copy_out(as, addr, src, len, ignore, done);
	msn_assert(rc ? *done <= len : *done == len);
	return msn_pass(rc);
}

int msn_address_space_cas32(struct msn_address_space *as, uint64_t addr,
			    uint32_t expected, uint32_t desired, uint32_t *seen)
{
	msn_assert(as->ops->kernel_faults && addr % 4 == 0);
	return msn_pass(as->ops->cas32(as, addr, expected, desired, seen));
}

int msn_address_space_load32(struct msn_address_space *as, uint64_t addr,
			     uint32_t *value)
{
	msn_assert(as->ops->kernel_faults && addr % 4 == 0);
	return msn_pass(as->ops->load32(as, addr, value));
}

int msn_address_space_private_runs(struct msn_address_space *as,
				   struct msn_addr_range ar, msn_addr_run_fn fn,
				   void *ctx)
{
	msn_assert(as->ops->kernel_faults);
	assert_range(as, ar);
	return msn_pass(as->ops->private_runs(as, ar, fn, ctx));
}

struct msn_address_space *msn_address_space_free(struct msn_address_space *as)
{
	if (as)
		as->ops->free(as);
	return NULL;
}
