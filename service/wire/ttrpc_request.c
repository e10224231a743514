/*
 * ttrpc: the Request message, read where it lies.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "base/utf8.h"
#include "wire/ttrpc.h"

/* Fields of Request and of KeyValue. */
enum {
	SERVICE = 1,
	METHOD = 2,
	PAYLOAD = 3,
	TIMEOUT_NANO = 4,
	METADATA = 5,
	KEY = 1,
	VALUE = 2,
};

static bool is_text(const struct pb_field *f)
{
	return msn_utf8_valid_bytes(f->data, f->len);
}

static bool read_pair(const struct pb_field *field, struct ttrpc_pair *out)
{
	struct pb pb = pb_of(field->data, field->len);
	struct pb_field f;

	*out = (struct ttrpc_pair){ 0 };
	while (pb_next(&pb, &f)) {
		if (f.type != PB_BYTES)
			continue;
		if (f.number == KEY)
			out->key = f;
		else if (f.number == VALUE)
			out->value = f;
	}
	return !pb.bad;
}

bool ttrpc_next_pair(struct pb *message, struct ttrpc_pair *out)
{
	struct pb_field f;

	while (pb_next(message, &f))
		if (f.number == METADATA && f.type == PB_BYTES)
			return read_pair(&f, out);
	return false;
}

/* Negative is over already, zero is none. */
static uint64_t timeout_of(uint64_t nano)
{
	if (nano == 0)
		return UINT64_MAX;
	return nano > INT64_MAX ? 0 : nano;
}

static void append(struct ttrpc_request *r, const struct pb_field *name)
{
	r->path[r->path_len++] = '/';
	if (name->len)
		memcpy(r->path + r->path_len, name->data, name->len);
	r->path_len += name->len;
}

static const char *check_pair(const struct pb_field *field)
{
	struct ttrpc_pair pair;

	if (!read_pair(field, &pair))
		return "the metadata of the request is damaged";
	if (!is_text(&pair.key) || !is_text(&pair.value))
		return "the metadata of the request is not text";
	return NULL;
}

const char *ttrpc_read_request(struct ttrpc_request *out, const uint8_t *data,
			       size_t len)
{
	struct pb_field f, service = { 0 }, method = { 0 };
	struct pb pb = pb_of(data, len);
	const char *bad = NULL;

	out->message = pb;
	out->path_len = 0;
	out->timeout_ns = UINT64_MAX;
	out->payload = (struct pb_field){ 0 };
	while (!bad && pb_next(&pb, &f)) {
		if (f.number == TIMEOUT_NANO && f.type == PB_VARINT)
			out->timeout_ns = timeout_of(f.value);
		if (f.type != PB_BYTES)
			continue;
		if (f.number == SERVICE)
			service = f;
		else if (f.number == METHOD)
			method = f;
		else if (f.number == PAYLOAD)
			out->payload = f;
		else if (f.number == METADATA)
			bad = check_pair(&f);
	}
	if (pb.bad)
		return "these bytes are no request";
	if (service.len + method.len + 2 > sizeof(out->path))
		return "the names of service and method are too long";
	if (!is_text(&service) || !is_text(&method))
		return "the names of service and method are not text";
	append(out, &service);
	append(out, &method);
	return bad;
}
