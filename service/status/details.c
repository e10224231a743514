/*
 * A status as bytes: google.rpc.Status and its details.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "status/status.h"

#include "base/alloc.h"
#include "base/error.h"
#include "base/utf8.h"
#include "google/rpc/error_details.pb-c.h"
#include "google/rpc/status.pb-c.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define DOMAIN "memsnap"
#define TYPE_PREFIX "type.googleapis.com/"
#define DETAILS_MAX 3

/* Memory that decoding one status may take: a hundred honest ones. */
#define BUDGET ((size_t)256 << 10)

/* Protobuf's messages of the details hold what a status can, and no more. */
#define DETAIL_BYTES_MAX sizeof(struct msn_status)
_Static_assert(sizeof(struct msn_status) >
		       sizeof(((struct msn_status *)NULL)->text) +
			       MSN_STATUS_NOTES_MAX *
				       (sizeof(struct msn_status_note) + 8) +
			       40,
	       "every detail fits, with its tags and lengths");

typedef Google__Protobuf__Any any_msg;
typedef Google__Protobuf__Duration duration_msg;
typedef Google__Rpc__BadRequest bad_request_msg;
typedef Google__Rpc__BadRequest__FieldViolation violation_msg;
typedef Google__Rpc__ErrorInfo info_msg;
typedef Google__Rpc__ErrorInfo__MetadataEntry entry_msg;
typedef Google__Rpc__RetryInfo retry_msg;
typedef Google__Rpc__Status status_msg;

/* ---- To bytes ------------------------------------------------------------ */

struct details {
	size_t count;
	any_msg any[DETAILS_MAX];
	any_msg *list[DETAILS_MAX];
	uint8_t bytes[DETAILS_MAX][DETAIL_BYTES_MAX];
};

static void add_detail(struct details *d, const char *type,
		       const ProtobufCMessage *message)
{
	size_t i = d->count++;

	google__protobuf__any__init(&d->any[i]);
	d->any[i].type_url = (char *)(uintptr_t)type;
	d->any[i].value.data = d->bytes[i];
	d->any[i].value.len = protobuf_c_message_pack(message, d->bytes[i]);
	d->list[i] = &d->any[i];
}

static void add_info(struct details *d, const struct msn_status *s)
{
	info_msg info = GOOGLE__RPC__ERROR_INFO__INIT;
	entry_msg entries[MSN_STATUS_NOTES_MAX];
	entry_msg *list[MSN_STATUS_NOTES_MAX];

	for (size_t i = 0; i < s->note_count; i++) {
		google__rpc__error_info__metadata_entry__init(&entries[i]);
		entries[i].key = (char *)(uintptr_t)s->notes[i].key;
		entries[i].value = (char *)(uintptr_t)s->notes[i].value;
		list[i] = &entries[i];
	}
	info.reason = (char *)(uintptr_t)s->reason;
	info.domain = (char *)(uintptr_t)DOMAIN;
	info.n_metadata = s->note_count;
	info.metadata = list;
	add_detail(d, TYPE_PREFIX "google.rpc.ErrorInfo", &info.base);
}

static void add_field(struct details *d, const struct msn_status *s)
{
	bad_request_msg bad = GOOGLE__RPC__BAD_REQUEST__INIT;
	violation_msg one = GOOGLE__RPC__BAD_REQUEST__FIELD_VIOLATION__INIT;
	violation_msg *list[] = { &one };

	one.field = (char *)(uintptr_t)s->field;
	one.description = (char *)(uintptr_t)s->text;
	bad.n_field_violations = 1;
	bad.field_violations = list;
	add_detail(d, TYPE_PREFIX "google.rpc.BadRequest", &bad.base);
}

static void add_retry(struct details *d, const struct msn_status *s)
{
	retry_msg retry = GOOGLE__RPC__RETRY_INFO__INIT;
	duration_msg delay = GOOGLE__PROTOBUF__DURATION__INIT;

	delay.seconds = s->retry_ms / 1000;
	delay.nanos = (int32_t)(s->retry_ms % 1000) * 1000000;
	retry.retry_delay = &delay;
	add_detail(d, TYPE_PREFIX "google.rpc.RetryInfo", &retry.base);
}

int msn_status_encode(const struct msn_status *s, uint8_t **out, size_t *len)
{
	status_msg message = GOOGLE__RPC__STATUS__INIT;
	struct details d;
	uint8_t *bytes;

	d.count = 0;
	if (s->reason[0] || s->note_count)
		add_info(&d, s);
	if (s->field[0])
		add_field(&d, s);
	if (s->retry_ms)
		add_retry(&d, s);
	message.code = (int32_t)s->code;
	message.message = (char *)(uintptr_t)s->text;
	message.n_details = d.count;
	message.details = d.list;
	bytes = msn_alloc(google__rpc__status__get_packed_size(&message) + 1);
	if (!bytes)
		return msn_fail(-ENOMEM);
	*len = google__rpc__status__pack(&message, bytes);
	*out = bytes;
	return 0;
}

/* ---- From bytes ---------------------------------------------------------- */

struct budget {
	ProtobufCAllocator allocator;
	size_t left;
};

static void *budget_alloc(void *data, size_t size)
{
	struct budget *b = data;

	if (size > b->left)
		return NULL;
	b->left -= size;
	return malloc(size);
}

static void budget_free(void *data, void *memory)
{
	(void)data;
	free(memory);
}

#define COPY(member, text)                                                     \
	msn_utf8_clean(member, sizeof(member), text, strlen(text))

static void take_info(struct msn_status *s, const info_msg *info)
{
	if (strcmp(info->domain, DOMAIN) != 0)
		return;
	COPY(s->reason, info->reason);
	s->note_count = 0;
	for (size_t i = 0; i < info->n_metadata; i++) {
		const entry_msg *e = info->metadata[i];

		/* Half a key would be another. */
		if (strlen(e->key) < sizeof(s->notes[0].key))
			msn_status_note(s, e->key, "%s", e->value);
	}
}

static void take_field(struct msn_status *s, const bad_request_msg *bad)
{
	if (bad->n_field_violations > 0)
		COPY(s->field, bad->field_violations[0]->field);
}

static void take_retry(struct msn_status *s, const retry_msg *retry)
{
	const duration_msg *d = retry->retry_delay;

	if (!d || d->seconds < 0 || d->nanos < 0 || d->nanos > 999999999)
		return;
	if (d->seconds >= UINT32_MAX / 1000)
		s->retry_ms = UINT32_MAX;
	else
		s->retry_ms = (uint32_t)d->seconds * 1000 +
			      (uint32_t)d->nanos / 1000000;
}

static void take(struct msn_status *s, const ProtobufCMessage *message)
{
	if (message->descriptor == &google__rpc__error_info__descriptor)
		take_info(s, (const info_msg *)message);
	else if (message->descriptor == &google__rpc__bad_request__descriptor)
		take_field(s, (const bad_request_msg *)message);
	else
		take_retry(s, (const retry_msg *)message);
}

/* What is not known, or is not what it says, is passed over. */
static void take_detail(struct msn_status *s, const any_msg *any,
			struct budget *budget)
{
	static const ProtobufCMessageDescriptor *const known[] = {
		&google__rpc__error_info__descriptor,
		&google__rpc__bad_request__descriptor,
		&google__rpc__retry_info__descriptor,
	};
	const char *name = strrchr(any->type_url, '/');

	if (!name)
		return;
	for (size_t i = 0; i < MSN_ARRAY_LEN(known); i++) {
		ProtobufCMessage *message;

		if (strcmp(name + 1, known[i]->name) != 0)
			continue;
		message = protobuf_c_message_unpack(
			known[i], &budget->allocator, any->value.len,
			any->value.data);
		if (message)
			take(s, message);
		protobuf_c_message_free_unpacked(message, &budget->allocator);
	}
}

int msn_status_decode(struct msn_status *s, const uint8_t *data, size_t len)
{
	struct budget budget = {
		.allocator = { budget_alloc, budget_free, &budget },
		.left = BUDGET,
	};
	struct msn_status got = { 0 };
	status_msg *message;

	message = google__rpc__status__unpack(&budget.allocator, len, data);
	if (!message)
		return msn_fail(-EBADMSG);
	got.code = MSN_CODE_UNKNOWN;
	if (message->code >= 0 && message->code <= MSN_CODE_UNAUTHENTICATED)
		got.code = (enum msn_code)message->code;
	COPY(got.text, message->message);
	for (size_t i = 0; i < message->n_details; i++)
		take_detail(&got, message->details[i], &budget);
	google__rpc__status__free_unpacked(message, &budget.allocator);
	*s = got;
	return 0;
}
