/*
 * OperationService, and how calls wait for operations.
 *
 * SPDX-License-Identifier: Apache-2.0
 *
 * Whoever waits takes no thread: a watch on the operation and a timer of the
 * loop end the call.  All of it runs on the loop thread.
 */
#include "rpc/rpc.h"

#include "base/alloc.h"
#include "base/error.h"
#include "rpc/convert.h"
#include "rpc/filter.h"
#include "rpc/wait.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

/* A watch's interval: usual, and least. */
#define INTERVAL_NS UINT64_C(250000000)
#define INTERVAL_MIN_NS UINT64_C(10000000)

/* ---- Waiting ------------------------------------------------------------- */

struct waiter {
	struct msn_call *call; /* a reference */
	struct msn_operation *op;
	struct msn_operation_watch watch;
	sd_event_source *timer; /* or NULL */
	uint64_t interval_ns;	/* of a watch stream; else 0 */
	bool changed;		/* since the last message */
	bool due;		/* an unfinished one will do */
	rpc_wait_fn answer;
};

static void waiter_free(struct waiter *w)
{
	msn_call_on_cancel(w->call, NULL, NULL);
	msn_operation_unwatch(&w->watch);
	sd_event_source_disable_unref(w->timer);
	msn_operation_unref(w->op);
	msn_call_unref(w->call);
	free(w);
}

static void waiter_end(struct waiter *w, int rc)
{
	struct msn_call *call = msn_call_ref(w->call);

	waiter_free(w);
	msn_call_finish(call, rc);
	msn_call_unref(call);
}

static bool is_done(const struct waiter *w)
{
	struct msn_operation_view v;

	msn_operation_look(w->op, &v);
	return v.done;
}

/* One that is still queued is not shown: it might not survive a crash. */
static bool can_answer(const struct waiter *w)
{
	struct msn_operation_view v;

	msn_operation_look(w->op, &v);
	return v.done || (w->due && v.phase != MSN_PHASE_QUEUED);
}

static void answer_if_can(struct waiter *w)
{
	if (can_answer(w))
		waiter_end(w, w->answer(w->call, w->op));
}

static void on_changed(struct msn_operation_watch *watch)
{
	answer_if_can(msn_container_of(watch, struct waiter, watch));
}

static int on_time(sd_event_source *source, uint64_t usec, void *ctx)
{
	struct waiter *w = ctx;

	(void)source;
	(void)usec;
	w->due = true;
	answer_if_can(w);
	return 0;
}

static void on_cancel(struct msn_call *call, void *ctx)
{
	(void)call;
	waiter_end(ctx, -ECANCELED);
}

static int set_timer(struct waiter *w, uint64_t in_ns,
		     sd_event_time_handler_t fn)
{
	sd_event *event = msn_loop_event(rpc_of(w->call)->loop);

	return sd_event_add_time_relative(event, &w->timer, CLOCK_MONOTONIC,
					  in_ns / 1000, 0, fn, w);
}

static struct waiter *waiter_new(struct msn_call *call,
				 struct msn_operation *op, rpc_wait_fn answer)
{
	struct waiter *w = msn_alloc(sizeof(*w));

	if (!w)
		return NULL;
	w->call = msn_call_ref(call);
	w->op = msn_operation_ref(op);
	w->answer = answer;
	return w;
}

int rpc_wait(struct msn_call *call, struct msn_operation *op, uint64_t wait_ns,
	     rpc_wait_fn answer)
{
	struct waiter *w = waiter_new(call, op, answer);
	int rc = 0;

	if (!w)
		return msn_fail(-ENOMEM);
	w->watch.fn = on_changed;
	w->due = !wait_ns;
	msn_operation_watch(op, &w->watch);
	if (can_answer(w)) {
		waiter_free(w);
		return msn_pass(answer(call, op));
	}
	if (!w->due && wait_ns != UINT64_MAX)
		rc = set_timer(w, wait_ns, on_time);
	if (rc) {
		waiter_free(w);
		return msn_pass(rc);
	}
	msn_call_on_cancel(call, on_cancel, w);
	return MSN_METHOD_E_LATER;
}

/* ---- Watching: a stream -------------------------------------------------- */

static int send_state(struct msn_call *call, struct msn_operation *op)
{
	Memsnap__V1__WatchOperationResponse m;
	int rc;

	memsnap__v1__watch_operation_response__init(&m);
	rc = rpc_operation(call, op, &m.operation);
	return rc ? msn_pass(rc) : msn_call_send(call, &m.base, NULL);
}

static void watch_changed(struct msn_operation_watch *watch)
{
	struct waiter *w = msn_container_of(watch, struct waiter, watch);

	w->changed = true;
	if (is_done(w))
		waiter_end(w, send_state(w->call, w->op));
}

/* The newest state wins; a client that does not read misses some. */
static int watch_time(sd_event_source *source, uint64_t usec, void *ctx)
{
	struct waiter *w = ctx;
	int rc = w->changed ? send_state(w->call, w->op) : 0;

	(void)usec;
	if (rc && rc != -EAGAIN) {
		waiter_end(w, rc);
		return 0;
	}
	w->changed = w->changed && rc;
	sd_event_source_set_time_relative(source, w->interval_ns / 1000);
	sd_event_source_set_enabled(source, SD_EVENT_ONESHOT);
	return 0;
}

static int watch_operation(struct msn_call *call, struct msn_operation *op,
			   uint64_t interval_ns)
{
	struct waiter *w = waiter_new(call, op, NULL);
	int rc;

	if (!w)
		return msn_fail(-ENOMEM);
	w->interval_ns = interval_ns;
	w->watch.fn = watch_changed;
	msn_operation_watch(op, &w->watch);
	rc = send_state(call, op);
	if (!rc && is_done(w)) {
		waiter_free(w);
		return 0;
	}
	if (!rc)
		rc = set_timer(w, interval_ns, watch_time);
	if (rc) {
		waiter_free(w);
		return msn_pass(rc);
	}
	msn_call_on_cancel(call, on_cancel, w);
	return MSN_METHOD_E_LATER;
}

/* ---- Handlers ------------------------------------------------------------ */

static int find(struct msn_call *call, const char *name,
		struct msn_operation **out)
{
	return msn_pass(msn_operations_find(rpc_of(call)->operations,
					    msn_call_peer(call)->owner, name,
					    out, msn_call_status(call)));
}

static int get(struct msn_call *call, const ProtobufCMessage *request)
{
	const Memsnap__V1__GetOperationRequest *r = (const void *)request;
	msn_auto(msn_operation_unrefp) struct msn_operation *op = NULL;
	Memsnap__V1__GetOperationResponse answer;
	int rc = find(call, r->operation, &op);

	memsnap__v1__get_operation_response__init(&answer);
	if (!rc)
		rc = rpc_operation(call, op, &answer.operation);
	return rc ? msn_pass(rc)
		  : msn_pass(msn_call_send(call, &answer.base, NULL));
}

static int answer_wait(struct msn_call *call, struct msn_operation *op)
{
	Memsnap__V1__WaitOperationResponse answer;
	int rc;

	memsnap__v1__wait_operation_response__init(&answer);
	rc = rpc_operation(call, op, &answer.operation);
	return rc ? msn_pass(rc)
		  : msn_pass(msn_call_send(call, &answer.base, NULL));
}

static int wait_one(struct msn_call *call, const ProtobufCMessage *request)
{
	const Memsnap__V1__WaitOperationRequest *r = (const void *)request;
	msn_auto(msn_operation_unrefp) struct msn_operation *op = NULL;
	uint64_t ns;
	int rc = find(call, r->operation, &op);

	if (!rc)
		rc = rpc_take_duration(call, "timeout", r->timeout, UINT64_MAX,
				       &ns);
	return rc ? msn_pass(rc) : rpc_wait(call, op, ns, answer_wait);
}

static int watch(struct msn_call *call, const ProtobufCMessage *request)
{
	const Memsnap__V1__WatchOperationRequest *r = (const void *)request;
	msn_auto(msn_operation_unrefp) struct msn_operation *op = NULL;
	uint64_t ns;
	int rc = find(call, r->operation, &op);

	if (!rc)
		rc = rpc_take_duration(call, "interval", r->interval,
				       INTERVAL_NS, &ns);
	if (rc)
		return msn_pass(rc);
	return watch_operation(call, op,
			       ns < INTERVAL_MIN_NS ? INTERVAL_MIN_NS : ns);
}

static int cancel(struct msn_call *call, const ProtobufCMessage *request)
{
	const Memsnap__V1__CancelOperationRequest *r = (const void *)request;
	msn_auto(msn_operation_unrefp) struct msn_operation *op = NULL;
	Memsnap__V1__CancelOperationResponse answer;
	int rc = find(call, r->operation, &op);

	if (rc)
		return msn_pass(rc);
	memsnap__v1__cancel_operation_response__init(&answer);
	msn_operation_cancel(op);
	rc = rpc_operation(call, op, &answer.operation);
	return rc ? msn_pass(rc)
		  : msn_pass(msn_call_send(call, &answer.base, NULL));
}

/* ---- List ---------------------------------------------------------------- */

static const char *const filter_keys[] = { "kind", "target", "done", NULL };

static const char *value_of(const void *thing, const char *key)
{
	const Memsnap__V1__Operation *m = thing;
	const ProtobufCEnumValue *kind;

	if (strcmp(key, "target") == 0)
		return m->target;
	if (strcmp(key, "done") == 0)
		return m->done ? "true" : "false";
	kind = protobuf_c_enum_descriptor_get_value(
		&memsnap__v1__operation_kind__descriptor, (int)m->kind);
	return kind ? kind->name : NULL;
}

static int show_page(struct msn_call *call, const struct rpc_filter *filter,
		     struct msn_operation *const *list, size_t n,
		     Memsnap__V1__ListOperationsResponse *answer)
{
	int rc = 0;

	answer->operations = msn_call_alloc(call, (n + 1) * sizeof(void *));
	if (!answer->operations)
		return msn_fail(-ENOMEM);
	for (size_t i = 0; !rc && i < n; i++) {
		Memsnap__V1__Operation *m = NULL;

		rc = rpc_operation(call, list[i], &m);
		if (!rc && rpc_filter_matches(filter, m, value_of))
			answer->operations[answer->n_operations++] = m;
	}
	return msn_pass(rc);
}

static int list(struct msn_call *call, const ProtobufCMessage *request)
{
	const Memsnap__V1__ListOperationsRequest *r = (const void *)request;
	size_t max = rpc_page_size(r->page_size, 100, 1000), n = 0;
	Memsnap__V1__ListOperationsResponse answer;
	struct msn_operation **ops = NULL;
	struct msn_operation_view last;
	struct rpc_filter filter;
	int rc;

	memsnap__v1__list_operations_response__init(&answer);
	rc = rpc_filter_parse(call, r->filter, filter_keys, &filter);
	if (!rc)
		rc = msn_operations_list(rpc_of(call)->operations,
					 msn_call_peer(call)->owner,
					 r->page_token, max, &ops, &n);
	if (rc)
		return msn_pass(rc);
	rc = show_page(call, &filter, ops, n, &answer);
	if (!rc && n == max) {
		msn_operation_look(ops[n - 1], &last);
		answer.next_page_token = rpc_text(call, last.name);
		rc = answer.next_page_token ? 0 : -ENOMEM;
	}
	for (size_t i = 0; i < n; i++)
		msn_operation_unref(ops[i]);
	free(ops);
	return rc ? msn_pass(rc)
		  : msn_pass(msn_call_send(call, &answer.base, NULL));
}

#define ROW(rpc, snake, handler, needs, how)                                   \
	{                                                                      \
		.path = "/memsnap.v1.OperationService/" rpc,                   \
		.request = &memsnap__v1__##snake##_request__descriptor,        \
		.response = &memsnap__v1__##snake##_response__descriptor,      \
		.role = (needs), .flags = MSN_METHOD_WHILE_DRAINING | (how),   \
		.run = (handler)                                               \
	}

const struct msn_method msn_rpc_operation[] = {
	ROW("GetOperation", get_operation, get, MSN_ROLE_READ, 0),
	ROW("ListOperations", list_operations, list, MSN_ROLE_READ, 0),
	ROW("WaitOperation", wait_operation, wait_one, MSN_ROLE_READ, 0),
	ROW("WatchOperation", watch_operation, watch, MSN_ROLE_READ,
	    MSN_METHOD_SERVER_STREAM),
	ROW("CancelOperation", cancel_operation, cancel, MSN_ROLE_OPERATE, 0),
	{}
};
