/*
 * Calls with one request and one answer: every way in which they end.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "rig.h"

#include "support/check.h"
#include "wire/call.h"

#include <errno.h>
#include <string.h>

struct fixture {
	struct rig rig;
	struct client c;
	struct reply reply;
};

static void setup_with(struct fixture *f, const struct msn_server_opts *opts)
{
	rig_init(&f->rig, opts);
	client_open(&f->c, &f->rig);
}

static void setup(struct fixture *f)
{
	setup_with(f, NULL);
}

/* Nothing of the calls is left. */
static void teardown(struct fixture *f)
{
	rig_settle(&f->rig);
	EXPECT(rig_usage(&f->rig).calls == 0);
	rig_await_memory(&f->rig);
	client_close(&f->c);
	rig_deinit(&f->rig);
}

/* Expects a call to fail so, and the server to have said the same. */
static void expect_failure(struct fixture *f, const struct request *req,
			   enum msn_code code, const char *reason)
{
	struct rig *r = &f->rig;
	const struct rig_ended *e;

	EXPECT(client_call(&f->c, req, &f->reply) == code);
	EXPECT(strcmp(f->reply.status.reason, reason) == 0);
	EXPECT(f->reply.payload_len == 0);
	e = &r->ended[(r->ended_count - 1) % RIG_ENDED_MAX];
	EXPECT(e->code == code && strcmp(e->reason, reason) == 0);
	reply_free(&f->reply);
}

/* ---- that go well -------------------------------------------------------- */

static void an_echo(const char *method)
{
	Memsnap__Test__EchoResponse *e;
	struct fixture f;

	setup(&f);
	for (int i = 0; i < 3; i++) {
		e = client_echo(&f.c, method, "hello");
		EXPECT(strcmp(e->text, "hello") == 0);
		free_echo(e);
	}
	CHECK(f.rig.ended_count == 3);
	EXPECT(f.rig.ended[2].code == MSN_CODE_OK);
	EXPECT(f.rig.ended[2].received == 7 && f.rig.ended[2].sent > 7);
	EXPECT(strstr(f.rig.ended[2].path, method) != NULL);
	teardown(&f);
}

static void the_loop_thread_answers(void)
{
	an_echo("Echo");
}

static void a_worker_answers(void)
{
	an_echo("EchoSlow");
}

static void a_kept_call_is_answered_later(void)
{
	an_echo("EchoLater");
}

/* Long requests are decoded by a worker, whoever runs the handler. */
static void a_long_request_is_echoed(const char *method)
{
	size_t len = 3 << 20;
	uint8_t *data = malloc(len);
	struct request req = { .method = method,
			       .message = ECHO(.data = { len, data }) };
	Memsnap__Test__EchoResponse *e;
	struct fixture f;

	CHECK(data);
	memset(data, 'x', len);
	data[len - 1] = 'z';
	setup(&f);
	EXPECT(client_call(&f.c, &req, &f.reply) == MSN_CODE_OK);
	e = reply_echo(&f.reply);
	EXPECT(e->data.len == len && memcmp(e->data.data, data, len) == 0);
	free_echo(e);
	reply_free(&f.reply);
	teardown(&f);
	free(data);
}

static void long_requests_are_echoed(void)
{
	a_long_request_is_echoed("Echo");
	a_long_request_is_echoed("EchoSlow");
	a_long_request_is_echoed("EchoLater");
}

static void requests_may_be_sent_before_answers_are_read(void)
{
	struct fixture f;
	uint32_t seen = 0;

	setup(&f);
	for (unsigned i = 0; i < 100; i++)
		client_request(&f.c,
			       &(struct request){
				       .method = i % 2 ? "Echo" : "EchoSlow",
				       .message = ECHO(.text = "t") });
	for (unsigned i = 0; i < 100; i++) {
		CHECK(client_receive(&f.c, &f.reply));
		EXPECT(f.reply.status.code == MSN_CODE_OK);
		seen += f.reply.id;
		reply_free(&f.reply);
	}
	EXPECT(seen == 100 * 100); /* 1 + 3 + ... + 199 */
	teardown(&f);
}

static void metadata_reaches_the_handler(void)
{
	static const char *const pairs[] = {
		"colour",
		"blue",
		"colour",
		"red",
		"traceparent",
		"00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01",
		NULL
	};
	struct request req = { .method = "Echo",
			       .message = ECHO(.key = "colour"),
			       .metadata = pairs };
	Memsnap__Test__EchoResponse *e;
	struct fixture f;

	setup(&f);
	EXPECT(client_call(&f.c, &req, &f.reply) == MSN_CODE_OK);
	e = reply_echo(&f.reply);
	EXPECT(strcmp(e->metadata, "blue") == 0);
	EXPECT(strcmp(e->trace_id, "0af7651916cd43dd8448eb211c80319c") == 0);
	EXPECT(strncmp(e->owner, "uid:", 4) == 0);
	free_echo(e);
	reply_free(&f.reply);
	teardown(&f);
}

static void a_trace_that_is_none_is_passed_over(void)
{
	static const char *const bad[] = {
		"", "00-0af7651916cd43dd8448eb211c80319c",
		"00-00000000000000000000000000000000-b7ad6b7169203331-01",
		"00-0AF7651916CD43DD8448EB211C80319C-b7ad6b7169203331-01",
		"00 0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"
	};
	Memsnap__Test__EchoResponse *e;
	struct fixture f;

	setup(&f);
	for (size_t i = 0; i < MSN_ARRAY_LEN(bad); i++) {
		const char *const pairs[] = { "traceparent", bad[i], NULL };
		struct request req = { .method = "Echo",
				       .message = ECHO(.text = "t"),
				       .metadata = pairs };

		EXPECT(client_call(&f.c, &req, &f.reply) == MSN_CODE_OK);
		e = reply_echo(&f.reply);
		EXPECT(strcmp(e->trace_id, "") == 0);
		free_echo(e);
		reply_free(&f.reply);
	}
	teardown(&f);
}

/* ---- that handlers fail -------------------------------------------------- */

#define FAIL(...)                                                              \
	(&(Memsnap__Test__FailRequest){                                        \
		.base = PROTOBUF_C_MESSAGE_INIT(                               \
			&memsnap__test__fail_request__descriptor),             \
		__VA_ARGS__ }                                                  \
		  .base)

static void every_code_reaches_the_client(void)
{
	struct fixture f;

	setup(&f);
	for (unsigned code = 1; code <= 16; code++) {
		struct request req = { .method = "Fail",
				       .message = FAIL(.code = code,
						       .reason = "BECAUSE",
						       .text = "no \xc3\xa4") };

		EXPECT(client_call(&f.c, &req, &f.reply) == code);
		EXPECT(strcmp(f.reply.status.reason, "BECAUSE") == 0);
		EXPECT(strcmp(f.reply.status.text, "no \xc3\xa4") == 0);
		reply_free(&f.reply);
	}
	teardown(&f);
}

static void a_bad_field_is_named(void)
{
	struct request req = { .method = "Fail",
			       .message = FAIL(.field = "space.name",
					       .text = "too long") };
	struct fixture f;

	setup(&f);
	EXPECT(client_call(&f.c, &req, &f.reply) == MSN_CODE_INVALID_ARGUMENT);
	EXPECT(strcmp(f.reply.status.field, "space.name") == 0);
	EXPECT(strcmp(f.reply.status.text, "too long") == 0);
	reply_free(&f.reply);
	teardown(&f);
}

static void a_failure_without_status_becomes_one(void)
{
	struct request req = { .method = "Fail",
			       .message = FAIL(.number = ENOSPC,
					       .text = "the store is full") };
	struct fixture f;

	setup(&f);
	EXPECT(client_call(&f.c, &req, &f.reply) ==
	       MSN_CODE_RESOURCE_EXHAUSTED);
	EXPECT(strcmp(f.reply.status.text, "the store is full") == 0);
	EXPECT(f.reply.status.reason[0]);
	reply_free(&f.reply);
	teardown(&f);
}

static void a_method_that_does_not_answer_is_a_bug(void)
{
	struct fixture f;

	setup(&f);
	expect_failure(&f,
		       &(struct request){ .method = "Mute",
					  .message = ECHO(.text = "t") },
		       MSN_CODE_INTERNAL, "NO_ANSWER");
	teardown(&f);
}

/* ---- that cannot be ------------------------------------------------------ */

static void what_is_not_there_is_unimplemented(void)
{
	struct request req = { .method = "Nothing",
			       .message = ECHO(.text = "t") };
	struct fixture f;

	setup(&f);
	expect_failure(&f, &req, MSN_CODE_UNIMPLEMENTED, "METHOD");
	EXPECT(strstr(f.reply.status.text, "method") != NULL);
	req.service = "memsnap.test.Nowhere";
	expect_failure(&f, &req, MSN_CODE_UNIMPLEMENTED, "METHOD");
	EXPECT(strstr(f.reply.status.text, "service") != NULL);
	req = (struct request){ .method = "ForGrpc",
				.message = ECHO(.text = "t") };
	expect_failure(&f, &req, MSN_CODE_UNIMPLEMENTED, "GRPC_REQUIRED");
	EXPECT(atomic_load(&f.rig.service.ran) == 0);
	teardown(&f);
}

static int only_readers(void *context, struct msn_peer *peer, const char *token)
{
	(void)context;
	strcpy(peer->owner, "tenant:reader");
	peer->role = MSN_ROLE_READ;
	if (!token)
		return 0;
	if (strcmp(token, "admin-token") != 0)
		return -EACCES;
	strcpy(peer->owner, "tenant:admin");
	peer->role = MSN_ROLE_ADMIN;
	return 0;
}

static void roles_are_held_to(void)
{
	static const char *const good[] = { "authorization",
					    "Bearer admin-token", NULL };
	static const char *const bad[] = { "authorization", "Bearer other",
					   NULL };
	static const char *const basic[] = { "authorization", "Basic abc",
					     NULL };
	struct request req = { .method = "ForAdmins",
			       .message = ECHO(.text = "t") };
	Memsnap__Test__EchoResponse *e;
	struct fixture f;

	setup_with(&f,
		   &(struct msn_server_opts){ .authenticate = only_readers });
	expect_failure(&f, &req, MSN_CODE_PERMISSION_DENIED, "ROLE");
	EXPECT(strstr(f.reply.status.text, "admin") != NULL);
	req.metadata = bad;
	expect_failure(&f, &req, MSN_CODE_UNAUTHENTICATED, "TOKEN");
	req.metadata = basic;
	expect_failure(&f, &req, MSN_CODE_UNAUTHENTICATED, "TOKEN");
	/* A token is of one call: it does not change the connection. */
	req.metadata = good;
	EXPECT(client_call(&f.c, &req, &f.reply) == MSN_CODE_OK);
	e = reply_echo(&f.reply);
	EXPECT(strcmp(e->owner, "tenant:admin") == 0);
	free_echo(e);
	reply_free(&f.reply);
	req.metadata = NULL;
	expect_failure(&f, &req, MSN_CODE_PERMISSION_DENIED, "ROLE");
	e = client_echo(&f.c, "Echo", "t");
	EXPECT(strcmp(e->owner, "tenant:reader") == 0);
	free_echo(e);
	teardown(&f);
}

static void a_request_that_cannot_be_decoded_is_refused(void)
{
	static const char *const methods[] = { "Echo", "EchoSlow" };
	struct fixture f;

	setup(&f);
	for (size_t i = 0; i < 2; i++) {
		/* A CountResponse has bytes where names would be texts. */
		Memsnap__Test__FailRequest bad =
			MEMSNAP__TEST__FAIL_REQUEST__INIT;

		bad.code = 5;
		expect_failure(&f,
			       &(struct request){ .method = methods[i],
						  .message = &bad.base },
			       MSN_CODE_INTERNAL, "UNDECODABLE");
		expect_failure(
			&f,
			&(struct request){ .method = methods[i],
					   .message = ECHO(.text = "\xff") },
			MSN_CODE_INVALID_ARGUMENT, "INVALID_FIELD");
	}
	EXPECT(atomic_load(&f.rig.service.ran) == 0);
	teardown(&f);
}

static void too_much_metadata_is_refused(void)
{
	char value[1001];
	const char *pairs[2 * 80 + 1] = { 0 };
	struct request req = { .method = "Echo",
			       .message = ECHO(.text = "t"),
			       .metadata = pairs };
	struct fixture f;

	memset(value, 'v', 1000);
	value[1000] = '\0';
	for (size_t i = 0; i < 80; i++) {
		pairs[2 * i] = "key";
		pairs[2 * i + 1] = value;
	}
	setup(&f);
	expect_failure(&f, &req, MSN_CODE_RESOURCE_EXHAUSTED, "METADATA");
	pairs[2 * 40] = NULL;
	EXPECT(client_call(&f.c, &req, &f.reply) == MSN_CODE_OK);
	reply_free(&f.reply);
	teardown(&f);
}

static int long_owner(void *context, struct msn_peer *peer, const char *token)
{
	(void)context;
	(void)token;
	memset(peer->owner, 'o', sizeof(peer->owner) - 1);
	peer->owner[sizeof(peer->owner) - 1] = '\0';
	peer->role = MSN_ROLE_ADMIN;
	return 0;
}

static void an_answer_that_is_too_long_is_not_sent(void)
{
	size_t len = MSN_MESSAGE_BYTES_MAX - 5;
	uint8_t *data = calloc(1, len);
	struct fixture f;

	CHECK(data);
	setup_with(&f, &(struct msn_server_opts){ .authenticate = long_owner });
	/* The request just fits; the answer has the owner's name in it. */
	for (int i = 0; i < 2; i++)
		expect_failure(
			&f,
			&(struct request){
				.method = i ? "Echo" : "EchoSlow",
				.message = ECHO(.data = { len - 70, data }) },
			MSN_CODE_RESOURCE_EXHAUSTED, "TOO_LONG");
	teardown(&f);
	free(data);
}

/* ---- that are given up --------------------------------------------------- */

static void a_deadline_ends_a_call_on_a_worker(void)
{
	struct fixture f;

	setup(&f);
	expect_failure(&f,
		       &(struct request){ .method = "Hold",
					  .message = ECHO(.text = "t"),
					  .timeout_ns = 20000000 },
		       MSN_CODE_DEADLINE_EXCEEDED, "DEADLINE");
	/* Its handler notices, and what it returns is nobody's concern. */
	while (atomic_load(&f.rig.service.running) > 0)
		rig_settle(&f.rig);
	while (rig_usage(&f.rig).calls > 0)
		rig_round(&f.rig);
	EXPECT(f.rig.ended_count == 1);
	teardown(&f);
}

static void a_deadline_ends_a_call_that_is_kept(void)
{
	struct fixture f;

	setup(&f);
	expect_failure(&f,
		       &(struct request){ .method = "Keep",
					  .message = ECHO(.text = "t"),
					  .timeout_ns = 20000000 },
		       MSN_CODE_DEADLINE_EXCEEDED, "DEADLINE");
	EXPECT(f.rig.service.cancelled == 1);
	teardown(&f);
}

static void a_deadline_that_has_passed_runs_nothing(void)
{
	struct fixture f;

	setup(&f);
	expect_failure(&f,
		       &(struct request){ .method = "Echo",
					  .message = ECHO(.text = "t"),
					  .timeout_ns = -1 },
		       MSN_CODE_DEADLINE_EXCEEDED, "DEADLINE");
	EXPECT(atomic_load(&f.rig.service.ran) == 0);
	teardown(&f);
}

static void a_deadline_that_is_kept_does_nothing(void)
{
	struct request req = { .method = "EchoSlow",
			       .message = ECHO(.text = "t"),
			       .timeout_ns = INT64_MAX };
	struct fixture f;

	setup(&f);
	EXPECT(client_call(&f.c, &req, &f.reply) == MSN_CODE_OK);
	reply_free(&f.reply);
	teardown(&f);
}

/* Waits until the server has nothing of the client any more. */
static void await_gone(struct fixture *f)
{
	while (rig_usage(&f->rig).connections > 0 ||
	       rig_usage(&f->rig).calls > 0)
		rig_round(&f->rig);
}

static void a_client_that_goes_cancels_its_calls(void)
{
	static const char *const methods[] = { "Hold", "Keep", "Hold" };
	struct fixture f;

	setup(&f);
	for (size_t i = 0; i < 3; i++)
		client_request(&f.c, &(struct request){
					     .method = methods[i],
					     .message = ECHO(.text = "t") });
	while (atomic_load(&f.rig.service.ran) < 3)
		rig_settle(&f.rig);
	client_close(&f.c);
	await_gone(&f);
	EXPECT(atomic_load(&f.rig.service.running) == 0);
	EXPECT(f.rig.service.cancelled == 1);
	CHECK(f.rig.ended_count == 3);
	for (size_t i = 0; i < 3; i++)
		EXPECT(f.rig.ended[i].code == MSN_CODE_CANCELLED &&
		       strcmp(f.rig.ended[i].reason, "CLIENT_GONE") == 0);
	teardown(&f);
}

/* The answer of a worker comes when its client has gone. */
static void an_answer_for_nobody_is_dropped(void)
{
	struct fixture f;

	setup(&f);
	client_request(&f.c, &(struct request){ .method = "EchoSlow",
						.message = ECHO(.text = "t") });
	client_request(&f.c, &(struct request){ .method = "EchoLater",
						.message = ECHO(.text = "t") });
	client_close(&f.c);
	await_gone(&f);
	teardown(&f);
}

/* The server goes while handlers are on workers and calls are kept. */
static void a_server_may_go_while_calls_are_under_way(void)
{
	struct fixture f;

	setup(&f);
	for (size_t i = 0; i < 4; i++)
		client_request(&f.c, &(struct request){
					     .method = i % 2 ? "Hold" : "Keep",
					     .message = ECHO(.text = "t") });
	while (atomic_load(&f.rig.service.ran) < 4)
		rig_settle(&f.rig);
	client_close(&f.c);
	rig_deinit(&f.rig);
	EXPECT(f.rig.service.cancelled == 2);
	EXPECT(atomic_load(&f.rig.service.running) == 0);
}

int main(int argc, char **argv)
{
	static const struct check_test tests[] = {
		CHECK_TEST(the_loop_thread_answers),
		CHECK_TEST(a_worker_answers),
		CHECK_TEST(a_kept_call_is_answered_later),
		CHECK_TEST(long_requests_are_echoed),
		CHECK_TEST(requests_may_be_sent_before_answers_are_read),
		CHECK_TEST(metadata_reaches_the_handler),
		CHECK_TEST(a_trace_that_is_none_is_passed_over),
		CHECK_TEST(every_code_reaches_the_client),
		CHECK_TEST(a_bad_field_is_named),
		CHECK_TEST(a_failure_without_status_becomes_one),
		CHECK_TEST(a_method_that_does_not_answer_is_a_bug),
		CHECK_TEST(what_is_not_there_is_unimplemented),
		CHECK_TEST(roles_are_held_to),
		CHECK_TEST(a_request_that_cannot_be_decoded_is_refused),
		CHECK_TEST(too_much_metadata_is_refused),
		CHECK_TEST(an_answer_that_is_too_long_is_not_sent),
		CHECK_TEST(a_deadline_ends_a_call_on_a_worker),
		CHECK_TEST(a_deadline_ends_a_call_that_is_kept),
		CHECK_TEST(a_deadline_that_has_passed_runs_nothing),
		CHECK_TEST(a_deadline_that_is_kept_does_nothing),
		CHECK_TEST(a_client_that_goes_cancels_its_calls),
		CHECK_TEST(an_answer_for_nobody_is_dropped),
		CHECK_TEST(a_server_may_go_while_calls_are_under_way),
		{}
	};

	return check_main(argc, argv, "wire: unary", tests);
}
