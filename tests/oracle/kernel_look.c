/*
 * Kernel look: reads a stepper's memory without disturbing it.
 *
 * SPDX-License-Identifier: Apache-2.0
 *
 * Present pages are found by PAGEMAP_SCAN, which passes over what is empty;
 * their bytes come from /proc/PID/mem, since process_vm_readv() would take
 * shared pages out of their sharing.
 */
#include "base/fd.h"
#include "oracle/kernel.h"
#include "oracle/text.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "base/cleanup.h"

/* include/uapi/linux/fs.h of Linux 6.7; older headers do not have it. */
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
#define SCAN_PRESENT (1 << 3)
#define SCAN_GUARD (1 << 8)
#define SCAN_REGIONS 512

#define ENTRIES 512

const char *kernel_read_smaps(struct kernel *k, unsigned space)
{
	static char buf[1 << 20];
	size_t len = 0;
	ssize_t n;

	do {
		n = pread(k->at[space].smaps, buf + len, sizeof(buf) - len,
			  (off_t)len);
		if (n > 0)
			len += (size_t)n;
	} while (n > 0 && len < sizeof(buf));
	if (n < 0 || len == sizeof(buf))
		die("cannot read smaps of space %u: %m", space);
	buf[len] = '\0';
	return buf;
}

static void read_smaps(struct kernel *k, unsigned space, unsigned detail,
		       struct view *out)
{
	const char *text = kernel_read_smaps(k, space);

	text_normalise(out, text, strlen(text), detail);
}

static void add_region(struct kernel *k, unsigned space, uint64_t start,
		       uint64_t end, struct view *out)
{
	uint64_t entries[ENTRIES];

	while (start < end) {
		size_t n = (size_t)((end - start) / 4096);

		if (n > ENTRIES)
			n = ENTRIES;
		if (pread(k->at[space].pagemap, entries, n * 8,
			  (off_t)(start / 4096 * 8)) != (ssize_t)(n * 8))
			die("cannot read pagemap of space %u: %m", space);
		for (size_t i = 0; i < n; i++)
			view_add_page(out, start + i * 4096,
				      entries[i] & PAGE_BITS);
		start += n * 4096;
	}
}

static int scan(int pagemap, struct scan_region *regions, uint64_t from,
		uint64_t to)
{
	struct scan_arg arg = {
		.size = sizeof(arg),
		.start = from,
		.end = to,
		.vec = (uintptr_t)regions,
		.vec_len = SCAN_REGIONS,
		.category_anyof_mask = SCAN_PRESENT | SCAN_GUARD,
		.return_mask = SCAN_PRESENT | SCAN_GUARD,
	};

	return ioctl(pagemap, SCAN_CALL, &arg);
}

static void find_pages(struct kernel *k, unsigned space, uint64_t from,
		       uint64_t to, struct view *out)
{
	static struct scan_region regions[SCAN_REGIONS];
	int n;

	do {
		n = scan(k->at[space].pagemap, regions, from, to);
		if (n < 0)
			die("cannot scan space %u: %m", space);
		for (int i = 0; i < n; i++)
			add_region(k, space, regions[i].start, regions[i].end,
				   out);
		if (n > 0)
			from = regions[n - 1].end;
	} while (n == SCAN_REGIONS);
}

static void read_bytes(struct kernel *k, unsigned space, struct view *out)
{
	view_reserve_bytes(out);
	for (size_t i = 0, n; i < out->count; i += n) {
		uint64_t at = out->pages[i].addr;

		for (n = 1; i + n < out->count &&
			    out->pages[i + n].addr == at + n * 4096 &&
			    !((out->pages[i + n].bits ^ out->pages[i].bits) &
			      PAGE_PRESENT);
		     n++)
			;
		if (!(out->pages[i].bits & PAGE_PRESENT))
			continue; /* a guard */
		if (pread(k->at[space].mem, out->bytes + i * 4096, n * 4096,
			  (off_t)at) != (ssize_t)(n * 4096))
			die("cannot read %zu pages at %#llx of space %u: %m", n,
			    (unsigned long long)at, space);
	}
}

void kernel_look(struct side *side, unsigned space, unsigned detail,
		 const struct view *model, struct view *out)
{
	struct kernel *k = msn_container_of(side, struct kernel, side);

	(void)model;
	out->text_len = 0;
	out->count = 0;
	if (detail & (SIDE_MAPS | SIDE_SMAPS))
		read_smaps(k, space, detail, out);
	if (!(detail & (SIDE_PAGEMAP | SIDE_BYTES)))
		return;
	find_pages(k, space, 0, STEPPER_TEXT, out);
	find_pages(k, space, STEPPER_FOREIGN_END, k->layout.max_addr, out);
	if (detail & SIDE_BYTES)
		read_bytes(k, space, out);
}

const char *kernel_cannot_look(void)
{
	struct scan_region regions[SCAN_REGIONS];
	int fd = open("/proc/self/pagemap", O_RDONLY | O_CLOEXEC);
	int rc = fd < 0 ? -1 : scan(fd, regions, 0, 4096);

	msn_close(fd);
	return rc < 0 ? "this kernel has no PAGEMAP_SCAN" : NULL;
}
