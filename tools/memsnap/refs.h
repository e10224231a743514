/*
 * Refs: the words of a command line become stores, snapshots and numbers.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#ifndef MSN_TOOLS_REFS_H
#define MSN_TOOLS_REFS_H

#include "cmd.h"
#include "format/manifest.h"
#include "store/store.h"

#include <stdint.h>
#include <sys/types.h>

enum msn_store_use {
	MSN_STORE_READ,	  /* never makes or changes anything */
	MSN_STORE_CHANGE, /* changes what is there */
	MSN_STORE_CREATE, /* makes it, and the folders above it, if missing */
};

/* Sees to it that cli->store_path is set: --store, or the default. */
MSN_MUST_CHECK int msn_refs_store_path(struct msn_cli *cli);

/* Opens the store of this run.  NOT_FOUND says that there is none. */
MSN_MUST_CHECK int msn_refs_store(struct msn_cli *cli, enum msn_store_use use,
				  struct msn_store **out);

/* Resolves @ref and asks what a listing shows of it. */
MSN_MUST_CHECK int msn_refs_info(struct msn_cli *cli, struct msn_store *store,
				 const char *ref,
				 struct msn_snapshot_info *out);

/* Resolves @ref and reads its manifest. */
MSN_MUST_CHECK int msn_refs_load(struct msn_cli *cli, struct msn_store *store,
				 const char *ref, struct msn_manifest **out);

/*
 * Resolves @ref, also where everything else about the snapshot is damaged.
 */
MSN_MUST_CHECK int msn_refs_find(struct msn_cli *cli, struct msn_store *store,
				 const char *ref, struct msn_uid *out);

/*
 * Parses a number: decimal, or hexadecimal behind 0x.  INVALID names @what.
 * With @sizes K, M, G and T may follow, each 1024 of the one before.
 */
MSN_MUST_CHECK int msn_refs_number(struct msn_cli *cli, const char *what,
				   const char *text, bool sizes, uint64_t *out);

/* Parses a process id and sees whether there is such a process. */
MSN_MUST_CHECK int msn_refs_pid(struct msn_cli *cli, const char *text,
				pid_t *out);

#endif /* MSN_TOOLS_REFS_H */
