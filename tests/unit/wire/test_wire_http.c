/*
 * HTTP/1: metrics and health for those who speak nothing else.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "rig.h"

#include "base/alloc.h"
#include "support/check.h"

#include <errno.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

static bool is_healthy = true;
static const char *metrics_text = "memsnap_up 1\n";

static int metrics(void *context, char **out, size_t *len)
{
	(void)context;
	if (!metrics_text)
		return -ENOMEM;
	*out = msn_strdup(metrics_text);
	*len = strlen(metrics_text);
	return 0;
}

static bool healthy(void *context)
{
	(void)context;
	return is_healthy;
}

/* What the server answers to these bytes until it closes. */
static const char *ask(const struct msn_server_opts *opts, const char *request,
		       size_t len, bool http_only)
{
	static char answer[65536];
	struct msn_listen_opts listen = { .transport = MSN_TRANSPORT_UNIX,
					  .metrics_only = http_only };
	size_t n = 0;
	struct rig r;
	int ends[2];

	rig_init(&r, opts);
	CHECK(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0,
			 ends) == 0);
	listen.fd = ends[1];
	CHECK(msn_server_adopt(r.server, &listen, NULL) == 0);
	CHECK(send(ends[0], request, len, MSG_NOSIGNAL) == (ssize_t)len);
	for (;;) {
		ssize_t got =
			recv(ends[0], answer + n, sizeof(answer) - 1 - n, 0);

		if (got < 0 && errno == EAGAIN) {
			rig_round(&r);
			continue;
		}
		if (got <= 0)
			break;
		n += (size_t)got;
	}
	answer[n] = '\0';
	close(ends[0]);
	rig_settle(&r);
	EXPECT(rig_usage(&r).connections == 0);
	EXPECT(rig_usage(&r).buffered_bytes == 0);
	rig_deinit(&r);
	return answer;
}

static const struct msn_server_opts full = { .metrics = metrics,
					     .healthy = healthy };

static const char *ask_full(const char *request)
{
	return ask(&full, request, strlen(request), false);
}

static bool begins(const char *text, const char *with)
{
	return strncmp(text, with, strlen(with)) == 0;
}

static bool ends(const char *text, const char *with)
{
	size_t a = strlen(text), b = strlen(with);

	return a >= b && strcmp(text + a - b, with) == 0;
}

static void metrics_are_given(void)
{
	const char *a = ask_full("GET /metrics HTTP/1.1\r\nHost: x\r\n\r\n");

	EXPECT(begins(a, "HTTP/1.1 200 OK\r\n"));
	EXPECT(strstr(a, "Content-Type: text/plain; version=0.0.4"));
	EXPECT(strstr(a, "Content-Length: 13\r\n"));
	EXPECT(strstr(a, "Connection: close\r\n"));
	EXPECT(ends(a, "\r\n\r\nmemsnap_up 1\n"));
	a = ask_full("GET /metrics?x=y HTTP/1.0\r\n\r\n");
	EXPECT(ends(a, "\r\n\r\nmemsnap_up 1\n"));
	a = ask_full("GET /metrics HTTP/1.0\n\n");
	EXPECT(ends(a, "\r\n\r\nmemsnap_up 1\n"));
	a = ask(&full, "GET /metrics HTTP/1.0\n\n", 23, true);
	EXPECT(ends(a, "\r\n\r\nmemsnap_up 1\n"));
}

static void a_head_has_no_body(void)
{
	const char *a = ask_full("HEAD /metrics HTTP/1.1\r\n\r\n");

	EXPECT(begins(a, "HTTP/1.1 200 OK\r\n"));
	EXPECT(strstr(a, "Content-Length: 13\r\n") && ends(a, "\r\n\r\n"));
	a = ask_full("HEAD /nothing HTTP/1.1\r\n\r\n");
	EXPECT(begins(a, "HTTP/1.1 404 ") && ends(a, "\r\n\r\n"));
}

static void health_is_told(void)
{
	const char *a = ask_full("GET /healthz HTTP/1.1\r\n\r\n");

	EXPECT(begins(a, "HTTP/1.1 200 OK\r\n") && ends(a, "\r\n\r\nOK\n"));
	is_healthy = false;
	a = ask_full("GET /healthz HTTP/1.1\r\n\r\n");
	EXPECT(begins(a, "HTTP/1.1 503 Service Unavailable\r\n"));
	is_healthy = true;
	a = ask(NULL, "GET /healthz HTTP/1.1\r\n\r\n", 25, false);
	EXPECT(begins(a, "HTTP/1.1 200 OK\r\n"));
}

static void metrics_that_cannot_be_had_are_an_error(void)
{
	const char *kept = metrics_text, *a;

	metrics_text = NULL;
	a = ask_full("GET /metrics HTTP/1.1\r\n\r\n");
	EXPECT(begins(a, "HTTP/1.1 500 "));
	metrics_text = kept;
	a = ask(NULL, "GET /metrics HTTP/1.1\r\n\r\n", 25, false);
	EXPECT(begins(a, "HTTP/1.1 404 "));
}

static void all_else_is_refused(void)
{
	static char head[9000];
	const char *a = ask_full("GET / HTTP/1.1\r\n\r\n");

	EXPECT(begins(a, "HTTP/1.1 404 Not Found\r\n"));
	EXPECT(begins(ask_full("GET\r\n\r\n"), "HTTP/1.1 400 "));
	EXPECT(begins(ask_full("GET /metrics\r\n\r\n"), "HTTP/1.1 400 "));
	EXPECT(begins(ask_full("GET /metrics FTP/1.1\r\n\r\n"),
		      "HTTP/1.1 400 "));
	EXPECT(begins(ask_full("GET /metrics HTTP/2\r\n\r\n"),
		      "HTTP/1.1 400 "));
	a = ask_full("GETT /metrics HTTP/1.1\r\n\r\n");
	EXPECT(begins(a, "HTTP/1.1 405 ") && strstr(a, "Allow: GET, HEAD\r\n"));
	EXPECT(begins(ask(&full, "GET /\0\r\n\r\n", 10, false),
		      "HTTP/1.1 400 "));
	memset(head, 'x', sizeof(head) - 1);
	memcpy(head, "GET /metrics HTTP/1.1\r\nX: ", 26);
	EXPECT(begins(ask_full(head), "HTTP/1.1 431 "));
}

/* More requests behind the first, or a body, are not answered. */
static void one_request_is_answered(void)
{
	const char *a = ask_full("GET /healthz HTTP/1.1\r\n\r\n"
				 "GET /metrics HTTP/1.1\r\n\r\n");

	EXPECT(ends(a, "\r\n\r\nOK\n") && !strstr(a, "memsnap_up"));
}

/* A listener for metrics alone speaks nothing else. */
static void metrics_only_is_meant_so(void)
{
	EXPECT(strcmp(ask(&full, "\0\0\0\0\0\0\0\1\1\0", 10, true), "") == 0);
	EXPECT(strcmp(ask(&full, "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", 24, true),
		      "") == 0);
}

static void one_who_does_not_finish_is_closed(void)
{
	struct msn_server_opts opts = full;

	opts.limits.frame_ms = 20;
	EXPECT(strcmp(ask(&opts, "GET /metrics HT", 15, false), "") == 0);
}

int main(int argc, char **argv)
{
	static const struct check_test tests[] = {
		CHECK_TEST(metrics_are_given),
		CHECK_TEST(a_head_has_no_body),
		CHECK_TEST(health_is_told),
		CHECK_TEST(metrics_that_cannot_be_had_are_an_error),
		CHECK_TEST(all_else_is_refused),
		CHECK_TEST(one_request_is_answered),
		CHECK_TEST(metrics_only_is_meant_so),
		CHECK_TEST(one_who_does_not_finish_is_closed),
		{}
	};

	return check_main(argc, argv, "wire: http", tests);
}
