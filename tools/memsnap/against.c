/*
 * A snapshot and a process side by side.
 *
 * SPDX-License-Identifier: Apache-2.0
 *
 * Anonymous memory can be reserved by the terabyte, so addresses at which the
 * snapshot has no page are compared only where the process has one: the kernel
 * is asked by PAGEMAP_SCAN, and where it does not know that call every page is
 * compared.
 */
#include "against.h"

#include "base/alloc.h"
#include "base/error.h"
#include "base/fd.h"
#include "exit.h"
#include "maps.h"
#include "mm/maps_line.h"
#include "pagemap_scan.h"
#include "progress.h"
#include "range/range.h"
#include "view.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define CHUNK_BYTES (UINT64_C(1) << 20)

/* A maps listing: a line a mapping, each far shorter than this. */
#define MAPS_BYTES_MAX (UINT64_C(1) << 30)

struct against {
	const struct msn_manifest *m;
	const struct msn_against_opts *opts;
	struct msn_against sum;
	struct msn_view *view;
	struct msn_failure *why;
	int mem, pagemap;
	uint8_t *chunk;
	struct msn_addr_range run; /* empty: none open */
	struct msn_progress progress;
	uint64_t total_bytes, done_bytes;
};

/* ---- Mappings ------------------------------------------------------------*/

static void tell_line(struct against *a, char side, const char *text)
{
	a->sum.lines_differ++;
	if (a->opts->line)
		a->opts->line(a->opts->ctx, side, text);
}

/* Cuts the next line off *@at; NULL at the end. */
static char *next_line(char **at)
{
	char *line = *at, *end;

	if (!line || !*line)
		return NULL;
	end = strchr(line, '\n');
	*at = end ? end + 1 : NULL;
	if (end)
		*end = '\0';
	return line;
}

static void compare_lines(struct against *a, char *theirs)
{
	static char ours[MSN_MAPS_LINE_MAX];
	char *line = next_line(&theirs);
	size_t i = 0;

	while (i < a->m->mapping_count || line) {
		const struct msn_manifest_mapping *map = NULL;
		uint64_t start = line ? strtoull(line, NULL, 16) : UINT64_MAX;

		if (i < a->m->mapping_count)
			map = &a->m->mappings[i];
		if (map && map->start <= start) {
			ours[msn_maps_text(map, ours) - 1] = '\0';
			i++;
			if (line && strcmp(ours, line) == 0) {
				line = next_line(&theirs);
				continue;
			}
			tell_line(a, '-', ours);
		}
		if (line && (!map || map->start >= start)) {
			tell_line(a, '+', line);
			line = next_line(&theirs);
		}
	}
}

static int compare_maps(struct against *a)
{
	msn_auto(msn_freep) char *text = NULL;
	char path[64];
	int rc;

	snprintf(path, sizeof(path), "/proc/%d/maps", (int)a->opts->pid);
	rc = msn_read_file(&text, NULL, AT_FDCWD, path, MAPS_BYTES_MAX);
	if (rc)
		return msn_failure_errno(a->why, rc,
					 "cannot read the mappings of process "
					 "%d",
					 (int)a->opts->pid);
	compare_lines(a, text);
	return 0;
}

/* ---- Pages ---------------------------------------------------------------*/

static void tell_run(struct against *a)
{
	if (!msn_addr_range_empty(a->run) && a->opts->run) {
		msn_progress_end(&a->progress);
		a->opts->run(a->opts->ctx, a->run.start, a->run.end);
	}
	a->run = (struct msn_addr_range){};
}

static void add_differing(struct against *a, uint64_t addr)
{
	a->sum.pages_differ++;
	if (a->run.end != addr || msn_addr_range_empty(a->run)) {
		tell_run(a);
		a->run.start = addr;
	}
	a->run.end = addr + MSN_PAGE_SIZE;
}

/* Reads what the process has; pages that it cannot show stay short. */
static int read_process(struct against *a, uint64_t addr, size_t len,
			size_t *got)
{
	ssize_t n = msn_pread_full(a->mem, a->chunk, len, addr);

	if (n == -EIO && len > MSN_PAGE_SIZE)
		n = msn_pread_full(a->mem, a->chunk, MSN_PAGE_SIZE, addr);
	if (n == -EIO)
		n = 0;
	if (n < 0)
		return msn_failure_errno(a->why, (int)n,
					 "cannot read address 0x%" PRIx64
					 " of process %d",
					 addr, (int)a->opts->pid);
	*got = (size_t)n;
	return 0;
}

/* Compares from @addr on; *@done becomes where it ended. */
static int compare_some(struct against *a, uint64_t addr, uint64_t end,
			uint64_t *done)
{
	struct msn_failure f = {};
	const uint8_t *ours;
	size_t len, got;
	int rc;

	rc = msn_view_at(a->view, addr, end - addr, &ours, &len, &f);
	if (rc && f.kind == MSN_FAILURE_DATA_LOSS)
		return msn_failure_set(a->why, rc, f.kind, "%s", f.text);
	if (rc) {
		a->sum.pages_unknown += (end - addr) >> MSN_PAGE_SHIFT;
		*done = end;
		return 0;
	}
	if (len > CHUNK_BYTES)
		len = CHUNK_BYTES;
	rc = read_process(a, addr, len, &got);
	if (rc)
		return msn_pass(rc);
	*done = addr + (got ? got : MSN_PAGE_SIZE);
	for (uint64_t at = addr; at < *done; at += MSN_PAGE_SIZE) {
		a->sum.pages_compared++;
		if (!got || memcmp(ours + (at - addr), a->chunk + (at - addr),
				   MSN_PAGE_SIZE) != 0)
			add_differing(a, at);
	}
	return 0;
}

/*
 * What is to be compared next in [@addr, the mapping's end): empty at its end.
 * A piece never mixes pages of the snapshot with pages beneath.
 */
static struct msn_addr_range next_piece(const struct against *a,
					const struct msn_manifest_mapping *map,
					uint64_t addr)
{
	const struct msn_extent *e =
		msn_extents_lower(&a->m->pages, addr >> MSN_PAGE_SHIFT);
	uint64_t start = e ? e->page << MSN_PAGE_SHIFT : map->end;
	struct msn_addr_range r = { addr, map->end };

	if (start > addr) {
		if (start < r.end)
			r.end = start;
		if (map->kind == MSN_MAPPING_ANON)
			r = msn_pagemap_first(a->pagemap, r);
		return r;
	}
	start = (e->page + e->count) << MSN_PAGE_SHIFT;
	if (start < r.end)
		r.end = start;
	return r;
}

static int compare_mapping(struct against *a,
			   const struct msn_manifest_mapping *map)
{
	uint64_t addr = map->start;

	while (addr < map->end) {
		struct msn_addr_range r = next_piece(a, map, addr);
		int rc = 0;

		for (addr = r.start; !rc && addr < r.end;)
			rc = compare_some(a, addr, r.end, &addr);
		if (!rc && msn_progress_step(&a->progress,
					     a->done_bytes + addr - map->start,
					     a->total_bytes))
			rc = msn_interrupt_check("comparing", a->why);
		if (rc)
			return msn_pass(rc);
	}
	a->done_bytes += map->end - map->start;
	return 0;
}

static int compare_pages(struct against *a)
{
	int rc = 0;

	for (size_t i = 0; i < a->m->mapping_count; i++)
		a->total_bytes +=
			a->m->mappings[i].end - a->m->mappings[i].start;
	for (size_t i = 0; !rc && i < a->m->mapping_count; i++)
		if (a->m->mappings[i].kind != MSN_MAPPING_KERNEL)
			rc = compare_mapping(a, &a->m->mappings[i]);
	tell_run(a);
	return msn_pass(rc);
}

static int open_process(struct against *a)
{
	char path[64];

	snprintf(path, sizeof(path), "/proc/%d/mem", (int)a->opts->pid);
	a->mem = open(path, O_RDONLY | O_CLOEXEC);
	if (a->mem < 0)
		return msn_failure_errno(a->why, -errno,
					 "cannot read the memory of process %d",
					 (int)a->opts->pid);
	snprintf(path, sizeof(path), "/proc/%d/pagemap", (int)a->opts->pid);
	a->pagemap = open(path, O_RDONLY | O_CLOEXEC);
	a->chunk = msn_alloc(CHUNK_BYTES);
	if (!a->chunk)
		return msn_failure_errno(a->why, -ENOMEM, "cannot compare");
	return 0;
}

int msn_against(struct msn_store *store, const struct msn_manifest *m,
		const struct msn_against_opts *opts, struct msn_against *out,
		struct msn_failure *why)
{
	struct against a = {
		.m = m, .opts = opts, .why = why, .mem = -1, .pagemap = -1
	};
	int rc;

	msn_progress_begin(&a.progress, opts->cli, "comparing");
	rc = msn_view_new(&a.view, store, m, why);
	if (!rc)
		rc = open_process(&a);
	if (!rc)
		rc = compare_maps(&a);
	if (!rc)
		rc = compare_pages(&a);
	msn_progress_end(&a.progress);
	msn_view_free(a.view);
	msn_close(a.mem);
	msn_close(a.pagemap);
	free(a.chunk);
	if (!rc)
		*out = a.sum;
	return msn_pass(rc);
}
