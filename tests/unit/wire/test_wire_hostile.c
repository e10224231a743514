/*
 * Clients that mean no good: the server stays up, stays small, and serves
 * others meanwhile.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "rig.h"

#include "support/check.h"
#include "wire/call.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

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
	client_close(&f->c);
	while (rig_usage(&f->rig).calls > 0 ||
	       rig_usage(&f->rig).connections > 0)
		rig_round(&f->rig);
	rig_await_memory(&f->rig);
	rig_deinit(&f->rig);
}

/* Another client is served. */
static void expect_service(struct fixture *f)
{
	struct client other;

	client_open(&other, &f->rig);
	free_echo(client_echo(&other, "Echo", "t"));
	free_echo(client_echo(&other, "EchoSlow", "t"));
	client_close(&other);
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

/* ---- what is no ttrpc ---------------------------------------------------- */

static void a_first_byte_that_nobody_knows_ends_the_connection(void)
{
	struct fixture f;

	for (unsigned byte = 1; byte < 256; byte++) {
		uint8_t b[32];

		if (byte == 'G' || byte == 'H' || byte == 'P')
			continue;
		memset(b, (int)byte, sizeof(b));
		setup(&f, NULL);
		client_write(&f.c, b, sizeof(b));
		client_await_end(&f.c);
		expect_service(&f);
		teardown(&f);
	}
}

static void a_header_that_is_none_ends_the_connection(void)
{
	struct fixture f;

	setup(&f, NULL);
	client_request(&f.c, &(struct request){ .method = "Keep",
						.message = ECHO(.text = "t") });
	client_write(&f.c, "\1\0\0\0\0\0\0\3\1\0", 10);
	client_await_end(&f.c);
	EXPECT(f.rig.service.cancelled == 1);
	expect_service(&f);
	teardown(&f);
}

static void frames_of_other_types_are_passed_over(void)
{
	struct fixture f;

	setup(&f, NULL);
	for (unsigned type = 0; type < 256; type++)
		if (type != 1 && type != 3)
			client_frame(&f.c, 1, (uint8_t)type, 0xff, "abc", 3);
	free_echo(client_echo(&f.c, "Echo", "t"));
	teardown(&f);
}

static void numbers_of_streams_are_odd_and_rise(void)
{
	struct request req = { .method = "Echo", .message = ECHO(.text = "t") };
	struct fixture f;
	size_t len;
	uint8_t *bytes;

	setup(&f, NULL);
	client_frame(&f.c, 4, 1, 0, "", 0);
	expect_status(&f, 4, MSN_CODE_INVALID_ARGUMENT, "STREAM_ID");
	client_frame(&f.c, 0, 3, 0, "", 0);
	expect_status(&f, 0, MSN_CODE_INVALID_ARGUMENT, "STREAM_ID");
	client_frame(&f.c, 9, 3, 0, "", 0); /* data of no stream */
	expect_status(&f, 9, MSN_CODE_INVALID_ARGUMENT, "STREAM_ID");
	bytes = client_request_bytes(&f.c, &req, &len);
	client_write(&f.c, bytes, len);
	expect_status(&f, 1, MSN_CODE_OK, "");
	client_write(&f.c, bytes, len);
	expect_status(&f, 1, MSN_CODE_INVALID_ARGUMENT, "STREAM_ID");
	free(bytes);
	f.c.last_id = UINT32_MAX - 2;
	expect_status(&f, client_request(&f.c, &req), MSN_CODE_OK, "");
	teardown(&f);
}

static void a_request_that_is_none_is_refused(void)
{
	static const struct {
		const char *bytes;
		size_t len;
		enum msn_code code;
	} cases[] = {
		{ "", 0, MSN_CODE_UNIMPLEMENTED },
		{ "\x0a", 1, MSN_CODE_INVALID_ARGUMENT },
		{ "\x0a\x7f", 2, MSN_CODE_INVALID_ARGUMENT },
		{ "\xff\xff\xff\xff\xff\xff", 6, MSN_CODE_INVALID_ARGUMENT },
		{ "\x2a\x02\x0a\x7f", 4, MSN_CODE_INVALID_ARGUMENT },
		{ "\x2a\x03\x0a\x01\xff", 5, MSN_CODE_INVALID_ARGUMENT },
		{ "\x2a\x03\x12\x01\x00", 5, MSN_CODE_INVALID_ARGUMENT },
		{ "\x08\x01\x10\x01\x18\x01\x28\x01", 8,
		  MSN_CODE_UNIMPLEMENTED },
	};
	char path[600] = "\x0a\xff\x03"; /* a service of 511 bytes */
	struct fixture f;

	setup(&f, NULL);
	for (uint32_t i = 0; i < MSN_ARRAY_LEN(cases); i++) {
		client_frame(&f.c, 2 * i + 1, 1, 0, cases[i].bytes,
			     cases[i].len);
		CHECK(client_receive(&f.c, &f.reply));
		EXPECT(f.reply.status.code == cases[i].code);
		reply_free(&f.reply);
	}
	memset(path + 3, 'x', 511);
	client_frame(&f.c, 99, 1, 0, path, 3 + 511);
	expect_status(&f, 99, MSN_CODE_INVALID_ARGUMENT, "UNDECODABLE");
	expect_service(&f);
	teardown(&f);
}

/* ---- too much ------------------------------------------------------------ */

static void a_frame_that_is_too_long_is_passed_over(void)
{
	size_t len = (4 << 20) + 1;
	uint8_t *data = calloc(1, len);
	struct fixture f;
	uint32_t id;

	CHECK(data);
	setup(&f, NULL);
	client_frame(&f.c, 1, 1, 0, data, len);
	expect_status(&f, 1, MSN_CODE_RESOURCE_EXHAUSTED, "TOO_LONG");
	EXPECT(rig_usage(&f.rig).buffered_bytes < 4096);
	/* Of a stream: its call ends, others do not. */
	f.c.last_id = 1;
	id = client_request(&f.c,
			    &(struct request){ .method = "Sum", .flags = 2 });
	client_frame(&f.c, id, 3, 0, data, len);
	expect_status(&f, id, MSN_CODE_RESOURCE_EXHAUSTED, "TOO_LONG");
	client_frame(&f.c, 77, 7, 0, data, len); /* nobody's */
	free_echo(client_echo(&f.c, "Echo", "t"));
	/* One that is exactly as long as it may be. */
	client_frame(&f.c, id + 4, 1, 0, data, 4 << 20);
	CHECK(client_receive(&f.c, &f.reply));
	EXPECT(f.reply.status.code == MSN_CODE_INVALID_ARGUMENT);
	reply_free(&f.reply);
	teardown(&f);
	free(data);
}

/* A header says 4 MiB; nothing is kept for what has not come. */
static void a_header_alone_costs_nothing(void)
{
	struct client many[100];
	struct fixture f;

	setup(&f, NULL);
	for (size_t i = 0; i < 100; i++) {
		client_open(&many[i], &f.rig);
		client_write(&many[i], "\0\x40\0\0\0\0\0\1\1\0abc", 13);
	}
	rig_settle(&f.rig);
	EXPECT(rig_usage(&f.rig).buffered_bytes <= 100 * 1024);
	expect_service(&f);
	for (size_t i = 0; i < 100; i++)
		client_close(&many[i]);
	teardown(&f);
}

/* Sends @data again and again without reading, until the server stops reading
 * too: until it has not taken anything for a while. */
static size_t flood(struct client *c, const uint8_t *data, size_t len,
		    size_t limit)
{
	unsigned idle = 0;
	size_t sent = 0;

	while (sent < limit && idle < 20) {
		size_t at = sent % len;
		ssize_t n = send(c->fd, data + at, len - at, MSG_NOSIGNAL);

		CHECK(n > 0 || errno == EAGAIN);
		if (n > 0) {
			sent += (size_t)n;
			idle = 0;
			continue;
		}
		rig_settle(c->rig);
		usleep(1000);
		idle++;
	}
	return sent;
}

static void who_asks_and_does_not_listen_is_not_read(void)
{
	uint8_t frames[1000 * 10];
	struct fixture f;
	size_t sent;

	/* Each of these 10 bytes has an answer of more than 100. */
	for (size_t i = 0; i < 1000; i++)
		memcpy(frames + 10 * i, "\0\0\0\0\0\0\0\2\1\0", 10);
	setup(&f, NULL);
	sent = flood(&f.c, frames, sizeof(frames), 64 << 20);
	EXPECT(sent < 2 << 20);
	EXPECT(rig_usage(&f.rig).buffered_bytes < 8 << 20);
	expect_service(&f);
	teardown(&f);
}

/* The same with answers of 3 MiB each: one after the other. */
static void large_answers_are_not_piled_up(void)
{
	size_t size = 3 << 20;
	uint8_t *data = calloc(1, size);
	struct request req = { .method = "EchoSlow",
			       .message = ECHO(.data = { size, data }) };
	struct fixture f;
	uint8_t *all = NULL, *bytes;
	size_t len, sent;

	CHECK(data);
	setup(&f, NULL);
	for (size_t i = 0; i < 30; i++) {
		bytes = client_request_bytes(&f.c, &req, &len);
		all = realloc(all, len * 30);
		CHECK(all);
		memcpy(all + i * len, bytes, len);
		free(bytes);
	}
	sent = flood(&f.c, all, 30 * len, 30 * len);
	EXPECT(rig_usage(&f.rig).buffered_bytes < 40 << 20);
	EXPECT(sent < 30 << 20);
	expect_service(&f);
	teardown(&f);
	free(all);
	free(data);
}

/* Opens and cancels as fast as it can, by going. */
static void who_opens_and_goes_leaves_nothing(void)
{
	struct fixture f;

	setup(&f, &(struct msn_server_limits){ .blocking_per_owner = 4 });
	for (int i = 0; i < 200; i++) {
		struct client c;

		client_open(&c, &f.rig);
		for (int n = 0; n < 10; n++)
			client_request(&c,
				       &(struct request){
					       .method = "Hold",
					       .message = ECHO(.text = "t") });
		if (i % 2)
			rig_settle(&f.rig);
		client_close(&c);
	}
	expect_service(&f);
	EXPECT(atomic_load(&f.rig.service.at_once) <= 4);
	teardown(&f);
}

/* ---- many ---------------------------------------------------------------- */

static size_t resident(void)
{
	size_t pages = 0;
	FILE *f = fopen("/proc/self/statm", "re");

	CHECK(f && fscanf(f, "%*s %zu", &pages) == 1);
	fclose(f);
	return pages * 4096;
}

/* A socket that listens at an abstract address; @sa is filled. */
static int listen_somewhere(struct sockaddr_un *sa, int backlog)
{
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

	CHECK(fd >= 0);
	*sa = (struct sockaddr_un){ .sun_family = AF_UNIX };
	snprintf(sa->sun_path + 1, sizeof(sa->sun_path) - 1, "msn-%d-%d",
		 getpid(), fd);
	CHECK(bind(fd, (struct sockaddr *)sa, sizeof(*sa)) == 0);
	CHECK(listen(fd, backlog) == 0);
	return fd;
}

/* Another process: so many connections, each with @len bytes on it. */
static pid_t crowd(const struct sockaddr_un *sa, unsigned count,
		   const void *data, size_t len, const int done[2])
{
	pid_t pid = fork();
	char byte;

	CHECK(pid >= 0);
	if (pid > 0)
		return pid;
	close(done[1]);
	for (unsigned i = 0; i < count; i++) {
		int fd = socket(AF_UNIX, SOCK_STREAM, 0);

		if (fd < 0 ||
		    connect(fd, (const struct sockaddr *)sa, sizeof(*sa)) ||
		    (len && send(fd, data, len, 0) != (ssize_t)len))
			_exit(1);
	}
	/* They stay until the test has seen enough. */
	_exit(read(done[0], &byte, 1) == 0 ? 0 : 1);
}

/* How many descriptors this process may have beside those that it has. */
static unsigned room_for_fds(unsigned want)
{
	struct rlimit limit;

	CHECK(getrlimit(RLIMIT_NOFILE, &limit) == 0);
	limit.rlim_cur = limit.rlim_max;
	setrlimit(RLIMIT_NOFILE, &limit);
	if (limit.rlim_cur > want + 100)
		return want;
	printf("(only %lu descriptors) ", (unsigned long)limit.rlim_cur);
	return (unsigned)limit.rlim_cur - 100;
}

static void a_crowd_is_served(const void *data, size_t len, size_t bytes_each)
{
	unsigned count = room_for_fds(10000);
	struct sockaddr_un sa;
	struct fixture f;
	size_t before, grown;
	int done[2], status, fd;
	pid_t pid;

	CHECK(pipe(done) == 0);
	setup(&f,
	      &(struct msn_server_limits){ .connections_per_owner = 20000 });
	fd = listen_somewhere(&sa, 4096);
	CHECK(msn_server_listen(
		      f.rig.server,
		      &(struct msn_listen_opts){
			      .fd = fd, .transport = MSN_TRANSPORT_UNIX },
		      NULL) == 0);
	before = resident();
	pid = crowd(&sa, count, data, len, done);
	while (rig_usage(&f.rig).connections < count + 1)
		rig_round(&f.rig);
	rig_settle(&f.rig);
	grown = resident() - before;
	if (!CHECK_SANITIZED)
		EXPECT(grown < count * bytes_each);
	expect_service(&f);
	rig_settle(&f.rig);
	/* With all of them there, nothing happens. */
	EXPECT(sd_event_run(msn_loop_event(f.rig.loop), 20000) == 0);
	close(done[0]);
	close(done[1]);
	CHECK(waitpid(pid, &status, 0) == pid);
	EXPECT(WIFEXITED(status) && WEXITSTATUS(status) == 0);
	teardown(&f);
}

static void ten_thousand_that_say_nothing_are_borne(void)
{
	a_crowd_is_served("", 0, 2048);
}

static void ten_thousand_with_half_a_frame_are_borne(void)
{
	a_crowd_is_served("\0\x40\0\0\0\0\0\1\1\0abc", 13, 4096);
}

/* ---- no descriptor is left ----------------------------------------------- */

static void without_descriptors_nothing_is_accepted_and_nothing_spins(void)
{
	struct rlimit before, few;
	struct sockaddr_un sa;
	struct fixture f;
	int fd, waiting[3], top, rounds = 0;

	setup(&f, NULL);
	free_echo(client_echo(&f.c, "Echo", "t"));
	fd = listen_somewhere(&sa, 16);
	CHECK(msn_server_listen(
		      f.rig.server,
		      &(struct msn_listen_opts){
			      .fd = fd, .transport = MSN_TRANSPORT_UNIX },
		      NULL) == 0);
	for (size_t i = 0; i < 3; i++) {
		waiting[i] = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
		CHECK(connect(waiting[i], (struct sockaddr *)&sa, sizeof(sa)) ==
		      0);
	}
	CHECK(getrlimit(RLIMIT_NOFILE, &before) == 0);
	few = before;
	top = dup(0);
	close(top);
	few.rlim_cur = (rlim_t)top;
	CHECK(setrlimit(RLIMIT_NOFILE, &few) == 0);
	/* It tries once, and then has nothing to do for a while. */
	while (sd_event_run(msn_loop_event(f.rig.loop), 0) > 0)
		CHECK(++rounds < 10);
	EXPECT(rig_usage(&f.rig).connections == 1);
	/* One that is there is served, and when it goes another has room. */
	free_echo(client_echo(&f.c, "Echo", "t"));
	client_close(&f.c);
	while (rig_usage(&f.rig).accepted < 2)
		rig_round(&f.rig);
	CHECK(setrlimit(RLIMIT_NOFILE, &before) == 0);
	/* The others after a pause. */
	while (rig_usage(&f.rig).accepted < 4)
		rig_round(&f.rig);
	for (size_t i = 0; i < 3; i++)
		close(waiting[i]);
	f.c.fd = -1;
	teardown(&f);
}

static void more_connections_than_all_may_have_are_refused(void)
{
	struct sockaddr_un sa;
	struct fixture f;
	int fd, clients[5];
	char byte;

	setup(&f, &(struct msn_server_limits){ .connections = 3 });
	fd = listen_somewhere(&sa, 16);
	CHECK(msn_server_listen(
		      f.rig.server,
		      &(struct msn_listen_opts){
			      .fd = fd, .transport = MSN_TRANSPORT_UNIX },
		      NULL) == 0);
	for (size_t i = 0; i < 5; i++) {
		clients[i] = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
		CHECK(connect(clients[i], (struct sockaddr *)&sa, sizeof(sa)) ==
		      0);
	}
	while (rig_usage(&f.rig).refused < 3)
		rig_round(&f.rig);
	EXPECT(rig_usage(&f.rig).connections == 3);
	EXPECT(read(clients[4], &byte, 1) == 0);
	for (size_t i = 0; i < 5; i++)
		close(clients[i]);
	teardown(&f);
}

int main(int argc, char **argv)
{
	static const struct check_test tests[] = {
		CHECK_TEST(a_first_byte_that_nobody_knows_ends_the_connection),
		CHECK_TEST(a_header_that_is_none_ends_the_connection),
		CHECK_TEST(frames_of_other_types_are_passed_over),
		CHECK_TEST(numbers_of_streams_are_odd_and_rise),
		CHECK_TEST(a_request_that_is_none_is_refused),
		CHECK_TEST(a_frame_that_is_too_long_is_passed_over),
		CHECK_TEST(a_header_alone_costs_nothing),
		CHECK_TEST(who_asks_and_does_not_listen_is_not_read),
		CHECK_TEST(large_answers_are_not_piled_up),
		CHECK_TEST(who_opens_and_goes_leaves_nothing),
		CHECK_TEST(ten_thousand_that_say_nothing_are_borne),
		CHECK_TEST(ten_thousand_with_half_a_frame_are_borne),
		CHECK_TEST(
			without_descriptors_nothing_is_accepted_and_nothing_spins),
		CHECK_TEST(more_connections_than_all_may_have_are_refused),
		{}
	};

	return check_main(argc, argv, "wire: hostile", tests);
}
