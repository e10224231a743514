/*
 * Handlers for tests.  See service.h.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "service.h"

#include "base/alloc.h"
#include "base/fd.h"
#include "loop/loop.h"
#include "support/check.h"
#include "wire/call.h"
#include "wire_test.pb-c.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

typedef Memsnap__Test__EchoRequest EchoRequest;
typedef Memsnap__Test__EchoResponse EchoResponse;
typedef Memsnap__Test__CountRequest CountRequest;
typedef Memsnap__Test__CountResponse CountResponse;
typedef Memsnap__Test__FailRequest FailRequest;

void service_init(struct service *s)
{
	*s = (struct service){ 0 };
	sem_init(&s->held, 0, 0);
	sem_init(&s->let_go, 0, 0);
}

static struct service *service_of(const struct msn_call *call)
{
	return msn_call_context(call);
}

/* Counts a handler on a worker. */
static void enter(struct service *s)
{
	unsigned now = atomic_fetch_add(&s->running, 1) + 1;
	unsigned most = atomic_load(&s->at_once);

	atomic_fetch_add(&s->ran, 1);
	while (now > most &&
	       !atomic_compare_exchange_weak(&s->at_once, &most, now))
		;
}

static int leave(struct service *s, int rc)
{
	atomic_fetch_sub(&s->running, 1);
	return rc;
}

/* ---- unary --------------------------------------------------------------- */

static int answer(struct msn_call *call, const ProtobufCMessage *request,
		  uint32_t fds)
{
	const EchoRequest *req = (const void *)request;
	EchoResponse r = MEMSNAP__TEST__ECHO_RESPONSE__INIT;
	const char *metadata = msn_call_metadata(call, req->key, NULL);

	r.text = req->text;
	r.data = req->data;
	r.metadata = (char *)(uintptr_t)(metadata ? metadata : "");
	r.owner = (char *)(uintptr_t)msn_call_peer(call)->owner;
	r.trace_id = (char *)(uintptr_t)msn_call_trace_id(call);
	r.fds = fds;
	return msn_call_send(call, &r.base, NULL);
}

static int echo(struct msn_call *call, const ProtobufCMessage *request)
{
	atomic_fetch_add(&service_of(call)->ran, 1);
	return answer(call, request, 0);
}

static int echo_slow(struct msn_call *call, const ProtobufCMessage *request)
{
	struct service *s = service_of(call);

	enter(s);
	return leave(s, answer(call, request, 0));
}

static int mute(struct msn_call *call, const ProtobufCMessage *request)
{
	(void)call;
	(void)request;
	return 0;
}

static int fail(struct msn_call *call, const ProtobufCMessage *request)
{
	const FailRequest *req = (const void *)request;

	if (req->number)
		return msn_failure_set(msn_call_failure(call),
				       -(int)req->number,
				       msn_failure_kind_of(-(int)req->number),
				       "%s", req->text);
	if (req->field[0])
		return msn_call_bad_field(call, req->field, "%s", req->text);
	return msn_call_fail(call, (enum msn_code)req->code, req->reason, "%s",
			     req->text);
}

static int pass(struct msn_call *call, const ProtobufCMessage *request)
{
	uint32_t count = 0, index;
	int fd;

	while (msn_call_take_fd(call, count, &fd) == 0) {
		int rc = msn_call_give_fd(call, fd, &index);

		msn_close(fd);
		if (rc)
			return msn_call_fail(call, MSN_CODE_FAILED_PRECONDITION,
					     "NO_FDS", "%s", strerror(-rc));
		CHECK(index == count);
		count++;
	}
	return answer(call, request, count);
}

/* ---- later, or never ----------------------------------------------------- */

struct later {
	struct msn_task task;
	struct msn_call *call;
	const ProtobufCMessage *request;
};

static void later_run(struct msn_task *task)
{
	struct later *l = msn_container_of(task, struct later, task);

	msn_call_finish(l->call, echo(l->call, l->request));
	msn_call_unref(l->call);
	free(l);
}

static int echo_later(struct msn_call *call, const ProtobufCMessage *request)
{
	struct later *l = msn_alloc(sizeof(*l));

	if (!l)
		return -ENOMEM;
	*l = (struct later){ .task.run = later_run,
			     .call = msn_call_ref(call),
			     .request = request };
	msn_loop_post(service_of(call)->loop, &l->task);
	return MSN_METHOD_E_LATER;
}

static void keep_cancelled(struct msn_call *call, void *ctx)
{
	struct service *s = ctx;

	s->cancelled++;
	msn_call_finish(call, -ECANCELED);
	msn_call_unref(call);
}

static int keep(struct msn_call *call, const ProtobufCMessage *request)
{
	struct service *s = service_of(call);

	(void)request;
	atomic_fetch_add(&s->ran, 1);
	msn_call_on_cancel(msn_call_ref(call), keep_cancelled, s);
	return MSN_METHOD_E_LATER;
}

/* Waits in short steps: a cancelled call has no other way to tell. */
static int hold(struct msn_call *call, const ProtobufCMessage *request)
{
	struct service *s = service_of(call);

	enter(s);
	sem_post(&s->held);
	while (!msn_call_cancelled(call)) {
		struct timespec until;

		clock_gettime(CLOCK_REALTIME, &until);
		until.tv_nsec += 5000000;
		until.tv_sec += until.tv_nsec / 1000000000;
		until.tv_nsec %= 1000000000;
		if (sem_timedwait(&s->let_go, &until) == 0)
			return leave(s, answer(call, request, 0));
	}
	return leave(s, -ECANCELED);
}

/* ---- streams ------------------------------------------------------------- */

struct bytes {
	struct msn_payload payload;
	struct service *service;
	uint8_t data[];
};

static void bytes_release(struct msn_payload *payload)
{
	struct bytes *b = msn_container_of(payload, struct bytes, payload);

	atomic_fetch_add(&b->service->released, 1);
	free(b);
}

static struct bytes *bytes_new(struct service *s, uint32_t nr, size_t size)
{
	struct bytes *b = calloc(1, sizeof(*b) + size);

	CHECK(b);
	memset(b->data, (int)('a' + nr % 26), size);
	b->service = s;
	b->payload = (struct msn_payload){ .data = b->data,
					   .len = size,
					   .release = bytes_release };
	return b;
}

static int send_count(struct msn_call *call, uint32_t nr, uint32_t size)
{
	CountResponse r = MEMSNAP__TEST__COUNT_RESPONSE__INIT;
	struct bytes *b = bytes_new(service_of(call), nr, size);
	int rc;

	r.nr = nr;
	r.data.data = b->data;
	r.data.len = size;
	rc = msn_call_send(call, &r.base, size ? &b->payload : NULL);
	if (!size)
		bytes_release(&b->payload);
	if (!rc)
		atomic_fetch_add(&service_of(call)->sent, 1);
	return rc;
}

static int count(struct msn_call *call, const ProtobufCMessage *request)
{
	const CountRequest *req = (const void *)request;
	struct service *s = service_of(call);
	int rc = 0;

	enter(s);
	for (uint32_t i = 0; !rc && i < req->count; i++)
		rc = send_count(call, i, req->size);
	atomic_store(&s->last_rc, rc);
	return leave(s, rc);
}

/* One that is under way on the loop thread. */
struct counter {
	const CountRequest *request;
	uint32_t nr;
};

static void counter_go_on(struct msn_call *call, void *ctx);

static void counter_end(struct msn_call *call, struct counter *c, int rc)
{
	atomic_store(&service_of(call)->last_rc, rc);
	msn_call_on_cancel(call, NULL, NULL);
	msn_call_finish(call, rc);
	msn_call_unref(call);
	free(c);
}

static void counter_cancelled(struct msn_call *call, void *ctx)
{
	counter_end(call, ctx, -ECANCELED);
}

static void counter_go_on(struct msn_call *call, void *ctx)
{
	struct counter *c = ctx;
	int rc = 0;

	while (!rc && c->nr < c->request->count) {
		rc = send_count(call, c->nr, c->request->size);
		if (rc == -EAGAIN) {
			msn_call_on_drained(call, counter_go_on, c);
			return;
		}
		c->nr++;
	}
	if (rc != -ECANCELED) /* else it was told */
		counter_end(call, c, rc);
}

static int count_here(struct msn_call *call, const ProtobufCMessage *request)
{
	struct counter *c = calloc(1, sizeof(*c));

	CHECK(c);
	c->request = (const void *)request;
	atomic_fetch_add(&service_of(call)->ran, 1);
	msn_call_on_cancel(msn_call_ref(call), counter_cancelled, c);
	counter_go_on(call, c);
	return MSN_METHOD_E_LATER;
}

static int sum(struct msn_call *call, const ProtobufCMessage *request)
{
	CountRequest r = MEMSNAP__TEST__COUNT_REQUEST__INIT;
	struct service *s = service_of(call);
	const ProtobufCMessage *m;
	int rc;

	CHECK(!request);
	enter(s);
	sem_post(&s->held);
	while ((rc = msn_call_receive(call, &m)) == 0) {
		r.count++;
		r.size += (uint32_t)((const CountResponse *)(const void *)m)
				  ->data.len;
	}
	if (rc == MSN_CALL_E_END)
		rc = msn_call_send(call, &r.base, NULL);
	atomic_store(&s->last_rc, rc);
	return leave(s, rc);
}

static int chat(struct msn_call *call, const ProtobufCMessage *request)
{
	struct service *s = service_of(call);
	const ProtobufCMessage *m;
	int rc;

	(void)request;
	enter(s);
	while ((rc = msn_call_receive(call, &m)) == 0) {
		rc = answer(call, m, 0);
		if (rc)
			break;
	}
	if (rc == MSN_CALL_E_END)
		rc = 0;
	atomic_store(&s->last_rc, rc);
	return leave(s, rc);
}

/* ---- the table ----------------------------------------------------------- */

#define ROW(name_, in_, out_, flags_, role_, run_)                             \
	{                                                                      \
		.path = "/memsnap.test.Wire/" name_,                           \
		.request = &memsnap__test__##in_##__descriptor,                \
		.response = &memsnap__test__##out_##__descriptor,              \
		.flags = (flags_), .role = (role_), .run = (run_)              \
	}

#define BLOCKS MSN_METHOD_BLOCKS
#define IN MSN_METHOD_CLIENT_STREAM
#define OUT MSN_METHOD_SERVER_STREAM

static const struct msn_method rows[] = {
	ROW("Echo", echo_request, echo_response, 0, MSN_ROLE_READ, echo),
	ROW("EchoSlow", echo_request, echo_response, BLOCKS, MSN_ROLE_READ,
	    echo_slow),
	ROW("EchoLater", echo_request, echo_response, 0, MSN_ROLE_READ,
	    echo_later),
	ROW("Hold", echo_request, echo_response, BLOCKS, MSN_ROLE_READ, hold),
	ROW("Keep", echo_request, echo_response, 0, MSN_ROLE_READ, keep),
	ROW("Fail", fail_request, echo_response, 0, MSN_ROLE_READ, fail),
	ROW("Mute", echo_request, echo_response, 0, MSN_ROLE_READ, mute),
	ROW("Count", count_request, count_response, OUT | BLOCKS, MSN_ROLE_READ,
	    count),
	ROW("CountHere", count_request, count_response, OUT, MSN_ROLE_READ,
	    count_here),
	ROW("Sum", count_response, count_request, IN | BLOCKS, MSN_ROLE_READ,
	    sum),
	ROW("Chat", echo_request, echo_response, IN | OUT | BLOCKS,
	    MSN_ROLE_READ, chat),
	ROW("Pass", echo_request, echo_response, 0, MSN_ROLE_READ, pass),
	ROW("ForAdmins", echo_request, echo_response, 0, MSN_ROLE_ADMIN, echo),
	ROW("ForGrpc", echo_request, echo_response, MSN_METHOD_GRPC_ONLY,
	    MSN_ROLE_READ, echo),
	ROW("WhileDraining", echo_request, echo_response,
	    MSN_METHOD_WHILE_DRAINING, MSN_ROLE_NONE, echo),
	{ 0 }
};

const struct msn_method *const service_tables[] = { rows, NULL };

void *service_descriptors(size_t *len)
{
	char *set;

	CHECK(msn_read_file(&set, len, AT_FDCWD, WIRE_TEST_SET, 1 << 20) == 0);
	return set;
}

struct msn_methods *service_methods(void)
{
	struct msn_methods *m;
	struct msn_failure why = { 0 };
	size_t len;
	void *set = service_descriptors(&len);
	int rc = msn_methods_new(&m, service_tables, set, len, &why);

	if (rc)
		printf("%s\n", why.text);
	CHECK(rc == 0);
	free(set);
	return m;
}
