/*
 * Where the bytes of an address come from.
 *
 * SPDX-License-Identifier: Apache-2.0
 *
 * Pages are fetched a window at a time.  When a window fails it is tried again
 * with its first page alone, so that everything before the bad page can still
 * be shown.
 */
#include "view.h"

#include "base/alloc.h"
#include "base/error.h"
#include "base/fd.h"
#include "output.h"
#include "range/range.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <unistd.h>

/* 1 MiB: past that a disk gets no faster. */
#define WINDOW_PAGES 256

struct msn_view {
	const struct msn_manifest *m;
	struct msn_reader *reader;
	uint8_t *window;
	char name[MSN_VALUE_TEXT];

	/* The host file that was opened last; a neighbour often follows. */
	const struct msn_manifest_mapping *file_of;
	int fd;
};

struct msn_view *msn_view_free(struct msn_view *v)
{
	if (!v)
		return NULL;
	msn_close(v->fd);
	msn_reader_free(v->reader);
	free(v->window);
	free(v);
	return NULL;
}

int msn_view_new(struct msn_view **out, struct msn_store *store,
		 const struct msn_manifest *m, struct msn_failure *why)
{
	msn_auto(msn_view_freep) struct msn_view *v = msn_alloc(sizeof(*v));
	int rc;

	if (!v)
		return msn_failure_errno(why, -ENOMEM, "cannot read");
	v->m = m;
	v->fd = -1;
	msn_text_uid(m->uid, v->name);
	if (m->name[0])
		snprintf(v->name, sizeof(v->name), "%s", m->name);
	v->window =
		msn_alloc_aligned(MSN_PAGE_SIZE, WINDOW_PAGES * MSN_PAGE_SIZE);
	if (!v->window)
		return msn_failure_errno(why, -ENOMEM, "cannot read");
	rc = msn_reader_new(&v->reader, store, m, why);
	if (rc)
		return msn_pass(rc);
	*out = msn_steal(v);
	return 0;
}

const char *msn_view_name(const struct msn_view *v)
{
	return v->name;
}

/*
 * A device number without a driver (major 0) is made up by the file system,
 * afresh at each mount: there, the inode has to do.
 */
static bool same_device(const struct msn_manifest_mapping *map, dev_t dev)
{
	if (map->dev_major == 0 && major(dev) == 0)
		return true;
	return map->dev_major == major(dev) && map->dev_minor == minor(dev);
}

/* What has changed about the file since it was saved, or NULL. */
static const char *file_changed(const struct msn_manifest_mapping *map,
				const struct stat *st)
{
	if (!S_ISREG(st->st_mode) || st->st_ino != map->inode ||
	    !same_device(map, st->st_dev))
		return "it is another file now";
	if (st->st_size < 0 || (uint64_t)st->st_size != map->file_size)
		return "its size has changed";
	if (st->st_mtim.tv_sec * INT64_C(1000000000) + st->st_mtim.tv_nsec !=
	    map->file_mtime_ns)
		return "it was written since";
	return NULL;
}

static int open_file(struct msn_view *v, const struct msn_manifest_mapping *map,
		     uint64_t addr, struct msn_failure *why)
{
	const char *changed;
	struct stat st;

	if (v->file_of == map)
		return 0;
	v->file_of = NULL;
	msn_close(v->fd);
	/* The path may be a fifo by now: do not wait for its other end. */
	v->fd = open(map->name, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
	if (v->fd < 0 || fstat(v->fd, &st) != 0)
		return msn_failure_set(why, -errno, MSN_FAILURE_PRECONDITION,
				       "address 0x%" PRIx64
				       " shows file '%s': %s",
				       addr, map->name, strerror(errno));
	changed = file_changed(map, &st);
	if (changed)
		return msn_failure_set(why, -ESTALE, MSN_FAILURE_PRECONDITION,
				       "address 0x%" PRIx64
				       " shows file '%s', but %s",
				       addr, map->name, changed);
	v->file_of = map;
	return 0;
}

/* Fills pages that the space has in common with the host file. */
static int from_file(struct msn_view *v, const struct msn_manifest_mapping *map,
		     struct msn_addr_range ar, uint8_t *dst,
		     struct msn_failure *why)
{
	uint64_t len = msn_addr_range_length(ar);
	uint64_t at = map->offset + (ar.start - map->start);
	uint64_t beyond;
	ssize_t n;
	int rc;

	rc = open_file(v, map, ar.start, why);
	if (rc)
		return msn_pass(rc);
	beyond = msn_page_down(map->file_size + MSN_PAGE_MASK);
	if (at + len > beyond)
		return msn_failure_set(why, -EFAULT, MSN_FAILURE_INVALID,
				       "address 0x%" PRIx64
				       " lies behind the end of file '%s'",
				       at < beyond ? ar.start + (beyond - at)
						   : ar.start,
				       map->name);
	n = msn_pread_full(v->fd, dst, len, at);
	if (n < 0)
		return msn_failure_errno(
			why, (int)n, "address 0x%" PRIx64 " shows file '%s'",
			ar.start, map->name);
	return 0;
}

static int from_object(struct msn_view *v,
		       const struct msn_manifest_mapping *map,
		       struct msn_addr_range ar, uint8_t *dst,
		       struct msn_failure *why)
{
	const struct msn_manifest_object *o = &v->m->objects[map->object];
	uint64_t at = map->offset + (ar.start - map->start);
	uint64_t len = msn_addr_range_length(ar);

	if (at + len > msn_manifest_object_pages(o) << MSN_PAGE_SHIFT)
		return msn_failure_set(why, -EFAULT, MSN_FAILURE_INVALID,
				       "address 0x%" PRIx64
				       " lies behind the end of '%s'",
				       ar.start, map->name);
	return msn_pass(msn_reader_read(v->reader, &o->pages,
					at >> MSN_PAGE_SHIFT,
					len >> MSN_PAGE_SHIFT, dst, why));
}

/* Fills pages that stand in no extent of the space. */
static int from_beneath(struct msn_view *v,
			const struct msn_manifest_mapping *map,
			struct msn_addr_range ar, uint8_t *dst,
			struct msn_failure *why)
{
	switch (map->kind) {
	case MSN_MAPPING_FILE:
		return from_file(v, map, ar, dst, why);
	case MSN_MAPPING_OBJECT:
		return from_object(v, map, ar, dst, why);
	case MSN_MAPPING_KERNEL:
		return msn_failure_set(
			why, -EOPNOTSUPP, MSN_FAILURE_UNSUPPORTED,
			"address 0x%" PRIx64
			" is in %s, which the kernel gives to each process",
			ar.start, map->name);
	case MSN_MAPPING_ANON:
		break;
	}
	return 0;
}

static int fill(struct msn_view *v, const struct msn_manifest_mapping *map,
		uint64_t start, uint64_t pages, struct msn_failure *why)
{
	uint64_t first = start >> MSN_PAGE_SHIFT;
	uint64_t page = first, end = first + pages;
	int rc;

	memset(v->window, 0, pages * MSN_PAGE_SIZE);
	while (page < end) {
		const struct msn_extent *e =
			msn_extents_lower(&v->m->pages, page);
		uint64_t gap_end = e && e->page < end ? e->page : end;
		struct msn_addr_range ar = { page << MSN_PAGE_SHIFT,
					     gap_end << MSN_PAGE_SHIFT };

		if (gap_end > page) {
			rc = from_beneath(v, map, ar,
					  v->window + (ar.start - start), why);
			if (rc)
				return msn_pass(rc);
		}
		page = gap_end < end ? e->page + e->count : end;
	}
	return msn_pass(msn_reader_read(v->reader, &v->m->pages, first, pages,
					v->window, why));
}

static int fill_what_works(struct msn_view *v,
			   const struct msn_manifest_mapping *map,
			   uint64_t start, uint64_t *pages,
			   struct msn_failure *why)
{
	struct msn_failure f = {};
	int rc;

	rc = fill(v, map, start, *pages, &f);
	if (rc && *pages > 1) {
		*pages = 1;
		f = (struct msn_failure){};
		rc = fill(v, map, start, 1, &f);
	}
	if (!rc)
		return 0;
	if (f.kind != MSN_FAILURE_DATA_LOSS)
		return msn_failure_set(why, rc, f.kind, "%s", f.text);
	return msn_failure_set(why, rc, f.kind,
			       "cannot read address 0x%" PRIx64 ": %s", start,
			       f.text);
}

int msn_view_at(struct msn_view *v, uint64_t addr, uint64_t len,
		const uint8_t **data, size_t *shown, struct msn_failure *why)
{
	const struct msn_manifest_mapping *map;
	uint64_t start = msn_page_down(addr), pages;
	uint64_t most;
	int rc;

	map = msn_manifest_mapping_at(v->m, addr);
	if (!map)
		return msn_failure_set(why, -EFAULT, MSN_FAILURE_INVALID,
				       "address 0x%" PRIx64
				       " is not mapped in snapshot %s",
				       addr, v->name);
	most = map->end - addr < len ? map->end - addr : len;
	pages = ((addr - start) + most + MSN_PAGE_MASK) >> MSN_PAGE_SHIFT;
	if (pages > WINDOW_PAGES)
		pages = WINDOW_PAGES;
	rc = fill_what_works(v, map, start, &pages, why);
	if (rc)
		return msn_pass(rc);
	*data = v->window + (addr - start);
	*shown = (size_t)(start + (pages << MSN_PAGE_SHIFT) - addr);
	if (*shown > most)
		*shown = (size_t)most;
	return 0;
}
