/*
 * gRPC: a request's headers.
 *
 * SPDX-License-Identifier: Apache-2.0
 *
 * nghttp2 could check each name and value, but does so by rules for all that
 * HTTP can be, at a tenth of what a unary call costs.  gRPC needs few names,
 * and of the others only that they are tokens in lower case.
 *
 * What HTTP/2 forbids resets the stream (grpc_malformed()).  What is wrong for
 * gRPC alone is noted, and the call refused when all headers are there: the
 * first thing that was wrong is what it is told.
 */
#include "wire/grpc.h"

#include "base/error.h"
#include "wire/grpc_text.h"

#include <errno.h>
#include <string.h>

struct field {
	const char *name, *value;
	size_t name_len, value_len;
};

static bool is(const char *text, size_t len, const char *what)
{
	return len == strlen(what) && memcmp(text, what, len) == 0;
}

static void refuse(struct grpc_stream *s, enum grpc_refusal why)
{
	if (s->refusal == GRPC_REFUSE_NOT)
		s->refusal = why;
}

int grpc_malformed(struct grpc_stream *s)
{
	s->malformed = true;
	if (nghttp2_submit_rst_stream(s->grpc->session, NGHTTP2_FLAG_NONE,
				      s->id, NGHTTP2_PROTOCOL_ERROR))
		return msn_fail(-ENOMEM);
	return 0;
}

static int open_call(struct grpc_stream *s, const struct field *path)
{
	const struct call_open opts = {
		.path = path->value,
		.path_len = path->value_len,
		.timeout_ns = UINT64_MAX,
		.stream = s,
	};

	return msn_pass(call_open(&s->call, &s->grpc->base, &opts));
}

static int method(struct grpc_stream *s, const struct field *f)
{
	s->connects = is(f->value, f->value_len, "CONNECT");
	if (!is(f->value, f->value_len, "POST"))
		refuse(s, GRPC_REFUSE_METHOD);
	return 0;
}

static int any_value(struct grpc_stream *s, const struct field *f)
{
	(void)s;
	(void)f;
	return 0;
}

/* Each comes once, and before all others. */
static int pseudo_header(struct grpc_stream *s, const struct field *f)
{
	static const struct {
		const char *name;
		int (*take)(struct grpc_stream *s, const struct field *f);
	} known[] = {
		{ ":method", method },
		{ ":path", open_call },
		{ ":scheme", any_value },
		{ ":authority", any_value },
	};

	for (unsigned i = 0; i < MSN_ARRAY_LEN(known); i++) {
		if (!is(f->name, f->name_len, known[i].name))
			continue;
		if (s->pseudo_seen & 1U << i || s->regular_seen)
			return grpc_malformed(s);
		s->pseudo_seen |= 1U << i;
		return msn_pass(known[i].take(s, f));
	}
	return grpc_malformed(s);
}

/* Has a request all that it must have? */
static bool is_whole(const struct grpc_stream *s)
{
	const unsigned all = 1 | 2 | 4; /* but for :authority */

	return s->connects || (s->pseudo_seen & all) == all;
}

/* ---- metadata ------------------------------------------------------------ */

static void binary_metadata(struct grpc_stream *s, const struct field *f)
{
	uint8_t decoded[GRPC_HEADERS_MAX];
	const char *at = f->value, *end = at + f->value_len;

	/* Several values may have been joined by commas. */
	while (at <= end) {
		const char *comma = memchr(at, ',', (size_t)(end - at));
		const char *stop = comma ? comma : end;
		size_t len;

		if (!grpc_base64_decode(decoded, &len, at,
					(size_t)(stop - at))) {
			refuse(s, GRPC_REFUSE_METADATA);
			return;
		}
		call_add_metadata(s->call, f->name, f->name_len, decoded, len);
		at = stop + 1;
		while (comma && at < end && *at == ' ')
			at++;
	}
}

static void metadata(struct grpc_stream *s, const struct field *f)
{
	if (grpc_is_binary(f->name, f->name_len)) {
		binary_metadata(s, f);
		return;
	}
	for (size_t i = 0; i < f->value_len; i++)
		if (f->value[i] < 0x20 || f->value[i] > 0x7e) {
			refuse(s, GRPC_REFUSE_METADATA);
			return;
		}
	call_add_metadata(s->call, f->name, f->name_len, f->value,
			  f->value_len);
}

/* Letters, digits and a few marks, as RFC 9110 has tokens; no capitals. */
static bool is_name(const struct field *f)
{
	for (size_t i = 0; i < f->name_len; i++) {
		char c = f->name[i];

		if (!(c >= 'a' && c <= 'z') && !(c >= '0' && c <= '9') &&
		    (c == '\0' || !strchr("-_.!#$%&'*+^`|~", c)))
			return false;
	}
	return f->name_len > 0;
}

/* ---- gRPC's own ---------------------------------------------------------- */

static int timeout(struct grpc_stream *s, const struct field *f)
{
	uint64_t ns;

	if (grpc_timeout_parse(f->value, f->value_len, &ns))
		call_set_timeout(s->call, ns);
	else
		refuse(s, GRPC_REFUSE_TIMEOUT);
	return 0;
}

static int content_type(struct grpc_stream *s, const struct field *f)
{
	s->has_type = true;
	if (!grpc_is_content_type(f->value, f->value_len))
		refuse(s, GRPC_REFUSE_TYPE);
	return 0;
}

static int te(struct grpc_stream *s, const struct field *f)
{
	s->has_te = is(f->value, f->value_len, "trailers");
	return s->has_te ? 0 : grpc_malformed(s);
}

static int encoding(struct grpc_stream *s, const struct field *f)
{
	if (!is(f->value, f->value_len, "identity"))
		refuse(s, GRPC_REFUSE_ENCODING);
	return 0;
}

/* Of HTTP/1, where they are about one connection. */
static int forbidden(struct grpc_stream *s, const struct field *f)
{
	(void)f;
	return grpc_malformed(s);
}

static int regular_header(struct grpc_stream *s, const struct field *f)
{
	static const struct {
		const char *name;
		int (*take)(struct grpc_stream *s, const struct field *f);
	} known[] = {
		{ "te", te },
		{ "content-type", content_type },
		{ "grpc-timeout", timeout },
		{ "grpc-encoding", encoding },
		{ "content-length", any_value },
		{ "connection", forbidden },
		{ "keep-alive", forbidden },
		{ "proxy-connection", forbidden },
		{ "transfer-encoding", forbidden },
		{ "upgrade", forbidden },
	};

	for (size_t i = 0; i < MSN_ARRAY_LEN(known); i++)
		if (is(f->name, f->name_len, known[i].name))
			return msn_pass(known[i].take(s, f));
	if (!is_name(f))
		return grpc_malformed(s);
	if (f->name_len < 5 || memcmp(f->name, "grpc-", 5) != 0)
		metadata(s, f);
	return 0;
}

int grpc_header(struct grpc_stream *s, const uint8_t *name, size_t name_len,
		const uint8_t *value, size_t value_len)
{
	const struct field f = { (const char *)name, (const char *)value,
				 name_len, value_len };

	if (s->malformed)
		return 0;
	s->header_bytes += name_len + value_len + 32;
	if (s->header_bytes > GRPC_HEADERS_MAX) {
		refuse(s, GRPC_REFUSE_HEADERS_MAX);
		/* A method is needed even to refuse it. */
		if (s->call)
			return 0;
	}
	if (name_len > 0 && name[0] == ':')
		return msn_pass(pseudo_header(s, &f));
	s->regular_seen = true;
	return s->call ? msn_pass(regular_header(s, &f)) : 0;
}

/* ---- all of them --------------------------------------------------------- */

static const struct {
	enum msn_code code;
	const char *reason, *text;
} refusals[] = {
	[GRPC_REFUSE_METHOD] = { MSN_CODE_INTERNAL, "HTTP_METHOD",
				 "gRPC is called by POST" },
	[GRPC_REFUSE_TYPE] = { MSN_CODE_INTERNAL, "CONTENT_TYPE",
			       "the content-type is not application/grpc" },
	[GRPC_REFUSE_TE] = { MSN_CODE_INTERNAL, "TRAILERS",
			     "the request has no \"te: trailers\": something "
			     "on the way may not pass them on" },
	[GRPC_REFUSE_ENCODING] = { MSN_CODE_UNIMPLEMENTED, "ENCODING",
				   "no grpc-encoding but identity is "
				   "understood" },
	[GRPC_REFUSE_TIMEOUT] = { MSN_CODE_INTERNAL, "TIMEOUT",
				  "this is no grpc-timeout" },
	[GRPC_REFUSE_METADATA] = { MSN_CODE_INTERNAL, "METADATA",
				   "a value of the metadata is not printable "
				   "ASCII, or a binary one not base64" },
	[GRPC_REFUSE_HEADERS_MAX] = { MSN_CODE_RESOURCE_EXHAUSTED, "METADATA",
				      "more than 16384 bytes of metadata" },
};

void grpc_refuse_request(struct grpc_stream *s)
{
	s->held = false;
	call_reject(s->call, refusals[s->refusal].code,
		    refusals[s->refusal].reason, refusals[s->refusal].text);
}

int grpc_headers_done(struct grpc_stream *s)
{
	if (s->malformed)
		return 0;
	if (!is_whole(s))
		return grpc_malformed(s);
	if (!s->has_type)
		refuse(s, GRPC_REFUSE_TYPE);
	if (!s->has_te)
		refuse(s, GRPC_REFUSE_TE);
	if (!s->call) { /* CONNECT needs no path */
		s->refusal = GRPC_REFUSE_METHOD;
		s->finishing = true;
		grpc_stream_ready(s);
	} else if (s->refusal == GRPC_REFUSE_NOT) {
		call_begin(s->call);
	} else if (grpc_is_foreign(s)) {
		s->held = true;
	} else {
		grpc_refuse_request(s);
	}
	return 0;
}
