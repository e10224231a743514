/*
 * memsnap ls: the snapshots of a store.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "base/alloc.h"
#include "base/error.h"
#include "cmd.h"
#include "listing.h"
#include "output.h"
#include "range/range.h"
#include "refs.h"

#include <errno.h>

struct list {
	struct msn_snapshot_info *at;
	size_t count;
};

/* The parent's name if it is here and has one, else the start of its uid. */
static const char *parent_text(const struct list *l, struct msn_uid parent,
			       char *out)
{
	if (!msn_uid_is_none(parent))
		for (size_t i = 0; i < l->count; i++)
			if (msn_uid_equal(l->at[i].uid, parent))
				return msn_listing_name(&l->at[i], out);
	return msn_text_uid(parent, out);
}

static int add_row(const struct msn_cli *cli, struct msn_table *t,
		   const struct list *l, const struct msn_snapshot_info *s)
{
	char text[6][MSN_VALUE_TEXT];
	const char *cells[] = {
		s->name[0] ? s->name : "-",
		msn_text_uid(s->uid, text[0]),
		parent_text(l, s->parent, text[1]),
		msn_text_time(s->created_ns, text[2]),
		msn_text_size(cli, s->stats.mapped << MSN_PAGE_SHIFT, text[3]),
		msn_text_size(cli, s->stats.private_pages << MSN_PAGE_SHIFT,
			      text[4]),
		msn_text_size(cli, s->stats.stored << MSN_PAGE_SHIFT, text[5]),
		s->origin,
	};

	return msn_table_row(t, cells, MSN_COLOR_NONE);
}

static int print_table(struct msn_cli *cli, const struct list *l)
{
	static const struct msn_column columns[] = {
		{ "NAME", false },    { "UID", false },	   { "PARENT", false },
		{ "CREATED", false }, { "MAPPED", true },  { "PRIVATE", true },
		{ "STORED", true },   { "ORIGIN", false }, {}
	};
	msn_auto(msn_table_freep) struct msn_table *t = NULL;
	int rc;

	rc = msn_table_new(&t, cli, columns, true);
	for (size_t i = 0; !rc && i < l->count; i++)
		rc = add_row(cli, t, l, &l->at[i]);
	if (!rc)
		rc = msn_table_print(t);
	return rc ? msn_failure_errno(&cli->why, rc, "cannot print") : 0;
}

static void print_uids(const struct list *l)
{
	char uid[MSN_UID_TEXT];

	for (size_t i = 0; i < l->count; i++) {
		msn_uid_format(l->at[i].uid, uid);
		puts(uid);
	}
}

static json_t *list_json(const struct list *l)
{
	json_t *array = json_array();

	for (size_t i = 0; array && i < l->count; i++)
		if (json_array_append_new(array, msn_listing_json(&l->at[i]))) {
			json_decref(array);
			array = NULL;
		}
	return json_pack("{s:o}", "snapshots", array);
}

static int run(struct msn_cli *cli)
{
	msn_auto(msn_store_closep) struct msn_store *store = NULL;
	msn_auto(msn_freep) struct msn_snapshot_info *infos = NULL;
	struct list l = {};
	int rc;

	rc = msn_refs_store(cli, MSN_STORE_READ, &store);
	if (!rc)
		rc = msn_store_list(store, &infos, &l.count, &cli->why);
	if (rc)
		return msn_pass(rc);
	l.at = infos;
	if (cli->json)
		return msn_json_print(list_json(&l), &cli->why);
	if (!cli->quiet)
		return print_table(cli, &l);
	print_uids(&l);
	return 0;
}

static const struct msn_option options[] = {
	{ "bytes", 'p', NULL, "print sizes as plain numbers of bytes" }, {}
};

const struct msn_cmd msn_cmd_ls = {
	.name = "ls",
	.help = "list the snapshots of the store",
	.synopsis = "[--bytes]",
	.options = options,
	.run = run,
};
