/*
 * Service: all parts of memsnapd, put together.
 *
 * SPDX-License-Identifier: Apache-2.0
 *
 *    server ---> rpc ---> spaces ---> engine
 *                 |
 *                 +-----> operations, events
 *
 * Locks: thread of the loop.
 */
#ifndef MSN_DAEMON_SERVICE_H
#define MSN_DAEMON_SERVICE_H

#include "base/cleanup.h"
#include "base/failure.h"
#include "loop/loop.h"
#include "spaces/spaces.h"
#include "wire/server.h"

#include <stdint.h>

struct msn_service;

struct msn_service_opts {
	struct msn_loop *loop; /* borrowed */
	const char *version;   /* borrowed */
	struct msn_spaces_quotas quotas;
	struct msn_server_limits limits;
	unsigned workers;	       /* threads that may block; 0: 64 */
	unsigned operations;	       /* under way at once; 0: 64 */
	unsigned operations_per_owner; /* 0: 8 */
	size_t events_kept;	       /* 0: 16384 */
	uint64_t first_event;	       /* 0: 1 */
	int (*authenticate)(void *context, struct msn_peer *peer,
			    const char *token);
};

MSN_MUST_CHECK int msn_service_new(struct msn_service **out,
				   const struct msn_service_opts *opts,
				   struct msn_failure *why);

/* Ends what is under way and gives everything back.  NULL is allowed. */
struct msn_service *msn_service_free(struct msn_service *s);
MSN_DEFINE_AUTO(struct msn_service, msn_service_free)

/* Borrowed: to add listeners to. */
struct msn_server *msn_service_server(struct msn_service *s);

/* Lets calls end and exits the loop with code 0, after @timeout_ms at last. */
void msn_service_drain(struct msn_service *s, unsigned timeout_ms);

#endif /* MSN_DAEMON_SERVICE_H */
