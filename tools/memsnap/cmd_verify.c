/*
 * memsnap verify: is all of a snapshot still what was stored?
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "against.h"
#include "base/error.h"
#include "cmd.h"
#include "exit.h"
#include "output.h"
#include "progress.h"
#include "range/range.h"
#include "refs.h"
#include "verify/verify.h"
#include "view.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>

struct verify_cmd {
	struct msn_cli *cli;
	struct msn_progress progress;
	json_t *damage; /* JSON: lists */
	json_t *lines, *runs;
	bool out_of_memory;
};

static void append(struct verify_cmd *c, json_t *list, json_t *element)
{
	if (json_array_append_new(list, element))
		c->out_of_memory = true;
}

static json_t *damage_json(const struct msn_damage *d)
{
	return json_pack(
		"{s:o, s:s, s:o, s:o, s:o, s:o, s:o, s:o}", "snapshot",
		msn_json_uid(d->snapshot), "part",
		msn_damage_part_name(d->part), "object",
		d->part == MSN_DAMAGE_OBJECT ? msn_json_count(d->object)
					     : json_null(),
		"blob", d->blob ? msn_json_text(d->blob) : json_null(), "start",
		msn_json_address(d->start), "end", msn_json_address(d->end),
		"pack",
		d->has_pack ? json_sprintf("%" PRIx64, d->pack) : json_null(),
		"reason", msn_json_text(d->reason));
}

static void damage_text(const struct msn_damage *d)
{
	char uid[MSN_VALUE_TEXT];

	printf("damaged: snapshot %s, ", msn_text_uid(d->snapshot, uid));
	if (d->part == MSN_DAMAGE_OBJECT)
		printf("object %" PRIu32 ", ", d->object);
	if (d->part == MSN_DAMAGE_BLOB)
		printf("blob %s, ", d->blob);
	if (d->part != MSN_DAMAGE_MANIFEST)
		printf("%s 0x%" PRIx64 "-0x%" PRIx64 ", ",
		       d->part == MSN_DAMAGE_SPACE ? "addresses" : "bytes",
		       d->start, d->end);
	if (d->has_pack)
		printf("pack %" PRIx64 ": ", d->pack);
	puts(d->reason);
}

static int on_damage(void *ctx, const struct msn_damage *d)
{
	struct verify_cmd *c = ctx;

	msn_progress_end(&c->progress);
	if (c->cli->json)
		append(c, c->damage, damage_json(d));
	else if (!c->cli->quiet)
		damage_text(d);
	return 0;
}

static void on_line(void *ctx, char side, const char *text)
{
	struct verify_cmd *c = ctx;

	if (c->cli->json)
		append(c, c->lines,
		       json_pack("{s:s, s:o}", "only_in",
				 side == '-' ? "snapshot" : "process", "line",
				 msn_json_text(text)));
	else if (!c->cli->quiet)
		printf("%c %s\n", side, text);
}

static void on_run(void *ctx, uint64_t start, uint64_t end)
{
	struct verify_cmd *c = ctx;

	if (c->cli->json)
		append(c, c->runs,
		       json_pack("{s:o, s:o}", "start", msn_json_address(start),
				 "end", msn_json_address(end)));
	else if (!c->cli->quiet)
		printf("* %" PRIx64 "-%" PRIx64 " %" PRIu64 " pages differ\n",
		       start, end, (end - start) >> MSN_PAGE_SHIFT);
}

/* ---- Against a process ---------------------------------------------------*/

static json_t *against_json(struct verify_cmd *c, pid_t pid,
			    const struct msn_against *a)
{
	return json_pack("{s:i, s:b, s:O, s:O, s:o, s:o, s:o}", "pid", (int)pid,
			 "equal", !a->lines_differ && !a->pages_differ,
			 "mappings", c->lines, "runs", c->runs, "pages_differ",
			 msn_json_count(a->pages_differ), "pages_compared",
			 msn_json_count(a->pages_compared), "pages_unknown",
			 msn_json_count(a->pages_unknown));
}

static int compare(struct verify_cmd *c, struct msn_store *store,
		   struct msn_uid uid, pid_t pid, struct msn_against *a)
{
	msn_auto(msn_manifest_freep) struct msn_manifest *m = NULL;
	struct msn_cli *cli = c->cli;
	int rc;

	rc = msn_store_load(store, uid, &m, &cli->why);
	if (!rc)
		rc = msn_against(store, m,
				 &(struct msn_against_opts){
					 .cli = cli,
					 .pid = pid,
					 .line = on_line,
					 .run = on_run,
					 .ctx = c,
				 },
				 a, &cli->why);
	return msn_pass(rc);
}

static int say_differs(struct msn_cli *cli, pid_t pid,
		       const struct msn_against *a)
{
	return msn_failure_set(&cli->why, -ESTALE, MSN_FAILURE_ABORTED,
			       "process %d is not as snapshot %s has it: "
			       "%" PRIu64 " pages and %" PRIu64
			       " lines of its mappings differ",
			       (int)pid, cli->argv[0], a->pages_differ,
			       a->lines_differ);
}

/* ---- The verb ------------------------------------------------------------*/

static int print_result(struct verify_cmd *c, struct msn_uid uid, bool whole,
			const struct msn_verify_summary *s, json_t *against)
{
	char size[MSN_VALUE_TEXT];

	if (c->cli->json)
		return msn_json_print(
			c->out_of_memory
				? NULL
				: json_pack("{s:o, s:b, s:o, s:o, s:o, s:o, "
					    "s:O, s:O?}",
					    "uid", msn_json_uid(uid), "whole",
					    (int)whole, "pages",
					    msn_json_count(s->pages),
					    "damaged_pages",
					    msn_json_count(s->damaged_pages),
					    "objects",
					    msn_json_count(s->objects), "blobs",
					    msn_json_count(s->blobs), "damage",
					    c->damage, "against", against),
			&c->cli->why);
	if (whole && !c->cli->quiet)
		printf("snapshot %s is whole: %" PRIu64 " pages, %s\n",
		       c->cli->argv[0], s->pages,
		       msn_text_size(c->cli, s->pages << MSN_PAGE_SHIFT, size));
	return 0;
}

static int verify(struct verify_cmd *c, struct msn_store *store, pid_t pid)
{
	msn_auto(msn_json_decrefp) json_t *against = NULL;
	struct msn_verify_summary sum = {};
	struct msn_cli *cli = c->cli;
	struct msn_against a = {};
	struct msn_uid uid;
	int rc, print;

	rc = msn_refs_find(cli, store, cli->argv[0], &uid);
	if (rc)
		return msn_pass(rc);
	msn_progress_begin(&c->progress, cli, "verifying");
	rc = msn_verify(store, uid,
			&(struct msn_verify_opts){
				.damaged = on_damage,
				.damaged_ctx = c,
				.progress = msn_progress_step,
				.progress_ctx = &c->progress,
			},
			&sum, &cli->why);
	msn_progress_end(&c->progress);
	if (rc && !sum.damaged_runs)
		return msn_pass(rc);
	if (!rc && pid) {
		rc = compare(c, store, uid, pid, &a);
		if (rc)
			return msn_pass(rc);
		against = against_json(c, pid, &a);
	}
	print = print_result(c, uid, !sum.damaged_runs, &sum, against);
	if (rc || print)
		return rc ? msn_pass(rc) : msn_pass(print);
	return a.lines_differ || a.pages_differ ? say_differs(cli, pid, &a) : 0;
}

static int run(struct msn_cli *cli)
{
	msn_auto(msn_store_closep) struct msn_store *store = NULL;
	msn_auto(msn_json_decrefp) json_t *damage = json_array();
	msn_auto(msn_json_decrefp) json_t *lines = json_array();
	msn_auto(msn_json_decrefp) json_t *runs = json_array();
	struct verify_cmd c = {
		.cli = cli, .damage = damage, .lines = lines, .runs = runs
	};
	const char *against = msn_given_text(cli, "against");
	pid_t pid = 0;
	int rc = 0;

	if (against)
		rc = msn_refs_pid(cli, against, &pid);
	if (!rc)
		rc = msn_refs_store(cli, MSN_STORE_READ, &store);
	if (rc)
		return msn_pass(rc);
	return verify(&c, store, pid);
}

static const struct msn_option options[] = {
	{ "against", 0, "PID", "compare it with a running process too" },
	{ "bytes", 'p', NULL, "print sizes as plain numbers of bytes" },
	{}
};

const struct msn_cmd msn_cmd_verify = {
	.name = "verify",
	.help = "check every stored byte of a snapshot",
	.synopsis = "REF [--against PID] [--bytes]",
	.options = options,
	.args_min = 1,
	.args_max = 1,
	.run = run,
};
