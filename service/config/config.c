/*
 * From texts to a configuration, and from two to one.
 *
 * SPDX-License-Identifier: Apache-2.0
 *
 * What the sources say is kept as texts with their origins.  The typed values
 * are made of the texts at the end, so that a reload can mix the texts of two
 * configurations and make the values anew.
 */
#include "config_internal.h"

#include "base/alloc.h"
#include "base/assert.h"
#include "base/error.h"

#include <ctype.h>
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Lists lie in struct msn_config as a pointer and a count. */
#define IS_LIST(type)                                                          \
	_Static_assert(sizeof(type) == 16 && offsetof(type, count) == 8,       \
		       "a list is a pointer and a count")
IS_LIST(struct msn_config_paths);
IS_LIST(struct msn_config_addresses);
IS_LIST(struct msn_config_subjects);
IS_LIST(struct msn_config_roots);

/* The largest of what a type fills. */
union element {
	char *text;
	struct msn_config_address address;
	struct msn_config_subject subject;
	struct msn_config_root root;
};

/* ---- Values ------------------------------------------------------------- */

static void value_clear(struct value *v)
{
	for (size_t i = 0; i < v->count; i++) {
		free(v->items[i].text);
		free(v->items[i].origin);
	}
	v->count = 0;
	free(v->emptied_by);
	v->emptied_by = NULL;
}

static int value_add(struct value *v, const char *text, const char *origin)
{
	msn_auto(msn_freep) char *kept = msn_strdup(text);
	msn_auto(msn_freep) char *from = msn_strdup(origin);
	int rc;

	if (!kept || !from)
		return msn_fail(-ENOMEM);
	rc = msn_grow((void **)&v->items, &v->cap, v->count, sizeof(*v->items));
	if (rc)
		return msn_pass(rc);
	v->items[v->count++] =
		(struct item){ msn_steal(kept), msn_steal(from) };
	return 0;
}

static int value_empty(struct value *v, const char *origin)
{
	char *from = msn_strdup(origin);

	if (!from)
		return msn_fail(-ENOMEM);
	value_clear(v);
	v->emptied_by = from;
	return 0;
}

static int value_copy(struct value *to, const struct value *from)
{
	int rc = 0;

	value_clear(to);
	to->source = from->source;
	for (size_t i = 0; rc == 0 && i < from->count; i++)
		rc = value_add(to, from->items[i].text, from->items[i].origin);
	if (rc == 0 && from->emptied_by)
		rc = value_empty(to, from->emptied_by);
	return msn_pass(rc);
}

static bool value_same(const struct value *a, const struct value *b)
{
	if (a->count != b->count)
		return false;
	for (size_t i = 0; i < a->count; i++)
		if (strcmp(a->items[i].text, b->items[i].text) != 0)
			return false;
	return true;
}

/* ---- The whole ---------------------------------------------------------- */

static void *field(struct whole *w, const struct msn_config_setting *s)
{
	return (char *)&w->config + s->offset;
}

static const struct msn_config_setting *all(size_t *count)
{
	return msn_config_settings(count);
}

struct whole *msn_config_whole_new(void)
{
	struct whole *w = msn_alloc(sizeof(*w));

	if (w)
		atomic_init(&w->refs, 1);
	return w;
}

static void release_list(struct whole *w, const struct msn_config_setting *s)
{
	struct msn_config_paths list;
	char *at;

	memcpy(&list, field(w, s), sizeof(list));
	at = (char *)list.at;
	for (size_t i = 0; s->type->release && i < list.count; i++)
		s->type->release(at + i * s->type->size);
	free(at);
}

struct whole *msn_config_whole_free(struct whole *w)
{
	size_t count;
	const struct msn_config_setting *s = all(&count);

	if (!w)
		return NULL;
	for (size_t i = 0; i < count; i++) {
		if (s[i].list)
			release_list(w, &s[i]);
		else if (s[i].type->release)
			s[i].type->release(field(w, &s[i]));
		value_clear(&w->values[i]);
		free(w->values[i].items);
	}
	free(w);
	return NULL;
}

static int decode_list(struct whole *w, const struct msn_config_setting *s,
		       const struct value *v)
{
	struct msn_config_paths list = { 0 };
	char wrong[WRONG_MAX], *at;
	int rc = 0;

	if (!v->count)
		return 0;
	at = msn_alloc_array(v->count, s->type->size);
	if (!at)
		return msn_fail(-ENOMEM);
	list.at = (char **)(void *)at;
	for (; rc == 0 && list.count < v->count; list.count++)
		rc = s->type->parse(s, v->items[list.count].text,
				    at + list.count * s->type->size, wrong);
	list.count -= rc != 0;
	memcpy(field(w, s), &list, sizeof(list));
	return msn_pass(rc);
}

int msn_config_decode(struct whole *w)
{
	size_t count;
	const struct msn_config_setting *s = all(&count);
	char wrong[WRONG_MAX];
	int rc = 0;

	for (size_t i = 0; rc == 0 && i < count; i++) {
		const struct value *v = &w->values[i];

		if (s[i].list)
			rc = decode_list(w, &s[i], v);
		else
			rc = s[i].type->parse(&s[i], v->items[0].text,
					      field(w, &s[i]), wrong);
	}
	return msn_pass(rc);
}

static struct whole *whole_of(const struct msn_config *c)
{
	return msn_container_of(c, struct whole, config);
}

struct msn_config *msn_config_ref(struct msn_config *c)
{
	atomic_fetch_add_explicit(&whole_of(c)->refs, 1, memory_order_relaxed);
	return c;
}

struct msn_config *msn_config_unref(struct msn_config *c)
{
	/* Release what was read here, acquire what others read. */
	if (c && atomic_fetch_sub_explicit(&whole_of(c)->refs, 1,
					   memory_order_acq_rel) == 1)
		msn_config_whole_free(whole_of(c));
	return NULL;
}

/* ---- What sources say --------------------------------------------------- */

void msn_config_problem(struct loader *l, enum msn_failure_kind kind,
			const char *origin, const char *fmt, ...)
{
	struct msn_failure f = { 0 };
	char text[sizeof(f.text)];
	va_list args;

	va_start(args, fmt);
	vsnprintf(text, sizeof(text), fmt, args);
	va_end(args);
	msn_failure_set(&f, -EINVAL, kind, "%s: %s", origin, text);
	if (l->opts && l->opts->problem)
		l->opts->problem(l->opts->ctx, f.text);
	if (!l->rc)
		l->rc = msn_failure_set(
			l->why, kind == MSN_FAILURE_DENIED ? -EACCES : -EINVAL,
			kind, "%s", f.text);
}

/* Is @text an element of @s?  Tells of it when it is not. */
static bool check_element(struct loader *l, const struct msn_config_setting *s,
			  const char *text, const char *origin)
{
	char wrong[WRONG_MAX] = "";
	union element scratch;
	int rc;

	msn_assert(s->type->size <= sizeof(scratch));
	for (const char *c = text; *c; c++) {
		if (iscntrl((unsigned char)*c)) {
			msn_config_problem(l, MSN_FAILURE_INVALID, origin,
					   "%s.%s: '%s' has a control "
					   "character in it",
					   s->section, s->name, text);
			return false;
		}
	}
	rc = s->type->parse(s, text, &scratch, wrong);
	if (rc == 0 && s->type->release)
		s->type->release(&scratch);
	if (rc == -ENOMEM)
		l->rc = rc;
	else if (rc)
		msn_config_problem(l, MSN_FAILURE_INVALID, origin,
				   "%s.%s: '%.150s' %s", s->section, s->name,
				   text, wrong);
	return rc == 0;
}

static void add_element(struct loader *l, const struct msn_config_setting *s,
			const char *text, const char *origin)
{
	struct value *v = &l->whole->values[msn_config_index(s)];
	int rc;

	if (!check_element(l, s, text, origin))
		return;
	if (!s->list)
		value_clear(v);
	rc = value_add(v, text, origin);
	if (rc)
		l->rc = rc;
}

/* @text without blanks at both ends, for free(). */
static char *trimmed(const char *text, size_t len)
{
	char *out;

	for (; len && strchr(" \t", *text); len--)
		text++;
	while (len && strchr(" \t", text[len - 1]) &&
	       !(len > 1 && text[len - 2] == '\\'))
		len--;
	out = msn_alloc(len + 1);
	if (out)
		memcpy(out, text, len);
	return out;
}

/* Up to the next comma that no backslash stands before. */
static size_t element_length(const char *text)
{
	size_t len = 0;

	while (text[len] && text[len] != ',')
		len += text[len] == '\\' && text[len + 1] ? 2 : 1;
	return len;
}

static void add_list(struct loader *l, const struct msn_config_setting *s,
		     const char *text, const char *origin)
{
	for (;; text++) {
		size_t len = element_length(text);
		msn_auto(msn_freep) char *element = trimmed(text, len);

		if (!element) {
			l->rc = msn_fail(-ENOMEM);
			return;
		}
		if (*element)
			add_element(l, s, element, origin);
		else
			msn_config_problem(l, MSN_FAILURE_INVALID, origin,
					   "%s.%s: nothing stands between two "
					   "commas, or before or behind one",
					   s->section, s->name);
		text += len;
		if (!*text || l->rc == -ENOMEM)
			return;
	}
}

void msn_config_say(struct loader *l, const struct msn_config_setting *s,
		    const char *text, const char *origin)
{
	struct value *v = &l->whole->values[msn_config_index(s)];
	msn_auto(msn_freep) char *clean = trimmed(text, strlen(text));
	int rc = 0;

	if (!clean) {
		l->rc = msn_fail(-ENOMEM);
		return;
	}
	if (v->source != l->source)
		value_clear(v);
	v->source = l->source;
	if (!s->list)
		add_element(l, s, clean, origin);
	else if (*clean)
		add_list(l, s, clean, origin);
	else
		rc = value_empty(v, origin);
	if (rc)
		l->rc = rc;
}

/* ---- Loading ------------------------------------------------------------ */

static void say_defaults(struct loader *l)
{
	size_t count;
	const struct msn_config_setting *s = all(&count);

	for (size_t i = 0; i < count; i++)
		msn_config_say(l, &s[i], s[i].initial, "default");
}

/* Makes the values of what was said, if all of it was good. */
static int finish(struct loader *l, struct msn_config **out)
{
	int rc = l->rc ? l->rc : msn_config_decode(l->whole);

	if (rc == 0) {
		msn_config_check_whole(l);
		rc = l->rc;
	}
	if (rc == -ENOMEM)
		return msn_failure_errno(l->why, rc,
					 "cannot load the configuration");
	if (rc == 0)
		*out = &msn_steal(l->whole)->config;
	return msn_pass(rc);
}

int msn_config_load(struct msn_config **out, const struct msn_config_opts *opts,
		    struct msn_failure *why)
{
	msn_auto(msn_config_whole_freep) struct whole *w =
		msn_config_whole_new();
	struct loader l = { .whole = w, .opts = opts, .why = why };
	void (*const sources[])(struct loader *) = {
		say_defaults, msn_config_read_files,
		msn_config_read_environment, msn_config_read_flags
	};
	int rc;

	if (!w)
		return msn_failure_errno(why, -ENOMEM,
					 "cannot load the configuration");
	for (size_t i = 0; i < MSN_ARRAY_LEN(sources) && l.rc != -ENOMEM;
	     i++, l.source++)
		sources[i](&l);
	rc = finish(&l, out);
	w = l.whole;
	return msn_pass(rc);
}

int msn_config_reload(struct msn_config **out, const struct msn_config *now,
		      const struct msn_config *next,
		      void (*changed)(void *ctx,
				      const struct msn_config_setting *setting),
		      void *ctx, struct msn_failure *why)
{
	msn_auto(msn_config_whole_freep) struct whole *w =
		msn_config_whole_new();
	const struct value *old = whole_of(now)->values;
	const struct value *new = whole_of(next)->values;
	struct loader l = { .whole = w, .why = why };
	size_t count;
	const struct msn_config_setting *s = all(&count);
	int rc = w ? 0 : -ENOMEM;

	for (size_t i = 0; rc == 0 && i < count; i++)
		rc = value_copy(&w->values[i],
				s[i].restart ? &old[i] : &new[i]);
	if (rc)
		return msn_failure_errno(why, rc,
					 "cannot reload the configuration");
	rc = finish(&l, out);
	w = l.whole;
	for (size_t i = 0; rc == 0 && changed && i < count; i++)
		if (!value_same(&old[i], &new[i]))
			changed(ctx, &s[i]);
	return msn_pass(rc);
}

const char *msn_config_origin(const struct msn_config *c,
			      const struct msn_config_setting *s)
{
	const struct value *v = &whole_of(c)->values[msn_config_index(s)];

	if (v->count)
		return v->items[v->count - 1].origin;
	return v->emptied_by ? v->emptied_by : "default";
}
