/*
 * Which parts of the address space get bytes: the rules of corefile.h.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "base/alloc.h"
#include "base/error.h"
#include "base/fd.h"
#include "corefile/corefile_internal.h"

#include <elf.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

/*
 * Gaps of this size and larger get no bytes.  Holes cost nothing on disk but
 * count for the size of the file, of which file systems allow 16 TiB (ext4):
 * an address sanitizer's shadow alone is that large.
 */
#define CORE_GAP_BYTES (UINT64_C(64) << 30)

struct msn_core_layers msn_core_layers(const struct msn_manifest *m,
				       const struct msn_manifest_mapping *v)
{
	struct msn_core_layers l = { 0 };

	if (!v->shared || v->kind != MSN_MAPPING_OBJECT)
		l.list[l.count++] = (struct msn_core_layer){ &m->pages, 0 };
	if (v->kind == MSN_MAPPING_OBJECT)
		l.list[l.count++] = (struct msn_core_layer){
			&m->objects[v->object].pages,
			v->offset / MSN_PAGE_SIZE - v->start / MSN_PAGE_SIZE,
		};
	return l;
}

uint64_t msn_core_next_stored(const struct msn_core_layers *l, uint64_t page,
			      uint64_t end)
{
	for (size_t i = 0; i < l->count; i++) {
		uint64_t shift = l->list[i].shift;
		const struct msn_extent *e =
			msn_extents_lower(l->list[i].x, page + shift);

		if (e && e->page <= page + shift)
			return page;
		if (e && e->page - shift < end)
			end = e->page - shift;
	}
	return end;
}

/* The stored pages of one mapping, as runs of addresses. */
struct cursor {
	struct msn_core_layers layers;
	struct msn_addr_range left; /* of the mapping */
};

/* The end of the run of stored pages that @page is in; itself if in none. */
static uint64_t run_end(const struct msn_core_layers *l, uint64_t page)
{
	uint64_t at;

	do {
		at = page;
		for (size_t i = 0; i < l->count; i++) {
			uint64_t shift = l->list[i].shift;
			const struct msn_extent *e =
				msn_extents_lower(l->list[i].x, page + shift);

			if (e && e->page <= page + shift)
				page = e->page + e->count - shift;
		}
	} while (page != at);
	return page;
}

static bool next_run(struct cursor *c, struct msn_addr_range *out)
{
	uint64_t end = c->left.end / MSN_PAGE_SIZE, at;

	at = msn_core_next_stored(&c->layers, c->left.start / MSN_PAGE_SIZE,
				  end);
	if (at >= end)
		return false;
	out->start = at * MSN_PAGE_SIZE;
	at = run_end(&c->layers, at);
	out->end = (at < end ? at : end) * MSN_PAGE_SIZE;
	c->left.start = out->end;
	return true;
}

static int add(struct msn_core_plan *p, struct msn_addr_range addr,
	       uint64_t file_bytes, size_t mapping, bool host)
{
	int rc;

	if (msn_addr_range_empty(addr))
		return 0;
	rc = msn_grow((void **)&p->list, &p->cap, p->count, sizeof(*p->list));
	if (rc)
		return msn_pass(rc);
	p->list[p->count++] =
		(struct msn_core_segment){ addr, file_bytes, 0, mapping, host };
	p->file_bytes += file_bytes;
	return 0;
}

/*
 * Bytes where pages are stored, across gaps below @gap; none in larger gaps,
 * nor before and behind all if @gap does not span them.
 */
static int add_runs(struct msn_core_plan *p, struct cursor c, size_t mapping,
		    uint64_t gap)
{
	struct msn_addr_range whole = c.left, run, have;
	int rc = 0;

	have = (struct msn_addr_range){ whole.start, whole.start };
	while (rc == 0 && next_run(&c, &run)) {
		if (run.start - have.end < gap) {
			have.end = run.end;
			continue;
		}
		rc = add(p, have, msn_addr_range_length(have), mapping, false);
		if (rc == 0)
			rc = add(p,
				 (struct msn_addr_range){ have.end, run.start },
				 0, mapping, false);
		have = run;
	}
	if (rc == 0 && whole.end - have.end < gap)
		have.end = whole.end;
	if (rc == 0)
		rc = add(p, have, msn_addr_range_length(have), mapping, false);
	if (rc == 0)
		rc = add(p, (struct msn_addr_range){ have.end, whole.end }, 0,
			 mapping, false);
	return msn_pass(rc);
}

/* How far into the mapping its file has pages. */
static uint64_t file_end(const struct msn_manifest_mapping *v)
{
	uint64_t size;

	if (!msn_page_up(v->file_size, &size))
		size = msn_page_down(v->file_size);
	if (size <= v->offset)
		return 0;
	return size - v->offset < v->end - v->start ? size - v->offset
						    : v->end - v->start;
}

static bool is_elf(int fd)
{
	char magic[SELFMAG];

	return msn_pread_full(fd, magic, sizeof(magic), 0) == sizeof(magic) &&
	       memcmp(magic, ELFMAG, SELFMAG) == 0;
}

/* The last address behind which no page is stored. */
static uint64_t stored_end(struct cursor c)
{
	struct msn_addr_range run;
	uint64_t end = c.left.start;

	while (next_run(&c, &run))
		end = run.end;
	return end;
}

static int plan_file(struct msn_core_plan *p, const struct msn_manifest *m,
		     size_t i, struct cursor c, bool stored)
{
	const struct msn_manifest_mapping *v = &m->mappings[i];
	const struct msn_addr_range whole = { v->start, v->end };
	uint64_t bytes;

	if (!stored && v->offset != 0)
		return msn_pass(add(p, whole, 0, i, false));
	msn_auto(msn_closep) int fd = msn_core_open_same(v);
	if (fd < 0) {
		p->missing_count++;
		return msn_pass(stored ? add_runs(p, c, i, 1)
				       : add(p, whole, 0, i, false));
	}
	if (stored) {
		bytes = stored_end(c) - v->start;
		if (bytes < file_end(v))
			bytes = file_end(v);
	} else {
		bytes = is_elf(fd) ? MSN_PAGE_SIZE : 0;
	}
	return msn_pass(add(p, whole, bytes, i, bytes > 0));
}

static int plan_mapping(struct msn_core_plan *p, const struct msn_manifest *m,
			size_t i)
{
	const struct msn_manifest_mapping *v = &m->mappings[i];
	struct cursor c = { msn_core_layers(m, v), { v->start, v->end } };
	struct cursor look = c;
	struct msn_addr_range run;
	bool stored;

	stored = next_run(&look, &run);
	if (v->kind == MSN_MAPPING_FILE)
		return msn_pass(plan_file(p, m, i, c, stored));
	if (!stored)
		return msn_pass(add(p, c.left, 0, i, false));
	return msn_pass(add_runs(p, c, i, CORE_GAP_BYTES));
}

int msn_core_plan_make(struct msn_core_plan *p, const struct msn_manifest *m)
{
	*p = (struct msn_core_plan){ 0 };
	for (size_t i = 0; i < m->mapping_count; i++) {
		int rc = plan_mapping(p, m, i);

		if (rc) {
			msn_core_plan_deinit(p);
			return msn_pass(rc);
		}
	}
	return 0;
}

void msn_core_plan_deinit(struct msn_core_plan *p)
{
	free(p->list);
	p->list = NULL;
	p->count = p->cap = 0;
}
