/*
 * Catalogs in temporary folders.  See index_fixture.h.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "fakes/index_fixture.h"

#include "base/alloc.h"
#include "support/check.h"

#include <stdio.h>
#include <string.h>
#include <unistd.h>

const struct msn_uid index_store_uid = { { 9, 8, 7 } };

char *index_dir_new(void)
{
	bool shm = access("/dev/shm", W_OK) == 0;
	char *dir =
		msn_format("%s/msn-index-XXXXXX", shm ? "/dev/shm" : "/tmp");

	CHECK(dir && mkdtemp(dir));
	return dir;
}

void index_dir_free(char *dir)
{
	static const char *const files[] = { "data.mdb", "lock.mdb" };

	for (size_t i = 0; i < MSN_ARRAY_LEN(files); i++) {
		msn_auto(msn_freep) char *path =
			msn_format("%s/%s", dir, files[i]);

		unlink(path);
	}
	rmdir(dir);
	free(dir);
}

struct msn_index *index_at(const char *dir, size_t map_bytes)
{
	struct msn_index_opts opts = { .dir = dir,
				       .where = "/the/store",
				       .store = index_store_uid,
				       .create = true,
				       .map_bytes = map_bytes };
	struct msn_failure why = { 0 };
	struct msn_index *index;

	if (msn_index_open(&index, &opts, &why)) {
		printf("(%s) ", why.text);
		CU_FAIL_FATAL("index");
	}
	return index;
}

struct msn_uid index_uid(unsigned n)
{
	struct msn_uid uid = { { 0 } };

	uid.bytes[0] = (uint8_t)(n >> 8);
	uid.bytes[1] = (uint8_t)n;
	uid.bytes[15] = 1;
	return uid;
}

int index_publish_with(struct msn_index *index, struct msn_uid uid,
		       const char *name, uint64_t first, size_t count,
		       int64_t created_ns, const struct msn_index_publish *more)
{
	struct msn_index_pack packs[8];
	struct msn_manifest_pack needs[8];
	struct msn_index_snapshot s = { .uid = uid,
					.created_ns = created_ns,
					.manifest_bytes = 100,
					.run_count = 1,
					.runs = { { first, 1, 1, 2 } } };
	struct msn_index_publish what = { 0 };

	CHECK(count <= MSN_ARRAY_LEN(packs));
	strcpy(s.name, name);
	for (size_t i = 0; i < count; i++) {
		packs[i] =
			(struct msn_index_pack){ .id = first + i,
						 .generation = 1,
						 .pages = 9,
						 .state = MSN_INDEX_PACK_OPEN };
		needs[i] = (struct msn_manifest_pack){ first + i, 1 };
	}
	if (more)
		what = *more;
	what.snapshot = &s;
	what.packs = packs;
	what.needs = needs;
	what.pack_count = what.need_count = count;
	return msn_index_publish(index, &what, NULL);
}

int index_publish(struct msn_index *index, struct msn_uid uid, const char *name,
		  uint64_t first, size_t count)
{
	return index_publish_with(index, uid, name, first, count, 0, NULL);
}

int index_remove(struct msn_index *index, struct msn_uid uid, bool *freed)
{
	struct msn_index_removal what = { .uid = uid,
					  .revision = MSN_NOTE_ANY };

	return msn_index_remove(index, &what, freed, NULL);
}

size_t index_count_all(struct msn_index *index)
{
	struct msn_index_snapshot *list;
	size_t count;

	CHECK(msn_index_snapshots(index, &list, &count, NULL) == 0);
	free(list);
	return count;
}
