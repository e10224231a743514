/*
 * SpaceService: spaces as a whole.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "rpc/rpc.h"

#include "base/alloc.h"
#include "base/error.h"
#include "rpc/convert.h"
#include "rpc/filter.h"
#include "rpc/requests.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

static void unref_all(struct msn_space **list, size_t n)
{
	for (size_t i = 0; i < n; i++)
		msn_space_unref(list[i]);
	free(list);
}

static struct msn_space_limits take_limits(const Memsnap__V1__SpaceLimits *m)
{
	if (!m)
		return (struct msn_space_limits){ 0 };
	return (struct msn_space_limits){
		.address_space_bytes = m->address_space_bytes,
		.data_bytes = m->data_bytes,
		.locked_bytes = m->locked_bytes,
		.mappings = m->mappings,
		.memory_bytes = m->memory_bytes,
	};
}

/* ---- Create -------------------------------------------------------------- */

static int create_space(struct msn_call *call,
			const Memsnap__V1__CreateSpaceRequest *r,
			Memsnap__V1__CreateSpaceResponse *answer)
{
	msn_auto(msn_space_unrefp) struct msn_space *space = NULL;
	struct msn_space_begin begin = {
		.owner = msn_call_peer(call)->owner,
		.name = r->name,
		.limits = take_limits(r->limits),
	};
	int rc;

	rc = rpc_take_labels(call, r->labels, r->n_labels, &begin.labels);
	if (rc)
		return msn_pass(rc);
	rc = msn_spaces_begin(rpc_of(call)->spaces, &begin, &space,
			      msn_call_status(call));
	msn_labels_deinit(&begin.labels);
	if (!rc)
		rc = rpc_space(call, space, &answer->space);
	if (rc)
		return msn_pass(rc);
	answer->space->state = MEMSNAP__V1__SPACE_STATE__SPACE_STATE_READY;
	msn_spaces_publish(rpc_of(call)->spaces, space);
	return 0;
}

static int create(struct msn_call *call, const ProtobufCMessage *request)
{
	const Memsnap__V1__CreateSpaceRequest *r = (const void *)request;
	Memsnap__V1__CreateSpaceResponse answer;
	struct msn_once once;
	int rc = msn_once_begin(&once, rpc_of(call)->requests, call,
				r->request_id, request);

	if (rc)
		return rc == MSN_ONCE_E_ANSWERED ? 0 : msn_pass(rc);
	memsnap__v1__create_space_response__init(&answer);
	rc = create_space(call, r, &answer);
	rc = msn_once_end(&once, rc, &answer.base);
	return rc ? msn_pass(rc)
		  : msn_pass(msn_call_send(call, &answer.base, NULL));
}

/* ---- Fork ---------------------------------------------------------------- */

static int fork_space(struct msn_call *call,
		      const Memsnap__V1__ForkSpaceRequest *r,
		      Memsnap__V1__ForkSpaceResponse *answer)
{
	msn_auto(msn_space_unrefp) struct msn_space *parent = NULL;
	msn_auto(msn_space_unrefp) struct msn_space *child = NULL;
	struct msn_space_begin begin = {
		.owner = msn_call_peer(call)->owner,
		.name = r->name,
	};
	struct msn_space_view v;
	int rc = rpc_find_space(call, r->space, &parent);

	if (!rc)
		rc = rpc_take_labels(call, r->labels, r->n_labels,
				     &begin.labels);
	if (rc)
		return msn_pass(rc);
	rc = msn_space_look(parent, &v);
	if (!rc) {
		begin.limits = v.limits;
		begin.parent = v.parent;
		msn_space_view_deinit(&v);
		rc = msn_spaces_fork(rpc_of(call)->spaces, parent, &begin,
				     &child, msn_call_status(call));
	}
	msn_labels_deinit(&begin.labels);
	if (!rc)
		rc = rpc_space(call, child, &answer->space);
	if (rc)
		return msn_pass(rc);
	answer->space->state = MEMSNAP__V1__SPACE_STATE__SPACE_STATE_READY;
	msn_spaces_publish(rpc_of(call)->spaces, child);
	return 0;
}

static int fork_one(struct msn_call *call, const ProtobufCMessage *request)
{
	const Memsnap__V1__ForkSpaceRequest *r = (const void *)request;
	Memsnap__V1__ForkSpaceResponse answer;
	struct msn_once once;
	int rc = msn_once_begin(&once, rpc_of(call)->requests, call,
				r->request_id, request);

	if (rc)
		return rc == MSN_ONCE_E_ANSWERED ? 0 : msn_pass(rc);
	memsnap__v1__fork_space_response__init(&answer);
	rc = fork_space(call, r, &answer);
	rc = msn_once_end(&once, rc, &answer.base);
	return rc ? msn_pass(rc)
		  : msn_pass(msn_call_send(call, &answer.base, NULL));
}

/* ---- Get and list -------------------------------------------------------- */

static int get(struct msn_call *call, const ProtobufCMessage *request)
{
	const Memsnap__V1__GetSpaceRequest *r = (const void *)request;
	msn_auto(msn_space_unrefp) struct msn_space *space = NULL;
	Memsnap__V1__GetSpaceResponse answer;
	int rc = rpc_find_space(call, r->space, &space);

	memsnap__v1__get_space_response__init(&answer);
	if (!rc)
		rc = rpc_space(call, space, &answer.space);
	return rc ? msn_pass(rc)
		  : msn_pass(msn_call_send(call, &answer.base, NULL));
}

static const char *const filter_keys[] = { "name", "label.", NULL };

static const char *value_of(const void *thing, const char *key)
{
	const Memsnap__V1__Space *m = thing;

	return strcmp(key, "name") == 0 ? m->name
					: rpc_label(m->labels, m->n_labels,
						    key + strlen("label."));
}

/* Shows what @filter lets through; the last name seen is the page's token. */
static int show_page(struct msn_call *call, const struct rpc_filter *filter,
		     struct msn_space *const *list, size_t n,
		     Memsnap__V1__ListSpacesResponse *answer)
{
	int rc = 0;

	answer->spaces = msn_call_alloc(call, (n + 1) * sizeof(void *));
	if (!answer->spaces)
		return msn_fail(-ENOMEM);
	for (size_t i = 0; !rc && i < n; i++) {
		Memsnap__V1__Space *m = NULL;

		rc = rpc_space(call, list[i], &m);
		if (!rc && rpc_filter_matches(filter, m, value_of))
			answer->spaces[answer->n_spaces++] = m;
	}
	return msn_pass(rc);
}

static int list(struct msn_call *call, const ProtobufCMessage *request)
{
	const Memsnap__V1__ListSpacesRequest *r = (const void *)request;
	size_t max = rpc_page_size(r->page_size, 100, 1000), n = 0;
	Memsnap__V1__ListSpacesResponse answer;
	struct msn_space **spaces = NULL;
	struct rpc_filter filter;
	int rc;

	memsnap__v1__list_spaces_response__init(&answer);
	rc = rpc_filter_parse(call, r->filter, filter_keys, &filter);
	if (!rc)
		rc = msn_spaces_list(rpc_of(call)->spaces,
				     msn_call_peer(call)->owner, r->page_token,
				     max, &spaces, &n);
	if (rc)
		return msn_pass(rc);
	rc = show_page(call, &filter, spaces, n, &answer);
	if (!rc && n == max) {
		answer.next_page_token =
			rpc_text(call, msn_space_name(spaces[n - 1]));
		rc = answer.next_page_token ? 0 : -ENOMEM;
	}
	unref_all(spaces, n);
	return rc ? msn_pass(rc)
		  : msn_pass(msn_call_send(call, &answer.base, NULL));
}

/* ---- Update and delete --------------------------------------------------- */

static int update(struct msn_call *call, const ProtobufCMessage *request)
{
	const Memsnap__V1__UpdateSpaceRequest *r = (const void *)request;
	msn_auto(msn_space_unrefp) struct msn_space *space = NULL;
	Memsnap__V1__UpdateSpaceResponse answer;
	struct msn_space_update opts = {
		.remove = (const char *const *)r->remove_labels,
		.remove_count = r->n_remove_labels,
		.limits = take_limits(r->limits),
	};
	int rc = rpc_find_space(call, r->space, &space);

	memsnap__v1__update_space_response__init(&answer);
	if (!rc)
		rc = rpc_take_etag(call, r->etag, &opts.etag);
	if (!rc)
		rc = rpc_take_labels(call, r->set_labels, r->n_set_labels,
				     &opts.set);
	if (rc)
		return msn_pass(rc);
	rc = msn_space_update(space, &opts, msn_call_status(call));
	msn_labels_deinit(&opts.set);
	if (!rc)
		rc = rpc_space(call, space, &answer.space);
	return rc ? msn_pass(rc)
		  : msn_pass(msn_call_send(call, &answer.base, NULL));
}

static int delete_one(struct msn_call *call, const ProtobufCMessage *request)
{
	const Memsnap__V1__DeleteSpaceRequest *r = (const void *)request;
	msn_auto(msn_space_unrefp) struct msn_space *space = NULL;
	struct msn_space_delete opts = { .force = r->force,
					 .dry_run = r->dry_run };
	Memsnap__V1__DeleteSpaceResponse answer;
	int rc = rpc_find_space(call, r->space, &space);

	memsnap__v1__delete_space_response__init(&answer);
	if (!rc)
		rc = rpc_take_etag(call, r->etag, &opts.etag);
	if (!rc)
		rc = msn_spaces_delete(rpc_of(call)->spaces, space, &opts,
				       msn_call_status(call));
	return rc ? msn_pass(rc)
		  : msn_pass(msn_call_send(call, &answer.base, NULL));
}

/* Freeing a space, and looking at a large one, takes a while: on workers. */
#define ROW(rpc, snake, handler, needs, how)                                   \
	{                                                                      \
		.path = "/memsnap.v1.SpaceService/" rpc,                       \
		.request = &memsnap__v1__##snake##_request__descriptor,        \
		.response = &memsnap__v1__##snake##_response__descriptor,      \
		.role = (needs), .flags = (how), .run = (handler)              \
	}

const struct msn_method msn_rpc_space[] = {
	ROW("CreateSpace", create_space, create, MSN_ROLE_OPERATE, 0),
	ROW("GetSpace", get_space, get, MSN_ROLE_READ, MSN_METHOD_BLOCKS),
	ROW("ListSpaces", list_spaces, list, MSN_ROLE_READ, MSN_METHOD_BLOCKS),
	ROW("UpdateSpace", update_space, update, MSN_ROLE_OPERATE,
	    MSN_METHOD_BLOCKS),
	ROW("DeleteSpace", delete_space, delete_one, MSN_ROLE_OPERATE,
	    MSN_METHOD_BLOCKS),
	ROW("ForkSpace", fork_space, fork_one, MSN_ROLE_OPERATE,
	    MSN_METHOD_BLOCKS),
	{}
};
