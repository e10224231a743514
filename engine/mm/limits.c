/*
 * Limits: what a space may have.
 *
 * SPDX-License-Identifier: Apache-2.0
 *
 * As mm/mmap.c and mm/mlock.c of Linux count: in whole pages, a limit's bytes
 * rounded down.
 */
#include "mm/mm_internal.h"

#include "base/limits.h"

struct msn_mm_limits msn_mm_no_limits(void)
{
	return (struct msn_mm_limits){
		.as = MSN_UNLIMITED,
		.data = MSN_UNLIMITED,
		.data_max = MSN_UNLIMITED,
		.stack = MSN_UNLIMITED,
		.memlock = MSN_UNLIMITED,
		.commit = MSN_UNLIMITED,
		.mappings = MSN_MAPPING_COUNT_MAX,
		.can_lock = true,
		.can_map_low = true,
		.can_move_all = true,
	};
}

void msn_mm_set_limits(struct msn_mm *mm, const struct msn_mm_limits *limits)
{
	msn_write_scope(&mm->mapping);
	mm->limits = *limits;
	if (mm->limits.mappings > MSN_MAPPING_COUNT_MAX)
		mm->limits.mappings = MSN_MAPPING_COUNT_MAX;
}

void msn_mm_get_limits(struct msn_mm *mm, struct msn_mm_limits *out)
{
	msn_read_scope(&mm->mapping);
	*out = mm->limits;
}

/* is_data_mapping() of Linux: private, writable, no stack. */
static bool is_data(uint32_t flags)
{
	return (flags & (MSN_VMA_WRITE | MSN_VMA_SHARED | MSN_VMA_GROWSDOWN)) ==
	       MSN_VMA_WRITE;
}

void msn_mm_add_sizes(struct msn_mm_sizes *s, uint32_t flags, uint64_t n)
{
	bool code =
		(flags & (MSN_VMA_EXEC | MSN_VMA_WRITE | MSN_VMA_GROWSDOWN)) ==
		MSN_VMA_EXEC;

	s->total += n;
	if (flags & MSN_VMA_LOCKED)
		s->locked += n;
	if (code)
		return;
	if (flags & MSN_VMA_GROWSDOWN)
		s->stack += n;
	else if (is_data(flags))
		s->data += n;
}

void msn_mm_count_bytes(struct msn_mm *mm, uint32_t flags, int64_t bytes)
{
	msn_mm_add_sizes(&mm->sizes, flags, (uint64_t)bytes);
	if (mm->peak < mm->sizes.total)
		mm->peak = mm->sizes.total;
}

static bool fits(uint64_t limit, uint64_t used, uint64_t more)
{
	limit = msn_page_down(limit);
	return more <= limit && used <= limit - more;
}

bool msn_mm_may_expand(const struct msn_mm *mm, uint32_t flags, uint64_t bytes)
{
	if (!fits(mm->limits.as, mm->sizes.total, bytes))
		return false;
	return !is_data(flags) ||
	       fits(mm->limits.data ? mm->limits.data : mm->limits.data_max,
		    mm->sizes.data, bytes);
}

bool msn_mm_may_lock(const struct msn_mm *mm, uint32_t flags, uint64_t bytes)
{
	if (!(flags & MSN_VMA_LOCKED) || mm->limits.can_lock)
		return true;
	return fits(mm->limits.memlock, mm->sizes.locked, bytes);
}

bool msn_mm_can_lock(const struct msn_mm *mm)
{
	return mm->limits.memlock != 0 || mm->limits.can_lock;
}

bool msn_mm_may_commit(const struct msn_mm *mm, uint64_t bytes)
{
	return bytes <= mm->limits.commit;
}
