/*
 * Filter: parsing and matching.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "rpc/filter.h"

#include "base/error.h"
#include "rpc/convert.h"
#include "wire/call.h"

#include <errno.h>
#include <string.h>

static bool is_key(const char *const *keys, const char *key)
{
	for (; *keys; keys++) {
		size_t n = strlen(*keys);

		if (strcmp(*keys, key) == 0)
			return true;
		if ((*keys)[n - 1] == '.' && strncmp(*keys, key, n) == 0 &&
		    key[n])
			return true;
	}
	return false;
}

/* @term is changed: its key and value get ends of their own. */
static int parse_term(struct msn_call *call, char *term,
		      const char *const *keys, struct rpc_filter_term *out)
{
	char *equals = strchr(term, '=');
	size_t len;

	if (!equals || equals == term)
		return msn_call_bad_field(call, "filter",
					  "'%.80s' is not of the form "
					  "key=value or key!=value",
					  term);
	out->value = equals + 1;
	*equals = '\0';
	if (equals[-1] == '!') {
		out->negated = true;
		equals[-1] = '\0';
	}
	out->key = term;
	if (!is_key(keys, term))
		return msn_call_bad_field(call, "filter",
					  "there is nothing to filter by named "
					  "'%.80s'",
					  term);
	len = strlen(out->value);
	if (len && out->value[len - 1] == '*') {
		equals[len] = '\0';
		out->prefix = true;
	}
	return 0;
}

int rpc_filter_parse(struct msn_call *call, const char *text,
		     const char *const *keys, struct rpc_filter *out)
{
	char *rest = rpc_text(call, text), *term;
	int rc = 0;

	*out = (struct rpc_filter){ 0 };
	if (!rest)
		return msn_fail(-ENOMEM);
	if (!*rest)
		return 0;
	while (!rc && (term = strsep(&rest, ","))) {
		if (out->count == RPC_FILTER_TERMS_MAX)
			return msn_call_bad_field(call, "filter",
						  "more than %d terms",
						  RPC_FILTER_TERMS_MAX);
		rc = parse_term(call, term, keys, &out->terms[out->count++]);
	}
	return msn_pass(rc);
}

static bool term_matches(const struct rpc_filter_term *t, const char *value)
{
	bool same = t->prefix ? strncmp(value, t->value, strlen(t->value)) == 0
			      : strcmp(value, t->value) == 0;

	return same != t->negated;
}

bool rpc_filter_matches(const struct rpc_filter *f, const void *thing,
			rpc_filter_get get)
{
	for (size_t i = 0; i < f->count; i++) {
		const char *value = get(thing, f->terms[i].key);

		if (!term_matches(&f->terms[i], value ? value : ""))
			return false;
	}
	return true;
}
