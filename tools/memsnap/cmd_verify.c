/*
 * memsnap verify: is all of a snapshot still what was stored?
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "base/error.h"
#include "capture/capture.h"
#include "cmd.h"
#include "exit.h"
#include "output.h"
#include "progress.h"
#include "range/range.h"
#include "refs.h"
#include "verify/verify.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>

struct verify_cmd {
	struct msn_cli *cli;
	struct msn_progress progress;
	json_t *damage; /* JSON: lists */
	json_t *differences;
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

/* ---- Against a process ---------------------------------------------------*/

static const char *difference_name(enum msn_difference_kind kind)
{
	switch (kind) {
	case MSN_DIFFERENCE_BYTES:
		return "bytes";
	case MSN_DIFFERENCE_MAPPING:
		return "mapping";
	case MSN_DIFFERENCE_ADDED:
		return "added";
	case MSN_DIFFERENCE_REMOVED:
		return "removed";
	}
	return "unknown";
}

static void difference_text(const struct msn_difference *d)
{
	static const char signs[] = {
		[MSN_DIFFERENCE_BYTES] = '*',
		[MSN_DIFFERENCE_MAPPING] = '!',
		[MSN_DIFFERENCE_ADDED] = '+',
		[MSN_DIFFERENCE_REMOVED] = '-',
	};

	printf("%c %" PRIx64 "-%" PRIx64 " ", signs[d->kind], d->addr.start,
	       d->addr.end);
	if (d->kind == MSN_DIFFERENCE_BYTES)
		printf("%" PRIu64 " page%s, ",
		       msn_addr_range_length(d->addr) >> MSN_PAGE_SHIFT,
		       msn_addr_range_length(d->addr) == MSN_PAGE_SIZE ? ""
								       : "s");
	if (d->kind == MSN_DIFFERENCE_MAPPING)
		printf("other %s, ", d->what);
	msn_print_text(d->name[0] ? d->name : "(anonymous)");
	putchar('\n');
}

static int on_difference(void *ctx, const struct msn_difference *d)
{
	struct verify_cmd *c = ctx;

	if (c->cli->json)
		append(c, c->differences,
		       json_pack("{s:s, s:o, s:o, s:o, s:s}", "kind",
				 difference_name(d->kind), "start",
				 msn_json_address(d->addr.start), "end",
				 msn_json_address(d->addr.end), "name",
				 msn_json_text(d->name), "what", d->what));
	else if (!c->cli->quiet)
		difference_text(d);
	return msn_interrupt_check("comparing", &c->cli->why);
}

static json_t *against_json(struct verify_cmd *c, pid_t pid,
			    const struct msn_compare_stats *a)
{
	return json_pack("{s:i, s:b, s:O, s:o, s:o, s:o, s:o}", "pid", (int)pid,
			 "equal", !a->different_pages && !a->different_mappings,
			 "differences", c->differences, "pages_differ",
			 msn_json_count(a->different_pages), "mappings_differ",
			 msn_json_count(a->different_mappings),
			 "pages_compared", msn_json_count(a->compared_pages),
			 "pause_ns", msn_json_count(a->pause_ns));
}

static int compare(struct verify_cmd *c, struct msn_store *store,
		   struct msn_uid uid, pid_t pid, struct msn_compare_stats *a)
{
	return msn_pass(msn_capture_compare(store,
					    &(struct msn_compare_opts){
						    .uid = uid,
						    .pid = pid,
						    .difference = on_difference,
						    .difference_ctx = c,
					    },
					    a, &c->cli->why));
}

static int say_differs(struct msn_cli *cli, pid_t pid,
		       const struct msn_compare_stats *a)
{
	return msn_failure_set(&cli->why, -ESTALE, MSN_FAILURE_ABORTED,
			       "process %d is not as snapshot %s has it "
			       "(differing pages: %" PRIu64
			       ", mappings: %" PRIu64 ")",
			       (int)pid, cli->argv[0], a->different_pages,
			       a->different_mappings);
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
	struct msn_compare_stats a = {};
	struct msn_uid uid;
	int rc, print;

	rc = msn_store_check(store, &cli->why);
	if (!rc)
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
	return a.different_pages || a.different_mappings
		       ? say_differs(cli, pid, &a)
		       : 0;
}

static int run(struct msn_cli *cli)
{
	msn_auto(msn_store_closep) struct msn_store *store = NULL;
	msn_auto(msn_json_decrefp) json_t *damage = json_array();
	msn_auto(msn_json_decrefp) json_t *differences = json_array();
	struct verify_cmd c = { .cli = cli,
				.damage = damage,
				.differences = differences };
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
