/*
 * Kernel look: reads a stepper's memory without disturbing it.
 *
 * SPDX-License-Identifier: Apache-2.0
 *
 * Present pages are found by PAGEMAP_SCAN, which passes over what is empty;
 * their bytes come from /proc/PID/mem, since process_vm_readv() would take
 * shared pages out of their sharing.
 */
#include "base/cleanup.h"
#include "base/fd.h"
#include "oracle/kernel.h"
#include "oracle/text.h"
#include "procfile/proc_pages.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <unistd.h>

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

/* Where pages that are found go. */
struct found {
	struct kernel *k;
	unsigned space;
	struct view *out;
};

static int add_run(void *ctx, struct msn_addr_range run)
{
	const struct found *f = ctx;
	uint64_t entries[ENTRIES];

	while (run.start < run.end) {
		size_t n = (size_t)((run.end - run.start) / 4096);

		if (n > ENTRIES)
			n = ENTRIES;
		if (pread(f->k->at[f->space].pagemap, entries, n * 8,
			  (off_t)(run.start / 4096 * 8)) != (ssize_t)(n * 8))
			die("cannot read pagemap of space %u: %m", f->space);
		for (size_t i = 0; i < n; i++)
			view_add_page(f->out, run.start + i * 4096,
				      entries[i] & PAGE_BITS);
		run.start += n * 4096;
	}
	return 0;
}

static void find_pages(struct kernel *k, unsigned space, uint64_t from,
		       uint64_t to, struct view *out)
{
	struct found f = { k, space, out };
	int rc = msn_proc_pages_scan(
		k->at[space].pagemap, (struct msn_addr_range){ from, to },
		MSN_PROC_PAGE_PRESENT | MSN_PROC_PAGE_GUARD, add_run, &f);

	if (rc)
		die("cannot scan space %u: %s", space, strerror(-rc));
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

static int ignore_run(void *ctx, struct msn_addr_range run)
{
	(void)ctx;
	(void)run;
	return 0;
}

const char *kernel_cannot_look(void)
{
	msn_auto(msn_closep) int fd =
		open("/proc/self/pagemap", O_RDONLY | O_CLOEXEC);
	int rc = fd < 0 ? -errno
			: msn_proc_pages_scan(
				  fd, (struct msn_addr_range){ 0, 4096 },
				  MSN_PROC_PAGE_PRESENT, ignore_run, NULL);

	return rc ? "this kernel has no PAGEMAP_SCAN" : NULL;
}
