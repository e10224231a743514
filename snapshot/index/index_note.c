/*
 * Notes of snapshots: a revision, and what a service says.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "base/alloc.h"
#include "base/error.h"
#include "base/limits.h"
#include "format/wire.h"
#include "index/index_private.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define REVISION_LEN 8

/* What stands in the table: the revision and the bytes. */
struct stored {
	uint8_t *bytes;
	size_t len;
};

static int stored_get(struct index_tx *tx, struct msn_uid uid,
		      struct stored *out)
{
	struct index_bytes key = index_uid_key(&uid), head;
	int rc = index_get(tx, INDEX_NOTES, key, &head);

	*out = (struct stored){ 0 };
	if (rc)
		return rc;
	rc = index_long_len(key, head, &out->len);
	if (rc == 0 && (out->len < REVISION_LEN ||
			out->len > REVISION_LEN + MSN_NOTE_BYTES_MAX))
		rc = msn_fail(-EBADMSG);
	if (rc)
		return msn_pass(rc);
	out->bytes = msn_alloc(out->len);
	if (!out->bytes)
		return msn_fail(-ENOMEM);
	return msn_pass(
		index_long_copy(tx, INDEX_NOTES, key, head, out->bytes));
}

int index_note_get(struct index_tx *tx, struct msn_uid uid,
		   struct msn_note *out)
{
	struct stored s;
	int rc = stored_get(tx, uid, &s);

	*out = (struct msn_note){ 0 };
	if (rc) {
		free(s.bytes);
		return rc == -ENOENT ? 0 : msn_pass(rc);
	}
	out->revision = msn_get64(s.bytes);
	out->len = s.len - REVISION_LEN;
	memmove(s.bytes, s.bytes + REVISION_LEN, out->len);
	out->bytes = s.bytes;
	if (out->revision)
		return 0;
	free(s.bytes);
	*out = (struct msn_note){ 0 };
	return msn_fail(-EBADMSG);
}

int index_note_put(struct index_tx *tx, struct msn_uid uid, uint64_t revision,
		   const void *bytes, size_t len)
{
	msn_auto(msn_freep) uint8_t *both = msn_alloc(REVISION_LEN + len);

	if (!both)
		return msn_fail(-ENOMEM);
	msn_put64(both, revision);
	if (len)
		memcpy(both + REVISION_LEN, bytes, len);
	return msn_pass(index_long_put(tx, INDEX_NOTES, index_uid_key(&uid),
				       both, REVISION_LEN + len));
}

int index_note_del(struct index_tx *tx, struct msn_uid uid)
{
	int rc = index_long_del(tx, INDEX_NOTES, index_uid_key(&uid));

	return rc == -ENOENT ? 0 : msn_pass(rc);
}

struct note_query {
	struct msn_uid uid;
	struct msn_note note;
};

static int note_read(struct index_tx *tx, void *arg)
{
	struct note_query *q = arg;
	struct msn_index_snapshot s;
	int rc = index_snapshot_get(tx, q->uid, &s);

	free(q->note.bytes);
	q->note = (struct msn_note){ 0 };
	return rc ? msn_pass(rc)
		  : msn_pass(index_note_get(tx, q->uid, &q->note));
}

int msn_index_note(struct msn_index *index, struct msn_uid uid,
		   struct msn_note *out, struct msn_failure *why)
{
	struct note_query q = { .uid = uid };
	int rc = index_read(index, note_read, &q, why);

	if (rc) {
		free(q.note.bytes);
		return msn_pass(rc);
	}
	*out = q.note;
	return 0;
}
