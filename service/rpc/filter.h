/*
 * Filter: which things a listing shows.
 *
 * SPDX-License-Identifier: Apache-2.0
 *
 * "key=value" or "key!=value", several separated by commas, of which all must
 * hold.  A value that ends with * stands for everything that begins so.  What
 * keys there are is the listing's matter; label.KEY is a label, "" if there is
 * none.
 */
#ifndef MSN_RPC_FILTER_H
#define MSN_RPC_FILTER_H

#include "base/cleanup.h"

#include <stdbool.h>
#include <stddef.h>

struct msn_call;

#define RPC_FILTER_TERMS_MAX 16

struct rpc_filter_term {
	const char *key, *value; /* in the call's arena */
	bool negated, prefix;
};

struct rpc_filter {
	struct rpc_filter_term terms[RPC_FILTER_TERMS_MAX];
	size_t count;
};

/*
 * Takes @text apart.  INVALID_ARGUMENT (field "filter") names what is wrong: a
 * key that is not one of @keys (a list that ends with NULL; "label." among them
 * stands for all labels), no operator, too many terms.
 */
MSN_MUST_CHECK int rpc_filter_parse(struct msn_call *call, const char *text,
				    const char *const *keys,
				    struct rpc_filter *out);

/* The value of a thing's @key; NULL is "". */
typedef const char *(*rpc_filter_get)(const void *thing, const char *key);

bool rpc_filter_matches(const struct rpc_filter *f, const void *thing,
			rpc_filter_get get);

#endif /* MSN_RPC_FILTER_H */
