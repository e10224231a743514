/*
 * Fault walks: whatever fails, the client gets an answer or an end, and the
 * server serves the next one.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "rig.h"

#include "base/fault.h"
#include "support/check.h"
#include "wire/call.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

/* What a client does, and what it got: a code, or -1 for an end. */
typedef int (*scene_fn)(struct client *c);

struct walk {
	struct rig rig;
	struct client c;
	scene_fn scene;
	struct sockaddr_un address;
};

static struct walk walk;

static void listen_here(struct walk *w)
{
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

	w->address = (struct sockaddr_un){ .sun_family = AF_UNIX };
	snprintf(w->address.sun_path + 1, sizeof(w->address.sun_path) - 1,
		 "msn-faults-%d", getpid());
	CHECK(fd >= 0 &&
	      bind(fd, (struct sockaddr *)&w->address, sizeof(w->address)) ==
		      0 &&
	      listen(fd, 8) == 0);
	CHECK(msn_server_listen(
		      w->rig.server,
		      &(struct msn_listen_opts){
			      .fd = fd, .transport = MSN_TRANSPORT_UNIX },
		      NULL) == 0);
}

static void connect_here(struct walk *w)
{
	w->c = (struct client){ .rig = &w->rig };
	w->c.fd =
		socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	CHECK(connect(w->c.fd, (struct sockaddr *)&w->address,
		      sizeof(w->address)) == 0);
}

static void *prepare(void)
{
	rig_init(&walk.rig, NULL);
	listen_here(&walk);
	return &walk;
}

static int body(void *state)
{
	struct walk *w = state;

	connect_here(w);
	return w->scene(&w->c);
}

static void verify(void *state, int rc, const char *name)
{
	struct walk *w = state;

	/* Without a fault all is well; with one it may be. */
	EXPECT(name || rc == MSN_CODE_OK);
	EXPECT(rc != MSN_CODE_INVALID_ARGUMENT);
	client_close(&w->c);
	while (rig_usage(&w->rig).calls > 0 ||
	       rig_usage(&w->rig).connections > 0)
		rig_round(&w->rig);
	rig_await_memory(&w->rig);
	client_open(&w->c, &w->rig);
	free_echo(client_echo(&w->c, "Echo", "t"));
	free_echo(client_echo(&w->c, "EchoSlow", "t"));
	client_close(&w->c);
	rig_settle(&w->rig);
	rig_deinit(&w->rig);
}

static unsigned walk_scene(scene_fn scene)
{
	walk = (struct walk){ .scene = scene };
	return check_every_fault(prepare, body, verify);
}

/* ---- scenes -------------------------------------------------------------- */

/* Reads until a Response, the end of a stream, or that of the connection. */
static int await_code(struct client *c)
{
	struct reply r;
	int code = -1;

	while (code < 0 && client_receive(c, &r)) {
		if (r.type == 2)
			code = (int)r.status.code;
		else if (r.flags & 1)
			code = MSN_CODE_OK;
		reply_free(&r);
	}
	return code;
}

static int ask(struct client *c, const char *method)
{
	static const char *const pairs[] = { "colour", "blue", NULL };

	client_request(c, &(struct request){
				  .method = method,
				  .message = ECHO(.text = "t", .key = "colour"),
				  .metadata = pairs });
	return await_code(c);
}

static int ask_here(struct client *c)
{
	return ask(c, "Echo");
}

static int ask_slow(struct client *c)
{
	return ask(c, "EchoSlow");
}

static int ask_later(struct client *c)
{
	return ask(c, "EchoLater");
}

static int ask_long(struct client *c)
{
	size_t size = 100 << 10;
	uint8_t *data = calloc(1, size);

	CHECK(data);
	client_request(c, &(struct request){
				  .method = "Echo",
				  .message = ECHO(.data = { size, data }) });
	free(data);
	return await_code(c);
}

static int fail(struct client *c)
{
	/* It has a status, which is made and sent: that is well here. */
	int code = ask(c, "Mute");

	return code == MSN_CODE_INTERNAL ? MSN_CODE_OK : code;
}

static int take_stream(struct client *c, const char *method)
{
	client_request(c, &(struct request){ .method = method,
					     .message = COUNT(3, 3000),
					     .flags = 1 });
	return await_code(c);
}

static int take_here(struct client *c)
{
	return take_stream(c, "CountHere");
}

static int take_slow(struct client *c)
{
	return take_stream(c, "Count");
}

static int chat(struct client *c)
{
	uint32_t id = client_request(
		c, &(struct request){ .method = "Chat", .flags = 2 });

	client_send(c, id, ECHO(.text = "1"), 0);
	client_send(c, id, ECHO(.text = "2"), 1);
	return await_code(c);
}

static int pass_fds(struct client *c)
{
	static const char *const pairs[] = { "memsnap-fds", "ok", NULL };
	int fd = memfd_create("test", MFD_CLOEXEC), fds[2] = { fd, fd };

	CHECK(fd >= 0);
	client_request(c, &(struct request){ .method = "Pass",
					     .message = ECHO(.text = "t"),
					     .metadata = pairs,
					     .fds = fds,
					     .fd_count = 2 });
	close(fd);
	return await_code(c);
}

static int pass_fds_to_nobody(struct client *c)
{
	int fd = memfd_create("test", MFD_CLOEXEC);

	CHECK(fd >= 0);
	client_write_fds(c, "\0\0\0\0\0\0\0\1\1\0", 10, &fd, 1);
	close(fd);
	/* The empty path is no method: as it should be. */
	return await_code(c) == MSN_CODE_UNIMPLEMENTED ? MSN_CODE_OK : -1;
}

static int http(struct client *c)
{
	client_write(c, "GET /healthz HTTP/1.1\r\n\r\n", 25);
	client_await_end(c);
	return MSN_CODE_OK;
}

/* ---- the walks ----------------------------------------------------------- */

static void a_call_on_the_loop_thread(void)
{
	EXPECT(walk_scene(ask_here) > 10);
	EXPECT(walk_scene(ask_later) > 10);
	EXPECT(walk_scene(ask_long) > 10);
}

static void a_call_on_a_worker(void)
{
	EXPECT(walk_scene(ask_slow) > 8);
}

static void a_call_that_fails(void)
{
	EXPECT(walk_scene(fail) > 10);
}

static void a_stream_from_the_server(void)
{
	EXPECT(walk_scene(take_here) > 12);
	EXPECT(walk_scene(take_slow) > 8);
}

static void a_stream_both_ways(void)
{
	EXPECT(walk_scene(chat) > 8);
}

static void descriptors(void)
{
	EXPECT(walk_scene(pass_fds) > 14);
	EXPECT(walk_scene(pass_fds_to_nobody) > 8);
}

static void a_scrape(void)
{
	EXPECT(walk_scene(http) > 6);
}

/* ---- making a server ----------------------------------------------------- */

static struct rig made;

static void *prepare_nothing(void)
{
	rig_init(&made, NULL);
	made.server = msn_server_free(made.server);
	return &made;
}

static int make_server(void *state)
{
	struct rig *r = state;
	struct msn_server_opts opts = { .loop = r->loop,
					.workers = r->workers,
					.methods = r->methods,
					.context = &r->service };
	struct msn_failure why = { 0 };
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0), rc;
	struct sockaddr_un sa = { .sun_family = AF_UNIX };

	CHECK(fd >= 0 &&
	      bind(fd, (struct sockaddr *)&sa, sizeof(sa_family_t)) == 0 &&
	      listen(fd, 8) == 0);
	rc = msn_server_new(&r->server, &opts, &why);
	if (rc)
		close(fd);
	else
		rc = msn_server_listen(
			r->server,
			&(struct msn_listen_opts){
				.fd = fd, .transport = MSN_TRANSPORT_UNIX },
			&why);
	EXPECT((rc == 0) == (why.kind == MSN_FAILURE_NONE));
	return rc;
}

static void verify_server(void *state, int rc, const char *name)
{
	EXPECT(name ? rc < 0 : rc == 0);
	rig_deinit(state);
}

static struct {
	struct msn_methods *methods;
	void *set;
	size_t len;
} table;

static void *prepare_table(void)
{
	table.methods = NULL;
	table.set = service_descriptors(&table.len);
	return &table.methods;
}

static int make_table(void *state)
{
	struct msn_failure why = { 0 };

	return msn_methods_new(state, service_tables, table.set, table.len,
			       &why);
}

static void verify_table(void *state, int rc, const char *name)
{
	struct msn_methods **m = state;

	EXPECT(name ? rc == -ENOMEM && !*m : rc == 0);
	msn_methods_free(*m);
	free(table.set);
}

static void a_server_and_a_table(void)
{
	EXPECT(check_every_fault(prepare_nothing, make_server, verify_server) ==
	       4);
	EXPECT(check_every_fault(prepare_table, make_table, verify_table) == 2);
}

int main(int argc, char **argv)
{
	static const struct check_test tests[] = {
		CHECK_TEST(a_call_on_the_loop_thread),
		CHECK_TEST(a_call_on_a_worker),
		CHECK_TEST(a_call_that_fails),
		CHECK_TEST(a_stream_from_the_server),
		CHECK_TEST(a_stream_both_ways),
		CHECK_TEST(descriptors),
		CHECK_TEST(a_scrape),
		CHECK_TEST(a_server_and_a_table),
		{}
	};

	return check_main(argc, argv, "wire: faults", tests);
}
