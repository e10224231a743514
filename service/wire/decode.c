/*
 * Decode: unpacks into an arena, then looks at every text.
 *
 * SPDX-License-Identifier: Apache-2.0
 *
 * A string comes out of protobuf-c as a pointer: where it held a zero byte, it
 * is cut there.  The arena knows how long it was.
 */
#include "wire/decode.h"

#include "base/error.h"
#include "base/utf8.h"

#include <errno.h>
#include <string.h>

/* Names of the fields from the request down to where the check is. */
struct trail {
	const struct trail *up;
	const char *name;
};

static void *take(void *arena, size_t size)
{
	return arena_alloc(arena, size);
}

static void leave(void *arena, void *piece)
{
	(void)arena;
	(void)piece;
}

/* Writes "a.b.c", from the outermost on; what does not fit is cut. */
static size_t trail_text(const struct trail *t, char *out, size_t size)
{
	size_t n = t->up ? trail_text(t->up, out, size) : 0;
	size_t len = strlen(t->name);

	if (t->up && n + 1 < size)
		out[n++] = '.';
	if (len > size - 1 - n)
		len = size - 1 - n;
	memcpy(out + n, t->name, len);
	out[n + len] = '\0';
	return n + len;
}

static int bad_text(const struct trail *t, const char *what,
		    struct msn_status *why)
{
	char field[sizeof(why->field)];

	trail_text(t, field, sizeof(field));
	msn_status_set(why, MSN_CODE_INVALID_ARGUMENT, "INVALID_FIELD", "%s %s",
		       field, what);
	strcpy(why->field, field);
	return msn_fail(-EINVAL);
}

static int check_text(const char *text, const struct trail *t,
		      const ProtobufCFieldDescriptor *f, struct msn_status *why)
{
	if (!text || text == f->default_value ||
	    text == protobuf_c_empty_string)
		return 0; /* was not sent */
	if (strlen(text) + 1 != arena_size(text))
		return bad_text(t, "holds a zero byte", why);
	if (!msn_utf8_valid(text))
		return bad_text(t, "is not UTF-8", why);
	return 0;
}

static int check_message(const ProtobufCMessage *m, const struct trail *up,
			 struct msn_status *why);

static int check_value(const void *at, const struct trail *t,
		       const ProtobufCFieldDescriptor *f,
		       struct msn_status *why)
{
	const ProtobufCMessage *inner;

	if (f->type == PROTOBUF_C_TYPE_STRING)
		return check_text(*(const char *const *)at, t, f, why);
	inner = *(const ProtobufCMessage *const *)at;
	return inner ? check_message(inner, t, why) : 0;
}

/* Is this field one of a oneof that holds another one? */
static bool is_other_case(const ProtobufCMessage *m,
			  const ProtobufCFieldDescriptor *f)
{
	const uint8_t *base = (const uint8_t *)m;

	return (f->flags & PROTOBUF_C_FIELD_FLAG_ONEOF) &&
	       *(const uint32_t *)(const void *)(base + f->quantifier_offset) !=
		       f->id;
}

static int check_field(const ProtobufCMessage *m,
		       const ProtobufCFieldDescriptor *f,
		       const struct trail *up, struct msn_status *why)
{
	const uint8_t *base = (const uint8_t *)m;
	const struct trail t = { up, f->name };
	const void *const *values;
	size_t count;

	if (f->label != PROTOBUF_C_LABEL_REPEATED)
		return is_other_case(m, f)
			       ? 0
			       : check_value(base + f->offset, &t, f, why);
	memcpy(&count, base + f->quantifier_offset, sizeof(count));
	memcpy(&values, base + f->offset, sizeof(values));
	for (size_t i = 0; i < count; i++) {
		int rc = check_value(&values[i], &t, f, why);

		if (rc)
			return rc;
	}
	return 0;
}

/* Goes as deep as the types do, which do not contain themselves (method.h). */
static int check_message(const ProtobufCMessage *m, const struct trail *up,
			 struct msn_status *why)
{
	const ProtobufCMessageDescriptor *type = m->descriptor;

	for (unsigned i = 0; i < type->n_fields; i++) {
		const ProtobufCFieldDescriptor *f = &type->fields[i];
		int rc;

		if (f->type != PROTOBUF_C_TYPE_STRING &&
		    f->type != PROTOBUF_C_TYPE_MESSAGE)
			continue;
		rc = check_field(m, f, up, why);
		if (rc)
			return rc;
	}
	return 0;
}

int message_decode(const ProtobufCMessage **out,
		   const ProtobufCMessageDescriptor *type, struct arena *arena,
		   const uint8_t *data, size_t len, struct msn_status *why)
{
	ProtobufCAllocator a = { take, leave, arena };
	ProtobufCMessage *m;
	int rc;

	m = protobuf_c_message_unpack(type, &a, len, data);
	if (!m && arena->refused)
		msn_status_set(why, MSN_CODE_RESOURCE_EXHAUSTED, "BUDGET",
			       "the %s of %zu bytes takes too much memory",
			       type->short_name, len);
	else if (!m)
		msn_status_set(why, MSN_CODE_INTERNAL, "UNDECODABLE",
			       "these %zu bytes are no %s", len,
			       type->short_name);
	if (!m)
		return msn_fail(-EINVAL);
	rc = check_message(m, NULL, why);
	if (rc)
		return msn_pass(rc);
	*out = m;
	return 0;
}
