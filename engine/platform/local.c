/*
 * Platform `local`: a reserved region of this process.
 *
 * SPDX-License-Identifier: Apache-2.0
 *
 * Placements become mappings of their files: MAP_SHARED where the space owns
 * the pages alone, MAP_PRIVATE where a write must make a copy.  From then on
 * the kernel handles faults; which pages it copied is in the page map.  What is
 * unmapped goes back to the reservation, so that nothing else of this process
 * ever lands inside the region.
 */
#include "platform/address_space.h"

#include "base/alloc.h"
#include "base/assert.h"
#include "base/error.h"
#include "base/fault.h"
#include "base/fd.h"
#include "block/safecopy.h"
#include "procfile/proc_maps.h"
#include "procfile/proc_pages.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

#ifndef MADV_GUARD_INSTALL
#define MADV_GUARD_INSTALL 102
#endif

struct local {
	struct msn_address_space base;
};

static const struct msn_address_space_ops local_ops;

static struct local *local_of(struct msn_address_space *as)
{
	msn_assert(as->ops == &local_ops);
	return msn_container_of(as, struct local, base);
}

static void *pointer(uint64_t addr)
{
	return (void *)(uintptr_t)addr;
}

static int prot_of(unsigned perms)
{
	return (perms & MSN_ACCESS_READ ? PROT_READ : 0) |
	       (perms & MSN_ACCESS_WRITE ? PROT_WRITE : 0) |
	       (perms & MSN_ACCESS_EXEC ? PROT_EXEC : 0);
}

static int local_map_file(struct msn_address_space *as,
			  const struct msn_as_mapping *m)
{
	size_t len = msn_addr_range_length(m->addr);
	int flags =
		MAP_FIXED | MAP_NORESERVE | (m->cow ? MAP_PRIVATE : MAP_SHARED);
	int fd = msn_file_fd(m->file);

	(void)as;
	if (fd < 0)
		return msn_pass(fd);
	if (msn_fault("local.map"))
		return msn_fail(-ENOMEM);
	if (mmap(pointer(m->addr.start), len, prot_of(m->perms), flags, fd,
		 (off_t)m->offset) == MAP_FAILED)
		return msn_fail(-errno);
	if (m->commit &&
	    madvise(pointer(m->addr.start), len,
		    m->perms & MSN_ACCESS_WRITE ? MADV_POPULATE_WRITE
						: MADV_POPULATE_READ) < 0 &&
	    m->must_commit)
		return msn_fail(-errno);
	return 0;
}

static void *reserve(struct msn_addr_range ar, int how)
{
	return mmap(pointer(ar.start), msn_addr_range_length(ar), PROT_NONE,
		    MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE | how, -1, 0);
}

/*
 * What is left where the kernel has no room for one more mapping: the pages
 * leave the page tables and nobody may bring them in again.  Guard pages need
 * no mapping of their own; a kernel without them (before 6.15) may still have
 * whole mappings to change.  There is no hole then either, in which something
 * else of this process could land.
 */
static bool shut(struct msn_addr_range ar)
{
	size_t len = msn_addr_range_length(ar);

	if (madvise(pointer(ar.start), len, MADV_GUARD_INSTALL) == 0)
		return true;
	return mprotect(pointer(ar.start), len, PROT_NONE) == 0 &&
	       madvise(pointer(ar.start), len, MADV_DONTNEED) == 0;
}

static void local_unmap(struct msn_address_space *as, struct msn_addr_range ar)
{
	(void)as;
	/* The pages may be another's next: better no process than that. */
	if (reserve(ar, MAP_FIXED) == MAP_FAILED)
		msn_assert(shut(ar));
}

static int local_protect(struct msn_address_space *as, struct msn_addr_range ar,
			 unsigned perms)
{
	(void)as;
	if (msn_fault("local.protect"))
		return msn_fail(-ENOMEM);
	if (mprotect(pointer(ar.start), msn_addr_range_length(ar),
		     prot_of(perms)) < 0)
		return msn_fail(-errno);
	return 0;
}

static int local_advise(struct msn_address_space *as, struct msn_addr_range ar,
			enum msn_as_advice advice)
{
	static const int host[] = {
		[MSN_AS_DISCARD] = MADV_DONTNEED,
		[MSN_AS_WILLNEED] = MADV_WILLNEED,
		[MSN_AS_COLD] = MADV_COLD,
		[MSN_AS_PAGEOUT] = MADV_PAGEOUT,
		[MSN_AS_POPULATE_READ] = MADV_POPULATE_READ,
		[MSN_AS_POPULATE_WRITE] = MADV_POPULATE_WRITE,
	};

	(void)as;
	if (msn_fault("local.advise"))
		return msn_fail(-ENOMEM);
	if (madvise(pointer(ar.start), msn_addr_range_length(ar),
		    host[advice]) == 0)
		return 0;
	/* What rights forbid is a fault to whoever touches the page. */
	return msn_fail(errno == EINVAL ? -EFAULT : -errno);
}

/* Moves pages; the mapping itself stays, without private copies. */
static int move_pages(struct msn_addr_range from, uint64_t to)
{
	size_t len = msn_addr_range_length(from);

	if (mremap(pointer(from.start), len, len,
		   MREMAP_MAYMOVE | MREMAP_FIXED | MREMAP_DONTUNMAP,
		   pointer(to)) == MAP_FAILED)
		return msn_fail(-errno);
	return 0;
}

/*
 * Moves @from to @to.  It may be several mappings of the host, which a kernel
 * before 6.17 moves one by one: it says -EFAULT if it is asked for more.  On
 * failure some may have moved.
 */
static int move_mappings(struct msn_addr_range from, uint64_t to)
{
	struct msn_addr_range part = from;

	while (part.start < from.end) {
		uint64_t len = msn_addr_range_length(part);
		int rc = move_pages(part, to + (part.start - from.start));

		if (rc == -EFAULT && len > MSN_PAGE_SIZE) {
			part.end = part.start + msn_page_down(len / 2);
			continue;
		}
		if (rc)
			return msn_pass(rc);
		part = (struct msn_addr_range){ part.end, from.end };
	}
	return 0;
}

/*
 * Takes back what move_mappings() moved to @there before it failed: whatever
 * has a file there, since the reservation has none.
 */
static int move_back(struct msn_addr_range there, uint64_t from)
{
	msn_auto(msn_closep) int fd =
		open("/proc/self/maps", O_RDONLY | O_CLOEXEC);
	struct msn_proc_maps maps;
	int rc = fd < 0 ? msn_fail(-errno) : msn_proc_maps_read(&maps, fd);

	if (rc)
		return msn_pass(rc);
	for (size_t i = 0; i < maps.count; i++) {
		struct msn_addr_range r =
			msn_addr_range_intersect(maps.list[i].addr, there);
		int moved = 0;

		if (!msn_addr_range_empty(r) && maps.list[i].inode)
			moved = move_pages(r, from + (r.start - there.start));
		if (moved)
			rc = moved;
	}
	msn_proc_maps_deinit(&maps);
	return msn_pass(rc);
}

static int local_move(struct msn_address_space *as, struct msn_addr_range from,
		      uint64_t to)
{
	struct msn_addr_range there = { to, to + msn_addr_range_length(from) };
	int rc;

	if (msn_fault("local.move"))
		return msn_fail(-ENOMEM);
	rc = move_mappings(from, to);
	if (rc) {
		/* Copies that cannot go back either are lost to the space. */
		int lost = move_back(there, from.start);

		(void)lost;
	}
	local_unmap(as, rc ? there : from);
	return msn_pass(rc);
}

/*
 * Goes on where a copy was refused: the kernel's view of this process ignores
 * what the pages' own rights say.
 */
static int copy_by_force(uint64_t addr, void *buf, size_t len, bool out,
			 size_t *done)
{
	msn_auto(msn_closep) int fd =
		open("/proc/self/mem", O_RDWR | O_CLOEXEC);

	if (fd < 0)
		return msn_fail(-errno);
	while (*done < len) {
		char *at = (char *)buf + *done;
		off_t pos = (off_t)(addr + *done);
		ssize_t n = out ? pwrite(fd, at, len - *done, pos)
				: pread(fd, at, len - *done, pos);

		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0)
			return MSN_ADDRESS_SPACE_E_FAULT;
		*done += (size_t)n;
	}
	return 0;
}

static int outcome(int rc)
{
	if (rc == MSN_SAFECOPY_E_BUS)
		return MSN_ADDRESS_SPACE_E_BUS;
	return rc ? MSN_ADDRESS_SPACE_E_FAULT : 0;
}

static int local_copy_in(struct msn_address_space *as, uint64_t addr, void *dst,
			 size_t len, bool ignore, size_t *done)
{
	int rc = msn_safecopy(dst, pointer(addr), len, done);

	(void)as;
	if (rc == 0)
		*done = len;
	if (rc == MSN_SAFECOPY_E_FAULT && ignore)
		return copy_by_force(addr, dst, len, false, done);
	return outcome(rc);
}

static int local_copy_out(struct msn_address_space *as, uint64_t addr,
			  const void *src, size_t len, bool ignore,
			  size_t *done)
{
	int rc = msn_safecopy(pointer(addr), src, len, done);

	(void)as;
	if (rc == 0)
		*done = len;
	if (rc == MSN_SAFECOPY_E_FAULT && ignore)
		return copy_by_force(addr, (void *)(uintptr_t)src, len, true,
				     done);
	return outcome(rc);
}

static int local_cas32(struct msn_address_space *as, uint64_t addr,
		       uint32_t expected, uint32_t desired, uint32_t *seen)
{
	(void)as;
	return outcome(msn_safecas32(pointer(addr), expected, desired, seen));
}

static int local_load32(struct msn_address_space *as, uint64_t addr,
			uint32_t *value)
{
	(void)as;
	return outcome(msn_safeload32(pointer(addr), value));
}

static int local_private_runs(struct msn_address_space *as,
			      struct msn_addr_range ar, msn_addr_run_fn fn,
			      void *ctx)
{
	msn_auto(msn_closep) int fd =
		open("/proc/self/pagemap", O_RDONLY | O_CLOEXEC);

	(void)as;
	if (fd < 0)
		return msn_fail(-errno);
	return msn_pass(
		msn_proc_pages_private(fd, ar, MSN_PROC_PAGES_BEST, fn, ctx));
}

static void local_free(struct msn_address_space *as)
{
	struct local *l = local_of(as);

	munmap(pointer(as->region.start), msn_addr_range_length(as->region));
	free(l);
}

static const struct msn_address_space_ops local_ops = {
	.name = "local",
	.kernel_faults = true,
	.map_file = local_map_file,
	.unmap = local_unmap,
	.protect = local_protect,
	.advise = local_advise,
	.move = local_move,
	.copy_in = local_copy_in,
	.copy_out = local_copy_out,
	.cas32 = local_cas32,
	.load32 = local_load32,
	.private_runs = local_private_runs,
	.free = local_free,
};

static int reserve_region(struct msn_addr_range region)
{
	void *got;

	if (!msn_addr_range_page_aligned(region) ||
	    msn_addr_range_empty(region) || region.start == 0)
		return msn_fail(-EINVAL);
	got = reserve(region, MAP_FIXED_NOREPLACE);
	if (got == MAP_FAILED)
		return msn_fail(-errno);
	if (got == pointer(region.start))
		return 0;
	/* A kernel before 4.17 takes the address for a hint. */
	munmap(got, msn_addr_range_length(region));
	return msn_fail(-EEXIST);
}

int msn_platform_local_new(struct msn_address_space **out,
			   struct msn_addr_range region)
{
	msn_auto(msn_freep) struct local *l = msn_alloc(sizeof(*l));
	int rc;

	if (!l)
		return msn_fail(-ENOMEM);
	l->base.ops = &local_ops;
	l->base.region = region;
	rc = reserve_region(region);
	if (rc)
		return msn_pass(rc);
	*out = &msn_steal(l)->base;
	return 0;
}
