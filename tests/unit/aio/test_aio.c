/*
 * Aio: every behaviour over every method, and over a method that fails by rule.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "aio/aio.h"

#include "base/alloc.h"
#include "base/fault.h"
#include "base/fd.h"
#include "base/limits.h"
#include "base/rand.h"
#include "fakes/aio_fault.h"
#include "support/check.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

static const struct {
	const char *name;
	enum msn_aio_method method;
} methods[] = {
	{ "io_uring", MSN_AIO_URING },
	{ "sync", MSN_AIO_SYNC },
};

#define FOR_EACH_METHOD(i) for (size_t i = 0; i < MSN_ARRAY_LEN(methods); i++)

static struct msn_aio *make(size_t i, unsigned depth)
{
	struct msn_aio *aio;

	CHECK(msn_aio_new(&aio, &(struct msn_aio_opts){
					.method = methods[i].method,
					.depth = depth,
				}) == 0);
	return aio;
}

static int temp_file(int flags)
{
	char path[] = "/tmp/msn-aio-XXXXXX";
	int first = mkstemp(path), fd;

	CHECK(first >= 0);
	fd = open(path, O_RDWR | O_CLOEXEC | flags);
	unlink(path);
	close(first);
	return fd;
}

static void fill(void *buf, size_t len, uint64_t seed)
{
	for (size_t i = 0; i < len; i++)
		((unsigned char *)buf)[i] = (unsigned char)msn_rand_next(&seed);
}

static ssize_t run_one(struct msn_aio *aio, enum msn_aio_op op, int fd,
		       void *buf, size_t len, uint64_t offset)
{
	struct msn_aio_req req = {
		.op = op, .fd = fd, .buf = buf, .len = len, .offset = offset
	};

	msn_aio_queue(aio, &req);
	CHECK(msn_aio_wait(aio));
	return req.result;
}

static void methods_say_their_name(void)
{
	FOR_EACH_METHOD(i)
	{
		msn_auto(msn_aio_freep) struct msn_aio *aio = make(i, 0);

		EXPECT(strcmp(msn_aio_name(aio), methods[i].name) == 0);
	}
}

static void too_deep_a_queue_is_refused(void)
{
	FOR_EACH_METHOD(i)
	{
		struct msn_aio *aio;

		EXPECT(msn_aio_new(&aio, &(struct msn_aio_opts){
						 .method = methods[i].method,
						 .depth = MSN_AIO_DEPTH_MAX + 1,
					 }) == -EINVAL);
	}
}

static void what_was_written_is_read_back(void)
{
	FOR_EACH_METHOD(i)
	{
		msn_auto(msn_aio_freep) struct msn_aio *aio = make(i, 0);
		msn_auto(msn_closep) int fd = temp_file(0);
		static char in[100000], out[100000];

		fill(in, sizeof(in), i);
		memset(out, 0, sizeof(out));
		EXPECT(run_one(aio, MSN_AIO_WRITE, fd, in, sizeof(in), 777) ==
		       sizeof(in));
		EXPECT(run_one(aio, MSN_AIO_FDATASYNC, fd, NULL, 0, 0) == 0);
		EXPECT(run_one(aio, MSN_AIO_READ, fd, out, sizeof(out), 777) ==
		       sizeof(out));
		EXPECT(memcmp(in, out, sizeof(in)) == 0);
	}
}

static void a_read_past_the_end_is_short(void)
{
	FOR_EACH_METHOD(i)
	{
		msn_auto(msn_aio_freep) struct msn_aio *aio = make(i, 0);
		msn_auto(msn_closep) int fd = temp_file(0);
		char buf[64];

		CHECK(msn_pwrite_full(fd, "hello", 5, 0) == 0);
		EXPECT(run_one(aio, MSN_AIO_READ, fd, buf, 64, 2) == 3);
		EXPECT(memcmp(buf, "llo", 3) == 0);
		EXPECT(run_one(aio, MSN_AIO_READ, fd, buf, 64, 5) == 0);
		EXPECT(run_one(aio, MSN_AIO_READ, fd, buf, 0, 0) == 0);
		EXPECT(run_one(aio, MSN_AIO_WRITE, fd, buf, 0, 0) == 0);
	}
}

static void direct_reads_end_inside_a_block(void)
{
	FOR_EACH_METHOD(i)
	{
		msn_auto(msn_aio_freep) struct msn_aio *aio = make(i, 0);
		msn_auto(msn_closep) int fd = temp_file(O_DIRECT);
		msn_auto(msn_freep) char *buf = msn_alloc_aligned(4096, 16384);

		CHECK(buf);
		if (fd < 0) {
			printf("(/tmp has no direct I/O) ");
			return;
		}
		fill(buf, 16384, 1);
		EXPECT(run_one(aio, MSN_AIO_WRITE, fd, buf, 8192, 0) == 8192);
		CHECK(ftruncate(fd, 5000) == 0);
		memset(buf, 0, 16384);
		EXPECT(run_one(aio, MSN_AIO_READ, fd, buf, 16384, 0) == 5000);
		EXPECT(run_one(aio, MSN_AIO_READ, fd, buf, 16384, 8192) == 0);
		/* But what does not fit at all is an error. */
		EXPECT(run_one(aio, MSN_AIO_READ, fd, buf + 1, 4096, 0) ==
		       -EINVAL);
	}
}

static void errors_of_the_kernel_are_the_result(void)
{
	FOR_EACH_METHOD(i)
	{
		msn_auto(msn_aio_freep) struct msn_aio *aio = make(i, 0);
		msn_auto(msn_closep) int full = open("/dev/full", O_RDWR);
		msn_auto(msn_closep) int fd = open("/dev/null", O_RDONLY);
		char buf[64] = { 0 };

		EXPECT(run_one(aio, MSN_AIO_READ, -1, buf, 64, 0) == -EBADF);
		EXPECT(run_one(aio, MSN_AIO_WRITE, fd, buf, 64, 0) == -EBADF);
		EXPECT(run_one(aio, MSN_AIO_FDATASYNC, -1, NULL, 0, 0) ==
		       -EBADF);
		CHECK(full >= 0);
		EXPECT(run_one(aio, MSN_AIO_WRITE, full, buf, 64, 0) ==
		       -ENOSPC);
		EXPECT(run_one(aio, MSN_AIO_READ, full, buf, 64, 0) == 64);
	}
}

static void more_requests_than_depth_all_finish(void)
{
	enum { COUNT = 300, LEN = 3000 };

	FOR_EACH_METHOD(i)
	{
		msn_auto(msn_aio_freep) struct msn_aio *aio = make(i, 3);
		msn_auto(msn_closep) int fd = temp_file(0);
		static char in[COUNT * LEN], out[COUNT * LEN];
		struct msn_aio_req reqs[COUNT];

		fill(in, sizeof(in), 7 + i);
		for (unsigned pass = 0; pass < 2; pass++) {
			for (size_t n = 0; n < COUNT; n++) {
				reqs[n] = (struct msn_aio_req){
					.op = pass ? MSN_AIO_READ
						   : MSN_AIO_WRITE,
					.fd = fd,
					.buf = (pass ? out : in) + n * LEN,
					.len = LEN,
					.offset = n * LEN,
				};
				msn_aio_queue(aio, &reqs[n]);
				EXPECT(aio->in_flight <= 3);
			}
			msn_aio_drain(aio);
			for (size_t n = 0; n < COUNT; n++)
				EXPECT(reqs[n].result == LEN);
		}
		EXPECT(memcmp(in, out, sizeof(in)) == 0);
	}
}

/* Counts how often a method is asked to start something. */
static unsigned starts;
static const struct msn_aio_ops *real_ops;

static int counted_submit(struct msn_aio *aio, struct msn_aio_req *req)
{
	starts++;
	return real_ops->submit(aio, req);
}

static unsigned counted_submit_many(struct msn_aio *aio,
				    struct msn_aio_req **reqs, unsigned count)
{
	unsigned n = real_ops->submit_many(aio, reqs, count);

	starts++;
	return n;
}

static void requests_queued_together_start_by_one_call(void)
{
	enum { COUNT = 40, DEPTH = 32, LEN = 512 };
	msn_auto(msn_closep) int fd = temp_file(0);
	static char in[COUNT * LEN], out[COUNT * LEN];

	fill(in, sizeof(in), 5);
	CHECK(msn_pwrite_full(fd, in, sizeof(in), 0) == 0);
	FOR_EACH_METHOD(i)
	{
		msn_auto(msn_aio_freep) struct msn_aio *aio = make(i, DEPTH);
		struct msn_aio_req reqs[COUNT], *list[COUNT];
		struct msn_aio_ops ops = *aio->ops;

		real_ops = aio->ops;
		ops.submit = counted_submit;
		if (ops.submit_many)
			ops.submit_many = counted_submit_many;
		aio->ops = &ops;
		starts = 0;
		memset(out, 0, sizeof(out));
		for (size_t n = 0; n < COUNT; n++) {
			reqs[n] = (struct msn_aio_req){ .op = MSN_AIO_READ,
							.fd = fd,
							.buf = out + n * LEN,
							.len = LEN,
							.offset = n * LEN };
			list[n] = &reqs[n];
		}
		msn_aio_queue_many(aio, list, COUNT);
		EXPECT(aio->in_flight == DEPTH);
		EXPECT(starts == (ops.submit_many ? 1 : DEPTH));
		msn_aio_drain(aio);
		for (size_t n = 0; n < COUNT; n++)
			EXPECT(reqs[n].result == LEN);
		EXPECT(memcmp(in, out, sizeof(in)) == 0);
		aio->ops = real_ops;
	}
}

struct chain {
	struct msn_aio_req req;
	struct msn_aio *aio;
	unsigned left, done;
	bool nested, inside;
};

static void chain_next(struct msn_aio_req *req)
{
	struct chain *c = msn_container_of(req, struct chain, req);

	c->nested |= c->inside;
	c->inside = true;
	c->done++;
	if (c->left-- > 1)
		msn_aio_queue(c->aio, req);
	c->inside = false;
}

static void callbacks_may_queue_more_and_never_nest(void)
{
	FOR_EACH_METHOD(i)
	{
		msn_auto(msn_aio_freep) struct msn_aio *aio = make(i, 1);
		struct chain good = { .aio = aio, .left = 1000 };
		struct chain bad = { .aio = aio, .left = 1000 };
		msn_auto(msn_closep) int fd = temp_file(0);

		good.req = (struct msn_aio_req){ .op = MSN_AIO_WRITE,
						 .fd = fd,
						 .buf = "x",
						 .len = 1,
						 .done = chain_next };
		bad.req = good.req;
		bad.req.fd = -1;
		msn_aio_queue(aio, &good.req);
		msn_aio_queue(aio, &bad.req);
		EXPECT(good.done == 0 && bad.done == 0);
		msn_aio_drain(aio);
		EXPECT(good.done == 1000 && good.req.result == 1);
		EXPECT(bad.done == 1000 && bad.req.result == -EBADF);
		EXPECT(!good.nested && !bad.nested);
	}
}

static void waiting_tells_when_there_is_nothing(void)
{
	FOR_EACH_METHOD(i)
	{
		msn_auto(msn_aio_freep) struct msn_aio *aio = make(i, 0);
		struct msn_aio_req req = { .op = MSN_AIO_FDATASYNC, .fd = -1 };

		EXPECT(!msn_aio_wait(aio));
		msn_aio_poll(aio);
		msn_aio_queue(aio, &req);
		EXPECT(msn_aio_wait(aio));
		EXPECT(!msn_aio_wait(aio));
	}
}

static void polling_alone_gets_a_request_done(void)
{
	FOR_EACH_METHOD(i)
	{
		msn_auto(msn_aio_freep) struct msn_aio *aio = make(i, 0);
		msn_auto(msn_closep) int fd = temp_file(0);
		struct chain c = { .aio = aio, .left = 1 };

		c.req = (struct msn_aio_req){ .op = MSN_AIO_WRITE,
					      .fd = fd,
					      .buf = "x",
					      .len = 1,
					      .done = chain_next };
		msn_aio_queue(aio, &c.req);
		for (unsigned n = 0; c.done == 0 && n < 10000000; n++)
			msn_aio_poll(aio);
		EXPECT(c.done == 1 && c.req.result == 1);
	}
}

static void freeing_waits_for_what_is_in_flight(void)
{
	FOR_EACH_METHOD(i)
	{
		struct msn_aio *aio = make(i, 2);
		struct chain c[5];

		for (size_t n = 0; n < 5; n++) {
			c[n] = (struct chain){ .aio = aio, .left = 1 };
			c[n].req =
				(struct msn_aio_req){ .op = MSN_AIO_FDATASYNC,
						      .fd = -1,
						      .done = chain_next };
			msn_aio_queue(aio, &c[n].req);
		}
		EXPECT(msn_aio_free(aio) == NULL);
		for (size_t n = 0; n < 5; n++)
			EXPECT(c[n].done == 1 && c[n].req.result == -EBADF);
	}
}

static void registered_buffers_move_the_same_bytes(void)
{
	FOR_EACH_METHOD(i)
	{
		msn_auto(msn_freep) char *buf = msn_alloc_aligned(4096, 65536);
		msn_auto(msn_aio_freep) struct msn_aio *aio = make(i, 0);
		msn_auto(msn_closep) int fd = temp_file(0);
		struct iovec bufs[2] = { { buf, 32768 },
					 { buf + 32768, 32768 } };
		struct msn_aio_req w = { .op = MSN_AIO_WRITE,
					 .fd = fd,
					 .buf = buf,
					 .len = 30000,
					 .buf_index = 1 };
		struct msn_aio_req r = { .op = MSN_AIO_READ,
					 .fd = fd,
					 .buf = buf + 32768 + 5,
					 .len = 32000,
					 .buf_index = 2 };

		CHECK(buf);
		fill(buf, 32768, 3);
		CHECK(msn_aio_register(aio, bufs, 2) == 0);
		msn_aio_queue(aio, &w);
		msn_aio_drain(aio);
		EXPECT(w.result == 30000);
		msn_aio_queue(aio, &r);
		msn_aio_drain(aio);
		EXPECT(r.result == 30000);
		EXPECT(memcmp(buf, buf + 32768 + 5, 30000) == 0);

		/* Unregistered, the index is a hint that means nothing. */
		CHECK(msn_aio_register(aio, NULL, 0) == 0);
		msn_aio_queue(aio, &r);
		msn_aio_drain(aio);
		EXPECT(r.result == 30000);
	}
}

/* Three bytes a step: a request of 100 bytes takes 34 of them. */
static void short_steps_are_carried_on(void)
{
	FOR_EACH_METHOD(i)
	{
		static const struct aio_fault_rule rules[] = {
			{ .op = MSN_AIO_READ, .bytes = 3 },
			{ .op = MSN_AIO_WRITE, .bytes = 3 },
		};
		msn_auto(msn_closep) int fd = temp_file(0);
		msn_auto(msn_aio_freep) struct msn_aio *aio =
			aio_fault_new(make(i, 4), rules, 2);
		char in[100], out[100];

		CHECK(aio);
		fill(in, 100, 4);
		EXPECT(run_one(aio, MSN_AIO_WRITE, fd, in, 100, 9) == 100);
		EXPECT(aio_fault_hits(aio) == 34);
		EXPECT(run_one(aio, MSN_AIO_READ, fd, out, 100, 9) == 100);
		EXPECT(memcmp(in, out, 100) == 0);
		EXPECT(run_one(aio, MSN_AIO_READ, fd, out, 100, 59) == 50);
	}
}

static void interrupted_steps_are_repeated(void)
{
	static const struct aio_fault_rule rules[] = {
		{ .op = MSN_AIO_READ, .nth = 1, .error = -EINTR },
		{ .op = MSN_AIO_READ, .nth = 2, .error = -EAGAIN },
		{ .op = MSN_AIO_READ, .nth = 3, .error = -EAGAIN },
		{ .op = MSN_AIO_WRITE, .nth = 1, .error = -EINTR },
		{ .op = MSN_AIO_FDATASYNC, .nth = 1, .error = -EINTR },
	};

	FOR_EACH_METHOD(i)
	{
		msn_auto(msn_closep) int fd = temp_file(0);
		msn_auto(msn_aio_freep) struct msn_aio *aio =
			aio_fault_new(make(i, 4), rules, MSN_ARRAY_LEN(rules));
		char out[5];

		EXPECT(run_one(aio, MSN_AIO_WRITE, fd, "hello", 5, 0) == 5);
		EXPECT(run_one(aio, MSN_AIO_READ, fd, out, 5, 0) == 5);
		EXPECT(run_one(aio, MSN_AIO_FDATASYNC, fd, NULL, 0, 0) == 0);
		EXPECT(memcmp(out, "hello", 5) == 0);
		EXPECT(aio_fault_hits(aio) == 5);
	}
}

static void endless_again_becomes_an_error(void)
{
	static const struct aio_fault_rule rule = { .op = MSN_AIO_READ,
						    .error = -EAGAIN };

	FOR_EACH_METHOD(i)
	{
		msn_auto(msn_closep) int fd = temp_file(0);
		msn_auto(msn_aio_freep) struct msn_aio *aio =
			aio_fault_new(make(i, 4), &rule, 1);
		char out[5];

		EXPECT(run_one(aio, MSN_AIO_READ, fd, out, 5, 0) == -EAGAIN);
	}
}

static void a_write_that_stops_moving_is_an_error(void)
{
	static const struct aio_fault_rule rules[] = {
		{ .op = MSN_AIO_WRITE, .nth = 1, .bytes = 2 },
		{ .op = MSN_AIO_WRITE, .nth = 2, .bytes = 0 },
		{ .op = MSN_AIO_WRITE, .nth = 3, .bytes = 2 },
		{ .op = MSN_AIO_WRITE, .nth = 4, .error = -EIO },
	};

	FOR_EACH_METHOD(i)
	{
		msn_auto(msn_closep) int fd = temp_file(0);
		msn_auto(msn_aio_freep) struct msn_aio *aio =
			aio_fault_new(make(i, 4), rules, MSN_ARRAY_LEN(rules));

		EXPECT(run_one(aio, MSN_AIO_WRITE, fd, "hello", 5, 0) == -EIO);
		EXPECT(run_one(aio, MSN_AIO_WRITE, fd, "hello", 5, 0) == -EIO);
		EXPECT(run_one(aio, MSN_AIO_WRITE, fd, "hello", 5, 0) == 5);
	}
}

static void a_request_that_cannot_start_is_told_later(void)
{
	FOR_EACH_METHOD(i)
	{
		msn_auto(msn_aio_freep) struct msn_aio *aio = make(i, 4);
		struct chain c = { .aio = aio, .left = 1 };

		c.req = (struct msn_aio_req){ .op = MSN_AIO_FDATASYNC,
					      .fd = -1,
					      .done = chain_next };
		msn_fault_arm(1);
		msn_aio_queue(aio, &c.req);
		msn_fault_arm(0);
		EXPECT(c.done == 0);
		EXPECT(msn_aio_wait(aio));
		EXPECT(c.done == 1 && c.req.result == -EIO);
	}
}

static void without_memory_there_is_no_aio(void)
{
	FOR_EACH_METHOD(i)
	{
		struct msn_aio *aio = NULL;

		msn_fault_arm(1);
		EXPECT(msn_aio_new(&aio, &(struct msn_aio_opts){
						 .method = methods[i].method,
					 }) == -ENOMEM);
		msn_fault_arm(0);
		EXPECT(!aio);
	}
}

static int forbidden_child(void)
{
	struct msn_aio_opts opts = { .method = MSN_AIO_URING };
	struct msn_aio *aio;

	if (!check_forbid_syscall(SYS_io_uring_setup, EPERM))
		return 3;
	if (msn_aio_new(&aio, &opts) != -EPERM)
		return 1;
	opts.method = MSN_AIO_AUTO;
	if (msn_aio_new(&aio, &opts) || strcmp(msn_aio_name(aio), "sync") != 0)
		return 2;
	msn_aio_free(aio);
	return 0;
}

static void where_io_uring_is_forbidden_auto_is_sync(void)
{
	pid_t pid = fork();
	int status;

	if (pid == 0)
		_exit(forbidden_child());
	CHECK(waitpid(pid, &status, 0) == pid);
	EXPECT(WIFEXITED(status) && WEXITSTATUS(status) == 0);
}

int main(int argc, char **argv)
{
	static const struct check_test tests[] = {
		CHECK_TEST(methods_say_their_name),
		CHECK_TEST(too_deep_a_queue_is_refused),
		CHECK_TEST(what_was_written_is_read_back),
		CHECK_TEST(a_read_past_the_end_is_short),
		CHECK_TEST(direct_reads_end_inside_a_block),
		CHECK_TEST(errors_of_the_kernel_are_the_result),
		CHECK_TEST(more_requests_than_depth_all_finish),
		CHECK_TEST(requests_queued_together_start_by_one_call),
		CHECK_TEST(callbacks_may_queue_more_and_never_nest),
		CHECK_TEST(waiting_tells_when_there_is_nothing),
		CHECK_TEST(polling_alone_gets_a_request_done),
		CHECK_TEST(freeing_waits_for_what_is_in_flight),
		CHECK_TEST(registered_buffers_move_the_same_bytes),
		CHECK_TEST(short_steps_are_carried_on),
		CHECK_TEST(interrupted_steps_are_repeated),
		CHECK_TEST(endless_again_becomes_an_error),
		CHECK_TEST(a_write_that_stops_moving_is_an_error),
		CHECK_TEST(a_request_that_cannot_start_is_told_later),
		CHECK_TEST(without_memory_there_is_no_aio),
		CHECK_TEST(where_io_uring_is_forbidden_auto_is_sync),
		{}
	};

	return check_main(argc, argv, "aio", tests);
}
