/*
 * The server: sockets it takes and does not, who a peer is, draining.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "rig.h"

#include "base/fd.h"
#include "support/check.h"
#include "wire/call.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

struct fixture {
	struct rig rig;
	struct client c;
	struct reply reply;
};

static void setup(struct fixture *f, const struct msn_server_opts *opts)
{
	rig_init(&f->rig, opts);
	client_open(&f->c, &f->rig);
}

static void teardown(struct fixture *f)
{
	client_close(&f->c);
	rig_settle(&f->rig);
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

/* ---- sockets ------------------------------------------------------------- */

/* What the server says of a socket; "" if it takes it. */
static const char *offer(struct rig *r, int fd, enum msn_transport transport,
			 bool listens, struct ssl_ctx_st *tls)
{
	static struct msn_failure why;
	struct msn_listen_opts opts = { .fd = fd,
					.transport = transport,
					.tls = tls };
	int rc;

	why = (struct msn_failure){ 0 };
	rc = listens ? msn_server_listen(r->server, &opts, &why)
		     : msn_server_adopt(r->server, &opts, &why);
	/* It is the server's now, or closed. */
	if (rc)
		EXPECT(fd < 0 || fcntl(fd, F_GETFD) == -1);
	EXPECT((rc == 0) == (why.kind == MSN_FAILURE_NONE));
	return why.text;
}

static int tcp_socket(const char *address, bool listens)
{
	struct sockaddr_in sa = { .sin_family = AF_INET };
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

	CHECK(fd >= 0 && inet_pton(AF_INET, address, &sa.sin_addr) == 1);
	CHECK(bind(fd, (struct sockaddr *)&sa, sizeof(sa)) == 0);
	if (listens)
		CHECK(listen(fd, 8) == 0);
	return fd;
}

static int unix_socket(int type, bool listens)
{
	struct sockaddr_un sa = { .sun_family = AF_UNIX };
	int fd = socket(AF_UNIX, type | SOCK_CLOEXEC, 0);

	CHECK(fd >= 0);
	/* An abstract address of the kernel's choice. */
	CHECK(bind(fd, (struct sockaddr *)&sa, sizeof(sa_family_t)) == 0);
	if (listens)
		CHECK(listen(fd, 8) == 0);
	return fd;
}

static void a_socket_that_is_no_good_is_named(void)
{
	struct ssl_ctx_st *some = (struct ssl_ctx_st *)(void *)&some;
	struct fixture f;
	int ends[2];

	setup(&f, NULL);
	CHECK(pipe2(ends, O_CLOEXEC) == 0);
	EXPECT(strstr(offer(&f.rig, ends[0], MSN_TRANSPORT_UNIX, true, NULL),
		      "is no socket"));
	close(ends[1]);
	EXPECT(strstr(offer(&f.rig, -1, MSN_TRANSPORT_UNIX, true, NULL),
		      "is no socket"));
	EXPECT(strstr(offer(&f.rig, unix_socket(SOCK_SEQPACKET, true),
			    MSN_TRANSPORT_UNIX, true, NULL),
		      "no stream"));
	EXPECT(strstr(offer(&f.rig, unix_socket(SOCK_STREAM, false),
			    MSN_TRANSPORT_UNIX, true, NULL),
		      "does not listen"));
	EXPECT(strstr(offer(&f.rig, unix_socket(SOCK_STREAM, true),
			    MSN_TRANSPORT_UNIX, false, NULL),
		      "listens"));
	EXPECT(strstr(offer(&f.rig, unix_socket(SOCK_STREAM, true),
			    MSN_TRANSPORT_TCP, true, NULL),
		      "another kind"));
	EXPECT(strstr(offer(&f.rig, tcp_socket("127.0.0.1", true),
			    MSN_TRANSPORT_UNIX, true, NULL),
		      "another kind"));
	EXPECT(strstr(offer(&f.rig, tcp_socket("0.0.0.0", true),
			    MSN_TRANSPORT_TCP, true, NULL),
		      "loopback"));
	EXPECT(strstr(offer(&f.rig, tcp_socket("127.0.0.1", true),
			    MSN_TRANSPORT_TLS, true, NULL),
		      "TLS"));
	EXPECT(strstr(offer(&f.rig, tcp_socket("127.0.0.1", true),
			    MSN_TRANSPORT_TCP, true, some),
		      "TLS"));
	EXPECT(strcmp(offer(&f.rig, unix_socket(SOCK_STREAM, true),
			    MSN_TRANSPORT_UNIX, true, NULL),
		      "") == 0);
	EXPECT(strcmp(offer(&f.rig, tcp_socket("127.5.6.7", true),
			    MSN_TRANSPORT_TCP, true, NULL),
		      "") == 0);
	teardown(&f);
}

/* A connection of this process's own to a socket that listens. */
static int connect_to(int listener)
{
	struct sockaddr_storage sa;
	socklen_t len = sizeof(sa);
	int fd;

	CHECK(getsockname(listener, (struct sockaddr *)&sa, &len) == 0);
	fd = socket(sa.ss_family, SOCK_STREAM | SOCK_CLOEXEC, 0);
	CHECK(fd >= 0 && connect(fd, (struct sockaddr *)&sa, len) == 0);
	CHECK(fcntl(fd, F_SETFL, O_RDWR | O_NONBLOCK) == 0);
	return fd;
}

static void connections_are_accepted_and_served(void)
{
	int fd = unix_socket(SOCK_STREAM, true);
	struct fixture f;

	setup(&f, NULL);
	EXPECT(strcmp(offer(&f.rig, fd, MSN_TRANSPORT_UNIX, true, NULL), "") ==
	       0);
	client_close(&f.c);
	f.c = (struct client){ .rig = &f.rig, .fd = connect_to(fd) };
	free_echo(client_echo(&f.c, "Echo", "t"));
	EXPECT(rig_usage(&f.rig).accepted == 2);
	teardown(&f);
}

/* Only Unix sockets say who is there. */
static void ttrpc_is_not_spoken_over_tcp(void)
{
	int fd = tcp_socket("127.0.0.1", true);
	struct fixture f;

	setup(&f, NULL);
	EXPECT(strcmp(offer(&f.rig, fd, MSN_TRANSPORT_TCP, true, NULL), "") ==
	       0);
	client_close(&f.c);
	f.c = (struct client){ .rig = &f.rig, .fd = connect_to(fd) };
	request(&f.c, "Echo");
	client_await_end(&f.c);
	teardown(&f);
}

/* ---- who it is ----------------------------------------------------------- */

static struct msn_peer seen;
static unsigned asked;

static int look(void *context, struct msn_peer *peer, const char *token)
{
	(void)context;
	EXPECT(!token);
	asked++;
	seen = *peer;
	strcpy(peer->owner, "tenant:me");
	peer->role = MSN_ROLE_READ;
	return 0;
}

static void the_kernel_says_who_a_peer_is(void)
{
	Memsnap__Test__EchoResponse *e;
	struct fixture f;
	char address[32];

	asked = 0;
	setup(&f, &(struct msn_server_opts){ .authenticate = look });
	EXPECT(asked == 1 && seen.transport == MSN_TRANSPORT_UNIX);
	EXPECT(seen.uid == getuid() && seen.gid == getgid());
	EXPECT(seen.pid == getpid() && seen.pidfd == -1);
	snprintf(address, sizeof(address), "unix:%d", getpid());
	EXPECT(strcmp(seen.address, address) == 0);
	EXPECT(strcmp(seen.certificate, "") == 0);
	e = client_echo(&f.c, "Echo", "t");
	EXPECT(strcmp(e->owner, "tenant:me") == 0);
	free_echo(e);
	EXPECT(asked == 1);
	teardown(&f);
}

static int nobody(void *context, struct msn_peer *peer, const char *token)
{
	(void)context;
	(void)peer;
	(void)token;
	return -EACCES;
}

static void who_may_not_connect_is_refused(void)
{
	int fd = unix_socket(SOCK_STREAM, true), conn;
	struct rig r;
	char byte;

	rig_init(&r, &(struct msn_server_opts){ .authenticate = nobody });
	EXPECT(strcmp(offer(&r, fd, MSN_TRANSPORT_UNIX, true, NULL), "") == 0);
	conn = connect_to(fd);
	while (rig_usage(&r).refused == 0)
		rig_round(&r);
	EXPECT(read(conn, &byte, 1) == 0);
	EXPECT(rig_usage(&r).connections == 0);
	close(conn);
	rig_deinit(&r);
}

/* ---- draining ------------------------------------------------------------ */

static void note_drained(void *context)
{
	*(bool *)context = true;
}

static void a_server_drains_when_its_calls_have_ended(void)
{
	int fd = unix_socket(SOCK_STREAM, true), late;
	struct fixture f;
	uint32_t held, refused;
	bool drained = false;

	setup(&f, NULL);
	EXPECT(strcmp(offer(&f.rig, fd, MSN_TRANSPORT_UNIX, true, NULL), "") ==
	       0);
	held = request(&f.c, "Hold");
	while (sem_trywait(&f.rig.service.held))
		rig_settle(&f.rig);
	msn_server_drain(f.rig.server, 3600000, note_drained, &drained);
	rig_settle(&f.rig);
	EXPECT(!drained);
	/* New calls are refused, but for those that say otherwise. */
	refused = request(&f.c, "Echo");
	expect_status(&f, refused, MSN_CODE_UNAVAILABLE, "DRAINING");
	expect_status(&f, request(&f.c, "WhileDraining"), MSN_CODE_OK, "");
	/* Nothing is accepted. */
	late = connect_to(fd);
	rig_settle(&f.rig);
	EXPECT(rig_usage(&f.rig).accepted == 1);
	close(late);
	EXPECT(!drained);
	sem_post(&f.rig.service.let_go);
	expect_status(&f, held, MSN_CODE_OK, "");
	while (!drained)
		rig_round(&f.rig);
	teardown(&f);
}

static void without_calls_draining_is_done_at_once(void)
{
	struct fixture f;
	bool drained = false;

	setup(&f, NULL);
	msn_server_drain(f.rig.server, 3600000, note_drained, &drained);
	while (!drained)
		rig_round(&f.rig);
	teardown(&f);
}

static void what_does_not_end_in_time_is_cancelled(void)
{
	struct fixture f;
	uint32_t ids[2];
	bool drained = false;

	setup(&f, NULL);
	ids[0] = request(&f.c, "Keep");
	ids[1] = request(&f.c, "Hold");
	while (sem_trywait(&f.rig.service.held))
		rig_settle(&f.rig);
	msn_server_drain(f.rig.server, 20, note_drained, &drained);
	expect_status(&f, ids[0], MSN_CODE_UNAVAILABLE, "DRAINING");
	expect_status(&f, ids[1], MSN_CODE_UNAVAILABLE, "DRAINING");
	while (!drained)
		rig_round(&f.rig);
	EXPECT(f.rig.service.cancelled == 1);
	teardown(&f);
}

/* An answer that is queued is sent before the end. */
static void what_is_queued_is_sent_before_the_end(void)
{
	uint8_t *data = calloc(1, 1 << 20);
	struct fixture f;
	bool drained = false;

	CHECK(data);
	setup(&f, NULL);
	client_request(&f.c,
		       &(struct request){
			       .method = "Echo",
			       .message = ECHO(.data = { 1 << 20, data }) });
	while (f.rig.ended_count == 0)
		rig_round(&f.rig);
	msn_server_drain(f.rig.server, 3600000, note_drained, &drained);
	rig_settle(&f.rig);
	EXPECT(!drained); /* the client has not read it */
	expect_status(&f, 1, MSN_CODE_OK, "");
	while (!drained)
		rig_round(&f.rig);
	teardown(&f);
	free(data);
}

static void free_server(void *context)
{
	struct rig *r = context;

	r->server = msn_server_free(r->server);
}

static void who_is_told_may_free_the_server(void)
{
	struct fixture f;

	setup(&f, NULL);
	msn_server_drain(f.rig.server, 3600000, free_server, &f.rig);
	while (f.rig.server)
		rig_round(&f.rig);
	client_await_end(&f.c);
	teardown(&f);
	/* The same when time is up. */
	setup(&f, NULL);
	request(&f.c, "Keep");
	rig_settle(&f.rig);
	msn_server_drain(f.rig.server, 1, free_server, &f.rig);
	while (f.rig.server)
		rig_round(&f.rig);
	client_await_end(&f.c);
	teardown(&f);
}

int main(int argc, char **argv)
{
	static const struct check_test tests[] = {
		CHECK_TEST(a_socket_that_is_no_good_is_named),
		CHECK_TEST(connections_are_accepted_and_served),
		CHECK_TEST(ttrpc_is_not_spoken_over_tcp),
		CHECK_TEST(the_kernel_says_who_a_peer_is),
		CHECK_TEST(who_may_not_connect_is_refused),
		CHECK_TEST(a_server_drains_when_its_calls_have_ended),
		CHECK_TEST(without_calls_draining_is_done_at_once),
		CHECK_TEST(what_does_not_end_in_time_is_cancelled),
		CHECK_TEST(what_is_queued_is_sent_before_the_end),
		CHECK_TEST(who_is_told_may_free_the_server),
		{}
	};

	return check_main(argc, argv, "wire: server", tests);
}
