/*
 * Reads the fields of an encoded protobuf message one by one, without a
 * descriptor and without copying.
 *
 * SPDX-License-Identifier: Apache-2.0
 *
 *    struct pb pb = pb_of(data, len);
 *    struct pb_field f;
 *
 *    while (pb_next(&pb, &f))
 *            if (f.number == 1 && f.type == PB_BYTES)
 *                    use(f.data, f.len);
 *    if (pb.bad)
 *            return -EBADMSG;
 */
#ifndef MSN_WIRE_PBREAD_H
#define MSN_WIRE_PBREAD_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

enum pb_type {
	PB_VARINT = 0,
	PB_FIXED64 = 1,
	PB_BYTES = 2,
	PB_FIXED32 = 5,
};

struct pb {
	const uint8_t *at, *end;
	bool bad; /* what stands at `at` is no field */
};

struct pb_field {
	uint32_t number;
	enum pb_type type;
	uint64_t value;	     /* of a varint */
	const uint8_t *data; /* of the others */
	size_t len;
};

static inline struct pb pb_of(const void *data, size_t len)
{
	const uint8_t *at = data;

	return (struct pb){ at, len ? at + len : at, false };
}

static inline bool pb_varint(struct pb *p, uint64_t *out)
{
	uint64_t value = 0;

	for (unsigned shift = 0; shift < 64 && p->at < p->end; shift += 7) {
		uint8_t byte = *p->at++;

		value |= (uint64_t)(byte & 0x7f) << shift;
		if (byte < 0x80) {
			*out = value;
			return true;
		}
	}
	p->bad = true;
	return false;
}

static inline bool pb_take(struct pb *p, struct pb_field *f, uint64_t len)
{
	if (len > (uint64_t)(p->end - p->at)) {
		p->bad = true;
		return false;
	}
	f->data = p->at;
	f->len = (size_t)len;
	p->at += len;
	return true;
}

/* The next field.  False at the end, and where there is no field: p->bad. */
static inline bool pb_next(struct pb *p, struct pb_field *f)
{
	uint64_t tag, len;

	if (p->at == p->end || !pb_varint(p, &tag))
		return false;
	*f = (struct pb_field){ .number = (uint32_t)(tag >> 3),
				.type = (enum pb_type)(tag & 7) };
	p->bad = tag >> 32 != 0 || f->number == 0;
	if (p->bad)
		return false;
	switch (f->type) {
	case PB_VARINT:
		return pb_varint(p, &f->value);
	case PB_FIXED64:
		return pb_take(p, f, 8);
	case PB_BYTES:
		return pb_varint(p, &len) && pb_take(p, f, len);
	case PB_FIXED32:
		return pb_take(p, f, 4);
	}
	p->bad = true; /* a group, or nothing at all */
	return false;
}

/* Is the field's value this text? */
static inline bool pb_is_text(const struct pb_field *f, const char *text)
{
	return f->type == PB_BYTES && strlen(text) == f->len &&
	       memcmp(f->data, text, f->len) == 0;
}

/* Bytes of @value as a varint, which are written to @at (10 at most). */
static inline size_t pb_put_varint(uint8_t *at, uint64_t value)
{
	size_t n = 0;

	for (; value >= 0x80; value >>= 7)
		at[n++] = (uint8_t)(value | 0x80);
	at[n++] = (uint8_t)value;
	return n;
}

#endif /* MSN_WIRE_PBREAD_H */
