/*
 * Streams, either way: order, ends, back-pressure, and clients that stop.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "rig.h"

#include "loop/timer.h"
#include "support/check.h"
#include "wire/call.h"

#include <errno.h>
#include <string.h>
#include <unistd.h>

typedef Memsnap__Test__CountResponse CountResponse;

#define CLOSED 1
#define OPEN 2
#define NO_DATA 4

struct fixture {
	struct rig rig;
	struct client c;
	struct reply reply;
};

static void setup(struct fixture *f, const struct msn_server_limits *limits)
{
	struct msn_server_opts opts = { 0 };

	if (limits)
		opts.limits = *limits;
	rig_init(&f->rig, &opts);
	client_open(&f->c, &f->rig);
}

static void teardown(struct fixture *f)
{
	while (rig_usage(&f->rig).calls > 0)
		rig_round(&f->rig);
	EXPECT(atomic_load(&f->rig.service.running) == 0);
	rig_await_memory(&f->rig);
	client_close(&f->c);
	rig_deinit(&f->rig);
}

static uint32_t open_count(struct fixture *f, const char *method,
			   uint32_t count, uint32_t size)
{
	return client_request(&f->c,
			      &(struct request){ .method = method,
						 .message = COUNT(count, size),
						 .flags = CLOSED });
}

/* Expects the next frame to be message @nr of @size bytes. */
static void expect_count(struct fixture *f, uint32_t id, uint32_t nr,
			 uint32_t size)
{
	CountResponse *m;

	CHECK(client_receive(&f->c, &f->reply));
	CHECK(f->reply.type == 3 && f->reply.id == id && f->reply.flags == 0);
	m = memsnap__test__count_response__unpack(NULL, f->reply.len,
						  f->reply.data);
	CHECK(m && m->nr == nr && m->data.len == size);
	for (size_t i = 0; i < size; i += 1 + size / 8)
		EXPECT(m->data.data[i] == 'a' + nr % 26);
	memsnap__test__count_response__free_unpacked(m, NULL);
	reply_free(&f->reply);
}

/* Expects the stream to end well. */
static void expect_end(struct fixture *f, uint32_t id)
{
	CHECK(client_receive(&f->c, &f->reply));
	EXPECT(f->reply.id == id && f->reply.type == 3 && f->reply.len == 0);
	EXPECT(f->reply.flags == (CLOSED | NO_DATA));
	reply_free(&f->reply);
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

/* ---- from the server ----------------------------------------------------- */

static void a_stream_of(const char *method, uint32_t count, uint32_t size)
{
	struct fixture f;
	uint32_t id;

	setup(&f, NULL);
	id = open_count(&f, method, count, size);
	for (uint32_t i = 0; i < count; i++)
		expect_count(&f, id, i, size);
	expect_end(&f, id);
	/* One that met -EAGAIN is made anew. */
	EXPECT(atomic_load(&f.rig.service.released) >= count);
	EXPECT(atomic_load(&f.rig.service.last_rc) == 0);
	EXPECT(f.rig.ended[0].code == MSN_CODE_OK);
	teardown(&f);
}

static void messages_come_in_order_and_whole(void)
{
	a_stream_of("Count", 0, 0);
	a_stream_of("Count", 1, 100);
	a_stream_of("Count", 1000, 10);
	a_stream_of("Count", 30, 1 << 20);
	a_stream_of("Count", 3, (4 << 20) - 16);
}

static void the_loop_thread_streams_too(void)
{
	a_stream_of("CountHere", 0, 0);
	a_stream_of("CountHere", 1000, 10);
	a_stream_of("CountHere", 30, 1 << 20);
}

/* A sender waits: at most 4 MiB are queued, whatever it has. */
static void a_slow_reader_is_waited_for(void)
{
	struct fixture f;
	uint32_t id;

	setup(&f, NULL);
	id = open_count(&f, "Count", 40, 1 << 20);
	/* Until its sender waits, and nothing moves any more. */
	while (atomic_load(&f.rig.service.sent) < 3)
		rig_round(&f.rig);
	for (int i = 0; i < 20; i++) {
		rig_settle(&f.rig);
		usleep(1000);
	}
	EXPECT(atomic_load(&f.rig.service.sent) < 8);
	EXPECT(rig_usage(&f.rig).buffered_bytes <= (5 << 20));
	for (uint32_t i = 0; i < 40; i++)
		expect_count(&f, id, i, 1 << 20);
	expect_end(&f, id);
	teardown(&f);
}

/* Others on the connection's server, and other connections, go on. */
static void a_slow_reader_holds_nobody_up(void)
{
	Memsnap__Test__EchoResponse *e;
	struct client other;
	struct fixture f;

	setup(&f, NULL);
	client_open(&other, &f.rig);
	open_count(&f, "Count", 40, 1 << 20);
	open_count(&f, "CountHere", 40, 1 << 20);
	for (int i = 0; i < 50; i++) {
		e = client_echo(&other, i % 2 ? "Echo" : "EchoSlow", "t");
		free_echo(e);
	}
	client_close(&other);
	client_close(&f.c);
	teardown(&f);
	EXPECT(atomic_load(&f.rig.service.last_rc) == -ECANCELED);
}

/* Every payload is released once, sent or not. */
static void a_client_that_goes_ends_its_streams(void)
{
	static const char *const methods[] = { "Count", "CountHere" };
	struct fixture f;

	for (size_t i = 0; i < 2; i++) {
		struct service *s = &f.rig.service;

		setup(&f, NULL);
		expect_count(&f, open_count(&f, methods[i], 1000, 1 << 20), 0,
			     1 << 20);
		client_close(&f.c);
		teardown(&f);
		EXPECT(atomic_load(&s->last_rc) == -ECANCELED);
		EXPECT(atomic_load(&s->released) >= atomic_load(&s->sent));
		EXPECT(f.rig.ended[0].code == MSN_CODE_CANCELLED);
	}
}

static void a_deadline_ends_a_stream(void)
{
	struct fixture f;
	uint32_t id;

	setup(&f, NULL);
	id = client_request(&f.c,
			    &(struct request){ .method = "Count",
					       .message = COUNT(1000, 1 << 20),
					       .flags = CLOSED,
					       .timeout_ns = 20000000 });
	while (f.rig.ended_count == 0)
		rig_round(&f.rig);
	/* What was queued still comes, then the status. */
	do {
		CHECK(client_receive(&f.c, &f.reply));
		EXPECT(f.reply.id == id);
		reply_free(&f.reply);
	} while (f.reply.type == 3);
	EXPECT(f.reply.status.code == MSN_CODE_DEADLINE_EXCEEDED);
	teardown(&f);
}

/* A client that does not read for long is given up. */
static void a_client_that_takes_nothing_is_given_up(void)
{
	static const char *const methods[] = { "Count", "CountHere" };
	struct fixture f;

	for (size_t i = 0; i < 2; i++) {
		setup(&f, &(struct msn_server_limits){ .stall_ms = 30 });
		open_count(&f, methods[i], 1000, 1 << 20);
		while (f.rig.ended_count == 0)
			rig_round(&f.rig);
		EXPECT(f.rig.ended[0].code == MSN_CODE_CANCELLED);
		while (rig_usage(&f.rig).connections > 0)
			rig_round(&f.rig);
		teardown(&f);
		EXPECT(atomic_load(&f.rig.service.last_rc) == -ECANCELED);
	}
}

/* ---- from the client ----------------------------------------------------- */

static uint32_t open_stream(struct fixture *f, const char *method)
{
	return client_request(
		&f->c, &(struct request){ .method = method, .flags = OPEN });
}

static void send_data(struct fixture *f, uint32_t id, size_t size,
		      uint8_t flags)
{
	CountResponse m = MEMSNAP__TEST__COUNT_RESPONSE__INIT;
	uint8_t *data = calloc(1, size + 1);

	CHECK(data);
	m.data.data = data;
	m.data.len = size;
	client_send(&f->c, id, &m.base, flags);
	free(data);
}

static void expect_sum(struct fixture *f, uint32_t id, uint32_t count,
		       uint32_t size)
{
	Memsnap__Test__CountRequest *m;

	CHECK(client_receive(&f->c, &f->reply));
	CHECK(f->reply.id == id && f->reply.type == 2);
	CHECK(f->reply.status.code == MSN_CODE_OK);
	m = memsnap__test__count_request__unpack(NULL, f->reply.payload_len,
						 f->reply.payload);
	CHECK(m);
	EXPECT(m->count == count && m->size == size);
	memsnap__test__count_request__free_unpacked(m, NULL);
	reply_free(&f->reply);
}

static void a_client_streams(void)
{
	struct fixture f;
	uint32_t id;

	setup(&f, NULL);
	id = open_stream(&f, "Sum");
	for (uint32_t i = 0; i < 100; i++)
		send_data(&f, id, i, 0);
	client_frame(&f.c, id, 3, CLOSED | NO_DATA, NULL, 0);
	expect_sum(&f, id, 100, 99 * 50);
	/* The last message may say that it is the last, and may be empty. */
	id = open_stream(&f, "Sum");
	send_data(&f, id, 7, 0);
	client_frame(&f.c, id, 3, 0, NULL, 0);
	send_data(&f, id, 5, CLOSED);
	expect_sum(&f, id, 3, 12);
	/* No message at all. */
	id = open_stream(&f, "Sum");
	client_frame(&f.c, id, 3, CLOSED | NO_DATA, NULL, 0);
	expect_sum(&f, id, 0, 0);
	/* One request that is the whole stream. */
	id = client_request(
		&f.c, &(struct request){ .method = "Sum", .flags = CLOSED });
	expect_sum(&f, id, 1, 0);
	teardown(&f);
}

/* 64 MiB go through without the server's holding more than a few. */
static void a_fast_writer_is_held_back(void)
{
	struct fixture f;
	uint32_t id;
	size_t most = 0;

	setup(&f, NULL);
	id = open_stream(&f, "Sum");
	for (uint32_t i = 0; i < 64; i++) {
		size_t now;

		send_data(&f, id, 1 << 20, 0);
		now = rig_usage(&f.rig).buffered_bytes;
		most = now > most ? now : most;
	}
	client_frame(&f.c, id, 3, CLOSED | NO_DATA, NULL, 0);
	expect_sum(&f, id, 64, 64 << 20);
	EXPECT(most < (20 << 20)); /* inbox, half a frame, what is decoded */
	teardown(&f);
}

static void both_may_stream_at_once(void)
{
	Memsnap__Test__EchoResponse *e;
	char text[16];
	struct fixture f;
	uint32_t id;

	setup(&f, NULL);
	id = open_stream(&f, "Chat");
	for (int i = 0; i < 50; i++) {
		snprintf(text, sizeof(text), "%d", i);
		client_send(&f.c, id, ECHO(.text = text), 0);
		CHECK(client_receive(&f.c, &f.reply) && f.reply.type == 3);
		e = memsnap__test__echo_response__unpack(NULL, f.reply.len,
							 f.reply.data);
		CHECK(e && strcmp(e->text, text) == 0);
		free_echo(e);
		reply_free(&f.reply);
	}
	client_frame(&f.c, id, 3, CLOSED | NO_DATA, NULL, 0);
	expect_end(&f, id);
	teardown(&f);
}

static void a_bad_message_ends_the_stream(void)
{
	struct fixture f;
	uint32_t id;

	setup(&f, NULL);
	id = open_stream(&f, "Chat");
	client_send(&f.c, id, ECHO(.text = "\xff"), 0);
	expect_status(&f, id, MSN_CODE_INVALID_ARGUMENT, "INVALID_FIELD");
	/* What comes for it now is passed over. */
	client_send(&f.c, id, ECHO(.text = "t"), 0);
	client_frame(&f.c, id, 3, CLOSED | NO_DATA, NULL, 0);
	free_echo(client_echo(&f.c, "Echo", "t"));
	teardown(&f);
}

static void a_handler_that_waits_is_cancelled(void)
{
	struct fixture f;
	uint32_t id;

	setup(&f, NULL);
	id = open_stream(&f, "Sum");
	send_data(&f, id, 5, 0);
	while (sem_trywait(&f.rig.service.held))
		rig_settle(&f.rig);
	client_close(&f.c);
	teardown(&f);
	EXPECT(atomic_load(&f.rig.service.last_rc) == -ECANCELED);
}

static void a_client_that_sends_nothing_is_given_up(void)
{
	struct fixture f;
	uint32_t id;

	setup(&f, &(struct msn_server_limits){ .stall_ms = 30 });
	id = open_stream(&f, "Sum");
	send_data(&f, id, 5, 0);
	expect_status(&f, id, MSN_CODE_CANCELLED, "STALLED");
	teardown(&f);
	EXPECT(atomic_load(&f.rig.service.last_rc) == -ECANCELED);
}

static void a_client_that_goes_on_is_not_given_up(void)
{
	uint64_t last = msn_clock_ns(), gap = 0;
	struct fixture f;
	uint32_t id;

	setup(&f, &(struct msn_server_limits){ .stall_ms = 60 });
	id = open_stream(&f, "Sum");
	for (int i = 0; i < 30; i++) {
		uint64_t now;

		send_data(&f, id, 5, 0);
		rig_settle(&f.rig);
		usleep(5000);
		now = msn_clock_ns();
		gap = now - last > gap ? now - last : gap;
		last = now;
	}
	client_frame(&f.c, id, 3, CLOSED | NO_DATA, NULL, 0);
	if (gap < 30000000) /* else this machine has stalled, not the client */
		expect_sum(&f, id, 30, 150);
	teardown(&f);
}

/* ---- streams that are none ----------------------------------------------- */

static void a_unary_request_opens_no_stream(void)
{
	struct fixture f;
	uint32_t id;

	setup(&f, NULL);
	/* A client of ttrpc 1.0 knows no data frames. */
	id = client_request(&f.c, &(struct request){ .method = "Count",
						     .message = COUNT(3, 3) });
	expect_status(&f, id, MSN_CODE_UNIMPLEMENTED, "STREAM");
	id = client_request(&f.c,
			    &(struct request){ .method = "Hold",
					       .message = ECHO(.text = "t") });
	client_send(&f.c, id, ECHO(.text = "more"), 0);
	expect_status(&f, id, MSN_CODE_INVALID_ARGUMENT, "STREAM");
	EXPECT(atomic_load(&f.rig.service.sent) == 0);
	teardown(&f);
}

static void one_message_is_one(void)
{
	struct fixture f;
	uint32_t id;

	setup(&f, NULL);
	id = client_request(
		&f.c, &(struct request){ .method = "Echo", .flags = OPEN });
	client_frame(&f.c, id, 3, CLOSED | NO_DATA, NULL, 0);
	expect_status(&f, id, MSN_CODE_INTERNAL, "MESSAGES");
	id = client_request(&f.c,
			    &(struct request){ .method = "Echo",
					       .flags = OPEN,
					       .message = ECHO(.text = "1") });
	client_send(&f.c, id, ECHO(.text = "2"), CLOSED);
	expect_status(&f, id, MSN_CODE_INTERNAL, "MESSAGES");
	EXPECT(atomic_load(&f.rig.service.ran) == 0);
	/* In two parts: as a stream of one. */
	id = client_request(&f.c,
			    &(struct request){ .method = "Echo",
					       .flags = OPEN,
					       .message = ECHO(.text = "1") });
	client_frame(&f.c, id, 3, CLOSED | NO_DATA, NULL, 0);
	expect_status(&f, id, MSN_CODE_OK, "");
	teardown(&f);
}

static void a_message_after_the_last_ends_the_stream(void)
{
	struct fixture f;
	uint32_t id;

	setup(&f, &(struct msn_server_limits){ .blocking_per_owner = 1 });
	/* It waits for a worker, so that it is still there. */
	client_request(&f.c, &(struct request){ .method = "Hold",
						.message = ECHO(.text = "t") });
	while (sem_trywait(&f.rig.service.held))
		rig_settle(&f.rig);
	id = open_stream(&f, "Sum");
	send_data(&f, id, 5, CLOSED);
	send_data(&f, id, 5, 0);
	expect_status(&f, id, MSN_CODE_INTERNAL, "MESSAGES");
	sem_post(&f.rig.service.let_go);
	expect_status(&f, 1, MSN_CODE_OK, "");
	teardown(&f);
}

int main(int argc, char **argv)
{
	static const struct check_test tests[] = {
		CHECK_TEST(messages_come_in_order_and_whole),
		CHECK_TEST(the_loop_thread_streams_too),
		CHECK_TEST(a_slow_reader_is_waited_for),
		CHECK_TEST(a_slow_reader_holds_nobody_up),
		CHECK_TEST(a_client_that_goes_ends_its_streams),
		CHECK_TEST(a_deadline_ends_a_stream),
		CHECK_TEST(a_client_that_takes_nothing_is_given_up),
		CHECK_TEST(a_client_streams),
		CHECK_TEST(a_fast_writer_is_held_back),
		CHECK_TEST(both_may_stream_at_once),
		CHECK_TEST(a_bad_message_ends_the_stream),
		CHECK_TEST(a_handler_that_waits_is_cancelled),
		CHECK_TEST(a_client_that_sends_nothing_is_given_up),
		CHECK_TEST(a_client_that_goes_on_is_not_given_up),
		CHECK_TEST(a_unary_request_opens_no_stream),
		CHECK_TEST(one_message_is_one),
		CHECK_TEST(a_message_after_the_last_ends_the_stream),
		{}
	};

	return check_main(argc, argv, "wire: streams", tests);
}
