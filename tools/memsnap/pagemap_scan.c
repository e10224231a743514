/*
 * PAGEMAP_SCAN, whose declarations are newer than Debian 12's headers.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "pagemap_scan.h"

#include "base/fd.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/ioctl.h>
#include <unistd.h>

#define CATEGORY_PRESENT (1U << 3)
#define CATEGORY_SWAPPED (1U << 4)

/* Names and order as in the kernel's include/uapi/linux/fs.h. */
struct scan_region {
	uint64_t start, end, categories;
};

struct scan_arg {
	uint64_t size, flags, start, end, walk_end;
	uint64_t vec, vec_len, max_pages;
	uint64_t category_inverted, category_mask, category_anyof_mask;
	uint64_t return_mask;
};

#define SCAN_CALL _IOWR('f', 16, struct scan_arg)

static int scan(int fd, struct msn_addr_range r, struct scan_region *out)
{
	struct scan_arg arg = {
		.size = sizeof(arg),
		.start = r.start,
		.end = r.end,
		.vec = (uint64_t)(uintptr_t)out,
		.vec_len = 1,
		.category_anyof_mask = CATEGORY_PRESENT | CATEGORY_SWAPPED,
		.return_mask = CATEGORY_PRESENT,
	};
	int n = ioctl(fd, SCAN_CALL, &arg);

	return n < 0 ? -errno : n;
}

struct msn_addr_range msn_pagemap_first(int pagemap_fd, struct msn_addr_range r)
{
	struct scan_region found;
	int n;

	if (pagemap_fd < 0)
		return r;
	n = scan(pagemap_fd, r, &found);
	if (n < 0)
		return r;
	if (n == 0)
		return (struct msn_addr_range){ r.end, r.end };
	return (struct msn_addr_range){ found.start, found.end };
}

int msn_pagemap_probe(void)
{
	msn_auto(msn_closep) int fd =
		open("/proc/self/pagemap", O_RDONLY | O_CLOEXEC);
	uint64_t page = msn_page_down((uint64_t)(uintptr_t)&fd);
	struct scan_region found;
	int n;

	if (fd < 0)
		return -errno;
	n = scan(fd, (struct msn_addr_range){ page, page + MSN_PAGE_SIZE },
		 &found);
	return n < 0 ? n : 0;
}
