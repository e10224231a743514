/*
 * HTTP/1: one GET or HEAD of /metrics or /healthz, then the end.
 *
 * SPDX-License-Identifier: Apache-2.0
 *
 * For scrapers and probes that speak nothing else.  The request's head is read
 * to its end, of which only the first line matters; a body is not.
 */
#include "base/alloc.h"
#include "base/error.h"
#include "wire/conn.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* A request's head; that of curl or a scraper is below 500 bytes. */
#define HEAD_MAX 8192

struct http1 {
	struct codec base;
	bool answered;
	size_t len;
	char *head; /* of HEAD_MAX bytes; until it is whole */
};

static struct http1 *http1_of(const struct codec *c)
{
	return msn_container_of(c, struct http1, base);
}

/* ---- the answer ---------------------------------------------------------- */

struct answer {
	const char *status; /* "200 OK" */
	const char *type;   /* of the body */
	const char *more;   /* header lines, or NULL */
	char *body;	    /* owned */
	size_t len;
	bool head_only;
};

static int send_answer(struct http1 *h, const struct answer *a)
{
	char head[256];
	size_t head_len;
	struct message *m;

	head_len = (size_t)snprintf(head, sizeof(head),
				    "HTTP/1.1 %s\r\n"
				    "Content-Type: %s\r\n"
				    "Content-Length: %zu\r\n"
				    "Connection: close\r\n"
				    "%s\r\n",
				    a->status, a->type, a->len,
				    a->more ? a->more : "");
	m = message_new(head_len + (a->head_only ? 0 : a->len));
	if (!m)
		return msn_fail(-ENOMEM);
	memcpy(m->head, head, head_len);
	if (!a->head_only && a->len)
		memcpy(m->head + head_len, a->body, a->len);
	conn_queue(h->base.conn, m);
	h->answered = true;
	conn_close_soon(h->base.conn);
	return 0;
}

/* An answer whose body is its status. */
static int send_text(struct http1 *h, const char *status, bool head_only)
{
	msn_auto(msn_freep) char *body = msn_format("%s\n", status + 4);
	struct answer a = { .status = status,
			    .type = "text/plain; charset=utf-8",
			    .body = body,
			    .head_only = head_only };

	if (strncmp(status, "405", 3) == 0)
		a.more = "Allow: GET, HEAD\r\n";
	if (!body)
		return msn_fail(-ENOMEM);
	a.len = strlen(body);
	return msn_pass(send_answer(h, &a));
}

static int send_metrics(struct http1 *h, bool head_only)
{
	const struct msn_server_opts *opts = &h->base.conn->server->opts;
	struct answer a = { .status = "200 OK",
			    .type = "text/plain; version=0.0.4; charset=utf-8",
			    .head_only = head_only };
	int rc;

	if (!opts->metrics)
		return send_text(h, "404 Not Found", head_only);
	if (opts->metrics(opts->context, &a.body, &a.len))
		return send_text(h, "500 Internal Server Error", head_only);
	rc = send_answer(h, &a);
	free(a.body);
	return msn_pass(rc);
}

static int send_health(struct http1 *h, bool head_only)
{
	const struct msn_server *s = h->base.conn->server;
	bool ok = !s->draining &&
		  (!s->opts.healthy || s->opts.healthy(s->opts.context));

	return send_text(h, ok ? "200 OK" : "503 Service Unavailable",
			 head_only);
}

/* ---- the request --------------------------------------------------------- */

/* Splits "METHOD /path?query HTTP/1.x"; false: it is not of that form. */
static bool split_line(char *line, char **method, char **path)
{
	char *version;

	*method = line;
	*path = strchr(line, ' ');
	if (!*path)
		return false;
	*(*path)++ = '\0';
	version = strchr(*path, ' ');
	if (!version || strncmp(version + 1, "HTTP/1.", 7) != 0)
		return false;
	*version = '\0';
	(*path)[strcspn(*path, "?")] = '\0';
	return true;
}

static int answer_request(struct http1 *h)
{
	char *method, *path;
	bool head_only;

	h->head[strcspn(h->head, "\r\n")] = '\0';
	if (!split_line(h->head, &method, &path))
		return send_text(h, "400 Bad Request", false);
	head_only = strcmp(method, "HEAD") == 0;
	if (!head_only && strcmp(method, "GET") != 0)
		return send_text(h, "405 Method Not Allowed", false);
	if (strcmp(path, "/metrics") == 0)
		return send_metrics(h, head_only);
	if (strcmp(path, "/healthz") == 0)
		return send_health(h, head_only);
	return send_text(h, "404 Not Found", head_only);
}

static int http1_receive(struct codec *self, const uint8_t *data, size_t len)
{
	struct http1 *h = http1_of(self);
	size_t room = HEAD_MAX - 1 - h->len;
	size_t take = len < room ? len : room;

	if (h->answered)
		return 0;
	memcpy(h->head + h->len, data, take);
	h->len += take;
	h->head[h->len] = '\0';
	if (memchr(h->head, '\0', h->len))
		return send_text(h, "400 Bad Request", false);
	if (strstr(h->head, "\r\n\r\n") || strstr(h->head, "\n\n"))
		return answer_request(h);
	if (h->len == HEAD_MAX - 1)
		return send_text(h, "431 Request Header Fields Too Large",
				 false);
	return 0;
}

/* ---- the codec ----------------------------------------------------------- */

static int http1_open(struct codec **out, struct conn *conn)
{
	struct http1 *h = msn_alloc(sizeof(*h));

	if (h)
		h->head = msn_alloc(HEAD_MAX);
	if (!h || !h->head) {
		free(h);
		return msn_fail(-ENOMEM);
	}
	h->base = (struct codec){ .ops = &codec_http1, .conn = conn };
	*out = &h->base;
	return 0;
}

static void http1_close(struct codec *self)
{
	free(http1_of(self)->head);
	free(http1_of(self));
}

static int http1_drain(struct codec *self)
{
	(void)self; /* its only request is under way */
	return 0;
}

static bool http1_is_mid_frame(const struct codec *self)
{
	return !http1_of(self)->answered;
}

const struct codec_ops codec_http1 = {
	.name = "http1",
	.first_bytes = { 'G', 'H' },
	.transports = 1 << MSN_TRANSPORT_UNIX | 1 << MSN_TRANSPORT_TCP |
		      1 << MSN_TRANSPORT_TLS,
	.open = http1_open,
	.close = http1_close,
	.receive = http1_receive,
	.drain = http1_drain,
	.is_mid_frame = http1_is_mid_frame,
};
