/*
 * Scene: a store, and a process to be captured into it.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "scene.h"

#include "support/check.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

void scene_start(struct scene *s, void (*fn)(struct victim_shared *))
{
	char path[80];

	*s = (struct scene){ 0 };
	strcpy(s->dir, "/tmp/memsnap-capture-XXXXXX");
	CHECK(mkdtemp(s->dir));
	/* First, so that it does not inherit what the store has mapped. */
	s->v = victim_run(fn);
	snprintf(path, sizeof(path), "%s/store", s->dir);
	CHECK(msn_store_open(
		      &s->store,
		      &(struct msn_store_opts){ .path = path, .create = true },
		      &s->why) == 0);
}

void scene_end(struct scene *s)
{
	char command[128];

	victim_end(&s->v);
	msn_manifest_free(s->m);
	msn_store_close(s->store);
	snprintf(command, sizeof(command), "rm -rf %s", s->dir);
	EXPECT(system(command) == 0);
}

void scene_capture(struct scene *s)
{
	const struct msn_capture_opts opts = { .pid = s->v.pid };
	int rc;

	rc = msn_capture(s->store, &opts, &s->uid, &s->stats, &s->why);
	if (rc)
		puts(s->why.text);
	CHECK(rc == 0);
	s->m = msn_manifest_free(s->m);
	CHECK(msn_store_load(s->store, s->uid, &s->m, &s->why) == 0);
}

const struct msn_manifest_mapping *scene_mapping(const struct scene *s)
{
	const struct msn_manifest_mapping *v =
		msn_manifest_mapping_at(s->m, s->v.shared->memory);

	CHECK(v);
	return v;
}

uint64_t scene_stored(const struct scene *s, uint64_t addr, uint64_t pages)
{
	uint64_t page = addr / PAGE, count = 0;

	for (size_t i = 0; i < s->m->pages.count; i++) {
		const struct msn_extent *e = &s->m->pages.list[i];

		for (uint32_t k = 0; k < e->count; k++)
			count += e->pack != MSN_EXTENT_ZERO &&
				 e->page + k >= page &&
				 e->page + k < page + pages;
	}
	return count;
}

void scene_page(const struct scene *s, uint64_t addr, void *out)
{
	struct msn_reader *r;
	struct msn_failure why = { 0 };

	memset(out, 0, PAGE);
	CHECK(msn_reader_new(&r, s->store, s->m, &why) == 0);
	CHECK(msn_reader_read(r, &s->m->pages, addr / PAGE, 1, out, &why) == 0);
	msn_reader_free(r);
}
