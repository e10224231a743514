/*
 * Process pages: PAGEMAP_SCAN and the entries of pagemap.
 *
 * SPDX-License-Identifier: Apache-2.0
 *
 * The headers that this is compiled with may be older than the kernel, so the
 * call is declared here (include/uapi/linux/fs.h of Linux 6.7).
 */
#include "procfile/proc_pages.h"

#include "base/error.h"
#include "base/fault.h"
#include "base/fd.h"

#include <errno.h>
#include <stdbool.h>
#include <sys/ioctl.h>

struct scan_region {
	uint64_t start, end, categories;
};

struct scan_arg {
	uint64_t size, flags;
	uint64_t start, end, walk_end;
	uint64_t vec, vec_len, max_pages;
	uint64_t category_inverted, category_mask, category_anyof_mask;
	uint64_t return_mask;
};

#define SCAN_CALL _IOWR('f', 16, struct scan_arg)

/* Which pages are asked for: those with one of @any and none of @no. */
struct scan_query {
	uint64_t any, no;
};

/*
 * The kernel collects 512 ranges at a time; with a longer vector its walk_end
 * can stay behind what it reported, so a full vector is the only sign that
 * there is more.
 */
#define SCAN_REGIONS 512

#define ENTRY_PRESENT (UINT64_C(1) << 63)
#define ENTRY_SWAPPED (UINT64_C(1) << 62)
#define ENTRY_FILE (UINT64_C(1) << 61)
#define ENTRY_GUARD (UINT64_C(1) << 58)
#define ENTRIES 2048

/* Joins runs that touch before they are reported. */
struct join {
	struct msn_addr_range run; /* empty: nothing yet */
	msn_proc_pages_fn fn;
	void *ctx;
};

static int join_flush(struct join *j)
{
	struct msn_addr_range run = j->run;

	j->run = (struct msn_addr_range){ 0 };
	return msn_addr_range_empty(run) ? 0 : j->fn(j->ctx, run);
}

static int join_add(struct join *j, uint64_t start, uint64_t end)
{
	int rc = 0;

	if (!msn_addr_range_empty(j->run) && j->run.end == start) {
		j->run.end = end;
		return 0;
	}
	rc = join_flush(j);
	j->run = (struct msn_addr_range){ start, end };
	return rc;
}

/* One call; *@count regions are in @vec. */
static int scan_once(int fd, struct msn_addr_range r, struct scan_query q,
		     struct scan_region *vec, size_t *count)
{
	struct scan_arg arg = {
		.size = sizeof(arg),
		.start = r.start,
		.end = r.end,
		.vec = (uint64_t)(uintptr_t)vec,
		.vec_len = SCAN_REGIONS,
		.category_inverted = q.no,
		.category_mask = q.no,
		.category_anyof_mask = q.any,
		.return_mask = q.any,
	};
	int n;

	if (msn_fault("proc_pages.scan"))
		return msn_fail(-EIO);
	do {
		n = ioctl(fd, SCAN_CALL, &arg);
	} while (n < 0 && errno == EINTR);
	if (n < 0)
		return -errno;
	*count = (size_t)n;
	return 0;
}

static struct scan_query without_guards(struct scan_query q)
{
	return (struct scan_query){ q.any & ~(uint64_t)MSN_PROC_PAGE_GUARD,
				    q.no & ~(uint64_t)MSN_PROC_PAGE_GUARD };
}

static int scan(int fd, struct msn_addr_range r, struct scan_query q,
		struct join *j)
{
	struct scan_region vec[SCAN_REGIONS];
	size_t count;
	int rc;

	do {
		rc = scan_once(fd, r, q, vec, &count);
		if (rc == -EINVAL && ((q.any | q.no) & MSN_PROC_PAGE_GUARD)) {
			q = without_guards(q); /* this kernel has none */
			if (!q.any)
				return 0;
			rc = scan_once(fd, r, q, vec, &count);
		}
		if (rc)
			return rc;
		for (size_t i = 0; i < count; i++) {
			rc = join_add(j, vec[i].start, vec[i].end);
			if (rc)
				return rc;
		}
		if (count > 0)
			r.start = vec[count - 1].end;
	} while (count == SCAN_REGIONS && r.start < r.end);
	return join_flush(j);
}

static bool entry_private(uint64_t e)
{
	return (e & (ENTRY_PRESENT | ENTRY_SWAPPED)) &&
	       !(e & (ENTRY_FILE | ENTRY_GUARD));
}

static int entries(int fd, struct msn_addr_range r, struct join *j)
{
	uint64_t buf[ENTRIES], page = r.start >> MSN_PAGE_SHIFT;
	uint64_t end = r.end >> MSN_PAGE_SHIFT;

	while (page < end) {
		size_t want = end - page < ENTRIES ? end - page : ENTRIES;
		ssize_t n = msn_pread_full(fd, buf, want * sizeof(*buf),
					   page * sizeof(*buf));
		size_t got = n < 0 ? 0 : (size_t)n / sizeof(*buf);

		if (n < 0)
			return msn_pass((int)n);
		/* Nothing to read: no memory any more, or past what it had. */
		if (got == 0)
			return msn_fail(-ESRCH);
		for (size_t i = 0; i < got; i++) {
			uint64_t at = (page + i) << MSN_PAGE_SHIFT;
			int rc = entry_private(buf[i])
					 ? join_add(j, at, at + MSN_PAGE_SIZE)
					 : 0;

			if (rc)
				return rc;
		}
		page += got;
	}
	return join_flush(j);
}

int msn_proc_pages_private(int pagemap_fd, struct msn_addr_range r,
			   enum msn_proc_pages_method how, msn_proc_pages_fn fn,
			   void *ctx)
{
	static const struct scan_query private = {
		.any = MSN_PROC_PAGE_PRESENT | MSN_PROC_PAGE_SWAPPED,
		.no = MSN_PROC_PAGE_FILE | MSN_PROC_PAGE_ZERO |
		      MSN_PROC_PAGE_GUARD,
	};
	struct join j = { .fn = fn, .ctx = ctx };
	int rc = -ENOTTY;

	if (msn_addr_range_empty(r))
		return 0;
	if (how != MSN_PROC_PAGES_ENTRIES)
		rc = scan(pagemap_fd, r, private, &j);
	if (rc == -ENOTTY && how != MSN_PROC_PAGES_SCAN)
		rc = entries(pagemap_fd, r, &j);
	return rc;
}

int msn_proc_pages_scan(int pagemap_fd, struct msn_addr_range r,
			unsigned categories, msn_proc_pages_fn fn, void *ctx)
{
	struct join j = { .fn = fn, .ctx = ctx };

	if (msn_addr_range_empty(r))
		return 0;
	return scan(pagemap_fd, r, (struct scan_query){ .any = categories },
		    &j);
}
