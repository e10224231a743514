/*
 * The loop on a thread of its own, many clients on theirs: calls of every kind,
 * a part of which is given up half way.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "rig.h"

#include "base/rand.h"
#include "support/check.h"

#include <arpa/inet.h>
#include <errno.h>
#include <pthread.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#define CLIENTS 6
#define CALLS (CHECK_SANITIZED ? 150 : 600)

struct world {
	struct rig rig;
	struct sockaddr_un address;
	pthread_t loop;
	pthread_barrier_t ready;
	struct msn_task stop;
	struct msn_server_usage at_end;
	uint64_t seed;
	atomic_uint failures, calls, codes[17];
};

static struct world w;

/* ---- the server's side --------------------------------------------------- */

static void stop_loop(struct msn_task *task)
{
	(void)task;
	msn_loop_exit(w.rig.loop, 0);
}

static void *run_loop(void *arg)
{
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

	(void)arg;
	/* One owner has all of them; some wait for others. */
	rig_init(&w.rig, &(struct msn_server_opts){
				 .limits.blocking_per_owner = 5 });
	CHECK(bind(fd, (struct sockaddr *)&w.address, sizeof(w.address)) == 0 &&
	      listen(fd, 64) == 0);
	CHECK(msn_server_listen(w.rig.server,
				&(struct msn_listen_opts){
					.fd = fd,
					.transport = MSN_TRANSPORT_UNIX },
				NULL) == 0);
	pthread_barrier_wait(&w.ready);
	CHECK(msn_loop_run(w.rig.loop) == 0);
	msn_server_usage(w.rig.server, &w.at_end);
	rig_deinit(&w.rig);
	return NULL;
}

/* ---- a client, whose calls block ----------------------------------------- */

struct blocking {
	struct client c; /* for making requests */
	int fd;
	uint64_t seed;
};

static void expect(bool ok)
{
	if (!ok)
		atomic_fetch_add(&w.failures, 1);
}

static bool open_it(struct blocking *b)
{
	b->c = (struct client){ 0 };
	b->fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	if (b->fd >= 0 && connect(b->fd, (struct sockaddr *)&w.address,
				  sizeof(w.address)) == 0)
		return true;
	close(b->fd);
	return false;
}

static bool send_all(struct blocking *b, const uint8_t *data, size_t len)
{
	while (len > 0) {
		ssize_t n = send(b->fd, data, len, MSG_NOSIGNAL);

		if (n <= 0)
			return false;
		data += n;
		len -= (size_t)n;
	}
	return true;
}

static bool request(struct blocking *b, const struct request *req)
{
	size_t len;
	uint8_t *bytes = client_request_bytes(&b->c, req, &len);
	bool ok = send_all(b, bytes, len);

	free(bytes);
	return ok;
}

static bool read_all(struct blocking *b, uint8_t *data, size_t len)
{
	while (len > 0) {
		ssize_t n = recv(b->fd, data, len, 0);

		if (n <= 0)
			return false;
		data += n;
		len -= (size_t)n;
	}
	return true;
}

/* Reads a frame: its type and flags; the data only for its first bytes. */
static bool receive(struct blocking *b, uint8_t header[10], uint8_t *data,
		    size_t *len)
{
	uint32_t be;

	if (!read_all(b, header, 10))
		return false;
	memcpy(&be, header, 4);
	*len = ntohl(be);
	return *len <= 4 << 20 && read_all(b, data, *len);
}

/* What a Response says: its code, from the Status in it. */
static unsigned code_of(const uint8_t *data, size_t len)
{
	/* status: field 1 of bytes; in it code: field 1, a varint. */
	if (len < 4 || data[0] != 0x0a)
		return 0;
	return data[data[1] < 0x80 ? 3 : 4];
}

/* Reads to the end of the call, or of @frames: -1 when the server closed. */
static int finish(struct blocking *b, unsigned frames)
{
	static _Thread_local uint8_t data[4 << 20];
	uint8_t header[10];
	size_t len;

	for (unsigned i = 0; i < frames; i++) {
		if (!receive(b, header, data, &len))
			return -1;
		if (header[8] == 2)
			return (int)code_of(data, len);
		if (header[9] & 1)
			return 0;
	}
	return -2; /* given up */
}

static int take_part(struct blocking *b, const char *method, unsigned frames)
{
	if (!request(b, &(struct request){ .method = method,
					   .message = COUNT(20, 200000),
					   .flags = 1 }))
		return -1;
	return finish(b, frames);
}

static int send_many(struct blocking *b, unsigned count)
{
	static const uint8_t data[] = "\0\0\0\x0a\0\0\0\0\3\0\x7a\x08"
				      "12345678";
	uint8_t frame[20];
	uint32_t id;

	if (!request(b, &(struct request){ .method = "Sum", .flags = 2 }))
		return -1;
	id = htonl(b->c.last_id);
	memcpy(frame, data, 20);
	memcpy(frame + 4, &id, 4);
	for (unsigned i = 0; i < count; i++)
		if (!send_all(b, frame, 20))
			return -1;
	frame[9] = 5;
	frame[3] = 0;
	return send_all(b, frame, 10) ? finish(b, 1) : -1;
}

static int ask(struct blocking *b, const char *method, int64_t timeout)
{
	if (!request(b, &(struct request){ .method = method,
					   .message = ECHO(.text = "t"),
					   .timeout_ns = timeout }))
		return -1;
	return finish(b, 1);
}

/* One call; -1 or -2: the connection is of no more use. */
static int any_call(struct blocking *b)
{
	uint64_t r = msn_rand_next(&b->seed);

	switch (r % 9) {
	case 0:
		return ask(b, "Echo", 0);
	case 1:
		return ask(b, "EchoSlow", 0);
	case 2:
		return ask(b, "EchoLater", 0);
	case 3:
		return take_part(b, "Count", 100);
	case 4:
		return take_part(b, "CountHere", 100);
	case 5:
		return send_many(b, (unsigned)(r >> 32) % 200);
	case 6:
		return ask(b, "Hold", 1000000 + (int64_t)(r >> 44));
	case 7:
		return take_part(b, r >> 63 ? "Count" : "CountHere",
				 (unsigned)(r >> 32) % 5);
	default: /* asks, and goes */
		request(b, &(struct request){ .method = r >> 63 ? "Hold" :
								  "EchoSlow",
					      .message = ECHO(.text = "t") });
		return -2;
	}
}

static void *run_client(void *arg)
{
	struct blocking b = { .fd = -1 };

	b.seed = w.seed + (uint64_t)(uintptr_t)arg;
	for (unsigned i = 0; i < CALLS; i++) {
		int code;

		if (b.fd < 0 && !open_it(&b)) {
			expect(false);
			break;
		}
		code = any_call(&b);
		expect(code != -1); /* nobody is sent away here */
		atomic_fetch_add(&w.calls, 1);
		if (code >= 0)
			atomic_fetch_add(&w.codes[code & 15], 1);
		if (code < 0) {
			close(b.fd);
			b.fd = -1;
		}
	}
	if (b.fd >= 0)
		close(b.fd);
	return NULL;
}

static void calls_of_many_threads_do_not_meet(void)
{
	pthread_t clients[CLIENTS];

	memset(&w, 0, sizeof(w));
	w.seed = check_seed();
	w.stop.run = stop_loop;
	w.address.sun_family = AF_UNIX;
	snprintf(w.address.sun_path + 1, sizeof(w.address.sun_path) - 1,
		 "msn-threads-%d", getpid());
	pthread_barrier_init(&w.ready, NULL, 2);
	CHECK(pthread_create(&w.loop, NULL, run_loop, NULL) == 0);
	pthread_barrier_wait(&w.ready);
	for (uintptr_t i = 0; i < CLIENTS; i++)
		CHECK(pthread_create(&clients[i], NULL, run_client,
				     (void *)i) == 0);
	for (size_t i = 0; i < CLIENTS; i++)
		pthread_join(clients[i], NULL);
	msn_loop_post(w.rig.loop, &w.stop);
	pthread_join(w.loop, NULL);
	EXPECT(atomic_load(&w.failures) == 0);
	EXPECT(atomic_load(&w.calls) == CLIENTS * CALLS);
	EXPECT(atomic_load(&w.codes[0]) > 0);
	EXPECT(atomic_load(&w.codes[MSN_CODE_DEADLINE_EXCEEDED]) > 0);
	EXPECT(atomic_load(&w.rig.service.running) == 0);
	EXPECT(atomic_load(&w.rig.service.at_once) <= 5);
	EXPECT(w.at_end.accepted > CLIENTS && w.at_end.refused == 0);
	printf("(%u well, %u late) ", atomic_load(&w.codes[0]),
	       atomic_load(&w.codes[MSN_CODE_DEADLINE_EXCEEDED]));
}

int main(int argc, char **argv)
{
	static const struct check_test tests[] = {
		CHECK_TEST(calls_of_many_threads_do_not_meet),
		{}
	};

	return check_main(argc, argv, "wire: threads", tests);
}
