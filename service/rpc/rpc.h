/*
 * RPC: the handlers of the API, over what the service holds.
 *
 * SPDX-License-Identifier: Apache-2.0
 *
 * One file a noun; each ends with its table of methods.  A handler takes a
 * request apart, calls the part that does the work, and puts the answer
 * together; it decides nothing.
 *
 * To add an RPC: its messages in the .proto, a handler and a row in the file of
 * its noun.
 */
#ifndef MSN_RPC_RPC_H
#define MSN_RPC_RPC_H

#include "loop/loop.h"
#include "operations/operations.h"
#include "spaces/spaces.h"
#include "standard/standard.h"
#include "wire/method.h"
#include "wire/peer.h"

struct msn_events;
struct msn_requests;
struct msn_call;

/* What handlers work on: the context of the server (msn_call_context()). */
struct msn_rpc {
	struct msn_standard standard; /* first: see standard.h */
	struct msn_loop *loop;
	struct msn_workers *workers;
	struct msn_spaces *spaces;
	struct msn_operations *operations;
	struct msn_events *events;
	struct msn_requests *requests;

	/*
	 * Opens a file by a path that the caller gave, with the caller's
	 * rights.  0 or a negated errno with @why filled.  NULL: no paths.
	 */
	int (*open_path)(const struct msn_peer *peer, const char *path,
			 bool writable, int *fd, struct msn_status *why);
	const char *version;
};

/* Tables of methods, and NULL behind the last. */
extern const struct msn_method *const msn_rpc_tables[];

extern const struct msn_method msn_rpc_space[], msn_rpc_mapping[],
	msn_rpc_memory[], msn_rpc_operation[], msn_rpc_event[], msn_rpc_admin[];

#endif /* MSN_RPC_RPC_H */
