/*
 * Descriptors that travel with messages: to the right one, all or none, and
 * none is left behind.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "rig.h"

#include "base/fd.h"
#include "support/check.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

struct fixture {
	struct rig rig;
	struct client c;
	struct reply reply;
	size_t open_before;
};

static size_t count_fds(void)
{
	DIR *dir = opendir("/proc/self/fd");
	size_t n = 0;

	CHECK(dir);
	while (readdir(dir))
		n++;
	closedir(dir);
	return n;
}

static void setup(struct fixture *f, const struct msn_server_limits *limits)
{
	struct msn_server_opts opts = { 0 };

	if (limits)
		opts.limits = *limits;
	f->open_before = count_fds();
	rig_init(&f->rig, &opts);
	client_open(&f->c, &f->rig);
}

/* Every descriptor that was made meanwhile is closed. */
static void teardown(struct fixture *f)
{
	client_close(&f->c);
	rig_settle(&f->rig);
	rig_deinit(&f->rig);
	EXPECT(count_fds() == f->open_before);
}

static int make_file(uint64_t size)
{
	int fd = memfd_create("test", MFD_CLOEXEC);

	CHECK(fd >= 0 && ftruncate(fd, (off_t)size) == 0);
	return fd;
}

static const char *const takes_fds[] = { "memsnap-fds", "ok", NULL };

/* Sends a request with files of these sizes. */
static uint32_t request_with(struct fixture *f, const char *method,
			     const uint64_t *sizes, size_t count)
{
	int fds[64];
	uint32_t id;

	for (size_t i = 0; i < count; i++)
		fds[i] = make_file(sizes[i]);
	id = client_request(&f->c,
			    &(struct request){ .method = method,
					       .message = ECHO(.text = "t"),
					       .metadata = takes_fds,
					       .fds = fds,
					       .fd_count = count });
	for (size_t i = 0; i < count; i++)
		close(fds[i]);
	return id;
}

/* Expects an answer with files of these sizes. */
static void expect_files(struct fixture *f, uint32_t id, const uint64_t *sizes,
			 size_t count)
{
	Memsnap__Test__EchoResponse *e;

	CHECK(client_receive(&f->c, &f->reply) && f->reply.id == id);
	e = reply_echo(&f->reply);
	EXPECT(e->fds == count);
	CHECK(f->c.fd_count >= count);
	for (size_t i = 0; i < count; i++) {
		struct stat st;

		CHECK(fstat(f->c.fds[i], &st) == 0);
		EXPECT((uint64_t)st.st_size == sizes[i]);
		close(f->c.fds[i]);
	}
	f->c.fd_count -= count;
	memmove(f->c.fds, f->c.fds + count, f->c.fd_count * sizeof(int));
	free_echo(e);
	reply_free(&f->reply);
}

/* ---- that arrive --------------------------------------------------------- */

static void they_come_and_go_in_order(void)
{
	static const uint64_t sizes[] = { 100, 200, 300 };
	struct fixture f;

	setup(&f, NULL);
	for (int i = 0; i < 3; i++)
		expect_files(&f, request_with(&f, "Pass", sizes, 3), sizes, 3);
	expect_files(&f, request_with(&f, "Pass", sizes, 1), sizes, 1);
	expect_files(&f, request_with(&f, "Pass", sizes, 0), sizes, 0);
	teardown(&f);
}

static void sixty_four_travel_at_once(void)
{
	uint64_t sizes[64];
	struct fixture f;

	for (uint64_t i = 0; i < 64; i++)
		sizes[i] = i + 1;
	setup(&f, NULL);
	expect_files(&f, request_with(&f, "Pass", sizes, 64), sizes, 64);
	teardown(&f);
}

/* Many requests are read at once; each gets its own. */
static void they_belong_to_the_message_that_they_were_sent_with(void)
{
	static const uint64_t a[] = { 1, 2 }, b[] = { 3 }, c[] = { 4, 5, 6 };
	uint32_t ids[6];
	struct fixture f;

	setup(&f, NULL);
	ids[0] = request_with(&f, "Pass", a, 0);
	ids[1] = request_with(&f, "Pass", a, 2);
	ids[2] = request_with(&f, "Pass", b, 0);
	ids[3] = request_with(&f, "Pass", b, 1);
	ids[4] = request_with(&f, "Pass", c, 3);
	ids[5] = request_with(&f, "Pass", c, 0);
	expect_files(&f, ids[0], a, 0);
	expect_files(&f, ids[1], a, 2);
	expect_files(&f, ids[2], b, 0);
	expect_files(&f, ids[3], b, 1);
	expect_files(&f, ids[4], c, 3);
	expect_files(&f, ids[5], c, 0);
	EXPECT(f.c.fd_count == 0);
	teardown(&f);
}

/* A frame in three parts, the descriptors with any of them, another frame
 * before it. */
static void a_frame_in_parts_keeps_its_own(void)
{
	static const uint64_t size[] = { 77 };

	for (unsigned with = 0; with < 3; with++) {
		struct request req = { .method = "Pass",
				       .message = ECHO(.text = "t"),
				       .metadata = takes_fds };
		struct fixture f;
		uint32_t before;
		uint8_t *bytes;
		size_t len;
		int fd;

		setup(&f, NULL);
		fd = make_file(size[0]);
		before = request_with(&f, "Pass", size, 0);
		bytes = client_request_bytes(&f.c, &req, &len);
		for (unsigned i = 0; i < 3; i++) {
			size_t from = i * 7, to = i == 2 ? len : from + 7;

			client_write_fds(&f.c, bytes + from, to - from, &fd,
					 i == with);
			if (with == 1)
				rig_settle(&f.rig);
		}
		close(fd);
		free(bytes);
		expect_files(&f, before, size, 0);
		expect_files(&f, f.c.last_id, size, 1);
		teardown(&f);
	}
}

static void messages_of_a_stream_have_their_own(void)
{
	static const uint64_t size[] = { 5 };
	struct fixture f;
	uint32_t id;
	int fd, fds[2];

	setup(&f, NULL);
	fd = make_file(size[0]);
	id = client_request(&f.c, &(struct request){ .method = "Pass",
						     .metadata = takes_fds,
						     .flags = 2 });
	/* An empty frame of a stream that is not there, with a descriptor. */
	client_write_fds(&f.c, "\0\0\0\0\0\0\0\x63\3\4", 10, &fd, 1);
	fds[0] = fd;
	client_write_fds(&f.c, "\0\0\0\3\0\0\0\1\3\1\x0a\1t", 13, fds, 1);
	CHECK(client_receive(&f.c, &f.reply)); /* of the stranger */
	EXPECT(f.reply.status.code == MSN_CODE_INVALID_ARGUMENT);
	reply_free(&f.reply);
	expect_files(&f, id, size, 1);
	close(fd);
	teardown(&f);
}

/* ---- that nobody takes --------------------------------------------------- */

/* Waits until the other end of the pipe is closed everywhere. */
static void expect_closed(struct fixture *f, int reader)
{
	char byte;
	ssize_t n;

	while ((n = read(reader, &byte, 1)) < 0 && errno == EAGAIN) {
		rig_settle(&f->rig);
		usleep(100);
	}
	EXPECT(n == 0);
	close(reader);
}

/* A request with the writing end of a pipe; the reading end is returned. */
static int request_with_pipe(struct fixture *f, const char *method,
			     const char *service, uint8_t flags)
{
	int ends[2];

	CHECK(pipe2(ends, O_CLOEXEC | O_NONBLOCK) == 0);
	client_request(&f->c, &(struct request){ .method = method,
						 .service = service,
						 .message = ECHO(.text = "t"),
						 .flags = flags,
						 .fds = &ends[1],
						 .fd_count = 1 });
	close(ends[1]);
	return ends[0];
}

static void what_nobody_takes_is_closed(void)
{
	static const struct {
		const char *method, *service;
		uint8_t flags;
	} cases[] = { { "Echo", NULL, 0 },    { "EchoSlow", NULL, 0 },
		      { "Nothing", NULL, 0 }, { "Echo", "no.such", 0 },
		      { "ForGrpc", NULL, 0 }, { "Count", NULL, 0 },
		      { "Mute", NULL, 0 },    { "Sum", NULL, 1 } };
	struct fixture f;

	setup(&f, NULL);
	for (size_t i = 0; i < MSN_ARRAY_LEN(cases); i++) {
		int reader = request_with_pipe(
			&f, cases[i].method, cases[i].service, cases[i].flags);

		CHECK(client_receive(&f.c, &f.reply));
		reply_free(&f.reply);
		expect_closed(&f, reader);
	}
	/* With a call that is cancelled, and with a connection. */
	{
		int kept = request_with_pipe(&f, "Keep", NULL, 0);
		int held = request_with_pipe(&f, "Hold", NULL, 0);

		client_close(&f.c);
		expect_closed(&f, kept);
		expect_closed(&f, held);
	}
	while (rig_usage(&f.rig).calls > 0)
		rig_round(&f.rig);
	teardown(&f);
}

static void half_a_frame_keeps_them_until_the_connection_goes(void)
{
	struct fixture f;
	int ends[2];

	setup(&f, NULL);
	CHECK(pipe2(ends, O_CLOEXEC | O_NONBLOCK) == 0);
	client_write_fds(&f.c, "\0\0\0\x50", 4, &ends[1], 1);
	close(ends[1]);
	rig_settle(&f.rig);
	client_close(&f.c);
	expect_closed(&f, ends[0]);
	teardown(&f);
}

static void without_a_word_from_the_client_none_are_sent(void)
{
	static const char *const other[] = { "memsnap-fds", "no", NULL };
	struct fixture f;

	setup(&f, NULL);
	for (int i = 0; i < 2; i++) {
		int fd = make_file(1);
		struct request req = { .method = "Pass",
				       .message = ECHO(.text = "t"),
				       .metadata = i ? other : NULL,
				       .fds = &fd,
				       .fd_count = 1 };

		EXPECT(client_call(&f.c, &req, &f.reply) ==
		       MSN_CODE_FAILED_PRECONDITION);
		reply_free(&f.reply);
		close(fd);
	}
	EXPECT(f.c.fd_count == 0);
	teardown(&f);
}

/* ---- floods -------------------------------------------------------------- */

/* Expects the server to have ended the connection and said why. */
static void expect_refusal(struct fixture *f, uint32_t id)
{
	CHECK(client_receive(&f->c, &f->reply));
	EXPECT(f->reply.id == id);
	EXPECT(f->reply.status.code == MSN_CODE_RESOURCE_EXHAUSTED);
	EXPECT(strcmp(f->reply.status.reason, "DESCRIPTORS") == 0);
	reply_free(&f->reply);
	EXPECT(!client_receive(&f->c, &f->reply));
}

static void more_than_the_connection_may_have_ends_it(void)
{
	int fds[65];
	struct fixture f;
	uint32_t id;

	setup(&f, NULL);
	for (size_t i = 0; i < 65; i++)
		fds[i] = make_file(i);
	/* A call under way hears of it. */
	id = client_request(&f.c,
			    &(struct request){ .method = "Keep",
					       .message = ECHO(.text = "t") });
	rig_settle(&f.rig);
	client_write_fds(&f.c, "\0\0\0\x50", 4, fds, 65);
	expect_refusal(&f, id);
	for (size_t i = 0; i < 65; i++)
		close(fds[i]);
	EXPECT(f.rig.service.cancelled == 1);
	teardown(&f);
}

/* A few with each byte of a frame that does not end. */
static void a_trickle_is_a_flood_too(void)
{
	static const char header[] = "\0\1\0\0\0\0\0\7\1\0";
	struct fixture f;
	int fds[7];

	setup(&f, NULL);
	for (size_t i = 0; i < 7; i++)
		fds[i] = make_file(i);
	client_write(&f.c, header, 10);
	for (size_t i = 0; i < 10; i++)
		client_write_fds(&f.c, "x", 1, fds, 7);
	expect_refusal(&f, 7); /* the frame that did not end */
	for (size_t i = 0; i < 7; i++)
		close(fds[i]);
	teardown(&f);
}

static void an_owner_has_a_limit_of_its_own(void)
{
	static const uint64_t sizes[] = { 1, 2, 3, 4, 5, 6 };
	struct client other;
	struct fixture f;
	int fds[6];

	setup(&f, &(struct msn_server_limits){ .fds_per_owner = 10 });
	for (size_t i = 0; i < 6; i++)
		fds[i] = make_file(i);
	client_open(&other, &f.rig);
	client_write_fds(&other, "\0\0\0\x50", 4, fds, 6);
	rig_settle(&f.rig);
	client_write(&f.c, "\0\0\0\x50\0\0\0\1\1\0", 10);
	client_write_fds(&f.c, "x", 1, fds, 6);
	expect_refusal(&f, 1);
	client_close(&other);
	client_close(&f.c);
	/* Those are closed by a worker, and then there is room again. */
	rig_settle(&f.rig);
	while (count_fds() > f.open_before + 6 + 6)
		usleep(100);
	client_open(&f.c, &f.rig);
	expect_files(&f, request_with(&f, "Pass", sizes, 6), sizes, 6);
	for (size_t i = 0; i < 6; i++)
		close(fds[i]);
	teardown(&f);
}

/* The kernel has no number for some of them: it would drop these. */
static void when_none_is_free_the_connection_ends(void)
{
	struct rlimit before, few;
	struct fixture f;
	int fds[8], top;

	setup(&f, NULL);
	rig_settle(&f.rig);
	for (size_t i = 0; i < 8; i++)
		fds[i] = make_file(i);
	client_write(&f.c, "\0\0\0\x50\0\0\0\1\1\0", 10);
	rig_settle(&f.rig);
	client_write_fds(&f.c, "x", 1, fds, 8);
	CHECK(getrlimit(RLIMIT_NOFILE, &before) == 0);
	few = before;
	top = dup(0);
	close(top);
	few.rlim_cur = (rlim_t)top + 3;
	CHECK(setrlimit(RLIMIT_NOFILE, &few) == 0);
	rig_settle(&f.rig);
	CHECK(setrlimit(RLIMIT_NOFILE, &before) == 0);
	expect_refusal(&f, 1);
	for (size_t i = 0; i < 8; i++)
		close(fds[i]);
	teardown(&f);
}

static void who_cannot_take_them_gets_none(void)
{
	struct fixture f;
	int fd;

	setup(&f, NULL);
	fd = make_file(1);
	client_write_fds(&f.c, "GET /healthz HTTP/1.1\r\n", 23, &fd, 1);
	client_await_end(&f.c);
	close(fd);
	teardown(&f);
}

int main(int argc, char **argv)
{
	static const struct check_test tests[] = {
		CHECK_TEST(they_come_and_go_in_order),
		CHECK_TEST(sixty_four_travel_at_once),
		CHECK_TEST(they_belong_to_the_message_that_they_were_sent_with),
		CHECK_TEST(a_frame_in_parts_keeps_its_own),
		CHECK_TEST(messages_of_a_stream_have_their_own),
		CHECK_TEST(what_nobody_takes_is_closed),
		CHECK_TEST(half_a_frame_keeps_them_until_the_connection_goes),
		CHECK_TEST(without_a_word_from_the_client_none_are_sent),
		CHECK_TEST(more_than_the_connection_may_have_ends_it),
		CHECK_TEST(a_trickle_is_a_flood_too),
		CHECK_TEST(an_owner_has_a_limit_of_its_own),
		CHECK_TEST(when_none_is_free_the_connection_ends),
		CHECK_TEST(who_cannot_take_them_gets_none),
		{}
	};

	return check_main(argc, argv, "wire: descriptors", tests);
}
