/*
 * Spaces: the address spaces that the service holds.
 *
 * SPDX-License-Identifier: Apache-2.0
 *
 * A registry of spaces by owner and name, over one memory file.  Each space has
 * an account of its own, which pays for its pages; what a fork or a clone
 * shares with others is paid by whoever had it first.
 *
 *    begin --> empty, hidden --> publish --> READY <--> SAVING
 *                    |                         |
 *                    +------ unref ------------+-- delete --> gone
 *
 * A space is found by its owner only: another one gets the same answer as for a
 * space that never was.  It lives in this process; what must outlast it is
 * saved.
 *
 * Locks: the registry's (MSN_RANK_SPACES) is held for lookups only, a space's
 * (MSN_RANK_SPACE) over labels, limits and state; neither while mm is called.
 * The gate keeps calls that change a space apart from a save of it.
 */
#ifndef MSN_SPACES_SPACES_H
#define MSN_SPACES_SPACES_H

#include "base/cleanup.h"
#include "format/uid.h"
#include "mm/mm.h"
#include "status/status.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Owners and names with their terminating zeros. */
#define MSN_OWNER_TEXT 80
#define MSN_SPACE_NAME_TEXT 64

/* Labels of one space or snapshot. */
#define MSN_LABELS_MAX 64
#define MSN_LABEL_KEY_MAX 63
#define MSN_LABEL_VALUE_MAX 4096

struct msn_spaces;

/* What one space, and one owner, may have.  0: no limit. */
struct msn_spaces_quotas {
	uint64_t spaces, spaces_per_owner;
	uint64_t mapped_bytes; /* of one space, unless it says less */
	uint64_t memory_bytes; /* likewise */
	uint64_t mappings;     /* likewise */
};

struct msn_spaces_opts {
	struct msn_spaces_quotas quotas;
};

MSN_MUST_CHECK int msn_spaces_new(struct msn_spaces **out,
				  const struct msn_spaces_opts *opts);

/* Before: nobody has a reference on a space.  NULL is allowed. */
struct msn_spaces *msn_spaces_free(struct msn_spaces *s);
MSN_DEFINE_AUTO(struct msn_spaces, msn_spaces_free)

/* Replaces the quotas; what is there stays. */
void msn_spaces_set_quotas(struct msn_spaces *s,
			   const struct msn_spaces_quotas *quotas);

/* The memory file that all spaces share; for shared objects. */
struct msn_memfile *msn_spaces_memfile(struct msn_spaces *s);
struct msn_account_table *msn_spaces_accounts(struct msn_spaces *s);

/* ---- One space ----------------------------------------------------------- */

struct msn_label_pair {
	char *key, *value;
};

/* Sorted by key, each key once. */
struct msn_labels {
	struct msn_label_pair *at;
	size_t count;
};

/* Zero: what the quotas say. */
struct msn_space_limits {
	uint64_t address_space_bytes, data_bytes, locked_bytes;
	uint64_t mappings, memory_bytes;
};

enum msn_space_state {
	MSN_SPACE_READY = 1,
	MSN_SPACE_SAVING,
	MSN_SPACE_RESTORING, /* begun and not published */
};

struct msn_space;

struct msn_space *msn_space_ref(struct msn_space *space);
/* The last one of a space that is gone frees it; may take long.  NULL is
 * allowed.  Returns NULL. */
struct msn_space *msn_space_unref(struct msn_space *space);
MSN_DEFINE_AUTO(struct msn_space, msn_space_unref)

/* What is set once and may be read by anybody with a reference. */
const char *msn_space_name(const struct msn_space *space);
const char *msn_space_owner(const struct msn_space *space);
struct msn_uid msn_space_uid(const struct msn_space *space);
msn_account_id msn_space_account(const struct msn_space *space);
struct msn_mm *msn_space_mm(struct msn_space *space);

/* Everything that a listing shows, at one moment; to be deinited. */
struct msn_space_view {
	char name[MSN_SPACE_NAME_TEXT], owner[MSN_OWNER_TEXT];
	struct msn_uid uid, generation;
	struct msn_uid parent; /* snapshot; none */
	enum msn_space_state state;
	int64_t created_ns; /* since the epoch */
	uint64_t etag;
	struct msn_space_limits limits;
	struct msn_labels labels;
	uint64_t mapping_count, mapped_bytes, resident_bytes;
};
MSN_MUST_CHECK int msn_space_look(struct msn_space *space,
				  struct msn_space_view *out);
void msn_space_view_deinit(struct msn_space_view *view);

/* ---- Making and finding -------------------------------------------------- */

struct msn_space_begin {
	const char *owner;
	const char *name;	  /* NULL or "": made up */
	struct msn_labels labels; /* copied */
	struct msn_space_limits limits;
	struct msn_uid generation; /* of a restored one; else none */
	struct msn_uid parent;
};

/*
 * Makes an empty space that holds its name and that nobody finds yet.  *@out is
 * a reference; dropped without publishing, it never was.  Fills @why:
 * INVALID_ARGUMENT a name, ALREADY_EXISTS, and RESOURCE_EXHAUSTED
 * (SPACE_QUOTA).
 */
MSN_MUST_CHECK int msn_spaces_begin(struct msn_spaces *s,
				    const struct msn_space_begin *opts,
				    struct msn_space **out,
				    struct msn_status *why);

/* From now on it is found. */
void msn_spaces_publish(struct msn_spaces *s, struct msn_space *space);

/*
 * A fork(2) of @parent, not published yet.  Keeps calls out of the parent for
 * as long as that takes.
 */
MSN_MUST_CHECK int msn_spaces_fork(struct msn_spaces *s,
				   struct msn_space *parent,
				   const struct msn_space_begin *opts,
				   struct msn_space **out,
				   struct msn_status *why);

/*
 * The space that @owner calls @ref (name, or uid).  NOT_FOUND
 * (SPACE_NOT_FOUND), whoever else has one of that name.
 */
MSN_MUST_CHECK int msn_spaces_find(struct msn_spaces *s, const char *owner,
				   const char *ref, struct msn_space **out,
				   struct msn_status *why);

/*
 * Up to @max references on @owner's spaces (NULL: everybody's) in the order of
 * their names, those after @after ("": from the first).  *@out is an array for
 * free().
 */
MSN_MUST_CHECK int msn_spaces_list(struct msn_spaces *s, const char *owner,
				   const char *after, size_t max,
				   struct msn_space ***out, size_t *count);

/*
 * Makes @space gone: nobody finds it any more; it is freed when the last
 * reference goes.  FAILED_PRECONDITION (SPACE_BUSY) while it is being saved,
 * unless @force; ABORTED (ETAG_MISMATCH) if @etag is neither 0 nor its own;
 * NOT_FOUND if somebody else was quicker.
 */
struct msn_space_delete {
	bool force, dry_run;
	uint64_t etag;
};
MSN_MUST_CHECK int msn_spaces_delete(struct msn_spaces *s,
				     struct msn_space *space,
				     const struct msn_space_delete *opts,
				     struct msn_status *why);

/* Replaces labels and limits; members of @limits that are 0 stay. */
struct msn_space_update {
	struct msn_labels set;
	const char *const *remove;
	size_t remove_count;
	struct msn_space_limits limits;
	uint64_t etag;
};
MSN_MUST_CHECK int msn_space_update(struct msn_space *space,
				    const struct msn_space_update *opts,
				    struct msn_status *why);

/* The snapshot that it was last saved as. */
void msn_space_set_parent(struct msn_space *space, struct msn_uid parent);

struct msn_spaces_usage {
	uint64_t spaces, resident_bytes;
};
/* Of @owner, NULL: of all. */
void msn_spaces_usage(struct msn_spaces *s, const char *owner,
		      struct msn_spaces_usage *out);

/* ---- The gate ------------------------------------------------------------ */

/*
 * Around each call that may change the space: waits while it is saved or
 * forked.  Any number of threads are inside.  Held for one call, not for a
 * stream of them.
 */
void msn_space_enter(struct msn_space *space);
void msn_space_leave(struct msn_space *space);

/*
 * Around what needs the space to stand still: waits for those inside, keeps
 * others out.  Those that wait to enter come after it.  FAILED_PRECONDITION
 * (SPACE_BUSY) when it is being saved already.
 */
MSN_MUST_CHECK int msn_space_freeze(struct msn_space *space,
				    enum msn_space_state state,
				    struct msn_status *why);
void msn_space_thaw(struct msn_space *space);

/* ---- Labels -------------------------------------------------------------- */

/* Copied.  INVALID_ARGUMENT names the label and what is wrong with it. */
MSN_MUST_CHECK int msn_labels_set(struct msn_labels *l, const char *key,
				  const char *value, struct msn_status *why);
void msn_labels_unset(struct msn_labels *l, const char *key);
const char *msn_labels_find(const struct msn_labels *l, const char *key);
MSN_MUST_CHECK int msn_labels_copy(struct msn_labels *out,
				   const struct msn_labels *from);
void msn_labels_deinit(struct msn_labels *l);

#endif /* MSN_SPACES_SPACES_H */
