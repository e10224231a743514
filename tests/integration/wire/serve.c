/*
 * A server for clients that nobody here wrote: serve <option>...
 *
 * SPDX-License-Identifier: Apache-2.0
 *
 *    --unix PATH             listen on a Unix socket
 *    --tcp                   on a port of the loopback, plaintext
 *    --tls CERT KEY          on another, with TLS and ALPN
 *    --drain MS              how long SIGTERM lets calls end (10000)
 *    --frame-ms MS           how long half a frame may take (30000)
 *
 * Serves grpc.testing.TestService, health and reflection.  Says where on
 * standard output, one line each, and then "ready".  Ends by SIGTERM, as a
 * service does, or when standard input ends, so that it never outlives a test.
 */
#include "base/alloc.h"
#include "base/fd.h"
#include "descriptors/descriptors.h"
#include "loop/loop.h"
#include "standard/standard.h"
#include "test_service.h"
#include "wire/server.h"

#include <errno.h>
#include <netinet/in.h>
#include <openssl/ssl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

struct context {
	struct msn_standard standard; /* first: see standard.h */
	struct msn_loop *loop;
	struct msn_workers *workers;
	struct msn_methods *methods;
	struct msn_server *server;
	SSL_CTX *tls;
	unsigned drain_ms;
	uint64_t calls, failed;
	struct msn_server_limits limits;
};

__attribute__((noreturn)) static void die(const char *what)
{
	fprintf(stderr, "serve: %s: %s\n", what, strerror(errno));
	exit(1);
}

__attribute__((noreturn)) static void fail(const struct msn_failure *why)
{
	fprintf(stderr, "serve: %s\n", why->text);
	exit(1);
}

/* ---- sockets ------------------------------------------------------------- */

static void add(struct context *c, int fd, enum msn_transport transport)
{
	const struct msn_listen_opts opts = {
		.fd = fd,
		.transport = transport,
		.tls = transport == MSN_TRANSPORT_TLS ? c->tls : NULL,
	};
	struct msn_failure why = { 0 };

	if (listen(fd, 1024))
		die("listen");
	if (msn_server_listen(c->server, &opts, &why))
		fail(&why);
}

static void add_unix(struct context *c, const char *path)
{
	struct sockaddr_un addr = { .sun_family = AF_UNIX };
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);

	strncpy(addr.sun_path, path, sizeof(addr.sun_path) - 1);
	if (fd < 0 || bind(fd, (struct sockaddr *)&addr, sizeof(addr)))
		die(path);
	add(c, fd, MSN_TRANSPORT_UNIX);
	printf("unix %s\n", path);
}

static void add_port(struct context *c, enum msn_transport transport)
{
	struct sockaddr_in addr = { .sin_family = AF_INET,
				    .sin_addr = { htonl(INADDR_LOOPBACK) } };
	socklen_t len = sizeof(addr);
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);

	if (fd < 0 || bind(fd, (struct sockaddr *)&addr, len) ||
	    getsockname(fd, (struct sockaddr *)&addr, &len))
		die("loopback");
	add(c, fd, transport);
	printf("%s %d\n", transport == MSN_TRANSPORT_TLS ? "tls" : "tcp",
	       ntohs(addr.sin_port));
}

static int select_h2(SSL *ssl, const unsigned char **out, unsigned char *len,
		     const unsigned char *in, unsigned in_len, void *arg)
{
	static const unsigned char h2[] = "\2h2";

	(void)ssl;
	(void)arg;
	if (SSL_select_next_proto((unsigned char **)(uintptr_t)out, len, h2, 3,
				  in, in_len) != OPENSSL_NPN_NEGOTIATED)
		return SSL_TLSEXT_ERR_ALERT_FATAL;
	return SSL_TLSEXT_ERR_OK;
}

static void add_tls(struct context *c, const char *cert, const char *key)
{
	c->tls = SSL_CTX_new(TLS_server_method());
	if (!c->tls || SSL_CTX_use_certificate_chain_file(c->tls, cert) != 1 ||
	    SSL_CTX_use_PrivateKey_file(c->tls, key, SSL_FILETYPE_PEM) != 1) {
		fprintf(stderr, "serve: %s, %s: no certificate and key\n", cert,
			key);
		exit(1);
	}
	SSL_CTX_set_alpn_select_cb(c->tls, select_h2, NULL);
	add_port(c, MSN_TRANSPORT_TLS);
}

/* ---- the end ------------------------------------------------------------- */

static void drained(void *arg)
{
	struct context *c = arg;

	msn_loop_exit(c->loop, 0);
}

static int on_term(sd_event_source *source, const struct signalfd_siginfo *si,
		   void *arg)
{
	struct context *c = arg;

	(void)source;
	(void)si;
	msn_health_end(&c->standard);
	msn_server_drain(c->server, c->drain_ms, drained, c);
	return 0;
}

static int on_input(sd_event_source *source, int fd, uint32_t events, void *arg)
{
	struct context *c = arg;

	(void)source;
	(void)fd;
	(void)events;
	msn_loop_exit(c->loop, 0);
	return 0;
}

static void watch_for_end(struct context *c)
{
	sd_event *event = msn_loop_event(c->loop);
	sigset_t term;

	sigemptyset(&term);
	sigaddset(&term, SIGTERM);
	sigprocmask(SIG_BLOCK, &term, NULL);
	if (sd_event_add_signal(event, NULL, SIGTERM, on_term, c) < 0 ||
	    sd_event_add_io(event, NULL, STDIN_FILENO, EPOLLIN | EPOLLHUP,
			    on_input, c) < 0)
		die("standard input must be a pipe");
}

/* ---- the server ---------------------------------------------------------- */

static int metrics(void *arg, char **out, size_t *len)
{
	struct msn_server_usage use;
	struct context *c = arg;

	msn_server_usage(c->server, &use);
	*out = msn_format("# HELP test_calls_total Calls that ended.\n"
			  "# TYPE test_calls_total counter\n"
			  "test_calls_total %llu\n"
			  "# HELP test_buffered_bytes Bytes under way.\n"
			  "# TYPE test_buffered_bytes gauge\n"
			  "test_buffered_bytes %zu\n"
			  "# HELP test_connections Connections.\n"
			  "# TYPE test_connections gauge\n"
			  "test_connections %u\n"
			  "# HELP test_calls Calls under way.\n"
			  "# TYPE test_calls gauge\n"
			  "test_calls %u\n",
			  (unsigned long long)c->calls, use.buffered_bytes,
			  use.connections, use.calls);
	if (!*out)
		return -ENOMEM;
	*len = strlen(*out);
	return 0;
}

static bool healthy(void *arg)
{
	return msn_health_get(&((struct context *)arg)->standard);
}

static void ended(void *arg, const struct msn_call_record *record)
{
	struct context *c = arg;

	(void)record;
	c->calls++;
}

static void make(struct context *c)
{
	static const struct msn_method *const tables[] = {
		test_service_methods, msn_health_methods,
		msn_reflection_methods, NULL
	};
	const struct msn_workers_opts workers = { .name = "serve",
						  .threads_max = 32,
						  .queue_max = 1024,
						  .idle_ms = 1000 };
	struct msn_server_opts opts = { .context = c,
					.limits = c->limits,
					.metrics = metrics,
					.healthy = healthy,
					.ended = ended };
	struct msn_failure why = { 0 };
	size_t len;
	const void *set = msn_descriptors_testing(&len);

	if (msn_loop_new(&c->loop) || msn_workers_new(&c->workers, &workers))
		die("loop");
	if (msn_methods_new(&c->methods, tables, set, len, &why))
		fail(&why);
	if (msn_standard_init(&c->standard, c->methods, set, len))
		die("standard services");
	opts.loop = c->loop;
	opts.workers = c->workers;
	opts.methods = c->methods;
	if (msn_server_new(&c->server, &opts, &why))
		fail(&why);
	watch_for_end(c);
}

static unsigned number(const char *text)
{
	return (unsigned)strtoul(text, NULL, 10);
}

int main(int argc, char **argv)
{
	struct context c = { .drain_ms = 10000 };
	int rc;

	for (int i = 1; i + 1 < argc; i++) {
		if (strcmp(argv[i], "--drain") == 0)
			c.drain_ms = number(argv[i + 1]);
		else if (strcmp(argv[i], "--frame-ms") == 0)
			c.limits.frame_ms = number(argv[i + 1]);
	}
	make(&c);
	for (int i = 1; i < argc; i++) {
		if (strcmp(argv[i], "--unix") == 0)
			add_unix(&c, argv[++i]);
		else if (strcmp(argv[i], "--tcp") == 0)
			add_port(&c, MSN_TRANSPORT_TCP);
		else if (strcmp(argv[i], "--tls") == 0)
			add_tls(&c, argv[i + 1], argv[i + 2]), i += 2;
		else
			i++;
	}
	printf("ready\n");
	fflush(stdout);
	rc = msn_loop_run(c.loop);
	c.server = msn_server_free(c.server);
	c.workers = msn_workers_free(c.workers);
	msn_standard_deinit(&c.standard);
	msn_methods_free(c.methods);
	msn_loop_free(c.loop);
	SSL_CTX_free(c.tls);
	return rc;
}
