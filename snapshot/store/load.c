/*
 * Manifests out of the store, and packs locked against recycling.
 *
 * SPDX-License-Identifier: Apache-2.0
 *
 * Between reading the catalog and locking a pack, its snapshot may be removed
 * and the file taken for another pack.  So what looks like damage is damage
 * only if the catalog still has the snapshot.
 */
#include "base/alloc.h"
#include "base/error.h"
#include "base/fd.h"
#include "pack/frame_reader.h"
#include "store/store_private.h"

#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

int store_no_snapshot(const struct msn_store *store, struct msn_uid uid,
		      struct msn_failure *why)
{
	char text[MSN_UID_TEXT];

	msn_uid_format(uid, text);
	return msn_failure_set(why, -ENOENT, MSN_FAILURE_NOT_FOUND,
			       "there is no snapshot %s in store %s", text,
			       store->path);
}

static int damaged(const struct msn_store *store, struct msn_uid uid,
		   const char *what, uint64_t pack, struct msn_failure *why)
{
	char text[MSN_UID_TEXT];

	msn_uid_format(uid, text);
	return msn_failure_set(why, -EBADMSG, MSN_FAILURE_DATA_LOSS,
			       "snapshot %s is damaged: pack %016" PRIx64
			       " of store %s %s",
			       text, pack, store->path, what);
}

static bool is_gone(struct msn_store *store, struct msn_uid uid)
{
	struct msn_index_snapshot s;

	return msn_index_snapshot(store->index, uid, &s, NULL) ==
	       MSN_INDEX_E_ABSENT;
}

static int pack_outcome(struct msn_store *store, struct msn_uid uid,
			uint64_t id, int rc, struct msn_failure *why)
{
	switch (rc) {
	case MSN_PACK_E_NEWER:
		return msn_failure_set(why, -EOPNOTSUPP,
				       MSN_FAILURE_UNSUPPORTED,
				       "pack %016" PRIx64 " of store %s was "
				       "written by a newer program",
				       id, store->path);
	case MSN_PACK_E_BUSY:
		return msn_failure_set(why, -EBUSY, MSN_FAILURE_UNAVAILABLE,
				       "pack %016" PRIx64 " of store %s is "
				       "locked by another process",
				       id, store->path);
	case MSN_PACK_E_DAMAGED:
		return damaged(store, uid, "has a damaged header", id, why);
	case MSN_PACK_E_OTHER:
		return damaged(store, uid, "has the header of another one", id,
			       why);
	case -ENOENT:
		return damaged(store, uid, "is missing", id, why);
	default:
		return msn_failure_errno(why, rc,
					 "could not open pack %016" PRIx64
					 " of store %s",
					 id, store->path);
	}
}

int store_pack_open(struct msn_store *store, struct msn_uid uid,
		    struct msn_manifest_pack pack, int *fd,
		    struct msn_failure *why)
{
	struct msn_pack_header h = { store->uid, pack.id, pack.generation };
	int rc = msn_pack_open_read(store->packs, &h, fd);

	if (rc == 0)
		return 0;
	if ((rc > 0 || rc == -ENOENT) && is_gone(store, uid))
		return store_no_snapshot(store, uid, why);
	return pack_outcome(store, uid, pack.id, rc, why);
}

static int manifest_bytes(struct msn_store *store,
			  const struct msn_index_snapshot *s, uint8_t **out,
			  struct msn_failure *why)
{
	struct msn_frame_run runs[MSN_INDEX_RUNS_MAX];
	int fds[MSN_INDEX_RUNS_MAX];
	struct msn_frame_manifest m = {
		s->uid, s->manifest_bytes, s->manifest_sum, runs, fds, 0
	};
	int rc = 0;

	while (rc == 0 && m.run_count < s->run_count) {
		const struct msn_index_run *run = &s->runs[m.run_count];
		struct msn_manifest_pack pack = { run->pack_id,
						  run->generation };

		runs[m.run_count] =
			(struct msn_frame_run){ run->pack_id, run->generation,
						run->first, run->pages };
		rc = store_pack_open(store, s->uid, pack, &fds[m.run_count],
				     why);
		m.run_count += rc == 0;
	}
	if (rc == 0)
		rc = msn_frame_manifest_read(&m, out);
	while (m.run_count > 0)
		msn_close(fds[--m.run_count]);
	return msn_pass(rc);
}

static int load_failed(struct msn_store *store, struct msn_uid uid, int rc,
		       struct msn_failure *why)
{
	char text[MSN_UID_TEXT];

	msn_uid_format(uid, text);
	if (rc == -EBADMSG)
		return msn_failure_set(why, rc, MSN_FAILURE_DATA_LOSS,
				       "the manifest of snapshot %s in store "
				       "%s is damaged",
				       text, store->path);
	return msn_failure_errno(why, rc,
				 "could not read the manifest of snapshot %s "
				 "in store %s",
				 text, store->path);
}

/* It may have been renamed since it was saved. */
static int name_now(struct msn_manifest *m, const struct msn_index_snapshot *s)
{
	char *name;

	if (strcmp(m->name, s->name) == 0)
		return 0;
	name = msn_strdup(s->name);
	if (!name)
		return msn_fail(-ENOMEM);
	free(m->name);
	m->name = name;
	return 0;
}

int msn_store_load(struct msn_store *store, struct msn_uid uid,
		   struct msn_manifest **out, struct msn_failure *why)
{
	msn_auto(msn_manifest_freep) struct msn_manifest *m = NULL;
	msn_auto(msn_freep) uint8_t *bytes = NULL;
	struct msn_failure inner = { 0 };
	struct msn_index_snapshot s;
	int rc;

	rc = msn_index_snapshot(store->index, uid, &s, why);
	if (rc == MSN_INDEX_E_ABSENT)
		return store_no_snapshot(store, uid, why);
	if (rc)
		return msn_pass(rc);
	rc = manifest_bytes(store, &s, &bytes, why);
	if (rc)
		return load_failed(store, uid, rc, why);
	rc = msn_manifest_decode(&m, bytes, s.manifest_bytes, &inner);
	if (rc) {
		char text[MSN_UID_TEXT];

		msn_uid_format(uid, text);
		return msn_failure_set(why, rc, inner.kind,
				       "snapshot %s in store %s: %s", text,
				       store->path, inner.text);
	}
	if (!msn_uid_equal(m->uid, uid))
		return load_failed(store, uid, msn_fail(-EBADMSG), why);
	rc = name_now(m, &s);
	if (rc)
		return load_failed(store, uid, rc, why);
	*out = msn_steal(m);
	return 0;
}
