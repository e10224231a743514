/*
 * Call: how its handler is run, on the loop thread or on a worker, and how what
 * a worker has done comes back.
 *
 * SPDX-License-Identifier: Apache-2.0
 *
 *    call_half_close() -> call_start() -+-> call_run_here()     loop thread
 *                                       |
 *                                       +-> call_submit() ~~~> call_work()
 *                                                                 |
 *          call_handler_done() <- kick_run() <~~~ call_kick() ----+
 */
#include "wire/call_private.h"

#include "base/assert.h"
#include "base/error.h"
#include "wire/conn.h"

#include <errno.h>

/* A request that is longer is decoded by a worker: that may take a while. */
#define DECODE_HERE_MAX ((size_t)64 << 10)

static const struct msn_status ok_status; /* code 0 is OK */

/* ---- the handler's end --------------------------------------------------- */

/* The status that the handler's result stands for. */
static const struct msn_status *status_of(struct msn_call *call, int rc)
{
	if (rc == 0 && !call_sends_stream(call) && !call->reply) {
		msn_status_set(&call->status, MSN_CODE_INTERNAL, "NO_ANSWER",
			       "%s has not answered", call->method->path);
		return &call->status;
	}
	if (rc == 0)
		return &ok_status;
	if (call->status.code == MSN_CODE_OK)
		msn_status_failure(&call->status, rc, &call->failure);
	return &call->status;
}

void call_handler_done(struct msn_call *call, int rc)
{
	const struct msn_status *status;
	struct message *reply;

	msn_assert(call->state == CALL_RUNNING && rc <= 0);
	status = status_of(call, rc);
	reply = call->reply;
	call->reply = NULL;
	call->on_cancel = NULL;
	call->on_drained = NULL;
	call_over(call);
	call_drop_inbox(call);
	if (status != &ok_status || call->ended)
		message_free(reply);
	else if (reply)
		call_send_now(call, reply);
	call_end(call, status);
	msn_call_unref(call);
}

void msn_call_finish(struct msn_call *call, int rc)
{
	msn_assert(!call_blocks(call));
	call_handler_done(call, rc);
}

/* ---- on the loop thread -------------------------------------------------- */

static void run_here(struct msn_call *call)
{
	int rc = call->method->run(call, call->request);

	if (rc != MSN_METHOD_E_LATER)
		call_handler_done(call, rc);
}

static void call_run_here(struct msn_call *call)
{
	int rc;

	msn_call_ref(call); /* the handler's */
	call->state = CALL_RUNNING;
	rc = call_decode(call);
	if (rc)
		call_handler_done(call, rc);
	else
		run_here(call);
}

/* ---- on a worker --------------------------------------------------------- */

static void call_work(struct msn_task *task)
{
	struct msn_call *call = msn_container_of(task, struct msn_call, work);
	int rc = msn_call_cancelled(call) ? -ECANCELED : 0;

	if (rc == 0 && !call_takes_stream(call))
		rc = call_decode(call);
	if (rc == 0 && call_blocks(call)) {
		rc = call->method->run(call, call->request);
		msn_assert(rc != MSN_METHOD_E_LATER);
	}
	msn_mutex_lock(&call->lock);
	call->work_done = true;
	call->work_rc = rc;
	call_kick(call);
	msn_mutex_unlock(&call->lock);
	msn_call_unref(call);
}

static void call_submit(struct msn_call *call)
{
	int rc;

	call->state = CALL_RUNNING;
	call->work.run = call_work;
	msn_call_ref(call); /* the worker's */
	rc = msn_workers_submit(call->server->opts.workers, &call->work);
	if (rc == 0) {
		call->owner->blocking++;
		if (call_takes_stream(call))
			call_watch(call);
		return;
	}
	msn_call_unref(call);
	msn_status_set(&call->status, MSN_CODE_RESOURCE_EXHAUSTED,
		       "WORKERS_BUSY", "too much is being done already");
	call->status.retry_ms = 1000;
	call_handler_done(call, rc);
}

void call_start_waiting(struct msn_server *server, struct owner *owner)
{
	while (!ring_is_empty(&owner->waiting) &&
	       owner->blocking < server->opts.limits.blocking_per_owner) {
		struct msn_call *call = msn_container_of(
			owner->waiting.next, struct msn_call, of_owner);

		ring_remove(&call->of_owner);
		call_submit(call);
	}
}

void call_start(struct msn_call *call)
{
	struct msn_loop *loop = call->server->opts.loop;

	msn_assert(call->state == CALL_RECEIVING && !call->ended);
	msn_timer_set(loop, &call->deadline_timer, call->deadline);
	if (!call_blocks(call) && call->inbox->len <= DECODE_HERE_MAX) {
		call_run_here(call);
		return;
	}
	msn_call_ref(call); /* the handler's */
	call->state = CALL_WAITING;
	ring_push(&call->owner->waiting, &call->of_owner);
	call_start_waiting(call->server, call->owner);
}

/* ---- what a worker has done ---------------------------------------------- */

/* What the loop thread finds at a call, taken under its lock. */
struct kicked {
	struct message *messages;
	size_t consumed;
	bool done, drained;
	int rc;
};

static struct kicked take_kicked(struct msn_call *call)
{
	struct kicked k;

	msn_lock_scope(&call->lock);
	call->kicked = false;
	k = (struct kicked){ call->outgoing, call->consumed, call->work_done,
			     call->drained, call->work_rc };
	call->outgoing = NULL;
	call->outgoing_end = &call->outgoing;
	call->consumed = 0;
	call->work_done = false;
	call->drained = false;
	return k;
}

static void send_all(struct msn_call *call, struct message *list)
{
	while (list) {
		struct message *m = list;

		list = m->next;
		call_send_now(call, m);
	}
}

static void tell_drained(struct msn_call *call)
{
	void (*fn)(struct msn_call *, void *) = call->on_drained;

	call->on_drained = NULL;
	if (fn)
		fn(call, call->drained_ctx);
}

/* The worker has let go of the call. */
static void work_ended(struct msn_call *call, int rc)
{
	struct msn_server *server = call->server;
	struct owner *owner = call->owner;

	owner->blocking--;
	if (call_blocks(call) || rc)
		call_handler_done(call, rc);
	else if (call->ended) /* it was only decoded, and that too late */
		call_handler_done(call, -ECANCELED);
	else
		run_here(call);
	call_start_waiting(server, owner);
}

static void kick_run(struct msn_task *task)
{
	struct msn_call *call = msn_container_of(task, struct msn_call, kick);
	struct kicked k = take_kicked(call);

	send_all(call, k.messages);
	if (call->codec && k.consumed && call->has_flow_control && !call->ended)
		call->codec->ops->consumed(call->codec, call, k.consumed);
	conn_check_inbox(call->link);
	if (k.drained)
		tell_drained(call);
	if (k.done)
		work_ended(call, k.rc);
	msn_call_unref(call);
}

void call_kick(struct msn_call *call)
{
	if (call->kicked)
		return;
	call->kicked = true;
	call->kick.run = kick_run;
	msn_call_ref(call);
	msn_loop_post(call->server->opts.loop, &call->kick);
}
