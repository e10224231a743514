/*
 * Embed: what the handles of libmemsnap are inside.
 *
 * SPDX-License-Identifier: Apache-2.0
 *
 * Private to service/embed.  The public functions translate: options of any
 * age into complete ones, failures into struct memsnap_error, handles into the
 * parts below.  Everything else is done by those parts.
 */
#ifndef MSN_EMBED_EMBED_H
#define MSN_EMBED_EMBED_H

#include "base/cleanup.h"
#include "base/failure.h"
#include "format/uid.h"
#include "memfile/memfile.h"
#include "mm/mm.h"
#include "restore/restore.h"
#include "store/store.h"

#include <memsnap/memsnap.h>

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

struct memsnap_store {
	struct msn_store *store;
	pid_t owner; /* set once: the process that may use it */
};

struct memsnap_space {
	struct msn_account_table *accounts; /* of all that it has */
	struct msn_memfile *memfile;
	struct msn_mm *mm;
	struct msn_uid generation; /* set once; none for a created space */
	pid_t owner;		   /* set once */
};

struct memsnap_image {
	struct msn_opened *opened;
	struct msn_uid uid; /* set once */
	bool eager;	    /* set once */
	pid_t owner;	    /* set once; only asked of one on demand */
};

/*
 * Ends a public function: on failure fills @err from @why, or from @rc where
 * nobody below said more than a number.  Returns @rc.
 */
int msn_embed_finish(int rc, const struct msn_failure *why,
		     struct memsnap_error *err);

/*
 * Copies an options struct of the caller's age into @dst of @size bytes.  @src
 * begins with its own size; what it does not have is zero in @dst.  -EINVAL for
 * a size that cannot be, -E2BIG if it sets what this library does not know.
 * NULL gives all zeros.
 */
MSN_MUST_CHECK int msn_embed_take(void *dst, size_t size, const void *src,
				  const char *what, struct msn_failure *why);

/*
 * As above in the other direction: fills the caller's @dst, which begins with
 * its size, with as much of @src as fits, leaving that size as it is.  NULL is
 * allowed.
 */
MSN_MUST_CHECK int msn_embed_give(void *dst, const void *src, size_t size,
				  const char *what, struct msn_failure *why);

/* -EINVAL unless @flags has only bits of @known. */
MSN_MUST_CHECK int msn_embed_flags(uint32_t flags, uint32_t known,
				   const char *what, struct msn_failure *why);

/* -EPERM in any process but @owner. */
MSN_MUST_CHECK int msn_embed_owner(pid_t owner, const char *what,
				   struct msn_failure *why);

/*
 * Makes an empty space over @region of this process.
 */
MSN_MUST_CHECK int msn_embed_space_new(struct memsnap_space **out,
				       struct msn_addr_range region,
				       struct msn_failure *why);

static inline void msn_embed_space_destroyp(struct memsnap_space **space)
{
	memsnap_space_destroy(*space);
}

/* A public uid is a uid of the store: the same 16 bytes. */
static inline struct memsnap_uid msn_embed_uid(struct msn_uid uid)
{
	struct memsnap_uid out;

	__builtin_memcpy(out.bytes, uid.bytes, sizeof(out.bytes));
	return out;
}

/* Stats in bytes.  The size member is set to the library's. */
struct memsnap_stats msn_embed_stats(const struct msn_manifest_stats *pages);

#endif /* MSN_EMBED_EMBED_H */
