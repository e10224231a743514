/*
 * Service: making all parts in the order of their floors, and ending them in
 * the other.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "daemon/service.h"

#include "base/alloc.h"
#include "base/assert.h"
#include "base/error.h"
#include "descriptors/descriptors.h"
#include "events/events.h"
#include "operations/operations.h"
#include "rpc/requests.h"
#include "rpc/rpc.h"
#include "standard/standard.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

#define NS_PER_S UINT64_C(1000000000)

/* Answers of calls with a request_id: a day, and what a busy client makes. */
#define REQUESTS_KEPT 65536
#define REQUESTS_BYTES ((size_t)64 << 20)
#define REQUESTS_NS (24 * 3600 * NS_PER_S)

/* Operations that ended: a day, or so many. */
#define OPERATIONS_KEPT 4096
#define OPERATIONS_NS (24 * 3600 * NS_PER_S)

/* Tasks that wait for a worker: past it calls are told to try again. */
#define WORK_QUEUE 4096

/* A worker without work ends after this. */
#define WORK_IDLE_MS 10000

struct msn_service {
	struct msn_rpc rpc; /* first: the context of calls */
	struct msn_workers *calls, *long_work;
	struct msn_methods *methods;
	struct msn_server *server;
	bool standard; /* rpc.standard was made */
};

static unsigned or_default(unsigned n, unsigned usual)
{
	return n ? n : usual;
}

static int make_workers(struct msn_service *s,
			const struct msn_service_opts *opts)
{
	struct msn_workers_opts calls = {
		.name = "call",
		.threads_max = or_default(opts->workers, 64),
		.queue_max = WORK_QUEUE,
		.idle_ms = WORK_IDLE_MS,
	};
	struct msn_workers_opts long_work = {
		.name = "operation",
		.threads_max = or_default(opts->operations, 64),
		.queue_max = WORK_QUEUE,
		.idle_ms = WORK_IDLE_MS,
	};
	int rc = msn_workers_new(&s->calls, &calls);

	if (!rc)
		rc = msn_workers_new(&s->long_work, &long_work);
	s->rpc.workers = s->calls;
	return msn_pass(rc);
}

static void operation_ended(void *ctx, struct msn_operation *op)
{
	struct msn_service *s = ctx;
	struct msn_event e = { .type = MSN_EVENT_OPERATION_ENDED };
	struct msn_operation_view v;

	msn_operation_look(op, &v);
	snprintf(e.owner, sizeof(e.owner), "%s", v.owner);
	snprintf(e.subject, sizeof(e.subject), "%s", v.name);
	snprintf(e.name, sizeof(e.name), "%s", v.target);
	snprintf(e.trace_id, sizeof(e.trace_id), "%s", v.trace_id);
	msn_events_post(s->rpc.events, &e);
}

static int make_held(struct msn_service *s, const struct msn_service_opts *opts)
{
	struct msn_spaces_opts spaces = { .quotas = opts->quotas };
	struct msn_operations_opts operations = {
		.loop = opts->loop,
		.workers = s->long_work,
		.running_max = or_default(opts->operations, 64),
		.running_per_owner_max =
			or_default(opts->operations_per_owner, 8),
		.kept_max = OPERATIONS_KEPT,
		.kept_ns = OPERATIONS_NS,
		.ended = operation_ended,
		.ctx = s,
	};
	struct msn_events_opts events = {
		.loop = opts->loop,
		.kept_max = opts->events_kept ? opts->events_kept : 16384,
		.first_sequence = opts->first_event ? opts->first_event : 1,
	};
	struct msn_requests_opts requests = { REQUESTS_KEPT, REQUESTS_BYTES,
					      REQUESTS_NS };
	int rc = msn_spaces_new(&s->rpc.spaces, &spaces);

	if (!rc)
		rc = msn_events_new(&s->rpc.events, &events);
	if (!rc)
		rc = msn_operations_new(&s->rpc.operations, &operations);
	if (!rc)
		rc = msn_requests_new(&s->rpc.requests, &requests);
	return msn_pass(rc);
}

/* Our tables and those that every server has, for the lookup. */
static int make_methods(struct msn_service *s, struct msn_failure *why)
{
	const struct msn_method *tables[32] = { msn_health_methods,
						msn_reflection_methods };
	size_t n = 2, len;
	const void *set = msn_descriptors(&len);
	int rc;

	for (size_t i = 0; msn_rpc_tables[i]; i++) {
		msn_assert(n + 1 < MSN_ARRAY_LEN(tables));
		tables[n++] = msn_rpc_tables[i];
	}
	rc = msn_methods_new(&s->methods, tables, set, len, why);
	if (!rc)
		rc = msn_standard_init(&s->rpc.standard, s->methods, set, len);
	s->standard = !rc;
	return msn_pass(rc);
}

static bool healthy(void *context)
{
	struct msn_service *s = context;

	return msn_health_get(&s->rpc.standard);
}

static int make_server(struct msn_service *s,
		       const struct msn_service_opts *opts,
		       struct msn_failure *why)
{
	struct msn_server_opts server = {
		.loop = opts->loop,
		.workers = s->calls,
		.methods = s->methods,
		.limits = opts->limits,
		.context = s,
		.authenticate = opts->authenticate,
		.healthy = healthy,
	};

	return msn_pass(msn_server_new(&s->server, &server, why));
}

int msn_service_new(struct msn_service **out,
		    const struct msn_service_opts *opts,
		    struct msn_failure *why)
{
	msn_auto(msn_service_freep) struct msn_service *s = NULL;
	int rc;

	s = msn_alloc(sizeof(*s));
	if (!s)
		return msn_failure_errno(why, -ENOMEM, "cannot start");
	s->rpc.loop = opts->loop;
	s->rpc.version = opts->version;
	rc = make_workers(s, opts);
	if (!rc)
		rc = make_held(s, opts);
	if (!rc)
		rc = make_methods(s, why);
	if (!rc)
		rc = make_server(s, opts, why);
	if (rc)
		return msn_failure_errno(why, rc, "cannot start");
	msn_events_post(
		s->rpc.events,
		&(struct msn_event){ .type = MSN_EVENT_SERVICE_STARTED });
	*out = msn_steal(s);
	return 0;
}

struct msn_service *msn_service_free(struct msn_service *s)
{
	if (!s)
		return NULL;
	/* Calls first: they use everything else. */
	msn_server_free(s->server);
	msn_workers_free(s->calls);
	msn_workers_free(s->long_work);
	if (s->standard)
		msn_standard_deinit(&s->rpc.standard);
	msn_methods_free(s->methods);
	msn_requests_free(s->rpc.requests);
	msn_operations_free(s->rpc.operations);
	msn_events_free(s->rpc.events);
	msn_spaces_free(s->rpc.spaces);
	free(s);
	return NULL;
}

struct msn_server *msn_service_server(struct msn_service *s)
{
	return s->server;
}

static void drained(void *context)
{
	struct msn_service *s = context;

	msn_loop_exit(s->rpc.loop, 0);
}

void msn_service_drain(struct msn_service *s, unsigned timeout_ms)
{
	msn_health_end(&s->rpc.standard);
	msn_server_drain(s->server, timeout_ms, drained, s);
}
