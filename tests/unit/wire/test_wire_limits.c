/*
 * Limits of an owner, of a connection, and of patience.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "rig.h"

#include "loop/timer.h"
#include "support/check.h"
#include "wire/call.h"
#include "wire/owner.h"

#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

struct fixture {
	struct rig rig;
	struct client c;
	struct reply reply;
};

static void setup(struct fixture *f, const struct msn_server_limits *limits)
{
	rig_init(&f->rig, &(struct msn_server_opts){ .limits = *limits });
	client_open(&f->c, &f->rig);
}

static void teardown(struct fixture *f)
{
	client_close(&f->c);
	while (rig_usage(&f->rig).calls > 0 ||
	       rig_usage(&f->rig).connections > 0)
		rig_round(&f->rig);
	rig_await_memory(&f->rig);
	rig_deinit(&f->rig);
}

static uint32_t request(struct client *c, const char *method)
{
	return client_request(
		c, &(struct request){ .method = method,
				      .message = ECHO(.text = "t") });
}

static void expect_status(struct fixture *f, uint32_t id, enum msn_code code,
			  const char *reason)
{
	CHECK(client_receive(&f->c, &f->reply));
	EXPECT(f->reply.id == id && f->reply.type == 2);
	EXPECT(f->reply.status.code == code);
	EXPECT(strcmp(f->reply.status.reason, reason) == 0);
	reply_free(&f->reply);
}

static void await_held(struct fixture *f)
{
	while (sem_trywait(&f->rig.service.held)) {
		rig_settle(&f->rig);
		usleep(100);
	}
}

/* ---- workers ------------------------------------------------------------- */

static void an_owner_has_so_many_on_workers(void)
{
	struct fixture f;

	setup(&f, &(struct msn_server_limits){ .blocking_per_owner = 2 });
	for (int i = 0; i < 6; i++)
		request(&f.c, "Hold");
	for (int i = 0; i < 6; i++) {
		await_held(&f);
		if (i >= 1) { /* two are in; one may go */
			sem_post(&f.rig.service.let_go);
			expect_status(&f, 2 * (uint32_t)f.rig.ended_count + 1,
				      MSN_CODE_OK, "");
		}
	}
	sem_post(&f.rig.service.let_go);
	CHECK(client_receive(&f.c, &f.reply));
	reply_free(&f.reply);
	EXPECT(atomic_load(&f.rig.service.at_once) == 2);
	teardown(&f);
}

static void those_that_wait_run_nothing_when_they_end(void)
{
	struct fixture f;
	uint32_t id;

	setup(&f, &(struct msn_server_limits){ .blocking_per_owner = 1 });
	request(&f.c, "Hold");
	await_held(&f);
	id = client_request(&f.c,
			    &(struct request){ .method = "Hold",
					       .message = ECHO(.text = "t"),
					       .timeout_ns = 10000000 });
	expect_status(&f, id, MSN_CODE_DEADLINE_EXCEEDED, "DEADLINE");
	request(&f.c, "Hold");
	rig_settle(&f.rig);
	EXPECT(rig_usage(&f.rig).calls == 2);
	EXPECT(atomic_load(&f.rig.service.ran) == 1);
	teardown(&f); /* cancels one that runs and one that waits */
	EXPECT(atomic_load(&f.rig.service.ran) == 1);
}

/* Of 8 threads and a queue of 64. */
static void when_all_workers_are_busy_one_is_told_so(void)
{
	struct fixture f;

	setup(&f, &(struct msn_server_limits){ .blocking_per_owner = 200 });
	for (int i = 0; i < 8; i++)
		request(&f.c, "Hold");
	for (int i = 0; i < 8; i++)
		await_held(&f);
	for (int i = 0; i < 64; i++)
		request(&f.c, "Hold");
	request(&f.c, "Hold");
	CHECK(client_receive(&f.c, &f.reply));
	EXPECT(f.reply.id == 2 * 73 - 1);
	EXPECT(f.reply.status.code == MSN_CODE_RESOURCE_EXHAUSTED);
	EXPECT(strcmp(f.reply.status.reason, "WORKERS_BUSY") == 0);
	EXPECT(f.reply.status.retry_ms > 0);
	reply_free(&f.reply);
	for (int i = 0; i < 72; i++)
		sem_post(&f.rig.service.let_go);
	for (int i = 0; i < 72; i++) {
		CHECK(client_receive(&f.c, &f.reply));
		EXPECT(f.reply.status.code == MSN_CODE_OK);
		reply_free(&f.reply);
	}
	teardown(&f);
}

/* ---- calls --------------------------------------------------------------- */

static void an_owner_has_so_many_calls(void)
{
	struct client other;
	struct fixture f;

	setup(&f, &(struct msn_server_limits){ .calls_per_owner = 3 });
	client_open(&other, &f.rig);
	request(&f.c, "Keep");
	request(&f.c, "Keep");
	request(&other, "Keep");
	rig_settle(&f.rig);
	expect_status(&f, request(&f.c, "Echo"), MSN_CODE_RESOURCE_EXHAUSTED,
		      "CALLS");
	client_close(&other);
	rig_settle(&f.rig);
	expect_status(&f, request(&f.c, "Echo"), MSN_CODE_OK, "");
	teardown(&f);
}

static void a_connection_has_so_many_calls(void)
{
	struct fixture f;

	setup(&f, &(struct msn_server_limits){ 0 });
	for (unsigned i = 0; i < MSN_CONN_CALLS_MAX; i++)
		request(&f.c, "Keep");
	expect_status(&f, request(&f.c, "Echo"), MSN_CODE_RESOURCE_EXHAUSTED,
		      "CALLS");
	EXPECT(rig_usage(&f.rig).calls == MSN_CONN_CALLS_MAX);
	teardown(&f);
	EXPECT(f.rig.service.cancelled == MSN_CONN_CALLS_MAX);
}

static void calls_a_second_are_a_bucket_of_them(void)
{
	const uint64_t s = UINT64_C(1000000000);
	struct owners all;
	struct owner *o;

	owners_init(&all, 1 << 20, NULL);
	CHECK(owners_get(&o, &all, "uid:1") == 0);
	for (int i = 0; i < 10; i++)
		EXPECT(owner_take_call(o, 10, 5 * s) == 0);
	EXPECT(owner_take_call(o, 10, 5 * s) == 101);
	EXPECT(owner_take_call(o, 10, 5 * s + s / 20) == 51);
	EXPECT(owner_take_call(o, 10, 5 * s + s / 10) == 0);
	EXPECT(owner_take_call(o, 10, 5 * s + s / 10) > 0);
	/* What is not used is not kept for longer than a second. */
	for (int i = 0; i < 10; i++)
		EXPECT(owner_take_call(o, 10, 100 * s) == 0);
	EXPECT(owner_take_call(o, 10, 100 * s) > 0);
	EXPECT(owner_take_call(o, 0, 100 * s) == 0);
	owner_unref(o);
	owners_deinit(&all);
}

static void too_many_calls_a_second_are_refused(void)
{
	struct fixture f;

	setup(&f, &(struct msn_server_limits){ .calls_per_second = 1 });
	expect_status(&f, request(&f.c, "Echo"), MSN_CODE_OK, "");
	client_call(&f.c,
		    &(struct request){ .method = "Echo",
				       .message = ECHO(.text = "t") },
		    &f.reply);
	/* If a second has gone by, this machine is not what it was. */
	if (f.reply.status.code != MSN_CODE_OK) {
		EXPECT(f.reply.status.code == MSN_CODE_RESOURCE_EXHAUSTED);
		EXPECT(strcmp(f.reply.status.reason, "RATE") == 0);
		EXPECT(f.reply.status.retry_ms > 0 &&
		       f.reply.status.retry_ms <= 1001);
		EXPECT(strstr(f.reply.status.text, "uid:") != NULL);
	}
	reply_free(&f.reply);
	teardown(&f);
}

static void owners_without_anything_are_forgotten(void)
{
	struct owners all;
	struct owner *o, *kept;

	owners_init(&all, 1 << 20, NULL);
	CHECK(owners_get(&kept, &all, "kept") == 0);
	kept->connections = 1;
	for (int i = 0; i < 1000; i++) {
		char name[16];

		snprintf(name, sizeof(name), "uid:%d", i);
		CHECK(owners_get(&o, &all, name) == 0);
		owner_unref(o);
	}
	EXPECT(all.count < 200);
	CHECK(owners_get(&o, &all, "kept") == 0);
	EXPECT(o == kept);
	owner_unref(o);
	owner_unref(kept);
	owners_deinit(&all);
}

/* ---- connections --------------------------------------------------------- */

static void an_owner_has_so_many_connections(void)
{
	struct msn_failure why = { 0 };
	struct client more;
	struct fixture f;
	int ends[2];

	setup(&f, &(struct msn_server_limits){ .connections_per_owner = 2 });
	client_open(&more, &f.rig);
	CHECK(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends) == 0);
	EXPECT(msn_server_adopt(
		       f.rig.server,
		       &(struct msn_listen_opts){
			       .fd = ends[1], .transport = MSN_TRANSPORT_UNIX },
		       &why) < 0);
	EXPECT(why.kind != MSN_FAILURE_NONE);
	close(ends[0]);
	EXPECT(rig_usage(&f.rig).accepted == 2);
	EXPECT(rig_usage(&f.rig).refused == 1);
	client_close(&more);
	rig_settle(&f.rig);
	client_open(&more, &f.rig);
	client_close(&more);
	teardown(&f);
}

/* ---- memory -------------------------------------------------------------- */

/* Half a frame of @len bytes, of which the rest does not come. */
static void half_frame(struct client *c, uint32_t len)
{
	uint8_t *bytes = calloc(1, len);
	uint32_t whole = len + 100;

	CHECK(bytes);
	bytes[1] = (uint8_t)(whole >> 16);
	bytes[2] = (uint8_t)(whole >> 8);
	bytes[3] = (uint8_t)whole;
	bytes[7] = 1;
	bytes[8] = 1;
	client_write(c, bytes, len);
	free(bytes);
}

static void half_frames_of_an_owner_have_a_sum(void)
{
	struct client more[3];
	struct fixture f;

	/* An owner may have 1 MiB. */
	setup(&f, &(struct msn_server_limits){ .buffered_bytes = 2 << 20 });
	for (int i = 0; i < 3; i++)
		client_open(&more[i], &f.rig);
	half_frame(&more[0], 600 << 10);
	rig_settle(&f.rig);
	EXPECT(rig_usage(&f.rig).buffered_bytes >= (600 << 10));
	half_frame(&more[1], 600 << 10);
	CHECK(client_receive(&more[1], &f.reply));
	EXPECT(f.reply.status.code == MSN_CODE_RESOURCE_EXHAUSTED);
	EXPECT(strcmp(f.reply.status.reason, "BUFFERS") == 0);
	reply_free(&f.reply);
	client_await_end(&more[1]);
	/* What is whole and short is served meanwhile. */
	expect_status(&f, request(&f.c, "EchoSlow"), MSN_CODE_OK, "");
	for (int i = 0; i < 3; i++)
		client_close(&more[i]);
	teardown(&f);
}

static void an_owner_that_has_too_much_opens_no_calls(void)
{
	uint8_t *data = calloc(1, 700 << 10);
	struct client other;
	struct fixture f;

	CHECK(data);
	setup(&f, &(struct msn_server_limits){ .buffered_bytes = 2 << 20,
					       .blocking_per_owner = 1 });
	client_open(&other, &f.rig);
	request(&other, "Hold");
	await_held(&f);
	/* It waits for a worker, and its bytes with it. */
	client_request(&other,
		       &(struct request){
			       .method = "EchoSlow",
			       .message = ECHO(.data = { 700 << 10, data }) });
	half_frame(&f.c, 300 << 10);
	rig_settle(&f.rig);
	client_close(&f.c);
	client_open(&f.c, &f.rig);
	client_request(&other,
		       &(struct request){
			       .method = "EchoSlow",
			       .message = ECHO(.data = { 700 << 10, data }) });
	f.c.last_id = 0;
	CHECK(client_receive(&other, &f.reply));
	EXPECT(f.reply.status.code == MSN_CODE_RESOURCE_EXHAUSTED);
	EXPECT(strcmp(f.reply.status.reason, "BUFFERS") == 0);
	reply_free(&f.reply);
	client_close(&other);
	teardown(&f);
	free(data);
}

/* Calls whose turn does not come hold what others on the connection need. */
static void a_connection_that_is_full_gives_up_what_waits(void)
{
	uint8_t *data = calloc(1, 3 << 20);
	struct request req = { .method = "EchoSlow",
			       .message = ECHO(.data = { 3 << 20, data }) };
	struct fixture f;

	CHECK(data);
	setup(&f, &(struct msn_server_limits){ .blocking_per_owner = 1,
					       .stall_ms = 30 });
	request(&f.c, "Hold");
	await_held(&f);
	client_request(&f.c, &req);
	client_request(&f.c, &req);
	rig_settle(&f.rig);
	expect_status(&f, 3, MSN_CODE_RESOURCE_EXHAUSTED, "CONNECTION_FULL");
	expect_status(&f, 5, MSN_CODE_RESOURCE_EXHAUSTED, "CONNECTION_FULL");
	/* And now it is read again. */
	expect_status(&f, request(&f.c, "Echo"), MSN_CODE_OK, "");
	teardown(&f);
	free(data);
}

/* ---- patience ------------------------------------------------------------ */

static void who_says_nothing_is_closed(void)
{
	struct fixture f;

	setup(&f, &(struct msn_server_limits){ .hello_ms = 20 });
	client_await_end(&f.c);
	teardown(&f);
}

static void who_stops_in_a_frame_is_closed(void)
{
	static const size_t cuts[] = { 1, 9, 10, 20 };
	struct fixture f;

	for (size_t i = 0; i < MSN_ARRAY_LEN(cuts); i++) {
		struct request req = { .method = "Echo",
				       .message = ECHO(.text = "t") };
		uint8_t *bytes;
		size_t len;

		setup(&f, &(struct msn_server_limits){ .frame_ms = 20 });
		bytes = client_request_bytes(&f.c, &req, &len);
		client_write(&f.c, bytes, cuts[i]);
		client_await_end(&f.c);
		free(bytes);
		teardown(&f);
	}
}

static void who_is_silent_between_frames_may_stay(void)
{
	struct fixture f;

	setup(&f,
	      &(struct msn_server_limits){ .frame_ms = 10, .hello_ms = 10 });
	expect_status(&f, request(&f.c, "Echo"), MSN_CODE_OK, "");
	for (int i = 0; i < 5; i++) {
		usleep(10000);
		rig_settle(&f.rig);
	}
	expect_status(&f, request(&f.c, "Echo"), MSN_CODE_OK, "");
	teardown(&f);
}

/* One who always has half a frame under way, and finishes each in time. */
static void who_goes_on_may_stay(void)
{
	struct request req = { .method = "Echo", .message = ECHO(.text = "t") };
	uint64_t last = msn_clock_ns(), gap = 0;
	struct fixture f;
	unsigned served = 0;

	setup(&f, &(struct msn_server_limits){ .frame_ms = 60 });
	for (int i = 0; i < 20; i++) {
		size_t len;
		uint8_t *bytes = client_request_bytes(&f.c, &req, &len);
		uint64_t now;

		/* The rest of the last one and half of this. */
		client_write(&f.c, bytes, 15);
		rig_settle(&f.rig);
		usleep(6000);
		client_write(&f.c, bytes + 15, len - 15);
		free(bytes);
		now = msn_clock_ns();
		gap = now - last > gap ? now - last : gap;
		last = now;
	}
	while (served < 20 && client_receive(&f.c, &f.reply)) {
		reply_free(&f.reply);
		served++;
	}
	EXPECT(served == 20 || gap > 30000000);
	teardown(&f);
}

static void a_request_must_come(void)
{
	struct fixture f;
	uint32_t id;

	setup(&f, &(struct msn_server_limits){ .frame_ms = 20 });
	id = client_request(&f.c,
			    &(struct request){ .method = "Echo", .flags = 2 });
	expect_status(&f, id, MSN_CODE_DEADLINE_EXCEEDED, "REQUEST_TIMEOUT");
	teardown(&f);
}

int main(int argc, char **argv)
{
	static const struct check_test tests[] = {
		CHECK_TEST(an_owner_has_so_many_on_workers),
		CHECK_TEST(those_that_wait_run_nothing_when_they_end),
		CHECK_TEST(when_all_workers_are_busy_one_is_told_so),
		CHECK_TEST(an_owner_has_so_many_calls),
		CHECK_TEST(a_connection_has_so_many_calls),
		CHECK_TEST(calls_a_second_are_a_bucket_of_them),
		CHECK_TEST(too_many_calls_a_second_are_refused),
		CHECK_TEST(owners_without_anything_are_forgotten),
		CHECK_TEST(an_owner_has_so_many_connections),
		CHECK_TEST(half_frames_of_an_owner_have_a_sum),
		CHECK_TEST(an_owner_that_has_too_much_opens_no_calls),
		CHECK_TEST(a_connection_that_is_full_gives_up_what_waits),
		CHECK_TEST(who_says_nothing_is_closed),
		CHECK_TEST(who_stops_in_a_frame_is_closed),
		CHECK_TEST(who_is_silent_between_frames_may_stay),
		CHECK_TEST(who_goes_on_may_stay),
		CHECK_TEST(a_request_must_come),
		{}
	};

	return check_main(argc, argv, "wire: limits", tests);
}
