/*
 * A server to be fuzzed.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "wire_target.h"

#include "service.h"

#include "base/assert.h"
#include "base/fd.h"
#include "wire/server.h"

#include <errno.h>
#include <stdint.h>
#include <sys/socket.h>
#include <unistd.h>

static struct {
	struct msn_loop *loop;
	struct msn_workers *workers;
	struct msn_methods *methods;
	struct msn_server *server;
	struct service service;
} f;

static void start(void)
{
	struct msn_server_opts opts = { .context = &f.service };

	service_init(&f.service);
	msn_assert(msn_loop_new(&f.loop) == 0);
	msn_assert(msn_workers_new(&f.workers, &(struct msn_workers_opts){
						       .name = "fuzz",
						       .threads_max = 4,
						       .queue_max = 64,
						       .idle_ms = 1000 }) == 0);
	f.methods = service_methods();
	f.service.loop = f.loop;
	opts.loop = f.loop;
	opts.workers = f.workers;
	opts.methods = f.methods;
	/* Small, so that they are reached. */
	opts.limits.buffered_bytes = 1 << 20;
	opts.limits.blocking_per_owner = 3;
	opts.limits.calls_per_owner = 20;
	opts.limits.linger_ms = 1;
	msn_assert(msn_server_new(&f.server, &opts, NULL) == 0);
}

static void settle(void)
{
	while (sd_event_run(msn_loop_event(f.loop), 0) > 0)
		;
}

static void take_answers(int fd)
{
	char bytes[65536];

	while (recv(fd, bytes, sizeof(bytes), 0) > 0)
		;
}

/* Nothing is left, once workers have let go. */
static void await_nothing(void)
{
	struct msn_server_usage u;

	for (;;) {
		settle();
		msn_server_usage(f.server, &u);
		if (u.connections == 0 && u.calls == 0 && u.buffered_bytes == 0)
			return;
		usleep(50);
	}
}

void wire_open(struct wire_client *c)
{
	int ends[2];

	if (!f.loop)
		start();
	msn_assert(socketpair(AF_UNIX,
			      SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0,
			      ends) == 0);
	msn_assert(msn_server_adopt(f.server,
				    &(struct msn_listen_opts){
					    .fd = ends[1],
					    .transport = MSN_TRANSPORT_UNIX },
				    NULL) == 0);
	c->fd = ends[0];
}

bool wire_send(struct wire_client *c, const void *data, size_t len)
{
	if (send(c->fd, data, len, MSG_NOSIGNAL) < 0)
		return false;
	settle();
	take_answers(c->fd);
	return true;
}

void wire_close(struct wire_client *c)
{
	settle();
	take_answers(c->fd);
	msn_close(c->fd);
	await_nothing();
}
