/*
 * Convert: values, labels and things as answers show them.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "rpc/convert.h"

#include "base/error.h"

#include <errno.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define NS_PER_S INT64_C(1000000000)

/* Longest duration of a request: a year, of which none is sensible. */
#define DURATION_MAX_S (INT64_C(366) * 24 * 3600)

/* ---- Values -------------------------------------------------------------- */

char *rpc_text(struct msn_call *call, const char *text)
{
	size_t size = strlen(text) + 1;
	char *copy = msn_call_alloc(call, size);

	return copy ? memcpy(copy, text, size) : NULL;
}

char *rpc_uid(struct msn_call *call, struct msn_uid uid)
{
	char text[MSN_UID_TEXT] = "";

	if (!msn_uid_is_none(uid))
		msn_uid_format(uid, text);
	return rpc_text(call, text);
}

char *rpc_number(struct msn_call *call, uint64_t n)
{
	char text[32];

	snprintf(text, sizeof(text), "%" PRIu64, n);
	return rpc_text(call, text);
}

Google__Protobuf__Timestamp *rpc_time(struct msn_call *call, int64_t ns)
{
	Google__Protobuf__Timestamp *t = msn_call_alloc(call, sizeof(*t));

	if (!t)
		return NULL;
	google__protobuf__timestamp__init(t);
	t->seconds = ns / NS_PER_S;
	t->nanos = (int32_t)(ns % NS_PER_S);
	if (t->nanos < 0) {
		t->nanos += (int32_t)NS_PER_S;
		t->seconds--;
	}
	return t;
}

Google__Protobuf__Duration *rpc_duration(struct msn_call *call, uint64_t ns)
{
	Google__Protobuf__Duration *d = msn_call_alloc(call, sizeof(*d));

	if (!d)
		return NULL;
	google__protobuf__duration__init(d);
	d->seconds = (int64_t)(ns / (uint64_t)NS_PER_S);
	d->nanos = (int32_t)(ns % (uint64_t)NS_PER_S);
	return d;
}

int rpc_take_duration(struct msn_call *call, const char *field,
		      const Google__Protobuf__Duration *d, uint64_t absent,
		      uint64_t *ns)
{
	*ns = absent;
	if (!d)
		return 0;
	if (d->seconds < 0 || d->nanos < 0 || d->nanos >= NS_PER_S ||
	    d->seconds > DURATION_MAX_S)
		return msn_call_bad_field(
			call, field, "%s is no duration between 0 and 366 days",
			field);
	*ns = (uint64_t)(d->seconds * NS_PER_S + d->nanos);
	return 0;
}

int rpc_take_etag(struct msn_call *call, const char *text, uint64_t *etag)
{
	char *end;

	*etag = 0;
	if (!*text)
		return 0;
	errno = 0;
	*etag = strtoull(text, &end, 10);
	if (errno || *end || !*etag)
		return msn_call_bad_field(call, "etag", "'%.80s' is no etag",
					  text);
	return 0;
}

/* ---- Labels -------------------------------------------------------------- */

int rpc_take_labels(struct msn_call *call, Memsnap__V1__Label *const *list,
		    size_t n, struct msn_labels *out)
{
	struct msn_labels l = { 0 };
	int rc = 0;

	for (size_t i = 0; !rc && i < n; i++)
		rc = msn_labels_set(&l, list[i]->key, list[i]->value,
				    msn_call_status(call));
	if (rc)
		msn_labels_deinit(&l);
	else
		*out = l;
	return msn_pass(rc);
}

int rpc_labels(struct msn_call *call, const struct msn_labels *labels,
	       size_t *n, Memsnap__V1__Label ***out)
{
	Memsnap__V1__Label **list, *at;

	list = msn_call_alloc(call, (labels->count + 1) * sizeof(*list));
	at = msn_call_alloc(call, (labels->count + 1) * sizeof(*at));
	if (!list || !at)
		return msn_fail(-ENOMEM);
	for (size_t i = 0; i < labels->count; i++) {
		memsnap__v1__label__init(&at[i]);
		at[i].key = rpc_text(call, labels->at[i].key);
		at[i].value = rpc_text(call, labels->at[i].value);
		if (!at[i].key || !at[i].value)
			return msn_fail(-ENOMEM);
		list[i] = &at[i];
	}
	*n = labels->count;
	*out = list;
	return 0;
}

const char *rpc_label(Memsnap__V1__Label *const *list, size_t n,
		      const char *key)
{
	for (size_t i = 0; i < n; i++)
		if (strcmp(list[i]->key, key) == 0)
			return list[i]->value;
	return NULL;
}

/* ---- Spaces -------------------------------------------------------------- */

int rpc_find_space(struct msn_call *call, const char *ref,
		   struct msn_space **out)
{
	if (!*ref)
		return msn_call_bad_field(call, "space", "no space is named");
	return msn_pass(msn_spaces_find(rpc_of(call)->spaces,
					msn_call_peer(call)->owner, ref, out,
					msn_call_status(call)));
}

static Memsnap__V1__SpaceLimits *limits(struct msn_call *call,
					const struct msn_space_limits *l)
{
	Memsnap__V1__SpaceLimits *m = msn_call_alloc(call, sizeof(*m));

	if (!m)
		return NULL;
	memsnap__v1__space_limits__init(m);
	m->address_space_bytes = l->address_space_bytes;
	m->data_bytes = l->data_bytes;
	m->locked_bytes = l->locked_bytes;
	m->mappings = l->mappings;
	m->memory_bytes = l->memory_bytes;
	return m;
}

static int fill_space(struct msn_call *call, const struct msn_space_view *v,
		      Memsnap__V1__Space *m)
{
	memsnap__v1__space__init(m);
	m->name = rpc_text(call, v->name);
	m->uid = rpc_uid(call, v->uid);
	m->state = (Memsnap__V1__SpaceState)v->state;
	m->limits = limits(call, &v->limits);
	m->parent_snapshot = rpc_uid(call, v->parent);
	m->mapping_count = v->mapping_count;
	m->mapped_bytes = v->mapped_bytes;
	m->resident_bytes = v->resident_bytes;
	m->owner = rpc_text(call, v->owner);
	m->create_time = rpc_time(call, v->created_ns);
	m->etag = rpc_number(call, v->etag);
	if (!m->name || !m->uid || !m->limits || !m->parent_snapshot ||
	    !m->owner || !m->create_time || !m->etag)
		return msn_fail(-ENOMEM);
	if (!msn_uid_is_none(v->generation)) {
		m->generation.data =
			msn_call_alloc(call, sizeof(v->generation.bytes));
		if (!m->generation.data)
			return msn_fail(-ENOMEM);
		memcpy(m->generation.data, v->generation.bytes,
		       sizeof(v->generation.bytes));
		m->generation.len = sizeof(v->generation.bytes);
	}
	return msn_pass(rpc_labels(call, &v->labels, &m->n_labels, &m->labels));
}

int rpc_space(struct msn_call *call, struct msn_space *space,
	      Memsnap__V1__Space **out)
{
	Memsnap__V1__Space *m = msn_call_alloc(call, sizeof(*m));
	struct msn_space_view v;
	int rc;

	if (!m)
		return msn_fail(-ENOMEM);
	rc = msn_space_look(space, &v);
	if (rc)
		return msn_pass(rc);
	rc = fill_space(call, &v, m);
	msn_space_view_deinit(&v);
	if (rc)
		return msn_pass(rc);
	*out = m;
	return 0;
}

/* ---- Failures of memory calls -------------------------------------------- */

static enum msn_code code_of_errno(int rc)
{
	switch (-rc) {
	case EINVAL:
	case EOVERFLOW:
		return MSN_CODE_INVALID_ARGUMENT;
	case ENOMEM:
	case EAGAIN:
	case ENOSPC:
	case EDQUOT:
	case EMFILE:
	case ENFILE:
		return MSN_CODE_RESOURCE_EXHAUSTED;
	case EACCES:
	case EPERM:
		return MSN_CODE_PERMISSION_DENIED;
	case EEXIST:
		return MSN_CODE_ALREADY_EXISTS;
	case EFAULT:
		return MSN_CODE_OUT_OF_RANGE;
	default:
		return MSN_CODE_FAILED_PRECONDITION;
	}
}

int rpc_errno(struct msn_call *call, int rc, const char *fmt, ...)
{
	struct msn_status *s = msn_call_status(call);
	char what[256];
	va_list args;

	if (s->code) /* who failed said more */
		return rc;
	va_start(args, fmt);
	vsnprintf(what, sizeof(what), fmt, args);
	va_end(args);
	msn_status_set(s, code_of_errno(rc), "ERRNO", "cannot %s: %s", what,
		       strerrordesc_np(-rc));
	msn_status_note(s, "errno", "%s", strerrorname_np(-rc));
	return rc;
}

int rpc_fault(struct msn_call *call, const char *verb, uint64_t address)
{
	struct msn_status *s = msn_call_status(call);

	msn_status_set(s, MSN_CODE_OUT_OF_RANGE, "FAULT",
		       "cannot %s 0x%" PRIx64 ": not mapped, or not permitted",
		       verb, address);
	msn_status_note(s, "errno", "EFAULT");
	msn_status_note(s, "address", "0x%" PRIx64, address);
	return -EFAULT;
}

/* ---- Operations ---------------------------------------------------------- */

static int fill_progress(struct msn_call *call,
			 const struct msn_operation_view *v,
			 Memsnap__V1__Operation *m)
{
	Memsnap__V1__Progress *p = msn_call_alloc(call, sizeof(*p));

	if (!p)
		return msn_fail(-ENOMEM);
	memsnap__v1__progress__init(p);
	p->phase = (Memsnap__V1__Phase)v->phase;
	p->bytes_done = v->bytes_done;
	p->bytes_total = v->bytes_total;
	p->elapsed = rpc_duration(call, v->elapsed_ns);
	m->progress = p;
	return p->elapsed ? 0 : msn_fail(-ENOMEM);
}

static int fill_error(struct msn_call *call, const struct msn_status *s,
		      Memsnap__V1__Operation *m)
{
	Memsnap__V1__OperationError *e = msn_call_alloc(call, sizeof(*e));
	struct msn_labels notes = { 0 };
	int rc = 0;

	if (!e)
		return msn_fail(-ENOMEM);
	memsnap__v1__operation_error__init(e);
	e->code = (int32_t)s->code;
	e->message = rpc_text(call, s->text);
	e->reason = rpc_text(call, s->reason);
	m->error = e;
	if (!e->message || !e->reason)
		return msn_fail(-ENOMEM);
	for (size_t i = 0; !rc && i < s->note_count; i++)
		rc = msn_labels_set(&notes, s->notes[i].key, s->notes[i].value,
				    NULL);
	if (!rc)
		rc = rpc_labels(call, &notes, &e->n_metadata, &e->metadata);
	msn_labels_deinit(&notes);
	return msn_pass(rc);
}

static int fill_reports(struct msn_call *call,
			const struct msn_operation_view *v,
			Memsnap__V1__Operation *m)
{
	if (v->kind == MSN_OPERATION_CHECK) {
		m->check = msn_call_alloc(call, sizeof(*m->check));
		if (!m->check)
			return msn_fail(-ENOMEM);
		memsnap__v1__check_report__init(m->check);
		m->check->snapshots = v->result.snapshots;
		m->check->pages = v->result.pages;
		m->check->damaged_pages = v->result.damaged_pages;
		m->check->errors = v->result.errors;
		m->check->n_errors = v->result.error_count;
	}
	if (v->kind == MSN_OPERATION_PRUNE) {
		m->prune = msn_call_alloc(call, sizeof(*m->prune));
		if (!m->prune)
			return msn_fail(-ENOMEM);
		memsnap__v1__prune_report__init(m->prune);
		m->prune->packs_freed = v->result.packs_freed;
		m->prune->bytes_freed = v->result.bytes_freed;
	}
	return 0;
}

static int fill_operation(struct msn_call *call,
			  const struct msn_operation_view *v,
			  Memsnap__V1__Operation *m)
{
	int rc;

	memsnap__v1__operation__init(m);
	m->name = rpc_text(call, v->name);
	m->kind = (Memsnap__V1__OperationKind)v->kind;
	m->target = rpc_text(call, v->target);
	m->done = v->done;
	m->snapshot = rpc_text(call, v->result.snapshot);
	m->space = rpc_text(call, v->result.space);
	m->owner = rpc_text(call, v->owner);
	m->create_time = rpc_time(call, v->created_ns);
	if (!m->name || !m->target || !m->snapshot || !m->space || !m->owner ||
	    !m->create_time)
		return msn_fail(-ENOMEM);
	rc = fill_progress(call, v, m);
	if (rc || !v->done)
		return msn_pass(rc);
	m->end_time = rpc_time(call, v->ended_ns);
	if (!m->end_time)
		return msn_fail(-ENOMEM);
	return msn_pass(v->status.code ? fill_error(call, &v->status, m)
				       : fill_reports(call, v, m));
}

int rpc_operation(struct msn_call *call, struct msn_operation *op,
		  Memsnap__V1__Operation **out)
{
	Memsnap__V1__Operation *m = msn_call_alloc(call, sizeof(*m));
	struct msn_operation_view v;
	int rc;

	if (!m)
		return msn_fail(-ENOMEM);
	msn_operation_look(op, &v);
	rc = fill_operation(call, &v, m);
	if (rc)
		return msn_pass(rc);
	*out = m;
	return 0;
}
